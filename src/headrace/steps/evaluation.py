"""Evaluate: how good a model is on rows that nothing was chosen by, as a whole and by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.metrics import (
    Confusion,
    Ranking,
    auc,
    average_precision,
    brier,
    calibration,
    calibration_error,
    confusion,
    log_loss,
    rates,
    skill,
)
from headrace.steps.model import Model
from headrace.steps.scoring import confusion_counts, measured
from headrace.steps.tables import collect, need_columns, scan
from headrace.steps.targets import Target, Task

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

N_CURVE_POINTS = 101
MOST_GROUPS = 20
SMALLEST_GROUP = 20
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows with scores from ``low`` up to ``high``: how sure the model was, and how often it was so."""

    low: float
    high: float
    n_rows: int
    mean_score: float
    positive_rate: float
    """Both NaN where the bin has no row."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the ROC curve (false and true positive rate) with its precision, at one threshold."""

    threshold: float
    false_positive_rate: float
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Group:
    """The rows with one value in a column."""

    column: str
    value: str
    """``(missing)`` for rows without a value, ``(other)`` for those of rare ones together."""
    n_rows: int
    n_positive: int | None
    """None unless there are two labels."""
    metrics: dict[str, float]
    """AUC and average precision are NaN where the group has one class only."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found."""

    __headrace_one_value__: ClassVar[bool] = True

    target: str
    positive: str | None
    n_rows: int
    n_positive: int | None
    threshold: float | None
    """These and the next are None or empty unless there are two labels."""
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """95 % confidence intervals of the metrics, by bootstrap percentiles."""
    confusion: Confusion | None
    calibration: tuple[CalibrationBin, ...]
    curve: tuple[CurvePoint, ...]
    """The ROC and precision-recall curves, from the highest threshold to the lowest, at most 101 points."""
    groups: tuple[Group, ...]
    task: Task = "binary"
    labels: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    """Of several labels, how many rows of each (down) are said to be what (across), in the labels' order."""


@step
def evaluate(
    model: Model,
    test: TableLike,
    *,
    slices: Sequence[str] = (),
    n_bootstraps: int = 200,
    n_bins: int = 10,
    seed: int = 0,
    trusts: Sequence[type] = (),
) -> Evaluation:
    """Measure a model on rows with labels.

    Metrics by name, each with its formula in `headrace.steps.metrics`: ``auc``, ``average_precision``, ``log_loss``,
    ``brier``, ``calibration_error``; at the model's threshold ``accuracy``, ``balanced_accuracy``, ``precision``,
    ``recall``, ``f1``, ``selection_rate``; at one half ``accuracy_at_half``, ``f1_at_half``; and ``positive_rate``.
    Several labels and numbers have those of `headrace.steps.scoring`. ``skill`` and, for numbers, ``r2`` say how much
    of the error of the best constant guess the model removes: 0 is no better than a guess.

    Intervals: rows are drawn with replacement ``n_bootstraps`` times, and the 2.5th and 97.5th percentiles of each
    metric taken (Efron and Tibshirani, 1993); the numbers come from PCG64 with ``seed``. They say how much the test
    rows' choice matters, not the training's.

    The test table is read into memory. Missing values and unseen categories are the estimator's business.

    Parameters
    ----------
    slices
        Columns of the test table (features or not) for whose values the metrics are computed apart: up to 20 most
        frequent values with at least 20 rows; the rest together as ``(other)``. Numbers with more than 20 values are
        cut at their quartiles.
    n_bootstraps
        Draws for the intervals, 0 (no intervals) or more.
    n_bins
        Bins for calibration, 1 or more, equally wide from 0 to 1.
    seed
        Seed of the draws.
    trusts
        Classes of your own inside the model's estimator; see `Model`.

    Raises
    ------
    DataError
        A feature, the target or a slice isn't in the table (the nearest column is named), or is of another kind;
        labels are missing or others than the model's; the table has no row, or rows of one class only.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps import train
    >>> rows = pl.DataFrame({"age": [20.0, 30.0, 60.0, 70.0] * 25, "left": ["no", "no", "yes", "yes"] * 25})
    >>> found = evaluate(train(rows, rows, target="left", positive="yes", estimator="linear"), rows)
    >>> found.metrics["auc"], found.confusion.false_positives, found.intervals["auc"]
    (1.0, 0, (1.0, 1.0))
    """
    for name, value, least in (("n_bootstraps", n_bootstraps, 0), ("n_bins", n_bins, 1)):
        if value < least:
            raise DataError(f"{name} >= {least} must hold, but got {name}={value!r}")
    card, target = model.card, model.card.asked
    need_columns(slices, scan(test).collect_schema(), what="slices= names")
    answers = target.answers(test)
    _refuse_one_answer(target, answers)
    scores = model.trusting(*trusts).scores(test)
    is_binary = target.task == "binary"
    counts = confusion_counts(answers, scores).tolist() if target.task == "multiclass" else []
    threshold = 0.5 if card.threshold is None else card.threshold
    metrics = measured(target, answers, scores, threshold)
    if is_binary:
        metrics["calibration_error"] = calibration_error(answers, scores, n_bins)
    return Evaluation(
        target=card.target,
        positive=card.positive,
        n_rows=len(answers),
        n_positive=int(answers.sum()) if is_binary else None,
        threshold=card.threshold,
        metrics=metrics,
        intervals=(_intervals if is_binary else partial(_row_intervals, target))(
            answers, scores, threshold, n_bootstraps, seed
        ),
        confusion=confusion(answers, scores, threshold) if is_binary else None,
        calibration=_bins(answers, scores, n_bins) if is_binary else (),
        curve=_curve(answers, scores) if is_binary else (),
        groups=tuple(_groups(test, slices, target, answers, scores, threshold)),
        task=card.task,
        labels=card.labels,
        counts=tuple(tuple(row) for row in counts),
    )


