"""Evaluate: how good a model is on rows that nothing was chosen by, as a whole and by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    metrics_of,
    rates,
)
from headrace.steps.model import Model, labels_of
from headrace.steps.tables import collect, need_columns, scan

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
    n_positive: int
    metrics: dict[str, float]
    """AUC and average precision are NaN where the group has one class only."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found."""

    __headrace_one_value__: ClassVar[bool] = True

    target: str
    positive: str
    n_rows: int
    n_positive: int
    threshold: float
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """95 % confidence intervals of the metrics, by bootstrap percentiles."""
    confusion: Confusion
    calibration: tuple[CalibrationBin, ...]
    curve: tuple[CurvePoint, ...]
    """The ROC and precision-recall curves, from the highest threshold to the lowest, at most 101 points."""
    groups: tuple[Group, ...]


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
    card = model.card
    need_columns(slices, scan(test).collect_schema(), what="slices= names")
    labels, _ = labels_of(test, card.target, card.positive, card.negative)
    if not 0 < labels.sum() < len(labels):
        raise DataError(
            f"The test table must have rows of both labels, but {int(labels.sum())} of {len(labels)} are "
            f"{card.positive!r}",
            hint="give the test a larger share of the rows, or stratify the split",
        )
    scores = model.trusting(*trusts).scores(test)
    return Evaluation(
        target=card.target,
        positive=card.positive,
        n_rows=len(labels),
        n_positive=int(labels.sum()),
        threshold=card.threshold,
        metrics=_all_metrics(labels, scores, card.threshold, n_bins),
        intervals=_intervals(labels, scores, card.threshold, n_bootstraps, seed),
        confusion=confusion(labels, scores, card.threshold),
        calibration=_bins(labels, scores, n_bins),
        curve=_curve(labels, scores),
        groups=tuple(_groups(test, slices, labels, scores, card.threshold)),
    )


def _all_metrics(labels: Array, scores: Array, threshold: float, n_bins: int) -> dict[str, float]:
    return {**metrics_of(labels, scores, threshold), "calibration_error": calibration_error(labels, scores, n_bins)}


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
                **rates(_weighted_confusion(labels, said, weights)),
            }
        )
    tail = (1 - LEVEL) / 2
    limits = {name: np.nanquantile([draw[name] for draw in found], [tail, 1 - tail]) for name in found[0]}
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


def _groups(test: object, slices: Sequence[str], labels: Array, scores: Array, threshold: float) -> Iterator[Group]:
    for column in slices:
        for value, rows in group_rows(test, column):
            n_rows = int(rows.sum())
            own, own_scores = labels[rows], scores[rows]
            positives, negatives = Ranking.of(own_scores).counts(own)
            metrics = {
                "auc": auc(positives, negatives),
                "average_precision": average_precision(positives, negatives),
                "log_loss": log_loss(own, own_scores),
                "brier": brier(own, own_scores),
                **rates(confusion(own, own_scores, threshold)),
                "positive_rate": float(own.mean()),
            }
            yield Group(column, value, n_rows, int(own.sum()), metrics)


def group_rows(table: object, column: str) -> Iterator[tuple[str, Array]]:
    """Give each group of a column with its rows as a mask, frequent values first; see `evaluate`."""
    import polars as pl

    values = collect(scan(table, in_order=True).select(column)).to_series()
    if values.dtype.is_numeric() and values.n_unique() > MOST_GROUPS:
        values = _quartiles(values)
    text = values.cast(pl.String).fill_null("(missing)")
    counts = text.value_counts().sort(["count", text.name], descending=[True, False])
    frequent = counts.filter(pl.col("count") >= SMALLEST_GROUP).head(MOST_GROUPS)[text.name].to_list()
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
