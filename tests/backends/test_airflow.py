"""What is written for Airflow, without Airflow: the file as a tree, its settings, and where it is put."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from headrace.backends.airflow.backend import Airflow
from headrace.backends.deployment import Deployment
from headrace.testing.backends import BackendContract

GOLDEN = Path(__file__).with_name("golden") / "airflow" / "flow.py"
SETTINGS = """
[tool.headrace.backends.airflow]
start_date = "2026-01-01"
catchup = true
pool = "small"
pools = { judge = "large" }
slots_are_cpus = true
outlets = "all"
secrets = { TOKEN = "variable:flow_token" }
links = { Tracker = "https://tracker.example/runs/{run}?step={node}" }
report = true
tags = ["churn", "daily"]
owner = "ml"
max_active_tasks = 4
is_paused = false
"""


def compiled(project: Any, *more: str, pipeline: str = "flow:flow") -> str:
    done = project.headrace("compile", "airflow", pipeline, "-o", "out", *more)
    assert done.code == 0, done.err
    (path,) = (project.folder / "out").glob("*.py")
    return str(path.read_text())


def refused(project: Any, *more: str) -> str:
    done = project.headrace("compile", "airflow", "flow:flow", "-o", "out", *more)
    assert done.code == 2
    assert not list((project.folder / "out").glob("*.py")), "nothing is written"
    return str(done.err)


def calls(source: str) -> dict[str, dict[str, Any]]:
    """The calls that make tasks, by the variable: the operator, and its words as source."""
    found: dict[str, dict[str, Any]] = {}
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        call = node.value
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
            call = call.func.value
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if "task_id" in words:
            assert isinstance(node.targets[0], ast.Name)
            found[node.targets[0].id] = {"operator": ast.unparse(call.func), **words}
    return found


def dag_words(source: str) -> dict[str, Any]:
    """The words of the call that makes the DAG."""
    (call,) = [
        item.context_expr
        for node in ast.parse(source).body
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
    ]
    return {str(word.arg): ast.unparse(word.value) for word in call.keywords}


def edges(source: str) -> list[str]:
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.BinOp)
    ]


def in_place(source: str, project: Any) -> str:
    """The source with what is this machine's own replaced."""
    return source.replace(str(project.folder), "/srv/flows").replace(sys.executable, "/srv/flows/.venv/bin/python")


class TestAirflow(BackendContract):
    backend = Airflow()
    packages = ("airflow",)

    def executed(self, files: Mapping[str, str]) -> list[str]:
        (source,) = files.values()
        tasks = [words for words in calls(source).values() if words["operator"] in ("Step", "Collect")]
        return [ast.literal_eval(words["node"]) for words in tasks]

    def check_hostile(self, deployment: Deployment, files: Mapping[str, str], text: str) -> None:
        (source,) = files.values()
        words = dag_words(source)
        assert ast.literal_eval(words.get("description", "''")) == text
        assert set(re.findall(r"template_fields = (.*)", source)) <= {"()"}, "Airflow renders no field of ours"


class TestAirflowInPods(TestAirflow):
    image = f"registry.example/flows@sha256:{'a' * 64}"
    settings: ClassVar[Mapping[str, Any]] = {"volume_claim": "store", "secret_name": "flows"}
    packages = ("airflow", "kubernetes")


def test_the_file_is_the_golden_one(project: Any) -> None:
    found = in_place(compiled(project), project)
    if os.environ.get("GOLDEN"):
        GOLDEN.write_text(found)

    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(GOLDEN.read_text())), "make golden, and look at the diff"
    assert found.splitlines()[0].startswith("# Pipeline 'flow', written by: headrace compile airflow flow:flow -o out")


def test_it_imports_airflow_and_the_standard_library_alone(project: Any) -> None:
    roots = set()
    for node in ast.walk(ast.parse(compiled(project))):
        if isinstance(node, ast.Import):
            roots |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).partition(".")[0])

    assert "airflow" in roots
    assert roots - {"airflow"} <= set(sys.stdlib_module_names)


