"""What the engine writes into a store, and under which names.

::

    actions/ab/<key>.json               what a step made that read nothing but its arguments
    actions/ab/<key>/<variant>.json     what a step made that read more; variants differ in what that was
    runs/<id>/run.json                  the run: plan, parameters, pins; written once
    runs/<id>/nodes/<node>.<n>.json     one attempt of a node; written once
    runs/<id>/nodes/<node>.<n>.log      what the attempt printed
    runs/<id>/cancel.json               the request that it be ended; written once
    runs/<id>/items/<node>/<n>/…        of a node that maps: how its items ended, some hundred a record, and their logs
    runs/<id>/events.jsonl              everything that happened, in order
    runs/<id>/end.json                  how the run ended; written once, and durable
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.core.artifact import Artifact
from headrace.core.errors import RunError, StoreError, near_miss
from headrace.core.outcome import Outcome
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def action_names(store: Store, key: str) -> Iterator[str]:
    """The names under which actions of a key may be: the common one first, then the variants that there are."""
    yield f"actions/{key[:2]}/{key}.json"
    yield from list(store.list_records(f"actions/{key[:2]}/{key}"))


def run_folder(run_id: str) -> str:
    """Where a run is."""
    return f"runs/{run_id}"


def attempt_name(run_id: str, node: str, attempt: int, suffix: str = "json") -> str:
    """Where an attempt's record or log is."""
    return f"runs/{run_id}/nodes/{node}.{attempt}.{suffix}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as records keep it: its class, text, traceback, and the place in the user's code."""

    kind: str
    message: str
    traceback: str = ""
    where: str = ""
    is_retryable: bool = False

    def to_json(self) -> dict[str, Json]:
        """The form that records keep."""
        return {
            "kind": self.kind,
            "message": self.message,
            "traceback": self.traceback,
            "where": self.where,
            "is_retryable": self.is_retryable,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Failure | None:
        """Read the form that records keep."""
        return None if data is None else cls(**data)


@dataclass(frozen=True, slots=True)
class Action:
    """What a step made: its outputs, and what it was seen to read."""

    key: str
    outputs: Mapping[str, Artifact]
    discovered: Mapping[str, Json]
    created: str
    seconds: float
    run_id: str
    node: str

    @property
    def name(self) -> str:
        """The record's name: actions of one key differ in what was read."""
        folder = f"actions/{self.key[:2]}/{self.key}"
        return f"{folder}/{_digest(self.discovered)[:32]}.json" if any(self.discovered.values()) else f"{folder}.json"

    def to_json(self) -> bytes:
        """The record."""
        return dump(
            {
                "version": 1,
                "key": self.key,
                "outputs": {name: artifact.to_json() for name, artifact in self.outputs.items()},
                "discovered": self.discovered,
                "created": self.created,
                "seconds": self.seconds,
                "run": self.run_id,
                "node": self.node,
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> Action:
        """Read the record. Raises ``ValueError`` or ``KeyError`` for what is none."""
        data = json.loads(text)
        outputs = {name: Artifact.from_json(item) for name, item in data["outputs"].items()}
        return cls(
            data["key"], outputs, data["discovered"], data["created"], data["seconds"], data["run"], data["node"]
        )


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How a node ended in a run, and what it made."""

    node: str
    outcome: Outcome
    attempt: int = 1
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    key: str | None = None
    made_of: Mapping[str, Json] | None = None
    discovered: Mapping[str, Json] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str = ""
    started: str = ""
    seconds: float = 0.0
    items: Mapping[str, Json] | None = None
    """Of a node that maps: how many items there are, how they ended, and the first that failed."""

    def to_json(self) -> bytes:
        """The record."""
        return dump(
            {
                "version": 1,
                "node": self.node,
                "outcome": self.outcome.value,
                "attempt": self.attempt,
                "key": self.key,
                "reason": self.reason,
                "started": self.started,
                "seconds": round(self.seconds, 6),
                "outputs": {name: artifact.to_json() for name, artifact in self.outputs.items()},
                "made_of": self.made_of,
                "discovered": self.discovered,
                "failure": self.failure.to_json() if self.failure else None,
                **({"items": self.items} if self.items is not None else {}),
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> NodeResult:
        """Read the record."""
        data = json.loads(text)
        return cls(
            node=data["node"],
            outcome=Outcome(data["outcome"]),
            attempt=data["attempt"],
            outputs={name: Artifact.from_json(item) for name, item in data["outputs"].items()},
            key=data["key"],
            made_of=data["made_of"],
            discovered=data["discovered"],
            failure=Failure.from_json(data["failure"]),
            reason=data["reason"],
            started=data["started"],
            seconds=data["seconds"],
            items=data.get("items"),
        )


def dump(data: Mapping[str, Json]) -> bytes:
    """A record's bytes."""
    return json.dumps(data, separators=(",", ":")).encode()


def _digest(tree: Json) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RunRecord:
    """A run as its records tell it. Reads the store at each call: a run may be under way."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id

    @classmethod
    def find(cls, store: Store, run_id: str) -> RunRecord:
        """The run of that id, or the only one whose id begins or ends so; ``latest`` is the newest.

        Raises `RunError` when there is none, or more than one.
        """
        ids = run_ids(store)
        if run_id == "latest" and ids:
            return cls(store, ids[-1])
        if run_id in ids:
            return cls(store, run_id)
        matches = [known for known in ids if known.startswith(run_id) or known.endswith(run_id)]
        if len(matches) == 1:
            return cls(store, matches[0])
        if matches:
            shown = ", ".join(matches[-3:])
            raise RunError(f"{len(matches)} runs match {run_id!r}, such as {shown}", hint="give more of the id")
        hint = near_miss(run_id, ids[-50:]) if ids else "there are no runs in this store yet: headrace run PIPELINE"
        raise RunError(f"There is no run {run_id!r} in {store.url}", hint=hint)

    def has_begun(self) -> bool:
        """Whether there is a record of the run's begin."""
        return self.store.read_record(f"{run_folder(self.id)}/run.json") is not None

    def begin(self) -> dict[str, Any]:
        """The record that the run began with."""
        text = self.store.read_record(f"{run_folder(self.id)}/run.json")
        if text is None:
            raise RunError(f"Run {self.id!r} has no record of its begin", hint="list the runs: headrace runs")
        data: dict[str, Any] = json.loads(text)
        return data

    def end(self) -> dict[str, Any] | None:
        """The record of the run's end; None while it is under way, or when it was killed."""
        text = self.store.read_record(f"{run_folder(self.id)}/end.json")
        return None if text is None else json.loads(text)

    def attempts(self, node: str) -> list[NodeResult]:
        """The attempts of a node, the first first."""
        results: list[NodeResult] = []
        while (text := self.store.read_record(attempt_name(self.id, node, len(results) + 1))) is not None:
            results.append(NodeResult.from_json(text))
        return results

    def result(self, node: str) -> NodeResult | None:
        """The newest attempt of a node, or None."""
        attempts = self.attempts(node)
        return attempts[-1] if attempts else None

    def results(self) -> dict[str, NodeResult]:
        """The newest attempt of each node that has one."""
        newest: dict[str, tuple[int, str]] = {}
        for name in self.store.list_records(f"{run_folder(self.id)}/nodes"):
            node, number, _ = name.rsplit("/", 1)[1].rsplit(".", 2)
            if int(number) > newest.get(node, (0, ""))[0]:
                newest[node] = (int(number), name)
        found = {}
        for node, (_, name) in newest.items():
            text = self.store.read_record(name)
            if text is not None:
                found[node] = NodeResult.from_json(text)
        return found


def run_ids(store: Store) -> list[str]:
    """The ids of all runs, the oldest first: an id begins with its time."""
    return store_folders(store, "runs")


def store_folders(store: Store, prefix: str) -> list[str]:
    """The names of the folders right below a prefix."""
    return sorted({name.split("/", 2)[1] for name in store.list_records(prefix)})


def read_json_object(store: Store, digest: str) -> Any:
    """An object that holds JSON. Raises `StoreError` when it holds something else."""
    try:
        return json.loads(store.read_object(digest))
    except ValueError as error:
        raise StoreError(f"Object {digest[:12]} is not JSON: {error}") from error
