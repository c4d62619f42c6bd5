"""What a model is worth, as a whole and by group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_score, roc_auc_score, roc_curve

from headrace.core.errors import DataError
from headrace.formats.json_value import JsonFormat
from headrace.steps import Evaluation, Model, evaluate
from headrace.steps.evaluation import group_rows


def labels(frame: pl.DataFrame) -> Any:
    return (frame["left"] == "yes").to_numpy().astype(int)


def test_numbers_are_of_the_table(model: Model, others: pl.DataFrame) -> None:
    found = evaluate(model, others)
    scores = model.scores(others)
    assert found.metrics["auc"] == pytest.approx(roc_auc_score(labels(others), scores))
    assert found.metrics["precision"] == pytest.approx(precision_score(labels(others), scores >= model.card.threshold))
    table = found.confusion
    assert table.true_positives + table.false_negatives == found.n_positive == labels(others).sum()
    assert table.true_positives + table.false_positives == (scores >= found.threshold).sum()
    assert sum(b.n_rows for b in found.calibration) == found.n_rows == len(others)


def test_intervals_are_the_plain_bootstrap(model: Model, others: pl.DataFrame) -> None:
    """Against rows drawn and sorted again each time, as the definition says."""
    found = evaluate(model, others, n_bootstraps=30, seed=4).intervals
    random, y, scores = np.random.Generator(np.random.PCG64(4)), labels(others), model.scores(others)
    draws = [random.integers(0, len(y), len(y)) for _ in range(30)]
    aucs = [roc_auc_score(y[rows], scores[rows]) for rows in draws]
    assert found["auc"] == pytest.approx(tuple(np.quantile(aucs, [0.025, 0.975])))
    accuracies = [np.mean(y[rows] == (scores[rows] >= model.card.threshold)) for rows in draws]
    assert found["accuracy"] == pytest.approx(tuple(np.quantile(accuracies, [0.025, 0.975])))
    assert evaluate(model, others, n_bootstraps=0).intervals == {}


def test_equal_calls_give_equal_bytes(model: Model, others: pl.DataFrame, tmp_path: Path) -> None:
    stored = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        JsonFormat().save(evaluate(model, others, slices=["plan"]), tmp_path / name, Evaluation)
        stored.append((tmp_path / name / "value.json").read_bytes())
    assert stored[0] == stored[1]
    again = JsonFormat().load({"value.json": tmp_path / "a" / "value.json"}, Evaluation)
    assert isinstance(again, Evaluation) and repr(again) == repr(evaluate(model, others, slices=["plan"]))


def test_the_curve_runs_along_scikit_learns(model: Model, others: pl.DataFrame) -> None:
    curve = evaluate(model, others).curve
    fpr, tpr, thresholds = roc_curve(labels(others), model.scores(others), drop_intermediate=False)
    by_threshold = {t: (f, r) for t, f, r in zip(thresholds, fpr, tpr, strict=True)}
    assert len(curve) == 101
    for point in curve:
        assert by_threshold[point.threshold] == pytest.approx((point.false_positive_rate, point.recall))
    assert (curve[-1].false_positive_rate, curve[-1].recall) == (1.0, 1.0)


def test_groups_are_measured_apart(model: Model, others: pl.DataFrame) -> None:
    found = evaluate(model, others, slices=["plan", "city"]).groups
    assert {(g.column, g.value) for g in found} == {
        *(("plan", value) for value in ("a", "b", "c", "(missing)")),
        ("city", "north"),
        ("city", "south"),
    }
    for group in found:
        rows = others.filter(pl.col(group.column).fill_null("(missing)") == group.value)
        assert (group.n_rows, group.n_positive) == (len(rows), labels(rows).sum())
        assert group.metrics["auc"] == pytest.approx(roc_auc_score(labels(rows), model.scores(rows)))
    assert sum(g.n_rows for g in found if g.column == "plan") == len(others)


def test_groups_of_rare_values_and_of_numbers() -> None:
    frame = pl.DataFrame({"s": ["x"] * 30 + ["rare"] * 3 + [None] * 25, "n": [float(i) for i in range(58)]})
    named = {value: rows.sum() for value, rows in group_rows(frame, "s")}
    assert named == {"x": 30, "(missing)": 25, "(other)": 3}
    more = pl.concat([frame.select("n")] * 2)
    quartiles = {value: rows.sum() for value, rows in group_rows(more, "n")}
    assert sum(quartiles.values()) == 116 and len(quartiles) == 4 and max(quartiles.values()) <= 30
    assert {value: rows.sum() for value, rows in group_rows(frame.rename({"s": "count"}), "count")} == named


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.drop("plan"), {}, r"The model takes column 'plan', which the table doesn't have"),
        (lambda f: f.drop("left"), {}, r"The target is column 'left', which the table doesn't have"),
        (lambda f: f, {"slices": ["plans"]}, r"slices= names column 'plans', .*\nHint: did you mean 'plan'\?"),
        (
            lambda f: f.with_columns(left=pl.col("left") + "."),
            {},
            r"Column 'left' has labels 'no.', 'yes.', but the model",
        ),
        (lambda f: f.filter(pl.col("left") == "no"), {}, "must have rows of both labels, but 0 of [0-9]+ are 'yes'"),
        (lambda f: f.clear(), {}, "must have rows of both labels, but 0 of 0 are 'yes'"),
        (lambda f: f, {"n_bins": 0}, "n_bins >= 1 must hold, but got n_bins=0"),
        (lambda f: f, {"n_bootstraps": -1}, "n_bootstraps >= 0 must hold"),
    ],
)
def test_what_is_refused(
    model: Model, others: pl.DataFrame, change: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(model, change(others), **options)
