"""Keys and types, by the models that Hera makes of Argo's API."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin

from headrace.backends.argo.lint.document import Document
from headrace.core.errors import near_miss

KINDS = ("Workflow", "WorkflowTemplate", "CronWorkflow")
API_VERSION = "argoproj.io/v1alpha1"
MOST_SHOWN = 200
"""Characters of a value that a finding shows."""

Placed = Iterator[tuple[str, str]]
"""Places and what is wrong there."""


def kind_is_known(document: Document) -> Placed:
    """The object says what it is."""
    if document.kind not in KINDS:
        yield "kind", f"{document.kind!r:.60} is none of {', '.join(KINDS)}"
    if document.tree.get("apiVersion") != API_VERSION:
        yield "apiVersion", f"{document.tree.get('apiVersion')!r:.60} is not {API_VERSION}"


def keys_are_known(document: Document) -> Placed:
    """Every key is one of Argo's or Kubernetes', which Argo's JSON schema and Hera's models don't check."""
    if document.kind in KINDS:
        yield from _unknown_keys(document.tree, _model(document.kind), "")


def values_fit(document: Document) -> Placed:
    """What must be there is, and every value is of its type: a text is no number, as in Argo's own reader."""
    import json

    from pydantic import ValidationError

    if document.kind not in KINDS:
        return
    try:
        _model(document.kind).model_validate_json(json.dumps(document.tree), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            yield ".".join(map(str, problem["loc"])), f"{problem['msg']}, but got {problem['input']!r:.{MOST_SHOWN}}"


def _model(kind: str) -> Any:
    from hera.workflows import models

    return getattr(models, kind)


def _unknown_keys(tree: object, declared: Any, place: str) -> Placed:
    if isinstance(tree, list):
        inner = next((get_args(item)[0] for item in _choices(declared) if get_origin(item) is list), None)
        for number, item in enumerate(tree):
            yield from _unknown_keys(item, inner, f"{place}[{number}]")
        return
    if not isinstance(tree, Mapping):
        return
    for choice in _choices(declared):
        if get_origin(choice) is dict:
            for key, item in tree.items():
                yield from _unknown_keys(item, get_args(choice)[1], _under(place, key))
        elif fields := getattr(choice, "model_fields", {}):
            by_key = {field.alias or name: field.annotation for name, field in fields.items()}
            for key, item in tree.items():
                if key in by_key:
                    yield from _unknown_keys(item, by_key[key], _under(place, key))
                elif "root" not in fields and "__root__" not in fields:
                    yield _under(place, key), f"there is no such key; {near_miss(str(key), by_key)}"


def _under(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _choices(declared: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the type alone."""
    return get_args(declared) if get_origin(declared) in (Union, types.UnionType) else (declared,)
