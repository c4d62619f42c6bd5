"""Execute one node: the same for the engine on this machine and for each task of an orchestrator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from headrace.core.errors import DamagedObjectError, HeadraceError, RunError
from headrace.core.fit import MISSING
from headrace.core.outcome import Outcome
from headrace.core.plan import Node, Ref
from headrace.engine.attempts import run_attempts
from headrace.engine.exchange import load_artifact
from headrace.engine.hits import find_result
from headrace.engine.lists import n_items_of
from headrace.engine.mapped import Mapped
from headrace.engine.records import Failure, NodeResult, now
from headrace.engine.request import Request, prepare_request
from headrace.engine.state import Run

LEASE_POLL_SECONDS = 0.5
MOST_REBUILDS = 3


@dataclass(frozen=True)
class Miss:
    """A node that must be executed, and why."""

    request: Request
    reason: str


def examine(run: Run, node: Node) -> NodeResult | Miss:
    """End a node that is skipped or whose result is there already; else say that it must be executed, and why."""
    result = decided_by_others(run, node)
    if result is None:
        request = prepare_request(run, node)
        found = find_result(run, request)
        if isinstance(found, str) and node.id not in run.taken:
            return Miss(request, found)
        result = _not_made(run, node, found) if isinstance(found, str) else _with_items(node, found)
    return run.end_node(result)


def _with_items(node: Node, result: NodeResult) -> NodeResult:
    """Lists that were taken whole, with how many items they hold."""
    if node.map is None or result.items is not None:
        return result
    n_items = max((n_items_of(artifact) for artifact in result.outputs.values()), default=0)
    return replace(result, items={"n": n_items, "counts": {Outcome.CACHED.value: n_items}, "failed": []})


def _not_made(run: Run, node: Node, reason: str) -> NodeResult:
    """The end of a node that this run leaves out, and that is not in the store."""
    only = ", ".join(map(repr, run.forced))
    text = f"{node.id!r} has not been made, and this run executes {only} alone: {reason}"
    return NodeResult(node.id, Outcome.FAILED, failure=Failure("RunError", text), reason=reason, started=now())


def execute(run: Run, node: Node, miss: Miss | None = None, damaged: str | None = None) -> NodeResult:
    """Bring one node to its end, and record it. Raises only what the store raises.

    An input that turns out damaged is made again, by executing its producer here. ``miss`` is what `examine` said;
    ``damaged`` is an input that was found to be when the node, now to be executed again, was executed elsewhere.
    """
    waiting, n_rebuilds = [node], 0
    while True:
        current = waiting[-1]
        if damaged is None:
            result, damaged = _execute_once(run, current, miss)
            miss = None
        else:
            result = run.results[current.id]
        if damaged is not None and n_rebuilds < MOST_REBUILDS * len(run.prepared.plan.nodes):
            producers = _producers(run, current, damaged)
            if producers:
                n_rebuilds += 1
                run.store.drop_object(damaged)
                waiting.extend(producers)
                damaged = None
                continue
        damaged = None
        waiting.pop()
        if not waiting:
            return result


def rebuild(run: Run, node: Node, digest: str) -> bool:
    """Make a damaged input of a node again. Whether somebody made it: else it can't be."""
    producers = _producers(run, node, digest)
    if producers:
        run.store.drop_object(digest)
    for producer in producers:
        execute(run, producer)
    return bool(producers)


def _producers(run: Run, node: Node, digest: str) -> list[Node]:
    """The nodes that made an artifact which holds this object, among those that the node takes from."""
    found: dict[str, Node] = {}
    for ref in node.refs():
        if any(file.digest == digest for file in run.artifact(ref).files):
            found[ref.node] = run.prepared.plan.by_id[ref.node]
    return list(found.values())


def _execute_once(run: Run, node: Node, miss: Miss | None) -> tuple[NodeResult, str | None]:
    found = miss or examine(run, node)
    if isinstance(found, NodeResult):
        return found, None
    if node.map is not None:
        return _map_in_turn(run, found)
    if not found.request.spec.cache:
        return run_attempts(run, found.request, found.reason)
    with ExitStack() as lease:
        settled = _settled_under_lease(run, found.request, lease)
        return (settled, None) if settled else run_attempts(run, found.request, found.reason)


