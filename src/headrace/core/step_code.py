"""What the code of a step is made of, by name: so that a later run can say which part changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headrace.core.reach_normal import sha256

SCHEME = "1"
"""Enters every fingerprint: raised when the way to make one changes."""

TOP_LEVEL = "<top level>"


@dataclass(frozen=True)
class Part:
    """One piece of code that counts: the digest of its normal form, and the line it is on now, for people."""

    digest: str
    line: int


@dataclass(frozen=True)
class StepCode:
    """What a step's code is made of.

    ``parts``: label, such as ``churn/text.py::clean_names``, -> the piece of code. ``modules``: each project module of
    the import closure -> its path and the sha256 of its source, which a worker verifies before it runs the step.
    ``distributions``: name -> ``version@digest``. ``files``: data files that reached code names by a string constant,
    -> the digest of their content.
    """

    parts: Mapping[str, Part]
    modules: Mapping[str, tuple[str, str]]
    distributions: Mapping[str, str]
    files: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """What enters the key: parts, distributions and files; no lines and no whole-module digests."""
        items = [SCHEME]
        for kind, entries in (
            ("part", {label: part.digest for label, part in self.parts.items()}),
            ("distribution", self.distributions),
            ("file", self.files),
        ):
            for name in sorted(entries):
                items += [kind, name, entries[name]]
        return sha256(*items)

    def to_json(self) -> dict[str, Any]:
        """The form that records keep."""
        return {
            "parts": {label: [part.digest, part.line] for label, part in sorted(self.parts.items())},
            "modules": {name: list(source) for name, source in sorted(self.modules.items())},
            "distributions": dict(sorted(self.distributions.items())),
            "files": dict(sorted(self.files.items())),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StepCode:
        """Read the form that records keep."""
        return cls(
            {label: Part(digest, line) for label, (digest, line) in data["parts"].items()},
            {name: (path, digest) for name, (path, digest) in data["modules"].items()},
            dict(data["distributions"]),
            dict(data["files"]),
        )

    def differences(self, now: StepCode) -> list[str]:
        """Say what is different in ``now``: ``clean_names in churn/text.py:12 changed``. Empty: nothing."""
        found = []
        for label in sorted(self.parts.keys() | now.parts.keys()):
            found += _part_difference(label, self.parts.get(label), now.parts.get(label))
        for name in sorted(self.distributions.keys() | now.distributions.keys()):
            found += _version_difference(name, self.distributions.get(name), now.distributions.get(name))
        for name in sorted(self.files.keys() | now.files.keys()):
            before, after = self.files.get(name), now.files.get(name)
            if before != after:
                found.append(f"{name} {_verb(before, after)}")
        return found


def _verb(before: object, after: object) -> str:
    return "was added" if before is None else "was removed" if after is None else "changed"


def _part_difference(label: str, before: Part | None, after: Part | None) -> list[str]:
    if before is not None and after is not None and before.digest == after.digest:
        return []
    shown = after or before
    path, colons, name = label.partition("::")
    if not colons or shown is None:
        return [f"{label} {_verb(before, after)}"]
    what = "top-level code" if name.startswith(TOP_LEVEL) else name
    return [f"{what} in {path}:{shown.line} {_verb(before, after)}"]


def _version_difference(name: str, before: str | None, after: str | None) -> list[str]:
    if before == after:
        return []
    old, new = ((text or "").partition("@")[0] for text in (before, after))
    if before is None:
        return [f"{name} {new} was added"]
    if after is None:
        return [f"{name} {old} was removed"]
    if old == new:
        return [f"the installed files of {name} {old} changed"]
    return [f"{name} was {old}, is {new}"]
