"""Each measure beside scikit-learn's, and beside an example done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from headrace.steps.metrics import (
    HIGHER_IS_BETTER,
    Confusion,
    Ranking,
    auc,
    average_precision,
    best_threshold,
    calibration,
    calibration_error,
    confusion,
    log_loss,
    metrics_of,
    rates,
)

CASES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda i: i / 20)), min_size=2, max_size=60)


def arrays(case: list[tuple[int, float]]) -> tuple[Any, Any]:
    labels = np.array([label for label, _ in case])
    assume(0 < labels.sum() < len(labels))
    return labels, np.array([score for _, score in case])


@given(CASES, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_as_scikit_learn_says(case: list[tuple[int, float]], threshold: float) -> None:
    labels, scores = arrays(case)
    found = metrics_of(labels, scores, threshold)
    said = (scores >= threshold).astype(int)
    expected = {
        "auc": theirs.roc_auc_score(labels, scores),
        "average_precision": theirs.average_precision_score(labels, scores),
        "log_loss": theirs.log_loss(labels, scores),
        "brier": theirs.brier_score_loss(labels, scores),
        "accuracy": theirs.accuracy_score(labels, said),
        "balanced_accuracy": theirs.balanced_accuracy_score(labels, said),
        "precision": theirs.precision_score(labels, said, zero_division=0),
        "recall": theirs.recall_score(labels, said),
        "f1": theirs.f1_score(labels, said),
        "selection_rate": said.mean(),
        "accuracy_at_half": theirs.accuracy_score(labels, scores >= 0.5),
        "f1_at_half": theirs.f1_score(labels, scores >= 0.5),
        "positive_rate": labels.mean(),
        "skill": theirs.r2_score(labels, scores),
    }
    assert found == pytest.approx(expected, abs=1e-12)


@given(CASES, st.integers(0, 100))
def test_weights_count_as_copies_of_rows(case: list[tuple[int, float]], seed: int) -> None:
    """What the bootstrap rests on: weighting a row by k is drawing it k times."""
    labels, scores = arrays(case)
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    copies = np.repeat(np.arange(len(labels)), weights)
    assume(0 < labels[copies].sum() < len(copies))
    positives, negatives = Ranking.of(scores).counts(labels, weights.astype(float))
    assert auc(positives, negatives) == pytest.approx(theirs.roc_auc_score(labels[copies], scores[copies]))
    expected = theirs.average_precision_score(labels[copies], scores[copies])
    assert average_precision(positives, negatives) == pytest.approx(expected)


def test_by_hand() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.4, 0.1])
    assert confusion(labels, scores, 0.5) == Confusion(1, 1, 1, 1)
    assert metrics_of(labels, scores, 0.5)["auc"] == 0.75
    assert metrics_of(labels, scores, 0.5)["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    tied = Ranking.of(np.array([0.5, 0.5])).counts(np.array([1, 0]))
    assert auc(*tied) == 0.5


def test_what_is_not_defined_is_nan() -> None:
    one_class = Ranking.of(np.array([0.1, 0.9])).counts(np.array([0, 0]))
    assert np.isnan(auc(*one_class)) and np.isnan(average_precision(*one_class))
    empty = metrics_of(np.array([], dtype=int), np.array([]), 0.5)
    assert {name for name, value in empty.items() if not np.isnan(value)} == {"precision", "recall", "f1", "f1_at_half"}
    assert np.isnan(rates(Confusion(0, 0, 0, 0))["accuracy"])
    assert np.isnan(calibration_error(np.array([]), np.array([]), 10))


def test_sure_and_wrong_costs_a_lot_but_not_infinitely() -> None:
    assert log_loss(np.array([1, 0]), np.array([0.0, 1.0])) == pytest.approx(36.0437, abs=1e-4)


@given(CASES, st.sampled_from(["f1", "accuracy", "balanced_accuracy"]))
def test_no_threshold_is_better_than_the_best(case: list[tuple[int, float]], by: str) -> None:
    labels, scores = arrays(case)
    best = rates(confusion(labels, scores, best_threshold(labels, scores, by)))[by]
    some = [rates(confusion(labels, scores, score))[by] for score in sorted(set(scores))]
    assert best >= max(some) - 1e-12


def test_a_threshold_lies_half_way_and_selects_the_fewest() -> None:
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.7, 0.3, 0.1])
    assert best_threshold(labels, scores, "f1") == 0.5
    # 1 of 1 or 2 of 3 right: accuracy is the same for both, and the first selects fewer.
    assert best_threshold(np.array([1, 0, 1]), np.array([0.9, 0.6, 0.4]), "accuracy") == 0.75
    assert best_threshold(np.array([1, 1]), np.array([0.1, 0.2]), "f1") == 0.5


def test_calibration_bins() -> None:
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.2, 0.5, 1.0])
    assert calibration(labels, scores, 2) == [(2, pytest.approx(0.15), 0.5), (2, 0.75, 1.0)]
    assert calibration_error(labels, scores, 2) == pytest.approx((0.35 * 2 + 0.25 * 2) / 4)
    assert calibration_error(labels, scores, 10) == pytest.approx((0.1 + 0.8 + 0.5 + 0.0) / 4)


def test_each_metric_says_which_way_is_good() -> None:
    named = {"auc", "log_loss", "calibration_error", *metrics_of(np.array([0, 1]), np.array([0.2, 0.8]), 0.5)}
    assert named - set(HIGHER_IS_BETTER) == {"positive_rate", "selection_rate"}
