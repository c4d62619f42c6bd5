"""The chain of snapshots that a group has made of a stream: the truth about what was read. Records in the store.

::

    streams/<stream>/<snapshot>.<delivery>.json     written once, if absent, and fsynced

A snapshot is the messages of one range, from where its predecessor ended. Its first record is written after its tables
are in the store: by that it has *landed*, and only then the broker is told. A snapshot is *done* when a run that took
it has ended well. One that was landed by a run which then failed or was killed is delivered again, to the next run, as
the same snapshot: each run that takes it writes a record of its own, so no two take it at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.core.artifact import Artifact
from headrace.core.errors import DataError, StoreError
from headrace.core.outcome import RunOutcome
from headrace.core.values import Json
from headrace.engine.records import RunRecord
from headrace.engine.view import RUNNING, run_state
from headrace.steps.streams.protocol import Connection, Ends, Position, Stream, deleted, made_anew

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

FOLDER = "streams"
_NAME = re.compile(r"(\d+)\.(\d+)\.json")
WELL = (RunOutcome.SUCCEEDED.value, RunOutcome.REJECTED.value)


@dataclass(frozen=True)
class Pin:
    """What a run is to read: decided once, when it begins."""

    snapshot: int
    """The snapshot's number, from 1."""
    delivery: int
    """The how-manieth run takes it, from 1: the first reads it."""
    begin: Mapping[str, Position]
    until: Mapping[str, Position]
    """Up to where it may read; of a snapshot that has landed, up to where it goes."""
    incarnation: str = ""
    open_from: int = 1
    """All snapshots before this one are done."""
    gaps: tuple[str, ...] = ()
    """What was deleted before it could be read, in words."""
    is_news: bool = True
    """Whether it lands even if there is no message in it: it begins elsewhere than where its predecessor ended."""

    def to_json(self) -> dict[str, Any]:
        """The form in a run's record."""
        return {**asdict(self), "gaps": list(self.gaps)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pin:
        """Read that form."""
        return cls(**{**data, "gaps": tuple(data["gaps"])})


@dataclass(frozen=True)
class Landed:
    """A snapshot that is in the store, as the run that took it wrote it down."""

    snapshot: int
    delivery: int
    run: str
    node: str
    begin: Mapping[str, Position]
    end: Mapping[str, Position]
    incarnation: str
    open_from: int
    gaps: tuple[str, ...]
    settings: str
    """A digest of how messages were read into rows."""
    n_messages: int
    n_rows: int
    n_quarantined: int
    n_bytes: int
    table: Artifact
    quarantine: Artifact
    landed: str
    """When, UTC."""
    stream: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The record."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        own |= {"gaps": list(self.gaps), "table": self.table.to_json(), "quarantine": self.quarantine.to_json()}
        return json.dumps({"version": 1, **own}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Landed:
        """Read the record. Raises `StoreError` for something else: what was read is known from here alone."""
        try:
            data = json.loads(text)
            own = {name: data[name] for name in cls.__dataclass_fields__}
            own |= {"gaps": tuple(data["gaps"])}
            own |= {name: Artifact.from_json(data[name]) for name in ("table", "quarantine")}
            return cls(**own)
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"The record {where!r} of what was read of a stream can't be read: {error!r}",
                hint="it was changed by hand or written by a newer Headrace: restore it from a backup",
            ) from error

    @property
    def artifacts(self) -> tuple[Artifact, Artifact]:
        """The table and the quarantine."""
        return self.table, self.quarantine


class Chain:
    """A stream's snapshots in a store. Any number of processes may use it at once."""

    def __init__(self, store: Store, stream: Stream) -> None:
        self._store = store
        self._stream = stream
        self._folder = f"{FOLDER}/{stream.chain_name}"

    def record(self, snapshot: int, delivery: int) -> Landed | None:
        """One delivery of a snapshot; None where it hasn't been made."""
        name = self._name(snapshot, delivery)
        text = self._store.read_record(name)
        return None if text is None else Landed.from_json(text, name)

    def land(self, landed: Landed) -> bool:
        """Write a delivery down, surviving a power cut. False where another run was faster: nothing is written then."""
        name = self._name(landed.snapshot, landed.delivery)
        return self._store.create_record(name, landed.to_json(), durable=True)

    def last(self) -> Landed | None:
        """The newest snapshot, as it was delivered last."""
        newest = self._deliveries()
        return self._newest(max(newest)) if newest else None

    def snapshots(self) -> list[Landed]:
        """All snapshots in their order, each as it was delivered last."""
        return [self._newest(number) for number in sorted(self._deliveries())]

    def next_pin(self) -> Pin:
        """What a run that begins now is to read."""
        deliveries = self._deliveries()
        if not deliveries:
            return self._first_pin()
        last = self._newest(max(deliveries))
        open_from = last.open_from
        is_gapless = True
        for number in range(open_from, last.snapshot + 1):
            landed = last if number == last.snapshot else self._newest(number)
            state = self._state(landed)
            if state == "to do":
                return Pin(
                    landed.snapshot, landed.delivery + 1, landed.begin, landed.end, landed.incarnation, open_from
                )
            is_gapless = is_gapless and state == "done"
            open_from = number + 1 if is_gapless else open_from
        return self._following_pin(last, open_from)

    def _first_pin(self) -> Pin:
        with self._stream.open() as connection:
            ends = connection.partitions()
            begin = {name: end.first for name, end in ends.items()}
            if self._stream.begins_at == "latest":
                begin = {name: end.end for name, end in ends.items()}
            if self._stream.begins_at == "committed":
                begin |= {name: at for name, at in connection.committed().items() if name in ends}
                begin, gaps = self._without_gaps(connection, begin, ends)
            else:
                gaps = ()
            return Pin(1, 1, begin, _until(ends), connection.incarnation, 1, gaps)

    def _following_pin(self, last: Landed, open_from: int) -> Pin:
        with self._stream.open() as connection:
            ends = connection.partitions()
            if connection.incarnation != last.incarnation:
                raise made_anew(self._stream, f"it was {last.incarnation!r}, and is {connection.incarnation!r}")
            if gone := sorted(set(last.end) - set(ends)):
                raise made_anew(self._stream, f"partition {gone[0]!r} is gone")
            known = {name: last.end.get(name, connection.origin()) for name in ends}
            begin, gaps = self._without_gaps(connection, known, ends)
            is_news = dict(begin) != dict(last.end)
            return Pin(
                last.snapshot + 1, 1, begin, _until(ends), connection.incarnation, open_from, gaps, is_news=is_news
            )

    def _without_gaps(
        self, connection: Connection, known: Mapping[str, Position], ends: Mapping[str, Ends]
    ) -> tuple[dict[str, Position], tuple[str, ...]]:
        """Where to begin: where the group stood, or, where that is allowed, behind what was deleted since."""
        begin, gaps = dict(known), []
        for name, position in known.items():
            gap = connection.gap(name, position, ends[name])
            if gap is None:
                continue
            if not self._stream.skips_deleted:
                raise deleted(self._stream, name, gap)
            gaps.append(f"{gap} of partition {name!r}")
            begin[name] = ends[name].first
        return begin, tuple(gaps)

    def _state(self, landed: Landed) -> str:
        """Whether a snapshot is ``done``, in a run's ``hands``, or still ``to do``."""
        run = RunRecord(self._store, landed.run)
        if not run.has_begun():
            return "done"  # cleaned up, which happens to runs of long ago
        end = run.end()
        if end is not None:
            return "done" if end["outcome"] in WELL else "to do"
        return "hands" if run_state(self._store, landed.run, run.begin(), None) == RUNNING else "to do"

    def _newest(self, snapshot: int) -> Landed:
        delivery = self._deliveries()[snapshot]
        found = self.record(snapshot, delivery)
        if found is None:
            raise DataError(
                f"The record of snapshot {snapshot} of {self._stream} has gone while it was read",
                hint="nobody should delete records of streams while a run begins: run again",
            )
        return found

    def _deliveries(self) -> dict[int, int]:
        """The number of each snapshot, with that of its last delivery."""
        return self._known

    @cached_property
    def _known(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for name in self._store.list_records(self._folder):
            if match := _NAME.fullmatch(name.rpartition("/")[2]):
                snapshot, delivery = int(match[1]), int(match[2])
                found[snapshot] = max(delivery, found.get(snapshot, 0))
        return found

    def _name(self, snapshot: int, delivery: int) -> str:
        return f"{self._folder}/{snapshot:010d}.{delivery:03d}.json"


def _until(ends: Mapping[str, Ends]) -> dict[str, Position]:
    return {name: end.end for name, end in ends.items()}
