"""What a comparison needs to know of a table, counted by the engine in one scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.steps.kinds import Kind
from headrace.steps.profiling.buckets import Buckets, edges_of
from headrace.steps.profiling.column import MEASURED, NUMBERS, ColumnProfile
from headrace.steps.profiling.frequent import Value, Values
from headrace.steps.rooms_counts import Below, Held, count_once

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np

    Array = np.ndarray[Any, Any]
    Lazy = nw.LazyFrame[Any]

N_PARTS = 20
HEAVY = 1 / 40
MOST_LABELS = 50
MOST_NEW = 20
NEW_LOOKED_AT = 100_000


def cut_keys(buckets: Buckets) -> Array:
    """Give the buckets at which a reference is cut in twenty parts of about equal counts, heavy ones by themselves.

    Each is the first bucket of a part; the first part has no beginning.
    """
    import numpy as np

    keys, counts = buckets.arrays()
    if not len(keys):
        return keys
    ends = np.cumsum(counts)
    marks = np.searchsorted(ends, np.arange(1, N_PARTS) / N_PARTS * ends[-1], side="left")
    heavy = np.flatnonzero(counts >= HEAVY * ends[-1])
    places = np.unique(np.concatenate([marks, heavy, heavy + 1]))
    cuts: Array = keys[places[(places > 0) & (places < len(keys))]]
    return cuts


def is_quick(column: ColumnProfile, kind: Kind | None) -> bool:
    """Whether a column can be counted by the engine: numbers, and categories that are known and few."""
    if column.kind in MEASURED:
        return kind in NUMBERS if column.kind in NUMBERS else kind == column.kind
    return kind == column.kind and column.is_exact and 0 < len(column.values.counts) <= MOST_LABELS


def count_quickly(frame: Lazy, columns: Mapping[str, ColumnProfile]) -> tuple[int, dict[str, ColumnProfile]]:
    """Count a table's columns at the cuts and for the categories of a reference."""
    if not columns:
        return 0, {}
    cuts = {name: cut_keys(column.buckets) for name, column in columns.items() if column.kind in MEASURED}
    thresholds = {name: _thresholds(keys, columns[name].buckets.bits) for name, keys in cuts.items()}
    labels: dict[str, list[Any]] = {
        name: list(column.values.counts) for name, column in columns.items() if name not in cuts
    }
    n_rows, below, held = count_once(frame, thresholds, labels)
    made: dict[str, ColumnProfile] = {}
    for name, column in columns.items():
        if name in below:
            made[name] = _numbers(column, n_rows, below[name], cuts[name])
        else:
            made[name] = _categories(frame, name, column, n_rows, held[name])
    return n_rows, made


def _thresholds(keys: Array, bits: int) -> list[float]:
    """Give for each bucket the number below which all earlier buckets' numbers lie, and only these."""
    import numpy as np

    low, _ = edges_of(keys, bits)
    # A bucket of negative numbers doesn't hold its lower end, one of positive numbers does.
    found: list[float] = np.where(keys < 0, np.nextafter(low, np.inf), low).tolist()
    return found


def _numbers(reference: ColumnProfile, n_rows: int, found: Below, cuts: Array) -> ColumnProfile:
    """Put counts between cuts as those of one bucket of each part."""
    n_finite = n_rows - found.n_null - found.n_nan - found.n_infinite
    counts = [b - a for a, b in zip((0, *found.below), (*found.below, n_finite), strict=True)]
    first = int(cuts[0]) - 1 if len(cuts) else next(iter(reference.buckets.at), 0)
    held = [(key, count) for key, count in zip((first, *cuts.tolist()), counts, strict=True) if count]
    buckets = Buckets(reference.buckets.bits, tuple(key for key, _ in held), tuple(count for _, count in held))
    n_missing = found.n_null + found.n_nan
    return ColumnProfile(
        reference.kind,
        reference.type,
        n_rows,
        n_missing,
        n_infinite=found.n_infinite,
        buckets=buckets,
        values=Values({}, False, n_rows),
    )


def _categories(frame: Lazy, name: str, reference: ColumnProfile, n_rows: int, found: Held) -> ColumnProfile:
    """Put categories together; of those that the reference doesn't know, the first rows are looked at for names."""
    counts: dict[Value, int] = {label: count for label, count in found.counts.items() if count}
    n_present = n_rows - found.n_null
    n_new = n_present - sum(counts.values())
    is_exact = True
    if n_new:
        new = _new_labels(frame, name, list(found.counts))
        is_exact = sum(new.values()) == n_new
        counts |= new
    ranked = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return ColumnProfile(reference.kind, reference.type, n_rows, found.n_null, values=Values(ranked, is_exact))


def _new_labels(frame: Lazy, name: str, known: list[Any]) -> dict[Any, int]:
    import narwhals as nw

    from headrace.steps.tables import collect

    text = nw.col(name).cast(nw.String)
    new = frame.select(text.alias("label")).filter(~nw.col("label").is_in(known)).head(NEW_LOOKED_AT)
    counts = collect(new.group_by("label").agg(nw.len().alias("n")).sort("n", "label", descending=[True, False]))
    return {label: int(n) for label, n in counts.head(MOST_NEW).iter_rows()}
