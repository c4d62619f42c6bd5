"""Drift: how far a table lies from what a profile remembers, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.drift_counts import count_quickly, cut_keys, is_quick
from headrace.steps.drift_measures import (
    benjamini_hochberg,
    chi_squared,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    shares_differ,
    total_variation,
)
from headrace.steps.kinds import kind_of
from headrace.steps.profiling.column import MEASURED, ColumnProfile
from headrace.steps.profiling.counting import light_counter_for
from headrace.steps.profiling.profiles import Profile
from headrace.steps.profiling.scanning import scan_columns
from headrace.steps.tables import scan

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

N_BINS = 10
MOST_NAMED = 20
FREQUENT = 0.005
"""The least share of a category that is looked at in a column of very many."""

Correction = Literal["holm", "benjamini-hochberg"]
"""How p-values of many columns are adjusted: no false alarm at all, or few among the alarms."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How one column changed, in all rows or in those of a slice."""

    column: str
    kind: str
    slice: str
    """Such as ``"plan=basic"``; empty for all rows."""
    n_reference: int
    n_rows: int
    """Rows with a value, then and now."""
    effect: float
    """The largest difference of the cumulative shares (numbers, days, moments), or the share of rows that would have
    to change category (text, booleans): from 0 to 1; NaN where one side has no value."""
    psi: float
    jensen_shannon: float
    statistic: float
    """Kolmogorov and Smirnov's for numbers, chi-squared for categories."""
    p_value: float
    """Adjusted for all columns, slices and tests of this comparison."""
    missing_reference: float
    missing_share: float
    """The share of rows without a value, then and now."""
    missing_p_value: float
    new: tuple[str, ...]
    """Categories that the reference doesn't know, frequent ones first, twenty at most."""
    new_share: float
    vanished: tuple[str, ...]
    vanished_share: float
    """The share that these had."""
    reasons: tuple[str, ...]
    """What makes this drift; empty where nothing does."""

    @property
    def is_drift(self) -> bool:
        """Whether anything makes this drift."""
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison with a reference found."""

    __headrace_one_value__: ClassVar[bool] = True

    n_reference: int
    n_rows: int
    columns: tuple[ColumnDrift, ...]
    """Those that drift first, the strongest effect first within both."""
    lost_columns: tuple[str, ...]
    """Columns of the reference that the table doesn't have."""
    new_columns: tuple[str, ...]

    @property
    def drifting(self) -> tuple[str, ...]:
        """The columns that drift, each once, and those that were lost."""
        return tuple(dict.fromkeys([*(found.column for found in self.columns if found.is_drift), *self.lost_columns]))


@dataclass(frozen=True, slots=True)
class Limits:
    """From what size on a change is told. A change must also be more than chance: see ``alpha``."""

    effect: float = 0.05
    missing: float = 0.02
    """Difference of the missing shares."""
    categories: float = 0.01
    """Share of rows in new, or formerly in vanished categories."""


@step
def drift(
    reference: Profile,
    table: TableLike,
    *,
    columns: Sequence[str] | None = None,
    limits: Limits = Limits(),
    alpha: float = 0.001,
    correction: Correction = "holm",
) -> Drift:
    """Compare a table with the profile of an earlier one: one scan that counts what the profile's buckets need.

    A column drifts where a change is larger than ``limits`` and more than chance. Numbers, days and moments are
    compared by their cumulative shares (Kolmogorov and Smirnov), categories by chi-squared; both also by PSI and the
    Jensen-Shannon distance, over tenths of the reference for numbers. The share of missing values is compared by
    itself, and takes no part in the rest. A column of texts that are nearly all different (an e-mail address) is
    compared by its missing share and its frequent values only. Infinite numbers aren't looked at.

    Slices that the reference was made with (``profile(table, slices=...)``) are compared as the whole is.

    Parameters
    ----------
    reference
        What `profile` gave for the earlier table.
    columns
        The columns to look at; by default all that the reference has but its target.
    limits
        From what size on a change counts.
    alpha
        The chance of an alarm where nothing changed: of a single one among all columns with "holm", of each alarm with
        "benjamini-hochberg". Between 0 and 1.

    Raises
    ------
    DataError
        A column isn't in the reference; ``alpha`` isn't between 0 and 1.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps import profile
    >>> before = pl.DataFrame({"fee": [float(i % 50) for i in range(5000)], "plan": ["a", "b"] * 2500})
    >>> now = before.with_columns(fee=pl.col("fee") + 10)
    >>> found = drift(profile(before), now)
    >>> found.drifting, round(found.columns[0].effect, 2), found.columns[0].reasons
    (('fee',), 0.2, ('effect 0.2',))
    """
    if not 0 < alpha < 1:
        raise DataError(f"0 < alpha < 1 must hold, but got alpha={alpha!r}", hint="give a chance, such as 0.001")
    wanted = [name for name in reference.columns if name != reference.target] if columns is None else list(columns)
    for name in wanted:
        reference[name]
    now, new_columns = _count(reference, table, wanted)
    return _compared(reference, now, wanted, new_columns, _Rules(limits, alpha, correction))


