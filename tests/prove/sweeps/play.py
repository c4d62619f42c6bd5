"""A play: writers, and one or two who clean up, in an order drawn from a seed; and what must be true of its end."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from headrace.core.artifact import Artifact, StoredFile
from headrace.core.outcome import Outcome
from headrace.engine import attempt as attempts
from headrace.engine import hits
from headrace.engine.gc import BusyError, Collected, Collector, Policy
from headrace.engine.records import Action, NodeResult, attempt_name, dump, now
from headrace.engine.view import run_lease
from sweeps.turnstile import Actor, Killed, Turnstile
from sweeps.world import HOUR, Bucket, Folder, World, times_of

POLICY = Policy(n_newest=2, age_seconds=3 * 24 * HOUR, grace_seconds=24 * HOUR)
_LONGEST_CRITICAL = 0.8 * POLICY.grace_seconds
_PIPELINES = ("churn", "sales")
_NODES = ("load", "clean", "train")
_LONGEST_PAUSE = 60 * HOUR


class LostError(Exception):
    """Something is gone that a record names, or that a rule keeps; or something stayed that was to go."""


@dataclass
class Told:
    """What the writers know that they wrote, and when by the world's time."""

    records: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    """Actions, by when they were last written or reused by a writer that went on to record that."""
    runs: list[tuple[str, str]] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)


class Writer:
    """Runs pipelines as the engine does: reuses results, makes new ones, records what it did."""

    def __init__(self, world: World, told: Told, seed: int, number: int) -> None:
        self._world = world
        self._told = told
        self._chance = random.Random(seed * 1000 + number)
        self._number = number

    def __call__(self, actor: Actor) -> None:
        """Run some pipelines."""
        self._actor = actor
        self._store = self._world.open(actor)
        for number in range(self._chance.randint(1, 3)):
            self._run(f"run-{self._number}-{number}-{self._chance.randrange(10**6):06d}")
            if self._chance.random() < 0.3:
                self._register(number)

    def _run(self, run_id: str) -> None:
        pipeline = self._chance.choice(_PIPELINES)
        variant = self._chance.randrange(3)
        with self._store.lease(run_lease(run_id), wait_seconds=1.0):
            resumes = self._some_run() if self._chance.random() < 0.3 else None
            self._begin(run_id, pipeline, variant, resumes)
            for node in _NODES:
                self._node(run_id, node, sha256(f"{pipeline} {variant} {node}".encode()).hexdigest())
            if resumes is not None:
                self._take_over(run_id, resumes)
            outcome = self._chance.choice(("succeeded", "succeeded", "failed"))
            self._record(f"runs/{run_id}/end.json", dump({"outcome": outcome}), durable=True)

    def _begin(self, run_id: str, pipeline: str, variant: int, resumes: str | None) -> None:
        with self._critical():
            plan = self._store.add_bytes(f"plan of {pipeline} {variant}".encode())
            begin = {"pipeline": pipeline, "plan": plan.digest, "process": 1, "started": now(), "resumes": resumes}
            # A run's order is told by the time at which it began.
            begin["started"] = f"{2000 + len(self._told.runs)}-01-01T00:00:00.000+00:00"
            self._told.runs.append((run_id, pipeline))
            self._record(f"runs/{run_id}/run.json", dump(begin))
        with self._store.open_stream(f"runs/{run_id}/events.jsonl") as stream:
            stream.write(b"{}\n")

    def _node(self, run_id: str, node: str, key: str) -> None:
        name = f"actions/{key[:2]}/{key}.json"
        with self._critical():
            action = hits._read_action(self._store, name)
            if action is not None and attempts._is_there(action.outputs, self._store):
                self._told.did["hit"] += 1
                self._told.used[name] = self._world.passed
                return self._end(run_id, node, key, action.outputs, Outcome.CACHED)
        with self._critical():
            outputs = self._make(key)
            made = Action(key, outputs, {}, now(), 0.1, run_id, node)
            if not self._store.create_record(made.name, made.to_json()):
                outputs = attempts._winner(made, self._store)
            self._told.did["made"] += 1
            self._told.used[name] = self._world.passed
            return self._end(run_id, node, key, outputs, Outcome.SUCCEEDED)

    def _make(self, key: str) -> dict[str, Artifact]:
        """Outputs, of which some have the same bytes as other keys'."""
        files = []
        for number in range(2):
            shared = self._chance.random() < 0.3
            size = 100_000 if number and key < "4" else 200
            blob = self._store.add_bytes((("shared" if shared else key) * size)[: size + number].encode())
            files.append(StoredFile(f"part{number}", blob.digest, blob.n_bytes))
        return {"output": Artifact.of("json", 1, files, "builtins.int")}

    def _end(self, run_id: str, node: str, key: str, outputs: dict[str, Artifact], outcome: Outcome) -> None:
        self._record(attempt_name(run_id, node, 1), NodeResult(node, outcome, outputs=outputs, key=key).to_json())

    def _take_over(self, run_id: str, earlier: str) -> None:
        """What resuming does for a step that isn't cached: see `headrace.engine.hits._reused`."""
        name = attempt_name(earlier, "train", 1)
        with self._critical():
            text = self._store.read_record(name)
            if not text or self._store.reuse_record(name) is None:
                return
            outputs = NodeResult.from_json(text).outputs
            if attempts._is_there(outputs, self._store):
                self._told.did["taken over"] += 1
                self._end(run_id, "again", "0" * 64, dict(outputs), Outcome.CACHED)

    def _some_run(self) -> str | None:
        return self._chance.choice(self._told.runs)[0] if self._told.runs else None

    def _register(self, number: int) -> None:
        with self._critical():
            blob = self._store.add_bytes(f"model {self._chance.randrange(5)}".encode() * 50)
            record = dump({"name": "m", "model": {"files": [["model", blob.digest, blob.n_bytes]]}})
            self._record(f"registry/m/versions/{self._number}{number}.json", record, durable=True)

    def _record(self, name: str, data: bytes, *, durable: bool = False) -> None:
        self._store.write_record(name, data, durable=durable)
        self._told.records[name] = self._world.passed

    def _critical(self) -> Any:
        return _Critical(self._actor, self._world)


