"""Write a suite from a profile: what held for one table, with room to spare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from headrace.steps.checks import (
    Aggregate,
    Check,
    Columns,
    HasType,
    InRange,
    Length,
    MissingShare,
    NotMissing,
    OneOf,
    RowCount,
    Unique,
)
from headrace.steps.suites import Suite

if TYPE_CHECKING:
    from headrace.steps.profiling import ColumnProfile, Profile

    Told = Iterator[tuple[Check, str]]

MOST_CATEGORIES = 50
LEAST_ROWS_A_CATEGORY = 10
LEAST_ROWS_OF_A_KEY = 20
LEAST_DISTINCT_OF_A_KEY = 0.95
ROOM = 0.1
"""What a range gets on each side, as a share of its width."""


def proposed(profile: Profile) -> tuple[Suite, dict[int, str]]:
    """Give the checks that hold for a profiled table, and of each why its bounds are what they are.

    Ranges get a tenth of their width on each side, missing shares half as much again and a point, means half a
    standard deviation. A key is proposed where all values differ, as far as the profile can tell (its estimate of
    distinct values is good to a few per cent): `that_hold` looks.
    """
    told = list(_of_table(profile))
    for name, column in profile.columns.items():
        told += _of_column(name, column)
    return Suite(tuple(check for check, _ in told)), {n: why for n, (_, why) in enumerate(told) if why}


def that_hold(suite: Suite, comments: dict[int, str], table: object) -> tuple[Suite, dict[int, str]]:
    """Leave out what doesn't hold for the table itself: a key that was only estimated to be one."""
    from headrace.steps.validation.looking import look

    findings = look(table, suite.checks).findings
    kept = [n for n, finding in enumerate(findings) if finding.passed]
    checks = tuple(suite.checks[n] for n in kept)
    return replace(suite, checks=checks), {new: comments[old] for new, old in enumerate(kept) if old in comments}


def _of_table(profile: Profile) -> Told:
    yield Columns(tuple(profile.columns)), "more columns than these are fine; exact: true would refuse them"
    if profile.n_rows:
        low, high = profile.n_rows // 2, profile.n_rows * 2
        yield RowCount(low, high, severity="warn"), f"{profile.n_rows} rows here: from half as many to twice as many"


def _of_column(name: str, column: ColumnProfile) -> Told:
    if column.n == 0:
        return
    if column.kind != "other" and column.n_present:
        yield HasType(name, column.kind), ""
    if column.n_missing == 0:
        yield NotMissing(name), ""
    elif column.n_present:
        share = column.missing_share
        at_most = min(1.0, math.ceil(100 * (1.5 * share + 0.01)) / 100)
        yield MissingShare(name, at_most), f"{share:.2%} here: half as much again and 1 % more"
    if column.n_present == 0:
        return
    if _may_be_key(column):
        yield Unique((name,)), ""
    if column.kind in ("integer", "number"):
        yield from _of_numbers(name, column)
    elif column.kind in ("date", "datetime"):
        yield from _of_times(name, column)
    elif column.kind == "text":
        yield from _of_texts(name, column)


def _may_be_key(column: ColumnProfile) -> bool:
    if column.kind not in ("integer", "text") or column.n_missing or column.n < LEAST_ROWS_OF_A_KEY:
        return False
    if column.is_exact:
        return column.n_distinct == column.n
    return column.n_distinct >= LEAST_DISTINCT_OF_A_KEY * column.n


def _of_numbers(name: str, column: ColumnProfile) -> Told:
    low, high = column.least, column.greatest
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return
    values = _few_values(column)
    if column.kind == "integer" and values is not None and len(values) <= 2:
        yield OneOf(name, tuple(values)), "the values that stand here"
        return
    room = ROOM * (float(high) - float(low))
    at_least, at_most = _rounded(float(low) - room, float(high) + room, is_whole=column.kind == "integer")
    if low >= 0 > at_least:
        at_least = 0
    # Rounding is outwards, but a float has its limits.
    at_least, at_most = min(at_least, low), max(at_most, high)
    why = f"{low:.10g} to {high:.10g} here: a tenth of that more on each side"
    if column.n_infinite:
        share = column.n_infinite / column.n_present
        yield InRange(name, at_least, at_most, severity="warn", mostly=1 - share), f"{why}; {share:.2%} are infinite"
    else:
        yield InRange(name, at_least, at_most), why
        spread = column.std / 2
        if spread > 0 and math.isfinite(spread) and math.isfinite(column.mean):
            mean = column.mean
            ends = _rounded(mean - spread, mean + spread, is_whole=False)
            yield Aggregate(name, "mean", *ends, severity="warn"), f"{mean:.6g} here: half a standard deviation around"


def _of_times(name: str, column: ColumnProfile) -> Told:
    low, high = column.least, column.greatest
    if not isinstance(low, date) or not isinstance(high, date):
        return
    try:
        at_least = low - max(timedelta(days=1), (high - low) * ROOM)
    except OverflowError:
        at_least = low
    yield InRange(name, at_least=at_least), f"{low} to {high} here: a tenth of that earlier, and no end"


def _of_texts(name: str, column: ColumnProfile) -> Told:
    values = _few_values(column)
    if values is not None:
        yield OneOf(name, tuple(values)), "the values that stand here"
        return
    texts = column.texts
    if texts is not None and texts.shortest is not None and texts.longest is not None:
        at_most = max(texts.longest * 2, texts.longest + 10)
        why = f"{texts.shortest} to {texts.longest} characters here: up to twice as many"
        yield Length(name, min(texts.shortest, 1), at_most), why


def _few_values(column: ColumnProfile) -> Sequence[Any] | None:
    """The values, if they are few and each stands in several rows on average."""
    if not column.is_exact or column.n_distinct > MOST_CATEGORIES:
        return None
    if column.n_present < LEAST_ROWS_A_CATEGORY * column.n_distinct:
        return None
    values: list[Any] = sorted(value for value, _ in column.top)
    return values


def _rounded(low: float, high: float, *, is_whole: bool) -> tuple[float, float]:
    """Round outwards to three digits of the width; whole numbers to whole ones."""
    width = high - low
    if not (math.isfinite(low) and math.isfinite(high)):
        return low, high
    if width == 0:
        return low, high
    digits = 2 - math.floor(math.log10(width))
    if is_whole or digits <= 0:
        step = 10 ** max(0, -digits)
        return math.floor(low / step) * step, math.ceil(high / step) * step
    if digits > 300:
        return low, high
    scale = 10.0**digits
    return math.floor(low * scale) / scale, math.ceil(high * scale) / scale
