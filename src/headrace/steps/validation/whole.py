"""What checks of the whole table find, from what the scan counted and, where one scan can't tell, narrow queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from headrace.core.errors import near_miss
from headrace.steps.checks import (
    Aggregate,
    Check,
    Columns,
    Finding,
    Fresh,
    HasType,
    MissingShare,
    RowCount,
    SameDistribution,
)
from headrace.steps.checks.base import Seen, comparable, span
from headrace.steps.kinds import KINDS, kind_of
from headrace.steps.tables import collect
from headrace.steps.validation.compiling import Suite
from headrace.steps.validation.folding import Folded, as_time

if TYPE_CHECKING:
    import narwhals as nw

LEAST_SHARE = 1e-4
"""What an empty bin counts as in the population stability index."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a table."""

    suite: Suite
    found: Folded
    apart: Mapping[int, Seen] = field(default_factory=dict)
    """What the checks found that are evaluated apart."""

    def n_present(self, number: int) -> int:
        """How many rows a check looks at."""
        over = self.suite.passed_over.get(number)
        return self.found.n_rows - (self.found.n_passed_over[over] if over else 0)

    def narrow(self, check: Any) -> nw.LazyFrame[Any]:
        """A check's one column, where it is looked at and has a value."""
        frame = self.suite.source
        if check.condition is not None:
            frame = frame.filter(check.condition.expr(self.suite.values))
        return frame.select(self.suite.values[check.column].alias("value")).drop_nulls()


@dataclass(frozen=True, slots=True)
class Told:
    """What a check of the whole found: in words, as a number where it is one, and whether it holds."""

    observed: str
    expected: str
    value: float | None
    holds: bool
    n_bad: int = 1
    """What to count where it doesn't hold."""
    share: float = 0.0


def whole_finding(number: int, check: Check, facts: Facts) -> Finding:
    """Say what a check of the whole table found."""
    told = _TELLERS.get(type(check), _seen_apart)(number, check, facts)
    return Finding(
        check.rule,
        type(check).__name__,
        check.columns,
        check.severity,
        0 if told.holds else told.n_bad,
        told.share,
        n_looked_at=facts.n_present(number),
        observed=told.observed,
        expected=told.expected,
        value=told.value,
        passed=told.holds,
    )


def _seen_apart(number: int, check: Check, facts: Facts) -> Told:
    seen = facts.apart[number]
    value = float(seen.observed) if isinstance(seen.observed, int | float) else None
    observed = ("it is so" if seen.success else "it isn't so") if seen.observed is None else str(seen.observed)
    return Told(observed, check.says, value, seen.success)


def _missing_share(number: int, check: MissingShare, facts: Facts) -> Told:
    n_rows = facts.n_present(number)
    n_missing = facts.found.marks[number].n_marked
    share = n_missing / n_rows if n_rows else 0.0
    return Told(f"{share:.4g}", f"at most {check.at_most:g}", share, share <= check.at_most, n_missing, share)


def _columns(number: int, check: Columns, facts: Facts) -> Told:
    there = list(facts.suite.schema)
    absent = [name for name in check.names if name not in there]
    more = [name for name in there if name not in check.names] if check.exact else []
    places = [there.index(name) for name in check.names if name in there]
    problems = [f"{name!r} is missing{_near(name, there)}" for name in absent]
    problems += [f"{name!r} is one too many" for name in more]
    if check.ordered and places != sorted(places):
        problems.append(f"they stand as {', '.join(name for name in there if name in check.names)}")
    told = "; ".join(problems) or "as expected"
    return Told(told, ", ".join(check.names), None, not problems, max(1, len(absent) + len(more)))


def _near(name: str, there: Sequence[str]) -> str:
    hint = near_miss(name, there)
    return f" ({hint})" if hint else ""


def _has_type(number: int, check: HasType, facts: Facts) -> Told:
    dtype = facts.suite.schema[check.column]
    own = type(dtype).__name__.lower()
    name = own if check.type not in KINDS else (kind_of(dtype) or own)
    return Told(name, check.type, None, name == check.type or (check.type == "string" and name == "text"))


def _row_count(number: int, check: RowCount, facts: Facts) -> Told:
    n_rows = facts.n_present(number)
    low, high = check.at_least, check.at_most
    holds = (low is None or n_rows >= low) and (high is None or n_rows <= high)
    return Told(str(n_rows), span(low, high), float(n_rows), holds)


def _aggregate(number: int, check: Aggregate, facts: Facts) -> Told:
    value = _statistic(number, check, facts)
    low, high = check.at_least, check.at_most
    expected = span(low, high)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Told("no value" if value is None else "NaN", expected, None, False)
    if isinstance(value, date):
        value, low, high = comparable(value, low, high)
    holds = (low is None or (value > low if check.strict_low else value >= low)) and (
        high is None or (value < high if check.strict_high else value <= high)
    )
    number_of = None if isinstance(value, date) else float(value)
    return Told(f"{value:.10g}" if isinstance(value, float) else str(value), expected, number_of, holds)


