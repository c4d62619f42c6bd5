"""Import paths: ``package.module:Qualified.name`` for things that modules hold."""

from __future__ import annotations

import sys
from importlib import import_module

from headrace.core.errors import ValueCodecError, near_miss


def name_of(thing: object) -> str:
    """Return the import path of a function or class.

    Raises `ValueCodecError` for lambdas and for what is defined inside a function, since another process could not
    find it by name.
    """
    module = getattr(thing, "__module__", None)
    qualname = getattr(thing, "__qualname__", None)
    if module is None or qualname is None:
        raise ValueCodecError(f"{thing!r} has no name to import it by", hint="define it at the top of a module")
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
    """Import what ``name_of`` named.

    Raises `ValueCodecError` when the module does not import or does not hold the name.
    """
    module_name, _, qualname = name.partition(":")
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
            raise ValueCodecError(f"{module_name!r} has no {qualname!r}", hint=near_miss(part, dir(found))) from None
    return found


def is_importable(thing: object) -> bool:
    """Tell whether importing the thing's name gives back the very same object."""
    try:
        return find_named(name_of(thing)) is thing
    except ValueCodecError:
        return False


def _place(thing: object) -> str:
    code = getattr(thing, "__code__", None)
    if code is None:
        return getattr(thing, "__module__", "?")
    return f"{code.co_filename}:{code.co_firstlineno}"
