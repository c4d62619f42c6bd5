"""Small texts, escaping, values as tables, charts, ticks."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.reports.charts import charts_of, metrics_with_intervals
from headrace.reports.html import Html, el, join, table
from headrace.reports.texts import (
    clean,
    count,
    counts_text,
    duration,
    format_label,
    last_lines,
    moment,
    one_line,
    size,
)
from headrace.reports.timeline import ticks_to
from headrace.reports.values import is_matrix, is_table, number, show_value


def words(markup: str) -> list[str]:
    """The text of some markup, piece by piece."""
    return [piece.strip() for piece in re.split(r"<[^>]*>", markup) if piece.strip()]


# --- texts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.000 s"),
        (0.0123, "0.012 s"),
        (0.0994, "0.099 s"),
        (0.0996, "0.1 s"),
        (3.44, "3.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.9, "1 h 00 min"),
        (11220, "3 h 07 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (1_250_000_000, "1.2 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(n_bytes: int, text: str) -> None:
    assert size(n_bytes) == text


def test_small_words() -> None:
    assert (count(1, "step"), count(0, "step")) == ("1 step", "0 steps")
    assert counts_text({"cached": 2, "failed": 1}) == "2 cached, 1 failed"
    assert moment("2026-11-22T09:57:24.423+00:00") == "2026-11-22 09:57:24"
    assert format_label("package.module:Own") == "Own"
    assert format_label("parquet") == "parquet"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("10 %\r20 %\r30 %\n", "30 %\n"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("bell\x07 null\x00", "bell� null�"),
        ("tab\tstays", "tab\tstays"),
        ("\u202egnp.exe", "�gnp.exe"),
        ("\x9b31m", "�31m"),
    ],
)
def test_what_would_steer_a_terminal_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text())
def test_clean_text_has_no_control_characters(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", clean(text))
    clean(text).encode()


def test_one_line_is_the_first_and_bounded() -> None:
    assert one_line("first\nsecond") == "first"
    assert one_line("x" * 200, 10) == "xxxxxxxxx…"


def test_the_last_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    assert last_lines(file, 3) == []
    file.write_bytes(b"")
    assert last_lines(file, 3) == []
    file.write_bytes(b"x" * 200_000 + b"\n1\n2\n\xff\n")
    assert last_lines(file, 3) == ["1", "2", "�"]


# --- markup


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    made = el("p", "<b>&", el("i", "x"), None, title='"<', class_="a", data_x=1, hidden=True, open=False)

    assert made == '<p title="&quot;&lt;" class="a" data-x="1" hidden>&lt;b&gt;&amp;<i>x</i></p>'
    assert join("<", [Html("<br/>"), ">"]) == "&lt;<br/>&gt;"
    assert table(["<"], [["<", el("td", "x", class_="y")]]).count("&lt;") == 2


@given(st.text())
def test_nothing_gets_out_of_an_element(text: str) -> None:
    made = el("p", text, title=text)

    assert re.fullmatch(r'<p title="[^"<>]*">[^<>]*</p>', made, re.DOTALL)


# --- values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ["none"]),
        (True, ["yes"]),
        (1234567, ["1\u202f234\u202f567"]),
        (0.1 + 0.2, ["0.3"]),
        (-1.5e-9, ["−1.5e−09"]),
        (math.nan, ["–"]),
        (math.inf, ["∞"]),
        ("<b>", ["&lt;b&gt;"]),
        ([], ["empty"]),
        ({}, ["empty"]),
        ([1, "a"], ["1", ",", "a"]),
        ({"a_b": 1}, ["a b", "1"]),
        ([{"x": 1, "y": [1, 2]}, {"x": 2, "y": []}], ["x", "y", "1", "1", ",", "2", "2"]),
        ({"r": {"x": 1}, "s": {"x": 2}}, ["x", "r", "1", "s", "2"]),
        ([{"x": 1, "m": {"a": 2, "b": 3}}], ["x", "a", "b", "1", "2", "3"]),
        ([[1, 2], [3, 4]], ["1", "2", "3", "4"]),
        ([{"x": 1}, {"y": 1}], ["x", "1", "y", "1"]),
        ({"deep": {"a": {"b": 1}}}, ["deep", "a", "b", "1"]),
    ],
)
def test_values_are_shown_by_their_shape(value: Any, shown: list[str]) -> None:
    assert words(show_value(value)) == shown


def test_numbers_keep_their_exact_form_on_hovering() -> None:
    assert 'title="0.30000000000000004"' in show_value(0.1 + 0.2)
    assert number(123456789.0) == "1.23457e+08"


def test_what_is_large_is_cut_and_counted() -> None:
    assert "… and 40 more rows" in show_value([{"x": index} for index in range(100)])
    assert "… and 100 more items" in show_value(list(range(300)))
    assert "… and 50 more entries" in show_value({f"k{index}": index for index in range(250)})
    assert "(5000 characters)" in show_value("x" * 5000)
    nested: Any = 1
    for _ in range(50):
        nested = {"in": nested}
    assert "1 entries" in show_value(nested)


def test_a_confusion_matrix_says_what_was_and_what_was_said() -> None:
    value = {"true_positives": 8, "false_positives": 3, "false_negatives": 2, "true_negatives": 7}

    assert words(show_value(value)) == ["said yes", "said no", "was yes", "8", "2", "was no", "3", "7"]
    assert "--share:0.800" in show_value(value)


def test_shapes() -> None:
    assert is_table([{"a": 1}])
    assert not is_table([{"a": 1}, {"b": 1}])
    assert not is_table([{"a": {"b": {"c": 1}}}])
    assert is_matrix([[1, 2], [3, 4]])
    assert not is_matrix([[1, 2], [3]])
    assert not is_matrix([[True, False], [True, True]])


# --- charts


def test_curves_are_drawn_where_their_fields_are() -> None:
    curve = [
        {"threshold": 0.9, "false_positive_rate": 0.0, "recall": 0.5, "precision": 1.0},
        {"threshold": 0.1, "false_positive_rate": 1.0, "recall": 1.0, "precision": 0.25},
    ]
    bins = [{"mean_score": 0.2, "positive_rate": 0.1}, {"mean_score": math.nan, "positive_rate": math.nan}]
    charts, drawn = charts_of({"curve": curve, "bins": bins, "other": 3})

    assert drawn == {"curve", "bins"}
    assert [words(chart)[0] for chart in charts] == ["ROC curve", "Precision by recall", "Calibration"]
    assert 'd="M46.0 200.0 L46.0 105.0 L236.0 10.0"' in charts[0], "from (0, 0) through (0, 0.5) to (1, 1)"
    assert charts[2].count("<circle") == 1, "a bin without rows has no point"
    assert charts_of({"curve": [{"recall": 1.0}]}) == ([], set())


def test_metrics_stand_with_their_intervals() -> None:
    shown = metrics_with_intervals({"auc": 0.8, "loss": 3.0}, {"auc": [0.7, 0.9], "loss": [2.5, 3.5]})
    assert shown is not None

    assert words(shown) == ["auc", "0.8", "0.7 … 0.9", "loss", "3", "2.5 … 3.5"]
    assert "left:70.0%;width:20.0%" in shown
    assert shown.count('class="scale"') == 1, "what isn't between 0 and 1 has no bar"
    assert metrics_with_intervals({"auc": "high"}, None) is None
    assert metrics_with_intervals(None, None) is None


# --- ticks


@given(st.floats(0.001, 1e6))
def test_ticks_begin_at_zero_and_are_few_and_even(end: float) -> None:
    ticks = list(ticks_to(end))

    assert ticks[0] == 0
    assert 1 <= len(ticks) <= 7
    assert all(tick < end for tick in ticks)
    steps = [later - earlier for earlier, later in pairwise(ticks)]
    assert all(step == pytest.approx(steps[0]) for step in steps)


def test_ticks_are_round() -> None:
    assert ticks_to(34) == [0, 10, 20, 30]
    assert ticks_to(1.1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks_to(600) == [0, 120, 240, 360, 480]
