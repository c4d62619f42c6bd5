"""What is said at the end of a run: how it ended, what it made, where to look, how to go on."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.columns import place, table
from headrace.cli.outputs import made_outputs, output_json, output_row
from headrace.core.outcome import Outcome, RunOutcome
from headrace.engine.cancel import read_request
from headrace.engine.readable import sample_text
from headrace.reports.texts import clean, count, duration, last_lines, one_line

if TYPE_CHECKING:
    from headrace.engine.records import NodeResult
    from headrace.engine.run import RunResult
    from headrace.engine.view import RunView

MOST_FAILURES = 3
LOG_LINES = 20
MOST_REASONS = 10
MOST_CHARACTERS_OF_A_REASON = 300


def show_end(result: RunResult, arguments: argparse.Namespace, again: Sequence[str]) -> None:
    """Write the run's report, and print how the run ended."""
    from headrace.engine.view import RunView

    view = RunView.read(result.store, result.run_id)
    report = write_report(view)
    if arguments.json:
        print(json.dumps(as_json(view, result.outcome, report), indent=2))  # noqa: T201
    elif not arguments.quiet or result.outcome is not RunOutcome.SUCCEEDED:
        print("\n".join(end_lines(view, result.outcome, report, again)))  # noqa: T201
    sys.stdout.flush()


