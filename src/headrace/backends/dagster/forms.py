"""A pipeline's parameters, as the config of the op that begins a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.backends.source import Call, Code

if TYPE_CHECKING:
    from headrace.backends.deployment import FormField
    from headrace.core.values import Json

SCALARS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "string": ("str", str),
    "integer": ("int", int),
    "number": ("float", (int, float)),
    "boolean": ("bool", bool),
}
ANY = "dg.Any"


def parameters_of(fields: Iterable[FormField], date: str | None) -> dict[str, Call]:
    """The parameters. The date isn't among them: it is the partition's key."""
    return {field.name: _field(field) for field in fields if field.name != date}


def _field(field: FormField) -> Call:
    fits = field.is_required or _fits(field.schema, field.default)
    words = {} if field.is_required else {"is_required": False, "default_value": field.default}
    return Call("dg.Field", (Code(_type(field.schema) if fits else ANY),), {**words, "description": field.type})


def _type(schema: Mapping[str, Any]) -> str:
    """A type of Dagster's config; any, where the declared one says too little."""
    kind: Any = schema.get("type")
    if "enum" in schema:
        known = [value for value in schema["enum"] if value is not None]
        text = "str" if all(isinstance(value, str) for value in known) else ANY
        return text if len(known) == len(schema["enum"]) or text == ANY else f"dg.Noneable({text})"
    if isinstance(kind, list):
        others = [name for name in kind if name != "null"]
        if len(others) == 1 and "null" in kind:
            return f"dg.Noneable({_type({**schema, 'type': others[0]})})"
        return ANY
    if kind in SCALARS:
        return SCALARS[kind][0]
    if kind == "array":
        return f"[{_type(schema['items'])}]" if "items" in schema else "list"
    return "dict" if kind == "object" else ANY


def _fits(schema: Mapping[str, Any], value: Json) -> bool:
    """Whether a value is of the type: a float may be text such as ``nan``, which JSON has no number for."""
    kind: Any = schema.get("type")
    if isinstance(kind, list):
        return value is None if value is None else any(_fits({**schema, "type": name}, value) for name in kind)
    if kind in SCALARS:
        return isinstance(value, SCALARS[kind][1]) and (kind == "boolean" or not isinstance(value, bool))
    if kind == "array":
        return isinstance(value, list) and all(_fits(schema.get("items", {}), item) for item in value)
    return isinstance(value, dict) if kind == "object" else True
