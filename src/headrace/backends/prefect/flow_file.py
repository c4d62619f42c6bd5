"""The flow file: imports, what is the same in each, and the pipeline's own tasks, graph and flow."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backends.deployment import Deployment, FormField
from headrace.backends.launcher import IMPORTS, launcher_source
from headrace.backends.naming import unique_names
from headrace.backends.prefect.literals import annotation, comments, free_name
from headrace.backends.prefect.settings import Settings
from headrace.backends.source import STEP, Call, Code, assigned, call, flat, import_sections, imports_in, literal
from headrace.engine.attempts import secrets_in

if TYPE_CHECKING:
    from headrace.core.plan import Node, Plan

MARK = "# --- how a task executes a node ---\n"
LONGEST_NAME = 60
RESERVED_PARAMETERS = frozenset(
    ("return_state", "wait_for", "model_config", "v__args", "v__kwargs", "v__positional_only", "v__duplicate_kwargs")
)
"""Names that Prefect, or pydantic for it, doesn't let a flow's parameters have."""
SECOND = "# --- the pipeline ---\n"
RUN, BEGUN = Code("run"), Code("begun")


def flow_function(deployment: Deployment) -> str:
    """The name of the flow's function in the file."""
    return _names(deployment).flow


@dataclass(frozen=True)
class Names:
    """What things are called in the file."""

    tasks: dict[str, str]
    futures: dict[str, str]
    parameters: dict[str, str]
    flow: str
    graph: str
    carry_out: str
    date_of: str


