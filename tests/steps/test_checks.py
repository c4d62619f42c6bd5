"""What each check finds, on Polars and on DuckDB alike."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps.checks import (
    Aggregate,
    Check,
    Columns,
    DateFormat,
    Decreasing,
    Expression,
    Finding,
    ForeignKey,
    Fresh,
    HasType,
    Increasing,
    InRange,
    IsKind,
    Length,
    Matches,
    MissingShare,
    NoDuplicates,
    NoMatch,
    NoneOf,
    NotMissing,
    OneOf,
    RowCount,
    SameDistribution,
    Unique,
)
from headrace.steps.validation.looking import look

INF, NAN = float("inf"), float("nan")


@pytest.fixture(params=["polars", "duckdb"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "duckdb":
        pytest.importorskip("duckdb")
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", request.param)
    return str(request.param)


def found(columns: Any, check: Check, **tables: Any) -> tuple[Finding, list[int]]:
    frame = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(columns, strict=False)
    looked = look(Table.of(frame), [check], {name: pl.DataFrame(t) for name, t in tables.items()})
    return looked.findings[0], [row for row, bad in enumerate(looked.rows_that_break(0)) if bad]


@pytest.mark.parametrize(
    ("check", "values", "bad", "n_looked_at"),
    [
        (NotMissing("v"), [1.0, None, NAN, INF], [1, 2], 4),
        (InRange("v", 0, 10), [0.0, 10.0, -0.1, 10.1, None, NAN, INF, -INF], [2, 3, 6, 7], 6),
        (InRange("v", 0, 10, strict_low=True, strict_high=True), [0, 1, 9, 10, None], [0, 3], 4),
        (InRange("v", at_least="2024-01-31"), [date(2024, 1, 30), date(2024, 1, 31), None], [0], 2),
        (OneOf("v", ("å", "ß", "日本")), ["å", "å", "日本", None, "SS"], [4], 4),
        (OneOf("v", (1.0, 2)), [1.0, 2.0, NAN, None, INF], [4], 3),
        (NoneOf("v", ("n/a", "?")), ["a", "?", None, "n/a "], [1], 3),
        (NoneOf("v", (1,)), [1, 2, None], [0], 2),
        (NoneOf("v", (True,)), [True, False, None], [0], 2),
        (Matches("v", r"\d+"), ["12", "1a", "٣", None, ""], [1, 4], 4),
        (Matches("v", r"[\w.-]+@[a-z]+"), ["ö.b-c@x", "a b@x", "a@X"], [1, 2], 3),
        (Matches("v", r"\S+\s\S+"), ["a b", "a\u00a0b", "ab", "a\nb"], [2], 4),
        (Matches("v", r"[^\s]+"), ["a", "a b", "a\u2003b"], [1, 2], 3),
        (Matches("v", r"[][]x"), ["[x", "]x", "x"], [2], 3),
        (NoMatch("v", "a.*"), ["abc", "bca", None], [0], 2),
        (Length("v", 2, 3), ["a", "åå", "日本語", "abcd", None, ""], [0, 3, 5], 5),
        (Length("v", at_most=1), ["", "ab"], [1], 2),
        (Unique(("v",)), ["a", "b", "a", None, None, "a"], [2, 5], 4),
        (Unique(("v",)), [1, 2, 3, None, 2, 1], [4, 5], 5),
        (Unique(("v",)), [3, 2, 1], [], 3),
        (Unique(("v",)), [0.0, -0.0, NAN, NAN, None], [1], 2),
        (Unique(("v",), where="v > 1"), [1, 1, 2, 2, 3], [3], 3),
        (NoDuplicates(), ["a", None, "a", None], [2, 3], 4),
        (Increasing("v"), [1, 2, 2, None, 1, 3], [4], 5),
        (Increasing("v", strict=True), [1, 2, 2, None, 3], [2], 4),
        (Decreasing("v"), [3.5, 2.5, NAN, 2.6, None], [3], 3),
        (Decreasing("v", strict=True), [date(2024, 1, 2), date(2024, 1, 2), date(2024, 1, 1)], [1], 3),
        (Increasing("v"), [datetime(2024, 1, 1), None, datetime(2023, 1, 1)], [2], 2),
        (IsKind("v", "number"), ["1", "1e3", "x", None, "NaN"], [2, 4], 4),
        (IsKind("v", "number"), [1.0, NAN, None], [], 1),
        (Expression("v * 2 <= 10"), [5, 6, None], [1], 2),
        (Expression("v * 4 > 0 and -v < 0 and abs(v) > 1"), [2**62, -(2**63), 3], [1], 3),
        (IsKind("v", "datetime"), ["2024-01-01T10:00:00.5", "2024-01-01 10:00:00", "2024-01-01", None], [2], 3),
        (Expression("v is missing or v > 0", where="v is missing or v != 7"), [1, -1, None, 7], [1], 3),
    ],
)
def test_which_rows_break_a_check(
    engine: str, check: Check, values: list[Any], bad: list[int], n_looked_at: int
) -> None:
    finding, rows = found({"v": values}, check)
    assert rows == bad
    assert (finding.n_bad, finding.n_looked_at, finding.passed) == (len(bad), n_looked_at, not bad)
    assert finding.rows == tuple(bad[:5])
    assert len(finding.examples) == len(finding.rows)


@pytest.mark.parametrize(
    ("format", "right", "wrong"),
    [
        (
            "%Y-%m-%d",
            ["2024-02-29", "2023-02-28", "2000-02-29", "2024-1-5"],
            ["2023-02-29", "1900-02-29", "2024-04-31"],
        ),
        ("%d.%m.%y %H:%M", ["31.12.99 23:59", "1.1.00 0:00"], ["31.11.99 10:00", "01.01.00 24:00", "01.01.00"]),
        ("%d %b %Y", ["3 Feb 2024", "30 nov 2024"], ["30 Feb 2024", "31 Sep 2024", "3 Foo 2024"]),
        ("%I:%M %p", ["12:30 pm", "1:05 AM"], ["13:00 pm", "12:60 am"]),
        ("%H:%M:%S.%f", ["10:00:00.123456", "1:2:3.4"], ["10:00:00", "10:00:00.1234567"]),
    ],
)
def test_formats_of_dates_as_python_reads_them(engine: str, format: str, right: list[str], wrong: list[str]) -> None:
    for text in right:
        datetime.strptime(text, format)
    for text in wrong:
        with pytest.raises(ValueError):
            datetime.strptime(text, format)
    assert found({"v": [*right, *wrong, None]}, DateFormat("v", format))[1] == [
        *range(len(right), len(right) + len(wrong))
    ]


def test_a_foreign_key_stands_in_another_table(engine: str) -> None:
    rows = {"id": [1, 2, None, 9, 9], "a": ["x", "y", "x", "x", None]}
    finding, bad = found(rows, ForeignKey("id", "others", "key"), others={"key": [1, 2, 3]})
    assert (bad, finding.n_looked_at, finding.examples) == ([3, 4], 4, ("9", "9"))
    assert found(rows, ForeignKey("id", "others", "key"), others={"key": [1.0, 2.0, 9.0]})[1] == []
    both = ForeignKey(("id", "a"), "others")
    assert found(rows, both, others={"id": [1, 2], "a": ["x", "x"]})[1] == [1, 3]
    assert found(rows, ForeignKey("id", "others", "key", where="a = 'x'"), others={"key": [1]})[1] == [3]
    with pytest.raises(DataError, match=r"names a table 'othrs', which isn't given.\nHint: did you mean 'others'"):
        found(rows, ForeignKey("id", "othrs"), others={"id": [1]})
    with pytest.raises(DataError, match=r"compares 'a' \(String\) with 'id' \(Int64\)"):
        found(rows, ForeignKey("a", "others", "id"), others={"id": [1]})


def test_mostly_and_where(engine: str) -> None:
    rows = {"v": [1, 2, 3, 4, 5, 6, 7, 8, 9, -1], "w": ["a"] * 9 + ["b"]}
    assert found(rows, InRange("v", 0, mostly=0.9))[0].passed
    assert not found(rows, InRange("v", 0, mostly=0.91))[0].passed
    finding, bad = found(rows, InRange("v", 2, where="w = 'a'", mostly=8 / 9))
    assert (bad, finding.n_looked_at, finding.passed, finding.rule) == ([0], 9, True, "v within 2.. where w = 'a'")
    assert finding.value == 8 / 9


@pytest.mark.parametrize(
    ("check", "values", "passed", "value"),
    [
        (MissingShare("v", 0.5), [1, None, None, 4], True, 0.5),
        (MissingShare("v", 0.4), [1.0, NAN, None, 4.0], False, 0.5),
        (RowCount(1, 3), [1, 2, None], True, 3),
        (RowCount(at_least=4), [1, 2, None], False, 3),
        (Aggregate("v", "mean", 2, 2), [1.0, 3.0, None, NAN], True, 2.0),
        (Aggregate("v", "mean", 0), [INF, -INF], False, None),
        (Aggregate("v", "std", 0, 2), [1, 3, None], True, 2**0.5),
        (Aggregate("v", "std", 0, 2), [1], False, None),
        (Aggregate("v", "median", 2, 3), [1, 2, 3, 4, None], True, 2.5),
        (Aggregate("v", "quantile:0.9", 0, 3.7), [1, 2, 3, 4], True, 3.7),
        (Aggregate("v", "sum", 2**63, 2**63), [2**62, 2**62, None], True, 2.0**63),
        (Aggregate("v", "sum", 0, 0), [None, NAN], True, 0.0),
        (Aggregate("v", "min", 1), [1, 5, None], True, 1.0),
        (Aggregate("v", "max", at_most=4), [1, 5], False, 5.0),
        (Aggregate("v", "max", "2024-01-01", "2024-12-31"), [date(2024, 5, 1), None], True, None),
        (Aggregate("v", "max", "2024-01-01", "2024-12-31"), [datetime(2025, 5, 1), None], False, None),
        (Aggregate("v", "n_distinct", 2, 2), ["a", "b", "b", None], True, 2.0),
        (Aggregate("v", "share_distinct", 0.5, 0.7), ["a", "b", "b", None], True, 2 / 3),
        (Aggregate("v", "mean", 0), [None, NAN], False, None),
        (Aggregate("v", "sum", 4, 4, where="v > 1"), [1, 4, None], True, 4.0),
        (Fresh("v", "2 days", "2024-01-03"), [date(2024, 1, 1), None], True, 2 * 86400.0),
        (Fresh("v", "1 day", "2024-01-03"), [date(2024, 1, 1)], False, 2 * 86400.0),
        (Fresh("v", "90 minutes", "2024-01-03T12:00:00"), [datetime(2024, 1, 3, 11)], True, 3600.0),
        (Fresh("v", "2 days", "2024-01-03"), [date(2024, 1, 4)], False, -86400.0),
        (SameDistribution("v", (("a", 1), ("b", 1)), "tv", 0.25), ["a", "b", "b", "c", None], True, 0.25),
        (SameDistribution("v", ((1, 1), (2, 1), (None, 2)), "ks", 0.0), [1, 2, 3, 4], True, 0.0),
        (SameDistribution("v", ((1, 1), (None, 1)), "js", 0.5), [2.0, 3.0], False, 0.5579230452841438),
    ],
)
def test_what_the_whole_table_is_like(
    engine: str, check: Check, values: list[Any], passed: bool, value: float | None
) -> None:
    frame = pl.DataFrame({"v": pl.Series(values, strict=False)})
    finding, _ = found(frame, check)
    assert finding.passed is passed, finding
    assert finding.value == (None if value is None else pytest.approx(value, rel=1e-12)), finding
    assert finding.observed and finding.expected


def test_columns_and_their_types(engine: str) -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]}, schema={"a": pl.Int32, "b": pl.String})
    assert found(frame, Columns(("b", "a")))[0].passed
    assert not found(frame, Columns(("b", "a"), ordered=True))[0].passed
    assert found(frame, Columns(("a",), exact=True))[0].observed == "'b' is one too many"
    assert found(frame, Columns(("a", "bb")))[0].observed == "'bb' is missing (did you mean 'b'?)"
    assert found(frame, HasType("a", "integer"))[0].passed
    assert found(frame, HasType("a", "int32"))[0].passed
    assert found(frame, HasType("b", "integer"))[0].observed == "text"


def test_types_that_are_rarer(engine: str) -> None:
    frame = pl.DataFrame(
        {
            "listed": [[1, 2], [1, 2], [3]],
            "enum": pl.Series(["1", "1", "b"], dtype=pl.Enum(["1", "b"])),
            "category": pl.Series(["x", "x", None], dtype=pl.Categorical),
            "decimal": pl.Series(["1.5", "1.5", "2"]).cast(pl.Decimal(10, 2)),
            "span": [timedelta(1)] * 3,
            "wide": pl.Series([2**64 - 1, 2**64 - 1, 0], dtype=pl.UInt64),
        }
    )
    checks: list[tuple[Check, list[int]]] = [
        (NoDuplicates(), [1]),
        (Unique(("enum", "decimal")), [1]),
        (Unique("wide"), [1]),
        (OneOf("category", ("y",)), [0, 1]),
        (Matches("enum", "[0-9]"), [2]),
        (Length("category", 2), [0, 1]),
        (IsKind("enum", "integer"), [2]),
        (InRange("decimal", 0, 1.7), [2]),
        (InRange("wide", 0, 10), [0, 1]),
        (Expression("enum = '1' and category = 'x'"), [2]),
    ]
    for check, bad in checks:
        assert found(frame, check)[1] == bad, check


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_an_empty_table(engine: str, kind: Any) -> None:
    frame = pl.DataFrame({"v": []}, schema={"v": kind})
    checks: list[Check] = [NotMissing("v"), MissingShare("v", 0), Unique(("v",)), NoDuplicates(), RowCount(0, 0)]
    checks += [Aggregate("v", "n_distinct", 0, 0), ForeignKey("v", "others")]
    checks += [Matches("v", "x"), OneOf("v", ("a",))] if kind == pl.String else [InRange("v", 0), Increasing("v")]
    looked = look(Table.of(frame), checks, {"others": frame})
    assert [f.rule for f in looked.findings if not f.passed] == []
    assert looked.n_rows == 0
