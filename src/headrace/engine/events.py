"""What happens in a run, told to listeners as it happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from headrace.engine.records import now, run_folder

if TYPE_CHECKING:
    from typing import IO

    from headrace.stores.protocol import Store


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began."""

    run_id: str
    pipeline: str
    n_nodes: int
    store: str
    time: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """An attempt of a node began."""

    node: str
    attempt: int
    time: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class NodeProgressed:
    """A step told how far it is: ``done`` of ``total`` units (None: not known)."""

    node: str
    done: float
    total: float | None
    message: str
    time: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class NodeRetried:
    """An attempt ended badly, and the next follows after a pause."""

    node: str
    attempt: int
    outcome: str
    message: str
    pause_seconds: float
    time: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class NodeEnded:
    """A node ended. ``reason`` says why it was not taken from the cache, or why it was skipped."""

    node: str
    outcome: str
    attempt: int
    seconds: float
    reason: str = ""
    message: str = ""
    where: str = ""
    n_bytes: int = 0
    time: str = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended."""

    run_id: str
    outcome: str
    seconds: float
    counts: dict[str, int]
    time: str = field(default_factory=now)


Event = RunStarted | NodeStarted | NodeProgressed | NodeRetried | NodeEnded | RunEnded
"""Everything a listener may be told."""

Listener = Callable[[Event], None]
"""Is told each event, in order, from any thread of the engine but one at a time. What it raises ends the run."""


class JsonLines:
    """Writes each event into the run's ``events.jsonl``, a line each."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._stream: IO[bytes] = store.open_stream(f"{run_folder(run_id)}/events.jsonl")

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._stream.write(json.dumps({"event": type(event).__name__, **asdict(event)}).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class Announcer:
    """Tells each event to the run's own log and to the listeners, one event at a time."""

    def __init__(self, log: JsonLines, listeners: Iterable[Listener]) -> None:
        self._log = log
        self._listeners: tuple[Listener, ...] = (log, *listeners)
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        with self._lock:
            for listener in self._listeners:
                listener(event)

    def close(self) -> None:
        """Close the run's own log."""
        self._log.close()