def test_there_is_a_task_for_each_node_in_groups_and_in_order(project: Any) -> None:
    source = compiled(project)
    tasks = calls(source)

    assert {name: words["operator"] for name, words in tasks.items()} == {
        "begin": "Begin",
        "numbers": "Step",
        "double_slices": "Slices",
        "double_items": "Items.partial",
        "double_collect": "Collect",
        "judge": "Step",
        "keep": "Step",
        "finish": "Finish",
    } | ({"inner_keep": "Step"} if "inner_keep" in tasks else {})
    assert tasks["numbers"]["secret_names"] == "('TOKEN',)"
    assert tasks["numbers"]["trigger_rule"] == "TriggerRule.ALL_SUCCESS", "as Airflow wants it of what follows a setup"
    assert "trigger_rule" not in tasks["judge"], "what follows a skipped step asks, by none_failed"
    assert tasks["double_collect"]["trigger_rule"] == "TriggerRule.ALL_DONE"
    assert edges(source)[:5] == [
        "begin >> numbers",
        "numbers >> double_slices",
        "double_items >> double_collect",
        "double_collect >> judge",
        "[double_collect, judge] >> keep",
    ]
    assert "begin.as_setup()" in source
    assert "finish.as_teardown(setups=begin, on_failure_fail_dagrun=True)" in source


def test_parameters_are_typed_and_the_date_is_that_of_the_run(project: Any) -> None:
    params = dag_words(compiled(project, "-p", "n=7"))["params"]

    assert "'n': Param(7, type='integer', description='int')" in params
    assert "'day': Param(None, type=['null', 'string'], format='date'" in params
    assert "'kind': Param('one', enum=['one', 'two']" in params
    assert "odd" not in params, "which JSON can't say"


def test_settings_are_those_of_the_project_and_of_the_command(project: Any) -> None:
    project.write("pyproject.toml", '[project]\nname = "flows"\nversion = "1"\n' + SETTINGS)
    source = compiled(project, "--set", "owner=you", "--set", "dag_id=flow.v2")
    words, tasks = dag_words(source), calls(source)

    assert words["start_date"] == "datetime.fromisoformat('2026-01-01T00:00:00+01:00')", "midnight in the plan's zone"
    assert words["schedule"] == "CronTriggerTimetable('0 3 * * *', timezone='Europe/Zurich')"
    assert (words["catchup"], words["max_active_tasks"]) == ("True", "4")
    assert words["is_paused_upon_creation"] == "False"
    assert words["tags"] == "['headrace', 'churn', 'daily']"
    assert "'owner': 'you'" in words["default_args"] and "'pool': 'small'" in words["default_args"]
    assert tasks["judge"]["pool"] == "'large'"
    assert tasks["numbers"]["outlets"] == "[ASSET_numbers]"
    assert 'ASSET_numbers = Asset("flow.v2.numbers", extra={"output": "output"})' in source
    assert 'SECRETS = {"TOKEN": "variable:flow_token"}' in source
    assert 'LINKS = (Link("Tracker", "https://tracker.example/runs/{run}?step={node}"),)' in source
    assert "MAKES_REPORT = True" in source
    assert (project.folder / "out" / "flow.v2.py").exists()


def test_a_run_can_wait_for_others_assets(project: Any) -> None:
    words = dag_words(compiled(project, "--set", "triggered_by=raw.rows,raw.labels"))

    assert words["schedule"] == "[Asset('raw.rows'), Asset('raw.labels')]"


def test_runs_that_depend_on_those_before(project: Any) -> None:
    project.write(
        "flow.py",
        "from datetime import date\nfrom headrace import pipeline, step\n\n"
        "@step\ndef book(day: date) -> str:\n    return str(day)\n\n"
        '@pipeline(depends_on_past=True, max_active_runs=1, schedule="@daily", date="day")\n'
        "def flow(day: date):\n    return book(day)\n",
    )
    source = compiled(project, "--set", "timetable=interval")

    assert calls(source)["begin"]["wait_for_downstream"] == "True"
    assert "max_active_runs" not in dag_words(source), "one that waits may not take the place of the one before"
    assert dag_words(source)["schedule"] == "CronDataIntervalTimetable('0 0 * * *', timezone='UTC')"


WRONG = {
    "ownr=me": "has no setting 'ownr' ([tool.headrace.backends.airflow] or --set).\nHint: did you mean 'owner'?",
    "lost_retries=many": "lost_retries",
    "timetable=cron": "timetable must be one of trigger, interval, but is 'cron'",
    "outlets=model": "outlets must be one of outputs, all, none, but is 'model'",
    "dag_id=a b": "dag_id must be letters, digits, '_', '-' and '.', but is 'a b'",
    "catchup=true": "catchup needs start_date",
    "start_date=soon": "start_date must be a date, but is 'soon'",
    'secrets={"TOKN": "variable:x"}': "secrets names 'TOKN', which no step takes",
    'secrets={"TOKEN": "s3cret-value"}': "this is none of Airflow's places",
    'pools={"jugde": "large"}': "pools names 'jugde', which is neither a step nor a node",
    "max_map_length=10": "Step 'double' maps into up to 100 tasks, and Airflow takes 10",
}


