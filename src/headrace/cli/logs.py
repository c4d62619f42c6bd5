"""``headrace logs``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, add_store, whole_number

if TYPE_CHECKING:
    from headrace.engine.view import RunView
    from headrace.stores.protocol import Store

DESCRIPTION = """\
Print what steps printed: of one step, or of all, each after a line with its name.

A single word may be a step of the newest run. What a step wrote is printed as it is where the output is a file or a
pipe; on a terminal, without what would steer the terminal."""
POLL_SECONDS = 0.2


def main(given: Sequence[str]) -> int:
    """Print logs."""
    parser = Parser("logs", DESCRIPTION)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id, or its begin or end; else the newest run")
    parser.add_argument("step", nargs="?", metavar="STEP", help="the step's name in the run (see headrace show)")
    parser.add_argument("--attempt", type=whole_number, metavar="N", help="which attempt; the last by default")
    parser.add_argument("--follow", action="store_true", help="go on printing while the step runs; needs a STEP")
    add_store(parser)
    arguments = parser.read(given)
    from headrace.cli.parser import UsageError
    from headrace.cli.picking import pick_run_and_step
    from headrace.cli.places import open_existing_store
    from headrace.engine.item_view import item_of, node_of
    from headrace.engine.view import RunView

    store = open_existing_store(arguments.store)
    run_id, step = pick_run_and_step(store, arguments.run, arguments.step)
    view = RunView.read(store, run_id)
    if step is None:
        if arguments.follow or arguments.attempt:
            raise UsageError("--follow and --attempt are about one step", hint=f"headrace logs {run_id} STEP --follow")
        _print_all(store, view)
        return 0
    if item_of(step) is not None and node_of(step) in view.plan.by_id:
        if arguments.follow or arguments.attempt:
            raise UsageError("--follow and --attempt are about a step, not an item of one")
        _write(_of_item(store, view, step))
        return 0
    source = _source(view, step)
    if source is not None and arguments.attempt is None:
        print(f"headrace: {step!r} was a hit; this is from run {source}, which made it", file=sys.stderr)  # noqa: T201
        view = RunView.read(store, source)
    if arguments.follow:
        _write(_followed(store, view.id, step, _await_begin(store, view, step, arguments.attempt)))
    else:
        _write(_content(_log(store, view.id, step, _attempt(store, view, step, arguments.attempt))))
    return 0


def _of_item(store: Store, view: RunView, name: str) -> Iterator[bytes]:
    """What one item printed, out of the log that it shares with others."""
    from headrace.core.errors import RunError
    from headrace.engine.item_view import executed_row

    found = executed_row(store, view.id, name)
    if found is None:
        view.node_result(name)  # says why there is none
        raise RunError(f"The run that made {name!r} has no record of it any more", hint=f"headrace show {view.id}")
    run_id, row = found
    if run_id != view.id:
        print(f"headrace: {name!r} was a hit; this is from run {run_id}, which made it", file=sys.stderr)  # noqa: T201
    if row.log is not None:
        log, first, last = row.log
        with store.stream_path(log).open("rb") as stream:
            stream.seek(first)
            yield stream.read() if last < 0 else stream.read(last - first)


def _source(view: RunView, step: str) -> str | None:
    """The run that made what a hit took, where its records are still there."""
    from headrace.core.outcome import Outcome
    from headrace.engine.records import RunRecord

    result = view.attempts[step][-1] if step in view.attempts else None
    if result is None or result.outcome is not Outcome.CACHED:
        return None
    source = result.reason.removeprefix("made by run ")
    return source if source != result.reason and RunRecord(view.store, source).has_begun() else None


def _print_all(store: Store, view: RunView) -> None:
    for node, result in view.results.items():
        log = _log(store, view.id, node, result.attempt)
        if log.exists() and log.stat().st_size:
            _write(iter([f"--- {node}\n".encode()]))
            _write(_content(log))


def _attempt(store: Store, view: RunView, step: str, wanted: int | None) -> int:
    """The attempt to print: that wanted, or the last that has a log."""
    from headrace.core.errors import RunError, near_miss

    if step not in view.plan.by_id:
        raise RunError(f"Run {view.id!r} has no step {step!r}", hint=near_miss(step, view.plan.by_id))
    ended = max((result.attempt for result in view.attempts.get(step, ())), default=0)
    last = next((n for n in (ended + 1, ended) if n and _log(store, view.id, step, n).exists()), None)
    if wanted is not None and _log(store, view.id, step, wanted).exists():
        return wanted
    if wanted is not None:
        raise RunError(f"Step {step!r} of run {view.id!r} has no attempt {wanted}", hint=f"its last is {last or 0}")
    if last is None:
        outcome = view.attempts[step][-1].outcome if step in view.attempts else "it has not started"
        raise RunError(f"Step {step!r} of run {view.id!r} has no log: {outcome}", hint=f"headrace show {view.id}")
    return last


def _await_begin(store: Store, view: RunView, step: str, wanted: int | None) -> int:
    """The attempt to follow: of a step that its run has still to come to, the first."""
    from headrace.engine.view import RUNNING, RunView

    first = wanted or 1
    while step in view.plan.by_id and step not in view.attempts and view.state == RUNNING:
        if _log(store, view.id, step, first).exists():
            return first
        time.sleep(POLL_SECONDS)
        view = RunView.read(store, view.id)
    return _attempt(store, view, step, wanted)


def _log(store: Store, run_id: str, step: str, attempt: int) -> Path:
    from headrace.engine.records import attempt_name

    return store.stream_path(attempt_name(run_id, step, attempt, "log"))


def _content(log: Path) -> Iterator[bytes]:
    with log.open("rb") as stream:
        while block := stream.read(1 << 16):
            yield block


def _followed(store: Store, run_id: str, step: str, number: int) -> Iterator[bytes]:
    """A log, and what is added to it until the attempt has ended or its run is gone."""
    from headrace.engine.records import RunRecord, attempt_name
    from headrace.engine.view import RUNNING, run_state

    record = RunRecord(store, run_id)
    with _log(store, run_id, step, number).open("rb") as stream:
        while True:
            has_ended = store.read_record(attempt_name(run_id, step, number)) is not None
            is_over = has_ended or run_state(store, run_id, record.begin(), record.end()) != RUNNING
            while block := stream.read(1 << 16):
                yield block
            if is_over:
                return
            time.sleep(POLL_SECONDS)


def _write(blocks: Iterator[bytes]) -> None:
    from headrace.reports.texts import clean

    is_terminal = sys.stdout.isatty()
    rest = b""
    for block in blocks:
        if not is_terminal:
            sys.stdout.buffer.write(block)
        else:
            whole, newline, rest = (rest + block).rpartition(b"\n")
            sys.stdout.write(clean((whole + newline).decode(errors="replace")))
        sys.stdout.flush()
    if rest:
        sys.stdout.write(clean(rest.decode(errors="replace")) + "\n")
