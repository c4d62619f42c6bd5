"""What an online store keeps of an entity: one row, in forms that compare as the offline join does. Plain Python."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from headrace.core.errors import DataError, near_miss

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_TYPES: Mapping[str, tuple[type, ...]] = {"integer": (int,), "text": (str,), "date": (date,), "boolean": (bool,)}


class Row(NamedTuple):
    """The last that is known of an entity in one view."""

    key: str
    """The entity, as `key_text` writes it."""
    timestamp: int
    """Microseconds since 1970."""
    version: bytes
    """Of two rows of an entity the one with the greater bytes tells; see `version_of`."""
    values: str
    """The features in the view's order, as JSON."""


def version_of(timestamp: int, created: int, values: Sequence[object]) -> bytes:
    """Bytes that compare as (timestamp, creation, values) do, a missing value being the least."""
    return b"".join([_whole(timestamp), _whole(created), *map(_ordered, values)])


def _whole(number: int) -> bytes:
    return struct.pack(">Q", number + 2**63)


def _ordered(value: object) -> bytes:
    if value is None:
        return b"\0"
    if isinstance(value, bool):
        return b"\1\1" if value else b"\1\0"
    if isinstance(value, int):
        return b"\1" + _whole(value)
    if isinstance(value, float):
        (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))  # -0.0 becomes 0.0, which it equals
        return b"\1" + struct.pack(">Q", bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63)
    if isinstance(value, datetime):
        return b"\1" + _whole(microseconds(value))
    if isinstance(value, date):
        return b"\1" + _whole(value.toordinal())
    # No text ends inside another: its end is less than whatever may follow.
    return b"\1" + str(value).encode().replace(b"\0", b"\0\xff") + b"\0\0"


def microseconds(moment: datetime | date) -> int:
    """A moment as microseconds since 1970; one without a zone, or a day, as if it were UTC's."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """The moment, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def key_text(values: Sequence[object]) -> str:
    """Write an entity's values as the text by which it is found."""
    return json.dumps(
        [value.isoformat() if isinstance(value, date) else value for value in values],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def key_of_entity(entity: Mapping[str, object], kinds: Mapping[str, str], view: str) -> str:
    """Write the entity that was asked for. Raises DataError where a column is missing or its value of another kind."""
    values = []
    for name, kind in kinds.items():
        if name not in entity:
            raise DataError(
                f"Feature view {view!r} is of an entity with {name!r}, but got {sorted(entity)}",
                hint=near_miss(name, entity) or f"give {name}=…",
            )
        values.append(_key_value(entity[name], name, kind, view))
    return key_text(values)


def _key_value(value: Any, name: str, kind: str, view: str) -> object:
    if kind == "integer" and not isinstance(value, bool) and hasattr(value, "__index__"):
        return value.__index__()
    is_kind = isinstance(value, _KEY_TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")
    if not is_kind or isinstance(value, datetime):
        raise DataError(f"{name!r} of feature view {view!r} is {kind}, but got {value!r}", hint="give one of that kind")
    return value


def values_text(values: Sequence[object]) -> str:
    """Write the features as JSON: times as ISO 8601, infinite numbers as Python's JSON has them."""
    return json.dumps(
        [value.isoformat() if isinstance(value, date) else value for value in values],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def values_of(text: str, kinds: Sequence[str]) -> list[Any]:
    """Read the features: Python's int, float, str, date, datetime and bool, and None for a missing one."""
    values: list[Any] = json.loads(text)
    for place, kind in enumerate(kinds):
        if kind in ("date", "datetime") and values[place] is not None:
            read = date if kind == "date" else datetime
            values[place] = read.fromisoformat(values[place])
    return values
