"""The tasks of a DAG: which there are for a plan, in which groups, and what comes after what."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.backends.airflow.settings import AirflowSettings
from headrace.backends.deployment import BackendError, Deployment
from headrace.backends.naming import unique_names
from headrace.backends.source import Call, Code
from headrace.engine.attempts import secrets_in

if TYPE_CHECKING:
    from headrace.core.plan import Node

LONGEST = 200
"""Airflow takes 250 characters; a mapped node's tasks need some of their own."""
PARTS = ("slices", "items", "collect")
"""A mapped node's tasks, which stand in a group of its name."""
BEGIN, FINISH = "<begin>", "<finish>"
"""What our own tasks are called among nodes, none of which has such an id."""
ALL_SUCCESS = Code("TriggerRule.ALL_SUCCESS")
ALL_DONE = Code("TriggerRule.ALL_DONE")


@dataclass(frozen=True)
class TaskLine:
    """A task as the file makes it: the variable, the groups around it from the outermost, and the call."""

    variable: str
    groups: tuple[str, ...]
    call: Call
    expand: Mapping[str, Code] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """The tasks in their order, and which variables stand before which."""

    tasks: tuple[TaskLine, ...]
    edges: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def graph_of(deployment: Deployment, settings: AirflowSettings, taken: frozenset[str]) -> Graph:
    """One task for each node, for a mapped one three, and one each that begins and finishes the run.

    ``taken``: names that the file has for other things than tasks.
    """
    return _Builder(deployment, settings, taken).graph()


