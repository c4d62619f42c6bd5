"""Evaluate expectations on a table: what was looked at, what broke, which rows, what was observed.

All rows' checks and all simple statistics of a suite are one scan. A check of values counted (distinct ones, the most
common, quantiles) and the rows that broke one are a scan each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, near_miss
from headrace.steps.checks.base import Check, RowCheck, Values
from headrace.steps.checks.expressions import parse
from headrace.steps.great_expectations import observing
from headrace.steps.great_expectations.rows import OfType
from headrace.steps.great_expectations.wholes import (
    AllDistinct,
    ByGreatExpectations,
    Ordered,
    WindowCheck,
    WithinDeviations,
)
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.parsing import plain_value
from headrace.steps.rooms import with_row_number
from headrace.steps.tables import collect, scan

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

    Lazy = nw.LazyFrame[Any]

ROW = "_row"


@dataclass(frozen=True)
class Evaluated:
    """What became of one check."""

    check: Check
    success: bool
    n_elements: int = 0
    """Rows that its condition lets through; all without one."""
    n_looked_at: int = 0
    n_bad: int = 0
    observed: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """More of the result than what was observed and the details."""
    rows: pl.DataFrame | None = None
    """The rows that broke it, in their order, with the column ``_row``: their number from 0."""
    given: Mapping[str, Any] | None = None
    """The result as Great Expectations itself gave it, where that ran it."""
    error: Exception | None = None
    """Why it couldn't be evaluated: a column isn't there, or of a kind that can't be looked at so."""


@dataclass(frozen=True)
class Wanted:
    """How much is fetched of the rows that break a check: none, the first few, or (None) all."""

    n_rows: int | None = 20
    columns: tuple[str, ...] = ()
    """More columns than those of the check."""


def evaluate(table: object, checks: Sequence[Check], wanted: Wanted | None = None) -> list[Evaluated]:
    """Evaluate checks on a table. One that can't be evaluated says why, and has no success."""
    wanted = wanted or Wanted()
    frame = scan(table)
    schema = frame.collect_schema()
    kinds: dict[str, Kind | None] = {name: kind_of(dtype) for name, dtype in schema.items()}
    errors = {n: error for n, check in enumerate(checks) if (error := _why_not(check, kinds))}
    theirs = _by_great_expectations(table, checks)
    able = {n: check for n, check in enumerate(checks) if n not in errors and n not in theirs}
    frame = _with_values(frame, schema, able)
    if any(isinstance(check, RowCheck | WindowCheck) for check in able.values()):
        frame = with_row_number(frame, ROW)
    frame = _with_marks(frame, able, kinds)
    counted = _count(frame, able, kinds)
    scene = observing.Scene(frame, kinds, tuple(schema), counted)
    return [
        Evaluated(check, success=False, error=errors[n])
        if n in errors
        else theirs.get(n) or _evaluated(scene, n, check, wanted)
        for n, check in enumerate(checks)
    ]


def _by_great_expectations(table: object, checks: Sequence[Check]) -> dict[int, Evaluated]:
    own = {n: check for n, check in enumerate(checks) if isinstance(check, ByGreatExpectations)}
    if not own:
        return {}
    from headrace.steps.great_expectations.running import run_all

    found = {}
    for (n, check), result in zip(own.items(), run_all(table, [*own.values()]), strict=True):
        told = result.get("result", {})
        n_bad = int(told.get("unexpected_count") or 0)
        observed = told.get("observed_value", f"{n_bad} unexpected rows")
        found[n] = Evaluated(check, bool(result["success"]), n_bad=n_bad, observed=observed, given=result)
    return found


def _why_not(check: Check, kinds: Mapping[str, Kind | None]) -> DataError | None:
    for name in check.looks_at:
        if name not in kinds:
            return DataError(f"The table has no column {name!r}", hint=near_miss(name, kinds))
    if check.takes:
        wrong = next((name for name in check.columns if kinds[name] not in check.takes), None)
        if wrong is not None:
            return DataError(
                f"The rule '{check.rule}' is for columns of kind {' or '.join(check.takes)}, "
                f"but {wrong!r} is {kinds[wrong] or 'of no kind that is looked at'}"
            )
    try:
        if check.where is not None:
            parse(check.where).check(kinds)
    except DataError as error:
        return error
    return None


def _with_values(frame: Lazy, schema: Mapping[str, Any], checks: Mapping[int, Check]) -> Lazy:
    """Add each column that is looked at once more, NaN missing in it."""
    looked_at = sorted({name for check in checks.values() for name in check.looks_at})
    if not looked_at:
        return frame
    return frame.with_columns(*(plain_value(name, schema[name]).alias(f"_as_{name}") for name in looked_at))


