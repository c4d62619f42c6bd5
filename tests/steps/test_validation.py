"""Good rows go on, bad ones are set aside, and none is lost."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps import validate
from headrace.steps.checks import (
    CHECKS,
    Aggregate,
    Columns,
    DateFormat,
    Decreasing,
    Expression,
    ForeignKey,
    Fresh,
    HasType,
    Increasing,
    InOrder,
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
    read_checks,
)

INF, NAN = float("inf"), float("nan")


def run(columns: dict[str, Any], *checks: Any, most: float = 1.0) -> tuple[list[Any], list[Any], Any]:
    good, aside, findings = validate(pl.DataFrame(columns, strict=False), checks, max_bad_share=most)
    return good.polars().collect().rows(), aside.polars().collect().rows(), findings


@pytest.mark.parametrize(
    ("check", "values", "bad"),
    [
        (NotMissing("v"), ["a", None, ""], [1]),
        (NotMissing("v"), [1.0, None, NAN], [1, 2]),
        (InRange("v", 0, 10), [0.0, 10.0, -0.1, 10.1, None, NAN, INF, -INF], [2, 3, 6, 7]),
        (InRange("v", at_least=0), [5.0, -5.0, INF, -INF], [1, 2, 3]),
        (InRange("v", at_most=0), [5, -5, None], [0]),
        (InRange("v", "2024-01-01", "2024-12-31"), [date(2023, 12, 31), date(2024, 5, 5), None], [0]),
        (OneOf("v", ("a", "b")), ["a", "c", None, "A"], [1, 3]),
        (OneOf("v", (1, 2)), [1, 3, None], [1]),
        (Matches("v", "a+|b"), ["aa", "b", "ab", "xaa", None, ""], [2, 3, 5]),
        (Unique(("v",)), ["a", "b", "a", None, None, "a"], [2, 5]),
    ],
)
def test_which_rows_break_a_rule(check: Any, values: list[Any], bad: list[int]) -> None:
    columns = {"row": list(range(len(values))), "v": values}
    good, aside, findings = run(columns, check)
    assert [row[0] for row in aside] == bad
    assert [row[0] for row in good] == [row for row in range(len(values)) if row not in bad]
    assert all(row[-1] == check.rule for row in aside)
    (finding,) = findings.findings
    assert (finding.n_bad, finding.share) == (len(bad), len(bad) / len(values))


def test_two_columns_in_order() -> None:
    _, aside, _ = run({"a": [1, 2, None, 4], "b": [2, 1, 1, 4]}, InOrder("a", "b"))
    assert aside == [(2, 1, "a not after b")]


def test_keys_of_two_columns() -> None:
    _, aside, _ = run({"a": [1, 1, 1, 1], "b": ["x", "y", "x", None], "n": [0, 1, 2, 3]}, Unique(("a", "b")))
    assert aside == [(1, "x", 2, "a + b unique")]


def test_is_kind_reads_the_column_for_the_other_checks_and_for_the_good_rows() -> None:
    good, aside, findings = run(
        {"age": ["30", "x", "200", None], "day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-02-30"]},
        IsKind("age", "integer"),
        InRange("age", 0, 120),
        IsKind("day", "date"),
    )
    assert good == [(30, date(2024, 1, 1))]
    assert aside == [
        ("x", "2024-01-02", "age is an integer"),
        ("200", "2024-01-03", "age within 0..120"),
        (None, "2024-02-30", "day is a date"),
    ]
    assert [finding.examples for finding in findings.findings] == [("'x'",), ("'200'",), ("'2024-02-30'",)]


def test_several_reasons_stand_together() -> None:
    _, aside, findings = run({"a": [-1, 1, 1]}, InRange("a", 0, 9), OneOf("a", (1,)), Unique(("a",)))
    assert aside == [(-1, "a within 0..9; a one of 1"), (1, "a unique")]
    assert (findings.n_rows, findings.n_good, findings.n_quarantined) == (3, 1, 2)


def test_a_warning_only_counts() -> None:
    good, aside, findings = run({"a": [1, -1]}, InRange("a", 0, 9, severity="warn"))
    assert (len(good), aside) == (2, [])
    assert (findings.findings[0].n_bad, findings.findings[0].passed) == (1, False)


def test_at_most_five_examples() -> None:
    _, _, findings = run({"a": list(range(-9, 0))}, InRange("a", 0))
    assert findings.findings[0].examples == ("-9", "-8", "-7", "-6", "-5")


def test_missing_share_looks_at_the_whole() -> None:
    good, aside, findings = run({"a": [1, None, None, 4]}, MissingShare("a", 0.5))
    assert (len(good), len(aside), findings.findings[0].passed, findings.findings[0].share) == (4, 0, True, 0.5)
    with pytest.raises(DataError, match=r"'at most 0.4 of a is missing' must hold, but 50.0% is \(2 of 4 rows\)"):
        run({"a": [1, None, None, 4]}, MissingShare("a", 0.4))
    _, _, findings = run({"a": [1, None, None, 4]}, MissingShare("a", 0.4, severity="warn"))
    assert not findings.findings[0].passed


def test_too_many_bad_rows_stop_the_step() -> None:
    columns = {"id": range(10), "a": [-1] * 3 + [1] * 7, "s": ["x"] * 2 + ["y"] * 8}
    assert len(run(columns, InRange("a", 0), most=0.3)[1]) == 3
    with pytest.raises(DataError) as caught:
        run(columns, InRange("a", 0), OneOf("s", ("y",)), most=0.29)
    text = str(caught.value)
    assert "3 of 10 rows (30.0%) break rules, more than max_bad_share=0.29 allows" in text
    assert "a within 0..: 3 rows, such as -1, -1, -1; s one of y: 2 rows, such as 'x', 'x'" in text
    worst = [line for line in text.splitlines() if line.startswith("  ")]
    assert worst == [
        "  id=0, a=-1, s='x' → a within 0..; s one of y",
        "  id=1, a=-1, s='x' → a within 0..; s one of y",
        "  id=2, a=-1, s='y' → a within 0..",
    ]


def test_an_empty_table_passes() -> None:
    good, aside, findings = run({"a": pl.Series([], dtype=pl.Int64)}, InRange("a", 0, 1), most=0.0)
    assert (good, aside, findings.n_rows, findings.findings[0].share) == ([], [], 0, 0.0)


def test_without_checks_all_rows_are_good() -> None:
    good, aside, findings = run({"a": [1, 2]}, most=0.0)
    assert (len(good), aside, findings.findings) == (2, [], ())


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-3, 3), st.none() | st.sampled_from(["a", "b", "c", "1", "2.5"])), max_size=30
    )
)
def test_no_row_is_lost_or_doubled(rows: list[tuple[int | None, str | None]]) -> None:
    frame = pl.DataFrame(
        {"n": range(len(rows)), "v": [v for v, _ in rows], "s": [s for _, s in rows]},
        schema={"n": pl.Int64, "v": pl.Int64, "s": pl.String},
    )
    checks = [InRange("v", -1, 2), OneOf("s", (1, 2.5)), Unique(("v", "s")), NotMissing("v"), IsKind("s", "number")]
    good, aside, findings = validate(frame, checks, max_bad_share=1.0)
    kept, set_aside = good.polars().collect(), aside.polars().collect()
    assert sorted([*kept["n"], *set_aside["n"]]) == list(range(len(rows)))
    assert kept["n"].is_sorted() and set_aside["n"].is_sorted()
    assert (findings.n_good, findings.n_quarantined) == (len(kept), len(set_aside))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InRange("a"), r"InRange\('a'\) has no bound.\nHint: give at_least, at_most or both"),
        (lambda: InRange("a", 2, 1), "at_least <= at_most must hold, but got 2 and 1 for InRange"),
        (lambda: InRange("a", "soon"), r"'soon' is no day or moment \(at_least of 'a'\)"),
        (
            lambda: validate(pl.DataFrame({"a": ["1"]}), [InRange("a", 0)]),
            r"The rule 'a within 0..' is for columns of kind integer or number, but 'a' is text.\n"
            r"Hint: add IsKind\('a', 'integer'\), which sets the rows aside that can't be read so",
        ),
        (
            lambda: validate(pl.DataFrame({"a": [1]}), [OneOf("a", ("x",))]),
            "The rule 'a one of x' is for columns of kind text, but 'a' is integer",
        ),
        (
            lambda: validate(pl.DataFrame({"a": [1], "b": [date(2024, 1, 1)]}), [InOrder("a", "b")]),
            "The rule 'a not after b' compares a time with a number",
        ),
        (lambda: OneOf("a", ("x", 1)), r"OneOf\('a'\) lists values of several kinds: int, str"),
        (lambda: OneOf("a", ()), r"OneOf\('a'\) lists no value"),
        (lambda: Unique(()), r"Unique\(\) names no column"),
        (lambda: MissingShare("a", 20), "0 <= at_most <= 1 must hold, but got at_most=20.\nHint: give a share"),
        (lambda: IsKind("a", "float"), "Column 'a' is declared as 'float', which is no kind of column"),  # type: ignore[arg-type]
        (lambda: IsKind("a", "date", severity="warn"), "can't only warn: a column has one kind"),
        (lambda: Matches("a", "("), r"'\(' is no regular expression: .* \(column 'a'\)"),
        (lambda: Matches("a", "(?=x)"), "uses look-around or a back-reference .*\nHint: engines that read tables"),
        (
            lambda: validate(Table.of(pl.DataFrame({"a": [1]})), [], max_bad_share=10),
            "0 <= max_bad_share <= 1 must hold",
        ),
        (
            lambda: validate(pl.DataFrame({"age": [1]}), [InRange("ages", 0)]),
            r"The rule 'ages within 0..' looks at column 'ages', .*\nHint: did you mean 'age'\?",
        ),
        (
            lambda: validate(pl.DataFrame({"reason": [1]}), []),
            "The table has a column 'reason', which the rows set aside",
        ),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_checks_from_a_parameter_file() -> None:
    plain = [
        {"check": "InRange", "column": "age", "at_least": 18, "at_most": 110},
        {"check": "Unique", "key": ["a", "b"]},
        {"check": "OneOf", "column": "s", "values": ["x"], "severity": "warn"},
    ]
    assert read_checks(plain) == (InRange("age", 18, 110), Unique(("a", "b")), OneOf("s", ("x",), severity="warn"))
    for wrong, message in (
        ({"check": "InRnge", "column": "a"}, r"There is no check 'InRnge'.\nHint: did you mean 'InRange'\?"),
        ({"column": "a"}, r"\{'column': 'a'\} names no check.\nHint: such as check = 'IsKind'"),
        ({"check": "InRange", "colum": "a"}, r"InRange has no 'colum'.\nHint: did you mean 'column'\?"),
        ({"check": "OneOf", "column": "a"}, "OneOf needs 'values', but got "),
    ):
        with pytest.raises(DataError, match=message):
            read_checks([wrong])


def test_every_check_says_its_rule_and_columns() -> None:
    made = [
        IsKind("a", "number"),
        NotMissing("a"),
        MissingShare("a", 0.1),
        InRange("a", 0, 1),
        OneOf("a", tuple(range(20))),
        NoneOf("a", ("x", "y")),
        Matches("a", "x"),
        NoMatch("a", "x"),
        Length("a", 2),
        DateFormat("a", "%d.%m.%Y"),
        InOrder("a", "b"),
        Expression("a + 1 < b", where="b > 0"),
        Unique(("a",)),
        NoDuplicates(),
        Increasing("a"),
        Decreasing("a", strict=True),
        ForeignKey("a", "others", "id"),
        Columns(("a", "b"), exact=True, ordered=True),
        HasType("a", "integer"),
        RowCount(1),
        Aggregate("a", "quantile:0.9", 0, 1),
        Fresh("a", "2 days", "2024-01-31"),
        SameDistribution("a", (("x", 0.5), ("y", 0.5)), at_most=0.1),
    ]
    assert [type(check) for check in made] == list(CHECKS)
    assert [check.rule for check in made] == [
        "a is a number",
        "a is there",
        "at most 0.1 of a is missing",
        "a within 0..1",
        "a one of 0, 1, 2, 3, 4, 5, 6, 7 and 12 more",
        "a none of x, y",
        "a like x",
        "a not like x",
        "length of a within 2..",
        "a in the format %d.%m.%Y",
        "a not after b",
        "a + 1 < b where b > 0",
        "a unique",
        "no row stands twice",
        "a never falls",
        "a falls from row to row",
        "a stands in others.id",
        "columns a, b and no others in this order",
        "a is stored as integer",
        "number of rows within 1..",
        "quantile:0.9 of a within 0..1",
        "newest a within 2 days before 2024-01-31",
        "psi of a against its reference at most 0.1",
    ]


def test_with_nothing_set_aside_the_rows_are_the_input() -> None:
    table = Table.of(pl.DataFrame({"a": [1.0, None, 3.0]}))
    good, aside, _ = validate(table, [InRange("a", 0), IsKind("a", "number"), Unique("a")])
    assert good is table
    assert (aside.n_rows, aside.columns) == (0, ["a", "reason"])
    with_nan = Table.of(pl.DataFrame({"a": [1.0, float("nan")]}))
    assert validate(with_nan, [InRange("a", 0)]).table is with_nan
    assert validate(with_nan, [IsKind("a", "number")]).table.polars().collect()["a"].to_list() == [1.0, None]


def test_rows_that_break_a_rule_may_fail_the_step_or_go_on() -> None:
    frame = pl.DataFrame({"a": ["1", "2", "x", "-4"]})
    checks = [IsKind("a", "number", mostly=0.5), InRange("a", 0, mostly=0.6)]
    good, aside, findings = validate(frame, checks, max_bad_share=0.5)
    assert (good.polars().collect()["a"].to_list(), aside.n_rows) == ([1.0, 2.0], 2)
    assert [finding.passed for finding in findings.findings] == [True, True]
    for on_fail in ("fail", "warn"):
        good, aside, findings = validate(frame, checks, on_fail=on_fail)
        # What can't be read as a number would be lost, were the column one.
        assert (good.polars().collect()["a"].to_list(), aside.n_rows) == (["1", "2", "x", "-4"], 0)
        assert (findings.n_good, findings.n_quarantined) == (4, 0)
    strict = [InRange("b", 0, mostly=0.9), RowCount(5, severity="warn"), Aggregate("b", "mean", 3)]
    table = pl.DataFrame({"b": [1, -2, -3, 4]})
    with pytest.raises(DataError, match=r"'b within 0..' must hold, but 2 rows break it, such as -2, -3; 'mean of b"):
        validate(table, strict, on_fail="fail")
    with pytest.raises(DataError, match=r"'mean of b within 3..' must hold, but got 0"):
        validate(table, strict, max_bad_share=1)
    assert not validate(table, strict, on_fail="warn").findings.passed
    with pytest.raises(DataError, match="on_fail is 'quarantine', 'fail' or 'warn', but got 'drop'"):
        validate(table, strict, on_fail="drop")  # type: ignore[arg-type]


def test_a_foreign_key_in_the_step() -> None:
    orders, people = pl.DataFrame({"who": [1, 2, 9]}), pl.DataFrame({"id": [1, 2]})
    check = ForeignKey("who", "people", "id")
    good, aside, _ = validate(orders, [check], tables={"people": people}, max_bad_share=0.5)
    assert good.polars().collect()["who"].to_list() == [1, 2]
    assert aside.polars().collect().rows() == [(9, "who stands in people.id")]