class _Critical:
    """From the first object of a step to the record that names it no more time passes than the grace."""

    def __init__(self, actor: Actor, world: World) -> None:
        self._actor, self._world = actor, world

    def __enter__(self) -> None:
        self._actor.deadline = self._world.passed + _LONGEST_CRITICAL

    def __exit__(self, *_: object) -> None:
        self._actor.deadline = float("inf")


@dataclass(frozen=True)
class Played:
    """What a play came to."""

    seed: int
    kind: str
    n_turns: int
    n_killed: int
    hours: float
    did: dict[str, int]
    n_collections: int
    n_swept: int
    n_left: int


def play(kind: str, folder: Path, seed: int) -> Played:
    """Play one interleaving to its end, clean up once more, and hold the store to what must be true.

    Raises `LostError`.
    """
    chance = random.Random(seed)
    world: World = Folder(folder) if kind == "folder" else Bucket(folder)
    told, collected = Told(), list[tuple[float, Collected]]()
    turnstile = Turnstile(chance, lambda: world.passed, world.pass_time)
    # What was there before: some runs, not all of which will be kept.
    for number in range(chance.randint(1, 3)):
        before = Turnstile(chance, lambda: world.passed, world.pass_time)
        before.add(f"before {number}", Writer(world, told, seed, 10 + number))
        before.play(0.0, 0.0)
        world.pass_time(chance.uniform(0.0, 120 * HOUR))
    for number in range(chance.randint(2, 4)):
        dies_at = chance.randrange(5, 250) if chance.random() < 0.4 else None
        turnstile.add(f"writer {number}", Writer(world, told, seed, number), dies_at=dies_at)
    for number in range(chance.randint(1, 3)):
        dies_at = chance.randrange(5, 400) if chance.random() < 0.4 else None
        turnstile.add(f"collector {number}", _collecting(world, collected), dies_at=dies_at)
    with times_of(world):
        turnstile.play(_LONGEST_PAUSE, 0.02)
        _must_be_whole(world)
        _must_be_kept(world, told)
        # Alone, when all that was being done is old.
        world.pass_time(POLICY.use_seconds + HOUR)
        kept = _to_keep(world, told)
        last = Collector(world.open(None), POLICY, wait_seconds=0).collect()
        _must_be_whole(world)
        left = _must_be_clean(world, told, kept)
    n_killed = sum(actor.is_dead for actor in turnstile.actors)
    n_swept = sum(found.went["objects"].n for _, found in [*collected, (0.0, last)])
    return Played(
        seed, kind, turnstile.n_turns, n_killed, round(world.passed / HOUR, 1), dict(told.did), len(collected) + 1,
        n_swept, left,
    )  # fmt: skip


