"""What Kubeflow Pipelines has of its own: what its SDK makes of the files, typed artifacts, texts; and the example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docs_code
import environments
import pytest
from engine import FAILED, FINISH, NOT_STARTED, Deployed
from engines.kubeflow import KubeflowEngine
from harness import Bench, digests, headrace

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

PAGE = docs_code.ROOT / "docs" / "how-to" / "kubeflow.md"
GOLDEN = docs_code.ROOT / "tests" / "backends" / "golden" / "kubeflow"
OURS = '''
from headrace import pipeline, step


def made(name):
    @step(name=name)
    def body(x: int, text: str) -> int:
        print(text)
        return x + len(text)
    return body


NAMES = ("begin", "finish", "list", "class", "headrace", "settled", "dsl", "a-b", "a_b", "run", "items", "kfp", "json")
steps = {name: made(name) for name in NAMES}


@pipeline(name="begin")
def inner(x: int, text: str):
    return steps["a_b"](x, text)


@pipeline
def hostile(größe: int = 1, text: str = "'\\"\\n\\\\ {{ 7*7 }} {{$.inputs}} {{$}} python3 $(touch hacked) é #\\r"):
    """Says {{ docstring }} and \\"\\"\\" more: {{$.pipeline_job_uuid}}"""
    last = größe
    for one in steps.values():
        last = one(last, text)
    return inner(last, text)
