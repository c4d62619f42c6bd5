"""What is Dagster's own: assets one by one, checks, schedules, sensors, kills of a whole run, `--submit`, the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docs_code
import environments
import pytest
from engine import FAILED, NOT_STARTED, SUCCEEDED, Deployed
from engines.dagster import LAUNCH, LOCATION, DagsterEngine
from harness import Bench, headrace, newest
from services import wait_until

from headrace.backends.dagster.submitting import RELOAD_ALL

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
DRY_RUN = """
mutation($selector: ScheduleSelector!, $at: Float!) { scheduleDryRun(selectorData: $selector, timestamp: $at) {
  __typename ... on DryRunInstigationTick { evaluationResult { runRequests { tags { key value } } error { message } } }
  ... on PythonError { message } } }
"""
TERMINATE = """
mutation($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename
  ... on TerminateRunsResult { terminateRunResults { __typename } } } }
"""
CHECKS = """
query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status
    evaluation { severity success metadataEntries { label ... on JsonMetadataEntry { jsonString } } } } } } } } } }
"""


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An instance for the cases of this file."""
    if "dagster" not in os.environ.get("HEADRACE_ENGINES", "dagster").split(","):
        pytest.skip("HEADRACE_ENGINES names other engines")
    environments.set_up("dagster")
    folder = tmp_path_factory.mktemp("dagster-own")
    engine = DagsterEngine(folder / "engine")
    (folder / "engine").mkdir()
    try:
        engine.start()
        yield Bench(engine, folder)
    finally:
        engine.stop()


def engine_of(bench: Bench) -> DagsterEngine:
    assert isinstance(bench.engine, DagsterEngine)
    return bench.engine


def materialize(bench: Bench, deployed: Deployed, *keys: str, parameters: dict[str, Any] | None = None) -> str:
    """Materialize some assets, as the web interface does."""
    engine = engine_of(bench)
    if engine.served != deployed.name:
        engine.deploy(deployed)
    config = {"ops": {deployed.name: {"ops": {"begin": {"config": parameters or {}}}}}}
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": [deployed.name, *key.split("/")]} for key in keys],
    }
    answer = engine.ask(LAUNCH, params={"selector": selector, "runConfigData": config})["launchRun"]
    return str(answer["run"]["runId"])


def test_materializing_one_asset_runs_what_it_needs(dagster: Bench) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("diamond")
    run = materialize(dagster, deployed, "left", parameters={"n": 31})
    ended = engine.wait(deployed, run)
    made = engine._run(run)["assetMaterializations"]

    assert ended.tasks == {"<begin>": SUCCEEDED, "start": SUCCEEDED, "left": SUCCEEDED}
    assert [item["assetKey"]["path"] for item in made] == [["diamond", "left"]]

    run = materialize(dagster, deployed, "bottom", parameters={"n": 31})
    ended = engine.wait(deployed, run)
    outcomes = {node: str(item.outcome) for node, item in newest(deployed.store).results.items()}

    assert set(ended.tasks) == {"<begin>", "start", "left", "right", "bottom"}
    assert outcomes == {"start": "cached", "left": "cached", "right": "succeeded", "bottom": "succeeded"}


def test_an_asset_says_what_it_is(dagster: Bench) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("chain")
    done = dagster.run(deployed, {"n": 61})
    facts = {
        event["assetKey"]["path"][-1]: {item["label"]: item for item in event["metadataEntries"]}
        for event in engine.events(done.run)
        if event["__typename"] == "MaterializationEvent"
    }
    artifact = done.view.results["add"].outputs["output"]

    assert set(facts) == {"start", "add", "add-2", "add-3", "headrace_run"}
    assert facts["add"]["digest"]["text"] == artifact.digest
    assert facts["add"]["size"]["intValue"] == artifact.n_bytes
    assert facts["headrace_run"]["outcome"]["text"] == "succeeded"
    assert facts["headrace_run"]["run"]["text"] == done.view.id


def test_a_gate_is_an_asset_check(dagster: Bench) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("gated")
    found = {}
    for n in (50, 3):
        dagster.run(deployed, {"n": n})
        node = engine.ask(CHECKS, asset={"path": ["gated", "judge", "passed"]})["assetNodeOrError"]
        (check,) = node["assetChecksOrError"]["checks"]
        evaluation = check["executionForLatestMaterialization"]["evaluation"]
        found[n] = (check["name"], evaluation["success"], evaluation["severity"])

    assert found == {50: ("passed", False, "ERROR"), 3: ("passed", True, "ERROR")}


