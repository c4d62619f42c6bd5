"""The definitions file for Dagster, without Dagster."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace.backends.dagster.backend import Dagster
from headrace.backends.dagster.names import RESERVED, engine_names
from headrace.backends.dagster.submitting import with_entry
from headrace.backends.deployment import BackendError
from headrace.testing.backends import BackendContract

GOLDEN = Path(__file__).with_name("golden") / "dagster" / "flow_definitions.py"
LAUNCHER = ("Lost", "Refused", "Headrace")


class TestContract(BackendContract):
    backend = Dagster()
    packages = ("dagster",)

    def executed(self, files: Mapping[str, str]) -> list[str]:
        (text,) = (text for name, text in files.items() if name.endswith(".py"))
        return [keyword(node, "id") for node in calls(text, "Node")]

    def check_hostile(self, deployment: Any, files: Mapping[str, str], text: str) -> None:
        (source,) = (text for name, text in files.items() if name.endswith(".py"))
        (job,) = calls(source, "dg.define_asset_job")
        assert text in ("", keyword(job, "description"))


def calls(source: str, function: str) -> Iterator[ast.Call]:
    """The calls of a function, in order."""
    found = [item for item in ast.walk(ast.parse(source)) if isinstance(item, ast.Call)]
    wanted = [item for item in found if ast.unparse(item.func) == function]
    return iter(sorted(wanted, key=lambda item: (item.lineno, item.col_offset)))


def keyword(call: ast.Call, name: str) -> Any:
    """What a call gives for a name: a value, or its source where it is none."""
    for item in call.keywords:
        if item.arg == name:
            try:
                return ast.literal_eval(item.value)
            except ValueError:
                return ast.unparse(item.value)
    return None


def compiled(project: Any, *more: str, pipeline: str = "flow:flow") -> str:
    done = project.headrace("compile", "dagster", pipeline, "-o", "out", *more)
    assert done.code == 0, done.err
    (path,) = (project.folder / "out").glob("*.py")
    return str(path.read_text())


def write(project: Any, body: str) -> None:
    project.write("flow.py", f"from headrace import pipeline, step\n\n{body}")


def in_place(source: str, project: Any) -> str:
    """The same, as if it had been compiled elsewhere."""
    return source.replace(str(project.folder), "/srv/flows").replace(sys.executable, "/srv/flows/.venv/bin/python")


def tree(source: str) -> str:
    """What counts in a file: not its comments, nor the launcher, which is every backend's."""
    module = ast.parse(source)
    module.body = [item for item in module.body if getattr(item, "name", "") not in LAUNCHER]
    return ast.dump(module)


def test_the_file_is_the_golden_one(project: Any) -> None:
    found = in_place(compiled(project), project)
    if os.environ.get("GOLDEN"):
        GOLDEN.write_text(found)

    assert tree(found) == tree(GOLDEN.read_text()), "make golden, and look at the diff"


