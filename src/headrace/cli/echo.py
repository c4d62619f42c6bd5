"""Prints what a step prints while it runs, for the log of an orchestrator's task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.engine.events import Event, NodeEnded, NodeRetried, NodeStarted
from headrace.engine.records import attempt_name

if TYPE_CHECKING:
    from headrace.cli.plain import PlainConsole
    from headrace.stores.protocol import Store

POLL_SECONDS = 0.2


class Echo:
    """A console that also prints the log of the attempt under way, a line at a time."""

    def __init__(self, console: PlainConsole, store: Store, run_id: str) -> None:
        self._console = console
        self._path: Callable[[str, int], Path] = lambda node, attempt: store.stream_path(
            attempt_name(run_id, node, attempt, "log")
        )
        self._tail: _Tail | None = None

    def __call__(self, event: Event) -> None:
        """Tell one event, after what was printed before it."""
        if isinstance(event, NodeRetried | NodeEnded) and self._tail is not None:
            self._tail.end()
            self._tail = None
        self._console(event)
        if isinstance(event, NodeStarted):
            self._tail = _Tail(self._path(event.node, event.attempt), self._console.write)


class _Tail:
    """Hands on a growing file, line by line, from a thread of its own."""

    def __init__(self, path: Path, write: Callable[[str], None]) -> None:
        self._path, self._write = path, write
        self._n_bytes, self._rest = 0, b""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="echo", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Hand on what is left."""
        self._is_over.set()
        self._thread.join()
        self._read()
        if self._rest:
            self._write(self._rest.decode(errors="replace"))

    def _follow(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self._read()

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._n_bytes)
                data = file.read()
        except FileNotFoundError:
            return
        self._n_bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line.decode(errors="replace"))
