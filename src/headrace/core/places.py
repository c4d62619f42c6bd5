"""Places in the user's code, as errors and plans show them: ``churn/pipeline.py:41``."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NOT_THE_USERS = (str(Path(__file__).parent) + os.sep, contextlib.__file__)


def place_of(function: Callable[..., Any], root: Path) -> tuple[str, int]:
    """The file and line of a function; see `shown_file`."""
    function = inspect.unwrap(function)
    module = str(getattr(function, "__module__", "?"))
    code = getattr(function, "__code__", None)
    return (module, 1) if code is None else (shown_file(code.co_filename, root, module), code.co_firstlineno)


def caller_place(root: Path) -> str:
    """The place in the user's code from which the core was called."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame = frame.f_back
    return f"{shown_file(frame.f_code.co_filename, root)}:{frame.f_lineno}"


def shown_file(filename: str, root: Path, module: str = "") -> str:
    """A file of the project relative to its root, an installed one to where it is installed: the same on each machine.

    Any other file by its whole path.
    """
    path = Path(filename)
    if "site-packages" in path.parts:
        installed = path.parts[::-1].index("site-packages")
        return "/".join(path.parts[-installed:])
    for found in (path, Path(os.path.realpath(path))):
        if found.is_relative_to(root):
            return found.relative_to(root).as_posix()
    names = module.split(".")
    for tail in ((*names[:-1], f"{names[-1]}.py"), (*names, "__init__.py")):
        if module and path.parts[-len(tail) :] == tail:
            return "/".join(tail)
    return path.as_posix()