def run_process(engine: DagsterEngine, run: str) -> int:
    """The process that carries out a run, as the multiprocess executor tells it."""
    (told,) = (
        event["message"]
        for event in engine.events(run)
        if "Executing steps using multiprocess executor" in event["message"]
    )
    return int(told.split("pid:")[1].strip(" )."))


def started(place: Path, name: str) -> None:
    wait_until((place / name).exists, seconds=240)


def calls(place: Path, name: str) -> int:
    return (place / name).stat().st_size


def test_a_killed_run_is_settled_and_goes_on(dagster: Bench, tmp_path: Path) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("killed", {"place": str(tmp_path)})
    run = engine.trigger(deployed, {"place": str(tmp_path)})
    started(tmp_path, "waiting")
    os.kill(run_process(engine, run), signal.SIGKILL)
    ended = engine.wait(deployed, run)
    before = newest(deployed.store)

    assert (ended.state, ended.word) == (FAILED, "FAILURE")
    assert before.state == "failed"
    assert str(before.results["waiting"].outcome) == "crashed"

    engine.resume(deployed, run, {"place": str(tmp_path)})
    done = dagster.ended(deployed, run)

    assert done.ended.state == SUCCEEDED
    assert done.view.id == before.id, "the same run goes on"
    assert done.view.state == "succeeded"
    assert (calls(tmp_path, "counted"), calls(tmp_path, "waiting")) == (1, 2)


def test_a_failure_is_settled_by_a_sensor_and_resumed(dagster: Bench, tmp_path: Path) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("permanent", {"place": str(tmp_path)})
    done = dagster.run(deployed, {"place": str(tmp_path)})

    assert done.view.state == "failed"
    assert any(
        "headrace: run" in event["message"] and "failed: broken" in event["message"]
        for event in engine.events(done.run)
    )

    engine.resume(deployed, done.run, {})
    again = dagster.ended(deployed, done.run)

    assert [str(item.outcome) for item in again.view.attempts["broken"]] == ["failed", "failed"]
    assert str(again.view.results["add"].outcome) == "upstream failed"
    assert again.view.id == done.view.id


def test_a_terminated_run_ends_its_step(dagster: Bench, tmp_path: Path) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("killed", {"place": str(tmp_path)})
    run = engine.trigger(deployed, {"place": str(tmp_path)})
    started(tmp_path, "waiting")
    engine.ask(TERMINATE, ids=[run])
    ended = engine.wait(deployed, run)
    view = newest(deployed.store)

    assert ended.word in ("CANCELED", "FAILURE")
    assert ended.tasks["add"] == NOT_STARTED
    assert view.state in ("cancelled", "failed")
    assert calls(tmp_path, "waiting") == 1


def test_a_schedule_asks_for_the_date_that_is_due(dagster: Bench) -> None:
    engine = engine_of(dagster)
    engine.deploy(dagster.deploy("daily"))
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "scheduleName": "daily_schedule",
    }
    answer = engine.ask(DRY_RUN, selector=selector, at=1_772_323_200.0)["scheduleDryRun"]
    (asked,) = answer["evaluationResult"]["runRequests"]

    assert {"key": "dagster/partition", "value": "2026-03-01"} in asked["tags"], answer


def test_what_a_validation_found_is_an_asset_check(dagster: Bench) -> None:
    engine = engine_of(dagster)
    deployed = dagster.deploy("churn", project=dagster.example)
    ended = engine.wait(deployed, materialize(dagster, deployed, "validate/table"))
    (check,) = engine.ask(CHECKS, asset={"path": ["churn", "validate", "table"]})["assetNodeOrError"][
        "assetChecksOrError"
    ]["checks"]
    evaluation = check["executionForLatestMaterialization"]["evaluation"]
    facts = {item["label"]: item.get("jsonString") for item in evaluation["metadataEntries"]}

    assert ended.tasks == {"<begin>": SUCCEEDED, "ingest": SUCCEEDED, "validate": SUCCEEDED}
    assert (check["name"], evaluation["success"], evaluation["severity"]) == ("findings", False, "WARN")
    assert {item["rule"] for item in json.loads(facts["broken rules"])} >= {"customer_id unique"}
    assert "C000" not in facts["broken rules"], "none of the data"


