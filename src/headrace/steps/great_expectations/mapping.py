"""Which expectation becomes which check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import DataError
from headrace.steps.checks import DateFormat, NotMissing
from headrace.steps.checks.base import Check
from headrace.steps.great_expectations.patterns import like_pattern
from headrace.steps.great_expectations.rows import (
    Among,
    Between,
    DifferInRow,
    Equal,
    EqualInRow,
    Finds,
    Greater,
    IsMissing,
    Length,
    OfType,
    PairAmong,
    SumIs,
)
from headrace.steps.great_expectations.wholes import (
    AllDistinct,
    ColumnCount,
    ColumnSet,
    Compared,
    CountOfRows,
    DistinctValues,
    HasColumn,
    MostCommon,
    Ordered,
    Quantiles,
    StatisticBetween,
    ThereShare,
    WithinDeviations,
)

Given = Mapping[str, Any]
"""An expectation's own arguments."""

Common = Mapping[str, Any]
"""What all checks take: severity, mostly and where."""

COLUMN_MAP, PAIR_MAP, MULTI_MAP, COLUMN, TABLE = "column map", "pair map", "multicolumn map", "column", "table"


@dataclass(frozen=True)
class Entry:
    """How one expectation is mapped."""

    kind: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    make: Callable[[Given, Common], Check]
    check: str
    """The check's name, for the page."""

    @property
    def is_map(self) -> bool:
        """Whether it looks at row after row."""
        return self.kind in (COLUMN_MAP, PAIR_MAP, MULTI_MAP)


MAPPED: dict[str, Entry] = {}
"""All expectations that become checks."""

BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")


def _maps(
    name: str, kind: str, check: type[Check], *, needs: str = "", takes: tuple[str, ...] = ()
) -> Callable[[Callable[[Given, Common], Check]], Callable[[Given, Common], Check]]:
    def put(make: Callable[[Given, Common], Check]) -> Callable[[Given, Common], Check]:
        MAPPED[name] = Entry(kind, tuple(needs.split()), takes, make, check.__name__)
        return make

    return put


def _bounds(given: Given, *, needs_one: bool = True) -> dict[str, Any]:
    low, high = given.get("min_value"), given.get("max_value")
    if needs_one and low is None and high is None:
        raise DataError("min_value and max_value are both left out")
    if low is not None and high is not None:
        if isinstance(low, str) != isinstance(high, str):
            raise DataError(f"min_value={low!r} and max_value={high!r} are of two kinds")
        if low > high:
            raise DataError(f"min_value <= max_value must hold, but got {low!r} and {high!r}")
    strict = {"strict_low": bool(given.get("strict_min")), "strict_high": bool(given.get("strict_max"))}
    return {"at_least": low, "at_most": high, **strict}


def _values(given: Given, name: str = "value_set") -> tuple[Any, ...]:
    values = given.get(name)
    if not isinstance(values, list | tuple | set | frozenset):
        raise DataError(f"{name} is a list, but got {values!r}")
    odd = next((value for value in values if not isinstance(value, str | int | float | bool | None)), None)
    if odd is not None and not hasattr(odd, "year"):
        raise DataError(f"{name} holds {odd!r}, which no column holds")
    return tuple(value for value in values if value is not None)


def _names(given: Given, name: str = "column_list") -> tuple[str, ...]:
    names = given.get(name)
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(each, str) for each in names):
        raise DataError(f"{name} is a list of columns, but got {names!r}")
    return tuple(names)


# --- one column, row by row ---------------------------------------------------------------------------------------


@_maps("expect_column_values_to_not_be_null", COLUMN_MAP, NotMissing, needs="column")
def _not_null(given: Given, common: Common) -> Check:
    return NotMissing(given["column"], **common)


@_maps("expect_column_values_to_be_null", COLUMN_MAP, IsMissing, needs="column")
def _null(given: Given, common: Common) -> Check:
    return IsMissing(given["column"], **common)


@_maps("expect_column_values_to_be_between", COLUMN_MAP, Between, needs="column", takes=BOUNDS)
def _between(given: Given, common: Common) -> Check:
    return Between(given["column"], **_bounds(given), **common)


@_maps("expect_column_values_to_be_in_set", COLUMN_MAP, Among, needs="column value_set")
def _in_set(given: Given, common: Common) -> Check:
    return Among(given["column"], _values(given), **common)


@_maps("expect_column_values_to_not_be_in_set", COLUMN_MAP, Among, needs="column value_set")
def _not_in_set(given: Given, common: Common) -> Check:
    return Among(given["column"], _values(given), negated=True, **common)


