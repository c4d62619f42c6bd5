"""What is known of one column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind
from headrace.steps.profiling.association import Association
from headrace.steps.profiling.buckets import Buckets
from headrace.steps.profiling.distinct import Registers
from headrace.steps.profiling.frequent import Values, values_from_plain, values_to_plain
from headrace.steps.profiling.moments import Moments
from headrace.steps.profiling.texts import Texts

ColumnKind = Kind | Literal["other"]
"""A column's kind; ``"other"`` for lists, structs and the like, of which only missing values are counted."""
NUMBERS = ("integer", "number")
TIMES = ("date", "datetime")
MEASURED = (*NUMBERS, *TIMES)
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram: about how many numbers lie from ``low`` to ``high``."""

    low: float
    high: float
    count: float


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. Numbers below are of its finite values; NaN is missing; days and moments are in units since 1970."""

    kind: ColumnKind
    type: str
    """The stored type, in Arrow's words."""
    n: int = 0
    """Rows, those without a value too."""
    n_missing: int = 0
    n_zero: int = 0
    n_infinite: int = 0
    n_negative: int = 0
    """Negative numbers, -inf too."""
    low: int | float | None = None
    """The smallest; for days in days, for moments in microseconds since 1970 (see `least`)."""
    high: int | float | None = None
    moments: Moments = field(default_factory=Moments)
    buckets: Buckets = field(default_factory=Buckets)
    values: Values = field(default_factory=Values)
    registers: Registers | None = None
    """None where ``values`` are exact."""
    texts: Texts | None = None
    association: Association | None = None
    """With the target, where one was named."""

    @property
    def n_present(self) -> int:
        """Rows with a value."""
        return self.n - self.n_missing

    @property
    def missing_share(self) -> float:
        """The share of rows without a value; 0 where there are no rows."""
        return self.n_missing / self.n if self.n else 0.0

    @property
    def is_exact(self) -> bool:
        """Whether every distinct value was counted, so that `n_distinct` and ``values`` are exact."""
        return self.values.is_exact

    @property
    def n_distinct(self) -> int:
        """Distinct values: exact where `is_exact`, else an estimate with a standard error of 1.6 %."""
        if self.values.is_exact or self.registers is None:
            return len(self.values.counts)
        return min(self.n_present, max(len(self.values.counts), round(self.registers.estimate())))

    @property
    def least(self) -> float | int | date | datetime | None:
        """The smallest value, days and moments as such; None for text and where there is no finite value."""
        least: float | int | date | datetime | None = self.as_value(self.low)
        return least

    @property
    def greatest(self) -> float | int | date | datetime | None:
        """The largest value; see `least`."""
        greatest: float | int | date | datetime | None = self.as_value(self.high)
        return greatest

    @property
    def mean(self) -> float:
        """The mean; NaN where there is no number. For days and moments in units since 1970."""
        return self.moments.mean if self.moments.n else math.nan

    @property
    def std(self) -> float:
        """The standard deviation of a sample (n - 1)."""
        return self.moments.std

    @property
    def skew(self) -> float:
        """The skewness g1."""
        return self.moments.skew

    def quantile(self, share: float) -> float:
        """Give the value at rank ``floor(share * (n - 1))``, exact at 0 and 1, else within 0.78 % of itself.

        Days and moments in units since 1970. NaN where there is no number. Raises DataError for a share that isn't
        within 0..1.
        """
        return self.quantiles([share])[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Give several quantiles; see `quantile`."""
        for share in shares:
            if not 0 <= share <= 1:
                raise DataError(f"0 <= share <= 1 must hold, but got {share!r}", hint="give a share, such as 0.5")
        if self.low is None or self.high is None:
            return [math.nan] * len(shares)
        return self.buckets.quantiles(shares, float(self.low), float(self.high))

    def histogram(self, n_bars: int = 20, *, trim: float = 0.0) -> tuple[Bar, ...]:
        """Give bars of equal width over the values but the outermost share ``trim`` on each side."""
        import numpy as np

        if not self.buckets.counts or self.low is None or self.high is None:
            return ()
        low, high = self.quantiles([trim, 1 - trim])
        if not low < high:
            return (Bar(low, high, float(self.buckets.n)),)
        edges = np.linspace(low, high, n_bars + 1)
        # A bucket reaches beyond the smallest and the largest number, but none of its numbers does.
        outer = edges.copy()
        outer[0] = -np.inf if low <= self.low else low
        outer[-1] = np.inf if high >= self.high else high
        counts = self.buckets.histogram(outer).tolist()
        return tuple(Bar(float(edges[i]), float(edges[i + 1]), counts[i]) for i in range(n_bars))

    @property
    def top(self) -> list[tuple[Any, int]]:
        """The frequent values and their counts, the most frequent first; days and moments as such."""
        return [(self.as_value(value), count) for value, count in self.values.counts.items()]

    def as_value(self, stored: Any) -> Any:
        """Give a stored value as it is meant: of days and moments those."""
        if stored is None or self.kind not in TIMES or not math.isfinite(stored):
            return stored
        try:
            if self.kind == "date":
                return EPOCH + timedelta(days=round(stored))
            return datetime.combine(EPOCH, datetime.min.time()) + timedelta(microseconds=round(stored))
        except OverflowError:
            return stored

    def merge(self, other: ColumnProfile) -> ColumnProfile:
        """Give what is known of both parts together. Raises DataError where their kinds differ."""
        if not self.n or not other.n:
            return self if self.n else other
        if self.kind != other.kind:
            raise DataError(
                f"A column of kind {self.kind!r} and one of kind {other.kind!r} have no profile together",
                hint="give the column one type in all parts",
            )
        values = self.values.merge(other.values)
        return ColumnProfile(
            self.kind,
            self.type,
            self.n + other.n,
            self.n_missing + other.n_missing,
            self.n_zero + other.n_zero,
            self.n_infinite + other.n_infinite,
            self.n_negative + other.n_negative,
            min((x for x in (self.low, other.low) if x is not None), default=None),
            max((x for x in (self.high, other.high) if x is not None), default=None),
            self.moments.merge(other.moments),
            self.buckets.merge(other.buckets),
            values,
            None if values.is_exact or self.kind == "other" else self._registers().merge(other._registers()),
            self.texts.merge(other.texts) if self.texts and other.texts else None,
            self.association.merge(other.association) if self.association and other.association else None,
        )

    def _registers(self) -> Registers:
        """Give the registers; of a column whose values are all known, made of these."""
        from headrace.steps.profiling.counting import hashes_of

        return self.registers or Registers.of(hashes_of(self.kind, list(self.values.counts)))

    def to_plain(self) -> dict[str, Any]:
        """Give plain data, as JSON has it."""
        plain: dict[str, Any] = {
            "kind": self.kind,
            "type": self.type,
            "n": self.n,
            "n_missing": self.n_missing,
        }
        if self.kind in MEASURED:
            plain |= {"n_zero": self.n_zero, "n_infinite": self.n_infinite, "n_negative": self.n_negative}
            plain |= {"low": self.low, "high": self.high}
            plain |= {"moments": self.moments.to_plain(), "buckets": self.buckets.to_plain()}
        plain["values"] = values_to_plain(self.values)
        if self.registers is not None:
            plain["registers"] = self.registers.to_plain()
        if self.texts is not None:
            plain["texts"] = self.texts.to_plain()
        if self.association is not None:
            plain["association"] = self.association.to_plain()
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ColumnProfile:
        """Make a column's profile of what `to_plain` gave."""
        made: dict[str, Any] = {name: plain[name] for name in ("kind", "type", "n", "n_missing")}
        if "moments" in plain:
            made |= {name: plain[name] for name in ("n_zero", "n_infinite", "n_negative", "low", "high")}
            made["moments"] = Moments.from_plain(plain["moments"])
            made["buckets"] = Buckets.from_plain(plain["buckets"])
        made["values"] = values_from_plain(plain["values"])
        parts: dict[str, Any] = {
            "registers": Registers.from_plain,
            "texts": Texts.from_plain,
            "association": Association.from_plain,
        }
        made |= {name: read(plain[name]) for name, read in parts.items() if name in plain}
        return cls(**made)
