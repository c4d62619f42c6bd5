"""What is Prefect's own: cancelling, kills, Secret blocks, schedules, limits, artifacts, `--submit`, the page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import docs_code
import environments
import pytest
from engine import FAILED, FINISH, SECRET, SECRET_NAME, SUCCEEDED, Deployed
from engines.prefect import BIN, PrefectEngine
from harness import Bench, headrace
from services import wait_until

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
FLOWS = """
import time
from datetime import date
from pathlib import Path
from headrace import Resources, Secret, pipeline, step

@step
def used(token: Secret) -> int:
    print("the token is", token.reveal())
    return len(token.reveal())

@pipeline
def from_a_block() -> int:
    return used(Secret("OWN_TOKEN"))

@step
def of_day(day: date) -> str:
    return day.isoformat()

@pipeline(schedule="30 23 * * *", timezone="Asia/Kathmandu", date="day", max_active_runs=1)
def nightly(day: date) -> str:
    return of_day(day)

@step(resources=Resources(cpus=2))
def interval(number: int) -> int:
    time.sleep(1)
    return number

@pipeline
def side_by_side():
    return [interval(number) for number in range(3)][0]

@step
def echo(text: str) -> str:
    return text

@pipeline
def odd_names(_hidden: str = "a", wait_for: str = "b", graph: str = "c", json: str = "d", été: str = "e") -> str:
    first = echo.options(name="begin")(_hidden)
    second = echo.options(name="class", after=[first])(wait_for)
    third = echo.options(name="map", after=[echo.options(name="str", after=[second])(second)])(graph)
    fourth = echo.options(name="x-y", after=[third])(json)
    return echo.options(name="x_y", after=[fourth])(été)
"""


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server and a worker for the cases of this file."""
    if "prefect" not in os.environ.get("HEADRACE_ENGINES", "prefect").split(","):
        pytest.skip("HEADRACE_ENGINES names other engines")
    environments.set_up("prefect")
    folder = tmp_path_factory.mktemp("prefect-own")
    engine = PrefectEngine(folder / "engine")
    (folder / "engine").mkdir()
    try:
        engine.start()
        bench = Bench(engine, folder)
        (bench.project / "own.py").write_text(FLOWS)
        yield bench
    finally:
        engine.stop()


def engine_of(bench: Bench) -> PrefectEngine:
    assert isinstance(bench.engine, PrefectEngine)
    return bench.engine


def deployed(bench: Bench, pipeline: str, *more: str) -> Deployed:
    """Compile a pipeline of this file, and deploy it by `--submit`."""
    engine = engine_of(bench)
    folder, store = bench.folder / "own" / pipeline, bench.folder / "own-stores" / pipeline
    words = ["compile", "prefect", f"own.py:{pipeline}", "-o", str(folder), "--store", str(store), "--submit"]
    told = [*words, "--to", engine.url, *engine.compile_options(), *more, "--json"]
    answer = json.loads(headrace(bench.project, *told))
    assert answer["submitted"][0] == f"deployment {pipeline}/{pipeline}: created"
    return Deployed(pipeline, folder, bench.project, store, tuple(answer["nodes"]))


def hanging(bench: Bench, place: Path) -> tuple[Deployed, str]:
    """A run whose node `waiting` hangs."""
    found = bench.deploy("killed", {"place": "."})
    run = engine_of(bench).trigger(found, {"place": str(place)})
    wait_until((place / "waiting").exists, seconds=240)
    return found, run