def flow_file(deployment: Deployment, settings: Settings) -> str:
    """The text of the flow file."""
    names = _names(deployment)
    top = [_heading(deployment), _imports(deployment), _constants(deployment, settings)]
    parts = [
        "\n\n".join(part.strip("\n") for part in top),
        launcher_source(),
        _headrace(deployment),
        MARK + "\n" + _in_flow(),
        SECOND + "\n" + _tasks(deployment.plan, names),
        _graph(deployment.plan, names),
        _flow(deployment, names),
        f'if __name__ == "__main__":\n    {names.flow}()\n',
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _names(deployment: Deployment) -> Names:
    taken = _names_of_all()
    ids = [node.id for node in deployment.plan.nodes]
    plain = unique_names(ids, "[^A-Za-z0-9_]", LONGEST_NAME)
    tasks = {node: free_name(plain[node], taken) for node in ids}
    futures = {node: free_name(f"{name}_done", taken) for node, name in tasks.items()}
    parts = {
        f"{node} {part}": free_name(f"{tasks[node]}_{part}", taken) for node in ids for part in ("slices", "items")
    }
    done = {name: free_name(f"{known}_done", taken) for name, known in parts.items()}
    parameters = _parameter_names(deployment.fields)
    flow = deployment.plan.pipeline
    flow = free_name(flow if flow.isidentifier() and flow not in taken else "flow_of_pipeline", taken)
    taken |= set(parameters.values())
    mine = {name: free_name(name, taken) if name in parameters.values() else name for name in ("carry_out", "date_of")}
    return Names(tasks | parts, futures | done, parameters, flow=flow, graph=free_name("graph", taken), **mine)


def _parameter_names(fields: tuple[FormField, ...]) -> dict[str, str]:
    """What the flow calls its parameters: as the pipeline does, where Prefect lets it."""
    plain = {item.name for item in fields if _is_free(item.name)}
    return {
        item.name: item.name if item.name in plain else free_name(item.name.strip("_") + "_", plain) for item in fields
    }


def _is_free(name: str) -> bool:
    return not name.startswith("_") and name not in RESERVED_PARAMETERS


@cache
def _source() -> str:
    return Path(__file__).with_name("in_flow.py").read_text(encoding="utf-8")


def _in_flow() -> str:
    """What is the same in each flow file, without its imports."""
    return _source().partition(MARK)[2].strip("\n") + "\n"


def _names_of_all() -> set[str]:
    """The names that each flow file has."""
    tree = ast.parse(_source() + launcher_source() + "\n".join(IMPORTS))
    found = {"Literal", "ThreadPoolTaskRunner", "flow", "unmapped", "run", "parameters", "engine_run", "begun"}
    found |= set(dir(builtins))
    for item in ast.walk(tree):
        if isinstance(item, ast.Import | ast.ImportFrom):
            found.update((name.asname or name.name).split(".")[0] for name in item.names)
        elif isinstance(item, ast.FunctionDef | ast.ClassDef):
            found.add(item.name)
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
    return found


def _heading(deployment: Deployment) -> str:
    title = f"Pipeline {deployment.plan.pipeline!r} as a flow of Prefect 3."
    return "\n".join([*comments(deployment), _docstring(title), ""])


def _docstring(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"""', "'''") + '"""'


def _imports(deployment: Deployment) -> str:
    lines = [*imports_in(_source()), *IMPORTS, "from prefect import flow"]
    lines.append("from prefect.task_runners import ThreadPoolTaskRunner")
    if any("Literal[" in annotation(item.schema) for item in deployment.fields):
        lines.append("from typing import Literal")
    if any(node.map for node in deployment.plan.nodes):
        lines.append("from prefect import unmapped")
    return "\n".join(import_sections(lines))


def _constants(deployment: Deployment, settings: Settings) -> str:
    values = {
        "KEY": _key(deployment.plan.pipeline),
        "LOST_RETRIES": settings.lost_retries,
        "TASK_TAGS": list(settings.task_tags),
        "CPUS": settings.cpus,
        "MEMORY_BYTES": settings.memory_bytes,
        "CPUS_LIMIT": settings.cpus_limit,
        "SECRETS": {name: settings.secret_blocks.get(name) for name in deployment.secrets},
        "LINKS": settings.links,
    }
    types = {"CPUS": ": int | None", "MEMORY_BYTES": ": int | None", "CPUS_LIMIT": ": str | None"}
    types |= {"TASK_TAGS": ": list[str]", "SECRETS": ": dict[str, str | None]", "LINKS": ": dict[str, str]"}
    return "\n".join(f"{name}{types.get(name, '')} = {flat(value)}" for name, value in values.items())


def _key(pipeline: str) -> str:
    """What the run's artifacts are found by: Prefect takes small letters, digits and dashes."""
    return unique_names([pipeline], "[^a-z0-9-]", LONGEST_NAME, between="-", lower=True)[pipeline].strip("-") or "run"


def _headrace(deployment: Deployment) -> str:
    arguments = {
        "command": list(deployment.command),
        "project": deployment.project,
        "pipeline": deployment.pipeline,
        "store": deployment.store,
        "shape": deployment.shape,
        "engine": "prefect",
    }
    given = "".join(f"    {name}={flat(value)},\n" for name, value in arguments.items())
    return f"HEADRACE = Headrace(\n{given})"


def _tasks(plan: Plan, names: Names) -> str:
    return "\n".join(line for node in plan.nodes for line in _tasks_of(plan, node, names))


def _tasks_of(plan: Plan, node: Node, names: Names) -> Iterator[str]:
    step = plan.step_of(node)
    secrets = {secret.name for tree in node.arguments.values() for secret in secrets_in(tree)}
    task = call(
        "node_task" if node.map is None else "items_task",
        node.id,
        cpus=step.cpus if step.cpus > 1 else None,
        memory_bytes=step.memory_bytes or None,
        secrets=Code(flat(tuple(sorted(secrets)))) if secrets else None,
    )
    if node.map is None:
        yield assigned(names.tasks[node.id], task)
        return
    yield assigned(names.tasks[f"{node.id} slices"], call("slices_task", node.id))
    yield assigned(names.tasks[f"{node.id} items"], task)
    yield assigned(names.tasks[node.id], call("collecting_task", node.id))


def _graph(plan: Plan, names: Names) -> str:
    lines = [
        f"def {names.graph}(run: str, engine_run: str, parameters: dict[str, Any], date: str | None) -> State:",
        '    """Submit all tasks, each after those that it needs."""',
        "    begun = BEGIN.submit(run, engine_run, parameters, date)",
    ]
    depths = _map_depths(plan)
    for depth in range(max(depths.values(), default=0) + 1):
        nodes = [node for node in plan.nodes if depths[node.id] == depth]
        lines += [_submit(node, names) for node in nodes]
        lines += [line for node in nodes if node.map is not None for line in _map(node, names)]
    ended = [Code(names.futures[node.id]) for node in plan.nodes]
    lines.append(literal(call("finished", RUN, BEGUN, ended), indent=STEP, before="return "))
    return "\n".join(lines)


def _map_depths(plan: Plan) -> dict[str, int]:
    """How many maps lie before each node: the flow waits for the items of one to be known before it goes on."""
    depths: dict[str, int] = {}
    for node in plan.nodes:
        before = [depths[name] + (plan.by_id[name].map is not None) for name in node.upstream()]
        depths[node.id] = max(before, default=0)
    return depths


def _submit(node: Node, names: Names) -> str:
    name = node.id if node.map is None else f"{node.id} slices"
    waits = [Code(names.futures[before]) for before in node.upstream()] or [BEGUN]
    return assigned(names.futures[name], call(f"{names.tasks[name]}.submit", RUN, wait_for=waits), indent=STEP)


def _map(node: Node, names: Names) -> Iterator[str]:
    slices, items = f"{node.id} slices", f"{node.id} items"
    known, parts = Code(names.futures[slices]), names.futures[items]
    made = call(f"{names.tasks[items]}.map", call("unmapped", RUN), call("sliced", known), wait_for=[known])
    yield assigned(parts, made, indent=STEP)
    waits = [known, Code(f"*map(allow_failure, {parts})")]
    yield assigned(names.futures[node.id], call(f"{names.tasks[node.id]}.submit", RUN, wait_for=waits), indent=STEP)


def _flow(deployment: Deployment, names: Names) -> str:
    plan = deployment.plan
    aliases = {"carry_out": names.carry_out, "date_of": names.date_of}
    options = [
        f"name={flat(flow_name(plan.pipeline))}",
        f"description={flat(deployment.description or f'Pipeline {plan.pipeline}')}",
        "task_runner=ThreadPoolTaskRunner()",
        "persist_result=False",
        "on_cancellation=[settle_cancelled]",
        "on_crashed=[settle]",
    ]
    lines = [f"{other} = {name}" for name, other in aliases.items() if other != name]
    lines += ["", "", "@flow("] if lines else ["@flow("]
    lines += [*(f"    {option}," for option in options), ")"]
    fields = sorted(deployment.fields, key=lambda item: item.is_required and item.name != plan.date, reverse=True)
    parameters = tuple(Code(_parameter(item, plan, names)) for item in fields)
    lines.append(literal(Call(f"def {names.flow}", parameters), after=" -> State:"))
    given = [f"{flat(item.name)}: {names.parameters[item.name]}" for item in fields if item.name != plan.date]
    lines.append(_hand_on(given, _date(deployment, names), names))
    return "\n".join(lines)


def flow_name(pipeline: str) -> str:
    """What Prefect calls the flow: some characters it doesn't take."""
    return re.sub("[/%&<>]", "_", pipeline)


def _parameter(item: FormField, plan: Plan, names: Names) -> str:
    name, kind = names.parameters[item.name], annotation(item.schema)
    if item.name == plan.date:
        return f"{name}: {kind.removesuffix(' | None')} | None = None"
    return f"{name}: {kind}" if item.is_required else f"{name}: {kind} = {flat(item.default)}"


def _date(deployment: Deployment, names: Names) -> list[str]:
    """What says the run's date, of a pipeline that has one."""
    plan = deployment.plan
    for item in deployment.fields:
        if item.name == plan.date:
            is_time = "date-time" in str(item.schema)
            zone = flat(plan.timezone or "UTC")
            return [f"{names.date_of}({names.parameters[item.name]}, {zone}, is_time={is_time})"]
    return []


def _hand_on(given: list[str], more: list[str], names: Names) -> str:
    lines = [f"    return {names.carry_out}(", f"        {names.graph},"]
    lines += ["        {", *(f"            {item}," for item in given), "        },"] if given else ["        {},"]
    return "\n".join([*lines, *(f"        {item}," for item in more), "    )"])
