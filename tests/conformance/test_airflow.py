"""What Airflow has of its own: assets, links, pools, Variables, marking as failed, and clearing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import docs_code
import environments
import pytest
from engine import FAILED, FINISH, NOT_STARTED, SUCCEEDED, Deployed
from harness import Bench, digests, headrace, newest

from headrace.stores.open import open_store

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

PAGE = docs_code.ROOT / "docs" / "how-to" / "airflow.md"
OURS = '''
from datetime import date
from pathlib import Path

from headrace import pipeline, step


@step
def start(n: int) -> int:
    return n


@step
def fails_while(n: int, place: str) -> int:
    if Path(place, "broken").exists():
        raise ValueError("as it was told")
    return n


@step(cache=False)
def listed(n: int, place: str) -> list[int]:
    return list(range(fails_while(n, place)))


@step
def squared(value: int) -> int:
    return value * value


@step
def of_day(day: date, n: int) -> str:
    return f"{day} {n}"


@pipeline(schedule="0 3 * * *", timezone="Europe/Zurich", date="day", depends_on_past=True)
def past(day: date, place: str):
    return of_day(day, fails_while.options(name="first")(start(1), place))


@pipeline
def mapped(place: str):
    return squared.map(listed(3, place))


def made(name):
    @step(name=name)
    def body(x: int, text: str) -> int:
        print(text)
        return x + len(text)
    return body


NAMES = ("begin", "finish", "str", "class", "HEADRACE", "Step", "dag", "a-b", "a_b", "slices")
steps = {name: made(name) for name in NAMES}


@pipeline(name="begin")
def inner(x: int, text: str):
    return steps["a_b"](x, text)


@pipeline
def hostile(größe: int = 1, text: str = "'\\"\\n\\\\ {{ 7*7 }} {% raw %} $(touch hacked) é #\\r"):
    """Says {{ docstring }} and ends in readme.md"""
    last = größe
    for one in steps.values():
        last = one(last, text)
    return inner(last, text)
'''


@pytest.fixture
def airflow(bench: Bench) -> Bench:
    """The cases' own bench where it is Airflow's."""
    if bench.engine.name != "airflow":
        pytest.skip("it is about Airflow")
    (bench.project / "ours.py").write_text(OURS)
    return bench


@pytest.fixture
def variant(airflow: Bench, request: pytest.FixtureRequest) -> Callable[..., Deployed]:
    """Deploys a pipeline with settings of its own, as a DAG of another name."""

    def deploy(pipeline: str, *more: str, project: Path | None = None) -> Deployed:
        name = request.node.originalname.removeprefix("test_")
        folder, store = airflow.folder / "variants" / name, airflow.folder / "stores" / name
        words = ["compile", "airflow", pipeline, "-o", str(folder), "--store", str(store), "--set", f"dag_id={name}"]
        given = [*words, *more, *airflow.engine.compile_options(), "--json"]
        answer = json.loads(headrace(project or airflow.project, *given))
        found = Deployed(name, folder, project or airflow.project, store, tuple(answer["nodes"]))
        airflow.engine.deploy(found)
        return found

    return deploy


def engine_of(bench: Bench) -> Any:
    return bench.engine


def test_another_dag_is_triggered_by_an_artifact(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    deployed = variant("flows.py:chain")
    engine = engine_of(airflow)
    waiting = engine.dags / "waiting.py"
    waiting.write_text(
        "from airflow.sdk import Asset, dag, task\n"
        f'@dag(schedule=[Asset("{deployed.name}.output")])\n'
        "def waiting():\n"
        "    @task\n"
        "    def told(triggering_asset_events=None):\n"
        "        return [event.extra for events in triggering_asset_events.values() for event in events]\n"
        "    told()\n"
        "waiting()\n"
    )
    engine.read_dag("waiting", waiting)
    done = airflow.run(deployed, {"n": 3})
    runs: list[dict[str, Any]] = []
    end = time.monotonic() + 120
    while not runs or runs[0]["state"] not in ("success", "failed"):
        assert time.monotonic() < end
        runs = engine.ask("GET", "/api/v2/dags/waiting/dagRuns")["dag_runs"]
    (extra,) = engine.outputs(f"waiting/{runs[0]['dag_run_id']}", "told")

    node = done.view.plan.outputs["output"].node
    assert runs[0]["run_type"] == "asset_triggered"
    assert extra["digest"] == done.view.results[node].outputs["output"].digest
    assert extra["run"] == done.view.id


def test_tasks_link_to_report_and_tracker(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    links = {
        "Report": "https://files.example/runs/{run}/report.html",
        "Tracker": "https://tracker.example/?q={pipeline}&step={node}",
    }
    deployed = variant("flows.py:diamond", "--set", f"links={json.dumps(links)}", "--set", "report=true")
    done = airflow.run(deployed)
    engine = engine_of(airflow)
    found = engine.ask("GET", f"{engine.path_of(done.run)}/taskInstances/left/links")["extra_links"]
    report = engine.outputs(done.run, "finish", "report")

    assert found == {
        "Report": f"https://files.example/runs/{done.view.id}/report.html",
        "Tracker": f"https://tracker.example/?q={deployed.name}&step=left",
    }
    assert Path(report) == deployed.store / "runs" / done.view.id / "report.html"
    assert "<html" in Path(report).read_text()


def test_a_secret_comes_from_a_variable_of_airflows(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    engine = engine_of(airflow)
    value = "v-" + "x" * 41
    engine.ask("POST", "/api/v2/variables", {"key": "flow_token", "value": value})
    deployed = variant("flows.py:secretive", "--set", 'secrets={"CONFORMANCE_TOKEN": "variable:flow_token"}')
    done = airflow.run(deployed)
    logs = [engine.log_of(done.run, task["task_id"]) for task in engine.tasks(done.run)]

    assert (done.view.state, done.ended.state) == ("succeeded", SUCCEEDED)
    (file,) = done.view.results["used"].outputs["output"].files
    assert json.loads(open_store(str(deployed.store)).read_object(file.digest)) == len(value)
    assert not any(value in text for text in logs)
    assert value not in (deployed.folder / f"{deployed.name}.py").read_text()


def test_a_task_takes_slots_of_its_pool(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    engine = engine_of(airflow)
    engine.ask("POST", "/api/v2/pools", {"name": "small pool", "slots": 3})
    deployed = variant("flows.py:resources", "--set", 'pools={"heavy": "small pool"}', "--set", "slots_are_cpus=true")
    done = airflow.run(deployed)
    found = {task["task_id"]: (task["pool"], task["pool_slots"]) for task in engine.tasks(done.run)}

    assert found["heavy"] == ("small pool", 2)
    assert found["start"] == ("default_pool", 1)


def test_marking_a_run_as_failed_ends_its_steps_and_settles_it(
    airflow: Bench, variant: Callable[..., Deployed], tmp_path: Path
) -> None:
    engine = engine_of(airflow)
    deployed = variant("flows.py:killed", "-p", f"place={tmp_path}")
    run = engine.trigger(deployed, {})
    end = time.monotonic() + 120
    while not (tmp_path / "waiting").exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    engine.cancel(run)
    while engine.states(run)["finish"] not in ("success", "failed"):
        assert time.monotonic() < end
        time.sleep(0.2)
    view = newest(deployed.store)

    assert engine.states(run)["waiting"] == "failed"
    assert view.end is not None
    assert str(view.results["counted"].outcome) == "succeeded"
    assert str(view.results["waiting"].outcome) in ("cancelled", "crashed")
    assert str(view.results["add"].outcome) in ("cancelled", "upstream failed")


def test_a_run_waits_for_the_one_before(airflow: Bench, variant: Callable[..., Deployed], tmp_path: Path) -> None:
    engine = engine_of(airflow)
    deployed = variant("ours.py:past", "-p", f"place={tmp_path}")
    (tmp_path / "broken").touch()
    first = airflow.ended(deployed, engine.trigger(deployed, {}, "2026-03-01"))
    second = engine.trigger(deployed, {}, "2026-03-02")
    time.sleep(5)
    assert first.ended.tasks[FINISH] == FAILED
    assert engine.states(second)["begin"] is None, "it doesn't begin"

    (tmp_path / "broken").unlink()
    again = airflow.ended(deployed, engine.resume(deployed, first.run, {}))
    after = airflow.ended(deployed, second)

    assert (again.view.state, after.view.state) == ("succeeded", "succeeded")
    assert again.view.id == first.view.id, "clearing goes on with the same run"
    assert [len(again.view.attempts[node]) for node in ("start", "first")] == [1, 2]
    assert after.view.begin["date"] == "2026-03-02"


def test_a_map_after_a_failure_is_not_started(airflow: Bench, variant: Callable[..., Deployed], tmp_path: Path) -> None:
    deployed = variant("ours.py:mapped", "-p", f"place={tmp_path}")
    (tmp_path / "broken").touch()
    done = airflow.run(deployed)

    assert done.outcomes == {"listed": "failed", "squared": "upstream failed"}
    assert dict(done.ended.tasks)["squared"] == NOT_STARTED


def test_hostile_names_are_names(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    deployed = variant("ours.py:hostile")
    done = airflow.run(deployed, {"größe": 5})
    headrace(airflow.project, "run", "ours.py:hostile", "-p", "größe=5", "--store", str(airflow.folder / "hostile"))

    assert done.view.state == "succeeded"
    assert digests(done.view) == digests(newest(airflow.folder / "hostile"))
    assert not list(airflow.folder.rglob("hacked"))


def test_another_graph_than_was_compiled_is_refused(airflow: Bench, variant: Callable[..., Deployed]) -> None:
    project = airflow.folder / "changing"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "changing"\nversion = "1"\n')
    (project / "flow.py").write_text(OURS.replace("def mapped(place: str):", "def mapped(place: str = '.'):"))
    deployed = variant("flow.py:mapped", project=project)
    (project / "flow.py").write_text((project / "flow.py").read_text().replace("squared.map", "start(1), squared.map"))
    run = engine_of(airflow).trigger(deployed, {})
    ended = airflow.engine.wait(deployed, run)

    assert ended.tasks["listed"] == NOT_STARTED
    assert "connects them otherwise" in engine_of(airflow).log_of(run, "begin")
    assert ended.n_tries["<begin>"] == 1, "it isn't tried again"


def test_the_commands_of_the_page_work(airflow: Bench, tmp_path: Path) -> None:
    """Those that need Airflow; the others run with all pages."""
    engine = engine_of(airflow)
    docs_code.run_page(PAGE, tmp_path)
    (source,) = (tmp_path / "dags").iterdir()
    shutil.copy(source, engine.dags / source.name)
    engine.read_dag("sales", engine.dags / source.name)
    report = next(block.text for block in docs_code.blocks_of(PAGE) if "def report():" in block.text)
    (engine.dags / "report.py").write_text(report)
    engine.read_dag("report", engine.dags / "report.py")
    blocks = [block for block in docs_code.blocks_of(PAGE) if block.language == "console" and not block.is_run]
    commands = [command for block in blocks for command in block.commands]
    assert len(commands) > 6
    for command in commands:
        with engine.creating_backfills() if " backfill create " in command else nullcontext():
            done = subprocess.run(
                ["bash", "-c", command],
                env=engine.environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    runs = {run["dag_run_id"]: run for run in engine.runs_of("sales")}
    deployed = Deployed("sales", tmp_path / "compiled", tmp_path, tmp_path / ".headrace", ("read", "doubled", "total"))
    ended = {name: airflow.ended(deployed, f"sales/{name}") for name in runs}

    assert [done.view.state for done in ended.values()] == ["succeeded"] * len(ended)
    found = {done.view.begin["date"]: done.view for done in ended.values()}
    assert {"2026-03-01", "2026-03-02", "2026-03-03", "2026-03-05"} < set(found), "and today, by hand"
    assert found["2026-03-05"].parameters["n"] == 7
    assert len(engine.runs_of("report")) >= 1


# --- pods: as far as they can be looked at without a cluster

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""
MANIFEST = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import ApiClient

bag = DagBag(sys.argv[1], safe_mode=False)
assert not bag.import_errors, bag.import_errors
(dag,) = bag.dags.values()
DagSerialization.to_dict(dag)
told = {}

def execute(self, context):
    told["pod"] = ApiClient().sanitize_for_serialization(self.build_pod_request_obj(context))
    return {"code": 0, "said": {"outcome": "succeeded"}}

KubernetesPodOperator.execute = execute
task = dag.get_task("used")
told["answer"] = task.run_pod({}, ["python", "-m", "headrace", "exec", "$(HOME) {{ ds }}"], '{"a": "$(B)"}')
told["script"] = task.script
print("TOLD" + json.dumps(told))
"""


