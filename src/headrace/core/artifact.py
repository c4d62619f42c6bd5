"""An artifact: a stored output with an identity."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headrace.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an artifact: its posix path inside the artifact, the sha256 of its bytes, and their number."""

    path: str
    digest: str
    n_bytes: int


@dataclass(frozen=True)
class Artifact:
    """What a step made, as the store holds it.

    ``type`` is the value's natural type (an import path such as ``polars.dataframe.frame.DataFrame``), used when a
    consumer declares none. It is no part of the identity: equal bytes in one format are one artifact.
    """

    format: str
    version: int
    files: tuple[StoredFile, ...]
    type: str

    @classmethod
    def of(cls, format: str, version: int, files: Iterable[StoredFile], type: str) -> Artifact:
        """Make an artifact, its files sorted by path."""
        return cls(format, version, tuple(sorted(files, key=lambda file: file.path)), type)

    @cached_property
    def digest(self) -> str:
        """The identity: sha256 over the format, its version, and each file's path and digest."""
        identity = [self.format, self.version, [[file.path, file.digest] for file in self.files]]
        return hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()

    @property
    def n_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.n_bytes for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The form that records keep."""
        return {
            "format": self.format,
            "version": self.version,
            "type": self.type,
            "digest": self.digest,
            "files": [[file.path, file.digest, file.n_bytes] for file in self.files],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Artifact:
        """Read the form that records keep.

        Raises `StoreError` for a file outside the artifact: whoever can write to a shared store must not be able to
        have files written anywhere.
        """
        # Of a list of thousands each item has the same few names.
        files = tuple(StoredFile(sys.intern(path), digest, n_bytes) for path, digest, n_bytes in data["files"])
        for file in files:
            if file.path.startswith("/") or ".." in file.path.split("/"):
                raise StoreError(
                    f"A record names a file outside its artifact: {file.path!r}",
                    hint="the record is damaged or forged: delete it, and the step is executed again",
                )
        return cls(sys.intern(data["format"]), data["version"], files, sys.intern(data["type"]))
