"""Which part of a plan a run is about: all of it, all of it with some steps executed again, or some steps alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headrace.core.plan import Node, Plan
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.engine.prepare import Prepared


@dataclass(frozen=True)
class Selection:
    """What was asked for.

    Attributes
    ----------
    start
        Nodes that are executed again, with all that depends on them, whatever the store holds of them.
    only
        The only nodes that are executed, whatever the store holds of them; all that they take is in the store already.
    made_since
        When the run began, or the first of those that it resumes: what such a run made counts, and nothing earlier.
    """

    start: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    made_since: str = ""

    def since(self, time: str) -> Selection:
        """With the time since when results of these nodes count, unless it has one."""
        return replace(self, made_since=self.made_since or time)

    def __bool__(self) -> bool:
        return bool(self.start or self.only)

    def to_json(self) -> dict[str, Json] | None:
        """The form that a run's record keeps; None for the whole plan."""
        tree: dict[str, Json] = {"from": list(self.start), "only": list(self.only), "since": self.made_since}
        return tree if self else None

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Selection:
        """Read that form."""
        return cls(tuple(data["from"]), tuple(data["only"]), data["since"]) if data else cls()

    def applied(self, prepared: Prepared) -> Part:
        """The part of a plan that this is. Raises `DefinitionError`, with the nearest name, for a node it lacks."""
        plan = prepared.plan
        for name in (*self.start, *self.only):
            plan.node(name)
        if not self.only:
            return Part(prepared, self.forced(plan))
        wanted = {node.id for node in _with_inputs(plan, self.only)}
        narrowed = replace(prepared, plan=_narrowed(plan, wanted))
        return Part(narrowed, self.forced(plan), frozenset(wanted - {*self.only}))

    def forced(self, plan: Plan) -> dict[str, str]:
        """The nodes that are executed whatever the store holds, and why each."""
        if self.only:
            return dict.fromkeys(self.only, "it was asked for by --only")
        return _with_downstream(plan, self.start)


@dataclass(frozen=True)
class Part:
    """A plan as a run carries it out.

    Attributes
    ----------
    prepared
        The plan, its steps' code, and what it came from.
    forced
        The nodes that are executed whatever the store holds, and why.
    taken
        The nodes whose results must be in the store already.
    """

    prepared: Prepared
    forced: Mapping[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()


def _with_downstream(plan: Plan, start: Iterable[str]) -> dict[str, str]:
    """The nodes to begin from and all that come after them, in the plan's order, and why each."""
    found: dict[str, str] = {}
    for node in plan.nodes:
        behind = next((name for name in node.upstream() if name in found), None)
        if node.id in start:
            found[node.id] = "it was asked for by --from"
        elif behind is not None:
            found[node.id] = f"it depends on {behind!r}, and --from asks for that again"
    return found


def _inputs(node: Node) -> set[str]:
    """The nodes that this one takes something from. What it only comes after is no input."""
    return {ref.node for ref in (*node.refs(), *([node.when] if node.when else []))}


def _with_inputs(plan: Plan, only: Iterable[str]) -> list[Node]:
    wanted = set(only)
    found = []
    for node in reversed(plan.nodes):
        if node.id in wanted:
            wanted |= _inputs(node)
            found.append(node)
    return found[::-1]


def _narrowed(plan: Plan, wanted: set[str]) -> Plan:
    nodes = tuple(
        replace(node, after=tuple(name for name in node.after if name in wanted))
        for node in plan.nodes
        if node.id in wanted
    )
    steps = {node.step for node in nodes}
    return replace(
        plan,
        nodes=nodes,
        steps=tuple(spec for spec in plan.steps if spec.id in steps),
        outputs={name: ref for name, ref in plan.outputs.items() if ref.node in wanted},
    )
