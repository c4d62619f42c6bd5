"""From a raw file to a registered, packaged model. Another file is another set of parameters: see ``params/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from headrace import Table, pipeline
from headrace.steps import (
    AtRandom,
    ByKey,
    ByTime,
    Champion,
    Evaluation,
    Fairness,
    Model,
    ModelVersion,
    Threshold,
    evaluate,
    features,
    gate,
    ingest,
    package,
    preprocess,
    register,
    split,
    train,
    validate,
)
from headrace.steps.checks import read_checks
from headrace.steps.rules import read_rules

from .columns import CHECKS, CLEANING, DERIVED

Entries = list[dict[str, Any]]
"""Checks or rules as a parameter file has them."""


class Made(NamedTuple):
    """What the pipeline makes."""

    model: Model
    evaluation: Evaluation
    quarantine: Table
    version: ModelVersion
    package: Path


@pipeline
def churn(
    data: Path = Path("data/customers.csv"),
    test_data: Path | None = None,
    name: str = "churn",
    target: str = "churned",
    positive: str = "yes",
    key: str | None = "customer_id",
    time: str | None = "snapshot_date",
    exclude: tuple[str, ...] = ("signup_date", "email"),
    groups: dict[str, float] | None = None,
    missing: tuple[str, ...] = ("NA", "?"),
    checks: Entries | None = None,
    cleaning: Entries | None = None,
    derived: Entries | None = None,
    estimator: Literal["boosting", "linear"] = "boosting",
    min_auc: float = 0.75,
) -> Made:
    """Predict who leaves.

    ``groups`` names the columns whose values are looked at apart, and by how much their selection rates may differ.
    Rows are split by ``time`` if there is one, else by ``key``, else at random; ``test_data`` replaces the test part.
    """
    groups = {"region": 1.0, "gender": 0.2} if groups is None else groups
    how = ByTime(time) if time else ByKey(key) if key else AtRandom(stratify=target)
    hidden = [column for column in (key, time, *exclude) if column]

    def prepared(source: Path) -> tuple[Table, Table]:
        raw = ingest(source, missing=missing)
        good, quarantine, _ = validate(raw, CHECKS if checks is None else read_checks(checks))
        clean = preprocess(good, CLEANING if cleaning is None else read_rules(cleaning))
        return features(clean, DERIVED if derived is None else read_rules(derived)), quarantine

    table, quarantine = prepared(data)
    parts = split(table, how, test=0.15 if test_data is None else 0.01)
    test = parts.test if test_data is None else prepared(test_data)[0]
    model = train(parts.train, parts.validation, target=target, positive=positive, estimator=estimator, exclude=hidden)
    evaluation = evaluate(model, test, slices=list(groups))
    verdict = gate(
        evaluation,
        model,
        test,
        thresholds=[Threshold("auc", at_least=min_auc)],
        champion=Champion(name, metric="auc", margin=0.005),
        fairness=[Fairness(column, limit) for column, limit in groups.items()],
    )
    version = register.options(when=verdict.passed)(model, evaluation, verdict, name=name)
    return Made(model, evaluation, quarantine, version, package(model, version, test))
