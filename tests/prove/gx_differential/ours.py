"""The same cases in Headrace, on either engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from headrace.core.errors import DataError
from headrace.formats.table import ENGINE_VARIABLE, Table
from headrace.steps.great_expectations.results import validate_expectations
from headrace.steps.great_expectations.suite import read_expectation

ODD = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
TYPES = {"integer": pl.Int64, "number": pl.Float64, "text": pl.String, "boolean": pl.Boolean}


def table_of(columns: dict[str, dict[str, Any]]) -> pl.DataFrame:
    made = []
    for name, column in columns.items():
        values, kind = column["values"], column["kind"]
        if kind == "number":
            values = [ODD.get(value, value) if isinstance(value, str) else value for value in values]
            values = [None if value is None else float(value) for value in values]
        if kind == "datetime":
            made.append(pl.Series(name, values, dtype=pl.String).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us"))
        else:
            made.append(pl.Series(name, values, dtype=TYPES[kind]))
    return pl.DataFrame(made)


@contextmanager
def on(engine: str) -> Iterator[None]:
    before = os.environ.get(ENGINE_VARIABLE)
    os.environ[ENGINE_VARIABLE] = engine
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENGINE_VARIABLE]
        else:
            os.environ[ENGINE_VARIABLE] = before


def judged(columns: dict[str, dict[str, Any]], expectations: list[dict[str, Any]], engine: str) -> list[dict[str, Any]]:
    """Judge all expectations about a table in one go."""
    found: list[dict[str, Any]] = [{} for _ in expectations]
    read = []
    for place, written in enumerate(expectations):
        try:
            read.append((place, read_expectation(written)))
        except DataError as error:
            found[place] = {"refused": str(error)}
    with on(engine):
        results = validate_expectations(
            Table.of(table_of(columns)), [each for _, each in read], result_format="COMPLETE"
        )
    for (place, _), result in zip(read, results, strict=True):
        raised = result.exception_info.exception_message
        found[place] = {"raised": raised} if raised else {"success": result.success, "result": result.result}
    return found