def _refuse_one_answer(target: Target, answers: Array) -> None:
    """Raise DataError where nothing can be told apart: no row, or rows of one label or number."""
    if target.task == "binary" and not 0 < answers.sum() < len(answers):
        raise DataError(
            f"The test table must have rows of both labels, but {int(answers.sum())} of {len(answers)} are "
            f"{target.labels[1]!r}",
            hint="give the test a larger share of the rows, or stratify the split",
        )
    if target.task != "binary" and not (len(answers) and (answers != answers[0]).any()):
        what = "labels" if target.task == "multiclass" else "numbers"
        raise DataError(
            f"The test table must have rows of different {what} in column {target.column!r}, "
            + (f"but all {len(answers)} have one" if len(answers) else "but has no row"),
            hint="give the test a larger share of the rows",
        )


def _bins(labels: Array, scores: Array, n_bins: int) -> tuple[CalibrationBin, ...]:
    found = calibration(labels, scores, n_bins)
    return tuple(CalibrationBin(b / n_bins, (b + 1) / n_bins, *values) for b, values in enumerate(found))


def _curve(labels: Array, scores: Array) -> tuple[CurvePoint, ...]:
    """Thin the curve to points at even steps of the rank, both ends kept."""
    import numpy as np

    ranking = Ranking.of(scores)
    positives, negatives = ranking.counts(labels)
    tp, fp = np.cumsum(positives), np.cumsum(negatives)
    places = np.unique(np.linspace(0, len(tp) - 1, N_CURVE_POINTS).round().astype(int))
    return tuple(
        CurvePoint(
            float(ranking.scores[i]), float(fp[i] / fp[-1]), float(tp[i] / tp[-1]), float(tp[i] / (tp[i] + fp[i]))
        )
        for i in places.tolist()
    )


