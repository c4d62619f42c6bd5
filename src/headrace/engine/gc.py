"""Clean up a store: mark, remove old records, wait, mark again, sweep the objects that nothing names.

**What is kept.** A record of a run is kept with its run; a result (an action), by its last use or because a run that is
kept names its key; a checkpoint by its last writing. All else that a store holds (the registry, and whatever a later
Headrace writes) is kept. An object is kept if a record that is kept names its digest, *wherever* in it: what looks like
a digest counts as one, so that records of other versions, and damaged ones, keep what they name.

**Why nothing is lost beside others at work.** Whoever puts an object that is there makes it young, and whoever takes a
result over makes the record young (`Store.reuse_record`), each in one step with finding it there. Nothing that is young
is removed, and its age is looked at in the very step that removes it (`Store.remove_older`). So a result that is taken
over stays, and with it its objects; and what is being made is younger than the grace. Objects go last, by the records
that are there *then*. Ages are by the store's own clock.

Killed at any point, what is left is a store in which some of the old is gone: the next time goes on.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core.errors import StoreError
from headrace.engine.view import ID_WITH_TIME, RUNNING, run_state
from headrace.stores.names import is_record_name

if TYPE_CHECKING:
    from headrace.stores.protocol import Entry, Store

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
LEAST_GRACE_SECONDS = 12 * HOUR_SECONDS
"""Thrice the time for which something used isn't made young again. With less nobody may use the store meanwhile."""

_MOST_CLOCK_JUMP_SECONDS = 60.0
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_KEY = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class ClockError(StoreError):
    """The store's clock can't be trusted now."""


class BusyError(StoreError):
    """Somebody else is cleaning up, or works with the store while nobody may."""


@dataclass(frozen=True)
class Policy:
    """What is kept beside live runs, the registry, and the newest run of each pipeline and its newest success.

    Attributes
    ----------
    n_newest
        So many runs of each pipeline, the newest.
    age_seconds
        Runs that began or went on within this time, and results that were made or used within it.
    runs
        Ids of runs to keep.
    grace_seconds
        Nothing younger goes, whatever it is. Less than `LEAST_GRACE_SECONDS` is for when nobody uses the store.
    """

    n_newest: int = 20
    age_seconds: float = 30 * DAY_SECONDS
    runs: frozenset[str] = frozenset()
    grace_seconds: float = DAY_SECONDS

    @property
    def use_seconds(self) -> float:
        """The age from which a record that nothing keeps goes."""
        return max(self.age_seconds, self.grace_seconds)


class Amount(NamedTuple):
    """How many, and how many bytes together."""

    n: int = 0
    n_bytes: int = 0

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Amount:
        """Count entries."""
        sizes = [entry.n_bytes for entry in entries]
        return cls(len(sizes), sum(sizes))


@dataclass(frozen=True)
class Collected:
    """What went, or would go, and what stays.

    ``runs`` are the ids of the runs that went. ``went`` and ``stayed`` count by kind: ``runs`` (with all their records
    and logs), ``results``, ``checkpoints``, ``objects``, ``leftovers``.
    """

    runs: list[str]
    went: dict[str, Amount]
    stayed: dict[str, Amount]

    @property
    def n_bytes(self) -> int:
        """All that went."""
        return sum(amount.n_bytes for amount in self.went.values())


@dataclass
class _Run:
    """A run as its entries, its first and its last record tell it."""

    id: str
    entries: list[Entry] = field(default_factory=list)
    begin: Mapping[str, Any] = field(default_factory=dict)
    end: Mapping[str, Any] | None = None

    @property
    def pipeline(self) -> str:
        return str(self.begin.get("pipeline", ""))

    @property
    def changed(self) -> float:
        """When it last went on."""
        return max(entry.changed for entry in self.entries)

    @property
    def order(self) -> tuple[str, str]:
        """By when it began, as lists of runs are sorted."""
        if ID_WITH_TIME.match(self.id):
            return self.id, self.id
        try:
            return f"{datetime.fromisoformat(self.begin['started']):%Y%m%d-%H%M%S}", self.id
        except (KeyError, ValueError, TypeError):
            return "", self.id

    @property
    def has_ended_well(self) -> bool:
        return self.end is not None and self.end.get("outcome") == "succeeded"

    def is_under_way(self, store: Store) -> bool:
        """Whether its engine lives. Of a run that has no engine nothing but its records can be told."""
        if self.end is not None or self.begin.get("process") is None:
            return False
        return run_state(store, self.id, self.begin, self.end) == RUNNING