'''


@pytest.fixture
def kubeflow(bench: Bench) -> Bench:
    """The cases' own bench where it is that of Kubeflow."""
    if bench.engine.name != "kubeflow":
        pytest.skip("it is about Kubeflow Pipelines")
    (bench.project / "ours.py").write_text(OURS)
    return bench


Deploy = Callable[..., Deployed]


@pytest.fixture
def deploy(kubeflow: Bench, request: pytest.FixtureRequest) -> Deploy:
    """Compiles a pipeline in a folder of its own."""

    def compiled(pipeline: str, *more: str, project: Path | None = None) -> Deployed:
        folder, store = (
            kubeflow.folder / request.node.originalname,
            kubeflow.folder / f"{request.node.originalname}-store",
        )
        words = ["compile", "kubeflow", pipeline, "-o", str(folder), "--store", str(store), "--json", *more]
        project = project or kubeflow.project
        answer = json.loads(headrace(project, *words, *kubeflow.engine.compile_options()))
        return Deployed(request.node.originalname, folder, project, store, tuple(answer["nodes"]))

    return compiled


def engine_of(bench: Bench) -> KubeflowEngine:
    assert isinstance(bench.engine, KubeflowEngine)
    return bench.engine


def outputs_of(bench: Bench, run: str, component: str) -> dict[str, Any]:
    """What a component told Kubeflow that it made."""
    (path,) = engine_of(bench).runs[run].root.glob(f"*/{component}/executor_output.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_examples_outputs_are_kubeflows_artifacts(kubeflow: Bench) -> None:
    """That they are the same bytes as those of a run on this machine is held by the cases of all engines."""
    deployed = kubeflow.deploy("churn", project=kubeflow.example)
    done = kubeflow.run(deployed)

    (metrics,) = outputs_of(kubeflow, done.run, "evaluate")["artifacts"]["output"]["artifacts"]
    assert 0.5 < metrics["metadata"]["auc"] < 1
    assert metrics["metadata"]["digest"] == digests(done.view)["evaluate/output"]
    (model,) = outputs_of(kubeflow, done.run, "train")["artifacts"]["output"]["artifacts"]
    assert model["uri"] == f"file://{deployed.store}/runs/{done.view.id}/nodes/train.1.json#output"
    (report,) = outputs_of(kubeflow, done.run, "finish")["artifacts"]["report"]["artifacts"]
    assert Path(report["uri"]).read_text().startswith("<!DOCTYPE html>")


def test_hostile_names_and_texts_are_text(kubeflow: Bench, deploy: Deploy) -> None:
    done = kubeflow.run(deploy("ours.py:hostile"))

    assert done.view.state == "succeeded"
    assert done.view.parameters["text"] == "'\"\n\\ {{ 7*7 }} {{$.inputs}} {{$}} python3 $(touch hacked) é #\r"
    assert not list(kubeflow.project.rglob("hacked"))
    done.is_shown()


def test_what_kfp_fills_in_itself_goes_as_json(kubeflow: Bench) -> None:
    """A text with ``{{$.…}}`` Kubeflow takes for a placeholder of its own: docs/how-to/kubeflow.md says so."""
    deployed = kubeflow.deploy("parameters")
    engine = engine_of(kubeflow)
    text = "job {{$.pipeline_job_uuid}}"
    given = {"text": text, "number": 5}
    run = engine.trigger_as_it_is(deployed, given)
    kubeflow.engine.wait(deployed, run)
    filled_in = kubeflow.ended(deployed, run)
    kept = kubeflow.run(deployed, given)

    assert filled_in.view.parameters["text"] == f"job {run}"
    assert kept.view.parameters["text"] == text


def test_a_killed_exec_is_begun_again_in_the_same_component(kubeflow: Bench, tmp_path: Path) -> None:
    place = str(tmp_path)
    deployed = kubeflow.deploy("killed", {"place": place})
    run = kubeflow.engine.trigger(deployed, {"place": place})
    end = time.monotonic() + 240
    while not (tmp_path / "waiting").exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    engine_of(kubeflow).kill_exec(run, "waiting")
    done = kubeflow.ended(deployed, run)

    assert done.view.state == "succeeded"
    assert (tmp_path / "waiting").stat().st_size == 2
    assert done.ended.n_tries["waiting"] == 1, "Kubeflow tried once"
    assert "headrace exec was killed by signal 9: once more" in engine_of(kubeflow).runs[run].log


def test_another_graph_is_refused_at_the_begin(kubeflow: Bench, deploy: Deploy) -> None:
    deployed = deploy("flows.py:fan")
    run = kubeflow.engine.trigger(deployed, {"width": 3})
    ended = kubeflow.engine.wait(deployed, run)

    assert ended.state == FAILED and ended.tasks["start"] == NOT_STARTED
    assert ended.tasks[FINISH] == FAILED
    assert "connects them otherwise" in engine_of(kubeflow).runs[run].log


@pytest.mark.parametrize("name", ["flow_pipeline.py", "flow_image_pipeline.py"])
def test_the_sdk_takes_the_golden_files(kubeflow: Bench, tmp_path: Path, name: str) -> None:
    """The YAML that the SDK makes, its own validation included; container components it can't run without a cluster."""
    python = str(environments.python_of("kubeflow"))
    shutil.copy(GOLDEN / name, tmp_path)
    subprocess.run([python, name], cwd=tmp_path, check=True)
    read = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)"
    yaml = (tmp_path / name).with_suffix(".yaml")
    found = subprocess.run([python, "-c", read, str(yaml)], check=True, capture_output=True, text=True)
    spec, *platform = json.loads(found.stdout)

    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert {"begin", "numbers", "double-slices", "for-loop-2", "double", "judge", "keep"} <= set(tasks)
    assert tasks["judge"]["cachingOptions"] == {}, "caching is off"
    assert tasks["for-loop-2"]["parameterIterator"]["items"]["inputParameter"].startswith(
        "pipelinechannel--double-slices"
    )
    assert spec["root"]["dag"]["tasks"]["finish"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    items = spec["deploymentSpec"]["executors"]["exec-double-items"]["container"]
    assert items["resources"]["resourceCpuLimit"] == "2"
    if "image" in name:
        assert items["args"][1:] == ["{{$}}"]
        assert tasks["judge"]["retryPolicy"]["maxRetryCount"] == 2
        (kubernetes,) = platform
        of_numbers = kubernetes["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-numbers"]
        assert of_numbers["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "TOKEN", "secretKey": "TOKEN"}]
    else:
        assert "retryPolicy" not in tasks["judge"]


def test_the_commands_of_the_page_work(kubeflow: Bench, tmp_path: Path) -> None:
    """Those that need the SDK; the others run with all pages."""
    docs_code.run_page(PAGE, tmp_path)
    (tmp_path / ".kfp").symlink_to(environments.python_of("kubeflow").parents[1])
    blocks = docs_code.blocks_of(PAGE)
    for block in blocks:
        if block.file_name and not block.is_run:
            (tmp_path / block.file_name).write_text(block.text)
    commands = [
        command for block in blocks if block.language == "console" and not block.is_run for command in block.commands
    ]
    runnable = [command for command in commands if "pip install" not in command and "--submit" not in command]
    assert len(runnable) > 4
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in runnable:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
