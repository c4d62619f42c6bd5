"""Leaks: what a model would know of the answer here, and won't when it is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.profiling.blocks import open_blocks
from headrace.steps.profiling.column import MEASURED, ColumnProfile
from headrace.steps.profiling.counting import light_counter_for, row_hashes
from headrace.steps.profiling.profiles import Profile
from headrace.steps.profiling.scanning import MISSING, scan_columns
from headrace.steps.tables import need_columns, scan

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

N_BINS = 50
N_TARGET_BINS = 10
FEW_LABELS = 20
TENTH = "_target_tenth"

LeakKind = Literal["predicts alone", "filled after the event", "key in both parts", "row in both parts", "not later"]
"""What leaks: the answer itself, that there is a value, rows of the test that training knows, a test of the past."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One finding."""

    kind: LeakKind
    column: str
    """The column, or the columns of a key; empty for whole rows."""
    strength: float
    """From 0 to 1: the share of the target's uncertainty that the column removes, or of the test's rows or keys."""
    text: str


@dataclass(frozen=True, slots=True)
class Predictor:
    """How much one column alone says about the target."""

    column: str
    information: float
    """The mutual information with the target as a share of the target's entropy, from 0 to 1."""
    auc: float
    """Of a column of numbers with two labels: how well its order separates them, 0.5 to 1. NaN elsewhere."""
    present: dict[str, float]
    """For each label, the share of its rows in which the column has a value."""


