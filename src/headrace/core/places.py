"""Places in the user's code, as errors and plans show them: ``churn/pipeline.py:41``."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_NOT_THE_USERS = (str(Path(__file__).parent) + os.sep, contextlib.__file__)


def place_of(function: Callable[..., Any], root: Path) -> tuple[str, int]:
    """The file and line of a function; see `shown_file`."""
    function = inspect.unwrap(function)
    module = str(getattr(function, "__module__", "?"))
    code = getattr(function, "__code__", None)
    return (module, 1) if code is None else (shown_file(code.co_filename, root, module), code.co_firstlineno)


def caller(root: Path) -> tuple[str, int]:
    """The file and line in the user's code from which the core was called.

    That is the nearest one in the project: between the two may stand a library, which was handed what stands for a
    value. Where there is none, the nearest one outside the core.
    """
    project = str(root) + os.sep
    frame: FrameType | None = sys._getframe(1)
    nearest = None
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith(_NOT_THE_USERS):
            nearest = nearest or frame
            if filename.startswith(project) and "site-packages" not in filename:
                return filename, frame.f_lineno
        frame = frame.f_back
    return (nearest.f_code.co_filename, nearest.f_lineno) if nearest else ("?", 0)


def caller_place(root: Path) -> str:
    """The same, as errors show it."""
    filename, line = caller(root)
    return f"{shown_file(filename, root)}:{line}"


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
