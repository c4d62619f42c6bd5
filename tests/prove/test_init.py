"""`headrace init` on each real file: the first run ends well, without an edit.

A small file here; `make prove` does all, and writes ``results/init.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from first_runs.campaign import CASES, NOT_TABLES, RESULT, Case, main, try_case, what_is_wrong

from headrace.steps import Threshold, evaluate, gate, split, train
from headrace.templates.rendering import LEAST

PROVE = pytest.mark.prove
SMALL = next(case for case in CASES if case.name == "penguins")


@PROVE
@pytest.mark.timeout(300)
def test_the_first_run_on_a_small_file(shared_data: Path, tmp_path: Path) -> None:
    found = try_case(SMALL, tmp_path)
    assert "wrong" not in found, found


def test_every_file_has_its_case(shared_data: Path) -> None:
    assert {case.file for case in CASES} == {path.name for path in shared_data.iterdir()} - NOT_TABLES


def test_the_campaign_sees_what_is_wrong() -> None:
    made = {"target": {"task": "multiclass"}, "split": {"by": "random"}, "left_out": {}}
    good = {"exit": 0, "outcome": "succeeded", "counts": {"succeeded": 9}}
    hits = {"exit": 0, "outcome": "succeeded", "counts": {"cached": 9}}
    assert what_is_wrong(SMALL, made, good, hits, {"skill": 0.9}) == ""
    assert what_is_wrong(SMALL, made, good, hits, {"skill": 0.1}) == "0.1000 is less than 0.8"
    assert what_is_wrong(SMALL, made, good, hits, {}).startswith("-1")
    assert what_is_wrong(SMALL, made, {**good, "outcome": "rejected", "exit": 3}, hits, {"skill": 0.9})
    assert what_is_wrong(SMALL, made, good, good, {"skill": 0.9}).startswith("the second run")
    other = Case("x", "x.csv", "x", "binary", "random")
    assert what_is_wrong(other, made, good, hits, {"skill": 0.9}).startswith("proposed")


def test_the_result_is_of_all_files_and_none_went_wrong() -> None:
    result = json.loads(RESULT.read_text())
    assert (result["n_files"], result["n_wrong"]) == (len(CASES), 0)
    assert {found["file"] for found in result["files"]} == {case.file for case in CASES}


def noise(seed: int) -> pl.DataFrame:
    """A table whose columns say nothing: of two sizes, with every kind of target."""
    random = np.random.default_rng(seed)
    n = 344 if seed % 2 else 1000
    columns = {f"x{i}": random.normal(size=n) for i in range(8)} | {
        f"c{i}": random.choice([*"abcd"], n) for i in range(4)
    }
    targets = {
        "binary": random.choice(["n", "y"], n, p=[0.75, 0.25]),
        "multiclass": random.choice([*"pqr"], n),
        "regression": random.normal(size=n),
    }
    return pl.DataFrame(columns | targets)


def passes(seed: int, task: Any, estimator: str) -> bool:
    parts = split(noise(seed).select(pl.exclude({"binary", "multiclass", "regression"} - {task})))
    options: Any = {"positive": "y"} if task == "binary" else {"task": task}
    model = train(parts.train, parts.validation, target=task, estimator=estimator, **options)
    metric = "r2" if task == "regression" else "skill"
    thresholds = [Threshold(metric, at_least=LEAST), Threshold(metric, at_least=0, surely=True)]
    return gate(evaluate(model, parts.test), model, parts.test, thresholds=thresholds).passed


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    ("estimator", "n"),
    [
        ("linear", 6),
        pytest.param("linear", 40, marks=PROVE),
        pytest.param("boosting", 20, marks=pytest.mark.prove),
    ],
)
@pytest.mark.timeout(900)
def test_the_gate_of_a_new_project_rejects_columns_that_say_nothing(task: str, estimator: str, n: int) -> None:
    assert [seed for seed in range(n) if passes(seed, task, estimator)] == []


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_first_run_on_every_file(shared_data: Path) -> None:
    assert main([]) == 0
