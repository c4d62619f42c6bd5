"""Spans and metrics, sent to a real receiver of OTLP on loopback and decoded from what came over the wire."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from loopback import HttpServer

from headrace import RunOptions, RunOutcome
from headrace.engine.exec_node import exec_node
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.run import Session
from headrace.engine.target import locate
from headrace.testing.listeners import ListenerContract

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra 'otel' isn't installed")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace.integrations.opentelemetry import Telemetry

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALUES = ("string_value", "int_value", "double_value", "bool_value")


@pytest.fixture
def collector(listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    return receiver


class TestTelemetry(ListenerContract):
    @pytest.fixture(autouse=True)
    def _collector(self, collector: HttpServer) -> None:
        pass

    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        return Telemetry(info)


def plain(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def sent_spans(server: HttpServer) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(r.body) for r in server.requests if r.path == "/v1/traces"]
    return [s for r in requests for group in r.resource_spans for scope in group.scope_spans for s in scope.spans]


def by_name(server: HttpServer) -> Mapping[str, Span]:
    found = {span.name: span for span in sent_spans(server)}
    assert len(found) == len(sent_spans(server))
    return found


def sent_metrics(server: HttpServer) -> Mapping[str, Any]:
    requests = [ExportMetricsServiceRequest.FromString(r.body) for r in server.requests if r.path == "/v1/metrics"]
    return {
        metric.name: metric
        for request in requests
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
    }


def test_a_run_is_one_trace_and_an_attempt_one_span(listened: Any, collector: HttpServer) -> None:
    result = listened.run()
    assert listened.warnings == []
    spans = by_name(collector)
    assert set(spans) == {"RUN listened", "RUN ingest", "RUN train", "RUN gate", "RUN register"}
    root = spans["RUN listened"]
    assert root.kind == Span.SPAN_KIND_SERVER and root.parent_span_id == b""
    attributes = plain(root.attributes)
    assert attributes == {
        "cicd.pipeline.name": "listened",
        "cicd.pipeline.run.id": result.run_id,
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.result": "success",
        "headrace.outcome": "succeeded",
        "headrace.store": result.store.url,
        "headrace.n_nodes": 4,
    }
    train = spans["RUN train"]
    assert train.kind == Span.SPAN_KIND_INTERNAL
    assert train.trace_id == root.trace_id and train.parent_span_id == root.span_id
    assert plain(train.attributes) == {
        "cicd.pipeline.name": "listened",
        "cicd.pipeline.task.name": "train",
        "cicd.pipeline.task.run.id": f"{result.run_id}/train.1",
        "cicd.pipeline.task.run.result": "success",
        "code.function.name": "listened.train",
        "code.file.path": "listened.py",
        "code.line.number": 23,
        "headrace.attempt": 1,
        "headrace.outcome": "succeeded",
        "headrace.reason": "nothing was made from these inputs yet",
        "headrace.output.n_bytes": 4,
    }
    started = {event.node: event.time for event in listened.events if type(event).__name__ == "NodeStarted"}
    from datetime import datetime

    assert train.start_time_unix_nano == round(datetime.fromisoformat(started["train"]).timestamp() * 1000) * 10**6
    assert root.start_time_unix_nano <= train.start_time_unix_nano <= train.end_time_unix_nano
    assert train.end_time_unix_nano <= root.end_time_unix_nano


def test_the_resource_names_the_service(listened: Any, collector: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> set[str]:
        requests = [ExportTraceServiceRequest.FromString(r.body) for r in collector.requests if r.path == "/v1/traces"]
        return {plain(g.resource.attributes)["service.name"] for r in requests for g in r.resource_spans}

    listened.run()
    assert names() == {"headrace"}
    monkeypatch.setenv("OTEL_SERVICE_NAME", "churn-nightly")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    listened.run()
    assert names() == {"headrace", "churn-nightly"}
    assert collector.requests[-1].headers["authorization"] == "Bearer abc"


def test_each_attempt_that_fails_is_a_span_with_its_error(listened: Any, collector: HttpServer) -> None:
    listened.run(error="no disk")
    spans = [span for span in sent_spans(collector) if span.name == "RUN train"]
    assert [plain(span.attributes)["headrace.attempt"] for span in spans] == [1, 2]
    for span in spans:
        facts = plain(span.attributes)
        assert (facts["error.type"], facts["cicd.pipeline.task.run.result"]) == ("TransientError", "failure")
        assert span.status.code == Status.STATUS_CODE_ERROR and span.status.message == "no disk."
        (event,) = span.events
        told = plain(event.attributes)
        assert event.name == "exception" and told["exception.type"] == "TransientError"
        assert told["exception.message"] == "no disk." and "raise TransientError(error)" in told["exception.stacktrace"]
    skipped = by_name_of(sent_spans(collector), "RUN gate")
    assert plain(skipped.attributes)["headrace.outcome"] == "upstream failed"
    assert skipped.start_time_unix_nano == skipped.end_time_unix_nano
    root = by_name_of(sent_spans(collector), "RUN listened")
    assert plain(root.attributes)["error.type"] == "failed" and root.status.code == Status.STATUS_CODE_ERROR


def by_name_of(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


def test_hits_skips_and_a_rejection(listened: Any, collector: HttpServer) -> None:
    listened.run(least=7.0)
    root = plain(by_name(collector)["RUN listened"].attributes)
    assert (root["cicd.pipeline.result"], root["error.type"]) == ("failure", "rejected")
    assert plain(by_name(collector)["RUN register"].attributes)["cicd.pipeline.task.run.result"] == "skip"
    collector.requests.clear()
    listened.run(least=7.0)
    hit = plain(by_name(collector)["RUN train"].attributes)
    assert (hit["headrace.outcome"], hit["cicd.pipeline.task.run.result"]) == ("cached", "success")


def test_an_orchestrators_trace_is_continued(
    listened: Any, collector: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{PARENT}-01")
    monkeypatch.setenv("TRACESTATE", "vendor=x")
    listened.run()
    spans = by_name(collector)
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    root = spans["RUN listened"]
    assert root.parent_span_id.hex() == PARENT and root.trace_state == "vendor=x"
    assert spans["RUN train"].parent_span_id == root.span_id


def test_a_trace_that_is_not_sampled_is_not_sent(
    listened: Any, collector: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{PARENT}-00")
    listened.run()
    assert sent_spans(collector) == [] and sent_metrics(collector)
    monkeypatch.setenv("TRACEPARENT", "nonsense")
    listened.run()
    assert len(sent_spans(collector)) == 5


def carry_out(listened: Any, *nodes: str) -> None:
    for node in nodes:
        target = locate("listened.py:listened", listened.folder)
        session = Session(target, None, listened.folder, listened.folder / ".headrace")
        exec_node(session, node, "scheduled-1", {}, RunOptions(display=listened.events.append))


def test_the_processes_of_an_orchestrated_run_tell_of_one_trace(listened: Any, collector: HttpServer) -> None:
    carry_out(listened, "ingest", "train")
    ingest, train = by_name(collector)["RUN ingest"], by_name(collector)["RUN train"]
    assert ingest.trace_id == train.trace_id and ingest.parent_span_id == train.parent_span_id != b""
    assert ingest.span_id != train.span_id and listened.warnings == []


def test_a_task_joins_the_orchestrators_trace(
    listened: Any, collector: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{PARENT}-01")
    carry_out(listened, "ingest")
    (span,) = sent_spans(collector)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


def test_metrics_of_a_run(listened: Any, collector: HttpServer) -> None:
    listened.run(error="no disk")
    metrics = sent_metrics(collector)
    (run,) = metrics["cicd.pipeline.run.duration"].histogram.data_points
    assert plain(run.attributes) == {
        "cicd.pipeline.name": "listened",
        "cicd.pipeline.run.state": "executing",
        "cicd.pipeline.result": "failure",
        "error.type": "failed",
    }
    assert metrics["cicd.pipeline.run.duration"].unit == "s" and run.count == 1 and run.sum > 0
    (errors,) = metrics["cicd.pipeline.run.errors"].sum.data_points
    assert errors.as_int == 2 and plain(errors.attributes)["error.type"] == "TransientError"
    assert metrics["cicd.pipeline.run.errors"].sum.is_monotonic
    (retries,) = metrics["headrace.task.retries"].sum.data_points
    assert retries.as_int == 1 and plain(retries.attributes)["cicd.pipeline.task.name"] == "train"
    outcomes = {
        (plain(p.attributes)["cicd.pipeline.task.name"], plain(p.attributes)["headrace.outcome"]): p.as_int
        for p in metrics["headrace.task.outcomes"].sum.data_points
    }
    assert outcomes == {
        ("ingest", "succeeded"): 1,
        ("train", "failed"): 1,
        ("gate", "upstream failed"): 1,
        ("register", "upstream failed"): 1,
    }
    counts = {
        plain(p.attributes)["cicd.pipeline.task.name"]: p.count
        for p in metrics["headrace.task.duration"].histogram.data_points
    }
    assert counts == {"ingest": 1, "train": 2}


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, set()),
        ({"OTEL_METRICS_EXPORTER": "none"}, {"/v1/traces"}),
        ({"OTEL_TRACES_EXPORTER": "none"}, {"/v1/metrics"}),
    ],
)
def test_signals_can_be_switched_off(
    variables: dict[str, str],
    paths: set[str],
    listened: Any,
    collector: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    listened.run()
    assert {request.path for request in collector.requests} == paths and listened.warnings == []


def test_an_endpoint_for_one_signal_sends_that_alone(
    listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/spans")
    listened.run()
    assert {request.path for request in receiver.requests} == {"/spans"}


def test_a_collector_that_is_down_is_one_warning(listened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:very-secret@127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    assert listened.run().outcome == RunOutcome.SUCCEEDED
    assert listened.warnings == [
        "otel: 5 spans couldn't be sent; metrics couldn't be sent.\n"
        "Hint: is the collector up? see OTEL_EXPORTER_OTLP_ENDPOINT"
    ]


def test_a_collector_that_refuses_is_one_warning(listened: Any, collector: HttpServer) -> None:
    collector.status = 400
    assert listened.run().outcome == RunOutcome.SUCCEEDED
    (warning,) = listened.warnings
    assert warning.startswith("otel: 5 spans couldn't be sent; metrics couldn't be sent")


def test_another_protocol_is_one_warning(listened: Any, collector: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    listened.run()
    assert listened.warnings == [
        "otel: OTLP by 'grpc' isn't spoken here.\n"
        "Hint: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, and the collector's port for it (4318)"
    ]


def test_an_inline_step_is_not_said_to_read_what_the_listener_reads(collector: HttpServer, listened: Any) -> None:
    program = """
import headrace
options = headrace.RunOptions(inline=True, echo=False)
result = headrace.run("listened.py:listened", store="s", options=options)
print({name: node.discovered for name, node in result.nodes.items() if any(node.discovered.values())})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=listened.folder, env={**os.environ}, capture_output=True, text=True
    )
    assert done.stdout == "{}\n" and done.stderr == ""
    assert len(sent_spans(collector)) == 5