@dataclass(frozen=True, slots=True)
class LeakLimits:
    """From where on a finding is a leak."""

    information: float = 0.8
    auc: float = 0.99
    shared: float = 0.01
    """Share of the test's rows (or keys) that are in the training part too."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was looked for, and what was found."""

    __headrace_one_value__: ClassVar[bool] = True

    n_rows: int
    found: tuple[Leak, ...]
    columns: tuple[Predictor, ...]
    """All columns, those that say most first."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.found


@step
def find_leaks(
    table: TableLike,
    test: TableLike | None = None,
    *,
    target: str,
    key: Sequence[str] = (),
    time: str | None = None,
    exclude: Sequence[str] = (),
    limits: LeakLimits = LeakLimits(),
) -> Leaks:
    """Look for what gives the answer away, in one pass over the training table and one over the test's.

    A column *predicts alone* where its mutual information with the target reaches ``limits.information`` of the
    target's entropy (numbers in up to fifty bins of equal counts, a missing value as one more; Miller and Madow's
    correction, so that many values alone aren't information), or its order separates two labels with an AUC of
    ``limits.auc``. It is *filled after the event* where it has values for some labels and next to none for others.

    With a ``test`` part, keys and rows (but for key and time) that both parts hold are found, and whether the test
    begins before training ends. Rows without a target take no part in what is about the target. A column of texts of
    more than a thousand values is only looked at for where it is filled.

    Parameters
    ----------
    target
        The column that is to be predicted: labels, or numbers, which are cut into tenths.
    key
        The columns that tell whose row it is.
    time
        The column that says when; the test should be later.
    exclude
        Columns that no model is given.

    Raises
    ------
    DataError
        A column isn't there, or the target has no value.

    Examples
    --------
    >>> import polars as pl
    >>> left = ["yes" if i % 3 == 0 else "no" for i in range(3000)]
    >>> reason = ["price" if label == "yes" else None for label in left]
    >>> people = pl.DataFrame({"age": [i % 50 for i in range(3000)], "reason": reason, "left": left})
    >>> for leak in find_leaks(people, target="left").found:
    ...     print(leak.text)
    'reason' alone removes 100 % of the uncertainty about 'left'
    'reason' has a value in 100 % of the rows with 'yes' and in 0 % of those with 'no'
    """
    names = list(scan(table).collect_schema())
    need_columns([target, *key, *([time] if time else []), *exclude], names, what="find_leaks looks at")
    looked_at = [name for name in names if name not in {target, *key, time, *exclude}]
    n_rows, labels = _by_label(table, target, looked_at)
    if not labels:
        raise DataError(f"The target {target!r} has no value", hint="name another column, or look at the table")
    columns = [_predictor(name, {label: part.columns[name] for label, part in labels.items()}) for name in looked_at]
    columns.sort(key=lambda column: -column.information)
    found = [leak for column in columns for leak in _leaks_of(column, target, labels, limits)]
    if test is not None:
        found += _between(table, test, names, key, time, limits)
    return Leaks(n_rows, tuple(found), tuple(columns))


def _by_label(table: object, target: str, columns: Sequence[str]) -> tuple[int, dict[str, Profile]]:
    """Count the columns apart for each label of the target; of one of many numbers for each of its tenths."""
    known = scan_columns(table, [target], make=lambda _, kind, type_name: light_counter_for(kind, type_name))
    label = target
    if (known[target].kind in MEASURED and len(known[target].buckets.at) > FEW_LABELS) or known[
        target
    ].kind == "number":
        table, label = _with_tenths(table, target, known[target]), TENTH
    made = scan_columns(
        table, columns, make=lambda _, kind, type_name: light_counter_for(kind, type_name), slices=[label]
    )
    return made.n_rows, {name: part for name, part in made.slices[label].items() if name != MISSING}


def _with_tenths(table: object, target: str, known: ColumnProfile) -> object:
    import narwhals as nw

    edges = known.buckets.quantiles([i / N_TARGET_BINS for i in range(1, N_TARGET_BINS)], -math.inf, math.inf)
    value = nw.col(target)
    above = [(value > edge).cast(nw.Int64) for edge in sorted(set(edges))]
    tenth = above[0]
    for part in above[1:]:
        tenth = tenth + part
    return scan(table).with_columns(tenth.alias(TENTH)).to_native()


def _predictor(name: str, by_label: Mapping[str, ColumnProfile]) -> Predictor:
    counts = _joint_counts(list(by_label.values()))
    first, *others = by_label.values()
    is_ordered = len(by_label) == 2 and first.kind in MEASURED
    return Predictor(
        name,
        _information(counts),
        _auc(first, others[0]) if is_ordered else math.nan,
        {label: 1 - part.missing_share for label, part in by_label.items()},
    )


def _joint_counts(parts: Sequence[ColumnProfile]) -> Array:
    """Give how many rows of each label (down) have each value or bin of values (across); the last: none at all."""
    import numpy as np

    counts = _bucket_counts(parts) if parts[0].kind in MEASURED else _value_counts(parts)
    missing = np.array([[part.n - total] for part, total in zip(parts, counts.sum(axis=1), strict=True)])
    return np.hstack([counts, missing])


def _bucket_counts(parts: Sequence[ColumnProfile]) -> Array:
    import numpy as np

    bits = min(part.buckets.bits for part in parts)
    found = [part.buckets.at_bits(bits) for part in parts]
    keys = np.unique(np.concatenate([part[0] for part in found]))
    counts = np.zeros((len(parts), len(keys)))
    for row, (own, held) in zip(counts, found, strict=True):
        row[np.searchsorted(keys, own)] = held
    if not len(keys):
        return counts
    ends = np.cumsum(counts.sum(axis=0))
    bins = np.unique(np.minimum(np.ceil(ends / ends[-1] * N_BINS), N_BINS), return_inverse=True)[1]
    return np.stack([np.bincount(bins, row) for row in counts])


def _value_counts(parts: Sequence[ColumnProfile]) -> Array:
    import numpy as np

    names = list(dict.fromkeys(name for part in parts for name in part.values.counts))
    if not all(part.is_exact for part in parts) or not names:
        return np.array([[part.n_present] for part in parts], np.float64)
    return np.array([[part.values.counts.get(name, 0) for name in names] for part in parts], np.float64)


def _information(counts: Array) -> float:
    """Give the mutual information of rows and columns over the rows' entropy, with Miller and Madow's correction."""
    import numpy as np

    n = counts.sum()
    if not n:
        return 0.0

    def entropy(part: Array) -> float:
        share = part[part > 0] / n
        return float(-(share * np.log(share)).sum() + (len(share) - 1) / (2 * n))

    labels = entropy(counts.sum(axis=1))
    shared = labels + entropy(counts.sum(axis=0)) - entropy(counts.ravel())
    return min(1.0, max(0.0, shared / labels)) if labels > 0 else 0.0


def _auc(negative: ColumnProfile, positive: ColumnProfile) -> float:
    import numpy as np

    bits = min(negative.buckets.bits, positive.buckets.bits)
    (keys, counts), (keys_of_other, other) = negative.buckets.at_bits(bits), positive.buckets.at_bits(bits)
    if not len(keys) or not len(keys_of_other):
        return math.nan
    both = np.union1d(keys, keys_of_other)
    n, p = np.zeros(len(both)), np.zeros(len(both))
    n[np.searchsorted(both, keys)], p[np.searchsorted(both, keys_of_other)] = counts, other
    above = p.sum() - np.cumsum(p) + p / 2
    area = float((n * above).sum() / (n.sum() * p.sum()))
    return max(area, 1 - area)


def _leaks_of(column: Predictor, target: str, labels: Mapping[str, Profile], limits: LeakLimits) -> Iterator[Leak]:
    name = column.column
    if column.information >= limits.information:
        text = f"{name!r} alone removes {column.information:.0%} of the uncertainty about {target!r}"
        yield Leak("predicts alone", name, column.information, text.replace("%", " %"))
    elif column.auc >= limits.auc:
        text = f"the order of {name!r} alone separates the labels of {target!r} with an AUC of {column.auc:.4f}"
        yield Leak("predicts alone", name, column.auc, text)
    most = max(column.present, key=lambda label: column.present[label])
    least = min(column.present, key=lambda label: column.present[label])
    high, low = column.present[most], column.present[least]
    if high >= 0.2 and low <= 0.01 * high and min(labels[most].n_rows, labels[least].n_rows) >= 20:
        text = f"{name!r} has a value in {high:.0%} of the rows with {most!r} and in {low:.0%} of those with {least!r}"
        yield Leak("filled after the event", name, high - low, text.replace("%", " %"))


def _between(
    table: object, test: object, names: Sequence[str], key: Sequence[str], time: str | None, limits: LeakLimits
) -> Iterator[Leak]:
    """Find what both parts hold."""
    need_columns(names, list(scan(test).collect_schema()), what="The test part lacks")
    if key:
        share = _shared(table, test, key)
        if share >= limits.shared:
            text = f"{share:.1%} of the test's rows have a key ({', '.join(key)}) that training knows"
            yield Leak("key in both parts", ", ".join(key), share, text.replace("%", " %"))
    own = [name for name in names if name not in {*key, time}]
    share = _shared(table, test, own)
    if share >= limits.shared:
        text = f"{share:.1%} of the test's rows are in the training part too"
        yield Leak("row in both parts", "", share, text.replace("%", " %"))
    if time is not None:
        yield from _too_early(table, test, time)


def _shared(table: object, test: object, columns: Sequence[str]) -> float:
    """Give the share of the test's rows whose values in some columns stand in a row of the table."""
    import numpy as np

    known, asked = (_hashes(part, columns) for part in (table, test))
    return float(np.isin(asked, known).mean()) if len(asked) else 0.0


def _hashes(table: object, columns: Sequence[str]) -> Array:
    import numpy as np

    _, blocks = open_blocks(table, columns)
    found = [row_hashes([block.column(name).combine_chunks() for name in columns]) for block in blocks]
    return np.concatenate([np.empty(0, np.uint64), *found])


def _too_early(table: object, test: object, time: str) -> Iterator[Leak]:
    known, asked = (
        scan_columns(part, [time], make=lambda _, kind, type_name: light_counter_for(kind, type_name))[time]
        for part in (table, test)
    )
    if known.kind not in MEASURED or known.high is None or asked.low is None or asked.low > known.high:
        return
    text = f"the test begins at {asked.least}, when training has rows up to {known.greatest} ({time})"
    yield Leak("not later", time, 1.0, text)
