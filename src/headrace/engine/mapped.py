"""A node that maps, under way: which items are there already, the others in batches, and the lists that they make."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from headrace.core.outcome import Outcome
from headrace.engine.attempts import backoff_pause
from headrace.engine.batches import Ended, launch_batch
from headrace.engine.collected import Collected
from headrace.engine.events import NodeProgressed, NodeStarted
from headrace.engine.hits import find_result
from headrace.engine.item_records import (
    ROWS_A_RECORD,
    ItemResult,
    items_folder,
    read_rows,
    write_rows,
)
from headrace.engine.items import Items
from headrace.engine.records import NodeResult, RunRecord, now
from headrace.engine.request import Request
from headrace.engine.state import Run

MOST_PROGRESS_EVENTS = 200


class Mapped:
    """A node that maps, under way in this process. `examine` comes first, then `carry_out` from any threads, `collect`.

    ``request`` is the node's own, ``reason`` why its lists are not there already. Raises `DamagedObjectError` when a
    list that it maps over cannot be read.
    """

    def __init__(self, run: Run, request: Request, reason: str) -> None:
        self._run = run
        self._request = request
        self._node = request.node
        assert request.node.map is not None
        self._map = request.node.map
        self._reason = reason
        self._items = Items(run, request)
        self._attempt = len(RunRecord(run.store, run.id).attempts(self._node.id)) + 1
        self._folder = items_folder(run.id, self._node.id, self._attempt)
        self._lock = threading.Lock()
        self._has_ended = False
        self._settled: set[int] = set()
        self._reasons: dict[int, str] = {}
        self._damaged: str | None = None
        self._progress = Progress(run, self._node.id, self._items.n_items)
        self._started = now()
        self._began = time.perf_counter()
        self.stack = ExitStack()
        """What is given back at the end."""
        self._scratch = self.stack.enter_context(run.store.scratch())
        self._stop = self._scratch / "stop"

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return self._items.n_items

    def examine(self, indices: Iterable[int]) -> list[int]:
        """The items, of these, that must be computed. What is there already is recorded."""
        run = self._run
        run.emit(NodeStarted(self._node.id, self._attempt))
        misses: list[int] = []
        rows: list[ItemResult] = []
        reused = self._reused()
        for index in indices:
            if run.cancelled.is_set():
                break
            request = self._items.request(index)
            found = reused.get(request.key) or self._forced or find_result(run, request)
            if isinstance(found, str):
                self._reasons[index] = found
                misses.append(index)
            else:
                rows.append(self._row(request, index, found))
                if len(rows) >= ROWS_A_RECORD:
                    self._keep_hits(rows)
                    rows = []
        self._keep_hits(rows)
        return misses

    @property
    def _forced(self) -> str | None:
        """Why all items are computed whatever the store holds, or None."""
        return self._run.forced.get(self._node.id)

    def _reused(self) -> dict[str, NodeResult]:
        """For a step that is not cached, or forced: what the run that is resumed made, by key."""
        found: dict[str, NodeResult] = {}
        record = self._run.reuse if not self._request.spec.cache or self._forced else None
        while record is not None:
            for attempt in record.attempts(self._node.id):
                for row in read_rows(record.store, items_folder(record.id, self._node.id, attempt.attempt)):
                    if row.outcome.is_good:
                        found[row.key] = _reused_result(row, record.id)
            earlier = record.begin().get("resumes")
            record = RunRecord(record.store, earlier) if earlier else None
        return {key: result for key, result in found.items() if _is_whole(self._run, result)}

    def _keep_hits(self, rows: Sequence[ItemResult]) -> None:
        if rows:
            self._settled.update(row.index for row in rows)
            write_rows(self._run.store, self._folder, f"{rows[0].index:06d}-hits", rows)
            self._progress.settled(len(rows), 0)

    def _row(self, request: Request, index: int, found: NodeResult) -> ItemResult:
        return ItemResult(
            index=index,
            outcome=found.outcome,
            item=self._items.shown(request),
            key=request.key,
            outputs=found.outputs,
            discovered=found.discovered,
            reason=found.reason,
            started=found.started,
        )

    def batches(self, misses: Sequence[int]) -> list[Sequence[int]]:
        """The items that must be computed, as tasks."""
        return [misses[first:end] for first, end in self._map.slices(len(misses))]

    def carry_out(self, indices: Sequence[int]) -> None:
        """Bring some items to their end, and record how each ended. Those that never began leave no row."""
        run, spec = self._run, self._request.spec
        stem = f"{indices[0]:06d}-{indices[-1]:06d}"
        rows: list[ItemResult] = []
        tries = dict.fromkeys(indices, 1)
        waiting, again = list(indices), []
        while waiting and not self._is_stopped():
            ends = launch_batch(
                run,
                self._node.id,
                [(index, self._items.request(index), tries[index]) for index in waiting],
                f"{self._folder}/{stem}.log",
                self._stop if self._stops else None,
                lambda n_done: self._progress.under_way(stem, n_done),
            )
            for ended in ends:
                if ended.end.damaged is not None:
                    self._damaged = ended.end.damaged
                    self._stop.touch()
                elif ended.may_retry and not self._is_stopped():
                    tries[ended.index] += 1
                    again.append(ended.index)
                    continue
                elif ended.end.failure is not None and self._stops:
                    self._stop.touch()
                rows.append(self._ended_row(ended))
            begun = {ended.index for ended in ends}
            waiting = [index for index in waiting if index not in begun]
            if not waiting and again:
                pause = backoff_pause(spec.backoff_seconds, max(tries[index] for index in again) - 2)
                if run.cancelled.wait(pause):
                    break
                waiting, again = again, []
        self._settled.update(row.index for row in rows)
        write_rows(run.store, self._folder, f"{stem}-ran", rows)
        self._progress.settled(len(rows), sum(not row.outcome.is_good for row in rows), stem)

    @property
    def _stops(self) -> bool:
        return self._map.on_failure == "stop"

    def _is_stopped(self) -> bool:
        return self._run.cancelled.is_set() or self._stop.exists()

    def _ended_row(self, ended: Ended) -> ItemResult:
        request = ended.request
        return ItemResult(
            index=ended.index,
            outcome=ended.end.outcome,
            item=self._items.shown(request),
            key=request.key,
            attempt=ended.attempt,
            outputs=ended.end.outputs,
            discovered=ended.end.discovered,
            failure=ended.end.failure,
            reason=self._reasons.get(ended.index, ""),
            started=ended.started,
            seconds=ended.end.seconds,
            log=ended.log,
        )

    def take_end(self) -> bool:
        """Whether the caller is the first to come to the end: who is, collects."""
        with self._lock:
            has_ended, self._has_ended = self._has_ended, True
            return not has_ended

    @property
    def damaged(self) -> str | None:
        """An input that was found to be damaged, by its digest."""
        return self._damaged

    def summed_up(self) -> NodeResult:
        """How the items ended that were carried out here. Under an orchestrator the others have tasks of their own."""
        own = Collected(self._run, self._request, [self._folder], self.n_items, self._settled)
        return own.result(self._attempt, self._reason, self._started, time.perf_counter() - self._began, is_part=True)

    def collect(self, *, with_earlier: bool = False) -> tuple[NodeResult, str | None]:
        """Make the lists of what the items made, and record how the node ended; an input that must be made again.

        ``with_earlier``: what was carried out before the node was last collected counts too.
        """
        with self.stack:
            first = 1 if with_earlier else self._attempt
            folders = [items_folder(self._run.id, self._node.id, number) for number in range(first, self._attempt + 1)]
            collected = Collected(self._run, self._request, folders, self.n_items)
            result = collected.result(self._attempt, self._reason, self._started, time.perf_counter() - self._began)
            self._run.record(result)
            if self._damaged is None:
                self._run.tell(result)
            return result, self._damaged


class Progress:
    """Tells how many items have ended: at most some hundred times, however many there are. Thread-safe."""

    def __init__(self, run: Run, node: str, n_items: int) -> None:
        self._run = run
        self._node = node
        self._n_items = n_items
        self._lock = threading.Lock()
        self._n_settled = 0
        self._n_failed = 0
        self._under_way: dict[str, float] = {}
        self._n_told = 0.0

    def settled(self, n_items: int, n_failed: int, batch: str = "") -> None:
        """Some items have ended for good, and the batch with them."""
        with self._lock:
            self._under_way.pop(batch, None)
            self._n_settled += n_items
            self._n_failed += n_failed
            self._tell()

    def under_way(self, batch: str, n_done: float) -> None:
        """So many items of a batch have ended."""
        with self._lock:
            self._under_way[batch] = n_done
            self._tell()

    def _tell(self) -> None:
        done = self._n_settled + sum(self._under_way.values())
        is_end = self._n_settled == self._n_items != self._n_told
        if is_end or done - self._n_told >= self._n_items / MOST_PROGRESS_EVENTS:
            self._n_told = done
            failed = f", {self._n_failed} failed" if self._n_failed else ""
            self._run.emit(NodeProgressed(self._node, done, self._n_items, f"items{failed}"))


def _reused_result(row: ItemResult, run_id: str) -> NodeResult:
    return NodeResult("", Outcome.CACHED, outputs=row.outputs, reason=f"made by run {run_id}", started=now())


def _is_whole(run: Run, result: NodeResult) -> bool:
    files = [file for artifact in result.outputs.values() for file in artifact.files]
    return all(run.store.object_size(file.digest) == file.n_bytes for file in files)
