"""Tells people what goes wrong: by mail, and by a web hook such as Slack's.

Told is, as far as ``on`` says: a run's *failure*, once, at its end; the first *retry* of each step, ten times a run at
most; a *rejection* by a gate; a *recovery*, the first success after a run that failed, was rejected or was killed.
Where an orchestrator carries out a run, a step's failure is told at once by the process that carried it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from headrace.core.errors import HeadraceError, RunError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.engine.events import Event, NodeEnded, NodeRetried, RunEnded, RunStarted
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.records import RunRecord
from headrace.engine.view import ENDED_WITHOUT_A_WORD, RunView, known_runs, run_state
from headrace.integrations.notify_message import Message, Writer
from headrace.integrations.notify_settings import NotifySettings, read

MOST_RETRIES_TOLD = 10
OWN_FAILURES = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
BAD_ENDS = (RunOutcome.FAILED.value, RunOutcome.REJECTED.value, ENDED_WITHOUT_A_WORD)


class Notifier(Listener):
    """Tells people what goes wrong in a run."""

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._settings: NotifySettings = read(info.settings)
        self._writer = Writer(info, self._settings.secrets())
        self._retried: set[str] = set()
        self._has_checked = False
        self._is_under_way = False
        self._before: tuple[str, str] | None = None

    def __call__(self, event: Event) -> None:
        """Tell of one event, if it is one to tell of."""
        if isinstance(event, RunStarted) and self._info.node is None:
            self._is_under_way = True
            self._before = self._previous()  # while the steps run, since it takes a listing
        self._tell(self._message(event))

    def close(self) -> None:
        """Tell of a run that has no end: the engine itself couldn't go on."""
        if self._is_under_way and "failure" in self._settings.on:
            self._tell(self._writer.cut_short())

    def _tell(self, message: Message | None) -> None:
        problems = [*self._missing_secrets(), *(self._send(message) if message is not None else [])]
        if problems:
            raise HeadraceError("; ".join(problems))

    def _previous(self) -> tuple[str, str] | None:
        return previous_end(self._info) if "recovery" in self._settings.on else None

    def _message(self, event: Event) -> Message | None:
        if isinstance(event, NodeRetried):
            return self._of_retry(event)
        if isinstance(event, NodeEnded):
            is_ours = self._info.node is not None and Outcome(event.outcome) in OWN_FAILURES
            return self._of_failed_node(event) if is_ours and "failure" in self._settings.on else None
        return self._of_end(event) if isinstance(event, RunEnded) else None

    def _of_retry(self, event: NodeRetried) -> Message | None:
        if "retry" not in self._settings.on or event.node in self._retried:
            return None
        if len(self._retried) >= MOST_RETRIES_TOLD:
            return None
        self._retried.add(event.node)
        attempts = RunRecord(self._info.store, self._info.run_id).attempts(event.node)
        return self._writer.retry(event, next((item for item in attempts if item.attempt == event.attempt), None))

    def _of_failed_node(self, event: NodeEnded) -> Message | None:
        result = RunRecord(self._info.store, self._info.run_id).result(event.node)
        return self._writer.failed_node(result) if result is not None else None

    def _of_end(self, event: RunEnded) -> Message | None:
        on, writer = self._settings.on, self._writer
        before = self._before if self._is_under_way else self._previous()
        self._is_under_way = False
        if event.outcome == RunOutcome.FAILED and "failure" in on and self._info.node is None:
            return writer.failure(self._view(), event.outcome, event.seconds, event.counts)
        if event.outcome == RunOutcome.REJECTED and "rejection" in on:
            return writer.rejection(self._view(), event.seconds, event.counts)
        if event.outcome == RunOutcome.SUCCEEDED and before is not None and before[1] in BAD_ENDS:
            return writer.recovery(*before, event.seconds, event.counts)
        return None

    def _view(self) -> RunView:
        return RunView.read(self._info.store, self._info.run_id)

    def _missing_secrets(self) -> list[str]:
        """Say once which variables are named and not set."""
        if self._has_checked:
            return []
        self._has_checked = True
        missing = [name for name in self._settings.secrets() if not os.environ.get(name)]
        return [f"the variable {name} isn't set, so nobody is told that way" for name in missing]

    def _send(self, message: Message) -> list[str]:
        """Send it all ways, and give what went wrong."""
        from headrace.integrations.notify_channels import post, send_mail

        settings, seconds = self._settings, self._settings.timeout_seconds
        ways: list[Callable[[], None]] = []
        if settings.webhook is not None and os.environ.get(settings.webhook):
            variable = settings.webhook
            ways.append(lambda: post(message, variable, seconds))
        if settings.mail is not None and (settings.mail.password is None or os.environ.get(settings.mail.password)):
            mail = settings.mail
            ways.append(lambda: send_mail(message, mail, seconds))
        problems = []
        for way in ways:
            try:
                way()
            except HeadraceError as error:
                problems.append(error.message)
        return problems


def previous_end(info: RunInfo) -> tuple[str, str] | None:
    """The pipeline's run before this one that has ended otherwise than by a cancellation, and how; None without one."""
    ids = known_runs(info.store)
    for run_id in ids[ids.index(info.run_id) + 1 :] if info.run_id in ids else ids:
        record = RunRecord(info.store, run_id)
        try:
            begun = record.begin()
        except RunError:
            continue
        if begun.get("pipeline") != info.pipeline:
            continue
        state = run_state(info.store, run_id, begun, record.end())
        if state in (*BAD_ENDS, RunOutcome.SUCCEEDED.value):
            return run_id, state
    return None
