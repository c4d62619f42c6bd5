"""The one codec for values in a plan: canonical JSON both ways.

Equal trees mean equal values *and types*: 1, 1.0 and True differ, so do -0.0 and 0.0 and two orders of a dict (a step
can see the order). Every NaN is one NaN. Sets are sorted by the canonical text of their members. Objects are kept as
their class's import path and their parameters, and are made again from these; their classes' code is part of the key
of the step that takes them.

======================  =======================================================
value                   tree
======================  =======================================================
None, bool, int, str    itself
float                   itself; ``{"$": "float", "value": "nan" | "inf" | "-inf"}``
list                    list
dict                    object; with other than plain text keys: ``{"$": "dict", "items": [[key, value], …]}``
anything else           ``{"$": kind, …}``
======================  =======================================================
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePath
from types import BuiltinFunctionType, FunctionType, GenericAlias
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from headrace.core.errors import ValueCodecError
from headrace.core.names import find_named, is_importable, name_of
from headrace.core.secret import Secret

Json = Any
"""A tree of None, bool, int, finite float, str, list and dict with text keys."""

TAG = "$"
PASSWORD_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)

Hook = Callable[[object], "Json | None"]
"""Given a value, its tree, or None when the codec is to encode it itself."""

Finder = Callable[[str], object]
"""Given an import path, the class or function that it names."""


def canonical(tree: Json) -> str:
    """The one text of a tree: no spaces, ASCII, order as it stands."""
    return json.dumps(tree, separators=(",", ":"), allow_nan=False)


def encode(value: object, hook: Hook | None = None) -> Json:
    """Turn a value into its tree.

    ``hook`` is asked first about each value that is not a plain JSON one.

    Raises
    ------
    ValueCodecError
        For a lambda, a local class, a URL with a password in it, a value that refers to itself, or a value of a type
        that has no canonical form. The text says where in the value it stands.
    """
    try:
        return _Encoder(hook).encode(value)
    except RecursionError:
        raise ValueCodecError(
            f"A {type(value).__name__} is nested too deeply, or refers to itself",
            hint="pass flat data, or let a step make it and pass its output",
        ) from None


class _Encoder:
    def __init__(self, hook: Hook | None) -> None:
        self._hook = hook

    def encode(self, value: object) -> Json:
        kind = type(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is float:
            return _encode_float(value)  # type: ignore[arg-type]
        if kind is str:
            return _checked_text(value)  # type: ignore[arg-type]
        if self._hook is not None and (tree := self._hook(value)) is not None:
            return tree
        if kind is list:
            return [self.encode(item) for item in value]  # type: ignore[attr-defined]
        if kind is dict:
            return self._encode_dict(value)  # type: ignore[arg-type]
        if kind in _CONTAINERS:
            return self._encode_container(value)
        if (scalar := _encode_scalar(value)) is not None:
            return scalar
        return self._encode_object(value)

    def _encode_dict(self, value: dict[object, object]) -> Json:
        if all(type(key) is str and not key.startswith(TAG) for key in value):
            return {key: self.encode(item) for key, item in value.items()}
        return {TAG: "dict", "items": [[self.encode(key), self.encode(item)] for key, item in value.items()]}

    def _encode_container(self, value: Any) -> Json:
        items = [self.encode(item) for item in value]
        name = type(value).__name__
        if name in ("set", "frozenset"):
            items.sort(key=canonical)
        return {TAG: name, "items": items}

    def _encode_object(self, value: Any) -> Json:
        if isinstance(value, FunctionType | BuiltinFunctionType | type) or hasattr(value, "__headrace_step__"):
            return {TAG: "name", "value": name_of(value)}
        if type(value) is Secret:
            return {TAG: "secret", "name": value.name}
        if isinstance(value, partial):
            arguments = [self.encode(item) for item in value.args]
            return {
                TAG: "partial",
                "function": self.encode(value.func),
                "args": arguments,
                "kwargs": self.encode(value.keywords),
            }
        if isinstance(value, GenericAlias):
            return {
                TAG: "alias",
                "origin": self.encode(value.__origin__),
                "args": self.encode(list(value.__args__)),
            }
        kind = type(value)
        if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
            return _encode_numpy(value)
        parameters = _parameters(value)
        if parameters is None:
            raise ValueCodecError(
                f"A {kind.__module__}.{kind.__qualname__} has no canonical form, so it cannot be a value in a plan",
                hint="make its class a dataclass, give its parameters instead, or let a step make it",
            )
        how, found = parameters
        return {
            TAG: how,
            "type": name_of(kind),
            "fields": {name: self.encode(item) for name, item in found.items()},
        }


_CONTAINERS = (tuple, set, frozenset)


def _encode_float(value: float) -> Json:
    return value if math.isfinite(value) else {TAG: "float", "value": "nan" if value != value else str(value)}


def _checked_text(value: str) -> str:
    if "://" in value and PASSWORD_IN_URL.search(value):
        raise ValueCodecError(
            "A URL with a password in it cannot be a value in a plan",
            hint="keep the password in the environment and pass Secret('NAME') beside a URL without it",
        )
    return value


def _encode_scalar(value: object) -> Json | None:
    kind = type(value)
    if kind in _TEXT_FORMS:
        return {TAG: kind.__name__, "value": _TEXT_FORMS[kind](value)}
    if isinstance(value, PurePath):
        return {TAG: "path", "value": value.as_posix()}
    if isinstance(value, Enum):
        return {TAG: "enum", "type": name_of(kind), "name": value.name}
    if isinstance(value, datetime):
        return {
            TAG: "datetime",
            "value": value.replace(tzinfo=None).isoformat(),
            "fold": value.fold,
            "zone": _zone(value),
        }
    if kind is time:
        assert isinstance(value, time)
        return {
            TAG: "time",
            "value": value.replace(tzinfo=None).isoformat(),
            "fold": value.fold,
            "zone": _zone(value),
        }
    if isinstance(value, ZoneInfo | timezone):
        return {TAG: "zone", "value": _zone_name(value)}
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return {TAG: "regex", "pattern": value.pattern, "flags": int(value.flags)}
    if kind is range or kind is slice:
        assert isinstance(value, range | slice)
        return {TAG: kind.__name__, "args": [value.start, value.stop, value.step]}
    return None


_TEXT_FORMS: Mapping[type, Callable[[Any], str]] = {
    bytes: lambda value: base64.b64encode(value).decode(),
    date: date.isoformat,
    timedelta: lambda value: f"{value.days} {value.seconds} {value.microseconds}",
    Decimal: str,
    Fraction: str,
    UUID: str,
    complex: lambda value: f"{value.real!r} {value.imag!r}",
}

_TEXT_READERS: Mapping[str, Callable[[str], object]] = {
    "bytes": base64.b64decode,
    "date": date.fromisoformat,
    "timedelta": lambda text: timedelta(*map(int, text.split())),
    "Decimal": Decimal,
    "Fraction": Fraction,
    "UUID": UUID,
    "complex": lambda text: complex(*map(float, text.split())),
    "float": float,
    "path": Path,
}


def _zone(value: datetime | time) -> str | None:
    return None if value.tzinfo is None else _zone_name(value.tzinfo)


def _zone_name(zone: object) -> str:
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if isinstance(zone, timezone):
        offset = zone.utcoffset(None)
        return f"{offset.days} {offset.seconds} {offset.microseconds}"
    raise ValueCodecError(
        f"The time zone {zone!r} has no canonical form", hint="use datetime.timezone or zoneinfo.ZoneInfo"
    )


def _read_zone(text: str | None) -> timezone | ZoneInfo | None:
    if text is None:
        return None
    if text[0] in "-0123456789":
        return timezone(timedelta(*map(int, text.split())))
    return ZoneInfo(text)


def _encode_numpy(value: Any) -> Json:
    if value.dtype.hasobject:
        raise ValueCodecError("A numpy array of Python objects has no canonical form", hint="pass a list instead")
    return {
        TAG: "numpy",
        "dtype": value.dtype.str if value.dtype.names is None else value.dtype.descr,
        "shape": list(value.shape),
        "is_scalar": not hasattr(value, "__setitem__"),
        "value": base64.b64encode(value.tobytes(order="C")).decode(),
    }


def _parameters(value: Any) -> tuple[str, dict[str, object]] | None:
    """How an object is made again, and from what; None when there is no agreed way."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return "namedtuple", dict(zip(kind._fields, value, strict=True))
    if is_dataclass(value):
        return "dataclass", {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(kind, "__pydantic_fields__"):
        return "pydantic", {name: getattr(value, name) for name in kind.__pydantic_fields__}
    if callable(getattr(value, "get_params", None)) and callable(getattr(value, "set_params", None)):
        return "estimator", dict(value.get_params(deep=False))
    return None


def decode(tree: Json, hook: Callable[[dict[str, Json]], object] | None = None, find: Finder = find_named) -> Any:
    """Make the value again.

    ``hook`` makes values of kinds that the codec does not know (an artifact's reference). ``find`` turns import paths
    into classes and functions; a caller who must not trust the tree gives one that knows only what was declared.

    Raises `ValueCodecError` for a tree that this codec did not make.
    """
    return _Decoder(hook, find).decode(tree)


class _Decoder:
    def __init__(self, hook: Callable[[dict[str, Json]], object] | None, find: Finder) -> None:
        self._hook = hook
        self._find = find

    def decode(self, tree: Json) -> Any:
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        kind = tree.get(TAG)
        if kind is None:
            return {key: self.decode(item) for key, item in tree.items()}
        if kind in _TEXT_READERS:
            return _TEXT_READERS[kind](tree["value"])
        reader = getattr(self, f"_read_{kind}", None)
        if reader is not None:
            return reader(tree)
        if self._hook is not None:
            return self._hook(tree)
        raise ValueCodecError(f"A value of the kind {kind!r} is not known", hint="was it made by a newer Headrace?")

    def _read_tuple(self, tree: Json) -> Any:
        return tuple(self.decode(tree["items"]))

    def _read_set(self, tree: Json) -> Any:
        return set(self.decode(tree["items"]))

    def _read_frozenset(self, tree: Json) -> Any:
        return frozenset(self.decode(tree["items"]))

    def _read_dict(self, tree: Json) -> Any:
        return {self.decode(key): self.decode(item) for key, item in tree["items"]}

    def _read_enum(self, tree: Json) -> Any:
        kind: Any = self._find(tree["type"])
        return kind[tree["name"]]

    def _read_datetime(self, tree: Json) -> Any:
        return datetime.fromisoformat(tree["value"]).replace(tzinfo=_read_zone(tree["zone"]), fold=tree["fold"])

    def _read_time(self, tree: Json) -> Any:
        return time.fromisoformat(tree["value"]).replace(tzinfo=_read_zone(tree["zone"]), fold=tree["fold"])

    def _read_zone(self, tree: Json) -> Any:
        return _read_zone(tree["value"])

    def _read_regex(self, tree: Json) -> Any:
        return re.compile(tree["pattern"], tree["flags"])

    def _read_range(self, tree: Json) -> Any:
        return range(*tree["args"])

    def _read_slice(self, tree: Json) -> Any:
        return slice(*tree["args"])

    def _read_name(self, tree: Json) -> Any:
        return self._find(tree["value"])

    def _read_secret(self, tree: Json) -> Any:
        return Secret(tree["name"])

    def _read_partial(self, tree: Json) -> Any:
        args, kwargs = self.decode(tree["args"]), self.decode(tree["kwargs"])
        return partial(self.decode(tree["function"]), *args, **kwargs)

    def _read_alias(self, tree: Json) -> Any:
        return GenericAlias(self.decode(tree["origin"]), tuple(self.decode(tree["args"])))

    def _read_numpy(self, tree: Json) -> Any:
        import numpy

        described = tree["dtype"]
        if isinstance(described, list):
            described = [tuple(field) for field in described]
        dtype = numpy.dtype(described)
        array = numpy.frombuffer(base64.b64decode(tree["value"]), dtype=dtype).reshape(tree["shape"])
        return array[()] if tree["is_scalar"] else array.copy()

    def _read_namedtuple(self, tree: Json) -> Any:
        kind: Any = self._find(tree["type"])
        return kind(**self.decode(tree["fields"]))

    def _read_dataclass(self, tree: Json) -> Any:
        kind: Any = self._find(tree["type"])
        value = object.__new__(kind)
        for name, item in tree["fields"].items():
            object.__setattr__(value, name, self.decode(item))
        return value

    _read_external = _read_dataclass

    def _read_pydantic(self, tree: Json) -> Any:
        kind: Any = self._find(tree["type"])
        return kind.model_construct(**self.decode(tree["fields"]))

    def _read_estimator(self, tree: Json) -> Any:
        kind: Any = self._find(tree["type"])
        return kind(**self.decode(tree["fields"]))


def names_in(tree: Json) -> set[str]:
    """The import paths of all classes and functions that a tree names: their code belongs to the key."""
    found: set[str] = set()
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
            if TAG in item and item[TAG] == "name":
                found.add(item["value"])
            elif TAG in item and "type" in item:
                found.add(item["type"])
    return found


def check_importable(tree: Json) -> None:
    """Raise `ValueCodecError` when a name in the tree does not lead to what it was given for."""
    for name in names_in(tree):
        if not is_importable(find_named(name)):
            raise ValueCodecError(
                f"{name!r} is not what importing it gives", hint="give it a name of its own in its module"
            )
