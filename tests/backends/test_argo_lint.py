"""The structural checks of Argo objects: each finds what is broken, and Hera's models let most of it pass."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hera.workflows import models

from headrace.backends.argo.lint import CHECKS, SHAPES, lint
from headrace.backends.argo.lint.document import Document
from headrace.backends.argo.lint.expressions import DEPENDS, EXPRESSION, WHEN
from headrace.backends.argo.lint.values import amount

GOOD = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: churn, labels: {app: churn}, annotations: {headrace/plan: abc}}
spec:
  entrypoint: main
  onExit: finish
  arguments:
    parameters: [{name: rows, value: "5"}]
  podGC: {strategy: OnPodCompletion, deleteDelayDuration: 60s}
  volumes: [{name: store, persistentVolumeClaim: {claimName: churn-store}}]
  templates:
  - name: main
    dag:
      failFast: false
      tasks:
      - {name: begin, template: begin}
      - {name: a, template: step, depends: begin, arguments: {parameters: [{name: node, value: a}]}}
      - {name: b-slices, template: slices, depends: "a.Succeeded || a.Skipped"}
      - name: b-items
        template: step
        depends: b-slices
        withParam: "{{tasks.b-slices.outputs.result}}"
        arguments: {parameters: [{name: node, value: "{{item}}"}]}
      - name: c
        template: step
        depends: "b-items.AnySucceeded && !a.Failed"
        when: "'{{tasks.a.outputs.parameters.outcome}}' == 'succeeded'"
        arguments: {parameters: [{name: node, value: "{{tasks.a.outputs.parameters.outcome}}"}]}
  - name: begin
    inputs:
      artifacts:
      - {name: parameters, path: /headrace/parameters.json, raw: {data: '{"rows": {{workflow.parameters.rows}}}'}}
    container: {image: "me/churn@sha256:00", command: [python, -m, headrace], args: ["{{workflow.uid}}"]}
  - name: slices
    container: {image: "me/churn@sha256:00", command: [python]}
  - name: step
    inputs: {parameters: [{name: node}]}
    outputs: {parameters: [{name: outcome, valueFrom: {path: /tmp/outcome, default: unknown}}]}
    timeout: 90s
    retryStrategy:
      limit: 2
      retryPolicy: Always
      expression: lastRetry.status == "Error" || (asInt(lastRetry.exitCode) >= 128 && lastRetry.exitCode not in ["130"])
    container:
      image: me/churn@sha256:00
      command: [python]
      args: ["{{inputs.parameters.node}}", "{{workflow.creationTimestamp.Y}}-{{=workflow.uid}}"]
      env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: churn, key: TOKEN}}}]
      resources: {requests: {cpu: "1", memory: 2Gi}, limits: {cpu: "2", memory: 2Gi}}
      volumeMounts: [{name: store, mountPath: /store}]
  - name: finish
    container: {image: "me/churn@sha256:00", command: [python], args: ["{{workflow.status}}"]}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: churn-}
spec: {workflowTemplateRef: {name: churn}, arguments: {parameters: [{name: rows, value: "6"}]}}
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: churn}
spec:
  schedules: ["0 3 * * mon"]
  timezone: Europe/Zurich
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  workflowSpec:
    workflowTemplateRef: {name: churn}
    arguments: {parameters: [{name: rows, value: '"{{workflow.scheduledTime}}"'}]}
"""

Path = tuple[str | int, ...]
MAIN: Path = ("spec", "templates", 0, "dag", "tasks")
STEP: Path = ("spec", "templates", 3)
TEMPLATE, WORKFLOW, CRON = 0, 1, 2


def set_to(value: object, document: int, *path: str | int) -> Callable[[list[Any]], None]:
    """Put a value at a place in one of the objects."""

    def change(trees: list[Any]) -> None:
        tree = trees[document]
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return change


def without(document: int, *path: str | int) -> Callable[[list[Any]], None]:
    """Take a key away."""

    def change(trees: list[Any]) -> None:
        tree = trees[document]
        for key in path[:-1]:
            tree = tree[key]
        del tree[path[-1]]

    return change


