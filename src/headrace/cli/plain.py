"""A run's progress as plain lines: for files, other programs, and a debugger's terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from headrace.cli.reasons import Reasons
from headrace.core.outcome import Outcome
from headrace.engine.events import (
    Event,
    NodeEnded,
    NodeProgressed,
    NodeRetried,
    NodeStarted,
    RunStarted,
    Warned,
)
from headrace.reports.texts import clean, count, duration, one_line

MOST_NODES_TOLD_ONE_BY_ONE = 60
PROGRESS_EVERY_SECONDS = 10.0
QUIET_OUTCOMES = (Outcome.CACHED, Outcome.SKIPPED, Outcome.UPSTREAM_FAILED)


class PlainConsole:
    """Writes a line for each event worth telling: in a large pipeline, only for those that went wrong.

    A reader who goes away does not end the run: it goes on unseen.
    """

    def __init__(self, stream: TextIO, *, is_quiet: bool = False) -> None:
        self._stream: TextIO | None = stream
        self._is_quiet = is_quiet
        self._is_brief = is_quiet
        self._told: dict[str, float] = {}
        self._reasons: Reasons | None = None
        self.has_told_an_end = False

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        handle: Callable[[Event], None] | None = getattr(self, f"_on_{type(event).__name__}", None)
        if handle is not None:
            handle(event)

    def tick(self) -> None:
        """Nothing is redrawn."""

    def close(self) -> None:
        """Nothing is held."""

    def write(self, line: str) -> None:
        """Write one line, if anyone still reads."""
        if self._stream is None:
            return
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def _on_RunStarted(self, event: RunStarted) -> None:  # noqa: N802 - named after the event
        self._reasons = Reasons(event, most_nodes=MOST_NODES_TOLD_ONE_BY_ONE)
        self._is_brief = self._is_quiet or event.n_nodes > MOST_NODES_TOLD_ONE_BY_ONE
        if not self._is_quiet:
            self.write(f"run {event.run_id} of {event.pipeline!r}: {count(event.n_nodes, 'step')}")

    def _on_NodeStarted(self, event: NodeStarted) -> None:  # noqa: N802
        if not self._is_brief:
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            self.write(f"{event.node}: started{again}")

    def _on_NodeProgressed(self, event: NodeProgressed) -> None:  # noqa: N802
        now = time.monotonic()
        if self._is_brief or now - self._told.setdefault(event.node, now) < PROGRESS_EVERY_SECONDS:
            return
        self._told[event.node] = now
        self.write(f"{event.node}: {describe_progress(event)}")

    def _on_NodeRetried(self, event: NodeRetried) -> None:  # noqa: N802
        if not self._is_quiet:
            self.write(
                f"{event.node}: attempt {event.attempt} {event.outcome} ({one_line(event.message)}), "
                f"next in {duration(event.pause_seconds)}"
            )

    def _on_Warned(self, event: Warned) -> None:  # noqa: N802
        self.write(f"warning: {describe_warning(event)}")

    def _on_NodeEnded(self, event: NodeEnded) -> None:  # noqa: N802
        self.has_told_an_end = True
        outcome = Outcome(event.outcome)
        if self._is_brief and not (outcome.is_failure and outcome is not Outcome.UPSTREAM_FAILED):
            return
        why = self._reasons.why(event) if self._reasons is not None else event.reason
        self.write(f"{event.node}: {describe_end(event, why)}")


def describe_warning(event: Warned) -> str:
    """What went wrong beside the run, on one line: the error's text and its hint."""
    return clean(f"{event.source}: {event.message}").replace("\n", " ")


def describe_progress(event: NodeProgressed) -> str:
    """How far a step is: ``3 of 10 folds``, ``30 %``."""
    if event.total is None:
        text = f"{event.done:g} {event.message}"
    else:
        text = f"{event.done:g} of {event.total:g} {event.message}"
    return one_line(text)


def describe_end(event: NodeEnded, why: str) -> str:
    """How a node ended: its outcome, seconds, and why."""
    outcome = Outcome(event.outcome)
    seconds = "" if outcome in QUIET_OUTCOMES else f" in {duration(event.seconds)}"
    if event.message:
        place = f" ({event.where})" if event.where else ""
        return f"{outcome}{seconds}: {one_line(event.message)}{place}"
    reason = f" ({one_line(why)})" if why else ""
    return f"{outcome}{seconds}{reason}"
