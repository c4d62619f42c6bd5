"""What a node is to be made from: its inputs, and the key over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.artifact import Artifact
from headrace.core.errors import DamagedObjectError, FormatError
from headrace.core.forms import TAG
from headrace.core.key import KeyParts
from headrace.core.plan import Node, StepSpec
from headrace.core.values import Json, names_in
from headrace.engine.lists import items_in
from headrace.engine.prepare import path_digest, paths_in
from headrace.engine.state import Run

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


@dataclass(frozen=True)
class Request:
    """A node whose inputs are there: its step, inputs, and key."""

    node: Node
    spec: StepSpec
    inputs: Mapping[str, Artifact]
    paths: Mapping[str, str | None]
    parts: KeyParts
    key: str
    makers: frozenset[str] = frozenset()
    """The steps whose pickles it takes."""


def prepare_request(run: Run, node: Node) -> Request:
    """Gather a node's inputs and compute its key."""
    spec = run.prepared.plan.step_of(node)
    inputs = {f"{ref.node}/{ref.output}": run.artifact(ref) for ref in node.refs()}
    digests = frozenset(artifact.digest for artifact in inputs.values())
    paths: dict[str, str | None] = {}
    values = {name: _keyed(run, tree, inputs, digests, paths) for name, tree in node.arguments.items()}
    codes = {spec.id: run.prepared.codes[spec.id].digest}
    for tree in node.arguments.values():
        for name in names_in(tree) if isinstance(tree, list | dict) else ():
            codes[name] = run.prepared.codes[name].digest
    # What comes out of a pickle is of classes that no annotation need name: those that its maker reaches.
    makers = frozenset(
        run.prepared.plan.by_id[ref.node].step
        for ref in node.refs()
        if _holds_pickle(inputs[f"{ref.node}/{ref.output}"], run.store)
    )
    codes |= {maker: run.prepared.codes[maker].digest for maker in makers}
    formats = {output.name: output.format for output in spec.outputs}
    if node.map is not None:
        formats = {name: f"list of {item}, over {', '.join(node.map.over)}" for name, item in formats.items()}
    parts = KeyParts(codes, values, formats, run.environment(spec))
    return Request(node, spec, inputs, paths, parts, parts.key, makers)


def _holds_pickle(artifact: Artifact, store: Store) -> bool:
    """Whether an artifact is a pickle, or a list with one in it. One that cannot be read counts as if it were."""
    if artifact.format != "list":
        return artifact.format == "pickle"
    try:
        return any(_holds_pickle(item, store) for item in items_in(artifact, store))
    except (DamagedObjectError, FormatError):
        return True


def _keyed(
    run: Run,
    tree: Json,
    inputs: Mapping[str, Artifact],
    digests: frozenset[str],
    paths: dict[str, str | None],
) -> Json:
    """A value as it enters the key: artifacts by digest, files by content, other state by its pin."""
    if isinstance(tree, list):
        return [_keyed(run, item, inputs, digests, paths) for item in tree]
    if isinstance(tree, str):
        return _keyed_text(run, tree)
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(TAG)
    if kind == "ref":
        return {TAG: "artifact", "digest": inputs[f"{tree['node']}/{tree['output']}"].digest}
    if kind == "path":
        paths[tree["value"]] = run.pins[path_pin(tree["value"])]
        return {**tree, "digest": paths[tree["value"]]}
    if kind == "external":
        from headrace.core.external import external_id

        pin = run.pins[external_id(tree)]
        asked = {"external": tree, "pin": pin, "inputs": sorted(digests)}
        return {**tree, "pin": run.asker.ask("key_part", asked, tree["type"])}
    if kind in (
        None,
        "dict",
        "rows",
        "tuple",
        "set",
        "frozenset",
        "dataclass",
        "namedtuple",
        "pydantic",
        "estimator",
        "partial",
    ):
        return {name: item if name == TAG else _keyed(run, item, inputs, digests, paths) for name, item in tree.items()}
    return tree


def path_pin(path: str) -> str:
    """The name under which a run keeps what a file or a folder held when it began."""
    return f"path {path}"


def _keyed_text(run: Run, text: str) -> Json:
    """Text that names a file counts by the file's content too, as it is before the step.

    Unlike a path it is not looked at again afterwards: it may as well name what the step writes to.
    """
    for candidate in paths_in(text):
        path = Path(run.workshop.project.root, candidate)
        try:
            is_file = path.is_file()
        except (OSError, ValueError):
            is_file = False
        if is_file:
            return {TAG: "text", "value": text, "digest": path_digest(path, run.workshop.stamps)}
    return text
