"""Do declared types fit: may what one step makes go where another step takes it?"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from types import EllipsisType, NoneType, UnionType
from typing import Annotated, Any, Literal, Never, NewType, NoReturn, TypeVar, Union, get_args, get_origin

MISSING = object()
"""Stands for an annotation that is not there."""

Judge = Callable[[object, object], "bool | None"]
"""Given a value and what is declared: whether they fit, or None to have the value looked at."""

_TOWER: Mapping[type, tuple[type, ...]] = {int: (float, complex), bool: (float, complex), float: (complex,)}
_ITEMS: Mapping[type, type] = {str: str, bytes: int, bytearray: int, range: int}
"""What iterating over them gives, where no argument says so."""
_SIMPLE = frozenset({bool, int, float, str, bytes})
_WRAPPERS = (typing.Final, typing.ClassVar, typing.Required, typing.NotRequired)


def show_type(declared: object) -> str:
    """Name a type as its user wrote it, without what ``Annotated`` adds: the same text in every process."""
    if declared is MISSING:
        return "anything"
    if declared is None or declared is NoneType:
        return "None"
    if isinstance(declared, EllipsisType):
        return "..."
    if isinstance(declared, list):
        return f"[{', '.join(map(show_type, declared))}]"
    origin, parts = get_origin(declared), get_args(declared)
    if origin is Annotated:
        return show_type(parts[0])
    if origin in (Union, UnionType):
        return " | ".join(map(show_type, parts))
    if origin is Literal:
        return f"Literal[{', '.join(map(_show_choice, parts))}]"
    if origin is not None:
        return f"{show_type(origin)}[{', '.join(map(show_type, parts)) or '()'}]" if parts else show_type(origin)
    if isinstance(declared, type):
        return _show_class(declared)
    return str(getattr(declared, "__name__", None) or type(declared).__name__)


def _show_class(kind: type) -> str:
    """By the outermost package that has it by its name: ``polars.DataFrame``, wherever it is defined."""
    name, module = kind.__qualname__, kind.__module__
    if module in ("builtins", "typing"):
        return name
    parts = module.split(".")
    for n_parts in range(1, len(parts)):
        package = ".".join(parts[:n_parts])
        with suppress(Exception):  # a package that imports its names when they are asked for may fail at it
            if getattr(sys.modules.get(package), name, None) is kind:
                return f"{package}.{name}"
    return f"{module}.{name}"


def _show_choice(value: object) -> str:
    return f"{type(value).__qualname__}.{value.name}" if isinstance(value, Enum) else repr(value)


def plain_type(declared: Any) -> Any:
    """What is inside ``Annotated``, ``NewType``, ``Final`` and named aliases; a type variable's bound or choices."""
    while type(declared) is not type:
        if get_origin(declared) is Annotated or get_origin(declared) in _WRAPPERS:
            declared = get_args(declared)[0]
        elif isinstance(declared, NewType):
            declared = declared.__supertype__
        elif type(declared).__name__ == "TypeAliasType":
            declared = declared.__value__
        elif isinstance(declared, TypeVar):
            declared = _of_variable(declared)
        else:
            return NoneType if declared is None else declared
    return declared


def _of_variable(variable: TypeVar) -> Any:
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - made of a tuple
    return variable.__bound__ if variable.__bound__ is not None else Any


def members(declared: object) -> tuple[object, ...]:
    """The members of a union, each plain; anything else is its own only member."""
    declared = plain_type(declared)
    if get_origin(declared) in (Union, UnionType):
        return tuple(leaf for part in get_args(declared) for leaf in members(part))
    return (declared,)


def fits(made: object, taken: object) -> bool:
    """Tell whether a value declared as ``made`` may be given where ``taken`` is declared.

    Follows the numeric tower (bool → int → float → complex), unions, literals, subclasses and the arguments of
    generic types, which may be narrower (a value is handed on as a copy, so a ``list[bool]`` fits a ``list[int]``).
    What is declared as nothing or ``Any`` fits everywhere and takes everything, and ``object`` takes everything. Where
    annotations alone cannot tell (a protocol, a user's generic class, a typed dict), the answer is yes.
    """
    made, taken = plain_type(made), plain_type(taken)
    if made is MISSING or made is Any or made is Never or made is NoReturn:
        return True
    if taken is MISSING or taken is Any or taken is object or made == taken:
        return True
    if len(members(made)) > 1:
        return all(fits(part, taken) for part in members(made))
    if get_origin(made) is Literal:
        return all(conforms(value, taken) for value in get_args(made))
    if len(members(taken)) > 1:
        return any(fits(made, part) for part in members(taken))
    if get_origin(taken) is Literal:
        return False
    return _classes_fit(made, taken)


