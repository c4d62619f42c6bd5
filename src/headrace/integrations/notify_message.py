"""What people are told of a failure, a retry, a rejection, a recovery: as a mail's text, and as JSON for a hook."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.core.errors import StoreError
from headrace.core.forms import TAG
from headrace.core.secret import Secret, scrub
from headrace.engine.readable import stored_json
from headrace.engine.records import NodeResult, attempt_name
from headrace.engine.texts import clean, last_lines

if TYPE_CHECKING:
    from headrace.core.plan import Plan
    from headrace.engine.events import NodeRetried
    from headrace.engine.listeners import RunInfo
    from headrace.engine.view import RunView

LOG_LINES = 20
MOST_FAILURES = 5
MOST_LINE_CHARACTERS = 500
MOST_SUBJECT_CHARACTERS = 150


@dataclass(frozen=True, slots=True)
class Failed:
    """A node that failed: what is known of it."""

    node: str
    outcome: str
    attempt: int
    seconds: float
    error: str
    where: str
    log: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Tell it."""
        again = f" at attempt {self.attempt}" if self.attempt > 1 else ""
        where = f" ({self.where})" if self.where else ""
        yield f"step {self.node!r} {self.outcome}{again} after {self.seconds:.3g} s{where}"
        yield from (f"  {line}" for line in self.error.splitlines())
        if self.log:
            yield "the end of its log:"
            yield from (f"  {line}" for line in self.log)

    def to_json(self) -> dict[str, Any]:
        """Tell it to a program."""
        return {
            "node": self.node,
            "outcome": self.outcome,
            "attempt": self.attempt,
            "seconds": self.seconds,
            "error": self.error,
            "where": self.where,
            "log": list(self.log),
        }


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell people. ``kind`` is failure, retry, rejection or recovery."""

    kind: str
    run_id: str
    pipeline: str
    headline: str
    store: str
    host: str
    failed: tuple[Failed, ...] = ()
    details: tuple[str, ...] = ()
    resume: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The mail's subject: one line, safe to show."""
        text = clean(self.headline).replace("\n", " ")
        return f"[headrace] {text}"[:MOST_SUBJECT_CHARACTERS]

    def text(self) -> str:
        """The whole of it for people."""
        parts = [[self.headline], *[list(failed.lines()) for failed in self.failed], list(self.details)]
        if self.resume:
            parts.append(["what succeeded is kept; go on with:", f"  {self.resume}"])
        parts.append([f"run {self.run_id} in {self.store} on {self.host}"])
        return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """The whole of it for a web hook: ``text`` as Slack takes it, and all facts under ``headrace``."""
        facts = {
            "kind": self.kind,
            "run": self.run_id,
            "pipeline": self.pipeline,
            "headline": self.headline,
            "failed": [failed.to_json() for failed in self.failed],
            "details": list(self.details),
            "resume": self.resume,
            "store": self.store,
            "host": self.host,
            **self.extra,
        }
        return {"text": _slack(self.headline, self.text()), "headrace": facts}


def _slack(headline: str, text: str) -> str:
    """Text in which nothing of a log is taken for markup, so that no log can call a whole channel."""
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        headline, text = headline.replace(sign, name), text.replace(sign, name)
    rest = text.partition("\n\n")[2].replace("```", "'''")
    return f"*{headline}*\n```\n{rest}```"


