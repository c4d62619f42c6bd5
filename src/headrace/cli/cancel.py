"""``headrace cancel``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.cli.parser import Parser, add_json, add_store

if TYPE_CHECKING:
    from headrace.engine.records import RunRecord
    from headrace.stores.protocol import Store

DESCRIPTION = """\
End a run that is under way, from anywhere that its store can be reached from: it ends as by Ctrl-C. The steps under
way are killed, what succeeded is kept, and the run is recorded as cancelled.

Whoever works on the run sees the request within about a second. A run whose engine is gone is marked as ended. Of a
run that an orchestrator carries out, the steps under way end and no further one begins; the orchestrator itself is to
be stopped by its own means.

Exit codes: 0 the run is cancelled; 1 it has been asked to end and has not yet; 2 there is no such run, or it has ended
already."""
WAIT_SECONDS = 120.0


def main(given: Sequence[str]) -> int:
    """Cancel a run and return the exit code."""
    parser = Parser("cancel", DESCRIPTION)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id, or its begin or end, or latest")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for its end; {WAIT_SECONDS:g} by default, 0 not at all",
    )
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.places import open_existing_store
    from headrace.engine.cancel import ask_to_end, end_of_cancelled, read_request, refuse_ended

    store = open_existing_store(arguments.store)
    record = _picked(store, arguments.run)
    record.begin()
    refuse_ended(record, record.end())
    is_first = ask_to_end(store, record.id)
    request = read_request(store, record.id) or {}
    if not arguments.json:
        again = "" if is_first else f" again: {request['by']} has asked for it at {request['asked']}"
        print(f"run {record.id} is asked to end{again}", flush=True)  # noqa: T201
    end = end_of_cancelled(store, record.id, arguments.wait)
    if end is not None and end["outcome"] != "cancelled":
        refuse_ended(record, end)  # it was faster than the request
    if arguments.json:
        told = {"run": record.id, "outcome": end["outcome"] if end else "running", "asked": request.get("asked")}
        print(json.dumps({**told, "by": request.get("by"), "marked": end.get("marked") if end else None}, indent=2))  # noqa: T201
    else:
        print(_told(record.id, end, arguments.wait))  # noqa: T201
    return 0 if end else 1


def _picked(store: Store, named: str | None) -> RunRecord:
    """The run that was named: to end one, it must be. Raises `RunError`, with the runs that are under way."""
    from headrace.core.errors import RunError
    from headrace.engine.records import RunRecord
    from headrace.engine.view import RUNNING, find_run, known_runs, run_state

    if named is not None:
        return RunRecord(store, find_run(store, named))
    under_way = []
    for run_id in known_runs(store)[:20]:
        record = RunRecord(store, run_id)
        if run_state(store, run_id, record.begin(), record.end()) == RUNNING:
            under_way.append(run_id)
    hint = f"under way: {', '.join(under_way)}" if under_way else "none is under way"
    raise RunError("headrace cancel takes the run that is to end", hint=hint)


def _told(run_id: str, end: dict[str, Any] | None, waited_seconds: float) -> str:
    if end is None:
        return f"run {run_id} has not ended within {waited_seconds:g} s; the same command waits on"
    if "marked" in end:
        return f"run {run_id} was marked as cancelled, since {end['marked']}"
    return f"run {run_id} was cancelled"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds of 0 or more is needed, but got {text!r}")
    return seconds
