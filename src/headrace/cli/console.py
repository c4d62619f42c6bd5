"""What shows a run's progress here: nothing, plain lines, or a live display."""

from __future__ import annotations

import sys
from typing import Protocol

from headrace.cli.plain import PlainConsole
from headrace.engine.events import Event


class Console(Protocol):
    """Shows events. It is told one at a time, from any thread; `close` is called once more at least, at the end."""

    run_id: str | None

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def open_console(*, is_quiet: bool, is_inline: bool, as_json: bool) -> Console:
    """The console for this terminal or file.

    Beside JSON on standard output, progress goes to standard error. A step that runs inline has the terminal to itself
    (a debugger needs it), so nothing is redrawn there.
    """
    stream = sys.stderr if as_json else sys.stdout
    return PlainConsole(stream, is_quiet=is_quiet)
