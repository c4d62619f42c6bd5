"""Cleaning and deriving columns, row by row."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from headrace.core.errors import DataError
from headrace.steps import features, preprocess
from headrace.steps.rules import (
    RULES,
    Cast,
    Compare,
    DatePart,
    DaysBetween,
    Drop,
    DropMissing,
    Fill,
    Limit,
    Ratio,
    Rename,
    Spell,
    StripEnd,
    WasMissing,
    read_rules,
)

INF, NAN = float("inf"), float("nan")


def apply(columns: dict[str, Any], *rules: Any) -> dict[str, list[Any]]:
    return preprocess(pl.DataFrame(columns, strict=False), rules).polars().collect().to_dict(as_series=False)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (Spell("v"), [" Plus ", "PLUS", None], ["plus", "plus", None]),
        (Spell("v", {"pluss": "plus"}), ["Pluss", "plus"], ["plus", "plus"]),
        (Spell("v", {"a": "b", "b": "c"}), ["a", "b"], ["b", "c"]),
        (Spell("v", fold=False), [" Plus "], [" Plus "]),
        (Spell("v", known=("x",)), ["x", "y", None], ["x", None, None]),
        (Spell("v", known=("x",), unknown="other"), ["x", "y", None], ["x", "other", None]),
        (StripEnd("v"), [">50K.", ">50K", "a.b.", None], [">50K", ">50K", "a.b", None]),
        (StripEnd("v", "]^"), ["x]^", "x^]"], ["x", "x^]"]),
        (Cast("v", "integer"), ["1", "x", None], [1, None, None]),
        (Limit("v", 0, 10), [-1.0, 5.0, 11.0, INF, -INF, None, NAN], [0.0, 5.0, 10.0, 10.0, 0.0, None, None]),
        (Limit("v", 0, 10, "missing"), [-1, 5, 11, None], [None, 5, None, None]),
        (Limit("v", at_most=3), [1, 5], [1, 3]),
        (Fill("v", "none"), ["a", None], ["a", "none"]),
        (DropMissing("v"), ["a", None, ""], ["a", ""]),
        (DropMissing("v"), [1.0, None, NAN], [1.0]),
    ],
)
def test_one_column(rule: Any, before: list[Any], after: list[Any]) -> None:
    assert apply({"v": before}, rule) == {"v": after}


def test_columns_come_and_go() -> None:
    assert apply({"a": [1], "b": [2], "c": [3]}, Drop(("a", "c"))) == {"b": [2]}
    assert list(apply({"a": [1], "b": [2]}, Rename("a", "z"))) == ["z", "b"]


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        (Compare("v", "tips", ">", "fare", 0.2), ["no", "yes", None, None]),
        (Compare("v", "tips", ">=", "fare", 0.2), ["yes", "yes", None, None]),
        (Compare("v", "tips", "<", factor=3), ["yes", "no", "yes", None]),
    ],
)
def test_a_label_by_comparison(rule: Compare, answers: list[Any]) -> None:
    trips = {"tips": [2.0, 3.0, 1.0, None], "fare": [10.0, 10.0, None, 10.0]}
    assert apply(trips, rule)["v"] == answers


def test_derived_columns() -> None:
    days = {
        "a": [date(2024, 2, 1), date(2024, 3, 1), None],
        "b": [date(2024, 3, 1), date(2024, 2, 1), date(2024, 1, 1)],
    }
    assert apply(days, DaysBetween("v", "a", "b"))["v"] == [29, -29, None]
    moments = {"a": [datetime(2024, 1, 1, 23)], "b": [datetime(2024, 1, 2, 1)]}
    assert apply(moments, DaysBetween("v", "a", "b"))["v"] == [1]
    assert apply({"a": [6, 1, None, 0], "b": [4, 0, 1, 5]}, Ratio("v", "a", "b"))["v"] == [1.5, None, None, 0.0]
    assert apply({"a": [1.0, NAN, None]}, WasMissing("v", "a"))["v"] == [0, 1, 1]
    when = {"a": [datetime(2024, 3, 10, 14), None]}
    for part, value in (("year", 2024), ("month", 3), ("day", 10), ("weekday", 7), ("hour", 14)):
        assert apply(when, DatePart("v", "a", part))["v"] == [value, None]


def test_features_sees_what_earlier_rules_made() -> None:
    made = features(pl.DataFrame({"a": [8.0], "b": [2.0]}), [Ratio("r", "a", "b"), Limit("r", at_most=3)])
    assert made.polars().collect()["r"].to_list() == [3.0]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Drop(("aa",)), r"Rule Drop names column 'aa', which the table doesn't have.\nHint: did you mean 'a'\?"),
        (Rename("a", "s"), "Rule Rename makes a column 's', which is there already"),
        (Spell("a"), "Rule Spell takes text, but column 'a' is Int64"),
        (
            Limit("s", 0),
            r"Rule Limit takes numbers, but column 's' is String.\nHint: check it with IsKind\('s', 'number'\)",
        ),
        (DaysBetween("v", "d", "s"), "Rule DaysBetween takes dates, but column 's' is String"),
        (DatePart("v", "d", "hour"), "Column 'd' has days, which have no hour"),
        (DatePart("v", "d", "week"), "DatePart knows no 'week'.\nHint: one of year, month"),  # type: ignore[arg-type]
        (Compare("v", "a", "=>"), "Compare knows no '=>'.\nHint: one of >, >="),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused(rule: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        apply({"a": [1], "s": ["x"], "d": [date(2024, 1, 1)]}, rule)


def test_bounds_the_wrong_way_round() -> None:
    with pytest.raises(DataError, match=r"at_least <= at_most must hold, but got 2 and 1 for 'a'"):
        Limit("a", 2, 1)


def test_rules_from_a_parameter_file() -> None:
    plain = [{"rule": "Drop", "columns": ["a"]}, {"rule": "Spell", "column": "s", "spellings": {"x": "y"}}]
    assert read_rules(plain) == (Drop(("a",)), Spell("s", {"x": "y"}))
    with pytest.raises(DataError, match=r"There is no rule 'Dop'.\nHint: did you mean 'Drop'\?"):
        read_rules([{"rule": "Dop"}])
    assert len({rule.__name__ for rule in RULES}) == 13