def test_pods_are_made_as_kubernetes_takes_them(tmp_path: Path) -> None:
    """Airflow reads the file, and its provider makes the manifest. No pod is started: that is unverified."""
    python = environments.set_up("airflow")
    project = Path(__file__).with_name("project")
    image = f"registry.example/flows@sha256:{'a' * 64}"
    words = ["--image", image, "--store", "s3://bucket/store", "--set", "secret_name=flows"]
    headrace(project, "compile", "airflow", "flows.py:secretive", "-o", str(tmp_path / "out"), *words)
    (tmp_path / "config").write_text(KUBECONFIG)
    (tmp_path / "look.py").write_text(MANIFEST)
    done = subprocess.run(
        [python, tmp_path / "look.py", tmp_path / "out" / "secretive.py"],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TOLD" in done.stdout, done.stdout + done.stderr
    told = json.loads(done.stdout.partition("TOLD")[2])
    container = told["pod"]["spec"]["containers"][0]

    assert container["image"] == image
    assert container["args"] == ["python", "-m", "headrace", "exec", "$$(HOME) {{ ds }}"]
    assert container["command"][:2] == ["sh", "-c"] and container["command"][3] == "headrace"
    assert {"name": "HEADRACE_GIVEN", "value": '{"a": "$$(B)"}'} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "flows"}}]
    assert told["answer"] == [0, '{"outcome": "succeeded"}']
    assert_script_works(told["script"], tmp_path)


def assert_script_works(script: str, folder: Path) -> None:
    """The shell's part, run by a shell: what was given arrives, what was said and the exit code come back."""
    here = script.replace("/airflow/xcom", str(folder / "xcom")).replace("/tmp/said", str(folder / "said"))
    for code, said in ((0, '{"given": "%s"}'), (1, '["ab"]')):
        command = ["sh", "-c", here, "headrace", "sh", "-c", f"given=$(cat); printf '{said}' \"$given\"; exit {code}"]
        environment = {**os.environ, "HEADRACE_GIVEN": "x $(touch hacked)"}
        assert subprocess.run(command, env=environment, cwd=folder, check=False).returncode == 0
        answer = json.loads((folder / "xcom" / "return.json").read_text())
        assert answer["code"] == code
    assert not (folder / "hacked").exists()
    silent = ["sh", "-c", here, "headrace", "sh", "-c", "exit 137"]
    assert subprocess.run(silent, env={**os.environ, "HEADRACE_GIVEN": ""}, check=False).returncode == 1
