"""Measures of a classifier with two classes, from labels (0 and 1) and scores. NumPy alone, each with its formula.

Sums run in the rows' order, so equal inputs give equal bits, on any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many rows are what, and are said to be what."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True)
class Ranking:
    """Scores sorted from high to low, rows of equal score in one group: what AUC and average precision are made of."""

    order: Array
    group: Array
    scores: Array

    @classmethod
    def of(cls, scores: Array) -> Ranking:
        """Sort scores."""
        import numpy as np

        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        is_first = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(ranked) else np.empty(0, bool)
        return cls(order, np.cumsum(is_first) - 1, ranked[is_first])

    def counts(self, labels: Array, weights: Array | None = None) -> tuple[Array, Array]:
        """Count the positive and the negative rows of each score, from the highest score on."""
        import numpy as np

        weights = np.ones(len(labels)) if weights is None else weights
        weighted, n = weights[self.order], len(self.scores)
        positives = np.bincount(self.group, weighted * labels[self.order], n)
        return positives, np.bincount(self.group, weighted, n) - positives


def auc(positives: Array, negatives: Array) -> float:
    """Give the area under the ROC curve: how often a positive row scores above a negative one, ties half.

    From counts per score, high to low. NaN where one class is absent. Mann and Whitney (1947).
    """
    import numpy as np

    n_positive, n_negative = float(positives.sum()), float(negatives.sum())
    if not n_positive or not n_negative:
        return float("nan")
    above = np.cumsum(positives) - positives / 2
    return float((negatives * above).sum() / (n_positive * n_negative))


def average_precision(positives: Array, negatives: Array) -> float:
    """Give Σ (Rₙ - Rₙ₋₁) Pₙ over the scores, high to low: precision averaged over recall, without interpolation.

    NaN where no row is positive.
    """
    import numpy as np

    n_positive = float(positives.sum())
    if not n_positive:
        return float("nan")
    hits, said = np.cumsum(positives), np.cumsum(positives + negatives)
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    return float((positives * precision).sum() / n_positive)


def log_loss(labels: Array, scores: Array) -> float:
    """Give -mean(y ln p + (1 - y) ln(1 - p)), p kept within 2.2e-16 of 0 and 1 (the spacing of floats at 1)."""
    import numpy as np

    if not len(labels):
        return float("nan")
    eps = np.finfo(np.float64).eps
    chance = np.clip(scores, eps, 1 - eps)
    return float(-np.mean(np.where(labels == 1, np.log(chance), np.log1p(-chance))))


def brier(labels: Array, scores: Array) -> float:
    """Give mean((p - y)²), from 0 (right and sure) to 1. Brier (1950)."""
    import numpy as np

    return float(np.mean((scores - labels) ** 2)) if len(labels) else float("nan")


def skill(brier: float, positive_rate: float) -> float:
    """Give the Brier skill score, 1 - brier / (ȳ (1 - ȳ)).

    It is the share of the Brier score of the best constant guess that the model removes: 1 is right and sure, 0 no
    better than always saying the share of positives. NaN where all rows are of one class. Murphy (1973).
    """
    spread = positive_rate * (1 - positive_rate)
    return 1 - brier / spread if spread else float("nan")


def confusion(labels: Array, scores: Array, threshold: float) -> Confusion:
    """Count rows by what they are and by whether their score reaches the threshold."""
    said = scores >= threshold
    is_positive = labels == 1
    n_said, n_positive = int(said.sum()), int(is_positive.sum())
    hits = int((said & is_positive).sum())
    return Confusion(hits, n_said - hits, n_positive - hits, len(labels) - n_said - n_positive + hits)


def rates(table: Confusion) -> dict[str, float]:
    """Give accuracy, precision, recall, F1, balanced accuracy and the selection rate.

    What would divide by zero is 0 for precision, recall and F1, as in scikit-learn; NaN for the others.
    """
    tp, fp, fn, tn = table.true_positives, table.false_positives, table.false_negatives, table.true_negatives
    n = tp + fp + fn + tn
    nan = float("nan")
    specificity = tn / (tn + fp) if tn + fp else nan
    recall = tp / (tp + fn) if tp + fn else 0.0
    return {
        "accuracy": (tp + tn) / n if n else nan,
        "balanced_accuracy": ((tp / (tp + fn) if tp + fn else nan) + specificity) / 2,
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": recall,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0,
        "selection_rate": (tp + fp) / n if n else nan,
    }


def metrics_of(labels: Array, scores: Array, threshold: float) -> dict[str, float]:
    """Give all metrics by name: threshold-free ones, those at the threshold, and accuracy and F1 at one half."""
    import numpy as np

    positives, negatives = Ranking.of(scores).counts(labels)
    at_half = rates(confusion(labels, scores, 0.5))
    squares = brier(labels, scores)
    return {
        "auc": auc(positives, negatives),
        "average_precision": average_precision(positives, negatives),
        "log_loss": log_loss(labels, scores),
        "brier": squares,
        "skill": skill(squares, float(np.mean(labels)) if len(labels) else 0.0),
        **rates(confusion(labels, scores, threshold)),
        "accuracy_at_half": at_half["accuracy"],
        "f1_at_half": at_half["f1"],
        "positive_rate": float(np.mean(labels)) if len(labels) else float("nan"),
    }


HIGHER_IS_BETTER: dict[str, bool] = {
    "auc": True,
    "average_precision": True,
    "log_loss": False,
    "brier": False,
    "skill": True,
    "accuracy": True,
    "balanced_accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "accuracy_at_half": True,
    "f1_at_half": True,
    "calibration_error": False,
    "f1_macro": True,
    "mae": False,
    "rmse": False,
    "r2": True,
}
"""Which way each metric is good."""


def best_threshold(labels: Array, scores: Array, by: str) -> float:
    """Find the threshold with the best F1, accuracy or balanced accuracy.

    Candidates lie half-way between neighbouring scores, so that rounding can't tip a row; of equals the one that
    selects the fewest rows is taken. Without rows of both classes it is one half.
    """
    import numpy as np

    ranking = Ranking.of(scores)
    positives, negatives = ranking.counts(labels)
    n_positive, n_negative = positives.sum(), negatives.sum()
    if not n_positive or not n_negative:
        return 0.5
    tp, fp = np.cumsum(positives), np.cumsum(negatives)
    value = {
        "f1": 2 * tp / (tp + fp + n_positive),
        "accuracy": (tp + n_negative - fp) / (n_positive + n_negative),
        "balanced_accuracy": (tp / n_positive + 1 - fp / n_negative) / 2,
    }[by]
    best = int(np.argmax(value))
    below = ranking.scores[best + 1] if best + 1 < len(ranking.scores) else 0.0
    middle = float((ranking.scores[best] + below) / 2)
    return middle if middle > below else float(ranking.scores[best])


def calibration_error(labels: Array, scores: Array, n_bins: int) -> float:
    """Give Σ (nᵦ / n) |mean score - share of positives| over equally wide bins of the score. Naeini et al. (2015)."""
    total = len(labels)
    bins = [found for found in calibration(labels, scores, n_bins) if found[0]]
    return sum(abs(mean - share) * n / total for n, mean, share in bins) if total else float("nan")


def calibration(labels: Array, scores: Array, n_bins: int) -> list[tuple[int, float, float]]:
    """Give each bin's number of rows, mean score and share of positives (both NaN without rows).

    Bin ``b`` of ``B`` holds scores from b/B up to but not including (b+1)/B; the last one holds 1 too.
    """
    import numpy as np

    place = np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    sums = np.bincount(place, scores, n_bins)
    hits = np.bincount(place, labels, n_bins)
    with np.errstate(invalid="ignore"):
        means, shares = sums / n, hits / n
    return [(int(k), float(m), float(s)) for k, m, s in zip(n, means, shares, strict=True)]