def write_report(view: RunView) -> Path | None:
    """Write the report, and say where. That it can't be made is said, and doesn't change how the run ended."""
    from headrace.reports.run_page import write_run_page

    try:
        return write_run_page(view)
    except Exception as error:  # noqa: BLE001 - a page must not turn a good run into a bad exit code
        print(f"headrace: the report was not written: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return None


def end_lines(view: RunView, outcome: RunOutcome, report: Path | None, again: Sequence[str]) -> Iterator[str]:
    """All lines that tell a run's end."""
    failures = view.failures()
    for failed in failures[:MOST_FAILURES]:
        yield ""
        yield from failure_lines(view, failed)
    if len(failures) > MOST_FAILURES:
        yield f"\n{len(failures) - MOST_FAILURES} more steps failed: headrace show {view.id}"
    yield from ("", headline(view, outcome))
    if (taken := sample_text(view.begin)) is not None:
        yield f"  of a sample: {taken} of the data; its models are kept apart, and none is promoted"
    if outcome is RunOutcome.CANCELLED and (request := read_request(view.store, view.id)):
        yield f"  as {request['by']} asked for with headrace cancel"
    yield from rejection_lines(view)
    made = [
        output_row(view.store, name, artifact) for name, _, artifact in made_outputs(view.results, view.plan.outputs)
    ]
    yield from table(made, indent="  ")
    if made:
        yield f"take one out: headrace show {view.id} --save {made[-1][0]} PLACE"
    if report is not None:
        yield f"report: {place(report)}"
    if outcome in (RunOutcome.FAILED, RunOutcome.CANCELLED):
        yield from go_on_lines(view, again)


def rejection_lines(view: RunView) -> Iterator[str]:
    """Which gates said no, and the reasons that they gave."""
    for gate in view.rejections():
        yield f"  rejected by {gate!r}: headrace show {view.id} {gate}"
        reasons = gate_reasons(view, gate)
        yield from (f"    - {one_line(reason, MOST_CHARACTERS_OF_A_REASON)}" for reason in reasons[:MOST_REASONS])
        if len(reasons) > MOST_REASONS:
            yield f"    and {len(reasons) - MOST_REASONS} more"


def gate_reasons(view: RunView, gate: str) -> list[str]:
    """Why a gate said no, where it gives an output ``reasons`` that is a list of texts, or a text."""
    from headrace.engine.readable import stored_json

    artifact = view.results[gate].outputs.get("reasons")
    value = stored_json(view.store, artifact) if artifact is not None else None
    reasons = value[0] if value is not None else []
    told = [_reason(reason) for reason in (reasons if isinstance(reasons, list) else [reasons])]
    return [reason for reason in told if reason]


def _reason(reason: Any) -> str:
    """A reason as a line: of a rule that was looked at, what it found, where it does not hold."""
    if not isinstance(reason, dict):
        return str(reason or "")
    if reason.get("passed") is True or "rule" not in reason:
        return "" if "rule" in reason else json.dumps(reason)
    value = reason.get("value")
    found = f", but it is {value:.6g}" if isinstance(value, int | float) else ""
    note = f" ({reason['note']})" if reason.get("note") else ""
    return f"{reason['rule']} must hold{found}{note}"


def headline(view: RunView, outcome: RunOutcome) -> str:
    """The one line that says how it went."""
    outcomes = [result.outcome for result in view.results.values()]
    n_own = len(view.failures())
    n_not_reached = len(view.plan.nodes) - len(outcomes) + outcomes.count(Outcome.UPSTREAM_FAILED)
    parts = [f"{outcomes.count(Outcome.SUCCEEDED)} executed", count(outcomes.count(Outcome.CACHED), "hit")]
    numbers = {
        "skipped": outcomes.count(Outcome.SKIPPED),
        "failed": n_own,
        "cancelled": outcomes.count(Outcome.CANCELLED),
        "not reached": n_not_reached,
    }
    parts += [f"{number} {what}" for what, number in numbers.items() if number]
    seconds = view.end["seconds"] if view.end else 0.0
    return f"{view.begin['pipeline']} {_verb(outcome)} after {duration(seconds)}: {', '.join(parts)} (run {view.id})"


def _verb(outcome: RunOutcome) -> str:
    return f"was {outcome}" if outcome in (RunOutcome.REJECTED, RunOutcome.CANCELLED) else str(outcome)


def go_on_lines(view: RunView, again: Sequence[str]) -> Iterator[str]:
    """The commands that go on: running again, and resuming where that spares something."""
    if view.begin.get("selection"):
        yield f"what succeeded is kept; go on with: headrace resume {view.id}"
        return
    yield f"what succeeded is kept; go on with: {clean(shlex.join(again))}"
    plan = view.plan
    uncached = [node for node, result in view.results.items() if result.outcome is Outcome.SUCCEEDED]
    uncached = [node for node in uncached if not plan.step_of(plan.by_id[node]).cache]
    if uncached:
        reused = f"{uncached[0]!r}" + (f" and {len(uncached) - 1} more" if len(uncached) > 1 else "")
        yield f"or, to reuse what is not cached too ({reused}): headrace resume {view.id}"


def failure_lines(view: RunView, failed: NodeResult) -> Iterator[str]:
    """What is known of a failure: place, message, the end of its log."""
    from headrace.engine.records import attempt_name

    where = f" ({failed.failure.where})" if failed.failure and failed.failure.where else ""
    again = f" at attempt {failed.attempt}" if failed.attempt > 1 else ""
    yield f"step {failed.node!r} {failed.outcome} after {duration(failed.seconds)}{again}{where}"
    if failed.items is not None and failed.items["failed"]:
        first = f"{failed.node}[{failed.items['failed'][0]['index']}]"
        yield f"  {one_line(failed.failure.message, 200) if failed.failure else ''}"
        yield f"  all about the first: headrace show {view.id} '{first}'"
    if failed.failure:
        shown = clean(failed.failure.traceback or failed.failure.message).strip().split("\n")
        yield from (f"  {line}" for line in shown[-LOG_LINES:])
    log = view.store.stream_path(attempt_name(view.id, failed.node, failed.attempt, "log"))
    lines = last_lines(log, LOG_LINES)
    if lines:
        yield f"the end of its log ({place(log)}):"
        yield from (f"  {line}" for line in lines)


def as_json(view: RunView, outcome: RunOutcome, report: Path | None) -> dict[str, Any]:
    """How a run ended, for programs."""
    return {
        "run": view.id,
        "pipeline": view.begin["pipeline"],
        "outcome": outcome.value,
        "exit_code": outcome.exit_code,
        "seconds": view.end["seconds"] if view.end else None,
        "counts": view.end["counts"] if view.end else {},
        "rejected_by": view.rejections(),
        "reasons": {gate: gate_reasons(view, gate) for gate in view.rejections()},
        "store": view.store.url,
        "report": str(report) if report else None,
        "outputs": {
            name: output_json(view.store, ref, artifact)
            for name, ref, artifact in made_outputs(view.results, view.plan.outputs)
        },
        "nodes": {node: _node_json(result) for node, result in view.results.items()},
    }


def _node_json(result: NodeResult) -> dict[str, Any]:
    failure = result.failure
    return {
        "outcome": result.outcome.value,
        "attempt": result.attempt,
        "seconds": result.seconds,
        "reason": result.reason,
        "message": failure.message if failure else None,
        "where": failure.where if failure else None,
    }
