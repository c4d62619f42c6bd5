"""Do declared types fit: may what one step makes go where another step takes it?"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

MISSING = object()
"""Stands for an annotation that is not there."""


def show_type(declared: object) -> str:
    """Name a type as its user wrote it."""
    if declared is MISSING:
        return "anything"
    if isinstance(declared, type) and get_origin(declared) is None:
        return (
            declared.__qualname__
            if declared.__module__ == "builtins"
            else f"{declared.__module__}.{declared.__qualname__}"
        )
    return str(declared)


def fits(made: object, taken: object) -> bool:
    """Tell whether a value declared as ``made`` may be given where ``taken`` is declared.

    Follows the numeric tower (bool → int → float → complex), unions, literals, subclasses and the arguments of
    generic types. What is declared as nothing, ``Any``, ``object`` or a type variable takes everything.
    """
    made, taken = _plain(made), _plain(taken)
    if made in (MISSING, Any) or taken in (MISSING, Any, object) or isinstance(taken, TypeVar) or made == taken:
        return True
    if _is_union(made):
        return all(fits(part, taken) for part in get_args(made))
    if _is_union(taken):
        return any(fits(made, part) for part in get_args(taken))
    if get_origin(made) is Literal:
        return all(conforms(value, taken) for value in get_args(made))
    if get_origin(taken) is Literal:
        return False
    return _classes_fit(made, taken)


def _classes_fit(made: object, taken: object) -> bool:
    made_class, taken_class = _class_of(made), _class_of(taken)
    if made_class is None or taken_class is None:
        return True
    if not _is_subclass(made_class, taken_class):
        return False
    made_parts, taken_parts = get_args(made), get_args(taken)
    if not made_parts or not taken_parts:
        return True
    if made_class is tuple and (made_parts[-1] is Ellipsis or taken_parts[-1] is Ellipsis):
        return all(fits(part, taken_parts[0]) for part in made_parts if part is not Ellipsis)
    if made_class is tuple and len(made_parts) != len(taken_parts):
        return False
    return all(fits(one, other) for one, other in zip(made_parts, taken_parts, strict=False))


_TOWER: Mapping[type, tuple[type, ...]] = {
    bool: (int, float, complex),
    int: (float, complex),
    float: (complex,),
}


def _is_subclass(made: type, taken: type) -> bool:
    try:
        return issubclass(made, taken) or taken in _TOWER.get(made, ())
    except TypeError:
        return True  # a protocol that cannot be asked: let the value decide


def _class_of(declared: object) -> type | None:
    origin = get_origin(declared)
    found = origin if origin is not None else declared
    return found if isinstance(found, type) else None


def _plain(declared: object) -> object:
    if get_origin(declared) is Annotated:
        return get_args(declared)[0]
    return type(None) if declared is None else declared


def _is_union(declared: object) -> bool:
    return get_origin(declared) in (Union, types.UnionType)


def conforms(value: object, declared: object) -> bool:
    """Tell whether a plain value is what is declared, looking into lists, tuples, sets and dicts."""
    declared = _plain(declared)
    if declared in (MISSING, Any, object) or isinstance(declared, TypeVar):
        return True
    if _is_union(declared):
        return any(conforms(value, part) for part in get_args(declared))
    if get_origin(declared) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(declared))
    kind = _class_of(declared)
    if kind is None:
        return True
    if not _is_subclass(type(value), kind):
        return False
    return _items_conform(value, kind, get_args(declared))


def _items_conform(value: object, kind: type, parts: tuple[object, ...]) -> bool:
    if not parts:
        return True
    if isinstance(value, dict) and len(parts) == 2:
        return all(conforms(key, parts[0]) and conforms(item, parts[1]) for key, item in value.items())
    if isinstance(value, tuple) and kind is tuple and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(conforms, value, parts))
    if isinstance(value, list | tuple | set | frozenset):
        return all(conforms(item, parts[0]) for item in value)
    return True
