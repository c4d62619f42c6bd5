"""Prefect's files: what is in them for a pipeline, and how they are deployed, without Prefect."""

from __future__ import annotations

import ast
import http.server
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import headrace
from headrace.backends.deployment import Deployment
from headrace.backends.prefect.backend import Prefect
from headrace.backends.prefect.literals import annotation
from headrace.backends.source import flat
from headrace.testing.backends import BackendContract

GOLDEN = Path(__file__).parent / "golden" / "prefect"
HOSTILE = """it's "quoted" {{ x }} $(touch /tmp/no) `a` \\n\n%s {name} é \u2028 \U0001f600"""


def compiled(project: Any, *more: str, pipeline: str = "flow:flow") -> tuple[str, str]:
    done = project.headrace("compile", "prefect", pipeline, "-o", "out", *more)
    assert done.code == 0, done.err
    return tuple((project.folder / "out" / name).read_text() for name in ("flow.py", "prefect.yaml"))  # type: ignore[return-value]


def flow_of(text: str) -> ast.FunctionDef:
    return next(
        item
        for item in ast.parse(text).body
        if isinstance(item, ast.FunctionDef) and any("flow(" in ast.unparse(mark) for mark in item.decorator_list)
    )


def in_another_place(text: str, project: Any) -> str:
    text = text.replace(str(project.folder), "/home/me/flows").replace(sys.executable, "/home/me/.venv/bin/python")
    return text.replace(f"(Headrace {headrace.__version__})", "(Headrace 1.2.3)")


@pytest.mark.parametrize("name", ["flow.py", "prefect.yaml"])
def test_the_files_are_the_golden_ones(project: Any, name: str) -> None:
    flow, deployment = compiled(project)
    text = in_another_place({"flow.py": flow, "prefect.yaml": deployment}[name], project)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("version:")) + "\n"
    path = GOLDEN / name
    if "GOLDEN" in os.environ:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert text == path.read_text(), "make golden, and look at the diff"


def test_the_flow_imports_prefect_and_the_standard_library_alone(project: Any) -> None:
    flow, _ = compiled(project)
    found = {
        name.split(".")[0]
        for item in ast.walk(ast.parse(flow))
        if isinstance(item, ast.Import | ast.ImportFrom)
        for name in ([item.module or ""] if isinstance(item, ast.ImportFrom) else [part.name for part in item.names])
    }

    assert found - set(sys.stdlib_module_names) == {"prefect"}


