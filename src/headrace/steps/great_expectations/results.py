"""Results in Great Expectations' own shape, for what reads it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from headrace.core.errors import DataError, near_miss
from headrace.steps.great_expectations.evaluating import ROW, Evaluated, Wanted, evaluate
from headrace.steps.great_expectations.suite import Expectation, ExpectationSuite
from headrace.steps.kinds import kind_of
from headrace.steps.tables import scan

Level = Literal["BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE"]
LEVELS: tuple[Level, ...] = ("BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE")


class Fields(dict[str, Any]):
    """A dict whose entries can be asked for as attributes too, as tutorials do either way."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(self)}") from None

    def to_json_dict(self) -> dict[str, Any]:
        """Give it as plain JSON: days and moments as text, NaN and infinities as None."""
        return {name: _plain(value) for name, value in self.items()}

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON."""
        return self.to_json_dict()

    def __str__(self) -> str:
        import json

        return json.dumps(self.to_json_dict(), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    return value


@dataclass(frozen=True)
class ResultFormat:
    """How much a result tells."""

    level: Level = "BASIC"
    n_partial: int = 20
    index_columns: tuple[str, ...] = ()
    with_rows: bool = False
    without_values: bool = False

    @classmethod
    def read(cls, given: str | Mapping[str, Any] | None) -> ResultFormat:
        """Read ``"SUMMARY"`` or ``{"result_format": "COMPLETE", "unexpected_index_column_names": [...]}``."""
        if given is None:
            return cls()
        if isinstance(given, str):
            return cls(_level(given))
        return cls(
            _level(str(given.get("result_format", "BASIC"))),
            int(given.get("partial_unexpected_count", 20)),
            tuple(given.get("unexpected_index_column_names") or ()),
            bool(given.get("include_unexpected_rows")),
            bool(given.get("exclude_unexpected_values")),
        )

    @property
    def wanted(self) -> Wanted:
        """What has to be fetched for it."""
        if self.level == "BOOLEAN_ONLY":
            return Wanted(0)
        return Wanted(None if self.level == "COMPLETE" else self.n_partial, self.index_columns)


def _level(given: str) -> Level:
    if given not in LEVELS:
        raise DataError(f"result_format={given!r} isn't known", hint=near_miss(given, LEVELS) or ", ".join(LEVELS))
    return given


def validate_expectations(
    table: object, expectations: Sequence[Expectation], *, result_format: str | Mapping[str, Any] | None = None
) -> list[Fields]:
    """Evaluate expectations on a table, and give the results in Great Expectations' shape."""
    how = ResultFormat.read(result_format)
    schema = scan(table).collect_schema()
    kinds = {name: kind_of(dtype) for name, dtype in schema.items()}
    wanted = how.wanted
    if how.with_rows:
        wanted = Wanted(wanted.n_rows, tuple(schema))
    evaluated = evaluate(table, [expectation.bound(kinds) for expectation in expectations], wanted)
    return [_result(expectation, found, how) for expectation, found in zip(expectations, evaluated, strict=True)]


def validate_suite(
    table: object, suite: ExpectationSuite, *, result_format: str | Mapping[str, Any] | None = None
) -> Fields:
    """Evaluate a suite on a table, and give Great Expectations' validation result: as JSON by ``to_json_dict()``.

    ``result_format`` is "BOOLEAN_ONLY", "BASIC", "SUMMARY" (as GX itself does, the default) or "COMPLETE", or a dict
    with it and its options. ``success`` is false where an expectation of severity "critical" doesn't hold.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps.great_expectations import read_suite, validate_suite
    >>> suite = read_suite({
    ...     "name": "people",
    ...     "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}}],
    ... })
    >>> result = validate_suite(pl.DataFrame({"age": [36, None, 41]}), suite)
    >>> result.success, result.results[0].result.unexpected_count, result.statistics["success_percent"]
    (False, 1, 0.0)
    """
    return suite_result(
        suite, validate_expectations(table, suite.expectations, result_format=result_format or "SUMMARY")
    )


def suite_result(suite: ExpectationSuite, results: Sequence[Fields]) -> Fields:
    """Put the results of a suite's expectations together."""
    n_met = sum(bool(result["success"]) for result in results)
    statistics = Fields(
        evaluated_expectations=len(results),
        successful_expectations=n_met,
        unsuccessful_expectations=len(results) - n_met,
        success_percent=n_met / len(results) * 100 if results else None,
    )
    made = Fields(success=n_met == len(results), results=list(results), statistics=statistics)
    named = {"suite_name": suite.name, "suite_parameters": {}, "meta": dict(suite.meta), "id": None}
    if suite.form == "older":
        named = {"evaluation_parameters": {}, "meta": {**suite.meta, "expectation_suite_name": suite.name}}
    made.update(named)
    return made


