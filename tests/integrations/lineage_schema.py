"""A JSON schema of OpenLineage's events, made from the classes of its own client: no network, and always its version's.

The client's classes are themselves generated from the specification. What their types say, and what their validators
hold (a run's id is a UUID, an event's time has a date and a time), becomes the schema.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import attr
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client import generated
from openlineage.client.event_v2 import RunEvent

import headrace.integrations

FORMATS = {"runId": "uuid", "eventTime": "date-time", "producer": "uri", "schemaURL": "uri", "_producer": "uri"}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
OWN = json.loads((Path(headrace.integrations.__file__).parent / "openlineage_facets.json").read_text())
CHECKER = FormatChecker()


@CHECKER.checks("uuid", raises=ValueError)
def is_uuid(value: object) -> bool:
    from uuid import UUID

    return str(UUID(str(value))) == value


@CHECKER.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    from datetime import datetime

    return datetime.fromisoformat(str(value)).tzinfo is not None and "T" in str(value)


@CHECKER.checks("uri", raises=ValueError)
def is_uri(value: object) -> bool:
    from urllib.parse import urlsplit

    return bool(urlsplit(str(value)).scheme)


def schema_of(kind: Any, outer: tuple[type, ...] = ()) -> dict[str, Any]:
    """The schema of a type that the client declares. ``outer``: the classes that it is part of."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (one,) = [item for item in inner if item is not type(None)]
        return schema_of(one, outer)
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0], outer)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1], outer)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [item.value for item in kind]}
    if attr.has(kind):
        return {"type": "object"} if kind in outer else schema_of_class(kind, outer)
    return {}


def schema_of_class(kind: type, outer: tuple[type, ...] = ()) -> dict[str, Any]:
    """The schema of a class. A base class of facets leaves open what is in them."""
    hints = get_type_hints(kind)
    fields = [field for field in attr.fields(kind) if not field.name.endswith("_skip_redact")]
    properties = {field.name: schema_of(hints[field.name], (*outer, kind)) for field in fields}
    for name in properties.keys() & FORMATS:
        properties[name]["format"] = FORMATS[name]
    required = [field.name for field in fields if field.default is attr.NOTHING or field.name in FORMATS]
    is_open = kind.__module__.endswith("generated.base") and kind.__name__.endswith("Facet")
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": is_open}


def facet_classes() -> Mapping[str, type]:
    """All of the specification's facets by the URL of their schema."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(value, type) and value.__name__.endswith("Facet") and hasattr(value, "_get_schema"):
                found[value._get_schema()] = value
    return found


def facets_in(tree: Any) -> Iterator[dict[str, Any]]:
    """Every facet in an event."""
    if isinstance(tree, dict):
        if "_schemaURL" in tree:
            yield tree
        for item in tree.values():
            yield from facets_in(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from facets_in(item)


EVENT = schema_of_class(typing.cast(type, RunEvent))
FACETS = facet_classes()


def check_event(event: dict[str, Any]) -> None:
    """Hold an event to the schema: as a whole, and each facet in it to its own, the specification's or ours."""
    Draft202012Validator(EVENT, format_checker=CHECKER).validate(event)
    for facet in facets_in(event):
        url = facet["_schemaURL"]
        if url.startswith(OWN["$id"]):
            schema: Any = {"$defs": OWN["$defs"], "$ref": url.removeprefix(OWN["$id"])}
        else:
            schema = schema_of_class(FACETS[url])
        Draft202012Validator(schema, format_checker=CHECKER).validate(facet)
