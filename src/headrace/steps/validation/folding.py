"""One pass over the scan's batches, in order: rows that break rules, and sums that don't depend on threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from headrace.steps.checks import OrderCheck, SameDistribution
from headrace.steps.rooms import batches, stand_in
from headrace.steps.validation.compiling import Suite
from headrace.steps.validation.repeats import Hashes

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np

    Array = np.ndarray[Any, Any]

BLOCK_ROWS = 1 << 16
"""Sums are made of blocks of so many values, whatever the batches are."""


@dataclass(slots=True)
class Marks:
    """Which rows are marked: one bit a row, and none for batches without any."""

    n_rows: int = 0
    n_marked: int = 0
    chunks: list[tuple[int, int, Array]] = field(default_factory=list)

    def add(self, marks: Array) -> None:
        """Take the next rows' marks."""
        import numpy as np

        n_marked = int(marks.sum())
        if n_marked:
            self.chunks.append((self.n_rows, len(marks), np.packbits(marks)))
        self.n_rows += len(marks)
        self.n_marked += n_marked

    def skip(self, n_rows: int) -> None:
        """Pass over rows without a mark."""
        self.n_rows += n_rows

    def into(self, rows: Array) -> None:
        """Mark an array of truth values, too."""
        import numpy as np

        for start, n_rows, bits in self.chunks:
            rows[start : start + n_rows] |= np.unpackbits(bits, count=n_rows).view(bool)

    def array(self) -> Array:
        """A truth value for each row."""
        import numpy as np

        rows = np.zeros(self.n_rows, bool)
        self.into(rows)
        return rows

    def first(self, n: int) -> Array:
        """The first so many marked rows."""
        import numpy as np

        found: list[Array] = []
        for start, n_rows, bits in self.chunks:
            found.append(np.flatnonzero(np.unpackbits(bits, count=n_rows)) + start)
            if sum(map(len, found)) >= n:
                break
        return np.concatenate(found)[:n] if found else np.empty(0, np.int64)

    @classmethod
    def of(cls, rows: Array) -> Marks:
        """Pack an array of truth values."""
        marks = cls()
        for start in range(0, len(rows), BLOCK_ROWS):
            marks.add(rows[start : start + BLOCK_ROWS])
        return marks