@dataclass
class _Listing:
    """Everything in a store but its objects, by what it belongs to."""

    runs: dict[str, _Run] = field(default_factory=dict)
    results: list[Entry] = field(default_factory=list)
    checkpoints: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> _Listing:
        """Sort entries."""
        found = cls()
        for entry in entries:
            first, _, rest = entry.name.partition("/")
            if first == "runs" and "/" in rest:
                run_id = rest.partition("/")[0]
                found.runs.setdefault(run_id, _Run(run_id)).entries.append(entry)
            elif first == "actions" and _KEY.search(rest):
                found.results.append(entry)
            elif first == "checkpoints":
                found.checkpoints.append(entry)
            else:
                found.others.append(entry)
        return found

    def all(self) -> Iterator[Entry]:
        """All entries, what is kept in any case first."""
        yield from self.others
        for run in self.runs.values():
            yield from run.entries
        yield from self.results
        yield from self.checkpoints


@dataclass(frozen=True)
class _Dead:
    """What no rule keeps."""

    runs: list[_Run]
    results: list[Entry]
    checkpoints: list[Entry]

    def entries(self) -> Iterator[Entry]:
        """All of it."""
        for run in self.runs:
            yield from run.entries
        yield from self.results
        yield from self.checkpoints


class Collector:
    """One cleaning of one store.

    Parameters
    ----------
    store
        The store.
    policy
        What is kept.
    wait_seconds
        The pause between the two markings, for what other machines' writes need until they are seen here.
    tell
        Is told what is going on, a few words at a time.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy | None = None,
        *,
        wait_seconds: float = 5.0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._store = store
        self._policy = policy or Policy()
        self._wait_seconds = wait_seconds
        self._tell = tell
        self._pool = ThreadPoolExecutor(store.n_at_once, thread_name_prefix="headrace-gc")
        self._known: dict[Entry, tuple[bytes, ...]] = {}
        self._digests: dict[bytes, bytes] = {}

    def look(self) -> Collected:
        """Say what would go now. Changes nothing."""
        with self._pool:
            now = self._store.clock()
            listing, dead = self._mark(now)
            gone = set(dead.entries())
            objects = list(self._store.list_entries("objects"))
            sweep = self._unnamed(objects, self._named(e for e in listing.all() if e not in gone), now)
            return _collected(listing, objects, gone, set(sweep), self._leftovers(now))

    def collect(self) -> Collected:
        """Clean up.

        Raises `BusyError` where another process is at it, or where the grace is short and a run is under way,
        `ClockError` where the store's clock jumps meanwhile, and what the store raises. Whatever it raises, nothing has
        gone that wasn't to go.
        """
        with self._pool, self._store.lease("gc") as lease:
            if not lease.acquired:
                raise BusyError(
                    f"The store is being cleaned up by {lease.holder or 'another process'}",
                    where=self._store.url,
                    hint="wait until that has ended",
                )
            return self._collect()

    def _collect(self) -> Collected:
        grace = self._policy.grace_seconds
        self._store.recover()
        now, started = self._store.clock(), time.monotonic()
        self._tell("looking at what is there")
        listing, dead = self._mark(now)
        self._refuse_users(listing, now)
        gone = self._remove_records(dead, now)
        self._tell(f"waiting {self._wait_seconds:g} s")
        self._pause(self._wait_seconds)
        self._tell("looking again")
        objects = list(self._store.list_entries("objects"))
        # Whatever record is there by now counts, decided or not; and what a listing that comes late doesn't show.
        records = {*self._store.list_entries(), *(entry for entry in listing.all() if entry not in gone)}
        sweep = self._unnamed(objects, self._named(records), now)
        self._refuse_jump(now, started)
        self._refuse_users(listing, now)
        self._tell(f"removing {len(sweep)} objects")
        swept = self._removed(sweep, now - grace)
        left = self._removed(self._leftovers(now), now - grace)
        return _collected(listing, objects, gone, swept, left)

    def _pause(self, seconds: float) -> None:
        """Wait between the two markings."""
        time.sleep(seconds)

    # Marking

    def _mark(self, now: float) -> tuple[_Listing, _Dead]:
        """What is there, and what of it no rule keeps. Reads every record: one that can't be read ends it all."""
        listing = _Listing.of(self._store.list_entries())
        self._refuse_damaged_registry(listing)
        self._read_ends(listing)
        kept = self._kept_runs(listing, now)
        keys = self._named(entry for run_id in kept for entry in listing.runs[run_id].entries)
        self._named(listing.all())
        oldest = now - self._policy.use_seconds
        return listing, _Dead(
            [run for run in listing.runs.values() if run.id not in kept],
            [e for e in listing.results if e.changed < oldest and _key_of(e) not in keys],
            [e for e in listing.checkpoints if e.changed < oldest],
        )

    def _refuse_damaged_registry(self, listing: _Listing) -> None:
        """A version whose record can't be read keeps its model's objects nowhere else."""
        for entry in listing.others:
            if entry.name.startswith("registry/") and entry.name.endswith(".json"):
                text = self._store.read_record(entry.name)
                if text is not None and _json(text) is None:
                    raise StoreError(
                        f"The registry's record {entry.name!r} can't be read, so nothing is removed",
                        where=self._store.url,
                        hint="restore it from a backup, or delete it if its model isn't needed",
                    )

    def _read_ends(self, listing: _Listing) -> None:
        """Read how each run began and ended."""

        def read(run: _Run) -> None:
            names = {entry.name for entry in run.entries}
            found = {}
            for part in ("run", "end"):
                name = f"runs/{run.id}/{part}.json"
                text = self._store.read_record(name) if name in names and is_record_name(name) else None
                found[part] = _json(text) if text is not None else None
            run.begin, run.end = found["run"] or {}, found["end"]

        list(self._pool.map(read, listing.runs.values()))

    def _kept_runs(self, listing: _Listing, now: float) -> set[str]:
        """The runs that a rule keeps, and those that a run under way may take from."""
        policy = self._policy
        of_pipeline: dict[str, list[_Run]] = {}
        # What has no first record is the rest of a run that was being removed, or whose disk lost power.
        for run in sorted(
            filter(lambda run: run.begin, listing.runs.values()), key=lambda run: run.order, reverse=True
        ):
            of_pipeline.setdefault(run.pipeline, []).append(run)
        kept = set(policy.runs)
        for runs in of_pipeline.values():
            kept.update(run.id for run in runs[: max(1, policy.n_newest)])
            kept.update(run.id for run in [run for run in runs if run.has_ended_well][:1])
        kept.update(run.id for run in listing.runs.values() if run.changed >= now - policy.use_seconds)
        for run in listing.runs.values():
            if run.end is None and (run.id in kept or run.is_under_way(self._store)):
                kept.add(run.id)
                kept.update(_resumed(listing.runs, run))
        return kept & listing.runs.keys()

    def _named(self, entries: Iterable[Entry]) -> set[bytes]:
        """All digests that records name. What was read for an entry before isn't read again."""
        records = [entry for entry in entries if entry.name.endswith(".json") and is_record_name(entry.name)]
        unknown = [entry for entry in records if entry not in self._known]
        for entry, digests in zip(unknown, self._pool.map(self._read_digests, unknown), strict=True):
            self._known[entry] = digests
        return {digest for entry in records for digest in self._known[entry]}

    def _read_digests(self, entry: Entry) -> tuple[bytes, ...]:
        found = _DIGEST.findall(self._store.read_record(entry.name) or b"")
        return tuple(self._digests.setdefault(digest, digest) for digest in found)

    def _unnamed(self, objects: Iterable[Entry], named: set[bytes], now: float) -> list[Entry]:
        """The objects that nothing names, and that are older than the grace."""
        oldest = now - self._policy.grace_seconds
        return [
            entry
            for entry in objects
            if entry.changed < oldest and _KEY.fullmatch(digest := entry.name[-64:]) and digest.encode() not in named
        ]

    def _leftovers(self, now: float) -> list[Entry]:
        oldest = now - self._policy.grace_seconds
        return [entry for entry in self._store.list_leftovers() if entry.changed < oldest]

    # Removing

    def _remove_records(self, dead: _Dead, now: float) -> set[Entry]:
        """Remove what no rule keeps, unless it has become young."""
        grace, oldest = now - self._policy.grace_seconds, now - self._policy.use_seconds
        runs = [run for run in dead.runs if self._is_still_dead(run, grace)]
        # A run without its first record is none: killed after this, nobody takes it for a whole one.
        first = {f"runs/{run.id}/run.json" for run in runs}
        entries = [entry for run in runs for entry in run.entries]
        gone = self._removed([entry for entry in entries if entry.name in first], grace)
        gone |= self._removed([entry for entry in entries if entry.name not in first], grace)
        return gone | self._removed(dead.results, oldest) | self._removed(dead.checkpoints, oldest)

    def _is_still_dead(self, run: _Run, grace: float) -> bool:
        """Nobody has gone on with it since it was looked at."""
        return all(entry.changed < grace for entry in self._store.list_entries(f"runs/{run.id}"))

    def _removed(self, entries: list[Entry], before: float) -> set[Entry]:
        by_name = {entry.name: entry for entry in entries}
        return {by_name[name] for name in self._store.remove_older(list(by_name), before)} if entries else set()

    # Refusing

    def _refuse_users(self, listing: _Listing, now: float) -> None:
        """With a short grace nobody may use the store meanwhile."""
        if self._policy.grace_seconds >= LEAST_GRACE_SECONDS:
            return
        for run in listing.runs.values():
            if run.is_under_way(self._store):
                raise BusyError(
                    f"Run {run.id!r} is under way, and a grace of {self._policy.grace_seconds / HOUR_SECONDS:g} hours "
                    f"is only for when nobody uses the store",
                    where=self._store.url,
                    hint=f"wait until it has ended, or give a grace of {LEAST_GRACE_SECONDS / HOUR_SECONDS:g} hours",
                )

    def _refuse_jump(self, now: float, started: float) -> None:
        """By a clock that jumps, the age of nothing is known."""
        jump = self._store.clock() - now - (time.monotonic() - started)
        if abs(jump) > _MOST_CLOCK_JUMP_SECONDS:
            raise ClockError(
                f"The store's clock jumped by {jump:.0f} seconds while it was cleaned up, so no object was removed",
                where=self._store.url,
                hint="set the clock of the machine that holds the store, then try again",
            )


