"""A run as its records tell it, read once: for the command line and for reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.core.errors import RunError, StoreError, near_miss
from headrace.core.outcome import Outcome
from headrace.core.plan import Node, Plan
from headrace.engine.events import Warned, read_warnings
from headrace.engine.item_view import item_of, item_result, node_of
from headrace.engine.records import NodeResult, RunRecord, read_json_object, run_folder, run_ids
from headrace.engine.selection import Selection

if TYPE_CHECKING:
    from headrace.core.step_code import StepCode
    from headrace.stores.protocol import Store

RUNNING = "running"
ENDED_WITHOUT_A_WORD = "ended without a word"
ID_WITH_TIME = re.compile(r"\d{8}-\d{6}-\d{3}-")


@dataclass(frozen=True)
class RunView:
    """A run: what it began with, its plan, the attempts of each node in the plan's order, and its end if it has one."""

    store: Store
    id: str
    begin: Mapping[str, Any]
    end: Mapping[str, Any] | None
    attempts: Mapping[str, tuple[NodeResult, ...]]

    @classmethod
    def read(cls, store: Store, run_id: str) -> RunView:
        """Read all records of a run. Raises `RunError` when it has none."""
        record = RunRecord(store, run_id)
        begin = record.begin()
        attempts: dict[str, list[NodeResult]] = {}
        for name in store.list_records(f"{run_folder(run_id)}/nodes"):
            text = store.read_record(name)
            if text:
                result = NodeResult.from_json(text)
                attempts.setdefault(result.node, []).append(result)
        ordered = {node: tuple(sorted(found, key=lambda item: item.attempt)) for node, found in attempts.items()}
        return cls(store, run_id, begin, record.end(), ordered)

    @cached_property
    def plan(self) -> Plan:
        """The plan."""
        return Plan.from_json(self.store.read_object(self.begin["plan"]))

    @cached_property
    def codes(self) -> Mapping[str, StepCode]:
        """The code of each step, and of each class and function that values name; empty where it is gone."""
        return codes_of(self.store, self.begin)

    @cached_property
    def results(self) -> Mapping[str, NodeResult]:
        """How each node ended that did, in the plan's order."""
        return {node.id: self.attempts[node.id][-1] for node in self.plan.nodes if node.id in self.attempts}

    @cached_property
    def forced(self) -> Mapping[str, str]:
        """The nodes that were to be executed whatever the store held, and why."""
        return Selection.from_json(self.begin.get("selection")).forced(self.plan)

    @cached_property
    def state(self) -> str:
        """How the run ended, or that it is under way, or that it ended without saying how."""
        return run_state(self.store, self.id, self.begin, self.end)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The pipeline's parameters as trees of the value codec, defaults included."""
        return {parameter.name: parameter.value for parameter in self.plan.parameters}

    def planned(self, name: str) -> Node:
        """The node of that name, or the one that an item is of. Raises `DefinitionError` when there is none."""
        return self.plan.node(node_of(name))

    def attempts_of(self, name: str) -> tuple[NodeResult, ...]:
        """The attempts of a node; of an item, the last."""
        return self.attempts[name] if item_of(name) is None else (self.node_result(name),)

    def node_result(self, node: str) -> NodeResult:
        """How a node or an item ended. Raises `RunError`, with the nearest name, when it has not, or is none."""
        if item_of(node) is not None and node_of(node) in self.plan.by_id:
            return item_result(self.store, self.id, node)
        if node in self.attempts:
            return self.attempts[node][-1]
        if node in self.plan.by_id:
            raise RunError(f"Node {node!r} has not ended in run {self.id!r}", hint=f"see headrace show {self.id}")
        raise RunError(f"Run {self.id!r} has no step {node!r}", hint=near_miss(node, self.plan.by_id))

    def failures(self) -> list[NodeResult]:
        """The nodes that failed by themselves."""
        follows = (Outcome.UPSTREAM_FAILED, Outcome.CANCELLED)
        return [item for item in self.results.values() if item.outcome.is_failure and item.outcome not in follows]

    @cached_property
    def warnings(self) -> tuple[Warned, ...]:
        """What went wrong beside the run."""
        return tuple(read_warnings(self.store, self.id))

    def rejections(self) -> list[str]:
        """The nodes whose gate said no."""
        from headrace.engine.readable import stored_json

        found = []
        for node, result in self.results.items():
            gate = self.plan.step_of(self.plan.by_id[node]).gate
            if gate is None or gate not in result.outputs:
                continue
            value = stored_json(self.store, result.outputs[gate])
            if value is not None and not value[0]:
                found.append(node)
        return found


def codes_of(store: Store, begin: Mapping[str, Any]) -> Mapping[str, StepCode]:
    """The codes that a run began with; empty where the object that holds them is gone."""
    from headrace.core.step_code import StepCode

    try:
        data = read_json_object(store, begin["codes"])
    except (StoreError, KeyError):
        return {}
    return {name: StepCode.from_json(item) for name, item in data.items()}


def run_state(store: Store, run_id: str, begin: Mapping[str, Any], end: Mapping[str, Any] | None) -> str:
    """How a run ended, or `RUNNING`, or `ENDED_WITHOUT_A_WORD` where its process is gone."""
    if end is not None:
        return str(end["outcome"])
    return RUNNING if begin.get("process") is None or _is_alive(store, run_id) else ENDED_WITHOUT_A_WORD


def _is_alive(store: Store, run_id: str) -> bool:
    """Whether the run's process still holds its lease."""
    try:
        with store.lease(run_lease(run_id)) as lease:
            return not lease.acquired
    except StoreError:
        return False


def run_lease(run_id: str) -> str:
    """The name of the lease that a run's engine holds for as long as it lives."""
    return f"run-{run_id}"


def find_run(store: Store, named: str | None) -> str:
    """The id of the run that was named, by default the newest. Raises `RunError`."""
    if named is None:
        ids = known_runs(store)
        named = ids[0] if ids else "latest"
    return RunRecord.find(store, named).id


def known_runs(store: Store) -> list[str]:
    """The ids of all runs, the newest first. Of an id without a time in it, the record is asked."""
    return sorted(run_ids(store), key=lambda run_id: (_begun(store, run_id), run_id), reverse=True)


def _begun(store: Store, run_id: str) -> str:
    """When a run began, as its id would tell it; the very first for one without a record."""
    if ID_WITH_TIME.match(run_id):
        return run_id
    try:
        started = datetime.fromisoformat(RunRecord(store, run_id).begin()["started"])
    except (RunError, ValueError, KeyError):
        return ""
    return f"{started:%Y%m%d-%H%M%S}-{started.microsecond // 1000:03d}"
