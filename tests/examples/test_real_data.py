"""The ready-made steps on well-known files: what is in them, and the scores that others reached."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import headrace
from headrace import RunOutcome
from headrace.steps import ingest, train

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "churn"


def missing(path: Path, **options: Any) -> dict[str, int]:
    frame = ingest(path, **options).polars().collect()
    return {name: n for name, n in frame.null_count().row(0, named=True).items() if n}


def test_what_is_missing_in_the_files(shared_data: Path) -> None:
    """Against the counts in the data sets' own notes."""
    assert missing(shared_data / "telco_churn.csv") == {"TotalCharges": 11}
    adult = {"workclass": 1836, "occupation": 1843, "native_country": 583}
    assert missing(shared_data / "adult_train.csv.gz", missing=["?"]) == adult
    taxi = missing(shared_data / "chicago_taxi.csv")
    assert {name: taxi[name] for name in ("company", "pickup_census_tract", "trip_seconds")} == {
        "company": 5140,
        "pickup_census_tract": 15001,
        "trip_seconds": 6,
    }


def test_kinds_in_the_files(shared_data: Path) -> None:
    telco = ingest(shared_data / "telco_churn.csv").polars().collect_schema()
    assert (telco["TotalCharges"], telco["tenure"], telco["customerID"]) == (pl.Float64, pl.Int64, pl.String)
    bikes = ingest(shared_data / "bike_sharing_day.csv").polars()
    assert (bikes.collect_schema()["dteday"], bikes.collect().height) == (pl.Date, 731)
    penguins = ingest(shared_data / "penguins.csv").polars().collect()
    assert (penguins.height, penguins["sex"].null_count()) == (344, 11)


def test_adults_income_by_sex(shared_data: Path) -> None:
    """The published rates of income above 50K on all 48,842 rows: men 0.30377, women 0.10925."""
    both = pl.concat(
        ingest(shared_data / f"adult_{part}.csv.gz", missing=["?"]).polars().select("sex", "income")
        for part in ("train", "test")
    )
    rates = both.group_by("sex").agg(pl.col("income").str.starts_with(">50K").mean()).collect()
    found = dict(rates.iter_rows())
    assert found == {"Male": pytest.approx(0.30377, abs=5e-6), "Female": pytest.approx(0.10925, abs=5e-6)}


def test_telco_in_five_folds(shared_data: Path) -> None:
    """One-hot logistic regression reaches AUC 0.8452 in shuffled five folds (measured, seed 0)."""
    rows = ingest(shared_data / "telco_churn.csv").polars().collect()
    y = (rows["Churn"] == "Yes").to_numpy()
    scores = np.empty(len(rows))
    for fitted, held in StratifiedKFold(5, shuffle=True, random_state=0).split(y, y):
        part = rows[fitted]
        model = train(part, part, target="Churn", positive="Yes", estimator="linear", exclude=["customerID"])
        scores[held] = model.scores(rows[held])
    assert roc_auc_score(y, scores) == pytest.approx(0.8452, abs=0.001)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "files", "n_rows", "least"),
    [
        ("telco", {"data": "telco_churn.csv"}, 7043, {"auc": 0.825, "accuracy_at_half": 0.78}),
        pytest.param(
            "adult",
            {"data": "adult_train.csv.gz", "test_data": "adult_test.csv.gz"},
            32561,
            {"auc": 0.9265, "accuracy_at_half": 0.8705},
            marks=pytest.mark.prove,
        ),
        pytest.param(
            "taxi",
            {"data": "chicago_taxi.csv"},
            15002,
            {"auc": 0.938, "accuracy_at_half": 0.865},
            marks=pytest.mark.prove,
        ),
    ],
)
def test_the_churn_pipeline_by_parameters_alone(
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    files: dict[str, str],
    n_rows: int,
    least: dict[str, float],
) -> None:
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    parameters = tomllib.loads((EXAMPLE / "params" / f"{name}.toml").read_text())
    parameters |= {key: shared_data / file for key, file in files.items()}
    result = headrace.run("churn.pipeline:churn", parameters, store=tmp_path / "store", inline=True)
    failures = [node.failure.message for node in result.nodes.values() if node.failure is not None]
    assert result.outcome == RunOutcome.SUCCEEDED, failures
    assert result.load("validate.findings").n_rows == n_rows
    metrics = result.load("evaluation").metrics
    assert {metric: metrics[metric] for metric, bound in least.items() if metrics[metric] < bound} == {}
    assert result.load("version").name == name
