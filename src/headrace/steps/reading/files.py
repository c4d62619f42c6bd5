"""Which files a path stands for: one, all of a folder, or those that a pattern names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from headrace.core.discovery_hub import unseen
from headrace.core.errors import DataError, near_miss
from headrace.core.globs import fixed_part, is_pattern, matching

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the files that a path stands for."""

    path: Path
    label: str
    """Its name, or its posix path below the folder that was given: the same on every machine."""
    partition: dict[str, str | None] = field(default_factory=dict)
    """What its folders' names say (``year=2024``), as text; None for a missing value."""


def members_of(source: Path) -> tuple[Member, ...]:
    """Give the files that a path stands for, in the order of their posix paths.

    A folder stands for all files below it, apart from those whose name, or a folder's on the way, begins with a dot or
    an underscore. A pattern (``*``, ``**``, ``?``, ``[…]``) stands for the files that it names, or, if it names
    folders, for all below these. A file that is there is itself, whatever signs its name has.

    Raises DataError where there is no file, or where some files have a partition that others haven't.
    """
    if source.is_dir():
        return _agreeing(_below(source, source), source)
    if source.exists() or source.is_symlink() or not is_pattern(source):
        return (Member(source, source.name),)
    with unseen():
        found = [Path(path) for path in matching(source)]
    top = Path(fixed_part(source))
    files = [path for path in found if not path.is_dir()]
    if files:
        return _agreeing([_member(path, top) for path in files], source)
    return _agreeing([member for folder in found for member in _below(folder, top)], source)


def _below(folder: Path, top: Path) -> list[Member]:
    found: list[Member] = []
    with unseen():
        for at, folders, files in os.walk(folder, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            found += [_member(Path(at, name), top) for name in files if not name.startswith((".", "_"))]
    return found


def _member(path: Path, top: Path) -> Member:
    relative = path.relative_to(top)
    pairs = [part.partition("=") for part in relative.parts[:-1]]
    partition = {unquote(name): None if value == NO_VALUE else unquote(value) for name, sign, value in pairs if sign}
    return Member(path, relative.as_posix(), partition)


def _agreeing(members: list[Member], source: Path) -> tuple[Member, ...]:
    if not members:
        raise _none(source)
    members = sorted(members, key=lambda member: member.label)
    first = members[0]
    other = next((member for member in members if list(member.partition) != list(first.partition)), None)
    if other is not None:
        raise DataError(
            f"The files of {str(source)!r} aren't parted alike: {first.label!r} by {_named(first)}, "
            f"{other.label!r} by {_named(other)}",
            hint="give the folder, or a pattern, of those that are",
        )
    return tuple(members)


def refuse_named_twice(names: Iterable[str], member: Member) -> None:
    """Raise DataError where a column has the name of a partition."""
    twice = [name for name in names if name in member.partition]
    if twice:
        raise DataError(
            f"{twice[0]!r} is a column of {member.label!r} and in its folder's name as well",
            where=str(member.path),
            hint="rename one of them, or give the files by a pattern that begins below that folder",
        )


def _named(member: Member) -> str:
    return ", ".join(map(repr, member.partition)) or "nothing"


def _none(source: Path) -> DataError:
    if source.is_dir():
        return DataError(
            f"The folder {str(source)!r} has no files", hint="files that begin with '.' or '_' don't count"
        )
    top = Path(fixed_part(source))
    if not top.is_dir():
        return DataError(f"There is no file {str(source)!r}, nor a folder {str(top)!r}", hint="check the path")
    names = [entry.name for entry in top.iterdir() if not entry.name.startswith(".")]
    return DataError(
        f"The pattern {source.relative_to(top).as_posix()!r} names no file in {str(top)!r}",
        hint=near_miss(source.name, names) or "it has no files",
    )
