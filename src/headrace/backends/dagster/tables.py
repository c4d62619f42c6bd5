"""A plan's nodes, with their artifacts and checks, as the file's table has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.backends.dagster.names import RUN
from headrace.backends.source import Call, call

if TYPE_CHECKING:
    from headrace.backends.dagster.names import Names
    from headrace.core.plan import Node, OutputSpec, Plan
    from headrace.core.values import Json

KIND = re.compile(r"[A-Za-z0-9_.-]{1,40}")
FINDINGS = "headrace.steps.checks.findings.Findings"
"""The declared type of what a validation found."""


def node_of(plan: Plan, node: Node, names: Names) -> Call:
    """One node."""
    step = plan.step_of(node)
    told = dict.fromkeys(other.when.output for other in plan.nodes if other.when and other.when.node == node.id)
    conditions = [call("Condition", name=names.conditions[node.id, output], output=output) for output in told]
    return call(
        "Node",
        id=node.id,
        name=names.ops[node.id],
        step=step.id,
        group=_group(node, names),
        after=tuple([names.ops[name] for name in node.upstream()] or ["begin"]),
        when=names.conditions[node.when.node, node.when.output] if node.when else None,
        artifacts=tuple(_artifact(node, item, names) for item in step.outputs) or None,
        checks=tuple(_checks(plan, node, names)) or None,
        conditions=tuple(conditions) or None,
        tags=dict(_tags(plan, node)) or None,
    )


def run_of(plan: Plan, names: Names) -> Call:
    """The asset that a run is: it comes after the pipeline's outputs."""
    deps = dict.fromkeys(names.keys[ref.node, ref.output] for ref in plan.outputs.values())
    return call("Artifact", name=RUN, output="", key=names.run_key, deps=tuple(deps) or None)


def _artifact(node: Node, output: OutputSpec, names: Names) -> Call:
    refs = [*node.refs(), *([node.when] if node.when else [])]
    deps = dict.fromkeys(names.keys[ref.node, ref.output] for ref in refs)
    return call(
        "Artifact",
        name=names.artifacts[node.id, output.name],
        output=output.name,
        key=names.keys[node.id, output.name],
        deps=tuple(deps) or None,
        type=output.type,
        kinds=(output.format,) if KIND.fullmatch(output.format) else None,
    )


def _checks(plan: Plan, node: Node, names: Names) -> Iterator[Call]:
    """A gate's verdict, and what a validation found: about its table. A map's are lists, and no verdicts."""
    step = plan.step_of(node)
    for output in step.outputs if node.map is None else ():
        is_gate = output.name == step.gate
        if is_gate or output.type == FINDINGS:
            about = output.name if is_gate else step.outputs[0].name
            yield call(
                "Check",
                name=names.checks[node.id, output.name],
                output=output.name,
                asset=names.keys[node.id, about],
                is_gate=is_gate or None,
            )


def _group(node: Node, names: Names) -> str:
    """Nested pipelines are groups in the pipeline's."""
    within = [re.sub("[^A-Za-z0-9_]", "_", part) for part in node.id.split(".")[:-1]]
    return "/".join([names.pipeline, *within])


def _tags(plan: Plan, node: Node) -> Iterator[tuple[str, Json]]:
    step = plan.step_of(node)
    wanted: dict[str, Json] = {}
    if step.cpus > 1:
        wanted["cpu"] = str(step.cpus)
        yield "headrace/cpus", str(step.cpus)
    if step.memory_bytes is not None:
        wanted["memory"] = str(step.memory_bytes)
        yield "headrace/memory_bytes", str(step.memory_bytes)
    if wanted:
        yield "dagster-k8s/config", {"container_config": {"resources": {"requests": wanted}}}
