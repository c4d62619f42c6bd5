"""What is written for Kubeflow Pipelines, without its SDK: the file as a tree, its parameters, what components do."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.backends.deployment import BackendError, FormField, read_settings
from headrace.backends.forms import schema_of
from headrace.backends.kubeflow import client
from headrace.backends.kubeflow.backend import Kubeflow
from headrace.backends.kubeflow.names import own_names
from headrace.backends.kubeflow.parameters import parameters_of
from headrace.backends.kubeflow.settings import Settings
from headrace.backends.kubeflow.submitting import recurring_run
from headrace.backends.kubeflow.tasks import Tasks
from headrace.backends.kubeflow.text import is_plain, literal, one_line, safe_json
from headrace.backends.launcher import Headrace, Lost, Refused
from headrace.testing.backends import PIPELINES, BackendContract, deployment_of

GOLDEN = Path(__file__).with_name("golden") / "kubeflow"
IMAGE = f"registry.example/flows@sha256:{'1' * 64}"


def components_in(source: str) -> dict[str, str]:
    """The nodes that components carry out, by component."""
    found = {}
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.decorator_list:
            for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
                words = {str(word.arg): ast.unparse(word.value) for word in call.keywords}
                if getattr(call.func, "attr", "") == "execute" and "'--items'" not in map(ast.unparse, call.args):
                    found[function.name] = str(ast.literal_eval(call.args[0]))
                elif words.get("what") == "'execute'":
                    found[function.name] = str(ast.literal_eval(words["node"]))
    return found


def literals_in(source: str) -> list[str]:
    return [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and node.value]


def check_texts(files: Mapping[str, str], text: str) -> None:
    """KFP fills in nothing of a user's: ``{{`` stands nowhere but in what is its own."""
    (source,) = files.values()
    ours = source.replace('"{{$}}"', "").replace('replace("{{"', "")
    assert "{{" not in ours
    assert not re.search(r"python3(?!\.)", ours.replace("python:3", ""))
    assert f"/srv/{text}" in literals_in(source)


class TestInPlace(BackendContract):
    backend = Kubeflow()
    packages = ("kfp",)

    def executed(self, files: Mapping[str, str]) -> list[str]:
        (source,) = files.values()
        return list(components_in(source).values())

    def check_hostile(self, deployment: Any, files: Mapping[str, str], text: str) -> None:
        check_texts(files, text)


class TestInAnImage(TestInPlace):
    image = IMAGE
    store = "s3://bucket/store"


@pytest.fixture
def sdk(tmp_path: Path) -> str:
    """An interpreter that stands for that of the SDK's environment: what it makes is empty."""
    path = tmp_path / "sdk-python"
    path.write_text('#!/bin/sh\n: > "${1%.py}.yaml"\n')
    path.chmod(0o755)
    return str(path)


def compiled(project: Any, sdk: str, *more: str) -> str:
    done = project.headrace("compile", "kubeflow", "flow:flow", "-o", "out", "--set", f"sdk_python={sdk}", *more)
    assert done.code == 0, done.err
    text = (project.folder / "out" / "flow_pipeline.py").read_text()
    text = text.replace(str(project.folder), "/srv/flows").replace(sys.executable, "/srv/flows/.venv/bin/python")
    return str(text.replace(sdk, "/srv/kfp/bin/python"))


@pytest.mark.parametrize("name", ["flow_pipeline.py", "flow_image_pipeline.py"])
def test_the_file_is_the_golden_one(project: Any, sdk: str, name: str) -> None:
    more = ("--image", IMAGE, "--store", "s3://bucket/store") if "image" in name else ()
    found = compiled(project, sdk, *more)
    if os.environ.get("GOLDEN"):
        (GOLDEN / name).write_text(found)

    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse((GOLDEN / name).read_text())), "make golden, and look at it"