def _intervals(
    labels: Array, scores: Array, threshold: float, n_draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Compute metrics on resampled rows: how often each row was drawn is its weight, so nothing is sorted again."""
    import numpy as np

    if not n_draws:
        return {}
    random = np.random.Generator(np.random.PCG64(seed))
    ranking = Ranking.of(scores)
    n = len(labels)
    losses, squares = _loss_of_each(labels, scores), (scores - labels) ** 2
    said = scores >= threshold
    found: list[dict[str, float]] = []
    for _ in range(n_draws):
        weights = np.bincount(random.integers(0, n, n), minlength=n).astype(np.float64)
        positives, negatives = ranking.counts(labels, weights)
        found.append(
            {
                "auc": auc(positives, negatives),
                "average_precision": average_precision(positives, negatives),
                "log_loss": float((weights * losses).sum() / n),
                "brier": float((weights * squares).sum() / n),
                "skill": skill(float((weights * squares).sum() / n), float((weights * labels).sum() / n)),
                **rates(_weighted_confusion(labels, said, weights)),
            }
        )
    return _limits(found)


def _row_intervals(
    target: Target, answers: Array, scores: Array, threshold: float, n_draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Compute metrics on resampled rows, for the tasks whose metrics need no sorting."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64(seed))
    n = len(answers)
    draws = (random.integers(0, n, n) for _ in range(n_draws))
    return _limits([measured(target, answers[drawn], scores[drawn], threshold) for drawn in draws])


def _limits(found: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    import numpy as np

    tail = (1 - LEVEL) / 2
    names = found[0] if found else ()
    limits = {name: np.nanquantile([draw[name] for draw in found], [tail, 1 - tail]) for name in names}
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}


def _loss_of_each(labels: Array, scores: Array) -> Array:
    import numpy as np

    eps = np.finfo(np.float64).eps
    chance = np.clip(scores, eps, 1 - eps)
    return np.asarray(-np.where(labels == 1, np.log(chance), np.log1p(-chance)))


def _weighted_confusion(labels: Array, said: Array, weights: Array) -> Confusion:
    hits = int((weights * (said & (labels == 1))).sum())
    n_said, n_positive = int((weights * said).sum()), int((weights * labels).sum())
    return Confusion(hits, n_said - hits, n_positive - hits, int(weights.sum()) - n_said - n_positive + hits)


def _groups(
    test: object, slices: Sequence[str], target: Target, answers: Array, scores: Array, threshold: float
) -> Iterator[Group]:
    is_binary = target.task == "binary"
    for column in slices:
        for value, rows in group_rows(test, column):
            own, own_scores = answers[rows], scores[rows]
            metrics = (
                _group_metrics(own, own_scores, threshold) if is_binary else measured(target, own, own_scores, None)
            )
            yield Group(column, value, int(rows.sum()), int(own.sum()) if is_binary else None, metrics)


def _group_metrics(labels: Array, scores: Array, threshold: float) -> dict[str, float]:
    positives, negatives = Ranking.of(scores).counts(labels)
    return {
        "auc": auc(positives, negatives),
        "average_precision": average_precision(positives, negatives),
        "log_loss": log_loss(labels, scores),
        "brier": brier(labels, scores),
        **rates(confusion(labels, scores, threshold)),
        "positive_rate": float(labels.mean()),
    }


def group_rows(table: object, column: str) -> Iterator[tuple[str, Array]]:
    """Give each group of a column with its rows as a mask, frequent values first; see `evaluate`."""
    import polars as pl

    values = collect(scan(table, in_order=True).select(column)).to_series()
    if values.dtype.is_numeric() and values.n_unique() > MOST_GROUPS:
        values = _quartiles(values)
    text = values.cast(pl.String).fill_null("(missing)").alias("value")
    counts = text.value_counts().sort(["count", "value"], descending=[True, False])
    frequent = counts.filter(pl.col("count") >= SMALLEST_GROUP).head(MOST_GROUPS)["value"].to_list()
    for value in frequent:
        yield value, (text == value).to_numpy()
    others = ~text.is_in(frequent)
    if others.any():
        yield "(other)", others.to_numpy()


def _quartiles(values: pl.Series) -> pl.Series:
    """Cut numbers at their quartiles, and name the four parts by their bounds."""
    import polars as pl

    numbers = values.cast(pl.Float64).fill_nan(None)
    bounds = [numbers.quantile(q, "nearest") for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
    cuts = sorted({bound for bound in bounds if bound is not None})
    named = pl.lit(None, pl.String)
    for low, high in pairwise(cuts):
        inside = (numbers > low if low != cuts[0] else numbers >= low) & (numbers <= high)
        named = pl.when(inside).then(pl.lit(f"{low:g}..{high:g}")).otherwise(named)
    return pl.select(named.alias(values.name)).to_series()
