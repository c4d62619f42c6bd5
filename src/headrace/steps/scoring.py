"""Measures of a model of any task, by name: what `train` notes, `evaluate` reports and `gate` compares.

Two labels are measured in `headrace.steps.metrics`; here are several labels, and numbers. Sums run in the rows' order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from headrace.core.errors import DataError, near_miss
from headrace.steps.metrics import metrics_of
from headrace.steps.targets import Target

if TYPE_CHECKING:
    import numpy as np

    from headrace.formats.table import TableLike
    from headrace.steps.model import Model

    Array: TypeAlias = np.ndarray[Any, Any]


def measured(target: Target, answers: Array, scores: Array, threshold: float | None) -> dict[str, float]:
    """Give all metrics of a task by name."""
    if target.task == "regression":
        return number_metrics(answers, scores)
    if target.task == "multiclass":
        return label_metrics(answers, scores)
    return metrics_of(answers, scores, 0.5 if threshold is None else threshold)


def metric_on(model: Model, table: TableLike, metric: str) -> float:
    """Give one metric of a model on a table.

    Raises DataError, naming the nearest, where its task has no such metric.
    """
    target = model.card.asked
    found = measured(target, target.answers(table), model.scores(table), model.card.threshold)
    if metric not in found:
        raise DataError(f"A model for the task {target.task!r} has no metric {metric!r}", hint=near_miss(metric, found))
    return found[metric]


def number_metrics(answers: Array, predicted: Array) -> dict[str, float]:
    """Give ``mae`` mean |ŷ - y|, ``rmse`` √mean((ŷ - y)²), ``mean_error`` mean(ŷ - y), all in the target's unit, and
    ``r2`` 1 - Σ(ŷ - y)² / Σ(y - ȳ)²: the share of the squared error of the best constant guess that the model removes.

    ``r2`` is NaN where all answers are equal.
    """
    import numpy as np

    if not len(answers):
        return dict.fromkeys(("mae", "rmse", "r2", "mean_error"), float("nan"))
    error = predicted - answers
    spread = float(((answers - answers.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": 1 - float((error**2).sum()) / spread if spread else float("nan"),
        "mean_error": float(error.mean()),
    }


def label_metrics(answers: Array, chances: Array) -> dict[str, float]:
    """Measure chances of several labels; a row is said to have the likeliest, of equals the first.

    ``accuracy``; ``balanced_accuracy``, the mean recall of the labels that are there; ``f1_macro``, the mean F1 of the
    labels that are there or said; ``log_loss`` -mean(ln p of the right label), p kept within 2.2e-16 of 0 and 1;
    ``brier`` mean(Σₖ (pₖ - yₖ)²), from 0 to 2 (Brier, 1950); ``skill`` 1 - brier / Σₖ ȳₖ (1 - ȳₖ): the share of the
    Brier score of the best constant guess that the model removes, NaN where there is one label only.
    """
    import numpy as np

    n, n_labels = chances.shape
    if not n:
        names = ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "brier", "skill")
        return dict.fromkeys(names, float("nan"))
    counts = confusion_counts(answers, chances)
    hits, there, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    is_there, is_known = there > 0, there + said > 0
    right = np.eye(n_labels)[answers]
    eps = np.finfo(np.float64).eps
    chance_of_right = np.clip(chances[np.arange(n), answers], eps, 1 - eps)
    brier = float(((chances - right) ** 2).sum(axis=1).mean())
    shares = there / n
    spread = float((shares * (1 - shares)).sum())
    return {
        "accuracy": float(hits.sum() / n),
        "balanced_accuracy": float((hits[is_there] / there[is_there]).mean()),
        "f1_macro": float((2 * hits[is_known] / (there + said)[is_known]).mean()),
        "log_loss": float(-np.log(chance_of_right).mean()),
        "brier": brier,
        "skill": 1 - brier / spread if spread else float("nan"),
    }


def confusion_counts(answers: Array, chances: Array) -> Array:
    """Count rows by their label (down) and by the label that is said (across)."""
    import numpy as np

    n_labels = chances.shape[1]
    cells = answers * n_labels + chances.argmax(axis=1) if len(answers) else np.empty(0, dtype=np.int64)
    return np.bincount(cells, minlength=n_labels * n_labels).reshape(n_labels, n_labels)
