"""The one codec for values in a plan: canonical JSON both ways.

Equal trees mean equal values *and types*, as far as a step could tell: 1, 1.0 and True differ, so do -0.0 and 0.0 and
two orders of a dict. Every NaN is one NaN. Sets are sorted by the canonical text of their members. Objects are kept as
their class's import path and their parameters, and are made again from these; their classes' code is part of the key
of the step that takes them. A subclass of a plain type is none: it may hold more than its base.

==============================  ===============================================
value                           tree
==============================  ===============================================
None, bool, str                 itself
int                             itself; from 2048 bits on ``{"$": "int", …}``
float                           itself; ``{"$": "float", …}`` for NaN and infinities
list                            list
dict                            object; with keys that are no texts, or begin
                                with "$": ``{"$": "dict", "items": [[k, v], …]}``
anything else                   ``{"$": kind, …}``
==============================  ===============================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from math import isfinite
from types import BuiltinFunctionType, FunctionType, GenericAlias, MethodType
from typing import Any

from headrace.core.arrays import array_tree, is_numpy, make_array
from headrace.core.errors import HeadraceError, ValueCodecError
from headrace.core.forms import LONGEST_INT_BITS, TAG, is_form, tree_of, value_of
from headrace.core.names import find_named, is_importable, name_of
from headrace.core.objects import KINDS, enum_tree, make_again, make_member, take_apart
from headrace.core.secret import Secret

Json = Any
"""A tree of None, bool, int, finite float, str, list and dict with text keys."""

PASSWORD_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]*:/{1,2}[^/\s:@\"'<>]*:(?!\d{1,5}/)[^\s@\"'<>]+@", re.IGNORECASE)
DEEPEST = 100
"""How deep a value may be nested: whoever walks a tree may do so by calling itself."""

Hook = Callable[[object], "Json | None"]
"""Given a value, its tree, or None when the codec is to encode it itself."""

Finder = Callable[[str], object]
"""Given an import path, the class or function that it names."""


def canonical(tree: Json) -> str:
    """The one text of a tree: no spaces, ASCII, order as it stands."""
    return json.dumps(tree, separators=(",", ":"), allow_nan=False)


def encode(value: object, hook: Hook | None = None) -> Json:
    """Turn a value into its tree.

    ``hook`` is asked first about each value but None, booleans, numbers and texts.

    Raises
    ------
    ValueCodecError
        For a lambda, a local class, a URL with a password in it, a value that refers to itself or is nested more than
        a hundred deep, and for a value of a type that has no canonical form. The text says where in the value it
        stands.
    """
    encoder = _Encoder(hook)
    try:
        return encoder.encode(value)
    except ValueCodecError as error:
        if not (place := encoder.place):
            raise
        raise ValueCodecError(f"{error.message}, at {place}", hint=error.hint, where=error.where) from error


class _Encoder:
    def __init__(self, hook: Hook | None) -> None:
        self._hook = hook
        self._labels: list[str] = []
        self._open: set[int] = set()

    @property
    def place(self) -> str:
        """Where in the value the encoder stands: nothing is taken off after an error."""
        return "".join(self._labels)

    def encode(self, value: Any) -> Json:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if value.bit_length() < LONGEST_INT_BITS else tree_of(value)
        if kind is float:
            return value if isfinite(value) else tree_of(value)
        if kind is str:
            return checked_text(value)
        if self._hook is not None and (tree := self._hook(value)) is not None:
            return tree
        if (tree := tree_of(value)) is not None:
            if tree[TAG] == "path":
                checked_text(tree["value"])
            return tree
        self._enter(value)
        tree = self._encode_parts(value, kind)
        self._open.remove(id(value))
        return tree

    def _enter(self, value: object) -> None:
        if id(value) in self._open:
            raise ValueCodecError(f"A {type(value).__name__} refers to itself", hint="pass data that ends")
        if len(self._open) >= DEEPEST:
            raise ValueCodecError(
                f"A {type(value).__name__} is nested more than {DEEPEST} deep",
                hint="pass flatter data, or let a step make it and pass its output",
            )
        self._open.add(id(value))

    def _part(self, label: str, value: object) -> Json:
        self._labels.append(label)
        tree = self.encode(value)
        self._labels.pop()
        return tree

    def _items(self, values: Any) -> list[Json]:
        return [self._part(f"[{index}]", item) for index, item in enumerate(values)]

    def _encode_parts(self, value: Any, kind: type) -> Json:
        if kind is list:
            return self._items(value)
        if kind is dict:
            return self._encode_dict(value)
        if kind is tuple:
            return {TAG: "tuple", "items": self._items(value)}
        if kind is set or kind is frozenset:
            return {TAG: kind.__name__, "items": sorted((self._part("{…}", item) for item in value), key=canonical)}
        if kind is range or kind is slice:
            args = [self._part(f".{name}", getattr(value, name)) for name in ("start", "stop", "step")]
            return {TAG: kind.__name__, "args": args}
        if kind is re.Pattern:
            return {TAG: "regex", "pattern": self.encode(value.pattern), "flags": value.flags}
        if isinstance(value, Enum):
            return {TAG: "enum", **enum_tree(value)}
        if kind is Secret:
            return {TAG: "secret", "name": value.name}
        if is_numpy(value):
            if isinstance(value, str):
                checked_text(str(value))
            return {TAG: "numpy", **array_tree(value)}
        return self._encode_object(value, kind)

    def _encode_dict(self, value: dict[Any, object]) -> Json:
        if all(type(key) is str and not key.startswith(TAG) for key in value):
            return {checked_text(key): self._part(f"[{key!r}]", item) for key, item in value.items()}
        return {
            TAG: "dict",
            "items": [
                [self._part(f" key {index}", key), self._part(f"[{key!r:.40}]", item)]
                for index, (key, item) in enumerate(value.items())
            ],
        }

    def _encode_object(self, value: Any, kind: type) -> Json:
        if hasattr(kind, "__headrace_handle__"):
            raise ValueCodecError(f"{value!r} cannot stand here", hint="pass it to a step as an argument of its own")
        if _is_named(value):
            return {TAG: "name", "value": name_of(value)}
        if kind is partial:
            return {
                TAG: "partial",
                "function": self._part(".func", value.func),
                "args": self._part(".args", list(value.args)),
                "kwargs": self._part(".keywords", value.keywords),
            }
        if kind is GenericAlias:
            return {
                TAG: "alias",
                "origin": self.encode(value.__origin__),
                "args": self._part(".__args__", list(value.__args__)),
            }
        apart = take_apart(value)
        if apart is None:
            raise _no_form(value)
        how, found = apart
        return {
            TAG: how,
            "type": name_of(kind),
            "fields": {name: self._part(f".{name}", item) for name, item in found.items()},
        }


def _is_named(value: Any) -> bool:
    """What is kept by its import path: functions, classes, steps, class methods, and NumPy's own functions."""
    if isinstance(value, FunctionType | BuiltinFunctionType | type) or hasattr(value, "__headrace_step__"):
        return True
    if isinstance(value, MethodType):
        return isinstance(value.__self__, type)
    return type(value).__module__ == "numpy" and callable(value) and is_importable(value)