def _result(expectation: Expectation, found: Evaluated, how: ResultFormat) -> Fields:
    if found.given is not None:
        given = Fields(found.given)
        given.update(expectation_config=Fields(expectation.config), result=Fields(found.given.get("result") or {}))
        return given
    made = Fields(success=found.success, expectation_config=Fields(expectation.config), result=Fields(), meta={})
    made["exception_info"] = Fields(raised_exception=False, exception_traceback=None, exception_message=None)
    if found.error is not None:
        made["exception_info"].update(raised_exception=True, exception_message=str(found.error))
    elif how.level != "BOOLEAN_ONLY":
        is_map = (
            expectation.entry is not None and expectation.entry.is_map and found.observed is None
        )  # a type is observed once for the column
        made["result"] = _map_result(expectation, found, how) if is_map else _observed_result(found)
    return made


def _observed_result(found: Evaluated) -> Fields:
    made = Fields(observed_value=found.observed, **found.more)
    if found.details:
        made["details"] = dict(found.details)
    return made


COUNTS_ALL = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")
"""Missing values are what these look at, so they tell nothing of how many there are."""


def _map_result(expectation: Expectation, found: Evaluated, how: ResultFormat) -> Fields:
    of_all = _percent(found.n_bad, found.n_elements)
    of_looked_at = _percent(found.n_bad, found.n_looked_at)
    counts_all = expectation.type in COUNTS_ALL
    made = Fields(
        element_count=found.n_elements,
        unexpected_count=found.n_bad,
        unexpected_percent=of_all if counts_all else of_looked_at,
    )
    values = _values(expectation, found)
    if not how.without_values:
        made["partial_unexpected_list"] = values[: how.n_partial]
    if how.index_columns:
        made["unexpected_index_column_names"] = list(how.index_columns)
    if not counts_all:
        n_missing = found.n_elements - found.n_looked_at
        made["missing_count"] = n_missing
        made["missing_percent"] = _percent(n_missing, found.n_elements)
        made["unexpected_percent_total"] = of_all
        made["unexpected_percent_nonmissing"] = of_looked_at
    if how.with_rows and found.rows is not None:
        made["unexpected_rows"] = [dict(row) for row in found.rows.drop(ROW).head(how.n_partial).iter_rows(named=True)]
    if how.level == "BASIC":
        return made
    numbers = _index(found, how, expectation)
    if not how.without_values:
        made["partial_unexpected_counts"] = _counts(values, how.n_partial)
    made["partial_unexpected_index_list"] = numbers[: how.n_partial]
    if how.level == "COMPLETE":
        if not how.without_values:
            made["unexpected_list"] = values
        made["unexpected_index_list"] = numbers
        if not how.index_columns:
            made["unexpected_index_query"] = f"df.filter(items={numbers}, axis=0)"
    return made


def _percent(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None


def _values(expectation: Expectation, found: Evaluated) -> list[Any]:
    if found.rows is None:
        return []
    names = found.check.columns
    # A pair may name one column twice.
    rows = list(zip(*(found.rows[name].to_list() for name in names), strict=True))
    kind = expectation.entry.kind if expectation.entry else ""
    if kind == "column map":
        return [row[0] for row in rows]
    if kind == "pair map":
        return rows
    return [dict(zip(names, row, strict=True)) for row in rows]


def _index(found: Evaluated, how: ResultFormat, expectation: Expectation) -> list[Any]:
    if found.rows is None:
        return []
    if not how.index_columns:
        return found.rows[ROW].to_list()
    names = dict.fromkeys((*found.check.columns, *how.index_columns))
    return [dict(row) for row in found.rows.select(*names).iter_rows(named=True)]


def _counts(values: Sequence[Any], n_most: int) -> list[dict[str, Any]]:
    hashable = [tuple(value.values()) if isinstance(value, dict) else value for value in values]
    common = Counter(hashable).most_common(n_most)
    try:
        common.sort(key=lambda pair: (-pair[1], pair[0]))
    except TypeError:
        return [{"error": "partial_exception_counts requires a hashable type"}]
    return [{"value": value, "count": count} for value, count in common]