def test_submit_has_a_running_webserver_load_it(tmp_path: Path, dagster: Bench) -> None:
    engine = engine_of(dagster)
    workspace = engine.home / "workspace.yaml"
    before = workspace.read_text()
    workspace.unlink()
    words = ["compile", "dagster", "flows.py:chain", "-o", str(tmp_path), "--submit", "--to", str(engine.home)]
    try:
        said = headrace(dagster.project, *words, "--set", f"webserver=http://127.0.0.1:{engine.web_port}")
    finally:
        workspace.write_text(before)

    assert f"{workspace}: code location chain added" in said
    assert f"http://127.0.0.1:{engine.web_port}: code location chain loaded" in said
    engine.ask(RELOAD_ALL)


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """Those that need Dagster's environment, after those that the normal suite runs too."""
    project = tmp_path / "project"
    project.mkdir()
    home = tmp_path / "instance"
    home.mkdir()
    tools = f"{environments.set_up('dagster').parent}{os.pathsep}{Path(sys.executable).parent}"
    variables = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    page = ROOT / "docs/how-to/dagster.md"
    docs_code.run_page(page, project)
    n_run = 0
    for match in docs_code.FENCE.finditer(page.read_text()):
        if "dagster" in match["options"].split():
            for line in match["text"].splitlines():
                path = f"{tools}{os.pathsep}{os.environ['PATH']}"
                command = line.removeprefix("$ ")
                done = subprocess.run(
                    command, shell=True, cwd=project, env={**variables, "PATH": path}, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
                n_run += 1
    shown = headrace(project, "runs", "--store", str(project / ".headrace"))

    assert n_run == 7
    assert "2026-03-01" in shown and "2026-03-03" in shown


def test_what_is_hostile_is_text(tmp_path: Path) -> None:
    """Names and texts of every kind: Dagster loads the file, and shows them as they are."""
    from headrace.backends.dagster.backend import Dagster
    from headrace.testing.backends import HOSTILE, PIPELINES, deployment_of

    python = environments.set_up("dagster")
    programs = []
    for number, chosen in enumerate(PIPELINES):
        try:
            made = deployment_of(chosen)
            files = Dagster().files(made)
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{chosen.name}: {error}")
        path = tmp_path / f"f{number}.py"
        path.write_text(next(text for name, text in files.items() if name.endswith(".py")))
        programs.append(path.stem)
    from dataclasses import replace

    from headrace.backends.deployment import FormField

    plain = deployment_of(PIPELINES[0])
    for number, text in enumerate(HOSTILE):
        fields = (*plain.fields[:1], FormField("größe", "str", {"type": "string"}, text))
        files = Dagster().files(replace(plain, fields=fields, description=text, project=f"/srv/{text}"))
        path = tmp_path / f"h{number}.py"
        path.write_text(next(text for name, text in files.items() if name.endswith(".py")))
        programs.append(path.stem)
    program = (
        "import importlib, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"for name in {programs!r}:\n"
        "    module = importlib.import_module(name)\n"
        "    module.defs.resolve_job_def(module.PIPELINE.job)\n"
        "    print(name)\n"
    )
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == programs


def test_a_lost_process_is_not_a_failure(dagster: Bench, tmp_path: Path) -> None:
    """`exec` itself is killed: the op is tried again by Dagster, and the node is carried out once more."""
    engine = engine_of(dagster)
    deployed = dagster.deploy("killed", {"place": str(tmp_path)})
    run = engine.trigger(deployed, {"place": str(tmp_path)})
    started(tmp_path, "waiting")
    wanted = b"exec\0waiting\0"
    found: list[int] = []
    end = time.monotonic() + 60
    while not found and time.monotonic() < end:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if wanted in (entry / "cmdline").read_bytes() and str(deployed.store) in (
                        entry / "cmdline"
                    ).read_text(errors="replace"):
                        found.append(int(entry.name))
                except OSError:
                    continue
    os.kill(found[0], signal.SIGKILL)
    done = dagster.ended(deployed, run)

    assert done.ended.state == SUCCEEDED
    assert done.ended.n_tries["waiting"] == 2
    assert (calls(tmp_path, "counted"), calls(tmp_path, "waiting")) == (1, 2)