def test_the_yaml_is_made_where_the_sdk_is(project: Any, sdk: str) -> None:
    words = ("compile", "kubeflow", "flow:flow", "-o", "out")
    done = project.headrace(*words)

    assert done.code == 2
    assert "isn't installed here" in done.err
    assert 'pip install "kfp[kubernetes]>=2.17,<3"' in done.err and "--set sdk_python=PATH/bin/python" in done.err
    assert "can't be started" in project.headrace(*words, "--set", "sdk_python=/nowhere/python").err
    done = project.headrace(*words, "--set", f"sdk_python={sys.executable}")
    assert "No module named 'kfp'" in done.err and 'Hint: there: pip install "kfp' in done.err
    done = project.headrace(*words, "--set", f"sdk_python={sdk}")
    assert "out/flow_pipeline.yaml: written" in done.out.splitlines()


# --- parameters


def fields(**declared: tuple[str, Any]) -> tuple[FormField, ...]:
    return tuple(FormField(name, kind, schema_of(kind), value) for name, (kind, value) in declared.items())


KINDS = {
    "int": ("int", 3, "int"),
    "float": ("float", 0.5, "float"),
    "bool": ("bool", True, "bool"),
    "str": ("str", "a 'b' \"c\"", "str"),
    "path": ("pathlib.Path", "data/rows.csv", "str"),
    "date": ("datetime.date", "2026-01-01", "str"),
    "literal": ("Literal['a', 'b']", "a", "str"),
    "list": ("list[int]", [1, 2], "list of int"),
    "tuple": ("tuple[str, ...]", ["a"], "list of str"),
    "dict": ("dict[str, float]", {"b": 1.0, "a": 2.0}, "json"),
    "none": ("int | None", None, "json"),
    "nested": ("list[list[int]]", [[1]], "json"),
    "any": ("Any", 1, "json"),
    "too large": ("int", 2**53, "json"),
    "endless": ("float", float("inf"), "json"),
    "lines": ("str", "one\ntwo", "json"),
    "placeholder": ("str", "{{$.pipeline_job_uuid}}", "json"),
    "interpreter": ("list[str]", ["python3"], "json"),
    "line separator": ("str", "a\u2028b", "json"),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_type_that_kfp_would_alter_is_given_as_json(case: str) -> None:
    declared, default, kind = KINDS[case]
    (parameter,) = parameters_of(fields(value=(declared, default)))

    assert parameter.kind == kind
    name, _, text = parameter.declaration.partition(" = ")
    assert name == f"value: {'str' if kind == 'json' else kind.split(' ')[0]}"
    value = ast.literal_eval(text)
    assert (json.loads(value) if kind == "json" else value) == default


def test_what_must_be_given_comes_first_and_has_no_default() -> None:
    day = FormField("day", "datetime.date", schema_of("datetime.date"), None, is_required=True)
    made = parameters_of((*fields(n=("int", 1)), day))

    assert [item.declaration for item in made] == ["day: str", "n: int = 1"]


@given(st.lists(st.text(alphabet="aAbzé_9-.", min_size=1, max_size=6), unique=True, max_size=12))
def test_names_are_kfps_and_no_two_alike(ids: list[str]) -> None:
    names = own_names(ids)

    assert all(re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names.values())
    assert len(set(names.values())) == len(ids)
    assert not {"begin", "finish", "dsl", "class", "list", "settled", "run", "items"} & set(names.values())


@given(st.text())
@settings(max_examples=300)
def test_a_literal_is_the_text_and_holds_nothing_that_kfp_replaces(text: str) -> None:
    for value in (text, f"{text}{{{{$}}}}python3"):
        assert ast.literal_eval(literal(value)) == value
        assert json.loads(safe_json([value])) == [value]
        assert is_plain(literal(value)) and is_plain(safe_json([value]))
        assert one_line(value).isprintable() and "{{" not in one_line(value)


# --- what components do


class Fake(Headrace):
    """A headrace that says what it is told to."""

    def __init__(self, *ends: Any) -> None:
        super().__init__(["true"], "/", "flow:flow", "/srv/store", "shape", "kubeflow")
        self.ends = list(ends)
        self.begun: dict[str, Any] = {}
        self.how: list[tuple[str, ...]] = []

    def begin(self, run: str, engine_run: str, parameters: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        self.begun = parameters
        return {"pipeline": "flow", "store": "file:///srv/store"}

    def execute(self, run: str, node: str, *how: str, **_: Any) -> dict[str, Any]:
        self.how.append(how)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        made = {"output": {"digest": "d", "format": "json", "n_bytes": 5}} if end in ("succeeded", "cached") else {}
        return {"run": run, "node": node, "outcome": end, "attempt": 1, "message": "why", "outputs": made}


def tasks(*ends: Any, lost_retries: int = 0) -> tuple[Tasks, Fake]:
    fake = Fake(*ends)
    return Tasks(fake, "flow-2026-11-22-16-03-28-619457", "123", lost_retries), fake


def test_all_tasks_of_a_run_know_its_id() -> None:
    in_a_loop = Tasks(Fake(), "flow-2026-11-22-16-03-28-619457/for-loop-2-iteration-0", "123")
    here = datetime(2026, 11, 22, 16, 3, 28).astimezone(UTC)

    assert in_a_loop.run == tasks()[0].run
    assert in_a_loop.run.startswith(f"{here:%Y%m%d-%H%M%S}-619-")
    assert Tasks(Fake(), "2026-11-22T16:03:28Z", "123").run.startswith("20261122-160328-000-")
    assert Tasks(Fake(), "2026-11-22T16:03:28.5+01:00", "123").run.startswith("20261122-150328-500-")
    assert Tasks(Fake(), "2026-11-22T16:03:28Z", "123").run != Tasks(Fake(), "2026-11-22T16:03:28Z", "124").run
    with pytest.raises(Refused, match="says no time at which the run was created, but 'Run of flow'"):
        Tasks(Fake(), "Run of flow", "123")


def test_numbers_become_again_what_they_were() -> None:
    kinds = {"n": "int", "xs": "list of int", "share": "float", "word": "str", "more": "json"}
    run, fake = tasks()
    given = {"n": 3.0, "xs": [1.0, 2.0], "share": 1, "word": "7", "more": '[1, 1.0, null, "x"]'}
    run.begin(given, kinds, '{"huge": 9007199254740993}')

    told = {
        "n": 3,
        "xs": [1, 2],
        "share": 1.0,
        "word": "7",
        "more": [1, 1.0, None, "x"],
        "huge": 2**53 + 1,
    }
    assert json.dumps(fake.begun) == json.dumps(told)


def test_what_kfp_may_have_rounded_is_refused() -> None:
    run, _ = tasks()

    with pytest.raises(Refused, match="parameter 'n' can't be: give it in headrace_parameters"):
        run.begin({"n": 2.0**53}, {"n": "int"}, "")
    with pytest.raises(Refused, match="Parameter 'limit' must be JSON, but got 'three'"):
        run.begin({"limit": "three"}, {"limit": "json"}, "")
    run.begin({"xs": [1.5]}, {"xs": "list of int"}, "")  # exec says that this is none


def test_an_artifact_points_at_the_record() -> None:
    run, _ = tasks("succeeded")
    artifact = SimpleNamespace(uri="/srv/kfp/output", metadata={})
    told = json.loads(run.execute("train", {"output": artifact}))

    assert artifact.uri == f"file:///srv/store/runs/{run.run}/nodes/train.1.json#output"
    assert artifact.metadata["digest"] == "d" and artifact.metadata["outcome"] == "succeeded"
    assert told["outputs"]["output"]["n_bytes"] == 5


def test_in_a_bucket_it_points_by_what_kfp_does_not_copy() -> None:
    run, fake = tasks("skipped")
    fake.store = "s3://bucket/store"
    artifact = SimpleNamespace(uri="minio://kfp/output", metadata={})
    run.execute("train", {"output": artifact})

    assert artifact.uri.startswith("headrace+s3://bucket/store/runs/")
    assert "digest" not in artifact.metadata and artifact.metadata["outcome"] == "skipped"


@pytest.mark.parametrize("outcome", ["failed", "timed out", "crashed", "out of memory", "cancelled", "upstream failed"])
def test_a_failure_fails_the_task(outcome: str) -> None:
    with pytest.raises(SystemExit, match=f"train: {outcome}: why"):
        tasks(outcome)[0].execute("train", {})
    assert json.loads(tasks(outcome)[0].execute("train", {}, "--items", "0:2"))["outcome"] == outcome


def test_what_was_lost_is_begun_again_so_often() -> None:
    run, fake = tasks(Lost("killed"), Lost("killed"), "succeeded", lost_retries=2)
    run.execute("train", {})

    assert fake.how == [("--once",)] * 3
    with pytest.raises(Lost):
        tasks(Lost("killed"), Lost("killed"), lost_retries=1)[0].execute("train", {})


def test_a_container_component_speaks_as_the_sdk_does(project: Any, tmp_path: Path) -> None:
    project.write(
        "flow.py",
        "from headrace import pipeline, step\n\n@step\ndef double(n: int) -> int:\n    return 2 * n\n\n"
        "@pipeline\ndef flow(n: int = 5):\n    return double.map([n, 2])\n",
    )
    place = {"command": [sys.executable, "-m", "headrace"], "project": str(project.folder), "pipeline": "flow:flow"}
    words = ("compile", "kubeflow", "flow:flow", "-o", "out", "--set", "sdk_python=true", "--json")
    shape = project.headrace(*words).json["shape"]
    place |= {"store": str(tmp_path / "store"), "shape": shape, "engine": "kubeflow"}
    run = {"started": "2026-11-22T16:03:28Z", "job": "5b0a"}

    def component(what: str, told: dict[str, Any], values: dict[str, Any], *names: str) -> dict[str, Any]:
        uri = {"name": "x", "type": {"schemaTitle": "system.Artifact"}, "uri": f"minio://kfp/{what}"}
        wanted = {
            "parameters": {"result": {"outputFile": "unused"}},
            "artifacts": {name: {"artifacts": [uri]} for name in names},
            "outputFile": str(tmp_path / what / "executor_output.json"),
        }
        words = [
            json.dumps({"what": what, **told, "place": place, "lost_retries": 0}),
            json.dumps({"inputs": {"parameterValues": {**run, **values}}, "outputs": wanted}),
        ]
        command = [sys.executable, "-m", "headrace.backends.kubeflow.container", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads((tmp_path / what / "executor_output.json").read_text())
        return found

    begun = component("begin", {"given": {"n": "n"}, "kinds": {"n": "int"}}, {"n": 7.0})
    assert begun["parameterValues"]["result"].startswith("20261122-160328-000-")
    assert component("slices", {"node": "double"}, {})["parameterValues"]["result"] == ["0:1", "1:2"]
    for items in ("0:1", "1:2"):
        component("items", {"node": "double"}, {"items": items})
    told = {"node": "double", "outputs": {"output": "output"}, "how": ["--collect"]}
    made = component("execute", told, {}, "output")
    (artifact,) = made["artifacts"]["output"]["artifacts"]
    assert json.loads(made["parameterValues"]["result"])["outcome"] == "succeeded"
    assert artifact["uri"].endswith("nodes/double.1.json#output")


# --- the server


def test_a_schedule_becomes_a_recurring_run() -> None:
    by_name = {chosen.name: deployment_of(chosen) for chosen in PIPELINES}
    backend_settings = read_settings(Settings, by_name["_plain"], "kubeflow")

    assert recurring_run(by_name["_plain"], backend_settings) is None
    with pytest.raises(
        BackendError, match="is of Europe/Zurich, and a recurring run's is read in the cluster's time zone"
    ):
        recurring_run(by_name["_scheduled"], backend_settings)
    found = recurring_run(by_name["_scheduled"], Settings(cluster_timezone="Europe/Zurich"))
    assert (found["cron"], found["max_concurrency"]) == ("0 */5 3 * * 1-5", 2)
    found = recurring_run(by_name["_dated"], backend_settings)
    assert found["cron"] == "0 0 0 * * *"


class Server:
    """A Kubeflow Pipelines server, as far as the client is asked. No real one can be run here."""

    def __init__(self) -> None:
        self.versions: list[Any] = []
        self.recurring: list[Any] = []
        self.disabled: list[str] = []
        self.pipeline: str | None = None

    def get_pipeline_id(self, name: str) -> str | None:
        return self.pipeline

    def upload_pipeline(self, package: str, pipeline_name: str, description: str) -> Any:
        self.pipeline = "p1"
        return SimpleNamespace(pipeline_id="p1")

    def list_pipeline_versions(self, pipeline_id: str, page_size: int) -> Any:
        return SimpleNamespace(pipeline_versions=self.versions or None)

    def upload_pipeline_version(self, package: str, name: str, pipeline_id: str) -> Any:
        self.versions.append(SimpleNamespace(display_name=name, pipeline_version_id=f"v{len(self.versions)}"))
        return self.versions[-1]

    def create_experiment(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="e1")

    def list_recurring_runs(self, experiment_id: str, page_size: int) -> Any:
        return SimpleNamespace(recurring_runs=self.recurring or None)

    def disable_recurring_run(self, run_id: str) -> None:
        self.disabled.append(run_id)

    def create_recurring_run(self, **wanted: Any) -> Any:
        made = SimpleNamespace(display_name=wanted["job_name"], recurring_run_id=f"r{len(self.recurring)}", **wanted)
        self.recurring.append(made)
        return made


def test_submitting_says_what_it_changed_and_again_changes_nothing() -> None:
    server = Server()
    recurring = {"name": "flow", "cron": "0 0 3 * * *", "max_concurrency": 1, "parameters": {"day": "x"}}
    wanted = {
        "package": "flow.yaml",
        "pipeline": "flow",
        "version": "aaa",
        "description": "",
        "experiment": "flow",
        "recurring": recurring,
    }

    assert client.put(server, wanted) == [
        "pipeline 'flow': made",
        "version aaa: uploaded",
        "recurring run 'flow aaa': made, 0 0 3 * * *",
    ]
    assert client.put(server, wanted) == ["version aaa: unchanged", "recurring run 'flow aaa': unchanged"]
    assert client.put(server, {**wanted, "version": "bbb"}) == [
        "version bbb: uploaded",
        "recurring run 'flow aaa': disabled",
        "recurring run 'flow bbb': made, 0 0 3 * * *",
    ]
    assert server.disabled == ["r0"]
    assert server.recurring[-1].enable_caching is False
    assert client.put(server, {**wanted, "recurring": None}) == ["version aaa: unchanged"]


def test_the_client_is_run_and_not_imported() -> None:
    assert "kfp" not in sys.modules
    assert runpy.run_path(client.__file__)["put"] is not None
    assert "kfp" not in sys.modules


def test_a_step_called_items_is_not_the_items_of_another(project: Any, sdk: str) -> None:
    project.write(
        "flow.py",
        "from headrace import pipeline, step\n\n@step\ndef score(n: int) -> int:\n    return n\n\n"
        "@step\ndef items(n: int) -> int:\n    return n\n\n"
        "@pipeline(name='score')\ndef inner(n: int):\n    return items(n)\n\n"
        "@pipeline\ndef flow(n: int = 1):\n    return score.options(name='score').map([n, inner(n)])\n",
    )
    components = components_in(compiled(project, sdk))

    assert sorted(components.values()) in (["score", "score.items"], ["score", "score-2.items"])
    assert len(set(components)) == 2
