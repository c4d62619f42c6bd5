"""Pipeline parameters: checked where they enter."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from headrace.core.errors import DefinitionError, ParameterError, near_miss
from headrace.core.fit import MISSING, conforms, show_type


def declared_types(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The function's evaluated annotations. Raises `DefinitionError` when one does not evaluate."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise DefinitionError(
            f"An annotation of {getattr(function, '__name__', function)!r} does not evaluate: {error}",
            where=where,
            hint="import the type at the top of the module, not under TYPE_CHECKING",
        ) from error


def bind_parameters(
    function: Callable[..., Any], given: Mapping[str, object], where: str, folder: Path | None = None
) -> dict[str, Any]:
    """Check the given parameters against the pipeline's signature, and fill in the defaults.

    Text is read as the declared type (so that the command line needs no quoting rules of its own); other values must
    be of it. A whole number passes for a float. A relative path given as text is relative to ``folder``.

    Raises `ParameterError` for an unknown or missing parameter and for a value that is not of the declared type.
    """
    signature = inspect.signature(function)
    types_by_name = declared_types(function, where)
    for name in given:
        if name not in signature.parameters:
            raise ParameterError(
                f"Pipeline {_title(function)} has no parameter {name!r}",
                where=where,
                hint=near_miss(name, signature.parameters) or "it takes none",
            )
    bound: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(
                f"Pipeline {_title(function)} takes {parameter}, so its parameters have no names",
                where=where,
                hint="name each parameter, or take a list",
            )
        if name in given:
            value = read_parameter(name, given[name], types_by_name.get(name, MISSING), where)
            was_text = isinstance(given[name], str)
            bound[name] = Path(folder, value) if folder and was_text and isinstance(value, Path) else value
        elif parameter.default is parameter.empty:
            raise ParameterError(
                f"Pipeline {_title(function)} needs parameter {name!r}",
                where=where,
                hint=f"give it, as in -p {name}=VALUE",
            )
        else:
            bound[name] = parameter.default
    return bound


def read_parameter(name: str, value: object, declared: Any, where: str | None = None) -> Any:
    """Read one value as its declared type; see `bind_parameters`."""
    if isinstance(value, str) and not conforms(value, declared):
        value = _read_text(name, value, declared, where)
    if declared is float and type(value) is int:
        return float(value)
    if isinstance(value, list):
        value = _as_declared_container(value, declared)
    if not conforms(value, declared):
        raise ParameterError(
            f"Parameter {name!r} must be {show_type(declared)}, but got {value!r}, which is {show_type(type(value))}",
            where=where,
        )
    return value


def _as_declared_container(value: list[Any], declared: Any) -> Any:
    """JSON and TOML know lists alone: give a tuple or a set where one is declared."""
    origin = get_origin(declared) or declared
    return origin(value) if origin in (tuple, set, frozenset) else value


def _read_text(name: str, text: str, declared: Any, where: str | None) -> Any:
    for reader in _readers(declared):
        try:
            return reader(text)
        except (ValueError, KeyError):
            continue
    raise ParameterError(
        f"Parameter {name!r} must be {show_type(declared)}, but got {text!r}",
        where=where,
        hint=_advice(declared),
    )


def _readers(declared: Any) -> list[Callable[[str], Any]]:
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        return [reader for part in get_args(declared) for reader in _readers(part)]
    if origin is Literal:
        return [lambda text: {str(choice): choice for choice in get_args(declared)}[text]]
    if isinstance(declared, type) and issubclass(declared, Enum):
        return [lambda text: declared[text], declared]
    simple: dict[Any, Callable[[str], Any]] = {
        bool: lambda text: {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
            text.lower()
        ],
        int: int,
        float: float,
        str: str,
        Path: Path,
        date: date.fromisoformat,
        datetime: datetime.fromisoformat,
        type(None): lambda text: {"none": None, "null": None}[text.lower()],
    }
    if declared in simple:
        return [simple[declared]]
    if (origin or declared) in (list, tuple, set, frozenset):
        item = next(iter(get_args(declared)), str)
        return [
            json.loads,
            lambda text: [read_parameter("item", part.strip(), item) for part in text.split(",")],
        ]
    return [json.loads]


def _advice(declared: Any) -> str | None:
    if get_origin(declared) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(declared))
    if isinstance(declared, type) and issubclass(declared, Enum):
        return "one of " + ", ".join(repr(member.name) for member in declared)
    return {
        bool: "give true or false",
        int: "give a whole number, such as 100",
        float: "give a number, such as 0.5",
        date: "give a date, such as 2026-01-31",
        datetime: "give a time, such as 2026-01-31T12:00:00+00:00",
    }.get(declared, "give it as JSON" if declared is not str else None)


def _title(function: Callable[..., Any]) -> str:
    return repr(getattr(function, "__name__", str(function)))
