"""What expectations about a whole column or table observe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.steps.checks.base import TIMES, Check
from headrace.steps.great_expectations.rows import comparable, moment
from headrace.steps.great_expectations.wholes import (
    ColumnCount,
    ColumnSet,
    CountOfRows,
    DistinctValues,
    HasColumn,
    MostCommon,
    Quantiles,
    StatisticBetween,
    ThereShare,
)
from headrace.steps.kinds import Kind
from headrace.steps.tables import collect

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

MOST_SHOWN = 20


@dataclass(frozen=True)
class Scene:
    """A table with its marks, and what was counted of it."""

    frame: Lazy
    kinds: Mapping[str, Kind | None]
    names: tuple[str, ...]
    counted: Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """What was observed, and whether it is as expected."""

    success: bool
    observed: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """More of the result than what was observed and the details."""


def aggregates(check: Check, n: int, kinds: Mapping[str, Kind | None]) -> dict[str, nw.Expr]:
    """Give the statistics that a check needs, to be taken in the one scan."""
    import narwhals as nw

    if not isinstance(check, StatisticBetween):
        return {}
    value = nw.when(nw.col(f"_in_{n}")).then(nw.col(f"_as_{check.column}"))
    if kinds[check.column] == "boolean" and check.statistic not in ("n_distinct", "share_distinct"):
        value = value.cast(nw.Int64)
    if check.statistic in ("n_distinct", "share_distinct"):
        # A missing value is one more to n_unique.
        return {"value": value.n_unique(), "nulls": value.null_count()}
    if check.statistic in ("mean", "std", "median"):
        value = value.cast(nw.Float64)
    return {"value": getattr(value, check.statistic)()}


def observe(scene: Scene, n: int, check: Check) -> Seen:
    """Say what a check observes of the table."""
    if isinstance(check, StatisticBetween):
        return _statistic(scene, n, check)
    if isinstance(check, ThereShare):
        n_rows, n_there = (int(scene.counted[f"{name}_{n}"] or 0) for name in ("if", "in"))
        return _between(n_there / n_rows if n_rows else 0, check)
    if isinstance(check, CountOfRows):
        return _between(int(scene.counted[f"if_{n}"] or 0), check)
    if isinstance(check, DistinctValues):
        return _distinct(scene, n, check)
    if isinstance(check, MostCommon):
        return _most_common(scene, n, check)
    if isinstance(check, Quantiles):
        return _quantiles(scene, n, check)
    return _form(scene, check)


def _form(scene: Scene, check: Check) -> Seen:
    if isinstance(check, HasColumn):
        if check.place:
            place = check.place
            there = -len(scene.names) <= place < len(scene.names) and scene.names[place] == check.name
            return Seen(there)
        return Seen(check.name in scene.names)
    if isinstance(check, ColumnCount):
        n_columns = len(scene.names)
        low = check.at_least is None or n_columns >= check.at_least
        return Seen(low and (check.at_most is None or n_columns <= check.at_most), n_columns)
    if isinstance(check, ColumnSet):
        return _column_list(scene.names, check) if check.ordered else _column_set(scene.names, check)
    raise AssertionError(type(check))


def _column_list(names: tuple[str, ...], check: ColumnSet) -> Seen:
    from itertools import zip_longest

    if names == check.names:
        return Seen(True, list(names))
    wrong = [
        {"Expected Column Position": place, "Expected": expected, "Found": found}
        for place, (expected, found) in enumerate(zip_longest(check.names, names))
        if expected != found
    ]
    return Seen(False, list(names), {"mismatched": wrong})


def _column_set(names: tuple[str, ...], check: ColumnSet) -> Seen:
    unexpected, missing = sorted({*names} - {*check.names}), sorted({*check.names} - {*names})
    if not unexpected and not missing:
        return Seen(True, sorted(names))
    wrong = {"unexpected": unexpected} if unexpected else {}
    wrong |= {"missing": missing} if missing else {}
    return Seen(not missing and not check.exact, sorted(names), {"mismatched": wrong})


def _statistic(scene: Scene, n: int, check: StatisticBetween) -> Seen:
    value = scene.counted[f"value_{n}"]
    n_there = int(scene.counted[f"in_{n}"] or 0)
    if check.statistic in ("n_distinct", "share_distinct"):
        distinct = int(value or 0) - bool(scene.counted[f"nulls_{n}"])
        if check.statistic == "n_distinct":
            return _between(distinct, check)
        return _between(distinct / n_there if n_there else 0, check)
    if check.statistic == "sum":
        value = _plain(value) if n_there else 0
        return _between(value, check)
    if check.statistic in ("mean", "std", "median"):
        value = None if value is None else float(value)
    value = _plain(value)
    if value is None or value != value:
        return Seen(False, None)
    if isinstance(value, str):
        for bound in (check.at_least, check.at_most):
            if bound is not None and not isinstance(bound, str):
                raise DataError(f"The {check.statistic} of {check.column!r} is text, but {bound!r} isn't")
    return _between(value, check, is_time=scene.kinds[check.column] in TIMES)


def _plain(value: Any) -> Any:
    from decimal import Decimal

    return (int(value) if value == value.to_integral_value() else float(value)) if isinstance(value, Decimal) else value


def _between(value: Any, check: Any, *, is_time: bool = False) -> Seen:
    if value is not None and value != value:
        return Seen(False, None)
    bounds = [check.at_least, check.at_most]
    compared = value
    if is_time:
        bounds = [
            moment(bound, what=f"a bound of {check.says}") if isinstance(bound, str) else bound for bound in bounds
        ]
        bounds = [_as_moment(bound) for bound in bounds]
        compared = _as_moment(value)
    low, high = bounds
    above = low is None or (compared > low if check.strict_low else compared >= low)
    below = high is None or (compared < high if check.strict_high else compared <= high)
    return Seen(bool(above and below), value)


def _as_moment(value: Any) -> Any:
    return (
        datetime(value.year, value.month, value.day)
        if isinstance(value, date) and not isinstance(value, datetime)
        else value
    )


# --- counted values -----------------------------------------------------------------------------------------------


def _counted(scene: Scene, n: int, column: str) -> Lazy:
    """Each value that is looked at, and how often it stands there."""
    import narwhals as nw

    return scene.frame.filter(nw.col(f"_in_{n}")).group_by(f"_as_{column}").agg(nw.len().alias("count"))


def _distinct(scene: Scene, n: int, check: DistinctValues) -> Seen:
    import narwhals as nw

    listed = comparable(check.values, scene.kinds[check.column], check.column)
    name = f"_as_{check.column}"
    values = _counted(scene, n, check.column).select(name)
    others: list[Any] = []
    if check.compared != "contain":
        rest = values.filter(~nw.col(name).is_in(listed)) if listed else values
        others = sorted(collect(rest)[name].to_list())
    if check.compared == "in":
        return Seen(not others, others[:MOST_SHOWN], more={"unexpected_count": len(others)})
    there = {*collect(values.filter(nw.col(name).is_in(listed)))[name].to_list()} if listed else set()
    missing = [value for value in dict.fromkeys(check.values) if value not in there]
    more: dict[str, Any] = {"missing_count": len(missing), "partial_missing_list": missing[:MOST_SHOWN]}
    if check.compared == "equal":
        more = {"unexpected_count": len(others), **more, "partial_unexpected_list": others[:MOST_SHOWN]}
    return Seen(not missing and not others, None, more=more)


def _most_common(scene: Scene, n: int, check: MostCommon) -> Seen:
    import narwhals as nw

    counts = _counted(scene, n, check.column)
    top = collect(counts.filter(nw.col("count") == nw.col("count").max()))
    common = sorted(top[f"_as_{check.column}"].to_list())
    listed = {*comparable(check.values, scene.kinds[check.column], check.column)}
    n_met = len(listed & {*common})
    return Seen(n_met > 0 if check.ties_okay else len(common) == 1 and n_met == 1, common)


def _quantiles(scene: Scene, n: int, check: Quantiles) -> Seen:
    import narwhals as nw

    n_there = int(scene.counted[f"in_{n}"] or 0)
    places = [_places(q * (n_there - 1), check.interpolation) for q in check.quantiles] if n_there else []
    asked = sorted({place for low, high, _ in places for place in (low, high)})
    inside = scene.frame.filter(nw.col(f"_in_{n}"))
    found = _nth(inside, f"_as_{check.column}", asked) if asked else {}
    observed = [_blend(found[low], found[high], share) for low, high, share in places] or [None] * len(check.quantiles)
    held = [
        value is not None and (low is None or value >= low) and (high is None or value <= high)
        for value, (low, high) in zip(observed, check.ranges, strict=True)
    ]
    return Seen(all(held), {"quantiles": list(check.quantiles), "values": observed}, {"success_details": held})


def _nth(frame: Lazy, column: str, places: list[int]) -> dict[int, Any]:
    """Give the values that stand at some places when all are sorted."""
    import narwhals as nw

    numbered = frame.select(column).with_row_index("_place", order_by=column)
    found = collect(numbered.filter(nw.col("_place").is_in(places)))
    return dict(zip(found["_place"].to_list(), found[column].to_list(), strict=True))


def _places(at: float, interpolation: str) -> tuple[int, int, float]:
    """The places on both sides, and how far between them."""
    low = int(at)
    share = at - low
    high = low + (share > 0)
    if interpolation == "lower":
        return low, low, 0.0
    if interpolation == "higher":
        return high, high, 0.0
    if interpolation == "midpoint":
        return low, high, 0.5 if share else 0.0
    if interpolation == "nearest":
        nearest = round(at)  # halves go to the even one, as NumPy's do
        return nearest, nearest, 0.0
    return low, high, share


def _blend(low: Any, high: Any, share: float) -> Any:
    return low if share == 0 or low == high else low + (high - low) * share