@dataclass(frozen=True, slots=True)
class _Rules:
    limits: Limits
    alpha: float
    correction: Correction


def compare_profiles(
    reference: Profile,
    now: Profile,
    *,
    limits: Limits = Limits(),
    alpha: float = 0.001,
    correction: Correction = "holm",
) -> Drift:
    """Compare two profiles, without any scan. See `drift`."""
    wanted = [name for name in reference.columns if name != reference.target]
    new_columns = tuple(name for name in now.columns if name not in reference.columns)
    return _compared(reference, now, wanted, new_columns, _Rules(limits, alpha, correction))


def _count(reference: Profile, table: object, wanted: Sequence[str]) -> tuple[Profile, tuple[str, ...]]:
    """Count what the comparison needs, in one scan; and name the columns that the reference doesn't have."""
    frame = scan(table)
    schema = frame.collect_schema()
    kept = [name for name in wanted if name in schema]
    slices = [name for name in reference.slices if name in schema]
    quick: list[str] = [] if slices else [name for name in kept if is_quick(reference[name], kind_of(schema[name]))]
    n_rows, columns = count_quickly(frame, {name: reference[name] for name in quick})
    slow = [name for name in kept if name not in columns]
    made = Profile(n_rows, columns)
    if slow:
        made = scan_columns(
            table,
            slow,
            make=lambda name, kind, type_name: light_counter_for(kind, type_name, reference[name]),
            slices=slices,
        )
        made = Profile(made.n_rows, {**columns, **made.columns}, slices=made.slices)
    return made, tuple(name for name in schema if name not in reference.columns)


def _compared(
    reference: Profile, now: Profile, wanted: Sequence[str], new_columns: tuple[str, ...], rules: _Rules
) -> Drift:
    found = [
        _change(name, label, before.columns[name], after.columns[name])
        for label, before, after in _pairs(reference, now)
        for name in wanted
        if name in before.columns and name in after.columns
    ]
    adjust = holm if rules.correction == "holm" else benjamini_hochberg
    adjusted = adjust([p for change in found for p in (change.p_value, change.missing_p_value)])
    judged = [
        _judged(replace(change, p_value=adjusted[2 * place], missing_p_value=adjusted[2 * place + 1]), rules)
        for place, change in enumerate(found)
    ]
    judged.sort(key=lambda change: (not change.reasons, -_size(change)))
    lost = tuple(name for name in wanted if name not in now.columns)
    return Drift(reference.n_rows, now.n_rows, tuple(judged), lost, new_columns)


def _size(change: ColumnDrift) -> float:
    moved = abs(change.missing_share - change.missing_reference)
    return max(0.0 if math.isnan(change.effect) else change.effect, moved)


def _pairs(reference: Profile, now: Profile) -> Iterator[tuple[str, Profile, Profile]]:
    """Give what is compared with what: all rows, then slice by slice."""
    yield "", reference, now
    for column, parts in reference.slices.items():
        for value, part in parts.items():
            if value in now.slices.get(column, {}):
                yield f"{column}={value}", part, now.slices[column][value]


def _change(name: str, label: str, before: ColumnProfile, after: ColumnProfile) -> ColumnDrift:
    """Measure one column's change, p-values not yet adjusted."""
    is_measured = before.kind in MEASURED and after.kind in MEASURED
    is_same = is_measured or before.kind == after.kind
    measured = _numbers(before, after) if is_measured else _categories(before, after) if is_same else {}
    known: dict[str, Any] = {
        "effect": math.nan,
        "psi": math.nan,
        "jensen_shannon": math.nan,
        "statistic": math.nan,
        "p_value": 1.0,
    }
    known |= {"new": (), "new_share": 0.0, "vanished": (), "vanished_share": 0.0}
    return ColumnDrift(
        column=name,
        kind=before.kind if is_same else f"{before.kind} → {after.kind}",
        slice=label,
        n_reference=before.n_present,
        n_rows=after.n_present,
        missing_reference=before.missing_share,
        missing_share=after.missing_share,
        missing_p_value=shares_differ(before.n, before.n_missing, after.n, after.n_missing),
        reasons=() if is_same else (f"kind was {before.kind}, is {after.kind}",),
        **{**known, **measured},
    )


