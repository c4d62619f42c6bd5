"""The text of a DAG file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from headrace.backends import launcher
from headrace.backends.airflow.settings import AirflowSettings, start_of
from headrace.backends.airflow.tasks import Graph, TaskLine, assets_of, graph_of
from headrace.backends.deployment import Deployment, FormField
from headrace.backends.source import STEP, Call, Code, assigned, import_sections, imports_in, literal, quoted

IN_DAG = Path(__file__).with_name("in_dag.py").read_text(encoding="utf-8")
IN_PODS = Path(__file__).with_name("in_pods.py").read_text(encoding="utf-8")
SETTINGS = (
    "HEADRACE",
    "POD",
    "VOLUME_CLAIM",
    "SECRET_NAME",
    "LINKS",
    "SECRETS",
    "DATE",
    "IS_TIME",
    "TIMEZONE",
    "MAKES_REPORT",
)


def dag_file(deployment: Deployment, settings: AirflowSettings) -> str:
    """A DAG file: what calls ``headrace exec``, the operators, and the DAG."""
    operators = dict(_parts_of(IN_DAG))
    pods = _parts_of(IN_PODS) if deployment.image is not None else {}
    if pods:
        operators["Task"] = operators["Task"].replace("class Task(BaseOperator)", "class Task(Pod)")
    body = [
        launcher.launcher_source(),
        operators.pop("Link"),
        *pods.values(),
        "\n".join(_constants(deployment, settings)),
        *operators.values(),
    ]
    above = "\n\n".join(part.strip("\n") + "\n" for part in body)
    graph = graph_of(deployment, settings, _names_in(above))
    below = "\n".join(_dag(deployment, settings, graph)) + "\n"
    head = "\n".join([_heading(deployment), "", "from __future__ import annotations", "", *_imports(above + below)])
    return f"{head}\n\n\n{above}\n\n{below}"


def _heading(deployment: Deployment) -> str:
    first, second = deployment.heading()
    return "\n".join(f"# {line}" for line in (first, second))


@cache
def _parts_of(source: str) -> Mapping[str, str]:
    """The classes and functions of a module, by their names, in their order."""
    return {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }


def _names_in(source: str) -> frozenset[str]:
    """All names that a source uses or makes at its top, and those that the DAG below it may use."""
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    made = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return frozenset(used | made | _imported() | {"dag", *SETTINGS})


def _imported() -> frozenset[str]:
    return frozenset(
        name.asname or name.name for line in _all_imports() for node in ast.parse(line).body for name in _names(node)
    )


def _names(node: ast.stmt) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


@cache
def _all_imports() -> tuple[str, ...]:
    return (
        *launcher.IMPORTS,
        *imports_in(IN_DAG),
        *imports_in(IN_PODS),
        "from datetime import timedelta",
        "from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, CronTriggerTimetable",
        "from airflow.sdk import Param, TaskGroup, TriggerRule",
    )


def _imports(body: str) -> list[str]:
    """The imports that the file needs."""
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    needed = []
    for line in _all_imports():
        (node,) = ast.parse(line).body
        kept = [alias for alias in _names(node) if (alias.asname or alias.name) in used]
        if kept and isinstance(node, ast.Import):
            needed.append(ast.unparse(ast.Import(kept)))
        elif kept and isinstance(node, ast.ImportFrom):
            needed.append(ast.unparse(ast.ImportFrom(node.module, kept, 0)))
    return import_sections(needed)


def _constants(deployment: Deployment, settings: AirflowSettings) -> Iterator[str]:
    """What is true of this pipeline alone, and what the operators ask for."""
    plan = deployment.plan
    words = {
        "command": list(deployment.command),
        "project": deployment.project,
        "pipeline": deployment.pipeline,
        "store": deployment.store,
        "shape": deployment.shape,
        "engine": "airflow",
    }
    yield assigned("HEADRACE", Call("InPods" if deployment.image else "Headrace", (), words))
    if deployment.image:
        account = {"service_account_name": settings.service_account} if settings.service_account else {}
        yield assigned("POD", {"image": deployment.image, "namespace": settings.namespace, **account})
        yield assigned("VOLUME_CLAIM", settings.volume_claim)
        yield assigned("SECRET_NAME", settings.secret_name)
    yield assigned("LINKS", tuple(Call("Link", item) for item in settings.links.items()))
    yield assigned("SECRETS", dict(settings.secrets))
    yield assigned("DATE", plan.date or "")
    yield assigned("IS_TIME", plan.date is not None and "datetime" in _type_of(deployment, plan.date))
    yield assigned("TIMEZONE", plan.timezone or "UTC")
    yield assigned("MAKES_REPORT", settings.report)


def _type_of(deployment: Deployment, parameter: str) -> str:
    return (
        next((spec.type for spec in deployment.plan.parameters if spec.name == parameter), "")
        .replace("datetime.date", "date")
        .replace("datetime.time", "time")
    )


def _dag(deployment: Deployment, settings: AirflowSettings, graph: Graph) -> Iterator[str]:
    assets = assets_of(deployment, settings)
    for variable, asset in assets.items():
        yield assigned(variable, Call("Asset", (asset.name,), {"extra": {"output": asset.output}}))
    if assets:
        yield ""
    words = dict(_dag_words(deployment, settings))
    call = Call("DAG", (settings.dag_id or deployment.plan.pipeline,), words)
    yield literal(call, before="with ", after=" as dag:")
    yield from _task_lines(graph)
    yield ""
    for before, after in graph.edges:
        yield f"{STEP}{_side(before)} >> {_side(after)}"
    begin, finish = graph.tasks[0].variable, graph.tasks[-1].variable
    yield ""
    yield f"{STEP}# The run's end is settled whatever became of it, also when it is marked as failed."
    yield f"{STEP}{begin}.as_setup()"
    yield f"{STEP}{finish}.as_teardown(setups={begin}, on_failure_fail_dagrun=True)"


def _side(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else literal([Code(name) for name in names], indent=STEP, width=80).lstrip()


def _dag_words(deployment: Deployment, settings: AirflowSettings) -> Iterator[tuple[str, Any]]:
    plan = deployment.plan
    if deployment.description:
        yield "description", deployment.description
    yield "schedule", _schedule(deployment, settings)
    if settings.start_date:
        start = start_of(deployment, settings).isoformat()
        yield "start_date", Code(f"datetime.fromisoformat({quoted(start)})")
    yield "catchup", settings.catchup
    # Runs that wait for the one before are under way to Airflow: none may take the place that it needs to go on.
    if plan.max_active_runs is not None and not plan.depends_on_past:
        yield "max_active_runs", plan.max_active_runs
    if settings.max_active_tasks:
        yield "max_active_tasks", settings.max_active_tasks
    if settings.is_paused is not None:
        yield "is_paused_upon_creation", settings.is_paused
    yield "tags", ["headrace", *settings.tags]
    yield "default_args", dict(_default_args(settings))
    if deployment.fields:
        yield "params", {item.name: _param(item, is_date=item.name == plan.date) for item in deployment.fields}
    yield "doc_md", _doc(deployment)


def _schedule(deployment: Deployment, settings: AirflowSettings) -> Any:
    plan = deployment.plan
    if settings.triggered_by:
        return [Call("Asset", (name,)) for name in settings.triggered_by]
    if plan.schedule is None:
        return None
    kind = "CronTriggerTimetable" if settings.timetable == "trigger" else "CronDataIntervalTimetable"
    return Call(kind, (plan.schedule,), {"timezone": plan.timezone or "UTC"})


def _default_args(settings: AirflowSettings) -> Iterator[tuple[str, Any]]:
    yield "trigger_rule", Code("TriggerRule.NONE_FAILED")
    yield "retries", settings.lost_retries
    yield "retry_delay", Call("timedelta", (), {"seconds": settings.lost_retry_seconds})
    for name, value in (("pool", settings.pool), ("queue", settings.queue), ("owner", settings.owner)):
        if value:
            yield name, value


def _param(item: FormField, *, is_date: bool) -> Call:
    """A field of the form that Airflow shows before a run."""
    words = dict(item.schema)
    default = item.default
    if is_date:
        default, words = None, _or_null(words)
        words["description"] = "The date that the run is for; left empty, that of its logical date."
    else:
        words["description"] = item.type
    if isinstance(default, str) and "\n" in default and words.get("type") == "string":
        words.setdefault("format", "multiline")
    return Call("Param", (default,), words)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type", [])
    found = kinds if isinstance(kinds, list) else [kinds]
    return {**schema, "type": list(dict.fromkeys(["null", *found]))} if found else schema


def _doc(deployment: Deployment) -> str:
    """The page that Airflow shows for the DAG. It must not end in ``.md``: Airflow would take it for a file's name."""
    first, second = deployment.heading()
    shown = f"headrace show --store {deployment.store}"
    return "\n".join([deployment.description, "", first, "", second, "", f"In the project: `{shown}`", ""])