def _statistic(number: int, check: Aggregate, facts: Facts) -> Any:
    import narwhals as nw

    n = facts.n_present(number)
    name = check.statistic
    if name in ("n_distinct", "share_distinct"):
        n_distinct = int(collect(facts.narrow(check).select(nw.col("value").n_unique())).item() or 0) if n else 0
        return n_distinct if name == "n_distinct" else (n_distinct / n if n else None)
    if n == 0:
        return 0.0 if name == "sum" else None
    if check.quantile is not None:
        quantile = nw.col("value").cast(nw.Float64).quantile(check.quantile, interpolation="linear")
        return collect(facts.narrow(check).select(quantile)).item()
    moments = facts.found.moments[facts.suite.numbers[number]]
    if name in ("min", "max"):
        found = moments.least if name == "min" else moments.most
        return _as_value(found, check, facts)
    if name == "std" and moments.n < 2:
        return None
    if name == "sum" and moments.whole_sum is not None:
        return moments.whole_sum
    return {"mean": moments.mean, "std": moments.std, "sum": moments.sum}[name]


def _as_value(found: Any, check: Aggregate | Fresh, facts: Facts) -> Any:
    """Make a day or moment of its number again."""
    import narwhals as nw

    dtype = facts.suite.source.select(facts.suite.values[check.column]).collect_schema()[check.column]
    return as_time(found, dtype) if isinstance(dtype, nw.Date | nw.Datetime) else found


def _fresh(number: int, check: Fresh, facts: Facts) -> Told:
    now: Any = check.at or datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    expected = f"at most {check.within} before {now}"
    most = facts.found.moments[facts.suite.numbers[number]].most
    if most is None:
        return Told("no value", expected, None, False)
    newest = _as_value(most, check, facts)
    age = _age(newest, now)
    return Told(str(newest), expected, age.total_seconds(), timedelta() <= age <= check.span)


def _age(newest: date, now: date) -> timedelta:
    """How long before ``now`` something was. A day lasts until its end."""
    if not isinstance(newest, datetime):
        return (now.date() if isinstance(now, datetime) else now) - newest
    return (now if isinstance(now, datetime) else datetime.combine(now + timedelta(days=1), time())) - newest


def _same_distribution(number: int, check: SameDistribution, facts: Facts) -> Told:
    import narwhals as nw

    expected = f"at most {check.at_most:g}"
    n = facts.n_present(number)
    if n == 0:
        return Told("no value", expected, None, False)
    total = sum(share for _, share in check.reference)
    wanted = [share / total for _, share in check.reference]
    if check.edges is None:
        rows = collect(facts.narrow(check).group_by("value").agg(nw.len().alias("n"))).rows()
        counted = dict(rows)
        counts = [int(counted.get(name, 0)) for name, _ in check.reference]
        wanted.append(0.0)
        counts.append(n - sum(counts))
    else:
        counts = [int(count) for count in facts.found.bins[number]]
    apart = MEASURE[check.measure]([count / n for count in counts], wanted)
    return Told(f"{apart:.6g}", expected, apart, apart <= check.at_most)


def psi(found: Sequence[float], wanted: Sequence[float]) -> float:
    """The population stability index: ``sum((p - q) * ln(p / q))``, empty bins counted as 0.0001."""
    pairs = [(max(p, LEAST_SHARE), max(q, LEAST_SHARE)) for p, q in zip(found, wanted, strict=True) if p or q]
    return math.fsum((p - q) * math.log(p / q) for p, q in pairs)


def jensen_shannon(found: Sequence[float], wanted: Sequence[float]) -> float:
    """The Jensen-Shannon distance: the root of the divergence in bits, from 0 to 1."""

    def half(one: Sequence[float], other: Sequence[float]) -> float:
        return math.fsum(p * math.log2(2 * p / (p + q)) for p, q in zip(one, other, strict=True) if p)

    return math.sqrt(max(0.0, (half(found, wanted) + half(wanted, found)) / 2))


def total_variation(found: Sequence[float], wanted: Sequence[float]) -> float:
    """The share that would have to move: half the sum of the differences."""
    return math.fsum(abs(p - q) for p, q in zip(found, wanted, strict=True)) / 2


def kolmogorov_smirnov(found: Sequence[float], wanted: Sequence[float]) -> float:
    """The largest difference of the cumulated shares, at the bins' edges."""
    most = above = 0.0
    for p, q in zip(found, wanted, strict=True):
        above += p - q
        most = max(most, abs(above))
    return most


MEASURE: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "psi": psi,
    "js": jensen_shannon,
    "tv": total_variation,
    "ks": kolmogorov_smirnov,
}
_TELLERS: Mapping[type, Callable[[int, Any, Facts], Told]] = {
    MissingShare: _missing_share,
    Columns: _columns,
    HasType: _has_type,
    RowCount: _row_count,
    Aggregate: _aggregate,
    Fresh: _fresh,
    SameDistribution: _same_distribution,
}
