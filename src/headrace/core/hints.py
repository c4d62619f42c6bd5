"""The annotations of a user's function or class, evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

from headrace.core.errors import DefinitionError


def declared_types(function: Callable[..., Any], where: str | None) -> dict[str, Any]:
    """The evaluated annotations of a function, or of a class's fields, by name; what ``Annotated`` adds is kept.

    Raises `DefinitionError` when one does not evaluate.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise DefinitionError(
            f"An annotation of {getattr(function, '__name__', function)!r} does not evaluate: "
            f"{type(error).__name__}: {error}",
            where=where,
            hint="import the type at the top of the module: not under TYPE_CHECKING, and not inside a function"
            if isinstance(error, NameError)
            else "annotations are evaluated, as typing.get_type_hints does: the type decides how a value is stored",
        ) from error
