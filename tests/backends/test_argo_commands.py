"""The commands of compiled workflows, carried out as plain processes: they do what a local run does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from argo_commands import Cluster, Workflow, would_retry

from headrace.backends.argo.templates import LOST
from headrace.engine.view import RunView
from headrace.stores.open import open_store

IMAGE = "registry.example/flows@sha256:" + "a" * 64
Clusters = Callable[..., Cluster]
IGNORED = shutil.ignore_patterns(".headrace", "__pycache__")
rest = pytest.mark.conformance
"""Not in every suite: a workflow is ten processes and more."""


@pytest.fixture
def flows(tmp_path: Path, project_root: Path) -> Path:
    """The pipelines that real engines carry out."""
    return Path(shutil.copytree(project_root / "tests/conformance/project", tmp_path / "project"))


@pytest.fixture
def compiled(flows: Path, tmp_path: Path) -> Clusters:
    """Compile one of them for Argo, its store a folder on a volume."""

    def compile_(pipeline: str, *more: str, secrets: dict[str, str] | None = None) -> Cluster:
        done = headrace(
            flows,
            *("compile", "argo", f"flows.py:{pipeline}", "-o", str(tmp_path / "out"), "--image", IMAGE),
            *("--store", str(tmp_path / "store"), "--set", "volume_claim=flows", *more),
        )
        assert done.returncode == 0, done.stderr
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        return Cluster(tmp_path / "out", flows, scratch, secrets or {})

    return compile_


def headrace(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headrace", *words],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def local_digests(flows: Path, store: Path, pipeline: str, *more: str, **env: str) -> dict[str, dict[str, str]]:
    done = headrace(flows, "run", f"flows.py:{pipeline}", "--store", str(store), "--json", *more, **env)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["run"]
    return digests(RunView.read(open_store(str(store)), run))


def digests(view: RunView) -> dict[str, dict[str, str]]:
    return {
        node: {name: artifact.digest for name, artifact in result.outputs.items()}
        for node, result in view.results.items()
    }


def record(cluster: Cluster, workflow: Workflow) -> RunView:
    return RunView.read(open_store(str(cluster.scratch.parent / "store")), workflow.id)


@pytest.mark.parametrize(
    "pipeline", ["mapped", *(pytest.param(name, marks=rest) for name in ("diamond", "nested_map", "several", "nested"))]
)
def test_the_artifacts_are_those_of_a_local_run(compiled: Clusters, flows: Path, tmp_path: Path, pipeline: str) -> None:
    cluster = compiled(pipeline)
    workflow = cluster.submit({})
    finish = workflow.run()

    assert (finish.code, finish.outputs["outcome"]) == (0, "succeeded"), finish.err
    assert set(workflow.phases.values()) == {"Succeeded"}
    view = record(cluster, workflow)
    assert digests(view) == local_digests(flows, tmp_path / "local", pipeline)
    assert view.begin["engine"] == {"name": "argo", "run": "run-00000001"}


@rest
def test_an_output_parameter_refers_to_what_was_made(compiled: Clusters) -> None:
    cluster = compiled("several")
    workflow = cluster.submit({})
    workflow.run()

    told = json.loads(workflow.ran["halves"][0].outputs["outputs"])
    made = record(cluster, workflow).results["halves"].outputs
    assert told == {
        name: {"digest": made[name].digest, "format": "json", "n_bytes": made[name].n_bytes} for name in ("low", "high")
    }


@rest
def test_a_map_over_nothing_is_collected_all_the_same(compiled: Clusters) -> None:
    workflow = compiled("mapped_nothing").submit({})
    finish = workflow.run()

    assert finish.code == 0, finish.err
    assert workflow.phases["squared-items"] == "Skipped"
    assert (workflow.phases["squared"], workflow.phases["total"]) == ("Succeeded", "Succeeded")


def test_what_is_skipped_succeeds_and_says_so(compiled: Clusters) -> None:
    workflow = compiled("conditional").submit({"n": "1"})
    finish = workflow.run()

    assert (finish.code, finish.outputs["outcome"]) == (0, "succeeded")
    assert set(workflow.phases.values()) == {"Succeeded"}
    told = {task: workflow.outcome(task) for task in ("kept", "after", "last", "beside")}
    assert told == {"kept": "skipped", "after": "skipped", "last": "skipped", "beside": "succeeded"}


@rest
def test_what_follows_a_failure_is_not_started_and_what_does_not_is(compiled: Clusters, tmp_path: Path) -> None:
    cluster = compiled("permanent", "-p", f"place={tmp_path}")
    workflow = cluster.submit({})
    finish = workflow.run()

    assert (finish.code, finish.outputs["outcome"]) == (1, "failed")
    assert workflow.ran["broken"][0].code == 1, "and Argo doesn't try it again"
    assert workflow.outcome("broken") == "failed"
    assert (workflow.phases["add"], workflow.phases["beside"]) == ("Omitted", "Succeeded")
    assert (tmp_path / "broken").read_text() == "x", "a failure that stays one is called once"
    assert record(cluster, workflow).results["add"].outcome == "upstream failed"


@rest
def test_exec_tries_again_what_may_pass(compiled: Clusters, tmp_path: Path) -> None:
    workflow = compiled("transient", "-p", f"place={tmp_path}").submit({})
    assert workflow.run().code == 0
    assert (tmp_path / "flaky").read_text() == "xxx"
    assert len(workflow.ran["flaky"]) == 1


@rest
def test_a_failing_map_is_collected_and_its_followers_are_not_started(compiled: Clusters, flows: Path) -> None:
    text = (flows / "flows.py").read_text()
    (flows / "flows.py").write_text(text.replace("return value * value", "return value * value // (3 - value)"))
    workflow = compiled("mapped").submit({})
    finish = workflow.run()

    assert finish.code == 1
    assert (workflow.phases["squared-items"], workflow.phases["squared"]) == ("Failed", "Failed")
    assert workflow.outcome("squared") == "failed"
    assert workflow.phases["total"] == "Omitted"


def test_a_gate_rejects_the_workflow_by_its_exit_handler(compiled: Clusters) -> None:
    workflow = compiled("gated").submit({"n": "50"})
    finish = workflow.run()

    assert set(workflow.phases.values()) == {"Succeeded"}
    assert workflow.outcome("register") == "skipped"
    assert (finish.code, finish.outputs["outcome"]) == (3, "rejected")


@rest
def test_a_workflow_that_is_tried_again_goes_on_in_the_same_run(compiled: Clusters, tmp_path: Path) -> None:
    cluster = compiled("permanent", "-p", f"place={tmp_path}")
    first = cluster.submit({})
    first.run()
    again = Workflow(cluster, first.template, {}, first.uid)
    again.run()

    assert again.id == first.id
    assert again.outcome("beside") == "succeeded"
    assert "has ended in this run already" in again.ran["beside"][0].err
    assert record(cluster, again).results["broken"].attempt == 2


@rest
def test_two_workflows_are_two_runs_and_the_second_has_hits(compiled: Clusters) -> None:
    cluster = compiled("diamond")
    one, two = cluster.submit({}), cluster.submit({})
    one.run()
    two.run()

    assert one.id != two.id
    assert {two.outcome(task) for task in ("start", "left", "right", "bottom")} == {"cached"}


def test_a_secret_is_a_variable_of_its_pod_alone(compiled: Clusters, flows: Path, tmp_path: Path) -> None:
    value = "tok-Zq8\"'{{ }}$(x)-éß-0123456789"
    cluster = compiled("secretive", secrets={"secretive-secrets/CONFORMANCE_TOKEN": value})
    workflow = cluster.submit({})

    assert workflow.run().code == 0
    assert workflow.outcome("used") == "succeeded"
    files = [path for folder in (cluster.folder, tmp_path / "store") for path in folder.rglob("*") if path.is_file()]
    assert not any(value.encode() in path.read_bytes() or b"0123456789" in path.read_bytes() for path in files)
    pods = {name: template["container"] for name, template in workflow.templates.items() if "container" in template}
    env = {name: container.get("env") for name, container in pods.items()}
    assert [name for name, variables in env.items() if variables] == ["step"]


def test_a_schedules_date_is_the_day_in_the_pipelines_zone(compiled: Clusters, flows: Path) -> None:
    text = (flows / "flows.py").read_text()
    assert 'schedule="@daily", date="day")' in text
    (flows / "flows.py").write_text(
        text.replace('schedule="@daily", date="day")', 'schedule="@daily", date="day", timezone="Europe/Zurich")')
    )
    cluster = compiled("daily")
    workflow = cluster.submit({}, "cron-workflow")  # it was due on the 28th at 23:30 UTC

    assert workflow.run().code == 0
    assert record(cluster, workflow).begin["date"] == "2026-03-29"


def test_a_run_by_hand_whose_date_is_not_filled_in_is_refused(compiled: Clusters) -> None:
    cluster = compiled("daily")
    begin = cluster.submit({}).container("begin", {})

    assert begin.code == 2
    assert "'YYYY-MM-DD'" in begin.out + begin.err
    assert not would_retry(LOST, begin.code, "Failed")
    assert cluster.submit({"day": '"2026-03-01"'}).run().code == 0


def test_another_graph_than_was_compiled_is_refused(compiled: Clusters) -> None:
    cluster = compiled("fan")
    begin = cluster.submit({"width": "13"}).container("begin", {})
    assert begin.code == 2
    assert "has other steps" in begin.out + begin.err


@pytest.mark.parametrize(
    ("code", "status", "is_tried_again"),
    [
        (0, "Succeeded", False),
        (1, "Failed", False),
        (2, "Failed", False),
        (3, "Failed", False),
        (130, "Failed", False),
        (137, "Failed", True),
        (139, "Failed", True),
        (143, "Failed", True),
        (-1, "Error", True),
        (-1, "Failed", False),
    ],
)
def test_argo_tries_again_what_was_lost_alone(code: int, status: str, is_tried_again: bool) -> None:
    assert would_retry(LOST, code, status) == is_tried_again


@rest
@pytest.mark.timeout(600)
def test_the_example_makes_what_it_makes_on_this_machine(project_root: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(project_root / "examples/churn", tmp_path / "project", ignore=IGNORED))
    subprocess.run([sys.executable, "-m", "churn.generate"], cwd=project, check=True, capture_output=True)
    options = ("--image", IMAGE, "--store", str(tmp_path / "store"), "--set", "volume_claim=churn")
    done = headrace(project, "compile", "argo", "churn.pipeline:churn", "-o", str(tmp_path / "out"), *options)
    assert done.returncode == 0, done.stderr
    (tmp_path / "scratch").mkdir()
    cluster = Cluster(tmp_path / "out", project, tmp_path / "scratch")
    workflow = cluster.submit({})
    finish = workflow.run()

    assert (finish.code, finish.outputs["outcome"]) == (0, "succeeded"), finish.err
    made = digests(record(cluster, workflow))
    local = headrace(project, "run", "churn.pipeline:churn", "--store", str(tmp_path / "local"), "--json")
    assert local.returncode == 0, local.stderr
    here = digests(RunView.read(open_store(str(tmp_path / "local")), json.loads(local.stdout)["run"]))
    assert len(made) == 10
    assert made == here
