"""OpenLineage: what each node took and made, as events that its client sends.

Switched on, and sent, as the client's own settings say (``OPENLINEAGE_URL``, ``OPENLINEAGE__TRANSPORT__…``,
``openlineage.yml``). A run is a run of the job ``<pipeline>``, and an attempt of a node one of ``<pipeline>.<node>``,
below it. Their ids are made from ours: the processes of one run, each for one node, tell of one run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import headrace
from headrace.core.errors import HeadraceError, TransientError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.engine.events import Event, NodeEnded, NodeRetried, NodeStarted, RunEnded, RunStarted
from headrace.engine.listeners import Listener, RunInfo, without_secrets
from headrace.engine.readable import stored_json
from headrace.engine.records import NodeResult, RunRecord
from headrace.engine.view import RunView

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.facet_v2 import RunFacet

    from headrace.core.plan import Node
    from headrace.integrations.openlineage_datasets import Datasets

MOST_CHARACTERS = 10_000
UNTOLD = (Outcome.SKIPPED, Outcome.UPSTREAM_FAILED)
"""Nodes that end so made and took nothing: no event tells of them."""
ENDS = {RunOutcome.SUCCEEDED: "COMPLETE", RunOutcome.REJECTED: "FAIL", RunOutcome.CANCELLED: "ABORT"}


class Lineage(Listener):
    """Tells of a run by OpenLineage's events."""

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "headrace"
        self._client = _client()
        self._begin: dict[str, Any] | None = None
        self._made: Datasets | None = None
        self._results: dict[str, NodeResult] = {}
        self._is_down = False

    def __call__(self, event: Event) -> None:
        """Tell of one event. Where the backend can't be reached, the rest of the run isn't tried."""
        if self._is_down:
            return
        try:
            self._tell(event)
        except OSError as error:  # the client's errors of connections are; it has tried several times
            if getattr(error, "response", None) is None:
                self._is_down = True
                raise TransientError(f"nothing more of this run is told, since {error}") from error
            raise

    def _tell(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._emit("START", event.time, self._run_facets(), None)
        elif isinstance(event, NodeStarted):
            self._node_event("START", event.time, event.node, event.attempt, None)
        elif isinstance(event, NodeRetried):
            self._node_event("FAIL", event.time, event.node, event.attempt, event)
        elif isinstance(event, NodeEnded):
            self._ended(event)
        elif isinstance(event, RunEnded):
            self._run_ended(event)

    def close(self) -> None:
        """Send what the client still holds."""
        if not self._client.close(5.0):
            raise TransientError("some events weren't sent")

    def _ended(self, event: NodeEnded) -> None:
        outcome = Outcome(event.outcome)
        if outcome in UNTOLD:
            return
        kind = "COMPLETE" if outcome.is_good else "ABORT" if outcome is Outcome.CANCELLED else "FAIL"
        self._node_event(kind, event.time, event.node, event.attempt, event)

    def _run_ended(self, event: RunEnded) -> None:
        facets = self._run_facets()
        kind = ENDS.get(RunOutcome(event.outcome), "FAIL")
        view = RunView.read(self._info.store, self._info.run_id)
        if kind == "FAIL":
            rejected = [f"rejected by {gate!r}" for gate in view.rejections()]
            failed = [f"step {item.node!r} {item.outcome}: {_message(item)}" for item in view.failures()]
            facets["errorMessage"] = _error("; ".join([*failed, *rejected]) or event.outcome, "")
        rejecting = view.rejections()
        gates = sorted(view.plan.nodes, key=lambda node: node.id not in rejecting)
        for node in gates:  # those that said no come first
            verdict = self._verdict(node, view.results.get(node.id))
            if verdict is not None and "headrace_verdict" not in facets:
                facets["headrace_verdict"] = verdict
        self._emit(kind, event.time, facets, None)

    # one event

    def _node_event(
        self, kind: str, stamp: str, node_id: str, attempt: int, event: NodeEnded | NodeRetried | None
    ) -> None:
        from headrace.integrations.openlineage_facets import PRODUCER, AttemptRunFacet

        node = self._info.plan.by_id[node_id]
        result = self._attempt(node_id, attempt) if event is not None else None
        facets = self._parent()
        facets["headrace_attempt"] = AttemptRunFacet(
            node=node_id,
            attempt=attempt,
            outcome=event.outcome if event is not None else "running",
            seconds=result.seconds if result is not None else None,
            reason=result.reason or None if result is not None else None,
            key=result.key if result is not None else None,
            producer=PRODUCER,
        )
        if kind == "FAIL" and event is not None:
            traceback = result.failure.traceback if result is not None and result.failure is not None else ""
            facets["errorMessage"] = _error(event.message, traceback)
        verdict = self._verdict(node, result)
        if verdict is not None:
            facets["headrace_verdict"] = verdict
        self._emit(kind, stamp, facets, (node, attempt, result))

    def _emit(
        self,
        kind: str,
        stamp: str,
        facets: dict[str, RunFacet],
        of_node: tuple[Node, int, NodeResult | None] | None,
    ) -> None:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import job_type_job

        from headrace.integrations.openlineage_facets import PRODUCER

        job, run_id, inputs, outputs = self._info.pipeline, self._run_id(), [], []
        if of_node is not None:
            node, attempt, result = of_node
            job = f"{job}.{node.id}"
            run_id = self._run_id(f"{node.id}.{attempt}")
            datasets = self._datasets()
            inputs = datasets.inputs(node, self._upstream(node))
            outputs = datasets.outputs(node, result) if result is not None else []
        job_type = job_type_job.JobTypeJobFacet(
            "BATCH", "HEADRACE", "PIPELINE" if of_node is None else "STEP", producer=PRODUCER
        )
        self._client.emit(
            RunEvent(
                eventTime=stamp,
                producer=PRODUCER,
                eventType=RunState(kind),
                run=Run(run_id, facets),
                job=Job(self._namespace, job, {"jobType": job_type}),
                inputs=inputs,
                outputs=outputs,
            )
        )

    # facets

    def _run_facets(self) -> dict[str, RunFacet]:
        from openlineage.client.facet_v2 import parent_run, processing_engine_run

        from headrace.integrations.openlineage_facets import PRODUCER

        version = headrace.__version__
        engine = processing_engine_run.ProcessingEngineRunFacet(version, "headrace", version, producer=PRODUCER)
        facets: dict[str, RunFacet] = {"processing_engine": engine}
        outer = _outer()
        if outer is not None:
            namespace, name, run_id = outer
            facets["parent"] = parent_run.ParentRunFacet(
                parent_run.Run(run_id), parent_run.Job(namespace, name), producer=PRODUCER
            )
        return facets

    def _parent(self) -> dict[str, RunFacet]:
        """A node's run is part of ours, which is part of an orchestrator's, where there is one."""
        from openlineage.client.facet_v2 import parent_run

        from headrace.integrations.openlineage_facets import PRODUCER

        own = (self._namespace, self._info.pipeline, self._run_id())
        namespace, name, run_id = _outer() or own
        root = parent_run.Root(parent_run.RootRun(run_id), parent_run.RootJob(namespace, name))
        found = parent_run.ParentRunFacet(
            parent_run.Run(own[2]), parent_run.Job(own[0], own[1]), root, producer=PRODUCER
        )
        return {"parent": found}

    def _verdict(self, node: Node, result: NodeResult | None) -> RunFacet | None:
        from headrace.integrations.openlineage_facets import PRODUCER, VerdictRunFacet

        gate = self._info.plan.step_of(node).gate
        if gate is None or result is None or gate not in result.outputs:
            return None
        passed = stored_json(self._info.store, result.outputs[gate])
        reasons = stored_json(self._info.store, result.outputs["reasons"]) if "reasons" in result.outputs else None
        told = list(_reasons(reasons[0])) if reasons is not None else []
        return VerdictRunFacet(
            node=node.id, passed=bool(passed is not None and passed[0]), reasons=told, producer=PRODUCER
        )

    # what is known of the run

    def _run_id(self, part: str = "") -> str:
        from openlineage.client.uuid import generate_static_uuid

        started = datetime.fromisoformat(self._begun()["started"])
        return str(generate_static_uuid(started, self._info.store.salt + f"{self._info.run_id}/{part}".encode()))

    def _begun(self) -> dict[str, Any]:
        if self._begin is None:
            self._begin = RunRecord(self._info.store, self._info.run_id).begin()
        return self._begin

    def _datasets(self) -> Datasets:
        if self._made is None:
            from headrace.integrations.openlineage_datasets import Datasets

            self._made = Datasets(self._info, self._begun()["pins"])
        return self._made

    def _attempt(self, node: str, attempt: int) -> NodeResult | None:
        attempts = RunRecord(self._info.store, self._info.run_id).attempts(node)
        return next((item for item in attempts if item.attempt == attempt), None)

    def _upstream(self, node: Node) -> dict[str, NodeResult]:
        for name in {ref.node for ref in node.refs()} - set(self._results):
            result = RunRecord(self._info.store, self._info.run_id).result(name)
            if result is not None and result.outcome.is_good:
                self._results[name] = result
        return self._results


def _client() -> OpenLineageClient:
    """The client, as its own settings say. What it adds to the environment is taken out again."""
    logger = logging.getLogger("openlineage")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # what can't be sent is this listener's warning, once
    from openlineage.client import OpenLineageClient

    before = set(os.environ)
    try:
        return OpenLineageClient()
    finally:
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE__") and name not in before]:
            del os.environ[name]


def _outer() -> tuple[str, str, str] | None:
    """The run that ours is part of, as ``OPENLINEAGE_PARENT_ID`` names it: namespace, job and run."""
    from uuid import UUID

    given = os.environ.get("OPENLINEAGE_PARENT_ID", "")
    if not given:
        return None
    namespace, _, rest = given.partition("/")
    name, _, run_id = rest.rpartition("/")
    try:
        return namespace, name, str(UUID(run_id))
    except ValueError:
        raise HeadraceError(
            f"OPENLINEAGE_PARENT_ID is {without_secrets(given)!r}",
            hint="it must be NAMESPACE/JOB/RUN, RUN being a UUID",
        ) from None


def _error(message: str, traceback: str) -> RunFacet:
    from openlineage.client.facet_v2 import error_message_run

    from headrace.integrations.openlineage_facets import PRODUCER

    return error_message_run.ErrorMessageRunFacet(
        message[:MOST_CHARACTERS] or "no message", "PYTHON", traceback[-MOST_CHARACTERS:] or None, producer=PRODUCER
    )


def _message(result: NodeResult) -> str:
    return result.failure.message if result.failure is not None else ""


def _reasons(value: Any) -> Iterator[dict[str, Any]]:
    """What a gate looked at, where it says so as `headrace.steps.gating` does."""
    for reason in value if isinstance(value, list) else ():
        if isinstance(reason, dict) and isinstance(reason.get("rule"), str):
            known = ("rule", "passed", "value", "bound", "margin", "note")
            yield {name: reason[name] for name in known if reason.get(name) is not None}