def test_the_flow_is_formatted_and_clean(project: Any) -> None:
    import subprocess

    compiled(project)
    ruff = [str(Path(sys.executable).parent / "ruff")]
    common = ["--isolated", "--no-cache", "--quiet", "--line-length", "120", str(project.folder / "out/flow.py")]
    checked = subprocess.run([*ruff, "check", "--select", "E,F,I,C4,SIM,PIE", *common], capture_output=True, text=True)
    formatted = subprocess.run([*ruff, "format", "--diff", *common], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout
    assert formatted.returncode == 0, formatted.stdout


def test_parameters_are_typed_and_the_date_is_the_scheduled_time(project: Any) -> None:
    flow, _ = compiled(project, "-p", "n=7")
    arguments = flow_of(flow).args
    defaults = [ast.unparse(item) for item in arguments.defaults]
    declared = [f"{item.arg}: {ast.unparse(item.annotation)}" for item in arguments.args if item.annotation]

    assert dict(zip(declared, defaults, strict=True)) == {
        "day: date | None": "None",
        "n: int": "7",
        "share: float": "0.5",
        "name: str": "'plain'",
        "words: list[str]": "['a', 'b']",
        "kind: Literal['one', 'two']": "'one'",
        "data: str": "'data/rows.csv'",
        "limit: int | None": "None",
        "weights: dict[str, Any] | None": "None",
        "is_on: bool": "True",
    }
    assert 'date_of(day, "Europe/Zurich", is_time=False)' in flow


def test_the_deployment_has_schedule_and_limit(project: Any) -> None:
    project.write(
        "limited.py",
        "from headrace import pipeline, step\n@step\ndef one() -> int:\n    return 1\n"
        "@pipeline(schedule='*/5 * * * *', max_active_runs=2)\ndef limited():\n    return one()\n",
    )
    _, text = compiled(project, "--set", "tags=a,b c", "--set", "work_pool=mine", pipeline="limited")
    deployment = yaml.safe_load(text)["deployments"][0]

    assert deployment.pop("version")
    assert deployment == {
        "name": "limited",
        "entrypoint": "flow.py:limited",
        "work_pool": {"name": "mine"},
        "tags": ["a", "b c"],
        "schedules": [{"cron": "*/5 * * * *", "timezone": "UTC"}],
        "concurrency_limit": {"limit": 2, "collision_strategy": "ENQUEUE"},
    }


NAMES = """
from headrace import pipeline, step

@step
def run(task: int) -> int:
    return task

@step
def HEADRACE(x: int) -> int:
    return x

@pipeline
def odd(_hidden: int = 1, wait_for: int = 2, graph: int = 3, carry_out: int = 4, été: str = "x", json: int = 5):
    one = run.options(name="begin")(_hidden)
    two = run.options(name="x-y")(one)
    three = run.options(name="x_y")(two)
    four = run.options(name="class")(three)
    five = run.options(name="carry_out_2")(run.options(name="str")(run.options(name="map")(four)))
    return HEADRACE(five)
"""


def test_names_that_mean_something_else_are_told_apart(project: Any) -> None:
    project.write("odd.py", NAMES)
    flow, _ = compiled(project, pipeline="odd:odd")
    tasks = {
        item.targets[0].id: ast.literal_eval(item.value.args[0])
        for item in ast.parse(flow).body
        if isinstance(item, ast.Assign)
        and isinstance(item.targets[0], ast.Name)
        and ast.unparse(item.value).startswith("node_task(")
        and isinstance(item.value, ast.Call)
    }

    assert sorted(tasks.values()) == ["HEADRACE", "begin", "carry_out_2", "class", "map", "str", "x-y", "x_y"]
    assert all(name.isidentifier() for name in tasks)
    assert not {"HEADRACE", "class", "run", "map", "str"} & set(tasks)
    assert [item.arg for item in flow_of(flow).args.args] == [
        "hidden_",
        "wait_for_",
        "graph",
        "carry_out",
        "été",
        "json",
    ]
    assert "carry_out_3(\n        graph_2," in flow
    assert "carry_out_3 = carry_out\n" in flow
    assert '"_hidden": hidden_' in flow


def test_values_are_data(project: Any) -> None:
    flow, _ = compiled(project, "-p", f"name={HOSTILE}")
    defaults = flow_of(flow).args.defaults

    assert HOSTILE in [ast.literal_eval(item) for item in defaults]


@pytest.mark.parametrize("value", [HOSTILE, 1, 1.5, True, None, [1, "a"], {"a": [None]}, ("x",), 'say "no"', "it's"])
def test_a_literal_is_read_back(value: object) -> None:
    assert ast.literal_eval(flat(value)) == value


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "Any"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": ["string", "null"], "format": "date"}, "date | None"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"enum": ["a'b", None]}, 'Literal["a\'b", None]'),
    ],
)
def test_annotations(schema: dict[str, Any], expected: str) -> None:
    assert annotation(schema) == expected


def test_secrets_are_names_and_blocks_are_given_to_the_steps_that_take_them(project: Any) -> None:
    plain, _ = compiled(project)
    blocks, _ = compiled(project, "--set", 'secret_blocks={"TOKEN": "my-token"}')

    assert 'SECRETS: dict[str, str | None] = {"TOKEN": None}' in plain
    assert 'SECRETS: dict[str, str | None] = {"TOKEN": "my-token"}' in blocks
    assert blocks.count('secrets=("TOKEN",)') == 1
    assert 'numbers = node_task("numbers", secrets=("TOKEN",))' in blocks


def test_what_prefect_cant_do_is_refused(project: Any) -> None:
    project.write(
        "past.py",
        "from datetime import date\nfrom headrace import pipeline, step\n"
        "@step\ndef one(day: date) -> int:\n    return 1\n"
        "@pipeline(depends_on_past=True, date='day')\ndef past(day: date):\n    return one(day)\n",
    )
    done = project.headrace("compile", "prefect", "past", "-o", "out")

    assert done.code == 2
    assert (
        "pipeline 'past' uses depends_on_past (Prefect starts runs without regard to how earlier ones ended)"
        in done.err
    )
    assert not (project.folder / "out").exists()


