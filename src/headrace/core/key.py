"""A node's key: what its result depends on, and nothing else."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.values import Json, canonical

SCHEME = 1
"""The version of this scheme. Raised when equal keys could come to mean unequal work."""


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a key is made of, kept with each record so that two runs can be compared part by part.

    Two keys are equal if and only if all parts are: digests and trees are compared as texts, types included. The order
    of ``code`` does not count.

    Attributes
    ----------
    code
        The digest of the step's code, and of each class or function that its values name, by import path.
    values
        Each argument's tree, in which an artifact stands by its digest and external data by its fingerprint.
    formats
        The format of each output by name.
    environment
        What of the interpreter and the machine counts.
    """

    code: Mapping[str, str]
    values: Mapping[str, Json]
    formats: Mapping[str, str]
    environment: Mapping[str, Json]

    def to_json(self) -> dict[str, Json]:
        """The form that records keep."""
        return {
            "code": dict(sorted(self.code.items())),
            "values": dict(self.values),
            "formats": dict(self.formats),
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeyParts:
        """Read the form that records keep."""
        return cls(data["code"], data["values"], data["formats"], data["environment"])

    @property
    def key(self) -> str:
        """The sha256 over the scheme's version and all parts."""
        return hashlib.sha256(canonical([SCHEME, self.to_json()]).encode()).hexdigest()


def environment_of(cpus: int, table_engine: str | None) -> dict[str, Json]:
    """The part of the environment that counts: interpreter, architecture, thread limit, and a table step's engine.

    ``cpus`` is the step's thread limit, 1 or more; ``table_engine`` the engine and its version, or None for a step that
    takes no table.
    """
    return {
        "python": f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}",
        "machine": os.uname().machine,
        "threads": cpus,
        **({"table engine": table_engine} if table_engine else {}),
    }


def seed_of(key: str) -> int:
    """The seed for a step's random generators: 32 bits of its key."""
    return int(key[:8], 16)
