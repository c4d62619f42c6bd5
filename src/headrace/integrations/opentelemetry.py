"""OpenTelemetry: one trace a run, one span an attempt of a node, and metrics, sent by OTLP over HTTP.

Switched on by the standard variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin), off by ``OTEL_SDK_DISABLED``. Names
follow the semantic conventions for CI/CD pipelines, exceptions and code; what they have no name for begins with
``headrace.``. A trace that the environment hands over (``TRACEPARENT``) is continued. Else the ids of the trace and of
its root are made from the run's, so that the processes of one run, each for one node, tell of one trace.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import headrace
from headrace.core.errors import HeadraceError, RunError, TransientError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.core.plan import Node
from headrace.engine.events import Event, NodeEnded, NodeRetried, NodeStarted, RunEnded, RunStarted
from headrace.engine.listeners import Listener, RunInfo, without_secrets
from headrace.engine.records import NodeResult, RunRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Span

MOST_KEPT_SPANS = 512
METRICS_EVERY_SECONDS = 60.0
TIMEOUT_SECONDS = 3.0
"""How long the collector may take, all retries included, where the environment says nothing: a run waits for it."""
MOST_CHARACTERS = 4_000
SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 43200]
RESULTS: Mapping[str, str] = {
    Outcome.SUCCEEDED: "success",
    Outcome.CACHED: "success",
    Outcome.SKIPPED: "skip",
    Outcome.FAILED: "failure",
    Outcome.TIMED_OUT: "timeout",
    Outcome.CRASHED: "error",
    Outcome.OUT_OF_MEMORY: "error",
    Outcome.CANCELLED: "cancellation",
    Outcome.UPSTREAM_FAILED: "skip",
    RunOutcome.REJECTED: "failure",
}
"""Outcomes as the conventions call them."""
GOOD = ("success", "skip", "cancellation")


class Telemetry(Listener):
    """Tells of a run by spans and metrics."""

    def __init__(self, info: RunInfo) -> None:
        logger = logging.getLogger("opentelemetry")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # what can't be sent is this listener's warning, once
        resource = _resource()
        self._traces = _Traces(info, resource) if _is_sent("TRACES") else None
        self._metrics = _Metrics(info, resource) if _is_sent("METRICS") else None
        self._info = info

    def __call__(self, event: Event) -> None:
        """Tell of one event."""
        result = self._failed(event)
        for signal in (self._traces, self._metrics):
            if signal is not None:
                signal.tell(event, result)

    def idle(self) -> None:
        """Send what has ended, so that a trace can be watched while a long step runs."""
        for signal in (self._traces, self._metrics):
            if signal is not None:
                signal.idle()

    def close(self) -> None:
        """Send the rest."""
        problems = []
        for signal in (self._traces, self._metrics):
            try:
                if signal is not None:
                    signal.close()
            except HeadraceError as error:
                problems.append(error.message)
        if problems:
            raise TransientError("; ".join(problems), hint="is the collector up? see OTEL_EXPORTER_OTLP_ENDPOINT")

    def _failed(self, event: Event) -> NodeResult | None:
        """The record of an attempt that failed, for its error."""
        if not isinstance(event, NodeRetried | NodeEnded) or not Outcome(event.outcome).is_failure:
            return None
        attempts = RunRecord(self._info.store, self._info.run_id).attempts(event.node)
        return next((item for item in attempts if item.attempt == event.attempt), None)


class _Traces:
    """One trace a run."""

    def __init__(self, info: RunInfo, resource: Resource) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        kept: list[ReadableSpan] = []

        class Keep(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                if span.context is not None and span.context.trace_flags.sampled:
                    kept.append(span)

        class Ids(RandomIdGenerator):
            """Gives the run's own ids to the span that begins next, where they are set."""

            trace: int | None = None
            span: int | None = None

            def generate_trace_id(self) -> int:
                found, self.trace = self.trace, None
                return found if found is not None else super().generate_trace_id()

            def generate_span_id(self) -> int:
                found, self.span = self.span, None
                return found if found is not None else super().generate_span_id()

        self._info = info
        self._kept = kept
        self._exporter = OTLPSpanExporter(timeout=_timeout("TRACES"))
        self._ids = Ids()
        self._provider: TracerProvider = TracerProvider(
            resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(Keep())
        self._tracer = self._provider.get_tracer("headrace", headrace.__version__)
        self._outer = _handed_over()
        self._trace_id, self._root_id = _own_ids(info)
        self._root: Span | None = None
        self._open: dict[str, Span] = {}

    def tell(self, event: Event, result: NodeResult | None) -> None:
        if isinstance(event, RunStarted) and self._info.node is None:
            self._root = self._begin_root(event.time)
        elif isinstance(event, NodeStarted):
            self._open[event.node] = self._begin(event.node, event.attempt, event.time)
        elif isinstance(event, NodeRetried | NodeEnded):
            span = self._open.pop(event.node, None) or self._begin(event.node, event.attempt, event.time)
            _end_node(span, event, result)
        elif isinstance(event, RunEnded):
            self._end_root(event)
        if len(self._kept) >= MOST_KEPT_SPANS:
            self._send()

    def idle(self) -> None:
        self._send()

    def close(self) -> None:
        """What is still open was cut short."""
        for span in [*self._open.values(), *([self._root] if self._root is not None else [])]:
            _fail(span, "interrupted", "the run was cut short")
            span.end()
        self._open.clear()
        self._root = None
        self._send()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _begin_root(self, stamp: str) -> Span:
        from opentelemetry.trace import SpanKind

        self._ids.trace, self._ids.span = self._trace_id, self._root_id
        plan = self._info.plan
        attributes: dict[str, str | int] = {
            "cicd.pipeline.name": self._info.pipeline,
            "cicd.pipeline.run.id": self._info.run_id,
            "cicd.pipeline.action.name": "RUN",
            "headrace.store": without_secrets(self._info.store.url),
            "headrace.n_nodes": len(plan.nodes),
        }
        name = f"RUN {self._info.pipeline}"
        begun = _nanoseconds(stamp)
        return self._tracer.start_span(name, self._outer, kind=SpanKind.SERVER, attributes=attributes, start_time=begun)

    def _end_root(self, event: RunEnded) -> None:
        """End the root; where another process began the run, it is told of only now."""
        root, self._root = self._root, None
        if root is None:
            root = self._begin_root(RunRecord(self._info.store, self._info.run_id).begin()["started"])
        result = RESULTS[event.outcome]
        root.set_attributes({"cicd.pipeline.result": result, "headrace.outcome": event.outcome})
        if result not in GOOD:
            _fail(root, event.outcome, f"the run {_verb(event.outcome)}")
        root.end(_nanoseconds(event.time))

    def _begin(self, node_id: str, attempt: int, stamp: str) -> Span:
        from opentelemetry.trace import SpanKind

        node = self._info.plan.by_id[node_id]
        spec = self._info.plan.step_of(node)
        attributes: dict[str, str | int] = {
            "cicd.pipeline.name": self._info.pipeline,
            "cicd.pipeline.task.name": node_id,
            "cicd.pipeline.task.run.id": f"{self._info.run_id}/{node_id}.{attempt}",
            "code.function.name": f"{spec.module}.{spec.name}",
            "code.file.path": spec.file,
            "code.line.number": spec.line,
            "headrace.attempt": attempt,
        }
        return self._tracer.start_span(
            f"RUN {node_id}",
            self._parent(),
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            start_time=_nanoseconds(stamp),
        )

    def _parent(self) -> Context | None:
        """The run's root; in a process for one node, what the orchestrator handed over, else the root that will be."""
        from opentelemetry import trace

        if self._root is not None:
            return trace.set_span_in_context(self._root)
        if self._outer is not None:
            return self._outer
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        context = trace.SpanContext(self._trace_id, self._root_id, is_remote=True, trace_flags=flags)
        return trace.set_span_in_context(trace.NonRecordingSpan(context))

    def _send(self) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        while self._kept:
            batch = self._kept[:MOST_KEPT_SPANS]
            del self._kept[:MOST_KEPT_SPANS]
            if self._exporter.export(batch) is not SpanExportResult.SUCCESS:
                raise TransientError(f"{len(batch)} spans couldn't be sent")


class _Metrics:
    """How long runs and attempts take, and how they end. Labels are bounded: pipelines, steps and outcomes."""

    def __init__(self, info: RunInfo, resource: Resource) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

        failed: list[str] = []

        class Exporter(OTLPMetricExporter):
            """Notes what could not be sent."""

            def export(self, *arguments: Any, **options: Any) -> MetricExportResult:
                result = super().export(*arguments, **options)
                if result is not MetricExportResult.SUCCESS:
                    failed.append("metrics couldn't be sent")
                return result

        self._info = info
        self._problems = failed
        self._sent = time.monotonic()
        reader = PeriodicExportingMetricReader(
            Exporter(timeout=_timeout("METRICS")), export_interval_millis=float("inf")
        )
        self._provider: MeterProvider = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("headrace", headrace.__version__)
        self._runs = meter.create_histogram(
            "cicd.pipeline.run.duration", "s", "Duration of a run", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._errors = meter.create_counter("cicd.pipeline.run.errors", "{error}", "Errors in runs")
        self._tasks = meter.create_histogram(
            "headrace.task.duration", "s", "Duration of an attempt", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._outcomes = meter.create_counter("headrace.task.outcomes", "{task}", "How nodes ended")
        self._retries = meter.create_counter(
            "headrace.task.retries", "{retry}", "Attempts that were followed by another"
        )

    def tell(self, event: Event, result: NodeResult | None) -> None:
        pipeline = {"cicd.pipeline.name": self._info.pipeline}
        if isinstance(event, NodeRetried | NodeEnded):
            step = {**pipeline, "cicd.pipeline.task.name": self._step(event.node)}
            if isinstance(event, NodeRetried):
                self._retries.add(1, step)
            else:
                self._outcomes.add(1, {**step, "headrace.outcome": event.outcome})
            seconds = event.seconds if isinstance(event, NodeEnded) else result.seconds if result is not None else 0.0
            if event.outcome not in (Outcome.CACHED, Outcome.SKIPPED, Outcome.UPSTREAM_FAILED, Outcome.CANCELLED):
                self._tasks.record(seconds, {**step, "cicd.pipeline.task.run.result": RESULTS[event.outcome]})
            if RESULTS[event.outcome] not in GOOD:
                self._errors.add(1, {**pipeline, "error.type": _error_type(event.outcome, result)})
        elif isinstance(event, RunEnded):
            ended = {"cicd.pipeline.run.state": "executing", "cicd.pipeline.result": RESULTS[event.outcome]}
            bad = {} if RESULTS[event.outcome] in GOOD else {"error.type": event.outcome}
            self._runs.record(event.seconds, {**pipeline, **ended, **bad})

    def idle(self) -> None:
        if time.monotonic() - self._sent > METRICS_EVERY_SECONDS:
            self._sent = time.monotonic()
            self._provider.force_flush()
            self._check()

    def close(self) -> None:
        self._provider.force_flush()  # a reader without an interval doesn't collect when it is shut down
        self._provider.shutdown()
        self._check()

    def _step(self, node_id: str) -> str:
        node: Node = self._info.plan.by_id[node_id]
        return self._info.plan.step_of(node).name

    def _check(self) -> None:
        if self._problems:
            problem = self._problems[0]
            self._problems.clear()
            raise TransientError(problem)


def _end_node(span: Span, event: NodeRetried | NodeEnded, result: NodeResult | None) -> None:
    ended = RESULTS[event.outcome]
    span.set_attributes({"cicd.pipeline.task.run.result": ended, "headrace.outcome": event.outcome})
    if isinstance(event, NodeEnded):
        span.set_attribute("headrace.output.n_bytes", event.n_bytes)
        if event.reason:
            span.set_attribute("headrace.reason", event.reason)
    stamp = _nanoseconds(event.time)
    if ended not in GOOD:
        failure = result.failure if result is not None else None
        if failure is not None:
            facts = {"exception.type": failure.kind, "exception.message": failure.message}
            if failure.traceback:
                facts["exception.stacktrace"] = failure.traceback
            span.add_event("exception", {name: text[-MOST_CHARACTERS:] for name, text in facts.items()}, stamp)
        _fail(span, _error_type(event.outcome, result), event.message)
    span.end(stamp)


def _fail(span: Span, kind: str, description: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, description[:MOST_CHARACTERS])


def _error_type(outcome: str, result: NodeResult | None) -> str:
    """The class of the error of a step that raised; else the outcome."""
    if outcome == Outcome.FAILED and result is not None and result.failure is not None:
        return result.failure.kind
    return outcome.replace(" ", "_")


def _verb(outcome: str) -> str:
    return f"was {outcome}" if outcome == RunOutcome.REJECTED else outcome


def _is_sent(signal: str) -> bool:
    """Whether the environment asks for a signal. Raises `RunError` for a protocol that isn't spoken here."""
    own, common = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not (own or common) or os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "otlp":
        return False
    named = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((os.environ[name] for name in named if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise RunError(
            f"OTLP by {protocol!r} isn't spoken here",
            hint="set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, and the collector's port for it (4318)",
        )
    return True


def _timeout(signal: str) -> float | None:
    """The seconds that a collector may take; None where the environment says it, which the exporter reads itself."""
    named = ("OTEL_EXPORTER_OTLP_TIMEOUT", f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT")
    return None if any(os.environ.get(name) for name in named) else TIMEOUT_SECONDS


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    name = {} if named else {"service.name": "headrace"}
    return Resource.create({**name, "service.instance.id": str(uuid.uuid4())})


def _handed_over() -> Context | None:
    """The trace that the environment hands over; None where there is none, or none that can be read."""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    names = ("traceparent", "tracestate")
    carrier = {name: os.environ[name.upper()] for name in names if os.environ.get(name.upper())}
    context = TraceContextTextMapPropagator().extract(carrier)
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def _own_ids(info: RunInfo) -> tuple[int, int]:
    """The ids of the run's trace and of its root, the same in all processes of the run."""
    found = sha256(info.store.salt + info.run_id.encode()).digest()
    return int.from_bytes(found[:16]) or 1, int.from_bytes(found[16:24]) or 1


def _nanoseconds(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000) * 1_000_000