def _map_in_turn(run: Run, miss: Miss) -> tuple[NodeResult, str | None]:
    opened = open_map(run, miss)
    if not isinstance(opened, OpenMap):
        return opened
    for batch in opened.batches:
        opened.mapped.carry_out(batch)
    return opened.mapped.collect()


@dataclass(frozen=True)
class OpenMap:
    """A node that maps, under way, and the items that must be computed, a task each."""

    mapped: Mapped
    batches: Sequence[Sequence[int]]


def open_map(run: Run, miss: Miss) -> OpenMap | tuple[NodeResult, str | None]:
    """Begin with a node that maps: find out which items must be computed. Or how it ended, where it has already."""
    try:
        mapped = Mapped(run, miss.request, miss.reason)
    except DamagedObjectError as error:
        failure = Failure(type(error).__name__, str(error))
        return run.record(_failed(miss, failure)), error.digest
    except HeadraceError as error:
        return run.end_node(_failed(miss, Failure(type(error).__name__, str(error)))), None
    run.open_maps.append(mapped.stack)
    if miss.request.spec.cache:
        settled = _settled_under_lease(run, miss.request, mapped.stack)
        if settled is not None:
            mapped.stack.close()
            return settled, None
    return OpenMap(mapped, mapped.batches(mapped.examine(range(mapped.n_items))))


def _failed(miss: Miss, failure: Failure) -> NodeResult:
    request = miss.request
    return NodeResult(
        request.node.id,
        Outcome.FAILED,
        key=request.key,
        made_of=request.parts.to_json(),
        failure=failure,
        reason=miss.reason,
        started=now(),
    )


def decided_by_others(run: Run, node: Node) -> NodeResult | None:
    """Whether what comes before, or the condition, already says how this node ends."""
    for name in node.upstream():
        result = run.result(name)
        if result is None:
            raise RunError(f"Node {name!r} has not ended in run {run.id!r}", hint=f"execute it before {node.id!r}")
        if result.outcome.is_failure:
            cancelled = result.outcome is Outcome.CANCELLED
            outcome = Outcome.CANCELLED if cancelled else Outcome.UPSTREAM_FAILED
            return NodeResult(node.id, outcome, reason=f"{name!r} {result.outcome}", started=now())
        if result.outcome is Outcome.SKIPPED:
            return NodeResult(node.id, Outcome.SKIPPED, reason=f"{name!r} was skipped", started=now())
    if node.when is not None and not read_plain(run, node.when):
        return NodeResult(node.id, Outcome.SKIPPED, reason=f"{str(node.when)!r} is false", started=now())
    if run.cancelled.is_set():
        return NodeResult(node.id, Outcome.CANCELLED, reason="the run was cancelled", started=now())
    return None


def read_plain(run: Run, ref: Ref) -> Any:
    """A plain output, such as a condition. One that is damaged is made again."""
    try:
        return load_artifact(run.artifact(ref), MISSING, run.store)
    except DamagedObjectError as error:
        run.store.drop_object(error.digest)
        execute(run, run.prepared.plan.by_id[ref.node])
        return load_artifact(run.artifact(ref), MISSING, run.store)


def _settled_under_lease(run: Run, request: Request, stack: ExitStack) -> NodeResult | None:
    """Take the lease of the key, for as long as the stack is. How the node ended, where it need not be executed.

    Somebody may have made it since we looked: who held the lease before us.
    """
    has_waited = False
    while True:
        wait_seconds = LEASE_POLL_SECONDS if has_waited else 0.0
        lease = run.store.lease(f"{request.key}.lock", wait_seconds=wait_seconds)
        if lease.acquired:
            stack.enter_context(lease)
            found = find_result(run, request)
            return run.end_node(_with_items(request.node, found)) if isinstance(found, NodeResult) else None
        has_waited = True
        if run.cancelled.is_set():
            result = NodeResult(request.node.id, Outcome.CANCELLED, reason="the run was cancelled", started=now())
            return run.end_node(result)
