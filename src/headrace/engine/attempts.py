"""The attempts of a node: one after the other, until it works or may not be tried again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from headrace.core.forms import TAG
from headrace.core.key import seed_of
from headrace.core.outcome import Outcome
from headrace.core.secret import Secret, scrub
from headrace.core.values import Json
from headrace.engine.attempt import Attempt, AttemptEnd
from headrace.engine.events import NodeProgressed, NodeRetried, NodeStarted
from headrace.engine.records import Failure, NodeResult, RunRecord, attempt_name, now
from headrace.engine.request import Request
from headrace.engine.state import Run

LONGEST_PAUSE_SECONDS = 300.0


def run_attempts(run: Run, request: Request, reason: str) -> tuple[NodeResult, str | None]:
    """Try until it works, or may not be tried again."""
    spec = request.spec
    first = len(RunRecord(run.store, run.id).attempts(request.node.id)) + 1
    number = first
    while True:
        end, started = _one_attempt(run, request, number)
        result = _result_of(request, end, number, reason, started)
        run.record(result)
        if end.damaged is not None:
            return result, end.damaged
        may_retry = end.failure is not None and end.failure.is_retryable and number - first < spec.retries
        if not may_retry or end.outcome is Outcome.CANCELLED:
            run.tell(result)
            return result, None
        pause = backoff_pause(spec.backoff_seconds, number - first)
        assert end.failure is not None
        run.emit(NodeRetried(request.node.id, number, end.outcome.value, end.failure.message, pause))
        if run.cancelled.wait(pause):
            cancelled = NodeResult(
                request.node.id, Outcome.CANCELLED, number + 1, reason="the run was cancelled", started=now()
            )
            return run.end_node(cancelled), None
        number += 1


def backoff_pause(first_seconds: float, n_failed: int) -> float:
    """The pause after ``n_failed + 1`` failures: doubling, at most five minutes, less up to half by chance."""
    whole = min(LONGEST_PAUSE_SECONDS, first_seconds * 2.0 ** min(n_failed, 60))
    return whole * random.uniform(0.5, 1.0)


def _one_attempt(run: Run, request: Request, number: int) -> tuple[AttemptEnd, str]:
    run.emit(NodeStarted(request.node.id, number))
    started = now()
    secrets = [secret for tree in request.node.arguments.values() for secret in secrets_in(tree)]
    if secrets:
        end = _attempt_with_secrets(run, request, number, secrets)
    else:
        end = _launch(
            run, request, number, str(run.store.stream_path(attempt_name(run.id, request.node.id, number, "log")))
        )
    if run.cancelled.is_set() and end.outcome is Outcome.CRASHED:
        end = replace(end, outcome=Outcome.CANCELLED, failure=Failure("Cancelled", "The run was cancelled"))
    return end, started


def _launch(run: Run, request: Request, number: int, log: str) -> AttemptEnd:
    node, spec = request.node, request.spec
    attempt = Attempt(
        target=run.plain_target,
        parameters=run.parameters,
        folder=run.folder,
        store=run.store.url,
        run_id=run.id,
        node=node.id,
        number=number,
        key=request.key,
        seed=seed_of(request.key),
        step=run.plain_step(spec),
        arguments=node.arguments,
        inputs={name: artifact.to_json() for name, artifact in request.inputs.items()},
        modules=_modules(run, request),
        pins=run.pins,
        paths=request.paths,
        imported=run.imported,
        since=run.since if node.id in run.forced else "",
        table_engine=run.table_engine,
    )

    def report(done: float, total: float | None, message: str) -> None:
        run.emit(NodeProgressed(node.id, done, total, message))

    return run.launcher.run(attempt, spec.cpus, spec.timeout_seconds, log, report)


def _modules(run: Run, request: Request) -> Mapping[str, tuple[str, str]]:
    """The project modules that the key was made from: the step's, and those of the classes that its values name."""
    codes = [run.prepared.codes[name] for name in request.parts.code]
    return codes[0].modules if len(codes) == 1 else {k: v for code in codes for k, v in code.modules.items()}


def _attempt_with_secrets(run: Run, request: Request, number: int, secrets: list[Secret]) -> AttemptEnd:
    """Execute a step that is given secrets: its log reaches the store once they have been taken out of it."""
    with run.store.scratch() as folder:
        raw = folder / "log"
        raw.touch(mode=0o600)
        end = _launch(run, request, number, str(raw))
        printed = scrub(raw.read_bytes(), secrets)
    with run.store.open_stream(attempt_name(run.id, request.node.id, number, "log")) as log:
        log.write(printed)
    if end.failure is None:
        return end
    message, traceback = (
        scrub(text.encode(), secrets).decode() for text in (end.failure.message, end.failure.traceback)
    )
    return replace(end, failure=replace(end.failure, message=message, traceback=traceback))


def secrets_in(tree: Json) -> Iterator[Secret]:
    """The secrets that a value names."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) == "secret":
                yield Secret(item["name"])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _result_of(request: Request, end: AttemptEnd, number: int, reason: str, started: str) -> NodeResult:
    return NodeResult(
        request.node.id,
        end.outcome,
        attempt=number,
        outputs=end.outputs,
        key=request.key,
        made_of=request.parts.to_json(),
        discovered=end.discovered,
        failure=end.failure,
        reason=reason,
        started=started,
        seconds=end.seconds,
    )
