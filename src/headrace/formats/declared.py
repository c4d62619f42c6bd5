"""Questions about annotations, answered without importing what they name."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

PATH_TYPES = frozenset(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("Path", "PosixPath"))
"""Paths under the names of all Python versions."""


def unwrap(declared: object) -> tuple[object, tuple[object, ...]]:
    """Peel `Annotated`, `NewType` and type aliases off an annotation; give what is inside and all metadata."""
    metadata: tuple[object, ...] = ()
    while True:
        if get_origin(declared) is Annotated:
            metadata += declared.__metadata__  # type: ignore[attr-defined]
            declared = declared.__origin__  # type: ignore[attr-defined]
        elif isinstance(declared, typing.NewType):
            declared = declared.__supertype__
        elif type(declared).__name__ == "TypeAliasType":
            declared = declared.__value__  # type: ignore[attr-defined]
        elif type(get_origin(declared)).__name__ == "TypeAliasType":  # a generic alias with its arguments: NumPy 2.5's
            value = get_origin(declared).__value__  # type: ignore[union-attr]
            declared = value[get_args(declared)] if getattr(value, "__parameters__", ()) else value
        elif get_origin(declared) in (typing.Final, typing.ClassVar, typing.Required, typing.NotRequired):
            declared = get_args(declared)[0]
        else:
            return declared, metadata


def inner(declared: object) -> object:
    """Give an annotation without its wrappers."""
    return unwrap(declared)[0]


def members(declared: object) -> tuple[object, ...]:
    """Give the members of a union, flattened; anything else is its own only member."""
    bare = inner(declared)
    if get_origin(bare) in (Union, types.UnionType):
        return tuple(leaf for member in get_args(bare) for leaf in members(member))
    return (declared,)


def class_of(declared: object) -> type | None:
    """Give the class behind an annotation: ``list`` for ``list[int]``; None where there is none, or several."""
    bare = inner(declared)
    if bare is None:
        return types.NoneType
    origin = get_origin(bare)
    if origin is types.UnionType:
        return None
    if isinstance(origin, type):
        return origin
    return bare if isinstance(bare, type) else None


def is_open(declared: object) -> bool:
    """Say whether an annotation leaves the type open: `Any`, `object`, or none at all."""
    bare = inner(declared)
    return bare is Any or bare is object or getattr(bare, "__name__", None) == "_empty"


def type_name(cls: type) -> str:
    """Give a class's import path, such as ``polars.dataframe.frame.DataFrame``."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_named(declared: object, names: Iterable[str], *, subclasses: bool) -> bool:
    """Say whether the class behind an annotation, or with ``subclasses`` one of its bases, has one of the names."""
    cls = class_of(declared)
    if cls is None:
        return False
    looked_at = cls.__mro__ if subclasses else (cls,)
    return any(type_name(base) in names for base in looked_at)


def is_path(declared: object) -> bool:
    """Say whether a `pathlib.Path` is declared."""
    return is_named(declared, PATH_TYPES, subclasses=False)


def describe(declared: object) -> str:
    """Give an annotation as a reader would write it."""
    bare = inner(declared)
    if bare is None or bare is types.NoneType:
        return "None"
    if get_origin(bare) in (Union, types.UnionType):
        return " | ".join(describe(member) for member in get_args(bare))
    if isinstance(bare, type) and not get_args(bare):
        return bare.__qualname__ if bare.__module__ in ("builtins", "typing") else type_name(bare)
    return str(bare).replace("typing.", "")