class _Builder:
    def __init__(self, deployment: Deployment, settings: AirflowSettings, taken: frozenset[str]) -> None:
        self.plan = deployment.plan
        self.deployment = deployment
        self.settings = settings
        self.places = _places(self.plan.nodes)
        mapped = {node.id for node in self.plan.nodes if node.map}
        tasks = [
            ".".join([*place, *part])
            for node, place in self.places.items()
            for part in ([(part,) for part in PARTS] if node in mapped else [()])
        ]
        names = unique_names(tasks, "[^A-Za-z0-9_]", LONGEST)
        self.assets = assets_of(deployment, settings)
        avoided = {*taken, *self.assets, *names.values()}
        self.variables = {task: _variable(name, taken | self.assets.keys(), avoided) for task, name in names.items()}

    def graph(self) -> Graph:
        # Where the run before has failed, its `finish` has: then this one doesn't begin.
        tasks = [self._own(BEGIN, "Begin", {"wait_for_downstream": True} if self.plan.depends_on_past else {})]
        for node in self.plan.nodes:
            tasks.extend(self._mapped(node) if node.map else [self._task(node, "Step", self._outlets_of(node))])
        return Graph((*tasks, self._own(FINISH, "Finish", {})), tuple(self._edges()))

    def _own(self, own: str, kind: str, words: Mapping[str, Any]) -> TaskLine:
        (name,) = self.places[own]
        return TaskLine(self.variables[name], (), Call(kind, (), {"task_id": name, **words}))

    def _task(self, node: Node, kind: str, more: Mapping[str, Any], part: str = "") -> TaskLine:
        place = (*self.places[node.id], part) if part else self.places[node.id]
        words: dict[str, Any] = {"task_id": place[-1], "node": node.id, **self._words_of(node), **more}
        if kind == "Slices":
            words.pop("secret_names", None)
        if not node.upstream() and part in ("", "slices"):
            words["trigger_rule"] = ALL_SUCCESS
        return TaskLine(self.variables[".".join(place)], place[:-1], Call(kind, (), words))

    def _mapped(self, node: Node) -> Iterator[TaskLine]:
        assert node.map is not None
        most = self.settings.max_map_length
        if node.map.max_tasks > most:
            raise BackendError(
                f"Step {node.id!r} maps into up to {node.map.max_tasks} tasks, and Airflow takes {most}",
                hint=f"give it max_tasks={most}, or set max_map_length to what Airflow's [core] max_map_length says",
            )
        slices = self._task(node, "Slices", {}, "slices")
        items = self._task(node, "Items", {}, "items")
        yield slices
        call = Call("Items.partial", (), items.call.words)
        yield TaskLine(items.variable, items.groups, call, {"items": Code(f"{slices.variable}.output")})
        yield self._task(node, "Collect", {**self._outlets_of(node), "trigger_rule": ALL_DONE}, "collect")

    def _words_of(self, node: Node) -> dict[str, Any]:
        """What a task is given for the sake of its step."""
        spec = self.plan.step_of(node)
        secrets = tuple(sorted({secret.name for tree in node.arguments.values() for secret in secrets_in(tree)}))
        pool = self.settings.pools.get(node.id, self.settings.pools.get(spec.name, ""))
        slots = spec.cpus if self.settings.slots_are_cpus else 1
        words = {"secret_names": secrets, "pool": pool, "pool_slots": slots if slots > 1 else None}
        if self.deployment.image is not None:
            words |= {"cpus": spec.cpus if spec.cpus > 1 else None, "memory_bytes": spec.memory_bytes}
        return {name: value for name, value in words.items() if value}

    def _outlets_of(self, node: Node) -> dict[str, Any]:
        found = [Code(variable) for variable, asset in self.assets.items() if asset.node == node.id]
        return {"outlets": found} if found else {}

    def _variable_of(self, node_id: str, part: str) -> str:
        is_mapped = node_id in self.plan.by_id and self.plan.by_id[node_id].map is not None
        return self.variables[".".join([*self.places[node_id], *([part] if is_mapped else [])])]

    def _edges(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        nodes = self.plan.nodes
        taken = {name for node in nodes for name in node.upstream()}
        begin, finish = self._variable_of(BEGIN, ""), self._variable_of(FINISH, "")
        yield (
            (begin,),
            tuple(self._variable_of(node.id, "slices") for node in nodes if not node.upstream()) or (finish,),
        )
        for node in nodes:
            before = tuple(self._variable_of(name, "collect") for name in node.upstream())
            if before:
                yield before, (self._variable_of(node.id, "slices"),)
            if node.map:
                yield (self._variable_of(node.id, "items"),), (self._variable_of(node.id, "collect"),)
        leaves = tuple(self._variable_of(node.id, "collect") for node in nodes if node.id not in taken)
        if leaves:
            yield leaves, (finish,)


@dataclass(frozen=True)
class AssetOf:
    """An asset that a task updates: its name, the node that makes the artifact, and which output of that it is."""

    name: str
    node: str
    output: str


def assets_of(deployment: Deployment, settings: AirflowSettings) -> dict[str, AssetOf]:
    """Assets by the variable that holds each."""
    plan = deployment.plan
    if settings.outlets == "none":
        return {}
    found = [(name, ref.node, ref.output) for name, ref in plan.outputs.items()]
    if settings.outlets == "all":
        found = [
            (node.id if output.name == "output" else f"{node.id}.{output.name}", node.id, output.name)
            for node in plan.nodes
            for output in plan.step_of(node).outputs
        ]
    names = unique_names([name for name, _, _ in found], "[^A-Za-z0-9_]", LONGEST)
    around = settings.dag_id or plan.pipeline
    return {f"ASSET_{names[name]}": AssetOf(f"{around}.{name}", node, output) for name, node, output in found}


def _places(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """Where each node's task stands: the groups around it, and its own name.

    Airflow lets no task have the name of a group beside it: such a task gets ``_`` at its end, and so do our own.
    """
    ids = {node.id: tuple(node.id.split(".")) for node in nodes}
    groups = {place[:n] for place in ids.values() for n in range(1, len(place))}
    taken = groups | set(ids.values())
    places = {name: _free(place, taken) if place in groups else place for name, place in ids.items()}
    return places | {own: _free((own.strip("<>"),), taken) for own in (BEGIN, FINISH)}


def _free(place: tuple[str, ...], taken: set[tuple[str, ...]]) -> tuple[str, ...]:
    while place in taken:
        place = (*place[:-1], f"{place[-1]}_")
    taken.add(place)
    return place


def _variable(name: str, taken: Collection[str], avoided: Collection[str]) -> str:
    """A name of Python's for a task, that is none of those which the file, or Python, has already."""
    if name not in taken and not keyword.iskeyword(name) and not hasattr(builtins, name):
        return name
    while name in avoided or keyword.iskeyword(name) or hasattr(builtins, name):
        name += "_"
    return name
