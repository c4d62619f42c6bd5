"""The data steps give the same on DuckDB as on Polars."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from headrace.formats.table import Table
from headrace.steps import AtRandom, ByKey, ByTime, evaluate, features, preprocess, split, train, validate
from headrace.steps.checks import InOrder, InRange, IsKind, Matches, MissingShare, NotMissing, OneOf, Unique
from headrace.steps.rules import (
    Cast,
    Compare,
    DatePart,
    DaysBetween,
    DropMissing,
    Fill,
    Limit,
    Ratio,
    Spell,
    StripEnd,
    WasMissing,
)

CHECKS: list[Any] = [
    Unique(("id",)),
    NotMissing("left"),
    IsKind("fee", "number"),
    InRange("fee", 0, 100),
    IsKind("day", "date"),
    InOrder("day", "until"),
    OneOf("plan", ("a", "b", " A", "c.")),
    Matches("left", "yes|no"),
    MissingShare("plan", 0.5),
]
RULES: list[Any] = [
    StripEnd("plan"),
    Spell("plan", {"c": "b"}, known=("a", "b"), unknown="other"),
    Fill("plan", "none"),
    Limit("fee", at_most=60),
    Compare("dear", "fee", ">", "age", 0.5),
    DropMissing("age"),
    Cast("age", "integer"),
    DaysBetween("days", "day", "until"),
    DatePart("month", "day", "month"),
    Ratio("ratio", "fee", "age"),
    WasMissing("no_fee", "fee"),
]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    n = 600
    until = pl.Series([f"2024-{1 + i % 12:02d}-15" for i in range(n)]).str.to_date()
    return pl.DataFrame(
        {
            "id": [i if i % 50 else 0 for i in range(n)],
            "age": [None if i % 17 == 0 else float(i % 80) for i in range(n)],
            "fee": [["12.5", "x", "999", None, "70"][i % 5] if i % 3 else "30" for i in range(n)],
            "plan": [["a", "b", " A", "c.", None, "zz"][i % 6] for i in range(n)],
            "day": [f"2024-{1 + i % 12:02d}-{1 + i % 31:02d}" for i in range(n)],
            "until": until,
            "left": [None if i % 41 == 0 else ["no", "yes"][(i % 80 > 40) ^ (i % 7 == 0)] for i in range(n)],
        }
    )


def chain(rows: pl.DataFrame, checks: list[Any]) -> list[Any]:
    good, aside, findings = validate(Table.of(rows), checks, max_bad_share=1.0)
    clean = features(preprocess(good, RULES[:7]), RULES[7:])
    made = [good, aside, clean]
    for how in (AtRandom(2, "left"), ByKey("id"), ByTime("until")):
        made += split(clean, how, validation=0.2, test=0.2)
    parts = made[-3:]
    model = train(parts[0], parts[1], target="left", positive="yes", estimator="linear", exclude=["id", "until"])
    frames = [part.polars().collect() for part in made]
    return [*frames, findings, model, repr(evaluate(model, parts[2], slices=["plan"], n_bootstraps=20))]


@pytest.mark.parametrize("checks", [CHECKS, CHECKS[1:]], ids=["with a key", "without a key"])
def test_equal_values(rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, checks: list[Any]) -> None:
    pytest.importorskip("duckdb")
    on_polars = chain(rows, checks)
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", "duckdb")
    on_duckdb = chain(rows, checks)
    for one, other in zip(on_polars, on_duckdb, strict=True):
        if isinstance(one, pl.DataFrame):
            assert one.equals(other.select(pl.col(n).cast(t) for n, t in one.schema.items())), (one, other)
        else:
            assert one == other
