"""Gate: may this model replace the one that serves?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.core.context import current_run
from headrace.core.errors import DamagedObjectError, DataError, HeadraceError, near_miss
from headrace.core.external import External
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.evaluation import Evaluation, group_rows
from headrace.steps.metrics import HIGHER_IS_BETTER, confusion, rates
from headrace.steps.model import Model
from headrace.steps.registry import Registry, check_model_name, model_digest
from headrace.steps.scoring import metric_on

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

ROUNDING = 1e-12
"""Differences up to this count as none: sums in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound that a metric of the evaluation must keep: at least, at most, or both. A NaN keeps none."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    surely: bool = False
    """Whether the whole 95 % interval must keep it: what few test rows show by chance doesn't pass then."""

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise DataError(f"Threshold({self.metric!r}) has no bound", hint="give at_least, at_most or both")


@dataclass(frozen=True, slots=True)
class Fairness:
    """The share of rows said to be positive may differ between the groups of a column by ``max_difference`` at most.

    That is the statistical parity difference (Dwork et al., 2012). Groups are those of `evaluate`'s slices; rows
    without a value and rare values together are no group here.
    """

    column: str
    max_difference: float

    def __post_init__(self) -> None:
        if not 0 <= self.max_difference <= 1:
            raise DataError(
                f"0 <= max_difference <= 1 must hold, but got max_difference={self.max_difference!r}",
                hint="give a share, such as 0.1",
            )


@dataclass(frozen=True)
class Champion(External):
    """The version of a model that serves, as it was when the run began.

    A candidate that is the champion itself is held against what the champion was once held against, so running a
    pipeline again finds the verdict that is there instead of comparing a model with itself.
    """

    name: str
    metric: str = "auc"
    margin: float = 0.0
    """How much worse than the champion a candidate may be, in the metric's unit; negative: by how much better."""

    def __post_init__(self) -> None:
        check_model_name(self.name)
        if self.metric not in HIGHER_IS_BETTER:
            raise DataError(f"No champion is chosen by {self.metric!r}", hint=near_miss(self.metric, HIGHER_IS_BETTER))

    def pin(self, store: Store) -> dict[str, Any] | None:
        """Read the registry: the champion's number, its model's digest, and what it was compared with.

        In a run that takes a sample of its data there is none: what was trained on a part isn't held against it.
        """
        run = current_run()
        champion = None if run is not None and run.sample is not None else Registry(store).champion(self.name)
        if champion is None:
            return None
        return {"version": champion.version, "model": champion.digest, "compared_with": champion.compared_with}

    def key_part(self, pin: Any, inputs: frozenset[str]) -> str | None:
        """Give the digest of the model that the candidate is compared with; None where there is none."""
        return opponent(pin, inputs)


def opponent(pin: Any, candidates: frozenset[str]) -> str | None:
    """Say which model a candidate is held against, by the champion's pin: never itself."""
    if pin is None:
        return None
    found: str | None = pin["compared_with"] if pin["model"] in candidates else pin["model"]
    return found


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was looked at."""

    rule: str
    """What must hold, in words."""
    passed: bool
    value: float
    """The candidate's number; NaN where it could not be had."""
    bound: float
    """What it was held against."""
    margin: float
    """By how much it holds; negative: by how much it doesn't."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. The model may go on where ``passed``; each reason says why or why not."""

    __headrace_gate__: ClassVar[str] = "passed"

    passed: bool
    reasons: tuple[Reason, ...]
    compared_with: str | None
    """The digest of the champion that it was compared with; None where there was none."""


@step
def gate(
    evaluation: Evaluation,
    model: Model,
    test: TableLike,
    *,
    thresholds: Sequence[Threshold] = (),
    champion: Champion | None = None,
    fairness: Sequence[Fairness] = (),
    trusts: Sequence[type] = (),
) -> Verdict:
    """Decide whether a model may be registered: absolute bounds, no worse than the champion, fair enough.

    A model that doesn't pass is no error: the verdict says so, and what hangs on ``when=verdict.passed`` is skipped.
    The champion is scored on the very same test rows as the candidate. Without a champion that comparison passes.
    Where the champion can't be scored on them (a feature is gone, its files are), the comparison fails, since nothing
    shows that the candidate is as good: promote or roll back by hand.

    Parameters
    ----------
    evaluation, model, test
        What `evaluate` found, and what it looked at.
    thresholds
        Bounds on metrics of the evaluation.
    champion
        Which model serves, by which metric to compare, and how much worse the candidate may be.
    fairness
        Bounds on the difference between groups.
    trusts
        Classes of your own inside the estimators; see `Model`.

    Raises
    ------
    DataError
        There is no such metric (the nearest is named) or column.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps import evaluate, train
    >>> rows = pl.DataFrame({"age": [20.0, 30.0, 60.0, 70.0] * 25, "left": ["no", "no", "yes", "yes"] * 25})
    >>> model = train(rows, rows, target="left", positive="yes", estimator="linear")
    >>> verdict = gate(evaluate(model, rows), model, rows, thresholds=[Threshold("log_loss", at_most=0.001)])
    >>> verdict.passed, verdict.reasons[0].rule
    (False, 'log_loss <= 0.001')
    """
    reasons = [reason for threshold in thresholds for reason in _threshold_reasons(evaluation, threshold)]
    candidate = model.trusting(*trusts)
    compared_with = None
    if champion is not None:
        reason, compared_with = _champion_reason(champion, candidate, test, trusts)
        reasons.append(reason)
    reasons += [_fairness_reason(candidate, test, limit) for limit in fairness]
    return Verdict(all(reason.passed for reason in reasons), tuple(reasons), compared_with)