class Writer:
    """Writes messages about a run. Nothing in them holds a secret that the plan or the settings name."""

    def __init__(self, info: RunInfo, secrets: Iterable[str]) -> None:
        self._info = info
        self._secrets = [*map(Secret, secrets), *secrets_in(info.plan)]

    def failure(self, view: RunView, outcome: str, seconds: float, counts: Mapping[str, int]) -> Message:
        """A run that failed."""
        failures = view.failures()
        shown = tuple(map(self._failed, failures[:MOST_FAILURES]))
        more = len(failures) - len(shown)
        details = (f"{more} more steps failed: headrace show {view.id}",) if more else ()
        return self._message("failure", f"{self._counted(outcome, seconds, counts)}", shown, details, self._again())

    def cut_short(self) -> Message:
        """A run whose engine couldn't go on: a full disk, say."""
        details = ("its own output says why: a full disk, a store out of reach",)
        headline = f"{self._info.pipeline} was cut short: the engine couldn't go on"
        return self._message("failure", headline, details=details, resume=self._again())

    def failed_node(self, result: NodeResult) -> Message:
        """A node that failed in a process of its own, for an orchestrator."""
        headline = f"{self._info.pipeline}: step {result.node!r} {result.outcome}"
        again = "have the orchestrator carry out this task again"
        return self._message("failure", headline, (self._failed(result),), (again,))

    def retry(self, event: NodeRetried, result: NodeResult | None) -> Message:
        """An attempt that failed and is followed by another."""
        pause = f"{event.pause_seconds:.3g} s"
        headline = f"{self._info.pipeline}: step {event.node!r} {event.outcome} and is tried again in {pause}"
        return self._message("retry", headline, (self._failed(result),) if result is not None else ())

    def rejection(self, view: RunView, seconds: float, counts: Mapping[str, int]) -> Message:
        """A run in which a gate said no."""
        gates = view.rejections()
        details = [line for gate in gates for line in (f"rejected by {gate!r}:", *_reasons(view, gate))]
        details.append(f"look at it: headrace show {view.id} --store {shlex.quote(view.store.url)}")
        return self._message(
            "rejection",
            self._counted("was rejected", seconds, counts),
            details=tuple(map(self._scrubbed, details)),
            extra={"rejected_by": gates},
        )

    def recovery(self, before: str, state: str, seconds: float, counts: Mapping[str, int]) -> Message:
        """A run that succeeded after one that had not."""
        headline = f"{self._info.pipeline} succeeds again"
        details = (f"{self._counted('succeeded', seconds, counts)}; run {before} before it: {state}",)
        return self._message("recovery", headline, details=details, extra={"previous": before})

    def _counted(self, ended: str, seconds: float, counts: Mapping[str, int]) -> str:
        numbers = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        return f"{self._info.pipeline} {ended} after {seconds:.3g} s: {numbers}"

    def _again(self) -> str:
        return f"headrace resume {self._info.run_id} --store {shlex.quote(self._info.store.url)}"

    def _failed(self, result: NodeResult) -> Failed:
        log = self._info.store.stream_path(attempt_name(self._info.run_id, result.node, result.attempt, "log"))
        failure = result.failure
        return Failed(
            result.node,
            str(result.outcome),
            result.attempt,
            result.seconds,
            self._scrubbed(clean(failure.message).strip()) if failure else "",
            failure.where if failure else "",
            tuple(self._scrubbed(line)[:MOST_LINE_CHARACTERS] for line in last_lines(log, LOG_LINES)),
        )

    def _message(
        self,
        kind: str,
        headline: str,
        failed: tuple[Failed, ...] = (),
        details: tuple[str, ...] = (),
        resume: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> Message:
        info = self._info
        return Message(
            kind,
            info.run_id,
            info.pipeline,
            headline,
            info.store.url,
            socket.gethostname(),
            failed,
            details,
            resume,
            extra or {},
        )

    def _scrubbed(self, text: str) -> str:
        return scrub(text.encode(errors="replace"), self._secrets).decode(errors="replace")


def _reasons(view: RunView, gate: str) -> Iterator[str]:
    """What a gate looked at and found wanting, where it says so as `headrace.steps.gating` does."""
    artifact = view.results[gate].outputs.get("reasons")
    try:
        value = stored_json(view.store, artifact) if artifact is not None else None
    except StoreError:
        return
    for reason in value[0] if value is not None and isinstance(value[0], list) else ():
        if isinstance(reason, dict) and not reason.get("passed", True):
            note = f" ({reason['note']})" if reason.get("note") else ""
            yield f"  {reason.get('rule')}: {reason.get('value')}{note}"


def secrets_in(plan: Plan) -> list[Secret]:
    """The secrets that a plan's arguments name."""
    found: dict[str, Secret] = {}
    waiting: list[Any] = [tree for node in plan.nodes for tree in node.arguments.values()]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "secret":
                found[item["name"]] = Secret(item["name"])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return list(found.values())
