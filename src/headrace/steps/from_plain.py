"""Checks and rules from plain dicts, as parameter files have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from headrace.core.errors import DataError, near_miss

T = TypeVar("T")


def made_from(plain: Iterable[Mapping[str, Any]], classes: Sequence[type[Any]], *, word: str) -> tuple[Any, ...]:
    """Make objects from dicts: the entry named ``word`` is the class's name, the others are its fields.

    Lists become tuples. Raises DataError for an unknown class or field (with the nearest), and a missing one.
    """
    return tuple(_made(dict(entry), classes, word) for entry in plain)


def _made(entry: dict[str, Any], classes: Sequence[type[Any]], word: str) -> Any:
    known = {cls.__name__: cls for cls in classes}
    name = entry.pop(word, None)
    if name not in known:
        hint = near_miss(str(name), known) if name is not None else f"such as {word} = {next(iter(known))!r}"
        raise DataError(f"{entry!r} names no {word}" if name is None else f"There is no {word} {name!r}", hint=hint)
    cls = known[name]
    names = {item.name: item for item in fields(cls)}
    for given in entry:
        if given not in names:
            raise DataError(f"{name} has no {given!r}", hint=near_miss(given, names))
    for item in names.values():
        if item.default is MISSING and item.default_factory is MISSING and item.name not in entry:
            raise DataError(f"{name} needs {item.name!r}, but got {entry!r}")
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