@pytest.mark.parametrize("setting", WRONG)
def test_wrong_settings_are_refused(project: Any, setting: str) -> None:
    told = refused(project, "--set", setting)

    assert WRONG[setting] in told
    assert "s3cret-value" not in told, "a value given by mistake isn't repeated"


HOSTILE = '''
from headrace import pipeline, step

EVIL = "'\\"\\n\\\\ {{ 7*7 }} {% raw %} $(touch hacked) \\u2028 é \\ud7ff #\\r"

def make(name):
    @step(name=name)
    def body(x: int) -> int:
        return x
    return body

NAMES = ("begin", "finish", "str", "class", "HEADRACE", "ASSET_output", "dag", "a-b", "a_b")
steps = {name: make(name) for name in NAMES}

@pipeline
def inner(x: int):
    return steps["a-b"](x)

@pipeline(name="begin")
def nested(x: int):
    return steps["a_b"](x)

@pipeline
def flow(größe: int = 1, text: str = EVIL):
    """A {{ docstring }} of \\"\\"\\" quotes, that ends in readme.md"""
    last = größe
    for one in steps.values():
        last = one(last)
    inner(1)
    return nested(inner(last))
'''


def test_hostile_names_and_values_are_text(project: Any) -> None:
    project.write("flow.py", HOSTILE)
    source = compiled(project, "--store", str(project.folder / 'it\'s {{ a }} "store"'))
    tasks = calls(source)
    ids = [ast.literal_eval(words["node"]) for words in tasks.values() if "node" in words]

    assert len(set(tasks)) == 2 + 9 + 3
    assert {"begin", "finish", "str", "class", "HEADRACE", "ASSET_output", "dag", "a-b", "a_b"} < set(ids)
    taken = {"HEADRACE", "ASSET_output", "dag", "str", "class"}
    assert not taken & set(tasks), "no variable hides what the file, or Python, calls so"
    assert ast.literal_eval(tasks["begin_"]["task_id"]) == "begin_" and tasks["begin_"]["operator"] == "Begin"
    params = ast.parse(dag_words(source)["params"], mode="eval").body
    assert isinstance(params, ast.Dict)
    values = {ast.literal_eval(key): value for key, value in zip(params.keys, params.values, strict=True) if key}
    evil = values["text"]
    assert isinstance(evil, ast.Call)
    assert ast.literal_eval(evil.args[0]) == "'\"\n\\ {{ 7*7 }} {% raw %} $(touch hacked) \u2028 é \ud7ff #\r"
    assert "größe" in values
    assert ast.literal_eval(dag_words(source)["doc_md"]).endswith("\n"), "what ends in .md Airflow takes for a file"


def test_submit_copies_whole_and_says_what_changed(project: Any, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    told = [
        project.headrace("compile", "airflow", "flow:flow", "-o", "out", "--submit", "--to", str(dags), *more).out
        for more in ([], [], ["-p", "n=9"])
    ]

    assert [text.splitlines()[-1] for text in told[:2]] == [f"{dags}/flow.py: new", f"{dags}/flow.py: is there already"]
    assert told[2].splitlines()[-1].startswith(f"{dags}/flow.py: replaced, ")
    assert [path.name for path in dags.iterdir()] == ["flow.py"], "nothing is left beside it"


def test_submit_finds_the_folder_by_airflows_environment(project: Any, tmp_path: Path) -> None:
    (tmp_path / "home" / "dags").mkdir(parents=True)
    words = ("compile", "airflow", "flow:flow", "-o", "out", "--submit")
    done = project.headrace(*words, env={"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__DAGS_FOLDER": ""})

    assert done.out.splitlines()[-1] == f"{tmp_path}/home/dags/flow.py: new"


def test_submit_refuses_what_it_did_not_make(project: Any, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("print('mine')\n")
    words = ("compile", "airflow", "flow:flow", "-o", "out", "--submit", "--to")

    done = project.headrace(*words, str(tmp_path))
    assert done.code == 2
    assert "was not made by headrace compile, and is left as it is" in done.err
    assert (tmp_path / "flow.py").read_text() == "print('mine')\n"
    done = project.headrace(*words, str(tmp_path / "nowhere"))
    assert "There is no DAG folder at" in done.err
