"""The value codec's trees as people write values: for reports, comparisons and the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.core.forms import TAG
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.stores.protocol import Store

MOST_BYTES_SHOWN = 100_000
DEEPEST = 40
_FIELDS = ("dataclass", "namedtuple", "pydantic", "model", "estimator", "external")


def plain(tree: Json, *, floats: bool = False) -> Json:
    """A tree as plain JSON: records become objects, tuples and sets lists, dates and the like their text.

    NaN and the infinities become text, which JSON has no numbers for, or with ``floats`` the floats that they are. What
    is nested more than forty deep is cut. Meant for showing: types that JSON lacks can't be told apart after it.
    """
    return _plain(tree, floats, 0)


def _plain(tree: Json, floats: bool, depth: int) -> Json:
    if depth > DEEPEST:
        return "…"
    if isinstance(tree, list):
        return [_plain(item, floats, depth + 1) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(TAG)
    if kind is None:
        return {key: _plain(item, floats, depth + 1) for key, item in tree.items()}
    if kind in _FIELDS:
        found = {**tree["fields"], **tree.get("extra", {})}
        return {key: _plain(item, floats, depth + 1) for key, item in found.items()}
    if kind in ("tuple", "set", "frozenset"):
        return [_plain(item, floats, depth + 1) for item in tree["items"]]
    if kind == "dict":
        return {text(key): _plain(item, floats, depth + 1) for key, item in tree["items"]}
    return float(tree["value"]) if floats and kind == "float" else text(tree)


def text(tree: Json, depth: int = 0) -> str:
    """A tree as text, near to what one would write in Python: ``Scaler(with_mean=True)``, ``2026-01-31``."""
    if depth > DEEPEST:
        return "…"
    if isinstance(tree, list):
        return f"[{_joined(tree, depth)}]"
    if not isinstance(tree, dict):
        return repr(tree)
    kind = tree.get(TAG)
    if kind is None:
        return "{" + ", ".join(f"{key!r}: {text(item, depth + 1)}" for key, item in tree.items()) + "}"
    if kind in _FIELDS:
        return f"{_class_name(tree['type'])}({_named(tree['fields'], depth)})"
    if kind == "tuple":
        return f"({_joined(tree['items'], depth)}{',' if len(tree['items']) == 1 else ''})"
    if kind in ("set", "frozenset"):
        return "{" + _joined(tree["items"], depth) + "}" if tree["items"] else "set()"
    if kind == "dict":
        return "{" + ", ".join(f"{text(key)}: {text(item, depth + 1)}" for key, item in tree["items"]) + "}"
    return _scalar(tree, kind, depth)


def _scalar(tree: Mapping[str, Any], kind: str, depth: int) -> str:
    if kind == "ref":
        return str(tree["node"]) if tree["output"] == "output" else f"{tree['node']}.{tree['output']}"
    if kind == "artifact":
        return f"artifact {tree['digest'][:8]}"
    if kind == "enum":
        return f"{_class_name(tree['type'])}.{tree['name']}"
    if kind == "name":
        return _class_name(tree["value"])
    if kind == "secret":
        return f"Secret({tree['name']!r})"
    if kind == "partial":
        parts = [part for part in (_joined(tree["args"], depth), _named(tree["kwargs"], depth)) if part]
        return f"partial({', '.join([text(tree['function'], depth + 1), *parts])})"
    if kind in ("path", "text"):
        return repr(tree["value"])
    if kind == "numpy":
        return f"numpy array of shape {tuple(tree['shape'])}"
    if kind == "bytes":
        return f"bytes {tree['value'][:16]!r}"
    if "value" in tree:
        return f"{tree['value']}{tree.get('zone') or ''}"
    rest = {key: item for key, item in tree.items() if key != TAG}
    return f"{kind}({_named(rest, depth)})"


def _joined(items: list[Json], depth: int) -> str:
    return ", ".join(text(item, depth + 1) for item in items)


def _named(items: Mapping[str, Json], depth: int) -> str:
    return ", ".join(f"{name}={text(item, depth + 1)}" for name, item in items.items())


def _class_name(path: str) -> str:
    return path.rpartition(":")[2]


def stored_json(
    store: Store, artifact: Artifact, *, most_bytes: int = MOST_BYTES_SHOWN, floats: bool = False
) -> tuple[Json] | None:
    """What a small JSON artifact holds, as `plain` gives it, in a tuple; None where it is none, too large, or gone."""
    from headrace.core.errors import StoreError

    if artifact.format != "json" or artifact.n_bytes > most_bytes:
        return None
    try:
        tree = json.loads(b"".join(store.read_object(file.digest) for file in artifact.files))
    except (StoreError, ValueError):
        return None
    return (plain(tree, floats=floats),)


def sample_text(begin: Mapping[str, Any]) -> str | None:
    """What of its data a run took, by the record of its begin: ``1% by customer_id``; None where it took all."""
    if not begin.get("sample"):
        return None
    from headrace.core.sample import Sample

    return Sample.from_json(begin["sample"]).text
