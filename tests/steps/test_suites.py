"""Suites as YAML and as Python: what is written is read again, and what is wrong is told with its line."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps.checks import (
    CHECKS,
    Aggregate,
    Check,
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
)
from headrace.steps.suites import Suite

EACH: tuple[Check, ...] = (
    IsKind("a", "number"),
    NotMissing("a", severity="warn", mostly=0.99, where="b > 0"),
    MissingShare("a", 0.1),
    InRange("a", float("-inf"), 1e20, strict_high=True),
    InRange("day", date(2024, 1, 31), datetime(2024, 2, 1, 12, 30)),
    OneOf("a", ("no", "yes", "010", "1e3", "~", "2024-01-31", "1:30", "", "null", "å: #", "- x", "=")),
    OneOf("a", (True, False)),
    NoneOf("a", (1, 2)),
    Matches("a", r"\d+: 'x'"),
    NoMatch("a", "x # y"),
    Length("a", 2),
    DateFormat("a", "%d.%m.%Y"),
    InOrder("a", "b"),
    Expression("a + 1 < b and c in ('x', 'y''z')"),
    Unique(("a", "b")),
    NoDuplicates(),
    Increasing("a"),
    Decreasing("a", strict=True),
    ForeignKey("a", "others", "id"),
    Columns(("a", "b"), exact=True, ordered=True),
    HasType("a", "integer"),
    RowCount(1),
    Aggregate("a", "quantile:0.9", 0, 1.5),
    Fresh("a", "2 days", "2024-01-31"),
    SameDistribution("a", (("x", 0.5), ("y", 0.5)), at_most=0.1),
    SameDistribution("a", ((1, 0.5), (None, 0.5)), "ks"),
)


def test_every_check_survives_yaml_and_python() -> None:
    assert {type(check) for check in EACH} == set(CHECKS)
    suite = Suite(EACH, {"others": "others.parquet"})
    again = Suite.from_yaml(suite.to_yaml({0: "why\nand how"}))
    assert again == suite
    assert [repr(check) for check in again.checks] == [repr(check) for check in EACH]
    made: dict[str, Any] = {}
    exec(suite.to_python(), made)
    assert made["CHECKS"] == EACH


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(min_size=1), st.floats(allow_nan=False), st.integers())
@settings(max_examples=60)
def test_any_text_and_number_survives(texts: list[str], column: str, number: float, whole: int) -> None:
    suite = Suite((OneOf(column, tuple(texts)), InRange(column, at_least=number), NoneOf("n", (whole,))))
    again = Suite.from_yaml(suite.to_yaml())
    assert [repr(check) for check in again.checks] == [repr(check) for check in suite.checks]


def test_yaml_as_one_writes_it(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("""\
# what must hold
tables:
  plans: data/plans.csv
checks:
  - {check: OneOf, column: smoker, values: [yes, no]}
  - check: InRange
    column: day
    at_least: 2024-01-31
  - check: ForeignKey
    column: plan
    table: plans
""")
    suite = Suite.load(tmp_path / "suite.yaml")
    assert suite.checks == (
        OneOf("smoker", ("yes", "no")),
        InRange("day", date(2024, 1, 31)),
        ForeignKey("plan", "plans"),
    )
    assert suite.tables == {"plans": str(tmp_path / "data/plans.csv")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "checks:\n  - check: InRnge\n    column: a\n",
            r"There is no check 'InRnge' \(suite:2\).\nHint: did you mean 'InRange'",
        ),
        (
            "checks:\n  - check: InRange\n    colum: a\n",
            r"A check has no 'colum' \(suite:3\).\nHint: did you mean 'column'",
        ),
        (
            "checks:\n  - check: NotMissing\n    column: a\n    values: [1]\n",
            r"NotMissing has no 'values' \(suite:2\)",
        ),
        ("checks:\n  - check: OneOf\n    column: a\n", r"OneOf needs 'values', but got .*\(suite:2\)"),
        ("check:\n  - check: OneOf\n", r"A suite has no 'check' \(suite:1\).\nHint: did you mean 'checks'"),
        ("checks:\n  check: OneOf\n", r"'checks' is a list \(suite:2\)"),
        ("checks:\n  - NotMissing\n", r"A check is made of 'name: value' lines, but this is a scalar \(suite:2\)"),
        ("", "The suite is empty"),
        ("version: 2\nchecks: []\n", r"of version 2, not 1 \(suite:1\)"),
        ("checks: [\n", r"This is no YAML: .* \(suite:2\)"),
        (
            "checks:\n  - check: NotMissing\n    column: 5\n",
            r"'column' is text, but got 5 \(suite:3\).\nHint: put it in quotes",
        ),
        ("checks:\n  - check: NotMissing\n    column: a\n    column: b\n", r"'column' stands twice \(suite:4\)"),
        (
            "checks:\n  - check: InRange\n    column: a\n    at_least: [1]\n    at_most: 2\n",
            r"can't be compared .* \(suite:2\)",
        ),
        ("checks:\n  - &a {check: NotMissing, column: a}\n  - *a\n", "aliases aren't read"),
        ("checks:\n  - check: !!python/name:os.system\n    column: a\n", r"This value can't be read: .* \(suite:2\)"),
        ("checks:\n  - check: Expression\n    expression: __import__('os')\n", "There is no function '__import__'"),
        ("tables: [a]\nchecks: []\n", "'tables' gives a file for each name"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Suite.from_yaml(text)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"There is no file '.*siute.yaml'.\nHint: did you mean 'suite.yaml'"):
        Suite.load(tmp_path / "siute.yaml")
    with pytest.raises(DataError, match="can't be read as a suite"):
        Suite.load(tmp_path / "suite.yaml")
    with pytest.raises(DataError, match=r"nested too deep|no YAML"):
        Suite.from_yaml("[" * 100_000)