def checked_text(value: str) -> str:
    """The text itself. Raises `ValueCodecError` for one that holds a password, or that JSON would change."""
    if ":/" in value and PASSWORD_IN_URL.search(value):
        raise ValueCodecError(
            "A URL with a password in it cannot be a value in a plan",
            hint="keep the password in the environment and pass Secret('NAME') beside a URL without it",
        )
    if not value.isascii() and json.loads(json.dumps(value)) != value:
        raise ValueCodecError(
            "A text of surrogates in pairs has no canonical form",
            hint="make characters of them: text.encode('utf-16', 'surrogatepass').decode('utf-16')",
        )
    return value


_PLAIN_TYPES = (str, int, float, bytes, list, dict, tuple, set, frozenset)
_ALIKE: Mapping[str, str] = {
    "bytearray": "bytes",
    "memoryview": "bytes",
    "deque": "list",
    "mappingproxy": "dict",
    "generator": "list",
    "dict_keys": "list",
    "dict_values": "list",
    "dict_items": "list",
    "array": "list",
}
"""Types that have no form of their own, and the plain one to pass instead."""


def _no_form(value: Any) -> ValueCodecError:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = f"A value of type {name} has no canonical form, so it cannot stand in a plan"
    plain = next((base.__name__ for base in _PLAIN_TYPES if isinstance(value, base)), _ALIKE.get(kind.__name__))
    if plain is not None:
        hint = f"pass a plain {plain}: {plain}(…)"
    elif isinstance(value, MethodType):
        hint = "pass the object and call its method in the step, or define a function at the top of a module"
    elif hasattr(kind, "isoformat"):
        hint = "pass a datetime.datetime, date or time of the standard library"
    elif hasattr(kind, "as_posix"):
        hint = "pass a pathlib.Path"
    else:
        hint = "make its class a dataclass, pass its parameters instead, or let a step make it"
    return ValueCodecError(message, hint=hint)