@dataclass(slots=True)
class Moments:
    """Number, sum, spread and ends of numbers; sums are exact to the last digit or two, the same in each run."""

    n: int = 0
    sums: list[float] = field(default_factory=list)
    whole_sum: int | None = 0
    """The sum of whole numbers, exactly; None for others."""
    least: Any = None
    most: Any = None
    _mean: float = 0.0
    _squares: float = 0.0
    _rest: list[Array] = field(default_factory=list)

    def add(self, values: Array) -> None:
        """Take the next values, without missing ones."""
        self._rest.append(values)
        if sum(map(len, self._rest)) >= BLOCK_ROWS:
            self._fold(last=False)

    def end(self) -> None:
        """Fold in what is left."""
        self._fold(last=True)

    def _fold(self, *, last: bool) -> None:
        import numpy as np

        if not self._rest:
            return
        values = np.concatenate(self._rest)
        n_whole = len(values) // BLOCK_ROWS * BLOCK_ROWS
        stop = len(values) if last else n_whole
        for start in range(0, stop, BLOCK_ROWS):
            self._block(values[start : min(start + BLOCK_ROWS, stop)])
        self._rest = [values[stop:]]

    def _block(self, values: Array) -> None:
        import numpy as np

        least, most = values.min().item(), values.max().item()
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)
        if values.dtype.kind in "iu" and self.whole_sum is not None:
            wide = values if values.dtype == np.uint64 else values.astype(np.int64, copy=False)
            high, low = wide >> wide.dtype.type(32), wide & wide.dtype.type(0xFFFFFFFF)
            self.whole_sum += (int(high.sum(dtype=np.int64)) << 32) + int(low.sum(dtype=np.int64))
        else:
            self.whole_sum = None
        numbers = values.astype(np.float64, copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            total = float(numbers.sum())
            mean = total / len(numbers)
            squares = float(np.square(numbers - mean).sum())
            self.sums.append(total)
            self._merge(len(numbers), mean, squares)

    def _merge(self, n: int, mean: float, squares: float) -> None:
        """Join two parts' spreads (Chan, Golub and LeVeque 1979)."""
        both = self.n + n
        apart = mean - self._mean
        self._squares += squares + apart * apart * (self.n * n / both)
        self._mean += apart * (n / both)
        self.n = both

    @property
    def sum(self) -> float:
        """The sum."""
        if self.whole_sum is not None:
            return float(self.whole_sum)
        if all(map(math.isfinite, self.sums)):
            return math.fsum(self.sums)
        return float(sum(self.sums))

    @property
    def mean(self) -> float:
        """The mean; NaN of nothing."""
        return self.sum / self.n if self.n else math.nan

    @property
    def std(self) -> float:
        """The standard deviation of a sample; NaN of fewer than two."""
        return math.sqrt(self._squares / (self.n - 1)) if self.n > 1 else math.nan


@dataclass(slots=True)
class InRows:
    """Where values fall or rise in the rows' order."""

    is_rising: bool
    is_strict: bool
    marks: Marks = field(default_factory=Marks)
    last: Any = None

    def add(self, values: Array, has_value: Array | None, n_rows: int) -> None:
        """Take the next rows' values that are there, and which rows have one (None: all)."""
        import numpy as np

        bad = np.zeros(len(values), bool)
        if len(values):
            before, after = values[:-1], values[1:]
            if self.last is not None:
                bad[0] = self._is_bad(np.array([self.last], values.dtype), values[:1])[0]
            bad[1:] = self._is_bad(before, after)
            self.last = values[-1]
        if has_value is not None:
            rows = np.zeros(n_rows, bool)
            rows[np.flatnonzero(has_value)] = bad
            bad = rows
        self.marks.add(bad)

    def _is_bad(self, before: Array, after: Array) -> Array:
        if self.is_rising:
            found: Array = (after <= before) if self.is_strict else (after < before)
        else:
            found = (after >= before) if self.is_strict else (after > before)
        return found


@dataclass(slots=True)
class Folded:
    """What one pass found, by the checks' numbers."""

    n_rows: int = 0
    marks: dict[int, Marks] = field(default_factory=dict)
    n_passed_over: dict[str, int] = field(default_factory=dict)
    """By the names of the scan's columns."""
    hashes: dict[str, Hashes] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    bins: dict[int, Array] = field(default_factory=dict)


def folded(suite: Suite, strays: dict[int, Any]) -> Folded:
    """Read the scan once."""
    found = Folded()
    if suite.scan is None:
        return found
    fold = _Fold(suite, strays, found)
    for batch in batches(suite.scan):
        fold.add(batch)
    for moments in found.moments.values():
        moments.end()
    return found


class _Fold:
    def __init__(self, suite: Suite, strays: dict[int, Any], found: Folded) -> None:
        self._suite = suite
        self._strays = strays
        self._found = found
        self._rows: dict[int, InRows] = {}
        for number in (*suite.bad, *suite.keys):
            found.marks[number] = Marks()
        for number, name in suite.numbers.items():
            check = suite.checks[number]
            if isinstance(check, OrderCheck):
                self._rows[number] = InRows(check.is_rising, check.strict)
                found.marks[number] = self._rows[number].marks
            elif not isinstance(check, SameDistribution):
                found.moments.setdefault(name, Moments())
        found.hashes = {name: Hashes() for name in suite.hashes.values()}
        found.n_passed_over = dict.fromkeys((*suite.passed_over.values(), *suite.nans.values()), 0)

    def add(self, batch: nw.DataFrame[Any]) -> None:
        """Take one batch."""
        found, suite = self._found, self._suite
        found.n_rows += len(batch)
        over: dict[str, Array | None] = {}
        for name in found.n_passed_over:
            column = batch.get_column(name)
            n_over = int(column.sum() or 0)
            found.n_passed_over[name] += n_over
            over[name] = column.to_numpy() if n_over else None
        for number, name in suite.bad.items():
            column = batch.get_column(name)
            if column.any():
                found.marks[number].add(column.to_numpy())
            else:
                found.marks[number].skip(len(batch))
        self._add_keys(batch, over)
        self._add_numbers(batch)

    def _add_keys(self, batch: nw.DataFrame[Any], over: dict[str, Array | None]) -> None:
        suite = self._suite
        added = set()
        for number, name in suite.hashes.items():
            if name not in added:
                passed_over = over.get(suite.passed_over.get(number, ""))
                self._found.hashes[name].add(batch.get_column(name).to_numpy(), passed_over)
                added.add(name)
        for number, names in suite.keys.items():
            strays = self._strays[number]
            given = batch.select(*names).rename(dict(zip(names, strays.columns, strict=True)))
            self._found.marks[number].add(stand_in(given, strays))

    def _add_numbers(self, batch: nw.DataFrame[Any]) -> None:
        values: dict[str, tuple[Array, Array | None]] = {}
        for number, name in self._suite.numbers.items():
            if name not in values:
                values[name] = _present(batch.get_column(name))
                if name in self._found.moments:
                    self._found.moments[name].add(values[name][0])
            check = self._suite.checks[number]
            if isinstance(check, OrderCheck):
                self._rows[number].add(*values[name], len(batch))
            elif isinstance(check, SameDistribution):
                counts = in_bins(values[name][0], check.edges or ())
                self._found.bins[number] = self._found.bins.get(number, 0) + counts


def in_bins(values: Array, edges: Sequence[float]) -> Array:
    """Count values by the bins' upper edges; the last bin has none."""
    import numpy as np

    places = np.searchsorted(np.asarray(edges, np.float64), values.astype(np.float64), side="left")
    return np.bincount(places, minlength=len(edges) + 1)


def _present(column: nw.Series[Any]) -> tuple[Array, Array | None]:
    """Give a column's values that are there as numbers, and which rows have one (None: all)."""
    import narwhals as nw

    if isinstance(column.dtype, nw.Datetime):
        column = column.dt.timestamp("us")
    elif isinstance(column.dtype, nw.Date):
        column = column.cast(nw.Int64)
    elif not column.dtype.is_float() and not column.dtype.is_integer():
        column = column.cast(nw.Float64)
    if not column.null_count():
        return column.to_numpy(), None
    return column.drop_nulls().to_numpy(), ~column.is_null().to_numpy()


def as_time(number: int, dtype: nw.dtypes.DType) -> date:
    """Make a time of its number of days or microseconds."""
    import narwhals as nw
    import numpy as np

    made: date = np.datetime64(number, "D" if isinstance(dtype, nw.Date) else "us").item()
    return made
