"""Carry out a node that maps as tasks of an orchestrator: which tasks, then each of them, then the lists.

``slices`` says the tasks once the lists are known, ``carry_out`` brings the items of one to their end, in a process of
its own on any machine, and ``collect`` makes the lists of what they made and ends the node. Only indices travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.core.errors import DefinitionError, RunError
from headrace.core.outcome import Outcome
from headrace.core.plan import Node
from headrace.engine.execute import MOST_REBUILDS, Miss, examine, rebuild
from headrace.engine.mapped import Mapped
from headrace.engine.records import NodeResult, now
from headrace.engine.state import Run


@dataclass(frozen=True, slots=True)
class Slice:
    """Some items of a node: from the first index to the one before ``end``."""

    first: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read ``100:200``. Raises `DefinitionError` for what is none."""
        first, colon, end = text.partition(":")
        if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
            raise DefinitionError(f"{text!r} names no items", hint="give the first index and the end, as in 100:200")
        return cls(int(first), int(end))

    def __str__(self) -> str:
        return f"{self.first}:{self.end}"


def slices(run: Run, node: Node) -> NodeResult:
    """Say the tasks that the items of a node are, in ``items`` of a result that is not recorded.

    Or how the node ended, where that is known already: then there are none.
    """
    found = _examined(run, node)
    if isinstance(found, NodeResult):
        return found
    assert node.map is not None
    with _opened(run, found) as mapped:
        tasks = [str(Slice(first, end)) for first, end in node.map.slices(mapped.n_items)]
        told = {"n": mapped.n_items, "slices": tasks}
        return NodeResult(node.id, Outcome.SUCCEEDED, reason=f"{len(tasks)} tasks", started=now(), items=told)


def carry_out(run: Run, node: Node, items: Slice) -> NodeResult:
    """Bring some items to their end, and say how they ended together. That is no record of the node's.

    Raises `RunError` for items that there are not.
    """
    found = _examined(run, node)
    if isinstance(found, NodeResult):
        return found
    for _ in range(MOST_REBUILDS):
        with _opened(run, found) as mapped:
            if items.end > mapped.n_items:
                raise RunError(
                    f"Node {node.id!r} has {mapped.n_items} items, so there are no items {items}",
                    hint=f"ask for the tasks: headrace exec {node.id} --slices",
                )
            misses = mapped.examine(range(items.first, items.end))
            if misses:
                mapped.carry_out(misses)
            if mapped.damaged is None or not rebuild(run, node, mapped.damaged):
                return mapped.summed_up()
    return NodeResult(node.id, Outcome.FAILED, reason="its inputs are damaged again and again", started=now())


def collect(run: Run, node: Node) -> NodeResult:
    """Make the lists of what the tasks made, and end the node."""
    found = _examined(run, node)
    if isinstance(found, NodeResult):
        return found
    with _opened(run, found) as mapped:
        result, _ = mapped.collect(with_earlier=True)
        return result


def _examined(run: Run, node: Node) -> NodeResult | Miss:
    if node.map is None:
        raise DefinitionError(
            f"Node {node.id!r} maps over nothing, so it has no items", hint=f"headrace exec {node.id} executes it"
        )
    return examine(run, node)


@contextmanager
def _opened(run: Run, miss: Miss) -> Iterator[Mapped]:
    mapped = Mapped(run, miss.request, miss.reason)
    with mapped.stack:
        yield mapped
