"""Carry out one node of a run for an orchestrator, which starts a process for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from headrace.core.errors import CodeChangedError, HeadraceError
from headrace.core.outcome import Outcome
from headrace.core.plan import Node
from headrace.core.values import Json, names_in
from headrace.engine.cancel import obeying, refuse_if_cancelled
from headrace.engine.events import RunStarted
from headrace.engine.exec_run import begun
from headrace.engine.execute import execute
from headrace.engine.view import RunView

if TYPE_CHECKING:
    from headrace.engine.prepare import Prepared
    from headrace.engine.records import NodeResult
    from headrace.engine.run import RunOptions, Session
    from headrace.engine.state import Run

FOR_GOOD = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
"""Failures of a node's own, after its retries."""


def exec_node(
    session: Session,
    node_id: str,
    run_id: str,
    parameters: Mapping[str, Json],
    options: RunOptions,
    work: Callable[[Run, Node], NodeResult] = execute,
    *,
    once: bool = False,
) -> NodeResult:
    """Bring one node of a run to its end, and record it; or do other ``work`` on it (`headrace.engine.exec_items`).

    The run is begun if it has not been. Where it has, its recorded parameters and pins count, not those given here: a
    retry, and every other node, sees the same. A node that has already ended well in this run, its outputs whole, is
    not executed again; with ``once`` one that has failed for good isn't, either.

    Raises `CodeChangedError` when this environment holds another plan or other code for the node than the run began
    with, `DefinitionError` for a node that is not in the plan, and `RunError` when a node before it has not ended.
    """
    session.check_listeners()
    with session.closing():
        prepared, is_new = begun(session, run_id, parameters, options)
        node = prepared.plan.node(node_id)
        run = session.opened(run_id, prepared, options, node=node_id)
        try:
            if is_new:
                run.emit(RunStarted(run_id, prepared.plan.pipeline, len(prepared.plan.nodes), session.store.url))
            done = run.result(node_id)
            if done is not None and not done.outcome.is_failure and _is_whole(session, done):
                return done
            if done is not None and once and done.outcome in FOR_GOOD:
                return done
            run.results.pop(node_id, None)
            cancelled = refuse_if_cancelled(run, node_id)
            if cancelled is not None:
                return cancelled
            _refuse_other_plan(RunView.read(session.store, run_id), prepared, node)
            with obeying(run, interrupts=False):
                return work(run, node)
        finally:
            run.launcher.close()
            run.emit.close()


def _is_whole(session: Session, result: NodeResult) -> bool:
    files = [file for artifact in result.outputs.values() for file in artifact.files]
    return all(session.store.object_size(file.digest) == file.n_bytes for file in files)


def _refuse_other_plan(begun: RunView, prepared: Prepared, node: Node) -> None:
    """Hold what this environment would do against what the run began with, as far as this node is concerned."""
    expected = begun.plan.by_id.get(node.id)
    if expected != node:
        raise _other_code(f"node {node.id!r} is called otherwise or is not in it", node)
    for name in [node.step, *sorted(names_in([*node.arguments.values()]))]:
        before, here = begun.codes.get(name), prepared.codes[name]
        if before is None or before.digest != here.digest:
            changes = before.differences(here) if before else []
            raise _other_code("; ".join(changes[:3]) or f"the code of {name} is another", node)


def _other_code(problem: str, node: Node) -> HeadraceError:
    return CodeChangedError(
        f"This environment holds other code than the run began with: {problem}",
        where=f"node {node.id!r}",
        hint="use the environment that the run began in, or begin a new run",
    )
