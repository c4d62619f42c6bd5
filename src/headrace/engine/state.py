"""A run under way, as the process that works on it knows it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.core.artifact import Artifact
from headrace.core.errors import RunError
from headrace.core.key import environment_of
from headrace.core.plan import Ref, StepSpec
from headrace.core.values import Json
from headrace.engine.events import Announcer, NodeEnded
from headrace.engine.prepare import Prepared, Workshop
from headrace.engine.records import NodeResult, RunRecord, attempt_name
from headrace.engine.target import Target

if TYPE_CHECKING:
    from headrace.engine.ask import Asker
    from headrace.engine.launch import Launcher
    from headrace.stores.protocol import Store


@dataclass
class Run:
    """A run under way, as the process that works on it knows it."""

    id: str
    target: Target
    folder: str
    parameters: Json
    prepared: Prepared
    workshop: Workshop
    store: Store
    launcher: Launcher
    asker: Asker
    emit: Announcer
    pins: Mapping[str, Json]
    table_engine: str = "polars"
    is_inline: bool = False
    is_shared: bool = False  # other processes carry out other nodes, and this node's earlier attempts
    reuse: RunRecord | None = None
    imported: Mapping[str, Json] = field(default_factory=dict)
    forced: Mapping[str, str] = field(default_factory=dict)  # nodes to execute whatever the store holds, and why
    taken: frozenset[str] = frozenset()  # nodes that must be in the store already
    since: str = ""  # of a forced node counts only what was made since then
    cancelled: threading.Event = field(default_factory=threading.Event)
    results: dict[str, NodeResult] = field(default_factory=dict)
    environments: dict[tuple[int, bool], dict[str, Json]] = field(default_factory=dict)
    open_maps: list[ExitStack] = field(default_factory=list)  # what nodes that map hold while they are under way
    plain_steps: dict[str, dict[str, Json]] = field(default_factory=dict)

    def result(self, node_id: str) -> NodeResult | None:
        """How a node ended in this run, as far as is known here or in the records."""
        found = self.results.get(node_id)
        if found is None:
            found = RunRecord(self.store, self.id).result(node_id)
            if found is not None:
                self.results[node_id] = found
        return found

    def artifact(self, ref: Ref) -> Artifact:
        """An output that a node made in this run. Raises `RunError` when it has not been made."""
        result = self.result(ref.node)
        if result is None or ref.output not in result.outputs:
            raise RunError(
                f"Output {str(ref)!r} has not been made in run {self.id!r}", hint=f"execute {ref.node!r} first"
            )
        return result.outputs[ref.output]

    @cached_property
    def plain_target(self) -> dict[str, Json]:
        """The target as workers are told it."""
        return asdict(self.target)

    def plain_step(self, spec: StepSpec) -> dict[str, Json]:
        """A step as workers are told it; made once."""
        if spec.id not in self.plain_steps:
            self.plain_steps[spec.id] = asdict(spec)
        return self.plain_steps[spec.id]

    def cpus(self, spec: StepSpec) -> int:
        """The thread limit that a step gets. Inline it is one: what a library has been given it does not give back."""
        return 1 if self.is_inline else spec.cpus

    def environment(self, spec: StepSpec) -> dict[str, Json]:
        """What of the environment counts for a step."""
        kind = self.cpus(spec), spec.takes_table
        if kind not in self.environments:
            installed = self.workshop.installed(self.table_engine) if spec.takes_table else None
            engine = f"{self.table_engine} {installed}" if spec.takes_table else None
            self.environments[kind] = environment_of(kind[0], engine)
        return self.environments[kind]

    def record(self, result: NodeResult) -> NodeResult:
        """Keep a node's result, in the store and here."""
        self.store.write_record(attempt_name(self.id, result.node, result.attempt), result.to_json())
        self.results[result.node] = result
        return result

    def end_node(self, result: NodeResult) -> NodeResult:
        """Keep a node's result, and tell that the node has ended."""
        if self.is_shared:
            n_before = len(RunRecord(self.store, self.id).attempts(result.node))
            result = replace(result, attempt=n_before + 1)
        self.record(result)
        self.tell(result)
        return result

    def tell(self, result: NodeResult) -> None:
        """Tell that a node has ended."""
        self.emit(
            NodeEnded(
                node=result.node,
                outcome=result.outcome.value,
                attempt=result.attempt,
                seconds=result.seconds,
                reason=result.reason,
                message=result.failure.message if result.failure else "",
                where=result.failure.where if result.failure else "",
                n_bytes=sum(artifact.n_bytes for artifact in result.outputs.values()),
            )
        )