def exec_of(run: str, node: str) -> list[int]:
    """The processes of ``headrace exec`` that carry out a node."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:
            continue
        if "exec" in words and node in words and any(word.endswith(run) for word in words):
            found.append(int(path.parent.name))
    return found


def run_id_of(found: Deployed) -> str:
    return max(path.name for path in (found.store / "runs").iterdir())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_cancelling_ends_the_steps_process(prefect: Bench, tmp_path: Path) -> None:
    engine = engine_of(prefect)
    found, run = hanging(prefect, tmp_path)
    pids = exec_of(run_id_of(found), "waiting")
    engine.cancel(found, run)
    ended = engine.wait(found, run)

    assert pids
    assert ended.word == "Cancelled"
    wait_until(lambda: not any(map(is_alive, pids)), seconds=60)
    wait_until((found.store / "runs" / run_id_of(found) / "end.json").exists, seconds=60)
    shown = json.loads(headrace(found.project, "show", run_id_of(found), "--store", str(found.store), "--json"))
    assert shown["outcome"] == "cancelled"
    assert shown["nodes"]["counted"]["outcome"] == "succeeded"


def test_a_killed_exec_is_tried_again_by_prefect(prefect: Bench, tmp_path: Path) -> None:
    engine = engine_of(prefect)
    found, run = hanging(prefect, tmp_path)
    for pid in exec_of(run_id_of(found), "waiting"):
        os.kill(pid, signal.SIGKILL)
    ended = engine.wait(found, run)

    assert ended.state == SUCCEEDED
    assert ended.n_tries["waiting"] == 2
    assert (tmp_path / "counted").stat().st_size == 1


def test_a_killed_flow_run_is_settled_and_tried_again(prefect: Bench, tmp_path: Path) -> None:
    engine = engine_of(prefect)
    found, run = hanging(prefect, tmp_path)
    pids = exec_of(run_id_of(found), "waiting")
    engine.kill_worker(found, run, "waiting")
    ended = engine.wait(found, run)
    assert ended.word == "Crashed"
    wait_until(lambda: not any(map(is_alive, pids)), seconds=60)
    wait_until((found.store / "runs" / run_id_of(found) / "end.json").exists, seconds=60)

    assert engine.resume(found, run, {}) == run
    ended = engine.wait(found, run)

    assert ended.state == SUCCEEDED
    assert (tmp_path / "counted").stat().st_size == 1
    shown = json.loads(headrace(found.project, "show", run_id_of(found), "--store", str(found.store), "--json"))
    assert shown["outcome"] == "succeeded", "the same run, which has ended anew"


def test_a_secret_from_a_block_is_given_to_the_step_alone(prefect: Bench) -> None:
    engine = engine_of(prefect)
    types = engine.call("/block_types/slug/secret")
    schema = engine.call("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [types["id"]]}}})[0]
    block = {"name": "own", "block_type_id": types["id"], "block_schema_id": schema["id"], "data": {"value": SECRET}}
    engine.call("/block_documents/", block)
    found = deployed(prefect, "from_a_block", "--set", 'secret_blocks={"OWN_TOKEN": "own"}')
    run = engine.trigger(found, {})
    ended = engine.wait(found, run)

    assert ended.state == SUCCEEDED
    for where, text in engine.texts(found, run):
        assert SECRET.split("'")[0] not in text, where


def test_a_schedule_starts_runs_for_its_time(prefect: Bench) -> None:
    engine = engine_of(prefect)
    found = deployed(prefect, "nightly")
    body = {"flow_runs": {"deployment_id": {"any_": [engine.deployment(found)["id"]]}}, "sort": "ID_DESC"}
    wait_until(lambda: engine.call("/flow_runs/filter", body), seconds=120)
    due = {
        datetime.fromisoformat(run["expected_start_time"]).astimezone(ZoneInfo("Asia/Kathmandu"))
        for run in engine.call("/flow_runs/filter", body)
    }
    assert {(moment.hour, moment.minute) for moment in due} == {(23, 30)}

    path = f"/deployments/{engine.deployment(found)['id']}/create_flow_run"
    moment = datetime(2026, 3, 1, 17, 45, tzinfo=UTC)  # 23:30 there
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment.isoformat()}}
    run = str(engine.call(path, {"state": state})["id"])
    done = prefect.ended(found, run)

    assert done.ended.state == SUCCEEDED
    assert done.view.begin["date"] == date(2026, 3, 1).isoformat()
    assert engine.deployment(found)["global_concurrency_limit"]["limit"] == 1


def test_cpus_are_kept_within_a_run(prefect: Bench) -> None:
    engine = engine_of(prefect)
    engine.prefect("gcl", "create", "three-cpus", "--limit", "3")
    found = deployed(prefect, "side_by_side", "--set", "cpus=8", "--set", "cpus_limit=three-cpus")
    done = prefect.run(found)

    ended = [done.view.results[node] for node in found.nodes]
    begins = [datetime.fromisoformat(str(result.started)).timestamp() for result in ended]
    times = sorted((begin, begin + result.seconds) for begin, result in zip(begins, ended, strict=True))
    assert len(times) == 3
    assert all(before[1] <= after[0] for before, after in pairwise(times)), "two don't fit in"


def test_names_that_prefect_does_not_take(prefect: Bench) -> None:
    engine = engine_of(prefect)
    found = deployed(prefect, "odd_names")
    run = engine.trigger(found, {"hidden_": "A", "wait_for_": "B", "graph": "C{{ x }}", "json": 'D"', "été": "É"})
    done = prefect.ended(found, run)

    assert done.ended.state == SUCCEEDED
    assert dict(done.view.parameters) == {
        "_hidden": "A",
        "wait_for": "B",
        "graph": "C{{ x }}",
        "json": 'D"',
        "été": "É",
    }


def test_a_run_shows_its_nodes_and_its_rejection(prefect: Bench) -> None:
    engine = engine_of(prefect)
    found = prefect.deploy("gated", None, "--set", 'links={"Report": "https://reports.example/{run}.html"}')
    done = prefect.run(found, {"n": 50})
    body = {"flow_runs": {"id": {"any_": [done.run]}}}
    artifacts = {item["key"]: item for item in engine.call("/artifacts/filter", body)}

    assert done.ended.word == "Rejected"
    assert done.ended.tasks[FINISH] == FAILED
    assert engine.flow_run(done.run)["state"]["message"].startswith("judge rejected the run")
    assert "- judge rejected the run" in artifacts["gated-run"]["data"]
    rows = json.loads(artifacts["gated-nodes"]["data"])
    assert [(row["node"], row["outcome"]) for row in rows] == [
        ("start", "succeeded"),
        ("judge", "succeeded"),
        ("register", "skipped"),
    ]
    assert f"(https://reports.example/{done.view.id}.html)" in artifacts["gated-link-0"]["data"]


def test_submit_changes_nothing_when_done_again(prefect: Bench) -> None:
    found = prefect.deploy("several")
    engine = engine_of(prefect)
    before = engine.deployment(found)
    words = ["compile", "prefect", "flows.py:several", "-o", str(found.folder), "--store", str(found.store)]
    told = [*words, *engine.compile_options(), "--submit", "--to", engine.url]
    first = headrace(prefect.project, *told)
    second = headrace(prefect.project, *told)

    assert "deployment several/several: updated" in first
    assert second.endswith("deployment several/several: unchanged\n")
    assert engine.deployment(found)["id"] == before["id"]


def test_the_commands_of_the_page_work(prefect: Bench, tmp_path: Path) -> None:
    """Those of the page's blocks for Prefect, in the page's project, after the others were run."""
    engine = engine_of(prefect)
    page = ROOT / "docs" / "how-to" / "prefect.md"
    docs_code.run_page(page, tmp_path)
    environment = {**engine.environment(), SECRET_NAME: SECRET}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"
    n_run = 0
    for block in re.findall(r"^```console no-run prefect\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                command = line[2:]
                done = subprocess.run(
                    ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
                n_run += 1
    assert n_run > 4