def _classes_fit(made: object, taken: object) -> bool:
    made_class, taken_class = class_of(made), class_of(taken)
    if made_class is None or taken_class is None:
        return True
    if not _is_subclass(made_class, taken_class):
        return False
    made_parts = get_args(made) or ((_ITEMS[made_class],) if made_class in _ITEMS else ())
    taken_parts = get_args(taken)
    if made_class is tuple:
        return _tuples_fit(made, taken, taken_class)
    if made_class is not taken_class and made_class.__module__ not in ("builtins", "collections", "collections.abc"):
        return True  # a user's generic class: how its arguments become those of its base is not looked into
    return all(fits(one, other) for one, other in zip(made_parts, taken_parts, strict=False))


def _tuples_fit(made: object, taken: object, taken_class: type) -> bool:
    if get_origin(made) is None or get_origin(taken) is None:
        return True
    made_parts, taken_parts = get_args(made), get_args(taken)
    is_open_made = made_parts[-1:] == (Ellipsis,)
    if taken_class is not tuple or taken_parts[-1:] == (Ellipsis,):
        return all(fits(part, taken_parts[0]) for part in made_parts if part is not Ellipsis)
    if is_open_made or len(made_parts) != len(taken_parts):
        return False
    return all(map(fits, made_parts, taken_parts))


def _is_subclass(made: type, taken: type) -> bool:
    try:
        return issubclass(made, taken) or taken in _TOWER.get(made, ())
    except TypeError:
        return True  # a protocol that cannot be asked: let the value decide


def class_of(declared: object) -> type | None:
    """The class behind a plain annotation (``list`` for ``list[int]``); None where there is none."""
    if declared is Any:
        return None
    if typing.is_typeddict(declared):
        return dict
    origin = get_origin(declared)
    found = origin if origin is not None else declared
    return found if isinstance(found, type) and found is not UnionType else None


def conforms(value: object, declared: object, judge: Judge | None = None) -> bool:
    """Tell whether a plain value is what is declared, looking into lists, tuples, sets and dicts.

    ``judge`` is asked first about the value and each item: for what stands for a value and is none.
    """
    if type(value) is declared and type(value) in _SIMPLE:
        return True
    if judge is not None and (verdict := judge(value, declared)) is not None:
        return verdict
    declared = plain_type(declared)
    if declared is MISSING or declared is Any or declared is object:
        return True
    if len(members(declared)) > 1:
        return any(conforms(value, part, judge) for part in members(declared))
    if get_origin(declared) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(declared))
    if typing.is_typeddict(declared):
        return _is_typed_dict(value, declared, judge)
    kind = class_of(declared)
    if kind is None:
        return True
    return _is_instance(value, kind) and _items_conform(value, declared, kind, judge)


def _is_instance(value: object, kind: type) -> bool:
    try:
        return isinstance(value, kind) or kind in _TOWER.get(type(value), ())
    except TypeError:
        return True  # a protocol that cannot be asked


def _is_typed_dict(value: object, declared: Any, judge: Judge | None) -> bool:
    if type(value) is not dict:
        return False
    hints = typing.get_type_hints(declared, include_extras=True)
    # A class in a module with postponed annotations counts what is NotRequired as required: its hints know.
    optional = {name for name, hint in hints.items() if get_origin(hint) is typing.NotRequired}
    if not declared.__required_keys__ - optional <= set(value):
        return False
    return all(name in hints and conforms(item, hints[name], judge) for name, item in value.items())


def _items_conform(value: Any, declared: object, kind: type, judge: Judge | None) -> bool:
    if get_origin(declared) is None:
        return True
    parts = get_args(declared)
    if kind is tuple and parts[-1:] != (Ellipsis,):
        return len(value) == len(parts) and all(
            conforms(item, part, judge) for item, part in zip(value, parts, strict=True)
        )
    if not parts:
        return True
    if kind is type:
        return fits(value, parts[0])
    if isinstance(value, Mapping) and len(parts) == 2:
        return all(conforms(key, parts[0], judge) and conforms(item, parts[1], judge) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset | dict):
        return all(conforms(item, parts[0], judge) for item in value)
    if type(value) in _ITEMS:
        return fits(_ITEMS[type(value)], parts[0])
    return True