def _collecting(world: World, collected: list[tuple[float, Collected]]) -> Any:
    def collect(actor: Actor) -> None:
        started = world.passed
        collector = Collector(world.open(actor), POLICY, wait_seconds=0)
        with suppress(BusyError):
            try:
                collected.append((started, collector.collect()))
            except Killed:
                actor.is_dead = True
                raise

    return collect


def _all_records(store: Any) -> dict[str, bytes]:
    names = [entry.name for entry in store.list_entries() if entry.name.endswith(".json")]
    return {name: store.read_record(name) or b"" for name in names}


def _digests_in(tree: Any) -> Iterator[tuple[str, int]]:
    """The objects that a record names: what the collector's own way of finding them is held against."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == "plan" and isinstance(value, str):
                yield value, -1
            elif name == "files":
                yield from ((digest, n_bytes) for _, digest, n_bytes in value)
            else:
                yield from _digests_in(value)


def _must_be_whole(world: World) -> None:
    """Every record that is there names objects that are there."""
    store = world.open(None)
    store.recover()
    for name, text in _all_records(store).items():
        for digest, n_bytes in _digests_in(json.loads(text or b"{}")):
            size = store.object_size(digest)
            if size is None or n_bytes not in (-1, size):
                raise LostError(f"{name} names {digest[:12]}, which is gone")


def _must_be_kept(world: World, told: Told) -> None:
    """What is younger than what the policy keeps is there: also by the strictest reading."""
    names = set(_all_records(world.open(None)))
    oldest = world.passed - POLICY.use_seconds
    for name, when in [*told.records.items(), *told.used.items()]:
        if (when >= oldest or name.startswith("registry/")) and name not in names:
            raise LostError(f"{name} is gone, {(world.passed - when) / HOUR:.1f} hours after it was used")
    for run_id in _newest(told, names):
        for name in told.records:
            if name.startswith(f"runs/{run_id}/") and name not in names:
                raise LostError(f"{name} of one of the newest runs is gone")


def _newest(told: Told, names: Collection[str]) -> set[str]:
    """The newest runs of each pipeline: those that wrote that they began, and may have been killed right then."""
    kept = set()
    begins = {*told.records, *names}
    for pipeline in _PIPELINES:
        begun = [run for run, of in told.runs if of == pipeline and f"runs/{run}/run.json" in begins]
        kept.update(begun[-POLICY.n_newest :])
    return kept


def _to_keep(world: World, told: Told) -> set[str]:
    """The runs that stay when nothing is young any more: the newest, and the newest success, of each pipeline."""
    records = _all_records(world.open(None))
    kept = _newest(told, records)
    for pipeline in _PIPELINES:
        good = [
            run
            for run, of in told.runs
            if of == pipeline
            and json.loads(records.get(f"runs/{run}/end.json") or b"{}").get("outcome") == "succeeded"
            and f"runs/{run}/run.json" in records
        ]
        kept.update(good[-1:])
    return kept


def _must_be_clean(world: World, told: Told, kept: set[str]) -> int:
    """Nothing is there but what a rule keeps and what that names. Returns how many objects there are."""
    store = world.open(None)
    records = _all_records(store)
    runs = {name.split("/")[1] for name in records if name.startswith("runs/")}
    resumed = {
        json.loads(records[f"runs/{run}/run.json"]).get("resumes") for run in runs if f"runs/{run}/run.json" in records
    }
    if not kept <= runs or not runs <= kept | resumed:
        raise LostError(f"of the runs {sorted(runs)} stayed, where {sorted(kept)} were to")
    text = b" ".join(text for name, text in records.items() if not name.startswith("actions/")).decode()
    for name in records:
        if name.startswith("actions/") and name.split("/")[2].removesuffix(".json") not in text:
            raise LostError(f"{name} stayed, which no run that is kept took")
    named = {digest for text in records.values() for digest, _ in _digests_in(json.loads(text or b"{}"))}
    there = set(store.list_objects())
    if there - named:
        raise LostError(f"{len(there - named)} objects stayed that nothing names")
    leftovers = [entry.name for entry in store.list_leftovers() if "gc" not in entry.name]
    if leftovers:
        raise LostError(f"left behind: {leftovers}")
    return len(there)
