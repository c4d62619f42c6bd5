"""Run a plan: start each node when what it needs is there, and go on with what does not depend on a failure."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from headrace.core.outcome import Outcome, RunOutcome
from headrace.core.plan import Node, Plan, Ref
from headrace.engine.execute import Miss, OpenMap, examine, execute, open_map, read_plain
from headrace.engine.process import memory_bytes
from headrace.engine.records import NodeResult
from headrace.engine.state import Run

Task = Callable[[], "TaskEnd"]
"""What one thread does for a node."""
TaskEnd = NodeResult | Sequence[Task] | None
"""How the node ended; or the tasks that follow; or nothing, where others are under way."""


@dataclass
class Budget:
    """The processors and the memory that may be set aside. A step that needs more than there is runs alone."""

    cpus: int
    memory_bytes: int
    n_running: int = 0

    @classmethod
    def of_machine(cls) -> Budget:
        """All that this machine has."""
        return cls(os.cpu_count() or 1, memory_bytes())

    def take(self, cpus: int, memory: int) -> bool:
        """Set something aside, if it is there or nothing runs."""
        if self.n_running and (cpus > self.cpus or memory > self.memory_bytes):
            return False
        self.n_running += 1
        self.cpus -= cpus
        self.memory_bytes -= memory
        return True

    def give_back(self, cpus: int, memory: int) -> None:
        """Give back what was set aside."""
        self.n_running -= 1
        self.cpus += cpus
        self.memory_bytes += memory


class Frontier:
    """Which nodes may start: those whose upstream nodes have all ended."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._downstream: dict[str, list[Node]] = {}
        self._n_waiting: dict[str, int] = {}
        self.ready: deque[Node] = deque()
        for node in nodes:
            upstream = node.upstream()
            self._n_waiting[node.id] = len(upstream)
            for name in upstream:
                self._downstream.setdefault(name, []).append(node)
            if not upstream:
                self.ready.append(node)

    def ended(self, node_id: str) -> None:
        """Note that a node has ended, which may make others ready."""
        for node in self._downstream.get(node_id, ()):
            self._n_waiting[node.id] -= 1
            if self._n_waiting[node.id] == 0:
                self.ready.append(node)


def run_in_turn(run: Run) -> None:
    """Execute the plan's nodes one after the other, in this thread."""
    with _closing_maps(run):
        for node in run.prepared.plan.nodes:
            execute(run, node)


@contextmanager
def _closing_maps(run: Run) -> Iterator[None]:
    """Give back what maps that an interruption or an error cut short hold: another run may want the same lease."""
    try:
        yield
    finally:
        for stack in run.open_maps:
            stack.close()


def run_side_by_side(run: Run, workers: int) -> None:
    """Execute the plan's nodes, up to ``workers`` at once.

    Hits and skips are settled in this thread, at once; each node that must be executed has a thread that waits for its
    worker.
    """
    frontier = Frontier(run.prepared.plan.nodes)
    budget = Budget.of_machine()
    under_way: dict[Future[TaskEnd], Node] = {}
    held_back: deque[tuple[Node, Task]] = deque()
    with _closing_maps(run), ThreadPoolExecutor(workers, thread_name_prefix="headrace") as pool:
        try:
            while frontier.ready or held_back or under_way:
                _settle(run, frontier, held_back)
                _start(run, held_back, under_way, budget, pool, workers)
                if under_way:
                    _collect(run, frontier, under_way, budget, held_back)
        except BaseException:
            run.cancelled.set()
            run.launcher.cancel()
            raise


def _task_of(run: Run, node: Node, miss: Miss) -> Task:
    return partial(_open, run, node, miss) if node.map is not None else partial(execute, run, node, miss)


def _open(run: Run, node: Node, miss: Miss) -> TaskEnd:
    """The first task of a node that maps: see which items are there. The tasks that follow carry out the others."""
    opened = open_map(run, miss)
    if not isinstance(opened, OpenMap):
        result, damaged = opened
        return result if damaged is None else execute(run, node, damaged=damaged)
    if not opened.batches:
        return _end(run, node, opened)
    n_left = iter(range(len(opened.batches) - 1, -1, -1))
    return [partial(_carry_out, run, node, opened, batch, n_left) for batch in opened.batches]


def _carry_out(run: Run, node: Node, opened: OpenMap, batch: Sequence[int], n_left: Iterator[int]) -> TaskEnd:
    """One task of a node that maps. The last makes the lists."""
    opened.mapped.carry_out(batch)
    is_last = next(n_left) == 0 or run.cancelled.is_set()  # in a run that was cancelled no others follow
    return _end(run, node, opened) if is_last and opened.mapped.take_end() else None


def _end(run: Run, node: Node, opened: OpenMap) -> NodeResult:
    result, damaged = opened.mapped.collect()
    return result if damaged is None else execute(run, node, damaged=damaged)


def _settle(run: Run, frontier: Frontier, held_back: deque[tuple[Node, Task]]) -> None:
    """End all ready nodes that need no execution; hold back the others."""
    while frontier.ready:
        node = frontier.ready.popleft()
        found = examine(run, node)
        if isinstance(found, Miss):
            held_back.append((node, _task_of(run, node, found)))
        else:
            frontier.ended(node.id)


def _start(
    run: Run,
    held_back: deque[tuple[Node, Task]],
    under_way: dict[Future[TaskEnd], Node],
    budget: Budget,
    pool: ThreadPoolExecutor,
    workers: int,
) -> None:
    for _ in range(len(held_back)):
        if len(under_way) >= workers:
            return
        node, task = held_back.popleft()
        spec = run.prepared.plan.step_of(node)
        if budget.take(spec.cpus, spec.memory_bytes or 0):
            under_way[pool.submit(task)] = node
        else:
            held_back.append((node, task))


def _collect(
    run: Run,
    frontier: Frontier,
    under_way: dict[Future[TaskEnd], Node],
    budget: Budget,
    held_back: deque[tuple[Node, Task]],
) -> None:
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        node = under_way.pop(future)
        spec = run.prepared.plan.step_of(node)
        budget.give_back(spec.cpus, spec.memory_bytes or 0)
        end = future.result()
        if isinstance(end, NodeResult):
            frontier.ended(node.id)
        else:
            held_back.extend((node, task) for task in end or ())


def run_outcome(run: Run) -> RunOutcome:
    """How the run ended, from how its nodes ended and what its gates said."""
    outcomes = {result.outcome for result in run.results.values()}
    if Outcome.CANCELLED in outcomes or run.cancelled.is_set():
        return RunOutcome.CANCELLED
    if any(outcome.is_failure for outcome in outcomes):
        return RunOutcome.FAILED
    return RunOutcome.REJECTED if rejecting_gates(run, run.prepared.plan) else RunOutcome.SUCCEEDED


def rejecting_gates(run: Run, plan: Plan) -> list[str]:
    """The nodes whose gate said no."""
    found = []
    for node in plan.nodes:
        gate = plan.step_of(node).gate
        result = run.results.get(node.id)
        has_ended_well = result is not None and result.outcome.is_good
        if gate is not None and has_ended_well and not read_plain(run, Ref(node.id, gate)):
            found.append(node.id)
    return found
