"""Which values there are and how often: all where they are few, else the frequent ones within a stated error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Value: TypeAlias = str | int | float | bool
"""A value as it is stored: a day as days, a moment as microseconds since 1970."""

MOST_VALUES = 1000
"""Up to so many distinct values all are counted; past it, so many frequent ones are kept."""
LONGEST_TEXT = 128
"""Longer texts, in bytes, aren't kept as values."""
SLOT_BITS = 14
RARE = 2048
"""In a block, values of fewer rows than one in so many aren't looked at once there are many values."""


@dataclass(frozen=True, slots=True)
class Values:
    """Values and how many rows have them, frequent ones first."""

    counts: dict[Value, int] = field(default_factory=dict)
    is_exact: bool = True
    """Whether these are all the values there are, and their true counts."""
    error: int = 0
    """A true count lies between the one given and this much more; one that isn't listed is at most this."""

    def merge(self, other: Values) -> Values:
        """Give the values of both together."""
        counter = ValueCounter(dict(self.counts), self.is_exact and other.is_exact, self.error + other.error)
        counter.add(other.counts, other.counts.values())
        return counter.freeze()


class ValueCounter:
    """Values under way. Past `MOST_VALUES` it is the summary of Misra and Gries (1982), which merges."""

    def __init__(self, counts: dict[Value, int] | None = None, is_exact: bool = True, error: int = 0) -> None:
        self.counts: dict[Value, int] = {} if counts is None else counts
        self.is_exact = is_exact
        self.error = error

    def add(self, values: Iterable[Value], counts: Iterable[int]) -> None:
        """Count values."""
        for value, count in zip(values, counts, strict=True):
            if isinstance(value, str) and len(value.encode()) > LONGEST_TEXT:
                self.is_exact = False
            else:
                self.counts[value] = self.counts.get(value, 0) + count
        if len(self.counts) > MOST_VALUES:
            self.is_exact = False
            surplus = sorted(self.counts.values(), reverse=True)[MOST_VALUES]
            self.error += surplus
            self.counts = {value: count - surplus for value, count in self.counts.items() if count > surplus}

    def leave_out(self, most: int) -> None:
        """Say that values weren't counted, of which each has at most so many rows."""
        self.is_exact = False
        self.error += most

    def freeze(self) -> Values:
        """Give what was counted, frequent values first, equal counts in the values' order."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return Values(dict(ranked), self.is_exact, self.error)


def tally(hashes: Array, counter: ValueCounter, take: Callable[[Array], Sequence[Value]]) -> tuple[Array, Array] | None:
    """Count a block's values into ``counter``.

    ``take`` gives the values of rows. Returns one row of each distinct value and the counts, where there are few.
    """
    import numpy as np

    if not len(hashes):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    slots = (hashes >> np.uint64(64 - SLOT_BITS)).astype(np.int64)
    sizes = np.bincount(slots, minlength=1 << SLOT_BITS)
    if np.count_nonzero(sizes) <= MOST_VALUES:
        rows, counts = _distinct(hashes, slots)
        if len(rows) <= MOST_VALUES:
            counter.add(take(rows), counts.tolist())
            return rows, counts
    least = max(2, len(hashes) // RARE)
    crowded = np.flatnonzero((sizes >= least)[slots])
    rows, counts = _distinct(hashes[crowded], slots[crowded])
    is_kept = counts >= least
    counter.leave_out(least - 1)
    counter.add(take(crowded[rows[is_kept]]), counts[is_kept].tolist())
    return None


def _distinct(hashes: Array, slots: Array) -> tuple[Array, Array]:
    """Give a row of each distinct hash, and how many rows have it. Only hashes that share a slot are sorted."""
    import numpy as np

    row_of = np.full(1 << SLOT_BITS, -1, np.int64)
    row_of[slots] = np.arange(len(slots))
    is_shown = hashes == hashes[row_of[slots]]
    if is_shown.all():
        used = np.flatnonzero(row_of >= 0)
        return row_of[used], np.bincount(slots, minlength=len(row_of))[used]
    counts = np.bincount(slots[is_shown], minlength=len(row_of))
    used = np.flatnonzero(counts)
    others = np.flatnonzero(~is_shown)
    _, first, counts_of_others = np.unique(hashes[others], return_index=True, return_counts=True)
    return np.append(row_of[used], others[first]), np.append(counts[used], counts_of_others)


def values_to_plain(values: Values) -> dict[str, Any]:
    """Give plain data."""
    return {
        "values": list(values.counts),
        "counts": list(values.counts.values()),
        "is_exact": values.is_exact,
        "error": values.error,
    }


def values_from_plain(plain: Mapping[str, Any]) -> Values:
    """Make values of what `values_to_plain` gave."""
    return Values(
        dict(zip(plain["values"], plain["counts"], strict=True)), bool(plain["is_exact"]), int(plain["error"])
    )
