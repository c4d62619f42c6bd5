"""The items of a node that maps: how many there are, and what each is made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from headrace.core.artifact import Artifact
from headrace.core.errors import DataError
from headrace.core.forms import TAG
from headrace.core.key import KeyParts
from headrace.core.mapping import check_lengths
from headrace.core.plan import Node, Ref, refs_in
from headrace.core.values import Json, canonical, names_in
from headrace.engine.item_records import item_id
from headrace.engine.lists import items_in
from headrace.engine.prepare import paths_in
from headrace.engine.request import Request
from headrace.engine.state import Run
from headrace.stores.protocol import Store

MOST_CHARACTERS_KEPT = 300
"""Of an item's value, in the records: what is longer is kept by its digest."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item for one parameter: what the worker is told, what enters the key, and the artifacts that are needed."""

    tree: Json
    keyed: Json
    inputs: Mapping[str, Artifact]


class Source(Protocol):
    """A list that is mapped over."""

    def __len__(self) -> int: ...

    def item(self, index: int) -> Item:
        """One of its items."""


class Items:
    """The items of a node under way. ``whole`` is the node's own request: its inputs, and the keyed lists."""

    def __init__(self, run: Run, whole: Request) -> None:
        assert whole.node.map is not None
        self._run = run
        self._whole = whole
        self._node = node = whole.node
        self._over = whole.node.map.over
        self._sources = {name: _source(run, whole, name) for name in self._over}
        lengths = {name: len(source) for name, source in self._sources.items()}
        self.n_items = check_lengths(f"Step {whole.spec.name!r}", lengths, f"node {node.id!r}")
        shared = {name: tree for name, tree in node.arguments.items() if name not in self._over}
        self._inputs = _inputs_of(shared.values(), whole)
        self._paths = _paths_of(shared.values(), whole)
        self._codes = _codes_of(shared.values(), whole)
        self._formats = {output.name: output.format for output in whole.spec.outputs}

    def request(self, index: int) -> Request:
        """What one item is made from, and its key: that of the same call by itself."""
        node, whole = self._node, self._whole
        items = {name: source.item(index) for name, source in self._sources.items()}
        arguments = {name: items[name].tree if name in items else tree for name, tree in node.arguments.items()}
        values = {name: items[name].keyed if name in items else whole.parts.values[name] for name in node.arguments}
        trees = [item.tree for item in items.values()]
        inputs = dict(self._inputs)
        for item in items.values():
            inputs.update(item.inputs)
        parts = KeyParts({**self._codes, **_codes_of(trees, whole)}, values, self._formats, whole.parts.environment)
        paths = {**self._paths, **_paths_of(trees, whole)} if whole.paths else {}
        own = Node(item_id(node.id, index), node.step, arguments)
        return Request(own, whole.spec, inputs, paths, parts, parts.key)

    def shown(self, request: Request) -> dict[str, Json]:
        """What the item is, as the records keep it."""
        return {name: shortened(request.parts.values[name]) for name in self._over}


def shortened(tree: Json) -> Json:
    """A tree, or its digest where it is long."""
    text = canonical(tree)
    if len(text) <= MOST_CHARACTERS_KEPT:
        return tree
    return {TAG: "long", "digest": sha256(text.encode()).hexdigest(), "begin": text[:60]}


def _inputs_of(trees: Iterable[Json], whole: Request) -> dict[str, Artifact]:
    names = [f"{ref.node}/{ref.output}" for tree in trees for ref in refs_in(tree)]
    return {name: whole.inputs[name] for name in names}


def _paths_of(trees: Iterable[Json], whole: Request) -> dict[str, str | None]:
    if not whole.paths:
        return {}
    return {path: whole.paths[path] for tree in trees for path in paths_in(tree) if path in whole.paths}


def _codes_of(trees: Iterable[Json], whole: Request) -> dict[str, str]:
    """The step's code, that of what stands in the trees, and of the makers of pickles."""
    codes = whole.parts.code
    # What a step made names classes too: those that the consumer's annotation names, which are of its own code.
    given = [tree for tree in trees if isinstance(tree, list) or (isinstance(tree, dict) and tree.get(TAG) != "item")]
    named = {name for tree in given for name in names_in(tree)}
    return {name: codes[name] for name in (whole.spec.id, *sorted(named), *sorted(whole.makers))}


def _source(run: Run, whole: Request, name: str) -> Source:
    tree = whole.node.arguments[name]
    keyed = whole.parts.values[name]
    if isinstance(tree, dict) and tree.get(TAG) == "ref":
        artifact = whole.inputs[f"{tree['node']}/{tree['output']}"]
        if artifact.format == "list":
            return StoredItems(artifact, Ref(tree["node"], tree["output"]), run.store)
        return JsonItems(_stored_trees(artifact, run.store, f"node {whole.node.id!r}", name))
    if isinstance(tree, dict) and tree.get(TAG) == "tuple":
        return GivenItems(tree["items"], keyed["items"], whole)
    return GivenItems(tree, keyed, whole)


def _stored_trees(artifact: Artifact, store: Store, where: str, name: str) -> list[Json]:
    tree = None
    if artifact.format == "json":
        tree = json.loads(store.read_object(artifact.files[0].digest, n_bytes=artifact.files[0].n_bytes))
    if isinstance(tree, dict) and tree.get(TAG) == "tuple":
        tree = tree["items"]
    if not isinstance(tree, list):
        raise DataError(
            f"What {name!r} is mapped over is no list, but {artifact.type}",
            where=where,
            hint="return a list from the step that makes it, and declare that",
        )
    return tree


class GivenItems:
    """A list that stands in the plan: values, and outputs of other nodes."""

    def __init__(self, trees: Sequence[Json], keyed: Sequence[Json], whole: Request) -> None:
        self._trees = trees
        self._keyed = keyed
        self._whole = whole

    def __len__(self) -> int:
        return len(self._trees)

    def item(self, index: int) -> Item:
        """One of its items."""
        tree = self._trees[index]
        inputs = _inputs_of([tree], self._whole) if isinstance(tree, list | dict) else {}
        return Item(tree, self._keyed[index], inputs)


class JsonItems:
    """A list that a step made of plain values: an item counts by its value."""

    def __init__(self, trees: Sequence[Json]) -> None:
        self._trees = trees

    def __len__(self) -> int:
        return len(self._trees)

    def item(self, index: int) -> Item:
        """One of its items."""
        tree = self._trees[index]
        return Item({TAG: "item", "value": tree} if isinstance(tree, list | dict) else tree, tree, {})


class StoredItems:
    """A list whose items are artifacts: an item counts by its digest."""

    def __init__(self, artifact: Artifact, ref: Ref, store: Store) -> None:
        self._ref = ref
        self._items = list(items_in(artifact, store))

    def __len__(self) -> int:
        return len(self._items)

    def item(self, index: int) -> Item:
        """One of its items."""
        artifact = self._items[index]
        ref = Ref(self._ref.node, item_id(self._ref.output, index))
        tree = ref.to_json()
        return Item(tree, {TAG: "artifact", "digest": artifact.digest}, {f"{ref.node}/{ref.output}": artifact})
