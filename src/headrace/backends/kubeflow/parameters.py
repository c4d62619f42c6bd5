"""A pipeline's parameters as Kubeflow Pipelines has them: typed where it hands their values on as they are.

KFP hands on every number as a float, and dicts in another order. What it would alter is given as JSON, in a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.backends.deployment import FormField
from headrace.backends.kubeflow.names import own_names
from headrace.backends.kubeflow.text import is_plain, literal, safe_json

SCALARS = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
MOST_EXACT = 2**53


@dataclass(frozen=True)
class Parameter:
    """A parameter of the compiled pipeline.

    ``name`` is KFP's name for it, ``kind`` what its value is turned into again: ``int``, ``float``, ``bool``, ``str``,
    ``list of …``, or ``json``.
    """

    field: FormField
    name: str
    kind: str

    @property
    def type(self) -> str:
        """Its type in the signature."""
        return "str" if self.kind == "json" else self.kind.split(" ")[0]

    @property
    def declaration(self) -> str:
        """Its place in the pipeline's signature."""
        declared = f"{self.name}: {self.type}"
        if self.field.is_required:
            return declared
        default = safe_json(self.field.default) if self.kind == "json" else self.field.default
        return f"{declared} = {literal(default)}"


def parameters_of(fields: tuple[FormField, ...]) -> list[Parameter]:
    """The parameters of the compiled pipeline, those first that must be given."""
    names = own_names((item.name for item in fields), taken=("headrace_parameters",))
    made = [Parameter(item, names[item.name], _kind(item)) for item in fields]
    return sorted(made, key=lambda parameter: not parameter.field.is_required)


def _kind(field: FormField) -> str:
    kind = _kind_of(field.schema)
    return kind if kind and (field.is_required or _is_kept(field.default, kind)) else "json"


def _kind_of(schema: Mapping[str, Any]) -> str | None:
    choices = schema.get("enum")
    if choices and all(isinstance(choice, str) for choice in choices):
        return "str"
    if schema.get("type") == "array":
        item = _kind_of(schema.get("items", {}))
        return f"list of {item}" if item in SCALARS.values() else None
    declared = schema.get("type")
    return SCALARS.get(declared) if isinstance(declared, str) else None


def _is_kept(value: Any, kind: str) -> bool:
    """Whether KFP hands this on as it is."""
    if kind.startswith("list of "):
        return isinstance(value, list) and all(_is_kept(item, kind[8:]) for item in value)
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, str):
        return kind == "str" and is_plain(value)
    if isinstance(value, int):
        return kind in ("int", "float") and abs(value) < MOST_EXACT
    return kind == "float" and isinstance(value, float) and math.isfinite(value)
