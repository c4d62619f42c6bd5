"""The pipeline on a small file: what it makes, and what it says to wrong input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from churn.generate import main
from churn.pipeline import churn

import headrace
from headrace import Outcome, RunOutcome, RunResult
from headrace.steps.gating import Reason

STEPS = ["ingest", "validate", "preprocess", "features", "split", "train", "evaluate", "gate", "register", "package"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("churn")
    main(["--rows", "4000", "--out", str(folder / "customers.csv")])
    return folder


def run(folder: Path, **parameters: Any) -> RunResult:
    data = {"data": folder / "customers.csv", "estimator": "linear", **parameters}
    return headrace.run(churn, data, store=folder / "store", inline=True)


@pytest.fixture(scope="module")
def first(folder: Path) -> RunResult:
    return run(folder)


def test_all_ten_steps_succeed(first: RunResult) -> None:
    assert first.outcome == RunOutcome.SUCCEEDED
    assert [name for name, node in first.nodes.items() if node.outcome == Outcome.SUCCEEDED] == STEPS


def test_no_row_is_lost(first: RunResult) -> None:
    findings = first.load("validate.findings")
    assert findings.n_rows == 4000 == findings.n_good + findings.n_quarantined
    n_parts = [first.load(f"split.{part}").n_rows for part in ("train", "validation", "test")]
    assert sum(n_parts) == findings.n_good
    assert first.load("quarantine").n_rows == findings.n_quarantined > 50


def test_the_model_knows_something(first: RunResult) -> None:
    evaluation = first.load("evaluation")
    assert 0.8 < evaluation.metrics["auc"] < 0.88, "0.84 is what the rule behind the customers allows"
    assert {feature.name for feature in first.load("model").card.features} >= {"tenure_days", "plan", "nps_missing"}
    assert not {"customer_id", "email"} & {feature.name for feature in first.load("model").card.features}


def test_the_second_run_is_all_hits(first: RunResult, folder: Path) -> None:
    again = run(folder)
    assert {node.outcome for node in again.nodes.values()} == {Outcome.CACHED}


def test_the_gate_can_say_no(first: RunResult, folder: Path) -> None:
    rejected = run(folder, min_auc=0.99)
    assert rejected.outcome == RunOutcome.REJECTED
    assert [name for name, node in rejected.nodes.items() if node.outcome == Outcome.SKIPPED] == ["register", "package"]
    (failed,) = [reason for reason in rejected.load("gate.reasons", tuple[Reason, ...]) if not reason.passed]
    assert failed.rule == "auc >= 0.99"


@pytest.mark.parametrize(
    ("parameters", "step", "message"),
    [
        ({"target": "churnd"}, "train", r"The target is column 'churnd', which the table doesn't have"),
        ({"positive": "gone"}, "train", "No row of column 'churned' is 'gone'"),
        ({"time": "snapshot"}, "split", "split looks at column 'snapshot'"),
        ({"exclude": ("mail",)}, "train", "exclude= names column 'mail'"),
        ({"groups": {"regin": 1.0}}, "evaluate", "slices= names column 'regin'"),
        ({"data": Path("nowhere.csv")}, "ingest", "There is no file 'nowhere.csv'"),
    ],
)
def test_wrong_input_is_told_by_the_step_that_meets_it(
    first: RunResult, folder: Path, parameters: dict[str, Any], step: str, message: str
) -> None:
    failed = run(folder, **parameters)
    assert failed.outcome == RunOutcome.FAILED
    failure = failed.nodes[step].failure
    assert failed.nodes[step].outcome == Outcome.FAILED and failure is not None and message in failure.message
