"""The canonical forms of values that are one piece: long numbers, bytes, times, zones, numbers of other modules, paths.

Types are known by name, so that a process which meets no `decimal.Decimal` imports no `decimal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ValueCodecError

if TYPE_CHECKING:
    from datetime import datetime, time, timezone
    from pathlib import Path
    from zoneinfo import ZoneInfo

TAG = "$"
LONGEST_INT_BITS = 2048
"""A longer whole number is written in base 16: Python may be set to refuse decimals of more than 640 digits."""

Tree = dict[str, Any]


def tree_of(value: Any) -> Tree | None:
    """The tree of a value of one piece, or None for a value of another type.

    Subclasses are other types: they may hold more than their base shows.
    """
    kind = type(value)
    found = _WRITERS.get(f"{kind.__module__}.{kind.__qualname__}")
    if found is None:
        return None
    name, write = found
    try:
        return {TAG: name, **write(value)}
    except ValueError as error:
        raise ValueCodecError(f"A {kind.__qualname__} cannot be written down: {error}") from error


def value_of(kind: str, tree: Tree) -> object:
    """The value of a tree. Raises KeyError for a kind that is not one piece."""
    return _READERS[kind](tree)


def is_form(kind: object) -> bool:
    """Whether trees of this kind are one piece."""
    return isinstance(kind, str) and kind in _READERS


def _text(write: Callable[[Any], str]) -> Callable[[Any], Tree]:
    return lambda value: {"value": write(value)}


def _base64(value: bytes) -> str:
    from base64 import b64encode

    return b64encode(value).decode()


def _read_bytes(tree: Tree) -> bytes:
    from base64 import b64decode

    return b64decode(tree["value"], validate=True)


def _write_moment(value: datetime | time) -> Tree:
    zone = None if value.tzinfo is None else zone_text(value.tzinfo)
    return {"value": value.replace(tzinfo=None).isoformat(), "fold": value.fold, "zone": zone}


def zone_text(zone: object) -> str:
    """The text of a time zone: its key, or its offset as days, seconds and microseconds, and its name if it has one."""
    kind = type(zone)
    if f"{kind.__module__}.{kind.__qualname__}" == "zoneinfo.ZoneInfo" and zone.key:  # type: ignore[attr-defined]
        return str(zone.key)  # type: ignore[attr-defined]
    if f"{kind.__module__}.{kind.__qualname__}" == "datetime.timezone":
        offset, *names = zone.__getinitargs__()  # type: ignore[attr-defined]
        return " ".join([f"{offset.days} {offset.seconds} {offset.microseconds}", *names])
    raise ValueCodecError(
        f"The time zone {zone!r} has no canonical form", hint="use datetime.timezone or zoneinfo.ZoneInfo"
    )


def _zone(text: str | None) -> timezone | ZoneInfo | None:
    if text is None:
        return None
    if text[0] not in "-0123456789":
        from zoneinfo import ZoneInfo

        return ZoneInfo(text)
    from datetime import timedelta, timezone

    days, seconds, microseconds, *names = text.split(" ", 3)
    return timezone(timedelta(int(days), int(seconds), int(microseconds)), *names)


def _write_path(value: Path) -> Tree:
    return {"value": value.as_posix()}


def _read_path(tree: Tree) -> Path:
    from pathlib import Path

    return Path(tree["value"])


def _read_date(tree: Tree) -> object:
    from datetime import date

    return date.fromisoformat(tree["value"])


def _read_datetime(tree: Tree) -> object:
    from datetime import datetime

    return datetime.fromisoformat(tree["value"]).replace(tzinfo=_zone(tree["zone"]), fold=tree["fold"])


def _read_time(tree: Tree) -> object:
    from datetime import time

    return time.fromisoformat(tree["value"]).replace(tzinfo=_zone(tree["zone"]), fold=tree["fold"])


def _read_timedelta(tree: Tree) -> object:
    from datetime import timedelta

    days, seconds, microseconds = map(int, tree["value"].split())
    return timedelta(days, seconds, microseconds)


def _read_decimal(tree: Tree) -> object:
    from decimal import Decimal

    return Decimal(tree["value"])


def _read_fraction(tree: Tree) -> object:
    from fractions import Fraction

    return Fraction(tree["value"])


def _read_uuid(tree: Tree) -> object:
    from uuid import UUID

    return UUID(tree["value"])


_PATH = ("path", _write_path)
_ZONE = ("zone", _text(zone_text))

_WRITERS: Mapping[str, tuple[str, Callable[[Any], Tree]]] = {
    "builtins.int": ("int", _text(hex)),
    "builtins.float": ("float", _text(lambda value: "nan" if value != value else str(value))),
    "builtins.complex": ("complex", _text(lambda value: f"{value.real!r} {value.imag!r}")),
    "builtins.bytes": ("bytes", _text(_base64)),
    "datetime.date": ("date", _text(lambda value: value.isoformat())),
    "datetime.datetime": ("datetime", _write_moment),
    "datetime.time": ("time", _write_moment),
    "datetime.timedelta": ("timedelta", _text(lambda value: f"{value.days} {value.seconds} {value.microseconds}")),
    "datetime.timezone": _ZONE,
    "zoneinfo.ZoneInfo": _ZONE,
    "decimal.Decimal": ("Decimal", _text(str)),
    "fractions.Fraction": ("Fraction", _text(str)),
    "uuid.UUID": ("UUID", _text(str)),
    "pathlib.PosixPath": _PATH,
    "pathlib.WindowsPath": _PATH,
    "pathlib._local.PosixPath": _PATH,
    "pathlib._local.WindowsPath": _PATH,
}
"""By a type's import path: the name of its form, and what writes it. Plain numbers get here when JSON has none."""

_READERS: Mapping[str, Callable[[Tree], object]] = {
    "int": lambda tree: int(tree["value"], 16),
    "float": lambda tree: float(tree["value"]),
    "complex": lambda tree: complex(*map(float, tree["value"].split())),
    "bytes": _read_bytes,
    "date": _read_date,
    "datetime": _read_datetime,
    "time": _read_time,
    "timedelta": _read_timedelta,
    "zone": lambda tree: _zone(tree["value"]),
    "Decimal": _read_decimal,
    "Fraction": _read_fraction,
    "UUID": _read_uuid,
    "path": _read_path,
}
