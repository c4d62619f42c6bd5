"""What may be loaded from a skops archive: decided by the annotation and by this page, never by the archive."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import FunctionType
from typing import Any

from headrace.formats.declared import class_of, members, unwrap
from headrace.formats.protocol import Trusts

OWN_PACKAGES = ("sklearn.", "scipy.sparse.", "scipy.stats.", "scipy.interpolate.", "scipy._lib.array_api_compat.numpy.")
"""Whose classes may be loaded, and whose functions may be referred to."""

LEFT_OUT = ("sklearn.datasets.", "sklearn.externals.", "sklearn.utils._testing.", "sklearn.conftest.")
"""What reads files or the network, or runs tests."""

BY_NAME = frozenset(
    {
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
    }
)


def refused(types: Iterable[str], calls: Iterable[str], declared: object) -> list[str]:
    """Give the names in an archive that may not be loaded for an annotation, sorted.

    ``types`` are the names that skops doesn't trust by itself, ``calls`` those that it would call with arguments from
    the archive: a function is never called so, only named by an estimator that the user then runs.
    """
    trusted = declared_names(declared)
    asked = sorted({*types, *calls})
    called = set(calls)
    return [name for name in asked if name not in trusted and not _is_own(name, may_be_function=name not in called)]


def declared_names(declared: object) -> set[str]:
    """Give the classes that an annotation names, itself or by `Trusts`, as skops spells them."""
    names: set[str] = set()
    for member in members(declared):
        cls = class_of(member)
        if cls is not None:
            names.add(f"{cls.__module__}.{cls.__qualname__}")
        for item in (*unwrap(declared)[1], *unwrap(member)[1]):
            if isinstance(item, Trusts):
                names.update(_spell(trusted) for trusted in item.types)
    return names


def _spell(trusted: type | str) -> str:
    return trusted.replace(":", ".") if isinstance(trusted, str) else f"{trusted.__module__}.{trusted.__qualname__}"


def _is_own(name: str, *, may_be_function: bool) -> bool:
    if name in BY_NAME:
        return True
    if not name.startswith(OWN_PACKAGES) or name.startswith(LEFT_OUT):
        return False
    module_name, _, attribute = name.rpartition(".")
    try:
        found: Any = getattr(import_module(module_name), attribute, None)
    except ImportError:
        return False
    # Where it is defined, not where it is imported to: "sklearn.utils.os" isn't scikit-learn's own.
    if getattr(found, "__module__", None) != module_name:
        return False
    return isinstance(found, type) or (may_be_function and isinstance(found, FunctionType))
