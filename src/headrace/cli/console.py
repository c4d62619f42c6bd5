"""What shows a run's progress here: plain lines, or a live display."""

from __future__ import annotations

import os
import sys
import threading
from queue import Empty, SimpleQueue
from typing import Protocol

from headrace.cli.plain import PlainConsole
from headrace.engine.events import Event, RunStarted

TICK_SECONDS = 0.1


class Display(Protocol):
    """Shows events, one at a time and in order."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def tick(self) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Console:
    """Hands the engine's events to a display, which takes its time in a thread of its own.

    ``run_id`` is None until the run has begun. With ``in_turn`` the display is called right away, so that what a step
    prints in this very process stands where it belongs.
    """

    def __init__(self, display: Display, *, in_turn: bool = False) -> None:
        self.run_id: str | None = None
        self._display = display
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._in_turn = in_turn

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, RunStarted):
            self.run_id = event.run_id
            if not self._in_turn:
                self._thread = threading.Thread(target=self._work, name="headrace-console", daemon=True)
                self._thread.start()
        if self._in_turn:
            self._display(event)
        else:
            self._events.put(event)

    def close(self) -> None:
        """Show what is still to be shown, and leave the terminal as it was."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._events.put(None)
            thread.join()
        self._display.close()

    def _work(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=TICK_SECONDS)
            except Empty:
                self._display.tick()
                continue
            if event is None:
                return
            self._display(event)


def open_console(*, is_quiet: bool, is_inline: bool, as_json: bool) -> Console:
    """The console for this terminal or file.

    Beside JSON on standard output, progress goes to standard error. A step that runs inline has the terminal to itself
    (a debugger needs it), so nothing is redrawn there.
    """
    stream = sys.stderr if as_json else sys.stdout
    if is_quiet or is_inline or not stream.isatty() or os.environ.get("TERM") in (None, "", "dumb"):
        return Console(PlainConsole(stream, is_quiet=is_quiet), in_turn=is_inline)
    from headrace.cli.live import LiveDisplay

    return Console(LiveDisplay(stream))
