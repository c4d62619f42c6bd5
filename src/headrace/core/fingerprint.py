"""The fingerprint of a step's code: everything of the project that its function reaches, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from headrace.core.distributions import Distributions
from headrace.core.project import Project
from headrace.core.reach import Reach
from headrace.core.reach_files import Files
from headrace.core.reach_modules import Modules
from headrace.core.reach_normal import sha256
from headrace.core.reach_values import Encode, Values
from headrace.core.stamps import Stamps
from headrace.core.step_code import TOP_LEVEL, Part, StepCode


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
