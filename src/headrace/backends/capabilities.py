"""What a plan asks for, and what a backend can do: declared as data, refused by, and shown in the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from headrace.engine.attempts import secrets_in

if TYPE_CHECKING:
    from headrace.core.plan import Node, Plan


class Feature(StrEnum):
    """What a pipeline may use, and what its users may expect of the place where it runs."""

    PARAMETERS = "parameters"
    SEVERAL_OUTPUTS = "several outputs"
    NESTED_PIPELINE = "nested pipelines"
    CONDITION = "when="
    MAP = "map"
    NESTED_MAP = "map over a map"
    GATE = "gate"
    CACHE = "cache"
    RETRY = "retries"
    LOST_WORKER = "lost workers"
    TIME_LIMIT = "time limits"
    CPUS = "cpus"
    MEMORY = "memory"
    SECRET = "secrets"
    SCHEDULE = "schedule"
    TIMEZONE = "time zone"
    DATE = "date of a run"
    BACKFILL = "back-fill"
    DEPENDS_ON_PAST = "depends_on_past"
    MAX_ACTIVE_RUNS = "max_active_runs"
    RESUME = "resume"
    CANCEL = "cancel"
    ARTIFACTS = "artifacts in the engine's own terms"
    TRIGGERS = "other pipelines triggered by an artifact"
    LINKS = "links to the run's report"
    IMAGE = "steps in a container image"
    SUBMIT = "--submit"


class Kind(StrEnum):
    """How a backend has a feature."""

    NATIVE = "native"
    """The engine itself does it, and shows it."""
    INSIDE = "inside"
    """Headrace does it, inside a task or beside the engine, with the same result; the engine doesn't show it."""
    REFUSED = "refused"
    """A plan that uses it is refused when it is compiled."""


@dataclass(frozen=True, slots=True)
class Support:
    """How a backend has a feature, in a sentence; and whether that was run on the real engine."""

    kind: Kind
    how: str
    is_verified: bool = True


Capabilities = Mapping[Feature, Support]
"""Each feature, and how a backend has it. A backend declares every one."""


def native(how: str, *, is_verified: bool = True) -> Support:
    """Declare what the engine does itself."""
    return Support(Kind.NATIVE, how, is_verified)


def inside(how: str, *, is_verified: bool = True) -> Support:
    """Declare what Headrace does inside a task, or beside the engine."""
    return Support(Kind.INSIDE, how, is_verified)


def refused(why: str) -> Support:
    """Declare what is refused when compiled."""
    return Support(Kind.REFUSED, why)


def features_of(plan: Plan) -> dict[Feature, tuple[str, ...]]:
    """The features that a plan uses, each with the nodes that use it; no nodes where the plan itself does."""
    found: dict[Feature, list[str]] = {}
    for node in plan.nodes:
        for feature in _used(plan, node):
            found.setdefault(feature, []).append(node.id)
    of_plan = {
        Feature.PARAMETERS: bool(plan.parameters),
        Feature.SCHEDULE: plan.schedule is not None,
        Feature.TIMEZONE: plan.timezone is not None,
        Feature.DATE: plan.date is not None,
        Feature.DEPENDS_ON_PAST: plan.depends_on_past,
        Feature.MAX_ACTIVE_RUNS: plan.max_active_runs is not None,
    }
    used = {feature: tuple(nodes) for feature, nodes in found.items()}
    return used | {feature: () for feature, is_used in of_plan.items() if is_used}


def _used(plan: Plan, node: Node) -> list[Feature]:
    step = plan.step_of(node)
    uses = {
        Feature.SEVERAL_OUTPUTS: len(step.outputs) > 1,
        Feature.NESTED_PIPELINE: "." in node.id,
        Feature.CONDITION: node.when is not None,
        Feature.MAP: node.map is not None,
        Feature.NESTED_MAP: node.map is not None and any(plan.by_id[ref.node].map for ref in node.refs()),
        Feature.GATE: step.gate is not None,
        Feature.RETRY: step.retries > 0,
        Feature.TIME_LIMIT: step.timeout_seconds is not None,
        Feature.CPUS: step.cpus > 1,
        Feature.MEMORY: step.memory_bytes is not None,
        Feature.SECRET: any(True for tree in node.arguments.values() for _ in secrets_in(tree)),
    }
    return [feature for feature, is_used in uses.items() if is_used]