# check, what is broken, what is found, and whether Hera's own models find it too
CASES: list[tuple[str, Callable[[list[Any]], None], str, bool]] = [
    ("kind_is_known", set_to("Workflows", 0, "kind"), "'Workflows' is none of", True),
    ("kind_is_known", set_to("argoproj.io/v1", 0, "apiVersion"), "is not argoproj.io/v1alpha1", False),
    ("keys_are_known", set_to("main", 0, "spec", "entryPoint"), "did you mean 'entrypoint'?", False),
    ("keys_are_known", set_to(9, 0, "spec", "active_deadline_seconds"), "spec.active_deadline_seconds", False),
    ("keys_are_known", set_to(1, 0, *STEP, "container", "resource"), "did you mean 'resources'?", False),
    ("keys_are_known", set_to("x", 0, *MAIN, 1, "dependson"), "did you mean 'depends'?", False),
    ("keys_are_known", set_to({}, 0, *STEP, "container", "env", 0, "valueFrom", "secretRef"), "secretKeyRef", False),
    ("values_fit", set_to("soon", 0, "spec", "activeDeadlineSeconds"), "activeDeadlineSeconds", True),
    ("values_fit", set_to("9", 0, "spec", "activeDeadlineSeconds"), "activeDeadlineSeconds", False),
    ("values_fit", set_to("no", 0, *MAIN[:-1], "failFast"), "failFast", False),
    ("values_fit", without(0, *MAIN, 0, "name"), "Field required", True),
    ("object_names_fit", set_to("Churn_1", 0, "metadata", "name"), "'Churn_1' is not of small letters", False),
    ("object_names_fit", set_to("c" * 64, 0, "metadata", "name"), "has 64 characters, 63 at most", False),
    ("object_names_fit", set_to("c" * 53, 2, "metadata", "name"), "has 53 characters, 52 at most", False),
    ("object_names_fit", set_to("a.b", 1, "metadata", "namespace"), "'a.b'", False),
    ("object_names_fit", set_to({}, 1, "metadata"), "neither name nor generateName", False),
    ("object_names_fit", set_to("a b", 1, "spec", "workflowTemplateRef", "name"), "'a b'", False),
    ("labels_fit", set_to("x" * 64, 0, "metadata", "labels", "app"), "has 64 characters", False),
    ("labels_fit", set_to("a b", 0, "metadata", "labels", "app"), "'a b'", False),
    ("labels_fit", set_to("v", 0, "metadata", "annotations", "a/b/c"), "'a/b/c'", False),
    ("field_names_fit", set_to("b.slices", 0, *MAIN, 2, "name"), "'b.slices' is not of letters", False),
    ("field_names_fit", set_to("my_step", 0, *STEP, "name"), "'my_step' is not of letters", False),
    ("field_names_fit", set_to("1a", 0, *MAIN, 0, "name"), "begins with a digit", False),
    ("field_names_fit", set_to("a" * 129, 0, *MAIN, 0, "name"), "has 129 characters, 128 at most", False),
    ("parameter_names_fit", set_to("größe", 0, "spec", "arguments", "parameters", 0, "name"), "'größe'", False),
    ("names_are_there_once", set_to("begin", 0, *MAIN, 1, "name"), "'begin' is there 2 times", False),
    ("names_are_there_once", set_to("step", 0, "spec", "templates", 4, "name"), "'step' is there 2 times", False),
    (
        "names_are_there_once",
        set_to([{"name": "A", "value": ""}] * 2, 0, *STEP, "container", "env"),
        "'A' is there 2 times",
        False,
    ),
    ("variables_fit", set_to("1=x", 0, *STEP, "container", "env", 0, "name"), "'1=x'", False),
    (
        "variables_fit",
        set_to("a b", 0, *STEP, "container", "env", 0, "valueFrom", "secretKeyRef", "key"),
        "a key of a Secret",
        False,
    ),
    ("volumes_are_there", set_to("stor", 0, *STEP, "container", "volumeMounts", 0, "name"), "no volume 'stor'", False),
    ("volumes_are_there", set_to("My.Store", 0, "spec", "volumes", 0, "name"), "'My.Store'", False),
    ("templates_are_there", set_to("mian", 0, "spec", "entrypoint"), "did you mean 'main'?", False),
    ("templates_are_there", set_to("finnish", 0, "spec", "onExit"), "did you mean 'finish'?", False),
    ("templates_are_there", set_to("steps", 0, *MAIN, 1, "template"), "no template 'steps'", False),
    ("templates_are_there", without(0, *MAIN, 1, "template"), "it names no template", False),
    ("templates_do_one_thing", set_to({"tasks": []}, 0, *STEP, "dag"), "of container, dag", False),
    ("templates_do_one_thing", set_to([], 0, *MAIN), "there is no task", False),
    ("templates_do_one_thing", without(0, *STEP, "container"), "of none", False),
    ("entrypoint_is_there", without(0, "spec", "entrypoint"), "spec.entrypoint: there is none", False),
    ("entrypoint_is_there", set_to([{"name": "x"}], 1, "spec", "templates"), "workflowTemplateRef too", False),
    ("exit_handler_is_there", without(0, "spec", "onExit"), "there is no exit handler", False),
    ("depends_can_be_read", set_to("beginn", 0, *MAIN, 1, "depends"), "did you mean 'begin'?", False),
    ("depends_can_be_read", set_to("begin and a", 0, *MAIN, 2, "depends"), "'and' is not expected", False),
    ("depends_can_be_read", set_to("(begin", 0, *MAIN, 1, "depends"), "is not complete", False),
    ("depends_can_be_read", set_to("begin &&", 0, *MAIN, 1, "depends"), "is not complete", False),
    ("depends_can_be_read", set_to("begin.Done", 0, *MAIN, 1, "depends"), "no task has this result", False),
    ("depends_can_be_read", set_to("begin.AllFailed", 0, *MAIN, 1, "depends"), "only a task with items", False),
    ("dependencies_are_there", set_to(["bgin"], 0, *MAIN, 1, "dependencies"), "did you mean 'begin'?", False),
    ("dependencies_are_there", set_to(["begin"], 0, *MAIN, 1, "dependencies"), "don't go together", False),
    ("dependencies_are_there", set_to({"failed": True}, 0, *MAIN, 1, "continueOn"), "'continueOn' don't go", False),
    ("tasks_come_in_order", set_to("c", 0, *MAIN, 0, "depends"), "goes round in a circle", False),
    ("tasks_come_in_order", set_to("a", 0, *MAIN, 1, "depends"), "a → a", False),
    ("tasks_come_in_order", set_to("main", 0, *MAIN, 0, "template"), "main → main", False),
    ("targets_are_there", set_to("c d", 0, *MAIN[:-1], "target"), "no task 'd'", False),
    ("arguments_fit", without(0, *MAIN, 1, "arguments"), "'step' needs 'node'", False),
    ("arguments_fit", set_to("nod", 0, *MAIN, 1, "arguments", "parameters", 0, "name"), "takes no 'nod'", False),
    (
        "arguments_fit",
        without(0, "spec", "templates", 1, "inputs", "artifacts", 0, "raw"),
        "'begin' needs 'parameters'",
        False,
    ),
    ("referred_template_fits", set_to("chrn", 1, "spec", "workflowTemplateRef", "name"), "no such Workflow", False),
    ("referred_template_fits", set_to("row", 1, "spec", "arguments", "parameters", 0, "name"), "'rows'?", False),
    ("tags_are_closed", set_to(["{{workflow.uid"], 0, *STEP, "container", "args"), "'{{' without '}}'", False),
    (
        "references_have_values",
        set_to(["{{inputs.parameters.nod}}"], 0, *STEP, "container", "args"),
        "did you mean 'inputs.parameters.node'?",
        False,
    ),
    (
        "references_have_values",
        set_to(["{{workflow.parameters.row}}"], 0, *STEP, "container", "args"),
        "did you mean 'workflow.parameters.rows'?",
        False,
    ),
    ("references_have_values", set_to(["{{item}}"], 0, *STEP, "container", "args"), "{{item}} has no value", False),
    ("references_have_values", set_to(["{{workflow.status}}"], 0, *STEP, "container", "args"), "no value here", False),
    (
        "references_have_values",
        set_to(["{{workflow.creationTimestamp.Q}}"], 0, *STEP, "container", "args"),
        "no value here",
        False,
    ),
    ("references_have_values", set_to("{{item}}", 0, *MAIN, 3, "withParam"), "{{item}} has no value", False),
    ("references_have_values", set_to("{{tasks.c.outputs.result}}", 0, *MAIN, 3, "withParam"), "has no value", False),
    (
        "references_have_values",
        set_to("{{tasks.a.outputs.parameters.outcom}} == x", 0, *MAIN, 4, "when"),
        "did you mean 'tasks.a.outputs.parameters.outcome'?",
        False,
    ),
    (
        "arguments_have_values",
        set_to("{{inputs.parameters.x}}", 0, "spec", "arguments", "parameters", 0, "value"),
        "has no value here",
        False,
    ),
    ("expressions_can_be_read", set_to(["{{=workflow.uid +}}"], 0, *STEP, "container", "args"), "not complete", False),
    ("expressions_can_be_read", set_to(["{{=workflo.uid}}"], 0, *STEP, "container", "args"), "'workflow'?", False),
    ("schedule_can_be_read", set_to(["0 25 * * *"], 2, "spec", "schedules"), "'25' is no hour", False),
    ("schedule_can_be_read", set_to(["every day"], 2, "spec", "schedules"), "it has 2 fields", False),
    ("schedule_can_be_read", set_to([], 2, "spec", "schedules"), "there is none", False),
    (
        "schedule_can_be_read",
        set_to("Europe/Zürich", 2, "spec", "timezone"),
        "There is no time zone 'Europe/Zürich'",
        False,
    ),
    ("schedule_can_be_read", set_to(-1, 2, "spec", "startingDeadlineSeconds"), "it is negative", False),
    ("policies_are_known", set_to("Forbit", 2, "spec", "concurrencyPolicy"), "did you mean 'Forbid'?", False),
    ("policies_are_known", set_to("OnEror", 0, *STEP, "retryStrategy", "retryPolicy"), "'OnError'?", False),
    ("policies_are_known", set_to("OnCompletion", 0, "spec", "podGC", "strategy"), "'OnCompletion' is none", False),
    ("durations_can_be_read", set_to("90", 0, *STEP, "timeout"), "'90' is no duration", False),
    ("durations_can_be_read", set_to("1m", 0, "spec", "templates", 0, "timeout"), "a DAG takes none", False),
    ("durations_can_be_read", set_to("soon", 0, "spec", "podGC", "deleteDelayDuration"), "no duration", False),
    ("durations_can_be_read", set_to({"duration": "1 m"}, 0, *STEP, "retryStrategy", "backoff"), "no duration", False),
    (
        "quantities_can_be_read",
        set_to("2GB", 0, *STEP, "container", "resources", "requests", "memory"),
        "'2GB' is no amount",
        False,
    ),
    (
        "quantities_can_be_read",
        set_to("3", 0, *STEP, "container", "resources", "requests", "cpu"),
        "more is asked for than the limit",
        False,
    ),
    ("retries_can_be_read", set_to("twice", 0, *STEP, "retryStrategy", "limit"), "'twice' is no number", False),
    (
        "retries_can_be_read",
        set_to("lastRetry.exitcode > 1", 0, *STEP, "retryStrategy", "expression"),
        "did you mean 'exitCode'?",
        False,
    ),
    ("retries_can_be_read", set_to("a = b", 0, *STEP, "retryStrategy", "expression"), "'=' is not expected", False),
    ("retries_can_be_read", set_to("asInt(1", 0, *STEP, "retryStrategy", "expression"), "is not complete", False),
    ("conditions_can_be_read", set_to("{{tasks.a.status}} = x", 0, *MAIN, 4, "when"), "'=' is not expected", False),
    ("conditions_can_be_read", set_to("", 0, *MAIN, 4, "when"), "is not complete", False),
    ("containers_have_images", without(0, *STEP, "container", "image"), "image: there is none", False),
    ("containers_have_images", without(0, *STEP, "container", "command"), "command: there is none", False),
    (
        "artifacts_have_paths",
        set_to("parameters.json", 0, "spec", "templates", 1, "inputs", "artifacts", 0, "path"),
        "a path from the root",
        False,
    ),
    (
        "artifacts_have_paths",
        set_to({"artifacts": [{"name": "x", "path": "/tmp/outcome"}]}, 0, *STEP, "inputs"),
        "two files are at one path",
        False,
    ),
]


