"""The old fluent calls: a table with ``expect_...`` methods, ``validate()`` and ``get_expectation_suite()``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import near_miss
from headrace.formats.table import Table
from headrace.steps.great_expectations.mapping import MAPPED
from headrace.steps.great_expectations.results import Fields, suite_result, validate_expectations
from headrace.steps.great_expectations.suite import (
    Expectation,
    ExpectationSuite,
    not_mapped,
    read_expectation,
    read_suite,
)

POSITIONS: dict[str, tuple[str, ...]] = {
    "expect_column_to_exist": ("column", "column_index"),
    "expect_column_quantile_values_to_be_between": ("column", "quantile_ranges", "allow_relative_error"),
}
"""Arguments by place, where they aren't what the mapping needs and then takes."""


class Dataset:
    """A table that takes Great Expectations' old calls, and remembers what was expected.

    All mapped expectations are methods, with GX's own parameters. Each is evaluated at once and gives a result whose
    fields can be had as attributes or entries. The last expectation of a kind about a column replaces the one before.

    Examples
    --------
    >>> import polars as pl
    >>> df = Dataset(pl.DataFrame({"x": [0.2, 0.4, 3.0]}))
    >>> result = df.expect_column_values_to_be_between("x", 0, 1)
    >>> result.success, result.result.unexpected_count, result.result["partial_unexpected_list"]
    (False, 1, [3.0])
    >>> df.validate().statistics.evaluated_expectations
    1
    """

    def __init__(
        self,
        table: object,
        *,
        name: str = "default",
        suite: str | Path | Mapping[str, Any] | ExpectationSuite | None = None,
    ) -> None:
        self._table = _opened(table)
        self._name = name
        self._defaults: dict[str, Any] = {"result_format": "BASIC"}
        self._expectations: list[Expectation] = []
        if suite is not None:
            read = suite if isinstance(suite, ExpectationSuite) else read_suite(suite)
            self._name, self._expectations = read.name, list(read.expectations)

    def __getattr__(self, name: str) -> Callable[..., Fields]:
        if not name.startswith("expect_"):
            raise AttributeError(f"a Dataset has no {name!r}")
        if name not in MAPPED:
            raise AttributeError(str(not_mapped(name)))

        def expect(*given: Any, **named: Any) -> Fields:
            return self._expect(name, given, named)

        expect.__name__ = name
        return expect

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *MAPPED]

    def _expect(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> Fields:
        places = POSITIONS.get(name) or (*MAPPED[name].needs, *MAPPED[name].takes, "mostly")
        if len(given) > len(places):
            raise TypeError(f"{name}() takes {len(places)} arguments by place, but got {len(given)}")
        twice = next((place for place in places[: len(given)] if place in named), None)
        if twice is not None:
            raise TypeError(f"{name}() got {twice!r} twice")
        kwargs = {**dict(zip(places, given, strict=False)), **named}
        result_format = kwargs.pop("result_format", self._defaults["result_format"])
        meta = kwargs.pop("meta", None) or {}
        for aside in ("include_config", "catch_exceptions"):
            kwargs.pop(aside, None)
        expectation = read_expectation({"expectation_type": name, "kwargs": kwargs, "meta": meta})
        self._remember(expectation)
        return validate_expectations(self._table, [expectation], result_format=result_format)[0]

    def _remember(self, expectation: Expectation) -> None:
        about = (expectation.type, expectation.check.columns, expectation.check.where)
        self._expectations = [
            each for each in self._expectations if (each.type, each.check.columns, each.check.where) != about
        ]
        self._expectations.append(expectation)

    def set_default_expectation_argument(self, argument: str, value: Any) -> None:
        """Set an argument for all calls that don't give it: ``result_format``."""
        if argument not in self._defaults:
            raise TypeError(f"there is no default {argument!r}. {near_miss(argument, self._defaults) or ''}")
        self._defaults[argument] = value

    def validate(
        self,
        expectation_suite: str | Path | Mapping[str, Any] | ExpectationSuite | None = None,
        *,
        result_format: str | Mapping[str, Any] | None = None,
        only_return_failures: bool = False,
        **_: Any,
    ) -> Fields:
        """Evaluate all that was expected of the table so far, or a suite, in one scan."""
        suite = self._suite() if expectation_suite is None else _read(expectation_suite)
        results = validate_expectations(self._table, suite.expectations, result_format=result_format or "SUMMARY")
        made = suite_result(suite, results)
        if only_return_failures:
            made["results"] = [result for result in results if not result.success]
        return made

    def get_expectation_suite(self, discard_failed_expectations: bool = True, **_: Any) -> Fields:
        """Give what was expected as a suite's JSON, without what didn't hold unless it is asked for."""
        kept = list(self._expectations)
        if discard_failed_expectations:
            results = validate_expectations(self._table, kept, result_format="BOOLEAN_ONLY")
            kept = [each for each, result in zip(kept, results, strict=True) if result.success]
        return Fields(
            data_asset_type="Dataset",
            expectation_suite_name=self._name,
            expectations=[Fields(each.config) for each in kept],
            meta={},
        )

    def save_expectation_suite(self, filepath: str | Path, discard_failed_expectations: bool = True, **_: Any) -> None:
        """Write the suite into a file."""
        suite = self.get_expectation_suite(discard_failed_expectations)
        Path(filepath).write_text(
            json.dumps(suite.to_json_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    def remove_expectation(self, expectation_type: str, column: str | None = None) -> None:
        """Forget what was expected."""
        self._expectations = [
            each
            for each in self._expectations
            if each.type != expectation_type or (column is not None and column not in each.check.columns)
        ]

    def _suite(self) -> ExpectationSuite:
        return ExpectationSuite(self._name, tuple(self._expectations), {}, "older")

    def head(self, n: int = 5) -> Any:
        """The first rows, as a Polars table."""
        return Table.of(self._table).polars().head(n).collect()


def _read(suite: str | Path | Mapping[str, Any] | ExpectationSuite) -> ExpectationSuite:
    return suite if isinstance(suite, ExpectationSuite) else read_suite(suite)


def _opened(table: object) -> object:
    return table._table if isinstance(table, Dataset) else Table.of(table)


def from_pandas(frame: Any, expectation_suite: Any = None, **_: Any) -> Dataset:
    """Take a pandas (or any other) table, as ``great_expectations.from_pandas`` did."""
    return Dataset(frame.reset_index(drop=True) if hasattr(frame, "reset_index") else frame, suite=expectation_suite)


def read_csv(path: str | Path, **options: Any) -> Dataset:
    """Read a CSV file, as ``great_expectations.read_csv`` did; ``options`` are those of `headrace.steps.ingest`."""
    from headrace.steps.ingestion import ingest

    return Dataset(ingest(Path(path), **options))


def read_parquet(path: str | Path) -> Dataset:
    """Take a Parquet file."""
    return Dataset(Table([path]))
