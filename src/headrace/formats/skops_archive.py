"""A skops archive in one form: equal estimators give equal bytes.

skops writes what differs from process to process: memory addresses as names of members and as identities, the time
of day into its zips, sets in the order of their hashes, and whatever lies in the gaps of structured arrays. Here

- a node keeps an identity only when it stands in two places, numbered in the order of the schema;
- members are numbered too, equal ones kept once, without time;
- sets are sorted, and so are an object's attributes (not a dict's items, whose order a program can see);
- gaps in structured arrays are zero, and the number of threads that a fit happened to have is left out.

What remains are the versions of skops and scikit-learn, which the archive names.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
VALUE_LOADERS = frozenset({"JsonNode", "TypeNode", "FunctionNode", "BytesNode", "SliceNode", "TupleNode"})
"""Loaders of values that can't change, so that it doesn't matter whether two places hold one or two of them."""


def normalise(archive: bytes) -> bytes:
    """Give the archive in its one form."""
    with ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read(SCHEMA))
        members = {name: _plain_member(name, source.read(name)) for name in source.namelist() if name != SCHEMA}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    _forget_threads(schema)
    _sort_objects(schema)
    _name_by_content(schema, digests)
    _sort_sets(schema)
    _number_identities(schema)
    by_digest = {digests[name]: data for name, data in members.items()}
    return _write(schema, _number_members(schema, by_digest))


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Give every node of a schema, each before those below it, in the order of the text."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def _is_shareable(node: dict[str, Any]) -> bool:
    is_scalar = node["__loader__"] == "NdArrayNode" and node["__class__"] != "ndarray"
    return node["__loader__"] not in VALUE_LOADERS and not is_scalar


def _number_identities(schema: Any) -> None:
    """Keep identities only where one object stands in several places."""
    seen = Counter(node["__id__"] for node in nodes(schema) if "__id__" in node and _is_shareable(node))
    numbers: dict[int, int] = {}
    for node in nodes(schema):
        identity = node.pop("__id__", None)
        if identity is not None and seen[identity] > 1 and _is_shareable(node):
            node["__id__"] = numbers.setdefault(identity, len(numbers) + 1)


def _forget_threads(schema: Any) -> None:
    """A histogram booster's bin mapper remembers how many threads it was fitted with, and never asks again."""
    for node in nodes(schema):
        if node["__class__"] == "_BinMapper" and node["__loader__"] == "ObjectNode":
            threads = node["content"]["content"].get("n_threads")
            if threads is not None:
                threads["content"] = "1"


def _sort_objects(schema: Any) -> None:
    for node in nodes(schema):
        state = node.get("content")
        if node["__loader__"] == "ObjectNode" and isinstance(state, dict) and state.get("__loader__") == "DictNode":
            state["content"] = dict(sorted(state["content"].items()))


def _name_by_content(schema: Any, digests: dict[str, str]) -> None:
    for node in nodes(schema):
        if "file" in node:
            name = node["file"]
            node["file"] = f"{digests[name]}.{name.rpartition('.')[2]}"


def _sort_sets(schema: Any) -> None:
    """Sort the members of sets by their text, the innermost sets first."""
    for node in reversed(list(nodes(schema))):
        if node["__loader__"] == "SetNode":
            node["content"] = sorted(node["content"], key=_text_without_identity)


def _text_without_identity(node: Any) -> str:
    if isinstance(node, dict):
        items = [f"{key}:{_text_without_identity(item)}" for key, item in node.items() if key != "__id__"]
        return "{" + ",".join(items) + "}"
    if isinstance(node, list):
        return "[" + ",".join(_text_without_identity(item) for item in node) + "]"
    return json.dumps(node)


def _number_members(schema: Any, by_digest: dict[str, bytes]) -> list[tuple[str, bytes]]:
    names: dict[str, str] = {}
    members: list[tuple[str, bytes]] = []
    for node in nodes(schema):
        if "file" not in node:
            continue
        digest, _, extension = node["file"].rpartition(".")
        if digest not in names:
            names[digest] = f"{len(names)}.{extension}"
            members.append((names[digest], by_digest[digest]))
        node["file"] = names[digest]
    return members


def _write(schema: Any, members: list[tuple[str, bytes]]) -> bytes:
    text = json.dumps(schema, separators=(",", ":")).encode()
    return _zip([(SCHEMA, text), *members])


def _zip(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as target:
        for name, data in members:
            entry = ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            target.writestr(entry, data)
    return buffer.getvalue()


def _plain_member(name: str, data: bytes) -> bytes:
    if name.endswith(".npz"):
        with ZipFile(io.BytesIO(data)) as inner:
            return _zip([(member, inner.read(member)) for member in sorted(inner.namelist())])
    return _without_gaps(data) if name.endswith(".npy") else data


def _without_gaps(data: bytes) -> bytes:
    """Zero the bytes between the fields of a structured array: they hold whatever lay in memory."""
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    clean = np.zeros(array.size, dtype=array.dtype)
    flat = array.reshape(-1)
    for field in array.dtype.names:
        clean[field] = flat[field]
    buffer = io.BytesIO()
    np.save(buffer, clean.reshape(array.shape), allow_pickle=False)
    return buffer.getvalue()
