"""What nodes, artifacts and checks are called in Dagster: words of letters, digits and ``_`` that it has no use for."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.backends.naming import unique_names

if TYPE_CHECKING:
    from headrace.core.plan import Node, OutputSpec, Plan

OTHER = "[^A-Za-z0-9_]"
LONGEST = 100
OF_DAGSTER = """context conf config meta arg_dict dict input_arg_dict output_arg_dict int str float bool input output
type"""
OF_THE_FILE = ("begin", "finish", "ended", "headrace_run")
RESERVED = frozenset((*OF_DAGSTER.split(), *OF_THE_FILE, *keyword.kwlist))
"""What Dagster refuses as a name, and what the definitions file has names for."""
RUN = "headrace_run"
"""The name of the asset that a run is."""

Key = tuple[str, ...]
Output = tuple[str, str]
"""A node's id and the name of one of its outputs."""


def engine_names(ids: Iterable[str]) -> dict[str, str]:
    """A name for each id: none is reserved, or begins with ``_``, which no output of an op may."""
    names = unique_names(ids, OTHER, LONGEST)
    taken = set(names.values())
    for node, name in names.items():
        if name in RESERVED or name.startswith("_"):
            free = f"n_{name.lstrip('_')}"
            while free in taken:
                free += "_"
            taken.add(free)
            names[node] = free
    return names


def engine_name(name: str) -> str:
    """The name of a pipeline."""
    return engine_names([name])[name]


def outputs_of(plan: Plan) -> Iterator[tuple[Node, OutputSpec]]:
    """All outputs of a plan's nodes, in order."""
    for node in plan.nodes:
        for output in plan.step_of(node).outputs:
            yield node, output


@dataclass(frozen=True)
class Names:
    """All names of a plan."""

    pipeline: str
    ops: Mapping[str, str]
    artifacts: Mapping[Output, str]
    checks: Mapping[Output, str]
    conditions: Mapping[Output, str]
    keys: Mapping[Output, Key]
    run_key: Key

    @classmethod
    def of(cls, plan: Plan) -> Names:
        """Name everything in a plan."""
        outputs = {(node.id, output.name): _id(node, plan) for node, output in outputs_of(plan)}
        ids = {output: found if found else f"{output[0]}:{output[1]}" for output, found in outputs.items()}
        checks = {output: f"{name}:check" for output, name in ids.items()}
        conditions = {output: f"{name}:holds" for output, name in ids.items()}
        names = engine_names([*ids.values(), *checks.values(), *conditions.values()])
        artifacts = {output: names[name] for output, name in ids.items()}
        pipeline = engine_name(plan.pipeline)
        keys = {output: _key(pipeline, output, bool(found)) for output, found in outputs.items()}
        n_alike = Counter(keys.values())
        return cls(
            pipeline=pipeline,
            ops=engine_names(node.id for node in plan.nodes),
            artifacts=artifacts,
            checks={output: names[name] for output, name in checks.items()},
            conditions={output: names[name] for output, name in conditions.items()},
            keys={output: key if n_alike[key] == 1 else (pipeline, artifacts[output]) for output, key in keys.items()},
            run_key=(pipeline, RUN),
        )


def _id(node: Node, plan: Plan) -> str:
    """What the only output of a node is called after: the node."""
    return node.id if [output.name for output in plan.step_of(node).outputs] == ["output"] else ""


def _key(pipeline: str, output: Output, is_only: bool) -> Key:
    return (pipeline, *output[0].split("."), *(() if is_only else (output[1],)))