def _resumed(runs: Mapping[str, _Run], run: _Run) -> Iterator[str]:
    """The runs that a run resumes, one after the other."""
    seen = {run.id}
    while (earlier := str(run.begin.get("resumes"))) in runs and earlier not in seen:
        seen.add(earlier)
        yield earlier
        run = runs[earlier]


def _collected(
    listing: _Listing, objects: list[Entry], gone: set[Entry], swept: Iterable[Entry], leftovers: Iterable[Entry]
) -> Collected:
    """Count what went and what stayed."""
    groups = {
        "results": listing.results,
        "checkpoints": listing.checkpoints,
        "objects": objects,
        "runs": [entry for run in listing.runs.values() for entry in run.entries],
    }
    gone = gone | set(swept)
    went = {kind: Amount.of(entry for entry in entries if entry in gone) for kind, entries in groups.items()}
    stayed = {kind: Amount.of(entry for entry in entries if entry not in gone) for kind, entries in groups.items()}
    runs = sorted(run.id for run in listing.runs.values() if gone.issuperset(run.entries))
    went["runs"] = went["runs"]._replace(n=len(runs))
    stayed["runs"] = stayed["runs"]._replace(n=len(listing.runs) - len(runs))
    went["leftovers"] = Amount.of(leftovers)
    return Collected(runs, went, stayed)


def _key_of(entry: Entry) -> bytes:
    found = _KEY.search(entry.name)
    assert found is not None
    return found[0].encode()


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