def decode(tree: Json, hook: Callable[[dict[str, Json]], object] | None = None, find: Finder = find_named) -> Any:
    """Make the value again.

    ``hook`` makes values of kinds that the codec does not know (an artifact's reference). ``find`` turns import paths
    into classes and functions, and nothing else imports any; a caller who must not trust the tree gives one that knows
    only what was declared.

    Raises `ValueCodecError` for a tree that this codec did not make, and for one whose classes have changed.
    """
    try:
        return _Decoder(hook, find).decode(tree)
    except HeadraceError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueCodecError(
            f"A value cannot be made again: {type(error).__name__}: {error}",
            hint="was it made by another version of its class?",
        ) from error


class _Decoder:
    def __init__(self, hook: Callable[[dict[str, Json]], object] | None, find: Finder) -> None:
        self._hook = hook
        self._find = find

    def decode(self, tree: Json) -> Any:
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if TAG not in tree:
            return {key: self.decode(item) for key, item in tree.items()}
        kind = tree[TAG]
        if is_form(kind):
            return value_of(kind, tree)
        if kind in KINDS or kind == "external":
            how = "dataclass" if kind == "external" else kind
            return make_again(how, self._find(tree["type"]), self.decode(tree["fields"]))
        reader = _READERS.get(kind)
        if reader is not None:
            return reader(self, tree)
        if self._hook is not None:
            return self._hook(tree)
        raise ValueCodecError(f"A value of the kind {kind!r} is not known", hint="was it made by a newer Headrace?")

    def _dict(self, tree: Json) -> Any:
        return {self.decode(key): self.decode(item) for key, item in tree["items"]}

    def _partial(self, tree: Json) -> Any:
        args, kwargs = self.decode(tree["args"]), self.decode(tree["kwargs"])
        return partial(self.decode(tree["function"]), *args, **kwargs)

    def _alias(self, tree: Json) -> Any:
        return GenericAlias(self.decode(tree["origin"]), tuple(self.decode(tree["args"])))

    def find(self, name: str) -> Any:
        return self._find(name)


_READERS: Mapping[str, Callable[[Any, Json], Any]] = {
    "tuple": lambda decoder, tree: tuple(decoder.decode(tree["items"])),
    "set": lambda decoder, tree: set(decoder.decode(tree["items"])),
    "frozenset": lambda decoder, tree: frozenset(decoder.decode(tree["items"])),
    "dict": _Decoder._dict,
    "range": lambda decoder, tree: range(*decoder.decode(tree["args"])),
    "slice": lambda decoder, tree: slice(*decoder.decode(tree["args"])),
    "regex": lambda decoder, tree: re.compile(decoder.decode(tree["pattern"]), tree["flags"]),
    "enum": lambda decoder, tree: make_member(decoder.find(tree["type"]), tree),
    "name": lambda decoder, tree: decoder.find(tree["value"]),
    "secret": lambda decoder, tree: Secret(tree["name"]),
    "partial": _Decoder._partial,
    "alias": _Decoder._alias,
    "numpy": lambda decoder, tree: make_array(tree, decoder.find),
}


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
