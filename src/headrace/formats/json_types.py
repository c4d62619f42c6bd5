"""Which annotations are JSON values, and which classes may stand in them."""

from __future__ import annotations

import collections.abc as abc
import datetime
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Literal, TypeVar, get_args, get_origin
from uuid import UUID

from headrace.formats.declared import class_of, describe, inner, is_open, members, type_name

SCALARS = frozenset(
    {
        types.NoneType,
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        Decimal,
        Fraction,
        UUID,
    }
)
CONTAINERS = frozenset(
    {
        list,
        tuple,
        dict,
        set,
        frozenset,
        abc.Sequence,
        abc.Mapping,
        abc.Collection,
        abc.Iterable,
        abc.Set,
        abc.MutableMapping,
        abc.MutableSequence,
        abc.MutableSet,
    }
)


def is_record_class(cls: type) -> bool:
    """Say whether a class is a dataclass, a named tuple, an enum or a pydantic model: made again from its fields."""
    return (
        is_dataclass(cls)
        or issubclass(cls, Enum)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
        or any(type_name(base) == "pydantic.main.BaseModel" for base in cls.__mro__)
    )


def json_problem(declared: object) -> str | None:
    """Say why an annotation is no JSON value; None when it is one."""
    for part in walk(declared):
        problem = _own_problem(part)
        if problem is not None:
            return (
                problem
                if part is declared or inner(part) is inner(declared)
                else f"{problem} in {describe(declared)!r}"
            )
    return None


def _own_problem(part: object) -> str | None:
    bare = inner(part)
    if is_open(part) or isinstance(bare, TypeVar) or get_origin(bare) is Literal or typing.is_typeddict(bare):
        return None
    if isinstance(bare, str | typing.ForwardRef):
        return f"the name {str(bare)!r} isn't resolved"
    cls = class_of(part)
    if cls is not None and (cls in SCALARS or cls in CONTAINERS or is_record_class(cls)):
        return None
    return f"{describe(part)!r} is no JSON value"


def classes_in(declared: object) -> set[type]:
    """Give the record classes that may be loaded for an annotation: those that it, or a field of one, names."""
    return {
        cls
        for part in walk(declared)
        if (cls := class_of(part)) is not None and cls not in CONTAINERS and is_record_class(cls)
    }


def walk(declared: object) -> Iterator[object]:
    """Give an annotation's members, their arguments, the types of their fields and so on, each once."""
    waiting = list(members(declared))
    seen: set[str] = set()
    while waiting:
        part = waiting.pop()
        key = repr(inner(part))
        if key in seen:
            continue
        seen.add(key)
        yield part
        waiting.extend(leaf for child in _children(part) for leaf in members(child))


def _children(part: object) -> list[Any]:
    bare = inner(part)
    if get_origin(bare) is Literal:
        return []
    arguments = [argument for argument in get_args(bare) if argument is not Ellipsis]
    cls = class_of(bare)
    if typing.is_typeddict(bare) or (
        cls is not None and cls not in CONTAINERS and is_record_class(cls) and not issubclass(cls, Enum)
    ):
        arguments.extend(_field_types(cls or bare))
    return arguments


def _field_types(cls: Any) -> list[Any]:
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        # A name that only a type checker sees: the values are looked at when they are saved.
        return []
    return [kind for kind in hints.values() if get_origin(kind) is not typing.ClassVar]