def _threshold_reasons(evaluation: Evaluation, threshold: Threshold) -> list[Reason]:
    metric = threshold.metric
    if metric not in evaluation.metrics:
        raise DataError(f"The evaluation has no metric {metric!r}", hint=near_miss(metric, evaluation.metrics))
    low = high = evaluation.metrics[metric]
    if threshold.surely:
        if metric not in evaluation.intervals:
            raise DataError(
                f"The evaluation has no interval of {metric!r}, so nothing is sure",
                hint=near_miss(metric, evaluation.intervals) or "let evaluate draw: n_bootstraps=200",
            )
        low, high = evaluation.intervals[metric]
    reasons = []
    for sign, bound, value, margin in (
        (">=", threshold.at_least, low, low - (threshold.at_least or 0.0)),
        ("<=", threshold.at_most, high, (threshold.at_most or 0.0) - high),
    ):
        if bound is not None:
            rule = f"{metric} {'surely ' if threshold.surely else ''}{sign} {bound:g}"
            reasons.append(Reason(rule, margin >= -ROUNDING, value, bound, margin))
    return reasons


def _champion_reason(
    champion: Champion, candidate: Model, test: Any, trusts: Sequence[type]
) -> tuple[Reason, str | None]:
    """Hold the candidate against the champion on the same rows."""
    run = current_run()
    registry = Registry.here()
    pin = run.pin_of(champion) if run is not None else champion.pin(registry.store)
    digest = opponent(pin, frozenset() if pin is None else frozenset({model_digest(candidate)}))
    own = metric_on(candidate, test, champion.metric)
    sign = -1.0 if champion.margin >= 0 else 1.0
    allowed = f" {'-' if sign < 0 else '+'} {abs(champion.margin):g}" if champion.margin else ""
    words = f"{champion.metric} no worse than the champion's{allowed}"
    if digest is None:
        return Reason(words, True, own, math.nan, math.nan, "there is no champion yet"), None
    try:
        version = registry.with_digest(champion.name, digest)
        if version is None:
            raise DataError(f"no version of {champion.name!r} has the digest {digest[:12]}")
        theirs = metric_on(registry.load(version).trusting(*trusts), test, champion.metric)
    except (DamagedObjectError, HeadraceError) as error:
        note = f"the champion can't be scored on these rows: {error.message}"
        return Reason(words, False, own, math.nan, math.nan, note), digest
    better = own - theirs if HIGHER_IS_BETTER[champion.metric] else theirs - own
    margin = better + champion.margin
    note = f"version {version.version} has {theirs:.6g}"
    return Reason(words, margin >= -ROUNDING, own, theirs, margin, note), digest


def _fairness_reason(model: Model, test: Any, limit: Fairness) -> Reason:
    from headrace.steps.tables import need_columns, scan

    need_columns([limit.column], scan(test).collect_schema(), what="Fairness looks at")
    threshold = model.card.threshold
    if threshold is None:
        raise DataError(
            f"Fairness({limit.column!r}) compares how often the positive label is said, but the model predicts "
            f"{'a number' if model.card.task == 'regression' else 'several labels'}",
            hint="leave it out; evaluate's slices show each group's metrics",
        )
    labels = model.card.asked.answers(test)
    scores: Any = model.scores(test)
    shares = {
        value: rates(confusion(labels[rows], scores[rows], threshold))["selection_rate"]
        for value, rows in group_rows(test, limit.column)
        if value not in ("(missing)", "(other)")
    }
    words = f"selection rates by {limit.column} differ by at most {limit.max_difference:g}"
    if len(shares) < 2:
        return Reason(words, True, 0.0, limit.max_difference, limit.max_difference, "there are not two groups")
    low, high = min(shares, key=lambda v: shares[v]), max(shares, key=lambda v: shares[v])
    difference = shares[high] - shares[low]
    margin = limit.max_difference - difference
    note = f"{high} {shares[high]:.3f}, {low} {shares[low]:.3f}"
    return Reason(words, margin >= -ROUNDING, difference, limit.max_difference, margin, note)
