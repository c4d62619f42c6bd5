"""Text read as numbers, days and moments, by expressions alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind
from headrace.steps.parsing import as_kind


def read(values: list[Any], kind: Kind, dtype: Any = pl.String) -> list[Any]:
    frame = nw.from_native(pl.LazyFrame({"v": pl.Series(values, dtype=dtype)}))
    return frame.select(as_kind("v", frame.collect_schema()["v"], kind)).collect().to_native()["v"].to_list()


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("number", ["1", "-2.5", "1e3", ".5", "5.", "+1"], [1.0, -2.5, 1000.0, 0.5, 5.0, 1.0]),
        ("number", ["", "x", "1,5", "1 2", "inf", "nan", "0x1", "1e", "--1", None], [None] * 10),
        ("integer", ["1", "-2", "3.0", "900719925474099312"], [1, -2, 3, 900719925474099312]),
        ("integer", ["1.5", "x", "", "9" * 19, "1e3", None], [None] * 6),
        ("boolean", ["true", "FALSE", "True", "1", "", None], [True, False, True, None, None, None]),
        ("date", ["2024-02-29", "2023-02-29", "2023-13-01", "2023-04-31", "2000-02-29", "1900-02-29", "24-1-1", "x"],
         [date(2024, 2, 29), None, None, None, date(2000, 2, 29), None, None, None]),
        ("datetime", ["2024-01-01T10:00:00", "2024-01-01 10:00:00.5", "2024-01-01", "2024-01-01T24:00:00", None],
         [datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, 0, 0, 500000), None, None, None]),
    ],
)  # fmt: skip
def test_text(kind: Kind, texts: list[Any], values: list[Any]) -> None:
    assert read(texts, kind) == values


@pytest.mark.parametrize(
    ("dtype", "values", "kind", "expected"),
    [
        (pl.Float64, [1.0, 1.5, float("nan"), None, 1e300, float("inf")], "integer", [1, None, None, None, None, None]),
        (pl.Float64, [1.5, float("nan"), float("inf")], "number", [1.5, None, float("inf")]),
        (pl.Int32, [1, None], "number", [1.0, None]),
        (pl.Boolean, [True, None], "number", [1.0, None]),
        (pl.Boolean, [True, False], "integer", [1, 0]),
        (pl.Int64, [5], "text", ["5"]),
        (pl.Date, [date(2024, 1, 2)], "datetime", [datetime(2024, 1, 2)]),
        (pl.Datetime("us"), [datetime(2024, 1, 2, 3)], "date", [date(2024, 1, 2)]),
    ],
)
def test_other_kinds(dtype: Any, values: list[Any], kind: Kind, expected: list[Any]) -> None:
    assert read(values, kind, dtype) == expected


def test_what_can_never_be_read_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"Column 'v' is Boolean, which can't be read as date.\nHint: leave this check out"
    ):
        read([True], "date", pl.Boolean)


def python_date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if len(text) == 10 else None
    except ValueError:
        return None


@given(st.lists(st.builds("{:04d}-{:02d}-{:02d}".format, st.integers(1, 9999), st.integers(0, 14), st.integers(0, 33))))
def test_the_calendar_is_pythons(texts: list[str]) -> None:
    assert read(texts, "date") == [python_date(text) for text in texts]


@given(st.lists(st.text("0123456789+-.eE ", max_size=8), max_size=20))
def test_numbers_are_pythons(texts: list[str]) -> None:
    def python_number(text: str) -> float | None:
        try:
            return float(text) if text == text.strip() else None
        except ValueError:
            return None

    assert read(texts, "number") == [python_number(text) for text in texts]


def test_equal_on_duckdb() -> None:
    """The expressions are the engines' common ones: DuckDB reads the same (but for moments)."""
    texts = ["1", "-2.5", "x", None, "2024-02-29", "2023-02-29", "2024-01-01T10:00:00", "true", "3.0"]
    table = pl.DataFrame({"v": texts}).to_arrow()
    kinds: tuple[Kind, ...] = ("number", "integer", "boolean", "date")
    for kind in kinds:
        frame = nw.from_native(duckdb.from_arrow(table))
        other = frame.select(as_kind("v", frame.collect_schema()["v"], kind)).collect("polars").to_native()
        assert other["v"].to_list() == read(texts, kind)
