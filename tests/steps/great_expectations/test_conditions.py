from __future__ import annotations

from typing import Any

import narwhals as nw
import polars as pl
import pytest

from headrace.steps.checks.expressions import parse
from headrace.steps.great_expectations.conditions import ConditionError, read_condition, where_text
from headrace.steps.kinds import kind_of

ROWS = {
    "i": [1, 2, 3, None],
    "x": [0.5, None, 2.0, -1.0],
    "t": ["a", "b", None, "it's"],
    "b": [True, False, True, None],
    "my col": [1, 1, 2, 2],
    "d": ["2024-01-01", "2024-06-01", None, "2023-01-01"],
}


def held(condition: Any, parser: str | None = "pandas") -> list[bool]:
    frame = nw.from_native(pl.DataFrame(ROWS).with_columns(pl.col("d").str.to_datetime()))
    read = read_condition(condition, parser)
    assert read is not None
    kinds = {name: kind_of(dtype) for name, dtype in frame.schema.items()}
    formula = parse(where_text(read, kinds))
    formula.check(kinds)
    values = {name: nw.col(name) for name in frame.columns}
    found: list[bool] = frame.select(formula.expr(values).fill_null(False).alias("held"))["held"].to_list()
    return found


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("i > 1", "0110"),
        ("i != 1", "0111"),
        ("not i > 1", "1001"),
        ("~(i > 1)", "1001"),
        ("not (i == 1)", "0111"),
        ("1 < i <= 3", "0110"),
        ("2 > i", "1000"),
        ("i > 1 and x > 0", "0010"),
        ("i > 2 | x > 0", "1010"),
        ("not (i > 2 or x > 0)", "0101"),
        ("t == 'a'", "1000"),
        ('t == "it\'s"', "0001"),
        ("t in ['a', 'b']", "1100"),
        ("t not in ['a', 'b']", "0011"),
        ("t == ['a']", "1000"),
        ("x == x", "1011"),
        ("x.isnull()", "0100"),
        ("x.notnull() and i >= 1", "1010"),
        ("i.isin([1, 3])", "1010"),
        ("b", "1010"),
        ("not b", "0101"),
        ("b == False", "0100"),
        ("`my col` == 2", "0011"),
        ("i < `my col`", "0000"),
        ("i = 1", "1000"),
        ("x > -1", "1010"),
        ("d >= '2024-01-01'", "1100"),
        ("i in []", "0000"),
        ("i not in []", "1111"),
    ],
)
def test_what_pandas_says(query: str, wanted: str) -> None:
    assert "".join("01"[each] for each in held(query)) == wanted


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ('col("i") > 1', "0110"),
        ('col("t") == "a"', "1000"),
        ('col("x").notNull()', "1011"),
        ("col(\"t\")=='b'", "0100"),
    ],
)
def test_its_own_language(own: str, wanted: str) -> None:
    assert "".join("01"[each] for each in held(own, "great_expectations__experimental__")) == wanted
    assert "".join("01"[each] for each in held(own, None)) == wanted


def test_a_tree() -> None:
    tree = {
        "type": "and",
        "conditions": [
            {"type": "comparison", "column": {"name": "i"}, "operator": ">=", "parameter": 1},
            {
                "type": "or",
                "conditions": [
                    {"type": "nullity", "column": {"name": "x"}, "is_null": True},
                    {"type": "comparison", "column": {"name": "t"}, "operator": "NOT_IN", "parameter": ["a", "b"]},
                ],
            },
        ],
    }

    assert held(tree, None) == [False, True, True, False]


def test_none_is_none() -> None:
    assert read_condition(None, None) is None
    assert read_condition("", "pandas") is None


@pytest.mark.parametrize(
    ("condition", "parser", "reason"),
    [
        ("i + 1 > 2", "pandas", r"has 'i \+ 1'"),
        ("i > @limit", "pandas", "can't be parsed"),
        ("t.str.contains('a')", "pandas", "has 't.str'"),
        ("i >", "pandas", "can't be parsed"),
        ("i > 1", "spark", "condition_parser='spark'"),
        ('col("i") > 1 and col("x") > 2', "great_expectations", "isn't one comparison"),
        ({"type": "what"}, None, "is no condition"),
        ({"type": "comparison", "column": "i", "operator": "~", "parameter": 1}, None, "is no operator"),
        (3, None, "3 is no condition"),
    ],
)
def test_what_can_not_be_said(condition: object, parser: str | None, reason: str) -> None:
    with pytest.raises(ConditionError, match=reason):
        read_condition(condition, parser)
