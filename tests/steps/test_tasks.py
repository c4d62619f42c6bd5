"""Models of several labels and of numbers: measured as scikit-learn does, gated, registered, packaged."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as theirs
from sklearn.linear_model import LogisticRegression

from headrace.core.errors import DataError
from headrace.steps import (
    Champion,
    Fairness,
    Model,
    Registry,
    Threshold,
    evaluate,
    gate,
    package,
    register,
    train,
)
from headrace.steps.metrics import HIGHER_IS_BETTER
from headrace.steps.model_format import ModelFormat
from headrace.steps.registry import model_digest
from headrace.steps.scoring import label_metrics, number_metrics


def make_homes(n: int = 600, seed: int = 0) -> pl.DataFrame:
    """Homes whose price and size class follow from rooms and quarter, some values missing."""
    random = np.random.default_rng(seed)
    rooms = random.integers(1, 8, n)
    quarter = random.choice(["old", "new", "port"], n)
    price = 40.0 * rooms + 60 * (quarter == "port") + random.normal(0, 15, n)
    size = np.where(price > 220, "large", np.where(price > 120, "middle", "small"))
    frame = pl.DataFrame({"rooms": rooms, "quarter": quarter, "price": price.round(2), "size": size})
    return frame.with_columns(rooms=pl.when(pl.Series(random.random(n) > 0.05)).then("rooms"))


@pytest.fixture(scope="module")
def homes() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    return make_homes(), make_homes(200, 1), make_homes(200, 2)


def fit(homes: tuple[pl.DataFrame, ...], task: str, estimator: object = "boosting") -> Model:
    target, other = ("price", "size") if task == "regression" else ("size", "price")
    options: Any = {"target": target, "task": task, "estimator": estimator, "exclude": [other]}
    return train(homes[0], homes[1], **options)


TASKS = ["multiclass", "regression"]


@pytest.mark.parametrize("estimator", ["boosting", "linear"])
@pytest.mark.parametrize("task", TASKS)
def test_models_come_back_the_same_and_know_something(homes: Any, tmp_path: Path, task: str, estimator: str) -> None:
    model = fit(homes, task, estimator)
    ModelFormat().save(model, tmp_path, Model)
    again: Any = ModelFormat().load({path.name: path for path in tmp_path.iterdir()}, Model)
    assert again == model and again.card == model.card and model_digest(again) == model_digest(model)
    assert np.array_equal(again.scores(homes[2]), model.scores(homes[2]))
    assert fit(homes, task, estimator).archive == model.archive
    assert evaluate(model, homes[2]).metrics["r2" if task == "regression" else "skill"] > 0.5
    assert len(model.scores(homes[2].clear())) == 0 == len(model.predict(homes[2].clear()))


def test_several_labels_are_measured_as_scikit_learn_does(homes: Any) -> None:
    model, test = fit(homes, "multiclass", "linear"), homes[2]
    chances, labels = model.scores(test), test["size"].to_list()
    found = evaluate(model, test, slices=["quarter"])
    assert model.card.labels == found.labels == ("large", "middle", "small")
    said = model.predict(test)
    one_hot = np.array([[label == name for name in found.labels] for label in labels], float)
    spread = ((one_hot - one_hot.mean(axis=0)) ** 2).sum()
    assert found.metrics == pytest.approx(
        {
            "accuracy": theirs.accuracy_score(labels, said),
            "balanced_accuracy": theirs.balanced_accuracy_score(labels, said),
            "f1_macro": theirs.f1_score(labels, said, average="macro"),
            "log_loss": theirs.log_loss(labels, chances, labels=list(found.labels)),
            "brier": ((chances - one_hot) ** 2).sum(axis=1).mean(),
            "skill": 1 - ((chances - one_hot) ** 2).sum() / spread,
        },
        abs=1e-12,
    )
    assert [list(row) for row in found.counts] == theirs.confusion_matrix(labels, said).tolist()
    assert (found.confusion, found.threshold, found.positive, found.curve) == (None, None, None, ())
    low, high = found.intervals["accuracy"]
    assert low < found.metrics["accuracy"] < high
    groups = {group.value: group for group in found.groups}
    port = [i for i, quarter in enumerate(test["quarter"]) if quarter == "port"]
    right = np.mean([labels[i] == said[i] for i in port])
    assert (groups["port"].n_rows, groups["port"].metrics["accuracy"]) == (len(port), pytest.approx(right))


def test_numbers_are_measured_as_scikit_learn_does(homes: Any) -> None:
    model, test = fit(homes, "regression"), homes[2]
    predicted, price = model.scores(test), test["price"].to_numpy()
    found = evaluate(model, test, slices=["quarter"], n_bootstraps=50)
    assert found.metrics == pytest.approx(
        {
            "mae": theirs.mean_absolute_error(price, predicted),
            "rmse": theirs.root_mean_squared_error(price, predicted),
            "r2": theirs.r2_score(price, predicted),
            "mean_error": (predicted - price).mean(),
        },
        abs=1e-12,
    )
    assert model.predict(test) == predicted.tolist()
    assert found.intervals["r2"][0] < found.metrics["r2"] < found.intervals["r2"][1]
    assert {group.value for group in found.groups} == {"old", "new", "port"}
    assert evaluate(model, test, n_bootstraps=0).intervals == {}


def test_labels_that_are_missing_from_the_test_rows_count_nowhere() -> None:
    chances = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]])
    found = label_metrics(np.array([0, 0, 1]), chances)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["f1_macro"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["skill"] == pytest.approx(1 - (0.06 + 0.86 + 0.14) / 3 / (2 * 2 / 9))
    one = label_metrics(np.array([1, 1, 1]), chances)
    assert np.isnan(one["skill"]) and np.isnan(number_metrics(np.ones(2), np.ones(2))["r2"])
    assert np.isnan(list(label_metrics(np.empty(0, int), chances[:0]).values())).all()
    assert np.isnan(list(number_metrics(np.empty(0), np.empty(0)).values())).all()


def test_each_metric_says_which_way_is_good() -> None:
    named = {*number_metrics(np.ones(2), np.ones(2)), *label_metrics(np.array([0]), np.array([[0.9, 0.1]]))}
    assert named - set(HIGHER_IS_BETTER) == {"mean_error"}


@pytest.mark.parametrize(
    ("task", "metric", "least"),
    [("multiclass", "skill", 0.1), pytest.param("regression", "r2", 0.1, marks=pytest.mark.prove)],
)
def test_from_the_gate_to_a_package(homes: Any, in_folder: Path, task: str, metric: str, least: float) -> None:
    model, test = fit(homes, task), homes[2]
    evaluation = evaluate(model, test)
    by = Champion("homes", metric="log_loss" if task == "multiclass" else "rmse")
    verdict = gate(evaluation, model, test, thresholds=[Threshold(metric, at_least=least)], champion=by)
    assert verdict.passed
    version = register(model, evaluation, verdict, name="homes")
    worse = fit((homes[0].with_columns(rooms=pl.lit(1), quarter=pl.col("quarter").shuffle(0)), *homes[1:]), task)
    rejected = gate(evaluate(worse, test), worse, test, thresholds=[Threshold(metric, at_least=least)], champion=by)
    assert [reason.passed for reason in rejected.reasons] == [False, False]
    folder = package(model, version, test)
    rows = list(csv.DictReader((folder / "expected_output.csv").read_text().splitlines()))
    assert len(rows) == 10 and list(rows[0]) == (["prediction"] if task == "regression" else ["label", "score"])
    assert ("`price`" if task == "regression" else "`large`, `middle`, `small`") in (folder / "README.md").read_text()
    assert Registry.here().champion("homes").digest == version.digest  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "binary"}, "A model for the task 'binary' needs to know which label is positive"),
        ({"task": "multiclass", "positive": "large"}, "A model for the task 'multiclass' has no positive label"),
        ({"task": "multiclas"}, "There is no task 'multiclas'.\nHint: did you mean 'multiclass'"),
        ({"task": "regression"}, r"Column 'size' must have numbers to be predicted as such, but is String"),
        (
            {"task": "regression", "target": "price", "estimator": LogisticRegression()},
            "LogisticRegression predicts lab",
        ),
        ({"task": "multiclass", "target": "one"}, "Column 'one' must have two labels or more, but has 1: '1'"),
        ({"task": "regression", "target": "rooms"}, r"\d+ of 600 rows have no value in column 'rooms'"),
        ({"task": "regression", "target": "endless"}, r"600 values of column 'endless' are infinite"),
    ],
)
def test_what_cannot_be_trained(homes: Any, options: dict[str, Any], message: str) -> None:
    rows = homes[0].with_columns(one=pl.lit(1), endless=pl.lit(float("inf")))
    with pytest.raises(DataError, match=message):
        train(rows, rows, **{"target": "size", **options})


def test_what_cannot_be_measured(homes: Any) -> None:
    model, test = fit(homes, "multiclass"), homes[2]
    number = fit(homes, "regression")
    with pytest.raises(DataError, match=r"labels 'huge', .*, but the model was trained with 'large', 'middle'"):
        evaluate(model, test.with_columns(size=pl.col("size").replace("small", "huge")))
    with pytest.raises(DataError, match="rows of different labels in column 'size', but all 200 have one"):
        evaluate(model, test.with_columns(size=pl.lit("small")))
    with pytest.raises(DataError, match="rows of different numbers in column 'price', but has no row"):
        evaluate(number, test.clear())
    for other, words in ((model, "several labels"), (number, "a number")):
        with pytest.raises(DataError, match=f"but the model predicts {words}"):
            gate(evaluate(other, test), other, test, fairness=[Fairness("quarter", 0.1)])


def test_a_champion_of_another_task_is_no_measure(homes: Any, in_folder: Path) -> None:
    model, number = fit(homes, "multiclass"), fit(homes, "regression")
    evaluation = evaluate(model, homes[2])
    register(model, evaluation, gate(evaluation, model, homes[2]), name="homes")
    verdict = gate(evaluate(number, homes[2]), number, homes[2], champion=Champion("homes", metric="rmse"))
    assert not verdict.passed
    assert "has no metric 'rmse'" in verdict.reasons[0].note
    with pytest.raises(DataError, match="A model for the task 'regression' has no metric 'auc'"):
        gate(evaluate(number, homes[2]), number, homes[2], champion=Champion("homes", metric="auc"))


def test_a_card_from_before_there_were_tasks_is_of_two_labels(model: Model, tmp_path: Path) -> None:
    ModelFormat().save(model, tmp_path, Model)
    card = json.loads((tmp_path / "card.json").read_text())
    del card["fields"]["task"], card["fields"]["labels"]
    (tmp_path / "card.json").write_text(json.dumps(card) + "\n")
    again: Any = ModelFormat().load({path.name: path for path in tmp_path.iterdir()}, Model)
    assert again.card == model.card
