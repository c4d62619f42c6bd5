"""Making a project: where it goes, what is written, and what must not be overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import ProjectError
from headrace.templates.naming import package_name
from headrace.templates.proposals import Proposal
from headrace.templates.rendering import render

MOST_COPIED_BYTES = 50 << 20
"""A larger file of rows stays where it is."""

N_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a project's rows are."""

    written: str
    """As the pipeline's default says it: relative to the project where the file is inside."""
    copied_from: Path | None
    ignored: str
    """The line of ``.gitignore``."""
    why: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project that was made."""

    folder: Path
    package: str
    files: tuple[str, ...]
    data: Placed | None


def make_project(folder: Path, proposal: Proposal | None, *, in_place: bool = False) -> Project:
    """Write a project's files; into a folder that exists only what isn't there.

    Raises ProjectError where a file is there already (all such are named, and nothing is written), where the folder's
    name is none of a package, and where the place can't be written.
    """
    folder = folder.resolve()
    package = package_name(folder.name)
    placed = place_data(folder, proposal.table.path, in_place=in_place) if proposal else None
    ignored = placed.ignored if placed else "data/"
    texts = render(folder.name, package, proposal, placed.written if placed else None, ignored)
    copied = [placed.written] if placed and placed.copied_from else []
    refuse_overwriting(folder, [*texts, *copied])
    begun: list[Path] = []
    try:
        for name, text in texts.items():
            with _new(folder / name, begun).open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        if placed and placed.copied_from:
            shutil.copyfile(placed.copied_from, _new(folder / placed.written, begun))
    except BaseException as error:
        for place in begun:  # half a project would be in the way of the next try
            place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ProjectError(f"The project can't be written: {error.strerror or error}", where=str(folder)) from error
        raise
    return Project(folder, package, tuple(sorted([*texts, *copied])), placed)


def _new(place: Path, begun: list[Path]) -> Path:
    """Make a file's folder, and note the file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    begun.append(place)
    return place


def place_data(folder: Path, path: Path, *, in_place: bool) -> Placed:
    """Decide where the rows are: where they lie if that is inside the project or they are many, else copied into it."""
    path = path.resolve()
    if path.is_relative_to(folder):
        inside = path.relative_to(folder).as_posix()
        return Placed(inside, None, "data/" if inside.startswith("data/") else f"/{inside}", "used where it is")
    n_bytes = path.stat().st_size
    if in_place or n_bytes > MOST_COPIED_BYTES:
        why = "as --in-place says" if in_place else f"{n_bytes / 1e6:,.0f} MB are too many to copy"
        return Placed(str(path), None, "data/", f"used where it is, {why}")
    return Placed(f"data/{path.name}", path, "data/", "a copy")


def refuse_overwriting(folder: Path, names: Iterable[str]) -> None:
    """Raise ProjectError where one of the files is there, or a file stands where a folder is needed."""
    there = sorted(name for name in names if os.path.lexists(folder / name))
    blocked = sorted({name for name in names for parent in (folder / name).parents if parent.is_file()})
    if folder.is_file() or blocked:
        place = folder if folder.is_file() else next(p for p in (folder / blocked[0]).parents if p.is_file())
        raise ProjectError(f"{str(place)!r} is a file, where a folder is needed", hint="choose another name")
    if there:
        more = f" and {len(there) - N_SHOWN} more" if len(there) > N_SHOWN else ""
        raise ProjectError(
            f"Nothing is overwritten: {', '.join(there[:N_SHOWN])}{more} "
            f"{'is' if len(there) == 1 else 'are'} there already",
            where=str(folder),
            hint="choose another name or place, or move them away",
        )
