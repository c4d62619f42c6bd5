"""Ending a run from elsewhere: a request among its records, which whoever works on the run looks for."""

from __future__ import annotations

import getpass
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.core.errors import HeadraceError, RunError, StoreError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.engine.records import NodeResult, RunRecord, dump, now, run_folder
from headrace.engine.view import run_lease

if TYPE_CHECKING:
    from headrace.engine.state import Run
    from headrace.stores.protocol import Store

POLL_SECONDS = 1.0


def read_request(store: Store, run_id: str) -> dict[str, Any] | None:
    """The request that a run be ended: when and by whom; None where there is none."""
    text = store.read_record(_name(run_id))
    if text is None:
        return None
    try:
        data: dict[str, Any] = json.loads(text)
    except ValueError:
        return {"asked": "", "by": ""}  # cut short by a power cut: it was asked all the same
    return data


def ask_to_end(store: Store, run_id: str) -> bool:
    """Leave the request: True where this is the first."""
    request = {"version": 1, "asked": now(), "by": _who()}
    return store.create_record(_name(run_id), dump(request), durable=True)


def end_of_cancelled(store: Store, run_id: str, wait_seconds: float) -> dict[str, Any] | None:
    """The record of the end of a run that was asked to end, waiting up to ``wait_seconds`` for it; else None.

    Where no engine is there to write it, because it was killed or because each node has a process of its own, it is
    written here.
    """
    record = RunRecord(store, run_id)
    has_engine = record.begin().get("process") is not None
    deadline = time.monotonic() + wait_seconds
    while True:
        # With the lease in hand nobody else is about to write the end.
        with store.lease(run_lease(run_id)) as lease:
            end = record.end()
            if end is None and (lease.acquired or not has_engine):
                _mark_as_ended(record, "its engine was gone" if has_engine else "it has no engine")
                end = record.end()
        left = deadline - time.monotonic()
        if end is not None or left <= 0:
            return end
        time.sleep(min(left, POLL_SECONDS / 2))


def _mark_as_ended(record: RunRecord, why: str) -> None:
    results = record.results().values()
    end = {
        "version": 1,
        "outcome": RunOutcome.CANCELLED.value,
        "ended": now(),
        "seconds": _seconds_until_last_sign(record.begin()["started"], results),
        "counts": Counter(result.outcome.value for result in results),
        "marked": why,
    }
    record.store.create_record(f"{run_folder(record.id)}/end.json", dump(end), durable=True)


def _seconds_until_last_sign(started: str, results: Iterable[NodeResult]) -> float:
    """How long a run was known to be under way: to the end of its last attempt."""
    begin = datetime.fromisoformat(started)
    ends = [(datetime.fromisoformat(item.started) - begin).total_seconds() + item.seconds for item in results]
    return round(max([0.0, *ends]), 6)


def refuse_if_cancelled(run: Run, node: str) -> NodeResult | None:
    """For a process that is to execute one node: how the node ends where the run was asked to end; else None."""
    if read_request(run.store, run.id) is None:
        return None
    run.cancelled.set()
    attempt = len(RunRecord(run.store, run.id).attempts(node)) + 1
    return run.end_node(NodeResult(node, Outcome.CANCELLED, attempt, reason="the run was cancelled", started=now()))


@contextmanager
def obeying(run: Run, *, interrupts: bool) -> Iterator[None]:
    """Look for a request to end the run while it is under way; then kill the steps that run.

    With ``interrupts`` the thread that called this is interrupted too, as Ctrl-C would, where it is the main thread:
    an inline step runs in it, and a scheduler waits in it. In any other thread the run ends once its step does.
    """
    is_over, lock = threading.Event(), threading.Lock()
    is_main = threading.current_thread() is threading.main_thread()

    def watch() -> None:
        while not is_over.wait(POLL_SECONDS):
            with suppress(StoreError):
                if read_request(run.store, run.id) is not None:
                    break
        with lock:
            if is_over.is_set():
                return
            run.cancelled.set()
            with suppress(HeadraceError):
                run.launcher.cancel()
            if interrupts and is_main:
                _interrupt_main()

    threading.Thread(target=watch, name=f"cancel {run.id}", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            is_over.set()


def _interrupt_main() -> None:
    """Raise `KeyboardInterrupt` in the main thread, by a signal that does so in this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.default_int_handler:
            signal.pthread_kill(threading.main_thread().ident or 0, number)
            return


def refuse_ended(record: RunRecord, end: Mapping[str, Any] | None) -> None:
    """Raise `RunError` for a run that has ended."""
    if end is not None:
        raise RunError(
            f"Run {record.id!r} has ended already: {end['outcome']}", hint=f"headrace show {record.id} says how"
        )


def _name(run_id: str) -> str:
    return f"{run_folder(run_id)}/cancel.json"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user} on {os.uname().nodename}"
