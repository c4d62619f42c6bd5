from __future__ import annotations

import re
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.steps.great_expectations import read_suite, validate_suite
from headrace.steps.great_expectations.patterns import PatternError, engine_pattern, like_pattern

PATTERNS = [
    r"^a",
    r"a$",
    r"\Aab?\Z",
    r"^\w+$",
    r"\d{2,}",
    r"^\D*$",
    r"\s",
    r"[^\s]+ [^\s]",
    r"[\d.-]+",
    r"[a-c]+?b",
    r"(?i)straße|ÄB",
    r"(?s)a.b",
    r"a.b",
    r"(?m)^b$",
    r"(?x) a  b  # words",
    r"^$",
    r"(?:ab|c){2}",
    r"(?P<name>\W)",
    r"[]a]",
    r"[\^\-\]]",
    r"\.\*\\",
    r"a|",
]
TEXTS = [
    "",
    "a",
    "ab",
    "abab",
    "b a",
    "a\n",
    "a\nb",
    "\n",
    "12",
    "٣٤",
    "é",
    "e\u0301",
    "日本",
    "ab c",
    "STRASSE",
    "äb",
    "x-1.5",
    "]^\\.*",
    "\u00a0",
    "_",
    "²",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_engines_find_what_python_finds(pattern: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    wanted = [re.search(pattern, text) is not None for text in TEXTS]
    said = engine_pattern(pattern)

    assert pl.Series(TEXTS).str.contains(said).to_list() == wanted
    with duckdb.connect() as connection:
        query = "select list(regexp_matches(t, ?)) from unnest(?) as u(t)"
        found = connection.execute(query, [said, TEXTS]).fetchall()
    assert found == [(wanted,)]


@given(st.text(max_size=8), st.sampled_from(PATTERNS))
def test_any_text(text: str, pattern: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert pl.Series([text]).str.contains(engine_pattern(pattern)).item() == (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"a(?=b)", "uses look-around"),
        (r"(?<!a)b", "uses look-around"),
        (r"(a)\1", "uses a back-reference"),
        (r"\bword\b", r"uses \\b or \\B"),
        (r"a{2000}", "repeats more than 1000 times"),
        (r"(?a)\w", "has a flag"),
        (r"(a", "is no regular expression"),
        (r"[\Da]", "has a set with"),
    ],
)
def test_what_engines_do_not_know(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        engine_pattern(pattern)


@pytest.mark.parametrize(
    ("like", "text", "holds"),
    [
        ("a%", "abc", True),
        ("a%", "ba", False),
        ("_", "日", True),
        ("_", "", False),
        ("%", "", True),
        ("a.c", "abc", False),
    ],
)
def test_like(like: str, text: str, holds: bool) -> None:
    assert (re.search(like_pattern(like), text) is not None) is holds


@pytest.mark.parametrize(
    "text", ["2024-02-29", "2023-02-29", "2024-2- 9", "2024-04-31", "1900-02-29", "2000-02-29", "0000-01-01", "x", ""]
)
def test_dates(text: str) -> None:
    try:
        datetime.strptime(text, "%Y-%m-%d")
        holds = True
    except ValueError:
        holds = False
    suite = {"column": "day", "strftime_format": "%Y-%m-%d"}

    result = validate_suite(pl.DataFrame({"day": [text]}), read_suite(one(suite)))

    assert result.success is holds


def one(kwargs: dict[str, str]) -> dict[str, object]:
    return {
        "name": "one",
        "expectations": [{"type": "expect_column_values_to_match_strftime_format", "kwargs": kwargs}],
    }