@_maps("expect_column_values_to_be_of_type", COLUMN_MAP, OfType, needs="column type_")
def _of_type(given: Given, common: Common) -> Check:
    return OfType(given["column"], (str(given["type_"]),), **common)


@_maps("expect_column_values_to_be_in_type_list", COLUMN_MAP, OfType, needs="column type_list")
def _in_type_list(given: Given, common: Common) -> Check:
    return OfType(given["column"], _names(given, "type_list"), **common)


@_maps("expect_column_values_to_be_unique", COLUMN_MAP, AllDistinct, needs="column")
def _unique(given: Given, common: Common) -> Check:
    return AllDistinct((given["column"],), **common)


@_maps("expect_column_values_to_be_increasing", COLUMN_MAP, Ordered, needs="column", takes=("strictly",))
def _increasing(given: Given, common: Common) -> Check:
    return Ordered(given["column"], strict=bool(given.get("strictly")), **common)


@_maps("expect_column_values_to_be_decreasing", COLUMN_MAP, Ordered, needs="column", takes=("strictly",))
def _decreasing(given: Given, common: Common) -> Check:
    return Ordered(given["column"], falling=True, strict=bool(given.get("strictly")), **common)


@_maps(
    "expect_column_value_z_scores_to_be_less_than",
    COLUMN_MAP,
    WithinDeviations,
    needs="column threshold",
    takes=("double_sided",),
)
def _z_scores(given: Given, common: Common) -> Check:
    double_sided = given.get("double_sided")
    return WithinDeviations(given["column"], given["threshold"], double_sided is None or bool(double_sided), **common)


@_maps("expect_column_value_lengths_to_be_between", COLUMN_MAP, Length, needs="column", takes=BOUNDS)
def _lengths(given: Given, common: Common) -> Check:
    return Length(given["column"], **_bounds(given), **common)


@_maps("expect_column_value_lengths_to_equal", COLUMN_MAP, Length, needs="column value")
def _length(given: Given, common: Common) -> Check:
    return Length(given["column"], given["value"], given["value"], **common)


@_maps("expect_column_values_to_match_regex", COLUMN_MAP, Finds, needs="column regex")
def _regex(given: Given, common: Common) -> Check:
    return Finds(given["column"], (given["regex"],), **common)


@_maps("expect_column_values_to_not_match_regex", COLUMN_MAP, Finds, needs="column regex")
def _not_regex(given: Given, common: Common) -> Check:
    return Finds(given["column"], (given["regex"],), negated=True, **common)


@_maps("expect_column_values_to_match_regex_list", COLUMN_MAP, Finds, needs="column regex_list", takes=("match_on",))
def _regexes(given: Given, common: Common) -> Check:
    match_on = given.get("match_on") or "any"
    if match_on not in ("any", "all"):
        raise DataError(f"match_on is 'any' or 'all', but got {match_on!r}")
    return Finds(given["column"], _some(given, "regex_list"), every=match_on == "all", **common)


@_maps("expect_column_values_to_not_match_regex_list", COLUMN_MAP, Finds, needs="column regex_list")
def _not_regexes(given: Given, common: Common) -> Check:
    return Finds(given["column"], _some(given, "regex_list"), negated=True, **common)


def _some(given: Given, name: str) -> tuple[str, ...]:
    names = _names(given, name)
    if not names:
        raise DataError(f"{name} is empty")
    return names


@_maps("expect_column_values_to_match_like_pattern", COLUMN_MAP, Finds, needs="column like_pattern")
def _like(given: Given, common: Common) -> Check:
    return _likes(given, common, (given["like_pattern"],))


@_maps("expect_column_values_to_not_match_like_pattern", COLUMN_MAP, Finds, needs="column like_pattern")
def _not_like(given: Given, common: Common) -> Check:
    return _likes(given, common, (given["like_pattern"],), negated=True)


@_maps(
    "expect_column_values_to_match_like_pattern_list",
    COLUMN_MAP,
    Finds,
    needs="column like_pattern_list",
    takes=("match_on",),
)
def _like_list(given: Given, common: Common) -> Check:
    every = (given.get("match_on") or "any") == "all"
    return _likes(given, common, _some(given, "like_pattern_list"), every=every)


@_maps("expect_column_values_to_not_match_like_pattern_list", COLUMN_MAP, Finds, needs="column like_pattern_list")
def _not_like_list(given: Given, common: Common) -> Check:
    return _likes(given, common, _some(given, "like_pattern_list"), negated=True)


def _likes(
    given: Given, common: Common, patterns: tuple[str, ...], *, every: bool = False, negated: bool = False
) -> Check:
    found = tuple(map(like_pattern, patterns))
    return Finds(given["column"], found, every, negated, shown=patterns, **common)