def test_a_setting_that_there_is_not(project: Any) -> None:
    done = project.headrace("compile", "prefect", "flow:flow", "-o", "out", "--set", "workpool=x")

    assert done.code == 2
    assert "Backend 'prefect' has no setting 'workpool'" in done.err
    assert "did you mean 'work_pool'?" in done.err


class TestContract(BackendContract):
    backend = Prefect()
    packages = ("prefect",)

    def executed(self, files: Mapping[str, str]) -> list[str]:
        calls = [item for item in ast.walk(ast.parse(files["flow.py"])) if isinstance(item, ast.Call)]
        made = [item for item in calls if ast.unparse(item.func) in ("node_task", "collecting_task")]
        return [ast.literal_eval(item.args[0]) for item in made]

    def check_hostile(self, deployment: Deployment, files: Mapping[str, str], text: str) -> None:
        assert yaml.safe_load(files["prefect.yaml"])["deployments"][0]["name"] == deployment.plan.pipeline


# --- --submit, with a `prefect` that does what its API would show

STUB = """#!{python}
import json, os, pathlib, sys, urllib.request, yaml
assert sys.argv[1:] == ["--no-prompt", "deploy", "--all"]
if pathlib.Path("fail").exists():
    sys.exit("no such thing")
made = yaml.safe_load(open("prefect.yaml"))["deployments"][0]
made["folder"] = os.getcwd()
urllib.request.urlopen(urllib.request.Request(os.environ["PREFECT_API_URL"], json.dumps(made).encode(), method="POST"))
"""


class Server(http.server.BaseHTTPRequestHandler):
    """Prefect's API, as far as it is asked."""

    known: dict[str, Any]

    def do_GET(self) -> None:
        found = self.known.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schedules = [{"active": True, "schedule": item} for item in made["schedules"]]
        self.known["/api/deployments/name/flow/flow"] = {
            **made,
            "schedules": schedules,
            "work_pool_name": made["work_pool"]["name"],
            "pull_steps": [{"set_working_directory": {"directory": made["folder"]}}],
            "parameter_openapi_schema": {"properties": {"n": {}}},
        }
        self.send_response(201)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api(project: Any) -> Iterator[str]:
    handler = type("Handler", (Server,), {"known": {"/api/work_pools/default": {}}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        project.write("bin/prefect", STUB.format(python=sys.executable))
        command = project.folder / "bin/prefect"
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def submitted(project: Any, api: str, *more: str) -> Any:
    command = ["compile", "prefect", "flow:flow", "-o", "out", "--submit", "--to", api]
    return project.headrace(*command, "--set", f"prefect={project.folder / 'bin/prefect'}", *more)


def test_submit_says_what_it_changed(project: Any, api: str) -> None:
    first = submitted(project, api)
    again = submitted(project, api)
    changed = submitted(project, api, "-p", "n=9", "--set", "tags=new")

    assert first.out.splitlines()[2:4] == ["deployment flow/flow: created", "  flow: flow.py:flow_of_pipeline"]
    assert "  schedule: 0 3 * * * Europe/Zurich" in first.out
    assert again.out.splitlines()[-1] == "deployment flow/flow: unchanged"
    assert "deployment flow/flow: updated\n  tags: new, was none\n  version: " in changed.out


def test_submit_without_a_work_pool(project: Any, api: str) -> None:
    done = submitted(project, api, "--set", "work_pool=other one")

    assert done.code == 2
    assert "There is no work pool 'other one' at " in done.err
    assert "prefect work-pool create 'other one' --type process" in done.err


def test_submit_where_prefect_fails_or_is_missing(project: Any, api: str) -> None:
    project.write("out/fail", "")
    failed = submitted(project, api)
    missing = submitted(project, api, "--set", "prefect=/no/prefect")
    down = submitted(project, "http://127.0.0.1:9/api")
    unsaid = project.headrace("compile", "prefect", "flow:flow", "-o", "out", "--submit")

    assert [done.code for done in (failed, missing, down, unsaid)] == [2] * 4
    assert "prefect deploy failed:\nno such thing" in failed.err
    assert "Prefect's command '/no/prefect' can't be started: No such file or directory" in missing.err
    assert "can't be reached: [Errno 111] Connection refused" in down.err
    assert "Where Prefect's API is must be said" in unsaid.err
