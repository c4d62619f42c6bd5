"""Which format saves and loads which type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from headrace.core.errors import FormatError, near_miss
from headrace.formats.declared import class_of, describe, inner, is_open, is_path, members, type_name, unwrap
from headrace.formats.known import KNOWN_FORMATS, KnownFormat, known_format
from headrace.formats.protocol import Format, StoredAs

ENTRY_POINT_GROUP = "headrace.formats"


def find_format(declared: object) -> Format:
    """Find the format for an annotation.

    In this order: a format that the annotation names; a built-in one by the names of the type and of its bases; one
    that another package brings by the entry point group ``headrace.formats`` (looked at only when no built-in
    format handles the type). Every member of a union must have a format; the value decides which one stores it.

    Raises FormatError when there is none.
    """
    named = _named_in(declared)
    if named is not None:
        return format_named(named)
    if is_open(declared):
        raise _no_format(declared)
    alternatives = members(declared)
    if len(alternatives) > 1:
        return _format_of_union(declared, alternatives)
    found = _built_in(declared) or _from_entry_points(declared)
    if found is None:
        raise _no_format(declared)
    return found


def format_named(name: str) -> Format:
    """Make the format of that name: a built-in one's, or ``"package.module:Class"`` of another package.

    Raises FormatError when there is none.
    """
    known = known_format(name)
    path = known.path if known else name
    if ":" not in path:
        miss = near_miss(name, [known.name for known in KNOWN_FORMATS])
        raise FormatError(f"There is no format named {name!r}", hint=miss)
    module_name, _, class_name = path.partition(":")
    try:
        made = getattr(import_module(module_name), class_name)()
    except (ImportError, AttributeError) as error:
        raise FormatError(
            f"The format {name!r} can't be imported: {error}",
            hint=f"install the package that holds the module {module_name!r} in this environment",
        ) from error
    return cast("Format", made)


def save_artifact(value: object, declared: object, folder: Path, format_name: str | None = None) -> Format:
    """Save a value into an empty folder and give the format it was saved in.

    The format is ``format_name``, or what the annotation names, or the annotation's. Where the annotation leaves the
    choice open (`Any`, a union, a base class such as ``BaseEstimator``), the value's own type decides.

    Raises FormatError when the value isn't what was declared, or can't be stored.
    """
    named = format_name or _named_in(declared)
    chosen = format_named(named) if named else _format_for_value(value, declared)
    target = type(value) if is_open(declared) else declared
    chosen.save(value, folder, target)
    return chosen


def loads_as(format_name: str, declared: object) -> bool:
    """Say whether an artifact of this format can arrive as declared: the rule of which types fit.

    A `Path` takes any artifact, and so does an annotation that leaves the type open.
    """
    if is_open(declared):
        return True
    named = _named_in(declared)
    if named is not None:
        return named == format_name
    made = format_named(format_name)
    return any(
        is_path(member) or _named_in(member) == format_name or made.handles(member) for member in members(declared)
    )


def name_for(declared: object) -> str:
    """Give the name of the format for an annotation. Raises FormatError when there is none."""
    return _named_in(declared) or find_format(declared).name


def is_table(declared: object) -> bool:
    """Say whether a table type is declared."""
    return any(format_named("parquet").handles(member) for member in members(declared))


def natural_type(value: object) -> str:
    """Give the import path of a value's type: what it arrives as where a consumer declares nothing."""
    return type_name(type(value))


def type_named(name: str) -> type:
    """Import a type by the path that `natural_type` gave. Raises FormatError when it isn't there."""
    module_name, _, rest = name.rpartition(".")
    attributes = [rest]
    while module_name:
        # A nested class's path holds its outer class, which is no module.
        with contextlib.suppress(ModuleNotFoundError):
            return _attribute(import_module(module_name), attributes, name)
        module_name, _, outer = module_name.rpartition(".")
        attributes.insert(0, outer)
    raise FormatError(
        f"The type {name!r} can't be imported", hint="install its package, or declare the type that the step takes"
    )


def _attribute(module: Any, attributes: list[str], name: str) -> type:
    found: Any = module
    for attribute in attributes:
        found = getattr(found, attribute, None)
    if not isinstance(found, type):
        raise FormatError(
            f"The type {name!r} isn't in module {module.__name__!r}", hint="declare the type that the step takes"
        )
    return found


def _named_in(declared: object) -> str | None:
    """Find the format that an annotation names."""
    for item in unwrap(declared)[1]:
        if isinstance(item, StoredAs):
            return item.format_name
        if isinstance(item, str) and known_format(item) is not None:
            return item
    return None


def _format_of_union(declared: object, alternatives: tuple[object, ...]) -> Format:
    json_format = format_named("json")
    if json_format.handles(declared):
        return json_format
    formats = [find_format(member) for member in alternatives]
    return next(
        found for found, member in zip(formats, alternatives, strict=True) if class_of(member) is not type(None)
    )


def _format_for_value(value: object, declared: object) -> Format:
    """Choose by the declared type, and by the value's own where that says more."""
    if is_open(declared):
        return find_format(type(value))
    found = find_format(declared)
    cls = class_of(declared)
    if cls is not None and not isinstance(value, cls):
        return found  # which refuses it, saying what was declared
    own = _built_in(type(value))
    if own is None or own.name == found.name:
        return found
    fitting = {find_format(member).name for member in members(declared)}
    more_precise = cls is not None and cls is not type(value)
    return own if own.name in fitting or more_precise else found


def _built_in(declared: object) -> Format | None:
    for known in _candidates(declared):
        made = format_named(known.name)
        if made.handles(declared):
            return made
    for name in ("json", "list"):
        made = format_named(name)
        if made.handles(declared):
            return made
    return None


def _candidates(declared: object) -> Iterator[KnownFormat]:
    """Give the built-in formats that know the class or one of its bases, the nearest base first."""
    cls = class_of(declared)
    if cls is None:
        return
    for base in cls.__mro__:
        name = type_name(base)
        for known in KNOWN_FORMATS:
            if name in known.types and (known.subclasses or base is cls):
                yield known


def _from_entry_points(declared: object) -> Format | None:
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        try:
            made = point.load()()
        except (ImportError, AttributeError) as error:
            raise FormatError(
                f"The format {point.name!r} (entry point {point.value!r}) can't be imported: {error}",
                hint="repair or remove the package that brings it",
            ) from error
        if made.handles(declared):
            return _checked_name(made)
    return None


def _checked_name(made: Any) -> Format:
    """Hold a format of another package to its name: a stored artifact finds its format by nothing else."""
    path = f"{type(made).__module__}:{type(made).__qualname__}"
    if made.name != path:
        raise FormatError(
            f"The format {path!r} is named {made.name!r}",
            hint=f"set its name to {path!r}, so that what it stores can be loaded",
        )
    return cast("Format", made)


def _no_format(declared: object) -> FormatError:
    from headrace.formats.json_types import json_problem

    shown = describe(declared)
    if is_open(declared):
        return FormatError(
            f"The annotation {shown!r} doesn't say how to store the value",
            hint="declare the type that the step returns",
        )
    problem = json_problem(declared)
    reason = f": {problem}" if problem else ""
    known = ", ".join(f"{known.name} ({known.what})" for known in KNOWN_FORMATS if known.name != "pickle")
    name = getattr(class_of(declared) or inner(declared), "__name__", "T")
    return FormatError(
        f"No format stores a value of type {shown!r}{reason}",
        hint=f"there are {known}; another package can bring one by the entry point group {ENTRY_POINT_GROUP!r}; "
        f"Annotated[{name}, Pickle] stores it as a pickle, which runs code when it is loaded",
    )