@_maps("expect_column_values_to_match_strftime_format", COLUMN_MAP, DateFormat, needs="column strftime_format")
def _strftime(given: Given, common: Common) -> Check:
    return DateFormat(given["column"], given["strftime_format"], **common)


# --- several columns, row by row ----------------------------------------------------------------------------------

_PAIR_IGNORE = {
    "both_values_are_missing": "all",
    "either_value_is_missing": "any",
    "neither": "never",
    "never": "never",
}
_MULTI_IGNORE = {"all_values_are_missing": "all", "any_value_is_missing": "any", "never": "never"}


def _ignore(given: Given, words: Mapping[str, str]) -> Any:
    said = given.get("ignore_row_if") or next(iter(words))
    if said not in words:
        raise DataError(f"ignore_row_if={said!r} isn't known: one of {', '.join(words)}")
    return words[said]


@_maps(
    "expect_column_pair_values_a_to_be_greater_than_b",
    PAIR_MAP,
    Greater,
    needs="column_A column_B",
    takes=("or_equal", "ignore_row_if"),
)
def _greater(given: Given, common: Common) -> Check:
    ignore = _ignore(given, _PAIR_IGNORE)
    return Greater(given["column_A"], given["column_B"], bool(given.get("or_equal")), ignore=ignore, **common)


@_maps("expect_column_pair_values_to_be_equal", PAIR_MAP, Equal, needs="column_A column_B", takes=("ignore_row_if",))
def _equal(given: Given, common: Common) -> Check:
    return Equal(given["column_A"], given["column_B"], ignore=_ignore(given, _PAIR_IGNORE), **common)


@_maps(
    "expect_column_pair_values_to_be_in_set",
    PAIR_MAP,
    PairAmong,
    needs="column_A column_B value_pairs_set",
    takes=("ignore_row_if",),
)
def _pairs(given: Given, common: Common) -> Check:
    pairs = given["value_pairs_set"]
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise DataError(f"value_pairs_set is a list of pairs, but got {pairs!r}")
    listed = tuple((one, other) for one, other in pairs)
    return PairAmong(given["column_A"], given["column_B"], listed, ignore=_ignore(given, _PAIR_IGNORE), **common)


@_maps("expect_multicolumn_sum_to_equal", MULTI_MAP, SumIs, needs="column_list sum_total", takes=("ignore_row_if",))
def _sum_is(given: Given, common: Common) -> Check:
    return SumIs(_names(given), given["sum_total"], ignore=_ignore(given, _MULTI_IGNORE), **common)


@_maps(
    "expect_select_column_values_to_be_unique_within_record",
    MULTI_MAP,
    DifferInRow,
    needs="column_list",
    takes=("ignore_row_if",),
)
def _differ(given: Given, common: Common) -> Check:
    return DifferInRow(_names(given), ignore=_ignore(given, _MULTI_IGNORE), **common)


@_maps("expect_multicolumn_values_to_be_equal", MULTI_MAP, EqualInRow, needs="column_list", takes=("ignore_row_if",))
def _equal_in_row(given: Given, common: Common) -> Check:
    return EqualInRow(_names(given), ignore=_ignore(given, _MULTI_IGNORE), **common)


@_maps("expect_compound_columns_to_be_unique", MULTI_MAP, AllDistinct, needs="column_list", takes=("ignore_row_if",))
def _compound(given: Given, common: Common) -> Check:
    return AllDistinct(_names(given), ignore=_ignore(given, _MULTI_IGNORE), **common)


# --- a column as a whole ------------------------------------------------------------------------------------------

_STATISTICS = {
    "expect_column_max_to_be_between": "max",
    "expect_column_min_to_be_between": "min",
    "expect_column_mean_to_be_between": "mean",
    "expect_column_median_to_be_between": "median",
    "expect_column_stdev_to_be_between": "std",
    "expect_column_sum_to_be_between": "sum",
    "expect_column_unique_value_count_to_be_between": "n_distinct",
    "expect_column_proportion_of_unique_values_to_be_between": "share_distinct",
}


def _statistic(statistic: str) -> Callable[[Given, Common], Check]:
    def make(given: Given, common: Common) -> Check:
        return StatisticBetween(given["column"], statistic, **_bounds(given, needs_one=False), **common)

    return make


for _name, _of in _STATISTICS.items():
    _maps(_name, COLUMN, StatisticBetween, needs="column", takes=BOUNDS)(_statistic(_of))


@_maps("expect_column_proportion_of_non_null_values_to_be_between", COLUMN, ThereShare, needs="column", takes=BOUNDS)
def _there(given: Given, common: Common) -> Check:
    return ThereShare(given["column"], **_bounds(given, needs_one=False), **common)


