"""What a point-in-time join must give, found by looking at every row for every label. Plain Python on plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Fact:
    """A row of a view: whom it is of, its times in microseconds, and its features."""

    key: Key
    timestamp: int | None
    created: int | None
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Label:
    """Whom a label is of, and its moment in microseconds."""

    key: Key
    at: int | None


def is_missing(value: object) -> bool:
    """None, and NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def known(facts: Sequence[Fact], label: Label, ttl: int | None, n_features: int) -> tuple[Any, ...]:
    """The features of the one row that tells of the label's entity at its moment."""
    nothing = (None,) * n_features
    if label.at is None or any(part is None for part in label.key):
        return nothing
    best: Fact | None = None
    for fact in facts:
        if fact.key != label.key or fact.timestamp is None or fact.created is None:
            continue
        if fact.timestamp > label.at or fact.created > label.at:
            continue
        if best is None or _tells_over(fact, best):
            best = fact
    if best is None or best.timestamp is None or (ttl is not None and label.at - best.timestamp > ttl):
        return nothing
    return tuple(None if is_missing(value) else value for value in best.values)


def _tells_over(one: Fact, other: Fact) -> bool:
    if (one.timestamp, one.created) != (other.timestamp, other.created):
        assert one.timestamp is not None and other.timestamp is not None
        if one.timestamp != other.timestamp:
            return one.timestamp > other.timestamp
        assert one.created is not None and other.created is not None
        return one.created > other.created
    for mine, theirs in zip(one.values, other.values, strict=True):
        if is_missing(mine) and is_missing(theirs):
            continue
        if is_missing(mine) or is_missing(theirs):
            return is_missing(theirs)
        if mine != theirs:
            return _compared(mine) > _compared(theirs)
    return False


def _compared(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def same(one: object, other: object) -> bool:
    """Equal, of one type."""
    if isinstance(one, datetime | date) or isinstance(other, datetime | date):
        return type(one) is type(other) and one == other
    return type(one) is type(other) and one == other
