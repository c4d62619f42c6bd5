"""Some items of a node that maps, carried out one after the other in one process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.discovery import Discovered, Recorder
from headrace.core.faults import fault_point
from headrace.core.outcome import Outcome
from headrace.engine.attempt import Attempt, AttemptEnd, Report, Workplace, make_ready, opened, run_attempt
from headrace.engine.records import now
from headrace.engine.target import Target

SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Batch:
    """What a worker must know of some items, as plain data.

    Attributes
    ----------
    common
        An `Attempt` without what is an item's own.
    items
        By item, in order: its index, what of the `Attempt` is its own, and whether it may be tried again.
    journal
        The file in which each item is noted when it begins and when it has ended.
    stop
        A file: once it is there, no further item begins. None where a failing item does not stop the others.
    """

    common: dict[str, Any]
    items: list[dict[str, Any]]
    journal: str
    stop: str | None


def run_batch_in_worker(request: Mapping[str, Any], report: Report) -> None:
    """Carry out a batch in a process made for it."""
    batch = Batch(**request)
    target = Target.from_json(batch.common["target"])
    store, workshop = opened(target.root, batch.common["store"])
    make_ready(target, batch.common["store"])
    common = batch.common
    workplace = Workplace(target, store, common["parameters"], common["folder"], workshop, {})
    # Importing is seen once: what it reads counts for all items. The first one's attempt fails with it, and says so.
    with Recorder(workplace.project, ignore=(store.cache_dir.parent,)) as recorder, suppress(Exception):
        workplace.function(common["step"])
    imported = recorder.snapshot(workplace.stamps, store.salt)
    common["imported"] = imported.to_json()
    run_batch(batch, workplace, _log_bytes, report)


def _log_bytes() -> int:
    """How much has been printed into this worker's log."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return os.fstat(1).st_size


def run_batch(batch: Batch, workplace: Workplace, log_bytes: Callable[[], int], report: Report) -> None:
    """Carry out the items in order; how each ended goes into the journal. ``report`` is told now and then how many."""
    journal = os.open(batch.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    common = batch.common
    told = time.monotonic()
    try:
        for n_done, item in enumerate(batch.items):
            if time.monotonic() - told > SECONDS_BETWEEN_REPORTS:
                told = time.monotonic()
                report(n_done, len(batch.items), "")
            if batch.stop is not None and os.path.exists(batch.stop):  # noqa: PTH110 - asked for each item
                return
            begin = log_bytes()
            _note(journal, {"index": item["index"], "begun": now(), "log": begin})
            fault_point("engine.item.begun")
            absent = [name for name in common["modules"] if name not in sys.modules]
            end = run_attempt(Attempt(**common, **item["attempt"]), workplace, _no_report)
            _note(journal, {"index": item["index"], "log": [begin, log_bytes()], "end": end.to_json()})
            if batch.stop is not None and (end.damaged is not None or _is_final(end, item)):
                Path(batch.stop).touch()
                return
            if end.outcome is Outcome.SUCCEEDED:
                common = _for_those_that_follow(common, absent, end)
    finally:
        os.close(journal)


def _for_those_that_follow(common: dict[str, Any], absent: list[str], end: AttemptEnd) -> dict[str, Any]:
    """What the next items are told, when one has ended well.

    A module of the project that was imported for it is there for the others, so what was read meanwhile counts for them
    too: what its import read can't be told from the rest. Modules that were compared with the plan's aren't again.
    """
    following = dict(common)
    if any(name in sys.modules for name in absent):
        known = Discovered.from_json(common["imported"]) if common["imported"] else Discovered()
        following["imported"] = known.merge(Discovered.from_json(end.discovered)).to_json()
    following["modules"] = {name: source for name, source in common["modules"].items() if name not in sys.modules}
    return following


def _no_report(done: float, total: float | None, message: str) -> None:
    """An item's own progress is not told: that of the list is."""


def _is_final(end: AttemptEnd, item: Mapping[str, Any]) -> bool:
    if end.failure is None:
        return False
    return not (end.failure.is_retryable and item["may_retry"])


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """What was noted, in order. The last line of a process that was killed may be cut short."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                yield json.loads(line)


def _note(journal: int, entry: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    while data:
        data = data[os.write(journal, data) :]