def _numbers(before: ColumnProfile, after: ColumnProfile) -> dict[str, Any]:
    import numpy as np

    bits = min(before.buckets.bits, after.buckets.bits)
    (keys, counts), (keys_now, counts_now) = before.buckets.at_bits(bits), after.buckets.at_bits(bits)
    cuts = cut_keys(before.buckets) >> (before.buckets.bits - bits)
    p = np.bincount(np.searchsorted(cuts, keys, side="right"), counts, minlength=len(cuts) + 1)
    q = np.bincount(np.searchsorted(cuts, keys_now, side="right"), counts_now, minlength=len(cuts) + 1)
    statistic, p_value = kolmogorov_smirnov(p, q)
    bins = _tenths(p)
    tenths, tenths_now = np.bincount(bins, p), np.bincount(bins, q)
    return {
        "effect": statistic,
        "psi": psi(tenths, tenths_now),
        "jensen_shannon": jensen_shannon(tenths, tenths_now),
        "statistic": statistic,
        "p_value": p_value,
    }


def _tenths(counts: Array) -> Array:
    """Give the tenth of the reference that each bucket is in; a bucket that spans several is in the last of them."""
    import numpy as np

    total = counts.sum()
    if not total:
        return np.zeros(len(counts), np.int64)
    bins = np.minimum(np.ceil(np.cumsum(counts) / total * N_BINS).astype(np.int64) - 1, N_BINS - 1)
    return np.unique(np.maximum(bins, 0), return_inverse=True)[1]


def _categories(before: ColumnProfile, after: ColumnProfile) -> dict[str, Any]:
    """Compare all categories; where a side has too many to know them all, the frequent ones and the rest together."""
    import numpy as np

    listed, listed_now = before.values.counts, after.values.counts
    if not (before.is_exact and after.is_exact):
        listed, listed_now = _frequent(before), _frequent(after)
    names = list(dict.fromkeys([*listed, *listed_now]))
    if not names or not before.n_present or not after.n_present:
        return {}
    p = np.array([listed.get(name, 0) for name in names] + [0.0])
    q = np.array([listed_now.get(name, 0) for name in names] + [0.0])
    p[-1], q[-1] = max(0.0, before.n_present - p.sum()), max(0.0, after.n_present - q.sum())
    if not p[-1] and not q[-1]:
        p, q = p[:-1], q[:-1]
    statistic, p_value = chi_squared(p, q)
    new = _only_in(listed_now, before.values.counts) if before.is_exact else {}
    vanished = _only_in(listed, after.values.counts) if after.is_exact else {}
    return {
        "effect": total_variation(p, q),
        "psi": psi(p, q),
        "jensen_shannon": jensen_shannon(p, q),
        "statistic": statistic,
        "p_value": p_value,
        "new": tuple(str(name) for name in list(new)[:MOST_NAMED]),
        "new_share": sum(new.values()) / after.n_present,
        "vanished": tuple(str(name) for name in list(vanished)[:MOST_NAMED]),
        "vanished_share": sum(vanished.values()) / before.n_present,
    }


def _frequent(column: ColumnProfile) -> dict[Any, int]:
    """Give the values that are frequent enough for their counts to be near the truth: see `Values.error`."""
    return {name: count for name, count in column.values.counts.items() if count >= FREQUENT * column.n_present}


def _only_in(these: Mapping[Any, int], others: Mapping[Any, int]) -> dict[Any, int]:
    return {name: count for name, count in these.items() if name not in others}


def _judged(change: ColumnDrift, rules: _Rules) -> ColumnDrift:
    """Say what makes a change drift, if anything does."""
    limits, reasons = rules.limits, list(change.reasons)
    if change.p_value < rules.alpha:
        if change.effect >= limits.effect:
            reasons.append(f"effect {change.effect:.3g}")
        if change.new_share >= limits.categories:
            reasons.append(f"{change.new_share:.1%} of rows in new categories: {', '.join(change.new[:5])}")
        if change.vanished_share >= limits.categories:
            reasons.append(
                f"categories vanished that {change.vanished_share:.1%} had: {', '.join(change.vanished[:5])}"
            )
    if change.missing_p_value < rules.alpha and abs(change.missing_share - change.missing_reference) >= limits.missing:
        reasons.append(f"missing {change.missing_share:.1%}, was {change.missing_reference:.1%}")
    return replace(change, reasons=tuple(reasons))
