"""Compiling for Argo Workflows: what is written, under which names, with which texts, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from argo_commands import Cluster, Workflow, expanded, in_quotes, in_the_pods_variable
from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.argo.backend import Argo
from headrace.backends.argo.capabilities import CAPABILITIES
from headrace.backends.argo.lint import lint
from headrace.backends.argo.names import object_name, parameter_names, task_names
from headrace.backends.argo.settings import Settings
from headrace.backends.argo.templates import LOST, secret_keys
from headrace.backends.argo.texts import json_text, shown, word
from headrace.backends.argo.written import written
from headrace.backends.capabilities import Feature, Kind
from headrace.backends.deployment import BackendError, Deployment
from headrace.testing.backends import BackendContract

IMAGE = "registry.example/flows@sha256:" + "a" * 64
BUCKET = ("--image", IMAGE, "--store", "s3://bucket/headrace")
GOLDEN = Path(__file__).with_name("golden") / "argo"
HOSTILE = (
    "{{workflow.name}}",
    "{{{{item}}}}",
    "{{=sprig.env('HOME')}}",
    "{{ inputs.parameters.node }}",
    "{{",
    "}}",
    "$(PATH)",
    "$$(PATH)",
    "$(POD_NAME)",
    "$(rm -rf /)",
    "`id`",
    "'; DROP TABLE runs; --",
    '"quoted"',
    "back\\slash \\u007b\\u007b \\x00",
    "line\nbreak\r\n\ttab",
    "\x00\x01\x07\x0b\x1b\x7f\x85\u2028\ufeff",
    "größe 年 👩🏽‍🔬 \U000e0001",
    "{% raw %} %(name)s ${HOME} #{x} <script>",
    "yes",
    "1:30",
    "null",
    "- a: b # c",
    "---",
    "",
    " ",
    "x" * 20_000,
)


def compiled(project: Any, *more: str, pipeline: str = "flow:flow") -> dict[str, Any]:
    done = project.headrace("compile", "argo", pipeline, "-o", "out", *more)
    assert done.code == 0, done.err
    return trees_in(project.folder / "out")


def trees_in(folder: Path) -> dict[str, Any]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))}


def templates(trees: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item for item in trees["workflow-template"]["spec"]["templates"]}


def tasks(trees: dict[str, Any]) -> dict[str, Any]:
    return {task["name"]: task for task in templates(trees)["main"]["dag"]["tasks"]}


# --- what is written


@pytest.fixture(scope="module")
def trees(one_project: Any) -> dict[str, Any]:
    return compiled(one_project, *BUCKET)


def test_one_task_a_node_a_beginning_and_an_exit_handler(trees: dict[str, Any]) -> None:
    found = {name: (task["template"], task.get("depends")) for name, task in tasks(trees).items()}
    ends = "double-items.Succeeded || double-items.Skipped || double-items.Failed || double-items.Errored"
    assert found == {
        "begin": ("begin", None),
        "numbers": ("step", "begin"),
        "double-slices": ("slices", "numbers"),
        "double-items": ("items", "double-slices"),
        "double": ("collect", f"{ends} || double-slices.Failed || double-slices.Errored"),
        "judge": ("step-2", "double"),
        "keep": ("step-2", "double && judge"),
        "inner-keep": ("step-2", "double"),
    }
    spec = trees["workflow-template"]["spec"]
    assert (spec["entrypoint"], spec["onExit"]) == ("main", "finish")
    assert templates(trees)["main"]["dag"]["failFast"] is False
    assert tasks(trees)["inner-keep"]["arguments"]["parameters"] == [{"name": "node", "value": "inner.keep"}]


def test_a_map_is_a_task_for_each_of_its_slices(trees: dict[str, Any]) -> None:
    items = tasks(trees)["double-items"]
    assert items["withParam"] == "{{tasks.double-slices.outputs.result}}"
    assert items["arguments"]["parameters"][1] == {"name": "items", "value": "{{item}}"}
    assert "{{inputs.parameters.items}}" in templates(trees)["items"]["container"]["args"]


def test_a_pod_asks_for_what_its_step_does(trees: dict[str, Any]) -> None:
    resources = {name: item["container"]["resources"] for name, item in templates(trees).items() if "container" in item}
    assert resources["items"] == {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    assert resources["step"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    assert resources["begin"] == {"requests": {"cpu": "100m", "memory": "256Mi"}}


def test_memory_and_time_limits(project: Any) -> None:
    project.write(
        "heavy.py",
        "from headrace import Resources, pipeline, step\n"
        "@step(timeout_seconds=100, retries=2, backoff_seconds=5, resources=Resources(memory_bytes=(1 << 30) + 1))\n"
        "def heavy() -> int:\n    return 1\n"
        "@pipeline\ndef flow():\n    return heavy()\n",
    )
    step = templates(compiled(project, *BUCKET, "--set", "memory_beside=100", pipeline="heavy.py:flow"))["step"]
    amounts = {"cpu": "1", "memory": "1125Mi"}
    assert step["container"]["resources"] == {"requests": amounts, "limits": amounts}
    one = 3 * 100 + 2 * (5 + 10) + 600
    assert step["activeDeadlineSeconds"] == 3 * one, "behind exec's own limit, also that of a pod tried again"


def test_a_pod_that_is_lost_late_is_tried_again_as_well(trees: dict[str, Any]) -> None:
    strategies = [item["retryStrategy"] for name, item in templates(trees).items() if name != "main"]
    assert {json.dumps(item["backoff"]) for item in strategies} == {'{"duration": "10s", "factor": "2"}'}
    assert {(item["limit"], item["retryPolicy"], item["expression"]) for item in strategies} == {("2", "Always", LOST)}


def test_secrets_are_named_alone_and_only_where_a_step_takes_them(trees: dict[str, Any]) -> None:
    env = {name: item["container"].get("env") for name, item in templates(trees).items() if "container" in item}
    reference = {"secretKeyRef": {"name": "flow-secrets", "key": "TOKEN"}}
    assert {name: item for name, item in env.items() if item} == {"step": [{"name": "TOKEN", "valueFrom": reference}]}


def test_the_schedule_has_the_zone_and_hands_on_the_time_that_was_due(trees: dict[str, Any]) -> None:
    spec = trees["cron-workflow"]["spec"]
    assert (spec["schedules"], spec["timezone"], spec["concurrencyPolicy"]) == (["0 3 * * *"], "Europe/Zurich", "Allow")
    given = [{"name": "day", "value": '"{{workflow.scheduledTime}}"'}]
    assert spec["workflowSpec"] == {"workflowTemplateRef": {"name": "flow"}, "arguments": {"parameters": given}}


def test_parameters_are_a_form_of_json(trees: dict[str, Any]) -> None:
    given = {item["name"]: item for item in trees["workflow-template"]["spec"]["arguments"]["parameters"]}
    assert "value" not in given["day"]
    assert given["name"]["value"] == '"plain"'
    assert given["kind"]["enum"] == ['"one"', '"two"']
    assert given["is_on"]["enum"] == ["true", "false"]
    assert "odd" not in given, "it has no JSON, and keeps its value"


def test_every_feature_is_declared_and_none_as_verified() -> None:
    assert set(CAPABILITIES) == set(Feature)
    is_claimed = {feature for feature, item in CAPABILITIES.items() if item.is_verified and item.kind != Kind.REFUSED}
    assert is_claimed == set(), "Argo's own controller has run none of it here"


@pytest.mark.parametrize(
    ("options", "synchronization", "policy", "files"),
    [
        ("", None, "Allow", 3),
        ("max_active_runs=1, date='day'", {"mutexes": [{"name": "flow"}]}, "Allow", 3),
        ("max_active_runs=1", {"mutexes": [{"name": "flow"}]}, "Forbid", 3),
        (
            "max_active_runs=3, date='day'",
            {"semaphores": [{"configMapKeyRef": {"name": "flow-limits", "key": "runs"}}]},
            "Allow",
            4,
        ),
    ],
)
def test_runs_beside_one_another(project: Any, options: str, synchronization: Any, policy: str, files: int) -> None:
    project.write(
        "timed.py",
        "from datetime import date\nfrom headrace import pipeline, step\n"
        "@step\ndef say(day: date) -> str:\n    return str(day)\n"
        f"@pipeline(schedule='@daily'{options and ', ' + options})\ndef flow(day: date = date(2026, 1, 1)):\n"
        "    return say(day)\n",
    )
    trees = compiled(project, *BUCKET, pipeline="timed.py:flow")
    assert len(trees) == files
    assert trees["workflow-template"]["spec"].get("synchronization") == synchronization
    assert trees["cron-workflow"]["spec"]["concurrencyPolicy"] == policy
    if files == 4:
        assert trees["limits"]["data"] == {"runs": "3"}


def test_settings_are_the_clusters_words(project: Any) -> None:
    words = {
        "name": "nightly",
        "namespace": "ml",
        "service_account": "runner",
        "pull_secret": "registry",
        "secret": "tokens",
        "variables_secret": "bucket",
        "user": "0",
        "lost_retries": "5",
        "parallelism": "4",
        "pod_gc": "OnWorkflowCompletion",
        "keep_days": "1",
    }
    project.write(
        "pyproject.toml",
        '[project]\nname = "flows"\nversion = "1"\n[tool.headrace.backends.argo]\nlabels = {team = "ml"}\n'
        'node_selector = {disk = "ssd"}\nvariables = {PRICE = "$(5) and $$"}\nkeep_days = 30\n',
    )
    trees = compiled(project, *BUCKET, *(f"--set={key}={text}" for key, text in words.items()))
    template = trees["workflow-template"]
    spec, step = template["spec"], templates(trees)["step"]

    assert {tree["metadata"]["namespace"] for tree in trees.values()} == {"ml"}
    assert template["metadata"]["name"] == trees["cron-workflow"]["metadata"]["name"] == "nightly"
    assert (template["metadata"]["labels"], spec["podMetadata"]["labels"]) == ({"team": "ml"}, {"team": "ml"})
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("runner", [{"name": "registry"}])
    assert (spec["parallelism"], spec["podGC"]["strategy"]) == (4, "OnWorkflowCompletion")
    assert (spec["ttlStrategy"]["secondsAfterCompletion"], spec["nodeSelector"]) == (86400, {"disk": "ssd"})
    assert "securityContext" not in spec
    assert step["retryStrategy"]["limit"] == "5"
    env = {item["name"]: item for item in step["container"]["env"]}
    assert expanded(env["PRICE"]["value"], {}) == "$(5) and $$", "as Kubernetes gives it"
    assert env["TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "tokens"
    assert step["container"]["envFrom"] == [{"secretRef": {"name": "bucket"}}]


def test_no_lost_retries_is_no_strategy(project: Any) -> None:
    found = templates(compiled(project, *BUCKET, "--set", "lost_retries=0"))
    assert not any("retryStrategy" in item for item in found.values())


def test_a_folder_as_the_store_is_on_a_volume(project: Any) -> None:
    options = (
        "--image",
        IMAGE,
        "--store",
        "/mnt/ml/headrace",
        "--set",
        "volume_claim=ml",
        "--set",
        "volume_path=/mnt/ml",
    )
    trees = compiled(project, *options)
    volume = {"name": "store", "persistentVolumeClaim": {"claimName": "ml"}}
    assert trees["workflow-template"]["spec"]["volumes"] == [volume]
    for item in templates(trees).values():
        if "container" in item:
            assert item["container"]["volumeMounts"] == [{"name": "store", "mountPath": "/mnt/ml"}]


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ((), "Argo runs each step in a container, and no image is named", "--image NAME@sha256:"),
        (("--image", IMAGE, "--store", "/x"), "The store is the folder '/x', which pods on other", "volume_claim=NAME"),
        (
            ("--image", IMAGE, "--store", "/x", "--set", "volume_claim=c", "--set", "volume_path=/y"),
            "is not on the volume at '/y'",
            "--store /y/headrace",
        ),
        (("--image", IMAGE, "--store", "s3://b/{{x}}"), "The store is 's3://b/{{x}}'", "without '{{'"),
        ((*BUCKET, "--set", "volume=c"), "has no setting 'volume'", "did you mean"),
        ((*BUCKET, "--set", "lost_retries=often"), "'lost_retries' must be int", ""),
        ((*BUCKET, "--set", "namespace=My Team"), "", ""),
        (
            (*BUCKET, "--set", "name=Nightly_1"),
            "metadata.name: 'Nightly_1' is not of small letters",
            "mend the setting",
        ),
        ((*BUCKET, "--set", "pod_gc=Never"), "'Never' is none of OnPodCompletion", "mend the setting"),
    ],
)
def test_what_can_not_be_is_refused(project: Any, options: tuple[str, ...], message: str, hint: str) -> None:
    done = project.headrace("compile", "argo", "flow:flow", "-o", "out", *options)
    assert done.code == 2
    assert message in done.err
    assert hint in done.err
    assert not (project.folder / "out").exists()


def test_what_argo_can_not_do_is_refused_naming_it(project: Any) -> None:
    text = (project.folder / "flow.py").read_text()
    project.write("flow.py", text.replace('date="day")', 'date="day", depends_on_past=True)'))
    done = project.headrace("compile", "argo", "flow:flow", "-o", "out", *BUCKET)
    assert done.code == 2
    assert "pipeline 'flow' uses depends_on_past (a CronWorkflow doesn't look at the run before)" in done.err


# --- names


def test_names_of_tasks_are_argos_and_never_alike() -> None:
    ids = ["a", "a_b", "a-b", "a.b", "_x", "x_", "begin", "map", "map-items", "_", "A", "x" * 200, "_1", "map.items"]
    begin, names = task_names(ids)
    every = [begin, *(name for item in names.values() for name in (item.task, item.slices, item.items))]

    assert len(set(every)) == len(every)
    assert begin == "headrace-begin"
    assert (names["a"].task, names["begin"].task, names["A"].task) == ("a", "begin", "A")
    assert task_names(ids)[1] == names
    assert task_names(["a"])[0] == "begin"
    for name in every:
        assert name[0] in string.ascii_letters
        assert name[-1].isalnum()
        assert set(name) <= set(string.ascii_letters + string.digits + "-")
        assert len(name) <= 128


@given(st.sets(st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True), max_size=8))
def test_any_names_of_nodes(ids: set[str]) -> None:
    begin, names = task_names(sorted(ids))
    every = [begin, *(name for item in names.values() for name in (item.task, item.slices, item.items))]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("pipeline", "name"), [("churn", "churn"), ("my_flow", "my-flow"), ("Flow", "flow"), ("_", "n-d2e2adf7")]
)
def test_names_of_objects(pipeline: str, name: str) -> None:
    assert object_name(pipeline) == name


def test_names_of_parameters_and_secrets() -> None:
    assert parameter_names(["rows", "größe", "年"]) == {"rows": "rows", "größe": "gr__e", "年": "_"}
    assert len(set(parameter_names(["é", "è"]).values())) == 2
    assert secret_keys(["TOKEN", "my token"]) == {"TOKEN": "TOKEN", "my token": "my_token"}


def test_long_names_leave_room_for_what_argo_puts_behind_them() -> None:
    assert len(object_name("x" * 100)) == 40


# --- texts


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_come_back_and_hold_nothing_to_evaluate(text: str) -> None:
    for value in (text, [text], {text: text}, {"a": {"b": {"{{": text}}}):
        found = json_text(value)
        assert json.loads(found) == value
        assert found.isascii()
        assert found.isprintable()
        assert "{{" not in found
        assert "$" not in found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_any_value_comes_through_argo_and_kubernetes_as_it_is(value: object) -> None:
    tree = {"raw": {"data": '{\n  "x": {{workflow.parameters.x}}\n}\n'}}
    cluster = Cluster(Path(), Path(), Path())
    workflow = Workflow(cluster, {"spec": {"templates": []}}, {"x": json_text(value)}, "0" * 36)
    arrived = in_the_pods_variable(workflow._put(tree)["raw"]["data"], {"HOME": "/evaluated"})
    assert json.loads(arrived) == {"x": value}


def test_without_the_escapes_it_would_not_come_through() -> None:
    """The helper that stands for Argo does evaluate: else the test above would show nothing."""
    workflow = Workflow(Cluster(Path(), Path(), Path()), {"spec": {"templates": []}}, {"x": '"{{workflow.uid}}"'}, "7")
    assert workflow._put(["{{workflow.parameters.x}}"]) == ['"7"']
    assert in_the_pods_variable("$(PATH)", {}) == "/evaluated"
    with pytest.raises(ValueError, match="Invalid"):
        json.loads(f'"{in_quotes(chr(7))}"')


@pytest.mark.parametrize("text", [text for text in HOSTILE if "{{" not in text and "\0" not in text])
def test_words_of_commands_come_through_kubernetes_as_they_are(text: str) -> None:
    assert expanded(word(text, "It"), {"PATH": "/evaluated", "POD_NAME": "evaluated"}) == text


@pytest.mark.parametrize("text", ["{{workflow.name}}", "a{{", "a\0b", "\udc80"])
def test_words_that_can_not_be_written_are_refused(text: str) -> None:
    with pytest.raises(BackendError, match=r"^The store is "):
        word(text, "The store")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_only_shown_holds_nothing_to_evaluate(text: str) -> None:
    assert "{{" not in shown(text)
    assert "$(" not in shown(text)


@given(st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=4))
def test_what_is_written_is_read_again(tree: dict[str, Any]) -> None:
    text = written(tree, ["a\nb", "\x07 é"])
    assert yaml.safe_load(text) == tree
    assert text.startswith("# a\\nb\n# \\x07 \\xe9\n")
    assert text.isascii()


@pytest.mark.parametrize(
    "text", ["y", "Yes", "no", "ON", "true", "null", "~", "1:30", "0o14", "1e3", ".5", "2026-01-01"]
)
def test_texts_that_some_reader_takes_for_something_else_are_in_quotes(text: str) -> None:
    assert written({"a": text}).strip() == f'a: "{text}"'


def test_hostile_defaults_of_a_pipeline_reach_begin_as_they_are(project: Any, tmp_path: Path) -> None:
    defaults = {f"p{number}": text for number, text in enumerate(HOSTILE)} | {"größe": "年 {{workflow.uid}}"}
    signature = ", ".join(f"{name}: str = {text!r}" for name, text in defaults.items())
    project.write(
        "hostile.py",
        "from headrace import pipeline, step\n@step\ndef say(text: str) -> str:\n    return text\n"
        f'@pipeline(name="hostile")\ndef flow({signature}):\n    "Say {{{{workflow.name}}}} for $(5)."\n'
        + "".join(f'    say.options(name="{name}" if "{name}".isascii() else "x")({name})\n' for name in defaults),
    )
    trees = compiled(project, *BUCKET, pipeline="hostile.py:flow")
    assert lint(trees.values()) == []
    text = (project.folder / "out/workflow-template.yaml").read_text()
    assert "{{workflow.name}} for" not in text
    workflow = Cluster(project.folder / "out", project.folder, tmp_path).submit({})
    raw = workflow._put(workflow.templates["begin"])["inputs"]["artifacts"][0]["raw"]["data"]
    assert json.loads(in_the_pods_variable(raw, {})) == defaults


def test_the_page_has_every_setting(project_root: Path) -> None:
    page = (project_root / "docs/how-to/argo.md").read_text()
    rows = page.split("| Setting |")[1].split("\n\n")[0].splitlines()[2:]
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])] == [
        item.name for item in fields(Settings)
    ]


# --- the promises of every backend


class TestContract(BackendContract):
    backend = Argo()
    image = IMAGE
    store = "s3://bucket/headrace"

    def executed(self, files: Mapping[str, str]) -> list[str]:
        trees = {Path(name).stem: yaml.safe_load(text) for name, text in files.items()}
        found = tasks(trees).values()
        return [
            task["arguments"]["parameters"][0]["value"]
            for task in found
            if task["template"].startswith(("step", "collect"))
        ]

    def check_hostile(self, deployment: Deployment, files: Mapping[str, str], text: str) -> None:
        template = yaml.safe_load(files["workflow-template.yaml"])
        given = {item["name"]: item["value"] for item in template["spec"]["arguments"]["parameters"]}
        assert json.loads(given["text"]) == text
        step = next(item for item in template["spec"]["templates"] if item["name"] == "step")
        assert expanded(step["container"]["workingDir"], {"hostile": "evaluated"}) == deployment.project
        for item in template["spec"]["templates"]:
            assert "hostile" not in "".join(re.findall(r"\{\{.*?\}\}", json.dumps(item)))


def test_no_promise_was_lost() -> None:
    assert TestContract.cases() == BackendContract.cases()
    assert len(TestContract.cases()) >= 11


# --- golden files, and every pipeline that real engines carry out


CONFORMANCE = """
import ast, json, sys
from headrace.cli.compile import main
names = [
    node.name for node in ast.parse(open("flows.py").read()).body
    if isinstance(node, ast.FunctionDef) and any("pipeline" in ast.unparse(mark) for mark in node.decorator_list)
    and node.name != "part"
]
for name in names:
    needs = ["-p", "place=x"] if name in json.loads(sys.argv[2]) else []
    assert main(["argo", f"flows.py:{name}", "-o", f"{sys.argv[1]}/{name}", *sys.argv[3:], *needs]) == 0
