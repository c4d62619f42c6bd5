"""Begin and finish a run that an orchestrator carries out, node by node, in processes of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headrace.core.discovery import Discovered
from headrace.core.errors import CodeChangedError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.core.plan import Node
from headrace.core.values import Json
from headrace.engine.cancel import read_request
from headrace.engine.events import NodeStarted, RunEnded, RunStarted, read_events
from headrace.engine.execute import decided_by_others
from headrace.engine.prepare import Prepared
from headrace.engine.records import Failure, NodeResult, RunRecord, dump, now, run_folder
from headrace.engine.schedule import rejecting_gates, run_outcome
from headrace.engine.view import RunView

if TYPE_CHECKING:
    from headrace.engine.run import RunOptions, Session
    from headrace.engine.state import Run


NO_NODE = ""
"""Which node a process carries out that only begins the run."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended that an orchestrator carried out."""

    view: RunView
    outcome: RunOutcome
    rejected_by: tuple[str, ...]


def begin_run(
    session: Session, run_id: str, parameters: Mapping[str, Json], options: RunOptions, shape: str | None = None
) -> RunView:
    """Write down what a run begins with, once: its parameters, its plan and code, and the external pins.

    Done again (by an orchestrator that tries again), it changes nothing, whatever is given. ``shape``: the graph that
    the orchestrator was given, as `Plan.shape`.

    Raises `CodeChangedError` where these parameters, or this environment's code, give another graph: nothing is written
    then. Otherwise as tracing does.
    """
    session.check_listeners()
    with session.closing():
        prepared, is_new = begun(session, run_id, parameters, options, shape)
        if is_new:
            run = session.opened(run_id, prepared, options, node=NO_NODE)
            try:
                run.emit(RunStarted(run_id, prepared.plan.pipeline, len(prepared.plan.nodes), session.store.url))
            finally:
                run.launcher.close()
                run.emit.close()
        return RunView.read(session.store, run_id)


def begun(
    session: Session, run_id: str, parameters: Mapping[str, Json], options: RunOptions, shape: str | None = None
) -> tuple[Prepared, bool]:
    """The plan of a run that has begun, by us or by another process; and whether it was by us."""
    record = RunRecord(session.store, run_id)
    given = dict(parameters)
    is_new = False
    if not record.has_begun():
        prepared = session.traced(given, inline=False)
        _refuse_other_shape(prepared, shape)
        is_new = session.write_begin(run_id, prepared, given, options, process=None)
    if not is_new:
        prepared = session.traced(record.begin()["given"], inline=False)
        _refuse_other_shape(prepared, shape)
    return prepared, is_new


def _refuse_other_shape(prepared: Prepared, shape: str | None) -> None:
    if shape is not None and shape != prepared.plan.shape:
        raise CodeChangedError(
            f"Pipeline {prepared.plan.pipeline!r} has other steps, or connects them otherwise, than what the "
            "orchestrator was given",
            hint="compile it again and deploy that; parameters on which the graph depends are given when compiling",
        )


def finish_run(session: Session, run_id: str, options: RunOptions) -> RunEnd:
    """Settle how a run ended: of its nodes also those that never came to say so. Done again, it looks again.

    A node without a record ended with its task: it is skipped or fails as those before it say, it *crashed* where it
    had started, and else it was *cancelled*, since the orchestrator never started it. No user code is imported.

    Raises `RunError` for a run that has not begun.
    """
    begin = RunView.read(session.store, run_id)
    prepared = Prepared(begin.plan, begin.codes, Discovered(), (), "")
    session.check_listeners()
    with session.closing():
        run = session.opened(run_id, prepared, options)
        try:
            if read_request(session.store, run_id) is not None:
                run.cancelled.set()
            started = {event["node"] for event in read_events(session.store, run_id, NodeStarted)}
            for node in begin.plan.nodes:
                _settle(run, node, has_started=node.id in started)
            outcome = _outcome(run)
            rejected_by = tuple(rejecting_gates(run, begin.plan))
            _write_end(run, begin, outcome)
        finally:
            run.launcher.close()
            run.emit.close()
    return RunEnd(RunView.read(session.store, run_id), outcome, rejected_by)


def _outcome(run: Run) -> RunOutcome:
    """How the run ended: where nobody cancelled it, what a failure kept the orchestrator from starting is no reason."""
    has_failed = any(item.outcome.is_failure and item.outcome not in FOLLOWS for item in run.results.values())
    return RunOutcome.FAILED if has_failed and not run.cancelled.is_set() else run_outcome(run)


FOLLOWS = (Outcome.UPSTREAM_FAILED, Outcome.CANCELLED)
"""Outcomes that say nothing of the node itself: what came before it may have been mended since."""


def _settle(run: Run, node: Node, *, has_started: bool) -> None:
    known = run.result(node.id)
    if known is not None and known.outcome not in FOLLOWS:
        return
    settled = decided_by_others(run, node) or _without_a_word(node, has_started)
    if known is None or known.outcome is not settled.outcome:
        run.end_node(settled)


def _without_a_word(node: Node, has_started: bool) -> NodeResult:
    if not has_started:
        return NodeResult(node.id, Outcome.CANCELLED, reason="the orchestrator did not start it", started=now())
    failure = Failure("Crashed", "The task that executed it ended without a word")
    return NodeResult(node.id, Outcome.CRASHED, failure=failure, started=now())


def _write_end(run: Run, begin: RunView, outcome: RunOutcome) -> None:
    """Write the record of the end, in place of an earlier one where nodes were tried again since."""
    counts = dict(Counter(result.outcome.value for result in run.results.values()))
    before = RunRecord(run.store, run.id).end()
    if before is not None and (before["outcome"], before["counts"]) == (outcome.value, counts):
        return
    seconds = (datetime.now(UTC) - datetime.fromisoformat(begin.begin["started"])).total_seconds()
    end = {"version": 1, "outcome": outcome.value, "ended": now(), "seconds": round(seconds, 6), "counts": counts}
    run.store.write_record(f"{run_folder(run.id)}/end.json", dump(end), durable=True)
    run.emit(RunEnded(run.id, outcome.value, seconds, counts))
