"""A plan's nodes, with their artifacts and checks, as the file's table has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.backends.dagster.layout import Tree, call, literal, several, table, words
from headrace.backends.dagster.names import RUN
from headrace.backends.source import quoted

if TYPE_CHECKING:
    from headrace.backends.dagster.names import Key, Names
    from headrace.core.plan import Node, OutputSpec, Plan
    from headrace.core.values import Json

KIND = re.compile(r"[A-Za-z0-9_.-]{1,40}")
FINDINGS = "headrace.steps.checks.findings.Findings"
"""The declared type of what a validation found."""


def node_of(plan: Plan, node: Node, names: Names) -> Tree:
    """One node."""
    step = plan.step_of(node)
    checks = list(_checks(plan, node, names))
    tags = dict(_tags(plan, node))
    told = dict.fromkeys(other.when.output for other in plan.nodes if other.when and other.when.node == node.id)
    conditions = [
        call("Condition", name=quoted(names.conditions[node.id, output]), output=quoted(output)) for output in told
    ]
    return call(
        "Node",
        id=quoted(node.id),
        name=quoted(names.ops[node.id]),
        step=quoted(step.id),
        group=quoted(_group(node, names)),
        after=words([names.ops[name] for name in node.upstream()] or ["begin"]),
        when=quoted(names.conditions[node.when.node, node.when.output]) if node.when else None,
        artifacts=several(_artifact(node, item, names) for item in step.outputs) if step.outputs else None,
        checks=several(checks) if checks else None,
        conditions=several(conditions) if conditions else None,
        tags=table((name, literal(value)) for name, value in tags.items()) if tags else None,
    )


def run_of(plan: Plan, names: Names) -> Tree:
    """The asset that a run is: it comes after the pipeline's outputs."""
    deps = dict.fromkeys(names.keys[ref.node, ref.output] for ref in plan.outputs.values())
    return call("Artifact", name=quoted(RUN), output='""', key=words(names.run_key), deps=_deps(list(deps)))


def _artifact(node: Node, output: OutputSpec, names: Names) -> Tree:
    refs = [*node.refs(), *([node.when] if node.when else [])]
    deps = dict.fromkeys(names.keys[ref.node, ref.output] for ref in refs)
    return call(
        "Artifact",
        name=quoted(names.artifacts[node.id, output.name]),
        output=quoted(output.name),
        key=words(names.keys[node.id, output.name]),
        deps=_deps(list(deps)),
        type=quoted(output.type),
        kinds=words([output.format]) if KIND.fullmatch(output.format) else None,
    )


def _deps(keys: list[Key]) -> Tree | None:
    return several(map(words, keys)) if keys else None


def _checks(plan: Plan, node: Node, names: Names) -> Iterator[Tree]:
    """A gate's verdict, and what a validation found: about its table. A map's are lists, and no verdicts."""
    step = plan.step_of(node)
    for output in step.outputs if node.map is None else ():
        is_gate = output.name == step.gate
        if is_gate or output.type == FINDINGS:
            about = output.name if is_gate else step.outputs[0].name
            yield call(
                "Check",
                name=quoted(names.checks[node.id, output.name]),
                output=quoted(output.name),
                asset=words(names.keys[node.id, about]),
                is_gate="True" if is_gate else None,
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