"""
NEED_A_PLACE = ("transient", "permanent", "too_long", "crash", "half_cached", "killed")


def test_every_conformance_pipeline_compiles_is_clean_and_is_as_its_golden_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFORMANCE, str(tmp_path), json.dumps(NEED_A_PLACE), *BUCKET],
        cwd=Path(__file__).parents[1] / "conformance/project",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folders = sorted(tmp_path.iterdir())
    assert len(folders) >= 20
    for folder in folders:
        assert [str(finding) for finding in lint(trees_in(folder).values())] == [], folder.name
    assert all(path.read_text().isascii() for path in tmp_path.rglob("*.yaml"))
    for name in ("nested_map", "conditional", "gated", "secretive", "daily"):
        assert_golden(tmp_path / name, GOLDEN / name)


def test_the_examples_golden_files(project_root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "compile", "argo", "churn.pipeline:churn", "-o", str(tmp_path), *BUCKET],
        cwd=project_root / "examples/churn",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [str(finding) for finding in lint(trees_in(tmp_path).values())] == []
    assert_golden(tmp_path, GOLDEN / "churn")


def assert_golden(folder: Path, golden: Path) -> None:
    """Parsed trees are compared, but for digests of code that another Python or another version gives."""
    if os.environ.get("GOLDEN"):
        golden.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            shutil.copy(path, golden)
    made, kept = trees_in(folder), trees_in(golden)
    for tree in (made, kept):
        tree["workflow-template"]["metadata"]["annotations"].pop("headrace-plan")
    assert made == kept
