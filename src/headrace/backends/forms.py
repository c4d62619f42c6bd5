"""Parameters as an orchestrator's form has them: plain JSON, with a schema of the declared type."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headrace.backends.deployment import FormField
from headrace.core.errors import HeadraceError
from headrace.core.forms import TAG
from headrace.core.hints import declared_types
from headrace.core.parameters import read_parameter
from headrace.core.values import Json, encode

if TYPE_CHECKING:
    from headrace.core.pipeline import Pipeline
    from headrace.core.plan import ParameterSpec, Plan

PLAIN = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Path": {"type": "string"},
    "Secret": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "Decimal": {"type": "string"},
    "UUID": {"type": "string"},
}
LISTS = ("list", "tuple", "set", "frozenset", "Sequence", "Collection", "Iterable")
TABLES = ("dict", "Mapping", "MutableMapping")
UNSAID = object()


def fields_of(plan: Plan, pipeline: Pipeline[..., Any], required: tuple[str, ...] = ()) -> Iterator[FormField]:
    """The parameters that plain JSON can be given for, so that the plan's own value comes back as it is.

    ``required``: those of which the plan's value is no default.
    """
    types = declared_types(pipeline.function, None)
    for spec in plan.parameters:
        if spec.name in required:
            yield FormField(spec.name, spec.type, schema_of(spec.type), None, is_required=True)
            continue
        default = plain_of(spec.value)
        if default is not UNSAID and _comes_back(spec, default, types.get(spec.name)):
            yield FormField(spec.name, spec.type, schema_of(spec.type), default)


def _comes_back(spec: ParameterSpec, default: object, declared: Any) -> bool:
    try:
        return bool(encode(read_parameter(spec.name, default, declared)) == spec.value)
    except HeadraceError:
        return False


def plain_of(tree: Json) -> object:
    """The plain JSON of a value in a plan; `UNSAID` for one that has none."""
    if isinstance(tree, list):
        items = [plain_of(item) for item in tree]
        return UNSAID if any(item is UNSAID for item in items) else items
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(TAG)
    if kind is None:
        parts = {name: plain_of(item) for name, item in tree.items()}
        return UNSAID if any(item is UNSAID for item in parts.values()) else parts
    if kind == "secret":
        return tree["name"]
    for name in ("value", "items"):
        if name in tree and kind not in ("estimator", "dataclass", "partial"):
            return plain_of(tree[name])
    return UNSAID


def schema_of(declared: str) -> Mapping[str, Json]:
    """The JSON schema of a declared type, given as text; ``{}`` where nothing can be said."""
    try:
        return _schema(ast.parse(declared, mode="eval").body)
    except SyntaxError:
        return {}


def _schema(node: ast.expr) -> dict[str, Json]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either(_schema(node.left), _schema(node.right))
    if isinstance(node, ast.Constant) and node.value is None:
        return dict(PLAIN["None"])
    name = node.value if isinstance(node, ast.Subscript) else node
    word = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
    if not isinstance(node, ast.Subscript):
        return dict(
            PLAIN.get(word, {"type": "array"} if word in LISTS else {"type": "object"} if word in TABLES else {})
        )
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if word == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant)]
        return {"enum": values} if len(values) == len(parts) else {}
    if word == "Optional":
        return _either(_schema(parts[0]), dict(PLAIN["None"]))
    if word in LISTS:
        same = len(parts) == 1 or (len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...)
        items = _schema(parts[0]) if same else {}
        return {"type": "array", "items": items} if items else {"type": "array"}
    return {"type": "object"} if word in TABLES else {}


def _either(one: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    """The schema of a union; ``{}`` where a part isn't known."""
    if not one or not other:
        return {}
    types = [one.get("type"), other.get("type")]
    kinds = [kind for item in types for kind in (item if isinstance(item, list) else [item])]
    rest = {key: value for part in (one, other) for key, value in part.items() if key != "type"}
    if "enum" in rest:
        return {"enum": [*rest["enum"], None]} if {"type": "null"} in (one, other) else {}
    return {"type": list(dict.fromkeys(kinds)), **rest}