def _with_marks(frame: Lazy, checks: Mapping[int, Check], kinds: Mapping[str, Kind | None]) -> Lazy:
    """Add the columns ``_if_N``, the rows that check N's condition lets through, ``_in_N`` and ``_bad_N``."""
    import narwhals as nw

    values = Values({name: nw.col(f"_as_{name}") for name in kinds}, kinds)
    let_through, looked_at, bad = [], [], []
    for n, check in checks.items():
        condition = check.condition
        passed = nw.lit(True) if condition is None else condition.expr(values).fill_null(False)
        let_through.append(passed.alias(f"_if_{n}"))
        inside = check.is_looked_at(values)
        looked_at.append((nw.col(f"_if_{n}") if inside is None else nw.col(f"_if_{n}") & inside).alias(f"_in_{n}"))
        if isinstance(check, RowCheck):
            bad.append((nw.col(f"_in_{n}") & check.violation(values)).alias(f"_bad_{n}"))
        elif isinstance(check, WindowCheck):
            bad.append((nw.col(f"_in_{n}") & _window_violation(check, f"_in_{n}")).alias(f"_bad_{n}"))
    if let_through:
        frame = frame.with_columns(*let_through).with_columns(*looked_at)
    return frame.with_columns(*bad) if bad else frame


def _window_violation(check: WindowCheck, inside: str) -> nw.Expr:
    import narwhals as nw

    if isinstance(check, AllDistinct):
        return nw.len().over(*(f"_as_{name}" for name in check.key), inside) > 1
    if isinstance(check, Ordered):
        value = nw.col(f"_as_{check.column}")
        before = value.shift(1).over(inside, order_by=ROW)
        if check.falling:
            wrong = value >= before if check.strict else value > before
        else:
            wrong = value <= before if check.strict else value < before
        return wrong.fill_null(False)
    if isinstance(check, WithinDeviations):
        value = nw.col(f"_as_{check.column}").cast(nw.Float64)
        deviation = value.std().over(inside)
        # Of a constant, of one value, or with an infinite one among them there is no score: nothing is too far away.
        known = (deviation > 0) & ~deviation.is_nan()
        score = (value - value.mean().over(inside)) / nw.when(known).then(deviation)
        score = score.abs() if check.double_sided else score
        limit = abs(check.threshold) if check.double_sided else check.threshold
        return (score >= limit).fill_null(False)
    raise AssertionError(type(check))


def _count(frame: Lazy, checks: Mapping[int, Check], kinds: Mapping[str, Kind | None]) -> dict[str, Any]:
    """Count, and take all simple statistics, in one scan."""
    import narwhals as nw

    asked: dict[str, nw.Expr] = {"rows": nw.len()}
    for n, check in checks.items():
        asked[f"if_{n}"] = nw.col(f"_if_{n}").cast(nw.Int64).sum()
        asked[f"in_{n}"] = nw.col(f"_in_{n}").cast(nw.Int64).sum()
        if isinstance(check, RowCheck | WindowCheck):
            asked[f"bad_{n}"] = nw.col(f"_bad_{n}").cast(nw.Int64).sum()
        else:
            asked |= {f"{name}_{n}": value for name, value in observing.aggregates(check, n, kinds).items()}
    return dict(collect(frame.select(**asked)).row(0, named=True))


def _evaluated(scene: observing.Scene, n: int, check: Check, wanted: Wanted) -> Evaluated:
    counts = {name: int(scene.counted.get(f"{name}_{n}") or 0) for name in ("if", "in", "bad")}
    if isinstance(check, OfType) and scene.kinds[check.column] != "text":
        return Evaluated(check, check.holds(scene.kinds[check.column]), observed=scene.kinds[check.column])
    if isinstance(check, RowCheck | WindowCheck):
        success = (
            counts["in"] == 0 or (float(counts["in"]) - float(counts["bad"])) / float(counts["in"]) >= check.mostly
        )
        rows = _bad_rows(scene, n, check, wanted) if counts["bad"] and wanted.n_rows != 0 else None
        return Evaluated(check, success, counts["if"], counts["in"], counts["bad"], rows=rows)
    try:
        seen = observing.observe(scene, n, check)
    except DataError as error:
        return Evaluated(check, success=False, error=error)
    n_elements, n_looked_at = counts["if"], counts["in"]
    return Evaluated(
        check, seen.success, n_elements, n_looked_at, observed=seen.observed, details=seen.details, more=seen.more
    )


def _bad_rows(scene: observing.Scene, n: int, check: Check, wanted: Wanted) -> pl.DataFrame:
    import narwhals as nw

    names = dict.fromkeys((*check.columns, *wanted.columns))
    bad = scene.frame.filter(nw.col(f"_bad_{n}")).select(ROW, *names).sort(ROW)
    return collect(bad if wanted.n_rows is None else bad.head(wanted.n_rows))