def _distinct(compared: Compared) -> Callable[[Given, Common], Check]:
    def make(given: Given, common: Common) -> Check:
        return DistinctValues(given["column"], _values(given), compared, **common)

    return make


for _name, _compared in (("to_be_in_set", "in"), ("to_contain_set", "contain"), ("to_equal_set", "equal")):
    _maps(f"expect_column_distinct_values_{_name}", COLUMN, DistinctValues, needs="column value_set")(
        _distinct(_compared)  # type: ignore[arg-type]
    )


@_maps(
    "expect_column_most_common_value_to_be_in_set", COLUMN, MostCommon, needs="column value_set", takes=("ties_okay",)
)
def _most_common(given: Given, common: Common) -> Check:
    return MostCommon(given["column"], _values(given), bool(given.get("ties_okay")), **common)


@_maps(
    "expect_column_quantile_values_to_be_between",
    COLUMN,
    Quantiles,
    needs="column quantile_ranges",
    takes=("allow_relative_error",),
)
def _quantiles(given: Given, common: Common) -> Check:
    ranges = given["quantile_ranges"]
    how: Any = given.get("allow_relative_error") or "nearest"
    if how not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise DataError(f"allow_relative_error={how!r} is no way to interpolate")
    bounds = tuple((low, high) for low, high in ranges["value_ranges"])
    return Quantiles(given["column"], tuple(ranges["quantiles"]), bounds, how, **common)


# --- the table ----------------------------------------------------------------------------------------------------


@_maps("expect_column_to_exist", TABLE, HasColumn, needs="column", takes=("column_index",))
def _exists(given: Given, common: Common) -> Check:
    return HasColumn(given["column"], given.get("column_index"), **common)


@_maps("expect_table_columns_to_match_ordered_list", TABLE, ColumnSet, needs="column_list")
def _ordered_list(given: Given, common: Common) -> Check:
    return ColumnSet(_names(given), ordered=True, **common)


@_maps("expect_table_columns_to_match_set", TABLE, ColumnSet, needs="column_set", takes=("exact_match",))
def _column_set(given: Given, common: Common) -> Check:
    exact = given.get("exact_match")
    return ColumnSet(_names(given, "column_set"), exact is None or bool(exact), **common)


@_maps("expect_table_column_count_to_be_between", TABLE, ColumnCount, takes=("min_value", "max_value"))
def _column_count(given: Given, common: Common) -> Check:
    bounds = _bounds(given, needs_one=False)
    return ColumnCount(bounds["at_least"], bounds["at_most"], **common)


@_maps("expect_table_column_count_to_equal", TABLE, ColumnCount, needs="value")
def _columns_equal(given: Given, common: Common) -> Check:
    return ColumnCount(given["value"], given["value"], **common)


@_maps("expect_table_row_count_to_be_between", TABLE, CountOfRows, takes=BOUNDS)
def _row_count(given: Given, common: Common) -> Check:
    return CountOfRows(**_bounds(given, needs_one=False), **common)


@_maps("expect_table_row_count_to_equal", TABLE, CountOfRows, needs="value")
def _rows_equal(given: Given, common: Common) -> Check:
    return CountOfRows(given["value"], given["value"], **common)


REFUSED: dict[str, str] = {
    "expect_column_kl_divergence_to_be_less_than": "use SameDistribution(column, reference)",
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": "it draws at random: SameDistribution with 'ks'",
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": "use SameDistribution with 'ks'",
    "expect_column_chisquare_test_p_value_to_be_greater_than": "use SameDistribution with 'psi'",
    "expect_column_pair_cramers_phi_value_to_be_less_than": "there is no such check",
    "expect_column_values_to_be_dateutil_parseable": "dateutil guesses: name the format, "
    "expect_column_values_to_match_strftime_format",
    "expect_column_values_to_not_be_outliers": "give the bounds: expect_column_values_to_be_between",
    "expect_column_type_to_be": "use expect_column_values_to_be_of_type",
    "expect_column_values_to_be_json_parseable": "there is no such check",
    "expect_column_values_to_match_json_schema": "there is no such check",
    "expect_multicolumn_values_to_be_unique": "say what is meant: expect_compound_columns_to_be_unique (a key) or "
    "expect_select_column_values_to_be_unique_within_record",
    "expect_query_results_to_match_comparison": "it runs SQL in a database",
    "expect_table_row_count_to_equal_other_table": "it looks into a database: use RowCount",
    "unexpected_rows_expectation": "use Expression('...'), which the rows must keep",
}
"""Core expectations that become no check, and what to do."""