@pytest.fixture
def trees() -> list[Any]:
    return list(yaml.safe_load_all(GOOD))


def test_what_is_right_passes(trees: list[Any]) -> None:
    assert [str(finding) for finding in lint(trees)] == []


@pytest.mark.parametrize(
    ("check", "change", "found", "hera_finds_it"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_each_check_finds_what_is_broken(
    trees: list[Any], check: str, change: Callable[[list[Any]], None], found: str, hera_finds_it: bool
) -> None:
    change(trees)
    rules = {rule.__name__: rule for rule in (*SHAPES, *CHECKS)}
    told = [f"{place}: {problem}" for tree in trees for place, problem in rules[check](Document(tree, tuple(trees)))]
    assert any(found in line for line in told), told
    assert any(found in str(finding) for finding in lint(trees))
    assert fails_in_hera(trees) == hera_finds_it


def fails_in_hera(trees: list[Any]) -> bool:
    try:
        for tree in trees:
            getattr(models, tree["kind"]).model_validate(tree)
    except (ValueError, AttributeError):
        return True
    return False


def test_every_check_has_a_case() -> None:
    assert {check.__name__ for check in (*SHAPES, *CHECKS)} == {case[0] for case in CASES}


def test_a_required_parameter_that_no_one_gives_is_found(trees: list[Any]) -> None:
    del trees[0]["spec"]["arguments"]["parameters"][0]["value"]
    assert lint(trees) == []  # both who refer to it give it
    trees[1]["spec"].pop("arguments")
    assert [str(finding) for finding in lint(trees)] == [
        "Workflow churn-: spec.arguments.parameters: the template needs 'rows'"
    ]


def test_a_finding_says_which_object_where_and_what(trees: list[Any]) -> None:
    trees[0]["spec"]["templates"][0]["dag"]["tasks"][1]["depends"] = "beginn"
    assert [str(finding) for finding in lint(trees)] == [
        "WorkflowTemplate churn: spec.templates[0].dag.tasks[1].depends: "
        "there is no task 'beginn'; did you mean 'begin'?"
    ]


@pytest.mark.parametrize(
    "tree", [{}, {"kind": "Workflow"}, {"kind": "Workflow", "spec": []}, {"spec": {"templates": 3}}]
)
def test_any_tree_is_checked_without_an_accident(tree: Any) -> None:
    assert lint([tree])


def test_odd_pieces_are_checked_without_an_accident(trees: list[Any]) -> None:
    odd = itertools.cycle([None, 7, "x", [], {}, [None], {"name": 3}])
    waiting: list[tuple[Any, ...]] = [(key,) for key in trees[0]["spec"]]
    found: list[bool] = []
    while waiting:
        path = waiting.pop()
        changed = copy.deepcopy(trees)
        holder: Any = changed[0]["spec"]
        for key in path[:-1]:
            holder = holder[key]
        inner = holder[path[-1]]
        keys = range(len(inner)) if isinstance(inner, list) else inner if isinstance(inner, dict) else ()
        waiting.extend((*path, key) for key in keys)
        holder[path[-1]] = next(odd)
        found.append(bool(lint(changed)))
    assert sum(found) > 0.9 * len(found), "nearly every odd piece is found; a few mean something"


@pytest.mark.parametrize("text", ["a", "a && b", "!a.Failed", "(a || b.Succeeded) && !(c-1 || d)", "(((a)))"])
def test_dependencies_that_can_be_read(text: str) -> None:
    assert DEPENDS.problem(text) is None


@pytest.mark.parametrize("text", ["", "a b", "a &&", "&& a", "(a", "a)", "()", "a & b", "a,b", "a[0]", "f(a)"])
def test_dependencies_that_can_not(text: str) -> None:
    assert DEPENDS.problem(text) is not None


@pytest.mark.parametrize("text", ["x == y", "'a b' != 'c'", "x > 3 && (y =~ '^a$' || !z)", "x in ('a', 'b')", "true"])
def test_conditions_that_can_be_read(text: str) -> None:
    assert WHEN.problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "asInt(lastRetry.exitCode) >= 2",
        "lastRetry.status == 'Error' or not (asFloat(lastRetry.duration) < 10)",
        "inputs.parameters['my-param'] ?? 'x'",
        "sprig.trunc(8, sprig.sha256sum(workflow.uid))",
        "filter([1, 2], true)",
        "lastRetry.exitCode in ['1', '2'] ? true : false",
        "sprig.now()",
    ],
)
def test_expressions_that_can_be_read(text: str) -> None:
    assert EXPRESSION.problem(text) is None


@pytest.mark.parametrize("text", ["a == ", "f(", "f(,)", "[1, 2", "a b", "'open", "a[]", "(]", "f(a,)"])
def test_expressions_that_can_not(text: str) -> None:
    assert EXPRESSION.problem(text) is not None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("500m", 0.5), ("2Gi", 2 << 30), ("1.5k", 1500), ("1e3", 1000), (4, 4), (".5", 0.5), ("2E", 2e18)],
)
def test_amounts(text: str | int, number: float) -> None:
    assert float(amount(text) or 0) == number


@pytest.mark.parametrize("text", ["", "2GB", "two", "1 Gi", "-", "1.2.3", None, [], "1i"])
def test_what_is_no_amount(text: object) -> None:
    assert amount(text) is None
