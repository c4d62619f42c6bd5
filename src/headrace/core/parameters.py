"""Pipeline parameters: checked where they enter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import DefinitionError, MissingParameterError, ParameterError, near_miss
from headrace.core.fit import MISSING, show_type
from headrace.core.hints import declared_types
from headrace.core.reading import MisfitError, Reader, advice
from headrace.core.shown import show_value


def bind_parameters(
    function: Callable[..., Any], given: Mapping[str, object], where: str, folder: Path | None = None
) -> dict[str, Any]:
    """Check the given parameters against the pipeline's signature, and fill in the defaults.

    Text is read as the declared type (so that the command line needs no quoting rules of its own), and what JSON and
    TOML have no types for is made of what they have; see `headrace.core.reading`. A relative path given as text is
    relative to ``folder``.

    Raises
    ------
    ParameterError
        For an unknown or missing parameter, and for a value that is not of the declared type.
    DefinitionError
        For a default that is not of the declared type, and for ``*args`` or ``**kwargs``.
    """
    parameters = inspect.signature(function).parameters
    types_by_name = declared_types(function, where)
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise DefinitionError(
                f"Pipeline {_title(function)} takes {stars}{parameter.name}, so its parameters have no names",
                where=where,
                hint="name each parameter, or take a list",
            )
    for name in given:
        if name not in parameters:
            raise ParameterError(
                f"Pipeline {_title(function)} has no parameter {name!r}",
                where=where,
                hint=near_miss(name, parameters) or "it takes none",
            )
    bound: dict[str, Any] = {}
    for name, parameter in parameters.items():
        declared = types_by_name.get(name, MISSING)
        if name in given:
            bound[name] = read_parameter(name, given[name], declared, where, folder)
        elif parameter.default is parameter.empty:
            raise MissingParameterError(
                f"Pipeline {_title(function)} needs parameter {name!r}",
                where=where,
                hint=f"give it, as in -p {name}=VALUE",
            )
        else:
            bound[name] = _checked_default(function, name, parameter.default, declared, where)
    return bound


def read_parameter(
    name: str, value: object, declared: Any, where: str | None = None, folder: Path | None = None
) -> Any:
    """Read one value as its declared type; see `bind_parameters`."""
    try:
        return Reader(folder).read(value, declared)
    except MisfitError as misfit:
        got = show_value(misfit.value) + (f" at {name}{misfit.place}" if misfit.place else "")
        if not isinstance(misfit.value, str):
            got += f", which is {show_type(type(misfit.value))}"
        problem = f": {misfit.problem}" if misfit.problem else ""
        raise ParameterError(
            f"Parameter {name!r} must be {show_type(declared)}, but got {got}{problem}",
            where=where,
            hint=misfit.hint,
        ) from misfit.__cause__


def _checked_default(function: Callable[..., Any], name: str, default: object, declared: Any, where: str) -> Any:
    try:
        return Reader(None, text=False).read(default, declared)
    except MisfitError as misfit:
        hint = f"declare {show_type(declared)} | None" if default is None else advice(declared)
        raise DefinitionError(
            f"Parameter {name!r} of pipeline {_title(function)} is declared {show_type(declared)}, "
            f"but its default is {show_value(default)}",
            where=where,
            hint=hint,
        ) from misfit.__cause__


def _title(function: Callable[..., Any]) -> str:
    return repr(getattr(function, "__name__", str(function)))
