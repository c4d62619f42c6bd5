"""The engine's side of a batch: what the worker is told, and what its journal says afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.core.key import seed_of
from headrace.core.outcome import Outcome
from headrace.core.secret import Secret, scrub
from headrace.engine.attempt import AttemptEnd
from headrace.engine.attempts import secrets_in
from headrace.engine.batch import Batch, read_journal
from headrace.engine.records import Failure
from headrace.engine.request import Request
from headrace.engine.state import Run

Log = tuple[str, int, int]
"""A log by its name in the store, and the bytes in it that are an item's own."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt at an item ended."""

    index: int
    request: Request
    attempt: int
    end: AttemptEnd
    may_retry: bool
    started: str
    log: Log | None


def launch_batch(
    run: Run,
    node: str,
    items: Sequence[tuple[int, Request, int]],
    log: str,
    stop: Path | None,
    report: Callable[[float], None],
) -> list[Ended]:
    """Carry out items of a node, each given with its number of the attempt, one after the other in one worker.

    Those that are not in the answer have not begun. With a time limit each has a worker of its own, since a worker that
    takes too long is killed. ``log`` is the log's name in the store.
    """
    limit = items[0][1].spec.timeout_seconds
    if limit is not None and len(items) > 1:
        ends: list[Ended] = []
        for n_done, item in enumerate(items):
            if run.cancelled.is_set() or (stop is not None and stop.exists()):
                break
            report(n_done)
            ends += launch_batch(run, node, [item], log, stop, lambda _: None)
        return ends
    with run.store.scratch() as folder:
        return _Launch(run, node, items, log, folder).ends(stop, report)


class _Launch:
    """One call of a worker."""

    def __init__(self, run: Run, node: str, items: Sequence[tuple[int, Request, int]], log: str, folder: Path) -> None:
        self._run = run
        self._node = node
        self._items = {index: (request, attempt) for index, request, attempt in items}
        self._spec = items[0][1].spec
        self._log = log
        self._folder = folder
        trees = [tree for _, request, _ in items for tree in request.node.arguments.values()]
        self._secrets = [secret for tree in trees for secret in secrets_in(tree)]

    def ends(self, stop: Path | None, report: Callable[[float], None]) -> list[Ended]:
        journal = self._folder / "journal"
        raw = str(self._folder / "log") if self._secrets else str(self._run.store.stream_path(self._log))
        batch = Batch(
            self._common(), [self._told(index) for index in self._items], str(journal), str(stop) if stop else None
        )
        died = self._run.launcher.run_batch(
            batch, self._spec.cpus, self._spec.timeout_seconds, raw, lambda n_done, _, __: report(n_done)
        )
        begun: dict[int, Mapping[str, Any]] = {}
        ended: dict[int, Ended] = {}
        for entry in read_journal(journal):
            if "end" in entry:
                end = AttemptEnd.from_json(entry["end"])
                ended[entry["index"]] = self._ended(entry["index"], end, begun[entry["index"]]["begun"], entry["log"])
            else:
                begun[entry["index"]] = entry
        if died is not None:
            self._note_death(died, begun, ended)
        return [self._scrubbed(item, raw) for item in ended.values()] if self._secrets else list(ended.values())

    def _note_death(self, died: AttemptEnd, begun: Mapping[int, Mapping[str, Any]], ended: dict[int, Ended]) -> None:
        """The item at which the worker died ended so; where none had begun, the first to come."""
        if self._run.cancelled.is_set() and died.outcome is Outcome.CRASHED:
            died = replace(died, outcome=Outcome.CANCELLED, failure=Failure("Cancelled", "The run was cancelled"))
        culprit = next((index for index in begun if index not in ended), None)
        if culprit is None:
            culprit = next((index for index in self._items if index not in ended), None)
        if culprit is not None:
            entry = begun.get(culprit, {"begun": "", "log": 0})
            ended[culprit] = self._ended(culprit, died, entry["begun"], [entry["log"], -1])

    def _ended(self, index: int, end: AttemptEnd, started: str, log: Sequence[int]) -> Ended:
        request, attempt = self._items[index]
        may_retry = (
            end.failure is not None
            and end.failure.is_retryable
            and end.damaged is None
            and end.outcome is not Outcome.CANCELLED
            and attempt <= self._spec.retries
        )
        first, last = log
        own = (self._log, first, last) if last != first else None
        return Ended(index, request, attempt, end, may_retry, started, own)

    def _common(self) -> dict[str, Any]:
        run = self._run
        return {
            "target": run.plain_target,
            "parameters": run.parameters,
            "folder": run.folder,
            "store": run.store.url,
            "run_id": run.id,
            "step": run.plain_step(self._spec),
            "modules": self._modules(),
            "pins": run.pins,
            "imported": run.imported,
            "since": run.since if self._node in run.forced else "",
            "table_engine": run.table_engine,
        }

    def _modules(self) -> dict[str, Any]:
        names = {name for request, _ in self._items.values() for name in request.parts.code}
        codes = self._run.prepared.codes
        return {module: source for name in sorted(names) for module, source in codes[name].modules.items()}

    def _told(self, index: int) -> dict[str, Any]:
        request, attempt = self._items[index]
        own = {
            "node": request.node.id,
            "number": attempt,
            "key": request.key,
            "seed": seed_of(request.key),
            "arguments": request.node.arguments,
            "inputs": {name: artifact.to_json() for name, artifact in request.inputs.items()},
            "paths": request.paths,
        }
        return {"index": index, "attempt": own, "may_retry": attempt <= self._spec.retries}

    def _scrubbed(self, ended: Ended, raw: str) -> Ended:
        """What an item printed reaches the store once the secrets have been taken out of it."""
        log, end = ended.log, ended.end
        if log is not None:
            data = Path(raw).read_bytes()[log[1] : None if log[2] < 0 else log[2]]
            place = self._run.store.stream_path(self._log)
            first = place.stat().st_size if place.exists() else 0
            printed = scrub(data, self._secrets)
            with self._run.store.open_stream(self._log) as stream:
                stream.write(printed)
            log = (self._log, first, first + len(printed))
        if end.failure is not None:
            end = replace(end, failure=scrubbed_failure(end.failure, self._secrets))
        return replace(ended, end=end, log=log)


def scrubbed_failure(failure: Failure, secrets: Sequence[Secret]) -> Failure:
    """A failure without the secrets in its texts."""
    message, traceback = (scrub(text.encode(), secrets).decode() for text in (failure.message, failure.traceback))
    return replace(failure, message=message, traceback=traceback)
