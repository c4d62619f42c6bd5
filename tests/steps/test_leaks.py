"""Leaks: each kind is found where it is planted, and nothing where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score, roc_auc_score

from headrace.core.errors import DataError
from headrace.formats.registry import save_artifact
from headrace.steps import AtRandom, Leaks, find_leaks, split
from headrace.steps.leaks import LeakKind


def make_rows(n: int = 4_000, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    age = random.normal(45, 15, n)
    left = random.random(n) < 1 / (1 + np.exp(-(age - 60) / 8))
    return pl.DataFrame(
        {
            "id": [f"C{i:06d}" for i in range(n)],
            "at": [datetime(2024, 1, 1) + timedelta(minutes=i) for i in range(n)],
            "age": age,
            "plan": random.choice(["a", "b", "c"], n),
            "note": [f"text {i}" for i in random.integers(0, 10**9, n)],
            "spent": random.gamma(2.0, 50.0, n),
            "left": np.where(left, "yes", "no"),
        }
    )


ROWS = make_rows()
IS_LEFT = pl.col("left") == "yes"


def kinds(found: Leaks) -> set[tuple[LeakKind, str]]:
    return {(leak.kind, leak.column) for leak in found.found}


def test_honest_columns_are_no_leak() -> None:
    found = find_leaks(ROWS, target="left", key=["id"], time="at")
    assert found.passed and found.n_rows == 4_000
    assert found.columns[0].column == "age" and len(found.columns) == 4
    assert {column.column: column.information for column in found.columns}["plan"] < 0.002
    assert {column.column: column.information for column in found.columns}["note"] == 0.0


def test_measures_against_scikit_learn() -> None:
    rows = ROWS.with_columns(plan=pl.when(IS_LEFT & (pl.col("spent") > 60)).then(pl.lit("d")).otherwise(pl.col("plan")))
    found = {column.column: column for column in find_leaks(rows, target="left").columns}
    is_left = (rows["left"] == "yes").to_numpy()
    assert found["age"].auc == pytest.approx(roc_auc_score(is_left, rows["age"].to_numpy()), abs=0.003)
    shared = mutual_info_score(rows["plan"].to_numpy(), is_left) / mutual_info_score(is_left, is_left)
    assert found["plan"].information == pytest.approx(shared, abs=0.003)
    assert np.isnan(found["plan"].auc)


@pytest.mark.parametrize("leak", ["copy", "order", "curve", "code"])
def test_a_column_that_alone_predicts_is_found(leak: str) -> None:
    noise = pl.col("spent") / 1e4
    planted = {
        "copy": IS_LEFT.cast(pl.Int64),
        "order": IS_LEFT.cast(pl.Float64) + noise,
        # Not in order: AUC alone wouldn't see it.
        "curve": pl.when(IS_LEFT).then(noise).otherwise(pl.when(pl.col("plan") == "a").then(5 + noise).otherwise(-5)),
        "code": pl.when(IS_LEFT).then(pl.lit("x") + pl.col("plan")).otherwise(pl.lit("y") + pl.col("plan")),
    }
    found = find_leaks(ROWS.with_columns(planted[leak].alias("planted")), target="left", exclude=["note"])
    assert kinds(found) == {("predicts alone", "planted")}
    assert found.columns[0].column == "planted" and found.found[0].strength > 0.85
    assert "'planted' alone removes" in found.found[0].text


def test_a_column_filled_after_the_event_is_found() -> None:
    rows = ROWS.with_columns(
        reason=pl.when(IS_LEFT & (pl.col("spent") > 80)).then(pl.lit("price")),
        called_at=pl.when(pl.col("spent") > 100).then(pl.col("at")),
    )
    found = find_leaks(rows, target="left", time="at")
    assert kinds(found) == {("filled after the event", "reason")}
    assert "% of the rows with 'yes' and in 0 % of those with 'no'" in found.found[0].text


def test_numbers_as_a_target() -> None:
    rows = ROWS.with_columns(total=pl.col("spent") * 1.2)
    assert kinds(find_leaks(rows, target="spent", key=["id"], exclude=["note"])) == {("predicts alone", "total")}
    labelled = ROWS.with_columns(left=IS_LEFT.cast(pl.Int64), copy=IS_LEFT)
    assert kinds(find_leaks(labelled, target="left", exclude=["note"])) == {("predicts alone", "copy")}


def test_between_parts() -> None:
    early, late = ROWS.head(3_000), ROWS.tail(1_000)
    assert find_leaks(early, late, target="left", key=["id"], time="at").passed
    again = pl.concat([late, early.head(200)])
    found = find_leaks(early, again, target="left", key=["id"], time="at")
    assert kinds(found) == {("key in both parts", "id"), ("row in both parts", ""), ("not later", "at")}
    assert found.found[0].strength == pytest.approx(200 / 1200)
    assert "the test begins at 2024-01-01" in found.found[-1].text
    parts = split(ROWS, AtRandom(1))
    assert kinds(find_leaks(parts.train, parts.test, target="left", key=["id"], time="at")) == {("not later", "at")}


def test_missing_values_and_text_of_any_kind_make_equal_rows() -> None:
    rows = pl.DataFrame({"a": [None, 1.5, float("nan")], "b": ["x", None, "y"], "t": ["u", "v", "u"]})
    found = find_leaks(rows, rows, target="t")
    assert ("row in both parts", "") in kinds(found) and found.found[-1].strength == 1.0


def test_the_same_on_both_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    on_polars = find_leaks(ROWS, ROWS, target="spent", key=["id"], time="at")
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", "duckdb")
    assert repr(find_leaks(ROWS, ROWS, target="spent", key=["id"], time="at")) == repr(on_polars)


def test_refusals(tmp_path: object) -> None:
    with pytest.raises(DataError, match="find_leaks looks at column 'lft'"):
        find_leaks(ROWS, target="lft")
    with pytest.raises(DataError, match="The target 'left' has no value"):
        find_leaks(ROWS.with_columns(left=pl.lit(None, pl.String)), target="left")
    with pytest.raises(DataError, match="The test part lacks column 'age'"):
        find_leaks(ROWS, ROWS.drop("age"), target="left")


def test_it_is_an_artifact(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert save_artifact(find_leaks(ROWS, target="left"), Leaks, tmp_path_factory.mktemp("leaks")).name == "json"