def _task_lines(graph: Graph) -> Iterator[str]:
    """The tasks, each group's together, in the order in which they come first."""
    open_groups: tuple[str, ...] = ()
    for task in _grouped(graph.tasks):
        n_same = 0
        for one, other in zip(open_groups, task.groups, strict=False):
            if one != other:
                break
            n_same += 1
        for depth, name in enumerate(task.groups[n_same:], n_same):
            yield f"{STEP * (depth + 1)}with {literal(Call('TaskGroup', (name,)))}:"
        open_groups = task.groups
        yield _task_line(task, STEP * (len(task.groups) + 1))


def _grouped(tasks: tuple[TaskLine, ...]) -> list[TaskLine]:
    """The tasks in an order in which each group is opened once."""
    rank: dict[tuple[str, ...], int] = {}
    for place, task in enumerate(tasks):
        for n in range(1, len(task.groups) + 1):
            rank.setdefault(task.groups[:n], place)

    def key(item: tuple[int, TaskLine]) -> list[int]:
        place, task = item
        return [*(rank[task.groups[:n]] for n in range(1, len(task.groups) + 1)), place]

    return [task for _, task in sorted(enumerate(tasks), key=key)]


def _task_line(task: TaskLine, indent: str) -> str:
    line = assigned(task.variable, task.call, indent=indent)
    if not task.expand:
        return line
    words = ", ".join(f"{name}={code.text}" for name, code in task.expand.items())
    return f"{line}.expand({words})"
