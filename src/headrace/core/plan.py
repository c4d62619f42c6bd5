"""The plan: a pipeline as frozen, plain data. Every decision is in it, and nothing downstream decides anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from headrace.core.errors import DefinitionError, near_miss
from headrace.core.forms import TAG
from headrace.core.values import Json, canonical

PLAN_VERSION = 1
TIMING = ("timezone", "date", "depends_on_past", "max_active_runs")
"""Fields that a plan's JSON has only where they say something."""
MOST_NAMES_SHOWN = 12
"""Nodes of a circle that an error names."""


@dataclass(frozen=True, slots=True)
class Ref:
    """An output of a node."""

    node: str
    output: str

    def to_json(self) -> Json:
        """The tree that stands for it in a node's arguments."""
        return {TAG: "ref", "node": self.node, "output": self.output}

    def __str__(self) -> str:
        return self.node if self.output == "output" else f"{self.node}.{self.output}"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a step: its name, its declared type as text, the format that stores it, and who chose that."""

    name: str
    type: str
    format: str
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step as a plan knows it. ``target`` is its import path, or None where only tracing again finds it."""

    id: str
    name: str
    target: str | None
    module: str
    file: str
    line: int
    outputs: tuple[OutputSpec, ...]
    returns: str  # "nothing", "value", "tuple" or "fields": how the outputs come back from the function
    retries: int
    retry_on: tuple[str, ...]
    backoff_seconds: float
    timeout_seconds: float | None
    cache: bool
    expires_after_seconds: float | None
    cpus: int
    memory_bytes: int | None
    effect: str | None
    gate: str | None  # the output that rejects the run when it is False
    takes_table: bool

    @property
    def where(self) -> str:
        """File and line, as errors show them."""
        return f"{self.file}:{self.line}"


MAX_TASKS = 100
"""How many tasks the items of a map become at most, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class MapSpec:
    """How a call is made for each item of a list, which may be known only when the run is under way.

    Attributes
    ----------
    over
        The parameters that get an item each; their arguments are lists of one length. The others get the same value.
    max_tasks
        The items are carried out in so many tasks at most: `slices` says which items are a task's.
    on_failure
        ``"stop"``: when an item fails, no further ones start, and the node fails. ``"continue"``: failing items are
        left out of the node's lists.
    """

    over: tuple[str, ...]
    max_tasks: int = MAX_TASKS
    on_failure: str = "stop"

    def slices(self, n_items: int) -> list[tuple[int, int]]:
        """The tasks for so many items: the first index of each, and the one after its last."""
        size = max(1, -(-n_items // self.max_tasks))
        return [(first, min(first + size, n_items)) for first in range(0, n_items, size)]


@dataclass(frozen=True, slots=True)
class Node:
    """One call of a step: its arguments as trees of the value codec, in which a `Ref` stands for an output.

    With ``map`` it is one call for each item of a list, and each of its outputs is a list.
    """

    id: str
    step: str
    arguments: Mapping[str, Json]
    when: Ref | None = None
    after: tuple[str, ...] = ()
    map: MapSpec | None = None

    def refs(self) -> Iterator[Ref]:
        """The outputs that the arguments take, in order; an output taken twice comes twice."""
        for tree in self.arguments.values():
            yield from refs_in(tree)

    def upstream(self) -> tuple[str, ...]:
        """The nodes that must have ended before this one starts, each once, in order."""
        names = [ref.node for ref in self.refs()]
        if self.when is not None:
            names.append(self.when.node)
        return tuple(dict.fromkeys([*names, *self.after]))


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A pipeline parameter: its declared type as text, its value in this plan, and its default where it has one."""

    name: str
    type: str
    value: Json
    has_default: bool
    default: Json = None