def test_it_is_formatted(project: Any) -> None:
    compiled(project)
    ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--isolated", "--line-length", "120", "--check"]
    done = subprocess.run([*ruff, "out"], cwd=project.folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_asset_for_each_artifact_and_one_for_the_run(project: Any) -> None:
    artifacts = {keyword(item, "name"): item for item in calls(compiled(project), "Artifact")}

    assert {name: keyword(item, "key") for name, item in artifacts.items()} == {
        "numbers": ("flow", "numbers"),
        "double": ("flow", "double"),
        "judge_passed": ("flow", "judge", "passed"),
        "judge_score": ("flow", "judge", "score"),
        "keep": ("flow", "keep"),
        "inner_keep": ("flow", "inner", "keep"),
        "headrace_run": ("flow", "headrace_run"),
    }
    assert keyword(artifacts["keep"], "deps") == (("flow", "double"), ("flow", "judge", "passed"))
    assert keyword(artifacts["headrace_run"], "deps") == (("flow", "inner", "keep"),)


def test_a_nested_pipeline_is_a_group(project: Any) -> None:
    groups = {keyword(node, "id"): keyword(node, "group") for node in calls(compiled(project), "Node")}

    assert groups["inner.keep"] == "flow/inner"
    assert groups["keep"] == "flow"


def test_a_condition_is_an_output_of_the_node_that_decides(project: Any) -> None:
    nodes = {keyword(node, "id"): node for node in calls(compiled(project), "Node")}

    assert keyword(nodes["keep"], "when") == "judge_passed_holds"
    assert keyword(nodes["keep"], "after") == ("double", "judge")
    assert ast.unparse(nodes["judge"]).count("Condition(name='judge_passed_holds', output='passed')") == 1
    assert "Check(name='judge_passed_check', output='passed'" in ast.unparse(nodes["judge"])


def test_cpus_and_memory_are_tags(project: Any) -> None:
    tags = {keyword(node, "id"): keyword(node, "tags") for node in calls(compiled(project), "Node")}

    assert tags["double"] == {
        "headrace/cpus": "2",
        "dagster-k8s/config": {"container_config": {"resources": {"requests": {"cpu": "2"}}}},
    }
    assert tags["numbers"] is None


def test_parameters_are_typed_and_the_date_is_the_partition(project: Any) -> None:
    (pipeline,) = calls(compiled(project), "Pipeline")
    (parameters,) = (item.value for item in pipeline.keywords if item.arg == "parameters")
    assert isinstance(parameters, ast.Dict)
    names = [ast.literal_eval(key) for key in parameters.keys if key is not None]
    types = dict(zip(names, (ast.unparse(item.args[0]) for item in parameters.values), strict=True))  # type: ignore[attr-defined]

    assert types == {
        "n": "int",
        "share": "float",
        "name": "str",
        "words": "[str]",
        "kind": "str",
        "data": "str",
        "limit": "dg.Noneable(int)",
        "weights": "dg.Noneable(dict)",
        "is_on": "bool",
    }
    (partitions,) = calls(compiled(project), "dg.TimeWindowPartitionsDefinition")
    assert {name: keyword(partitions, name) for name in ("start", "cron_schedule", "timezone", "fmt")} == {
        "start": "2020-01-01",
        "cron_schedule": "0 0 * * *",
        "timezone": "Europe/Zurich",
        "fmt": "%Y-%m-%d",
    }


def test_the_partitions_of_a_weekly_schedule_are_its_days(project: Any) -> None:
    write(
        project,
        "from datetime import date\n\n@step\ndef one(day: date) -> str:\n    return str(day)\n\n"
        '@pipeline(schedule="30 4 * * mon", date="day")\ndef flow(day: date) -> str:\n    return one(day)\n',
    )
    source = compiled(project, "--set", "start=2026-03-02", "--set", "schedule=true")
    (partitions,) = calls(source, "dg.TimeWindowPartitionsDefinition")
    (schedule,) = calls(source, "dg.schedule")

    assert (keyword(partitions, "cron_schedule"), keyword(partitions, "start")) == ("0 0 * * mon", "2026-03-02")
    assert keyword(schedule, "cron_schedule") == "30 4 * * mon"
    assert keyword(schedule, "default_status") == "dg.DefaultScheduleStatus.RUNNING"


def test_a_date_that_is_a_time_has_the_schedules_times_as_partitions(project: Any) -> None:
    write(
        project,
        "from datetime import datetime\n\n@step\ndef one(at: datetime) -> str:\n    return str(at)\n\n"
        '@pipeline(schedule="0 */6 * * *", date="at")\ndef flow(at: datetime) -> str:\n    return one(at)\n',
    )
    (partitions,) = calls(compiled(project), "dg.TimeWindowPartitionsDefinition")

    assert (keyword(partitions, "cron_schedule"), keyword(partitions, "fmt")) == ("0 */6 * * *", "%Y-%m-%dT%H:%M")


def test_a_schedule_without_dates_has_no_partitions(project: Any) -> None:
    body = (
        '@step\ndef one() -> int:\n    return 1\n\n@pipeline(schedule="@hourly")\ndef flow() -> int:\n    return one()'
    )
    write(project, f"{body}\n")
    source = compiled(project)
    (schedule,) = calls(source, "dg.ScheduleDefinition")

    assert keyword(schedule, "cron_schedule") == "0 * * * *"
    assert not list(calls(source, "dg.TimeWindowPartitionsDefinition"))


@pytest.mark.parametrize(
    ("settings", "executor"),
    [
        (("executor=in_process",), "dg.in_process_executor"),
        (("max_concurrent=3",), "'max_concurrent': 3"),
        ((), "'start_method': {'forkserver'"),
    ],
)
def test_the_executor_is_a_setting(project: Any, settings: tuple[str, ...], executor: str) -> None:
    (definitions,) = calls(
        compiled(project, *(word for item in settings for word in ("--set", item))), "dg.Definitions"
    )

    assert executor in keyword(definitions, "executor")


def test_a_wrong_setting_is_refused(project: Any) -> None:
    done = project.headrace("compile", "dagster", "flow:flow", "-o", "out", "--set", "executor=threads")

    assert done.code == 2
    assert "'multiprocess'" in done.err
    assert not (project.folder / "out").exists()


def test_no_name_is_one_that_dagster_refuses() -> None:
    names = engine_names(["type", "type_", "a.b", "a_b", "begin", "class", "x" * 300])

    assert not RESERVED & set(names.values())
    assert len(set(names.values())) == len(names)
    assert names["type"] != "type"


# --- --submit


def submitted(project: Any, *more: str) -> list[str]:
    done = project.headrace("compile", "dagster", "flow:flow", "-o", "out", "--submit", "--json", *more)
    assert done.code == 0, done.err
    return list(json.loads(done.out)["submitted"])


def test_submit_adds_a_code_location_once(project: Any) -> None:
    project.write("home/workspace.yaml", "# ours\nload_from:\n- python_module: other\n")
    first = submitted(project, "--to", "home")
    again = submitted(project, "--to", "home")
    home = project.folder / "home"

    assert first == [f"{home}/flow_definitions.py: written", f"{home}/workspace.yaml: code location flow added"]
    assert again == [f"{home}/flow_definitions.py: unchanged", f"{home}/workspace.yaml: unchanged"]
    assert (home / "workspace.yaml").read_text().splitlines() == [
        "# ours",
        "load_from:",
        '- python_file: {"relative_path": "flow_definitions.py", "location_name": "flow"}',
        "- python_module: other",
    ]


def test_submit_goes_to_the_instance_that_the_environment_names(project: Any) -> None:
    home = project.folder / "instance"
    done = project.headrace("compile", "dagster", "flow:flow", "-o", "out", "--submit", env={"DAGSTER_HOME": str(home)})

    assert done.code == 0, done.err
    assert f"{home}/workspace.yaml: code location flow added" in done.out
    assert (home / "flow_definitions.py").read_text() == (project.folder / "out/flow_definitions.py").read_text()


def test_submit_without_a_place_says_what_is_missing(project: Any) -> None:
    done = project.headrace("compile", "dagster", "flow:flow", "-o", "out", "--submit", env={"DAGSTER_HOME": ""})

    assert done.code == 2
    assert "--to" in done.err


def test_a_workspace_that_is_not_written_line_by_line_is_left_alone() -> None:
    with pytest.raises(BackendError, match="no line 'load_from:'"):
        with_entry("load_from: [{python_module: other}]\n", "flow_definitions.py", "flow", "workspace.yaml")


def test_a_webserver_that_is_not_there_is_told(project: Any) -> None:
    done = project.headrace(
        "compile",
        "dagster",
        "flow:flow",
        "-o",
        "out",
        "--submit",
        "--to",
        "home",
        "--set",
        "webserver=http://127.0.0.1:9",
    )

    assert done.code == 2
    assert "http://127.0.0.1:9" in done.err
