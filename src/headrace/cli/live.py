"""A run's progress on a terminal: finished steps scroll by, and those that run stand below, with their time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from headrace.cli.plain import MOST_NODES_TOLD_ONE_BY_ONE, QUIET_OUTCOMES, describe_warning
from headrace.cli.reasons import Reasons
from headrace.core.outcome import Outcome
from headrace.engine.events import Event, NodeEnded, NodeProgressed, NodeRetried, NodeStarted, RunStarted, Warned
from headrace.reports.texts import count, duration, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SHOWN_AFTER_SECONDS = 0.2
MOST_SHOWN = 10
BAR_CHARACTERS = 20
MARKS = {
    Outcome.SUCCEEDED: ("✓", "+", "green"),
    Outcome.CACHED: ("=", "=", "cyan"),
    Outcome.SKIPPED: ("–", "-", "dim"),
    Outcome.UPSTREAM_FAILED: ("·", ".", "dim"),
    Outcome.CANCELLED: ("■", "#", "yellow"),
}
FAILED_MARK = ("✗", "x", "red")
CODES = {"green": "32", "cyan": "36", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}

Piece = tuple[str, str]
"""A text and the name of its style, or no name."""


@dataclass
class Running:
    """A step that runs."""

    started: float
    attempt: int
    done: float | None = None
    total: float | None = None
    message: str = ""


class LiveDisplay:
    """Draws with rich, which is loaded only once a step has run for a moment: a run of hits needs none of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._has_colour = not os.environ.get("NO_COLOR")
        self._marks = _can_write(stream, "✓✗–·■━")
        self._live: Live | None = None
        self._running: dict[str, Running] = {}
        self._reasons: Reasons | None = None
        self._n_nodes = 0
        self._n_ended = 0
        self._started = time.monotonic()
        self._width = 12

    def __call__(self, event: Event) -> None:
        """Show one event."""
        handle: Callable[[Event], None] | None = getattr(self, f"_on_{type(event).__name__}", None)
        if handle is not None:
            handle(event)

    def tick(self) -> None:
        """Draw the steps that run, as they are now."""
        oldest = min((running.started for running in self._running.values()), default=None)
        if self._live is None and oldest is not None and time.monotonic() - oldest > SHOWN_AFTER_SECONDS:
            self._open()
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)

    def close(self) -> None:
        """Take the steps that run off the terminal."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, no_color=not self._has_colour, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    # events

    def _on_RunStarted(self, event: RunStarted) -> None:  # noqa: N802 - named after the event
        self._n_nodes = event.n_nodes
        self._reasons = Reasons(event, most_nodes=MOST_NODES_TOLD_ONE_BY_ONE)
        title = f"{event.pipeline}"
        self._write([(title, "bold"), (f"  run {event.run_id}, {count(event.n_nodes, 'step')}", "dim")])

    def _on_NodeStarted(self, event: NodeStarted) -> None:  # noqa: N802
        self._running[event.node] = Running(time.monotonic(), event.attempt)
        self._width = max(self._width, min(len(event.node), 32))

    def _on_NodeProgressed(self, event: NodeProgressed) -> None:  # noqa: N802
        running = self._running.get(event.node)
        if running is not None:
            running.done, running.total, running.message = event.done, event.total, event.message

    def _on_NodeRetried(self, event: NodeRetried) -> None:  # noqa: N802
        self._running.pop(event.node, None)
        text = f"attempt {event.attempt} {event.outcome}, next in {duration(event.pause_seconds)}"
        self._write(self._line("↻" if self._marks else "~", "yellow", event.node, text, one_line(event.message)))

    def _on_Warned(self, event: Warned) -> None:  # noqa: N802
        self._write([("warning: ", "yellow"), (describe_warning(event), "")])

    def _on_NodeEnded(self, event: NodeEnded) -> None:  # noqa: N802
        self._running.pop(event.node, None)
        self._n_ended += 1
        outcome = Outcome(event.outcome)
        is_quiet = outcome in QUIET_OUTCOMES
        if is_quiet and self._n_nodes > MOST_NODES_TOLD_ONE_BY_ONE:
            return
        self._width = max(self._width, min(len(event.node), 32))
        fine, ascii_mark, style = MARKS.get(outcome, FAILED_MARK)
        took = "" if is_quiet else duration(event.seconds)
        why = f"{event.where} {event.message}".strip() if event.message else self._why(event)
        ended = f"{event.outcome:<10}{took:>8}"
        self._write(self._line(fine if self._marks else ascii_mark, style, event.node, ended, why))

    def _why(self, event: NodeEnded) -> str:
        return self._reasons.why(event) if self._reasons is not None else event.reason

    # drawing

    def _line(self, mark: str, style: str, node: str, ended: str, why: str) -> list[Piece]:
        name = node if len(node) <= self._width else f"{node[: self._width - 1]}…"
        room = max(20, shutil.get_terminal_size().columns - self._width - len(ended) - 8)
        return [(mark, style), (f" {name:<{self._width}}  ", ""), (f"{ended}  ", style), (one_line(why, room), "dim")]

    def _write(self, pieces: Iterable[Piece]) -> None:
        if self._live is not None:
            from rich.text import Text

            line = Text(no_wrap=True, overflow="ellipsis")
            for text, style in pieces:
                line.append(text, style=style if self._has_colour else "")
            self._live.update(self._drawn())  # else what ended would stand below its own end
            self._live.console.print(line)
            return
        if self._stream is None:
            return
        try:
            self._stream.write("".join(self._coloured(text, style) for text, style in pieces).rstrip() + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None  # the terminal is gone; the run is not

    def _coloured(self, text: str, style: str) -> str:
        return f"\x1b[{CODES[style]}m{text}\x1b[0m" if style and self._has_colour else text

    def _drawn(self) -> RenderableType:
        from rich.text import Text

        now = time.monotonic()
        block = Text(no_wrap=True, overflow="ellipsis")
        shown = list(self._running.items())[:MOST_SHOWN]
        for node, running in shown:
            again = f" (attempt {running.attempt})" if running.attempt > 1 else ""
            block.append(f"  {node:<{self._width}}  {duration_running(now - running.started):>8}{again}")
            block.append(f"  {self._progress(running)}\n", style="dim" if self._has_colour else "")
        more = f", {len(self._running) - len(shown)} more running" if len(self._running) > len(shown) else ""
        total = duration_running(now - self._started)
        block.append(f"  {self._n_ended} of {count(self._n_nodes, 'step')} in {total}{more}")
        return block

    def _progress(self, running: Running) -> str:
        if running.done is None:
            return ""
        if running.total is None or running.total <= 0:
            return one_line(f"{running.done:g} {running.message}")
        share = min(1.0, max(0.0, running.done / running.total))
        full = round(BAR_CHARACTERS * share)
        bar = ("━" * full + " " * (BAR_CHARACTERS - full)) if self._marks else ""
        return one_line(f"{bar} {running.done:g} of {running.total:g} {running.message}")


def duration_running(seconds: float) -> str:
    """A time that runs, to the second where it is long: it would flicker otherwise."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _can_write(stream: TextIO, characters: str) -> bool:
    try:
        characters.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