@dataclass(frozen=True)
class Plan:
    """A traced pipeline. Nodes stand in an order in which they can be executed.

    ``date`` is the parameter that is the date of this run, None for a run without one. For it, and for ``timezone``,
    ``depends_on_past`` and ``max_active_runs``, see `headrace.pipeline`.
    """

    pipeline: str
    target: str | None
    parameters: tuple[ParameterSpec, ...]
    steps: tuple[StepSpec, ...]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Ref] = field(default_factory=dict)
    schedule: str | None = None
    timezone: str | None = None
    date: str | None = None
    depends_on_past: bool = False
    max_active_runs: int | None = None

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """Nodes by their id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def steps_by_id(self) -> Mapping[str, StepSpec]:
        """Steps by their id."""
        return {spec.id: spec for spec in self.steps}

    def step_of(self, node: Node) -> StepSpec:
        """The step that a node calls."""
        return self.steps_by_id[node.step]

    def node(self, node_id: str) -> Node:
        """The node of that id. Raises `DefinitionError`, with the nearest name, when there is none."""
        try:
            return self.by_id[node_id]
        except KeyError:
            raise DefinitionError(
                f"Pipeline {self.pipeline!r} has no node {node_id!r}", hint=near_miss(node_id, self.by_id)
            ) from None

    @cached_property
    def digest(self) -> str:
        """The sha256 of the plan's canonical JSON."""
        return _digest(self._body())

    @cached_property
    def shape(self) -> str:
        """The sha256 of the graph alone: which nodes there are, of which outputs, and what each takes and waits for.

        Two runs with other values of the same pipeline have one shape, unless the graph depends on the values.
        """
        outputs = {spec.id: [output.name for output in spec.outputs] for spec in self.steps}
        return _digest(
            {
                node.id: [
                    [str(name) for name in node.upstream()],
                    str(node.when) if node.when else None,
                    list(node.map.over) if node.map else None,
                    outputs[node.step],
                ]
                for node in self.nodes
            }
        )

    def to_json(self) -> str:
        """The canonical text: one plan, one text."""
        return canonical({"headrace_plan": PLAN_VERSION, "digest": self.digest, **self._body()})

    def _body(self) -> dict[str, Json]:
        return {
            "pipeline": self.pipeline,
            "target": self.target,
            "schedule": self.schedule,
            "parameters": [_fields_of(parameter) for parameter in self.parameters],
            "steps": [
                {**_fields_of(spec), "outputs": [_fields_of(output) for output in spec.outputs]} for spec in self.steps
            ],
            "nodes": [_node_tree(node) for node in self.nodes],
            "outputs": {name: [ref.node, ref.output] for name, ref in self.outputs.items()},
            **{name: value for name in TIMING if (value := getattr(self, name))},
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read a plan.

        Raises `DefinitionError` when the text is not a plan, is of another version, or does not carry its own digest
        (it was edited by hand or cut short). White space does not count, the order of keys does.
        """
        try:
            data = json.loads(text)
            version = data["headrace_plan"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DefinitionError(
                "This is not a plan", hint="a plan is what headrace.trace(pipeline).to_json() gives"
            ) from None
        if type(version) is not int or version != PLAN_VERSION:
            raise DefinitionError(
                f"The plan is of version {version!r:.40}, and this Headrace reads version {PLAN_VERSION}",
                hint="trace the pipeline again with the Headrace that is to run it",
            )
        body = {key: item for key, item in data.items() if key not in ("headrace_plan", "digest")}
        try:
            plan = _plan_of(body)
            digests = {_digest(body), plan.digest}
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise _edited(f"cannot be read: {type(error).__name__}: {error}") from None
        if digests != {data.get("digest")}:
            raise _edited("does not match its digest")
        check_graph(plan.pipeline, plan.nodes)
        return plan


def _digest(body: Json) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _edited(problem: str) -> DefinitionError:
    return DefinitionError(
        f"The plan {problem}: it was edited by hand or cut short",
        hint="change the pipeline and trace it again, since a plan is made and not written",
    )


def _fields_of(item: Any) -> dict[str, Json]:
    """A record's fields as they are: unlike ``asdict``, this copies no tree."""
    return {entry.name: getattr(item, entry.name) for entry in fields(item)}


def _node_tree(node: Node) -> Json:
    tree: dict[str, Json] = {"id": node.id, "step": node.step, "arguments": dict(node.arguments)}
    if node.when is not None:
        tree["when"] = [node.when.node, node.when.output]
    if node.after:
        tree["after"] = list(node.after)
    if node.map is not None:
        tree["map"] = {**_fields_of(node.map), "over": list(node.map.over)}
    return tree


def _plan_of(data: Mapping[str, Any]) -> Plan:
    return Plan(
        pipeline=data["pipeline"],
        target=data["target"],
        schedule=data["schedule"],
        parameters=tuple(ParameterSpec(**item) for item in data["parameters"]),
        steps=tuple(_step_of(item) for item in data["steps"]),
        nodes=tuple(
            Node(
                id=item["id"],
                step=item["step"],
                arguments=item["arguments"],
                when=Ref(*item["when"]) if "when" in item else None,
                after=tuple(item.get("after", ())),
                map=MapSpec(**{**item["map"], "over": tuple(item["map"]["over"])}) if "map" in item else None,
            )
            for item in data["nodes"]
        ),
        outputs={name: Ref(*ref) for name, ref in data["outputs"].items()},
        **{name: data[name] for name in TIMING if name in data},
    )


def _step_of(item: Mapping[str, Any]) -> StepSpec:
    outputs = tuple(OutputSpec(**output) for output in item["outputs"])
    return StepSpec(**{**item, "outputs": outputs, "retry_on": tuple(item["retry_on"])})


def refs_in(tree: Json) -> Iterator[Ref]:
    """The references in a tree, in the order in which they stand."""
    if not isinstance(tree, list | dict):
        return
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "ref":
                yield Ref(item["node"], item["output"])
            else:
                waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def check_graph(pipeline: str, nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes in an order in which they can be executed: of those that may come next, the first given comes.

    Raises `DefinitionError` for a duplicate id, a reference to a node that is not there, and a cycle.
    """
    by_id: dict[str, Node] = {}
    for node in nodes:
        if node.id in by_id:
            raise DefinitionError(f"Pipeline {pipeline!r} has two nodes named {node.id!r}", hint="rename one")
        by_id[node.id] = node
    upstream = {node.id: node.upstream() for node in by_id.values()}
    for node_id, names in upstream.items():
        for name in names:
            if name not in by_id:
                raise DefinitionError(
                    f"Node {node_id!r} of pipeline {pipeline!r} comes after {name!r}, which is not in it",
                    hint=near_miss(name, by_id),
                )
    if _is_ordered(upstream):
        return tuple(by_id.values())
    return tuple(by_id[name] for name in _ordered(pipeline, upstream))


def _is_ordered(upstream: Mapping[str, tuple[str, ...]]) -> bool:
    seen: set[str] = set()
    for name, before in upstream.items():
        if not seen.issuperset(before):
            return False
        seen.add(name)
    return True


def _ordered(pipeline: str, upstream: Mapping[str, tuple[str, ...]]) -> list[str]:
    """An order that keeps to the given one: of the nodes that may come next, the first given comes."""
    from graphlib import CycleError, TopologicalSorter
    from heapq import heappop, heappush

    sorter = TopologicalSorter(upstream)
    try:
        sorter.prepare()
    except CycleError as error:
        names = error.args[1]
        shown = names if len(names) <= MOST_NAMES_SHOWN else [*names[: MOST_NAMES_SHOWN - 1], "…", names[-1]]
        raise DefinitionError(
            f"Pipeline {pipeline!r} goes round in a circle: {' → '.join(shown)}",
            hint="take one of these out of after=",
        ) from None
    places = {name: place for place, name in enumerate(upstream)}
    ready: list[tuple[int, str]] = []
    order: list[str] = []
    while len(order) < len(places):
        for name in sorter.get_ready():
            heappush(ready, (places[name], name))
        _, name = heappop(ready)
        order.append(name)
        sorter.done(name)
    return order
