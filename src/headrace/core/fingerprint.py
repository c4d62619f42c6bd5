"""The fingerprint of a step's code: everything of the project that its function reaches, and what that rests on.

``StepCode`` keeps the parts by name, so that a later run can say which one changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from headrace.core.distributions import Distributions
from headrace.core.project import Project
from headrace.core.reach import Reach
from headrace.core.reach_files import Files
from headrace.core.reach_modules import Modules
from headrace.core.reach_normal import sha256
from headrace.core.reach_values import Encode, Values
from headrace.core.stamps import Stamps

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


class Fingerprinter:
    """Makes fingerprints of many functions; each module is read once, as it is then."""

    def __init__(
        self,
        project: Project,
        encode: Encode,
        stamps: Stamps,
        *,
        distributions: Distributions | None = None,
        entry: Iterable[str] = (),
    ) -> None:
        """``entry``: modules that a worker imports besides the function's own, the pipeline's: what they run counts."""
        self._distributions = distributions or Distributions()
        installed = tuple(sorted({*project.installed, *self._distributions.project_roots()}))
        self._project = Project(project.root, installed)
        self._modules = Modules(self._project)
        self._encode = encode
        self._files = Files(self._project, stamps)
        self._entry = tuple(entry)
        self._made: dict[int, tuple[object, StepCode]] = {}

    def fingerprint(self, function: object) -> StepCode:
        """Give the fingerprint of a function, a partial, a bound method, a callable object or a class."""
        known = self._made.get(id(function))
        if known is None:
            known = self._made[id(function)] = (function, self._make(function))
        return known[1]

    def _make(self, function: object) -> StepCode:
        reach = Reach(self._modules)
        values = Values(reach, self._encode)
        for name in self._entry:
            reach.enter(name)
        values.add(function, getattr(function, "__qualname__", type(function).__qualname__))
        reach.walk()
        parts = self._parts(reach)
        parts.update((label, Part(digest, 0)) for label, digest in values.parts.items())
        foreign = sorted(reach.foreign)
        return StepCode(
            parts,
            self._sources(reach),
            self._distributions.digests(foreign),
            self._files.named(reach.strings, self._modules),
        )

    def _sources(self, reach: Reach) -> dict[str, tuple[str, str]]:
        return {name: (facts.label, facts.sha256) for name, facts in sorted(reach.closure.items()) if facts is not None}

    def _parts(self, reach: Reach) -> dict[str, Part]:
        parts = self._definitions(reach)
        for facts, piece in reach.members():
            label = _free(parts, f"{facts.label}::{piece.label}")
            parts[label] = Part(piece.digest, piece.line)
        for (module, name), digest in reach.bindings.items():
            named = reach.closure[module]
            if named is not None:
                label = f"{named.label}::{name}"
                known = parts.get(label)
                parts[label] = Part(sha256(known.digest, digest) if known else digest, known.line if known else 1)
        parts.update(self._top_levels(reach))
        parts.update(self._compiled(reach))
        return parts

    def _definitions(self, reach: Reach) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        for (_, label, index), counted in sorted(reach.counted.items(), key=lambda item: item[0]):
            facts, piece = counted.module, counted.piece
            if facts.units[index].is_effect and not facts.units[index].binds:
                continue
            digest = sha256(piece.digest, piece.docs if reach.docs else "", str(counted.n_effects_before))
            name = _free(parts, f"{facts.label}::{label}")
            parts[name] = Part(digest, piece.line)
        return parts

    def _top_levels(self, reach: Reach) -> dict[str, Part]:
        """What importing each module runs, in order: effects, and imports of modules that have some."""
        parts = {}
        for name, facts in sorted(reach.closure.items(), key=lambda item: item[0]):
            if facts is None:
                continue
            lines = [(line.place, 0, line.text) for line in facts.imports if _runs_effects(reach, line.modules)]
            effects = sorted(self._modules.effects.of(name))
            lines += [(index, 1, facts.units[index].piece.digest) for index in effects]
            in_order = [text for _, _, text in sorted(lines, key=lambda line: line[:2])]
            content = in_order if effects or len(lines) > 1 else []
            content += facts.future
            if reach.docs:
                content.append(facts.docs)
            if reach.source or facts.name in reach.named_by_text:
                content.append(facts.sha256)  # a module that is run by its name runs its main block too
            if content:
                first = facts.units[effects[0]].piece.line if effects else 1
                parts[f"{facts.label}::{TOP_LEVEL}"] = Part(sha256(*content), first)
        return parts

    def _compiled(self, reach: Reach) -> dict[str, Part]:
        """Extension modules and sources that don't parse count by their bytes."""
        parts = {}
        for name, facts in reach.closure.items():
            place = self._modules.place(name)
            if facts is None and place is not None and place.path:
                content = self._files.digest(Path(place.path))
                if content is not None:
                    parts[f"{self._project.relative(place.path)}::{TOP_LEVEL}"] = Part(content, 1)
        return parts


def _free(parts: Mapping[str, Part], label: str) -> str:
    """Number the labels of pieces that share a name."""
    number, candidate = 1, label
    while candidate in parts:
        number += 1
        candidate = f"{label} ({number})"
    return candidate


def _runs_effects(reach: Reach, modules: Iterable[str]) -> bool:
    return any(
        reach.has_effects(name.replace(":", ".")) or reach.has_effects(name.partition(":")[0]) for name in modules
    )


def fingerprint(
    function: object,
    project: Project,
    encode: Encode,
    stamps: Stamps,
    *,
    distributions: Distributions | None = None,
    entry: Iterable[str] = (),
) -> StepCode:
    """Give the fingerprint of one function. See ``Fingerprinter``."""
    return Fingerprinter(project, encode, stamps, distributions=distributions, entry=entry).fingerprint(function)


def fingerprint_many(
    functions: Iterable[object],
    project: Project,
    encode: Encode,
    stamps: Stamps,
    *,
    distributions: Distributions | None = None,
    entry: Iterable[str] = (),
) -> list[StepCode]:
    """Give the fingerprints of many functions, in their order; equal functions cost once."""
    maker = Fingerprinter(project, encode, stamps, distributions=distributions, entry=entry)
    return [maker.fingerprint(function) for function in functions]
