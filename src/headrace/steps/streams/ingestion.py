"""Ingest from a stream: what has come since the last time becomes a snapshot, in which each message lands once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from headrace.core.artifact import Artifact
from headrace.core.context import RunContext, current_run
from headrace.core.errors import DataError, HeadraceError
from headrace.core.faults import fault_point
from headrace.core.step import step
from headrace.engine.exchange import load_artifact, save_value
from headrace.formats.table import Table
from headrace.steps.kinds import Kind
from headrace.steps.streams.chain import Chain, Landed, Pin
from headrace.steps.streams.decoding import Decoder, Decoding
from headrace.steps.streams.protocol import Stream, made_anew
from headrace.steps.streams.reading import Bounds, Reached, read_range

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

MOST_MESSAGES = 1_000_000
MOST_BYTES = 256 << 20
MOST_SECONDS = 300.0


class Streamed(NamedTuple):
    """What `ingest_stream` gives."""

    table: Table
    """A row for each message that could be read, by partition and then as they were sent."""
    quarantine: Table
    """The other messages, whole: ``source`` (topic and partition), ``position`` (offset or id), ``raw``, its
    ``encoding`` (text or base64), ``reason``."""
    has_rows: bool
    """Whether there is any row: for ``when=``."""


@step(cache=False, retries=2, backoff_seconds=1.0)
def ingest_stream(
    stream: Stream,
    *,
    columns: Mapping[str, Kind] | None = None,
    decode: Decoding = "json",
    positions: bool = False,
    max_messages: int = MOST_MESSAGES,
    max_bytes: int = MOST_BYTES,
    max_seconds: float = MOST_SECONDS,
    max_bad_rows: int | float | None = None,
) -> Streamed:
    """Read what has come to a stream since its group read it last, as a snapshot.

    Where a run begins and ends reading is decided when it begins and kept with it: what comes later is for the next
    run. A snapshot is landed (its tables and offsets are in the store, surviving a power cut) before the broker is told
    of the offsets. Killed anywhere and run again, each message is in one snapshot, and each snapshot is taken by one
    run that ends well: a run that begins after one that failed or was killed takes that one's snapshot again. Of two
    runs that begin at once and would read the same, one fails before anything of it has landed.

    A broker that can't be reached is tried again twice.

    In a plain call there is no run to keep offsets: it reads from where the first snapshot would begin, and leaves
    nothing behind.

    Parameters
    ----------
    stream
        `Kafka` or `RedisStream`: which topic, and as which group.
    columns
        The columns and their kinds, for JSON: each message is an object; a field that isn't there is missing, others
        are left out. Text is read as `ingest` reads it: stripped, empty is missing. Moments with an offset become UTC.
    decode
        ``"json"``, or ``"text"`` for one column ``value`` with messages as they are.
    positions
        Whether to add the columns ``_partition``, ``_offset``, ``_timestamp`` (UTC) and ``_key``.
    max_messages, max_bytes, max_seconds
        How much a snapshot holds at most, and how long it is read; the rest is for the next run. Partitions have even
        shares. One message is taken in any case. What is read is held in memory.
    max_bad_rows
        How many messages may be set aside: a number, or a share below 1; any by default. Where there are more, the step
        fails and nothing lands.

    Raises
    ------
    DataError
        The topic isn't there, isn't the one that was read so far, or has lost messages before they were read; another
        run is reading the same; a setting or a column's kind is wrong; more messages than ``max_bad_rows`` can't be
        read.
    TransientError
        The broker can't be reached.

    Examples
    --------
    In a pipeline: ``orders = ingest_stream(Kafka("orders", "broker:9092", group="churn"), columns={"id": "text"})``.
    """
    decoder = Decoder(stream, decode, columns, with_positions=positions)
    bounds = Bounds(max_messages, max_bytes, max_seconds)
    run = current_run()
    if run is None:
        return _looked_at(stream, decoder, bounds, max_bad_rows)
    pin = Pin.from_json(run.pin_of(stream))
    return _Snapshot(stream, run, pin, decoder).taken(bounds, max_bad_rows)


@dataclass(frozen=True)
class _Snapshot:
    """A snapshot that a run is to take."""

    stream: Stream
    run: RunContext
    pin: Pin
    decoder: Decoder

    def taken(self, bounds: Bounds, max_bad_rows: int | float | None) -> Streamed:
        """Land it, or take what has landed."""
        chain = Chain(self.run.store, self.stream)
        ours = chain.record(self.pin.snapshot, self.pin.delivery)
        if ours is not None:
            self._refuse_others(ours)
        before = ours or (chain.record(self.pin.snapshot, self.pin.delivery - 1) if self.pin.delivery > 1 else None)
        if before is not None and self._is_good(before):
            table, quarantine = before.artifacts
            landed = self._landed(Reached(dict(before.end), before.n_messages, before.n_bytes), table, quarantine)
            landed = _with_counts(landed, before.n_rows, before.n_quarantined)
        else:
            landed = self._read(before, bounds, max_bad_rows)
        if landed.n_messages or self.pin.is_news or dict(landed.end) != dict(self.pin.begin):
            if ours is None and not chain.land(landed):
                self._refuse_others(chain.record(landed.snapshot, landed.delivery))
            fault_point("streams.landed")
            self._tell_broker(chain)
        return _streamed(landed, self.run.store)

    def _read(self, before: Landed | None, bounds: Bounds, max_bad_rows: int | float | None) -> Landed:
        """Read it: within bounds the first time, and the very same range where that was done before."""
        begin, until = (before.begin, before.end) if before else (self.pin.begin, self.pin.until)
        with self.stream.open() as connection:
            if connection.incarnation != self.pin.incarnation:
                raise made_anew(self.stream, f"it was {self.pin.incarnation!r}, and is {connection.incarnation!r}")
            take = self.decoder.take
            reached = read_range(connection, begin, until, None if before else bounds, take, first=self.pin.snapshot)
        _refuse_too_many(self.decoder, reached.n_messages, max_bad_rows)
        store, table, quarantine = self.run.store, self.decoder.table(), self.decoder.quarantine()
        saved = [save_value(Table.of(frame), Table, store) for frame in (table, quarantine)]
        for artifact in saved:
            _make_durable(artifact, store)
        fault_point("streams.before_landing")
        return _with_counts(self._landed(reached, *saved), table.num_rows, quarantine.num_rows)

    def _landed(self, reached: Reached, table: Artifact, quarantine: Artifact) -> Landed:
        pin, stream = self.pin, self.stream
        return Landed(
            snapshot=pin.snapshot,
            delivery=pin.delivery,
            run=self.run.run_id,
            node=self.run.node,
            begin=pin.begin,
            end=reached.end,
            incarnation=pin.incarnation,
            open_from=pin.open_from,
            gaps=pin.gaps,
            settings=self.decoder.settings,
            n_messages=reached.n_messages,
            n_rows=0,
            n_quarantined=0,
            n_bytes=reached.n_bytes,
            table=table,
            quarantine=quarantine,
            landed=datetime.now(UTC).isoformat(),
            stream={"kind": stream.kind, "topic": stream.topic_name, "group": stream.reader_group},
        )

    def _is_good(self, landed: Landed) -> bool:
        """Whether what has landed can be taken as it is: whole, and read as this step reads."""
        store = self.run.store
        files = [file for artifact in landed.artifacts for file in artifact.files]
        is_whole = all(store.object_size(file.digest) == file.n_bytes for file in files)
        return is_whole and landed.settings == self.decoder.settings

    def _refuse_others(self, landed: Landed | None) -> None:
        """Raise where a snapshot is another run's, or another step's."""
        if landed is not None and (landed.run, landed.node) == (self.run.run_id, self.run.node):
            return
        by = "another run" if landed is None else f"run {landed.run!r} (step {landed.node!r})"
        raise DataError(
            f"Snapshot {self.pin.snapshot} of {self.stream} has been taken by {by} since this run began",
            hint="run again for what comes next; @pipeline(max_active_runs=1) keeps runs from meeting, and a second "
            "step that is to read the same messages needs another group=",
        )

    def _tell_broker(self, chain: Chain) -> None:
        """Let the broker show where the group stands. It is a mirror: where that fails, the run goes on."""
        last = Chain(self.run.store, self.stream).last()
        assert last is not None
        try:
            with self.stream.open() as connection:
                connection.commit(last.end)
        except HeadraceError as error:
            sys.stderr.write(
                f"The broker could not be told where {self.stream} stands, which changes nothing for the next run: "
                f"{error.message}\n"
            )
        fault_point("streams.committed")


def _with_counts(landed: Landed, n_rows: int, n_quarantined: int) -> Landed:
    return replace(landed, n_rows=n_rows, n_quarantined=n_quarantined)


def _streamed(landed: Landed, store: Store) -> Streamed:
    table, quarantine = (load_artifact(artifact, Table, store) for artifact in landed.artifacts)
    return Streamed(table, quarantine, landed.n_rows > 0)


def _looked_at(stream: Stream, decoder: Decoder, bounds: Bounds, max_bad_rows: int | float | None) -> Streamed:
    with stream.open() as connection:
        ends = connection.partitions()
        begin = {name: end.first for name, end in ends.items()}
        until = {name: end.end for name, end in ends.items()}
        reached = read_range(connection, until if stream.begins_at == "latest" else begin, until, bounds, decoder.take)
    _refuse_too_many(decoder, reached.n_messages, max_bad_rows)
    table = decoder.table()
    return Streamed(Table.of(table), Table.of(decoder.quarantine()), table.num_rows > 0)


def _refuse_too_many(decoder: Decoder, n_messages: int, most: int | float | None) -> None:
    if most is None:
        return
    if most < 0 or (isinstance(most, float) and most >= 1):
        raise DataError(
            f"max_bad_rows >= 0 must hold, and a share below 1, but got {most!r}", hint="give 100, or 0.01 for 1 %"
        )
    allowed = most * n_messages if isinstance(most, float) else most
    if decoder.n_bad > allowed:
        raise DataError(
            f"{decoder.n_bad} of {n_messages} messages can't be read, more than max_bad_rows={most!r} allows, such as "
            + "; ".join(decoder.reasons()),
            hint="nothing has landed: mend the declared columns, or allow more, and run again",
        )


def _make_durable(artifact: Artifact, store: Store) -> None:
    """Have a folder's store survive a power cut with these objects: their offsets will. A bucket does anyway."""
    if not store.url.startswith("/") and not store.url.startswith("file:"):
        return
    for file in artifact.files:
        path = store.open_object(file.digest, n_bytes=file.n_bytes)
        for place in (path, path.parent):
            fd = os.open(place, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
