"""Import paths: ``package.module:Qualified.name`` for things that modules hold."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from types import MethodType

from headrace.core.errors import DefinitionError, ValueCodecError, near_miss

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
LONGEST_NAME = 100
LONGEST_ID = 200
"""Characters of a node's id: it names files, with some to spare for what is written beside it."""


def is_name(name: object) -> bool:
    """Whether it can be the name of a step, pipeline, node or output."""
    return isinstance(name, str) and len(name) <= LONGEST_NAME and NAME.fullmatch(name) is not None


def checked_name(what: str, name: str, where: str | None = None) -> str:
    """The name itself. Raises `DefinitionError` when it cannot be one; see `is_name`."""
    if not is_name(name):
        raise DefinitionError(
            f"The name of a {what} must be letters, digits, '_' and '-', at most {LONGEST_NAME}, and begin with a "
            f"letter or '_', but got {name!r:.120}",
            where=where,
            hint="give name='…'",
        )
    return name


def class_around(function: object) -> str | None:
    """The class in whose body a function is defined, or None."""
    around = str(getattr(function, "__qualname__", "")).rpartition(".")[0]
    return None if not around or around.endswith("<locals>") else around


def name_of(thing: object) -> str:
    """Return the import path of a function, a class, or a class's method bound to it.

    Raises `ValueCodecError` for lambdas and for what is defined inside a function, since another process could not
    find it by name.
    """
    if isinstance(thing, MethodType) and isinstance(thing.__self__, type):
        return f"{name_of(thing.__self__)}.{thing.__name__}"
    module = getattr(thing, "__module__", None)
    qualname = getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        raise ValueCodecError(f"{thing!r:.200} has no name to import it by", hint="define it at the top of a module")
    if "<lambda>" in qualname:
        raise ValueCodecError(
            f"A lambda cannot be a value in a plan ({_place(thing)})",
            hint="define a named function at the top of a module and pass that",
        )
    if "<locals>" in qualname:
        raise ValueCodecError(
            f"{qualname!r} is defined inside a function ({_place(thing)}), so another process cannot import it",
            hint="move it to the top of the module",
        )
    return f"{module}:{qualname}"


def find_named(name: str) -> object:
    """Import what `name_of` named.

    Raises `ValueCodecError` when the module is not found or does not hold the name. What a module raises while it is
    imported goes through, but for ``ImportError``, which is told.
    """
    module_name, _, qualname = name.partition(":")
    if not module_name or not qualname or module_name.startswith("."):
        raise ValueCodecError(f"{name!r} is no import path", hint="it should read 'package.module:name'")
    module = sys.modules.get(module_name)
    if module is None:
        try:
            module = import_module(module_name)
        except ImportError as error:
            raise ValueCodecError(f"Module {module_name!r} of {name!r} does not import: {error}") from error
    found: object = module
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [known for known in dir(found) if not known.startswith("_")]
            raise ValueCodecError(f"{module_name!r} has no {qualname!r}", hint=near_miss(part, public)) from None
    return found


def is_importable(thing: object) -> bool:
    """Tell whether importing the thing's name gives back the very same object."""
    try:
        found = find_named(name_of(thing))
    except ValueCodecError:
        return False
    return found is thing or (isinstance(thing, MethodType) and found == thing)


def _place(thing: object) -> str:
    code = getattr(thing, "__code__", None)
    if code is None:
        return str(getattr(thing, "__module__", "?"))
    return f"{code.co_filename}:{code.co_firstlineno}"
