"""Names of projects and their packages."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder

from headrace.core.errors import ProjectError

TAKEN = frozenset({"tests", "test", "data", "headrace", "pipeline", "columns", "steps"})
"""Names of the project's own parts."""


def package_name(name: str) -> str:
    """Give the package's name for a project's: small letters, ``_`` for ``-``, ``.`` and blanks.

    Raises ProjectError, with the nearest name that will do, where that is no name of a package or another's.
    """
    wanted = re.sub(r"[-. ]+", "_", name).lower()
    if re.fullmatch(r"[a-z][a-z0-9_]*", wanted) is None:
        raise ProjectError(f"{name!r} can't be the name of a package", hint=_nearest(wanted))
    if keyword.iskeyword(wanted) or keyword.issoftkeyword(wanted):
        raise ProjectError(f"{name!r} is a word of Python's", hint=f"did you mean {wanted + '_model'!r}?")
    if wanted in TAKEN:
        raise ProjectError(f"{name!r} is a name that the project uses itself", hint=f"such as {wanted + '_model'!r}")
    if wanted in sys.stdlib_module_names or _is_installed(wanted):
        raise ProjectError(
            f"{name!r} is the name of a module that is installed here, which the project's would hide",
            hint=f"did you mean {wanted + '_model'!r}?",
        )
    return wanted


def _nearest(wanted: str) -> str:
    plain = re.sub(r"[^a-z0-9_]+", "_", wanted.encode("ascii", "ignore").decode()).strip("_")
    digits = re.match(r"[0-9_]+", plain)
    if digits:
        rest = plain[digits.end() :]
        plain = f"{rest}_{digits[0].strip('_')}" if rest else f"model_{digits[0].strip('_')}"
    return f"did you mean {plain!r}?" if plain else "letters, digits and '_', a letter first, such as 'churn'"


def _is_installed(name: str) -> bool:
    """Say whether a module of that name lies in an installed place, not in the folder one stands in."""
    places = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return PathFinder.find_spec(name, places) is not None
