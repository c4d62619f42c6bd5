"""What happens in a run, told as it happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.core.errors import HeadraceError
from headrace.engine.records import now, run_folder

if TYPE_CHECKING:
    from typing import IO

    from headrace.engine.listeners import Messenger
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


@dataclass(frozen=True, slots=True)
class Warned:
    """Something went wrong beside the run, which goes on: a listener that fails, say. Listeners aren't told."""

    source: str
    message: str
    time: str = field(default_factory=now)


Event = RunStarted | NodeStarted | NodeProgressed | NodeRetried | NodeEnded | RunEnded | Warned
"""Everything that is told of a run."""

Display = Callable[[Event], None]
"""Shows a run here. Is told each event at once, in order, from any thread of the engine but one at a time."""


class JsonLines:
    """Writes each event into the run's ``events.jsonl``, a line each. There is no such file before the first."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._open = partial(store.open_stream, f"{run_folder(run_id)}/events.jsonl")
        self._stream: IO[bytes] | None = None

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._stream = self._stream or self._open()
        self._stream.write(json.dumps({"event": type(event).__name__, **asdict(event)}).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def read_events(store: Store, run_id: str, kind: type[Event]) -> Iterator[dict[str, Any]]:
    """The events of one kind in a run's own log, as their fields. A line that was cut short is passed over."""
    path = store.stream_path(f"{run_folder(run_id)}/events.jsonl")
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            if event.pop("event") == kind.__name__:
                yield event


def read_warnings(store: Store, run_id: str) -> Iterator[Warned]:
    """What a run warned of."""
    for event in read_events(store, run_id, Warned):
        yield Warned(event["source"], event["message"], event["time"])


class Announcer:
    """Tells each event to the run's own log, to what shows it here, and to the listeners.

    The log comes first, and what it raises (a full disk) ends the run. A display that raises is told no more. Listeners
    are only handed the event (see `headrace.engine.listeners`).
    """

    def __init__(
        self, log: JsonLines, display: Display | None, messengers: Iterable[Messenger], most_seconds: float
    ) -> None:
        self._log = log
        self._display = display
        self._messengers = tuple(messengers)
        self._most_seconds = most_seconds
        self._lock = threading.RLock()
        self._is_open = True
        for messenger in self._messengers:
            messenger.start(self.warn)

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        with self._lock:
            self._log(event)
            self._show(event)
            for messenger in self._messengers:
                messenger(event)

    def warn(self, source: str, message: str) -> None:
        """Tell here that something went wrong beside the run. A log that takes no more (a full disk) is passed over."""
        warning = Warned(source, message)
        with self._lock:
            if self._is_open:
                with suppress(HeadraceError):
                    self._log(warning)
                self._show(warning)

    def close(self) -> None:
        """Wait a bounded time for the listeners, and close the run's own log."""
        try:
            deadline = time.monotonic() + self._most_seconds
            for messenger in self._messengers:
                messenger.close()
            for messenger in self._messengers:
                messenger.wait(deadline)
        except KeyboardInterrupt:
            self.warn("listeners", "not waited for any longer: interrupted")
        finally:
            with self._lock:
                self._is_open = False
                self._log.close()

    def _show(self, event: Event) -> None:
        if self._display is None:
            return
        try:
            self._display(event)
        except Exception as error:  # noqa: BLE001 - what shows a run must not end it
            self._display = None
            self.warn("display", f"{type(error).__name__}: {error}")
