"""What a function object reaches at run time: closures, wrapped functions, partials, bound methods, callables' state.

The source says what a factory made by ``make(3)`` does; only the object knows the 3.
"""

# Paths are plain strings here: they are compared, not used.

from __future__ import annotations

import copyreg
import functools
import json
import os
import secrets
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from headrace.core.project import file_of
from headrace.core.reach import Reach
from headrace.core.reach_normal import sha256

Encode = Callable[[object], object]
"""Encodes a value as JSON data in one canonical form; raises for what it can't encode."""

_MAX_OBJECTS = 10_000
_CACHES = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
"""What these hold comes and goes: ``singledispatch`` keeps what it has looked up so far in one."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Values:
    """Walks objects from a function on.

    ``parts`` maps a label, such as ``closure of make.<locals>.f: rate``, to a digest.
    """

    def __init__(self, reach: Reach, encode: Encode) -> None:
        self.parts: dict[str, str] = {}
        self._reach = reach
        self._encode = encode
        self._seen: dict[int, tuple[object, str]] = {}
        self._work: list[tuple[object, str]] = []

    def add(self, value: object, label: str) -> None:
        """Reach all that an object is made of."""
        self._work.append((value, label))
        while self._work:
            item, where = self._work.pop()
            if isinstance(item, _PLAIN):
                self._encoded(item, where)
            elif id(item) in self._seen:
                self.parts.setdefault(where, sha256("the same as", self._seen[id(item)][1]))
            elif len(self._seen) >= _MAX_OBJECTS:
                self.parts[where] = sha256("too much to follow", secrets.token_hex())  # in doubt, run
            else:
                self._seen[id(item)] = (item, where)  # kept alive, so that ids stay apart
                self._one(item, where)

    def _one(self, item: object, where: str) -> None:
        if isinstance(item, types.FunctionType):
            self._function(item, where)
        elif isinstance(item, functools.partial):
            self._push(item.func, where)
            self._push(list(item.args), f"arguments of {where}")
            self._push(dict(item.keywords), f"keywords of {where}")
        elif isinstance(item, types.MethodType):
            self._push(item.__func__, where)
            self._push(item.__self__, f"receiver of {where}")
        elif isinstance(item, type):
            self._class(item, where)
        elif isinstance(item, types.ModuleType):
            self.parts[where] = sha256("module", item.__name__)
            self._reach.reach_whole(item.__name__)
        elif isinstance(item, (types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType)):
            home = getattr(item, "__module__", None)
            self.parts[where] = sha256("builtin", getattr(item, "__qualname__", ""), str(home))
            self._foreign(home)
            owner = getattr(item, "__self__", None)
            if owner is not None and not isinstance(owner, types.ModuleType):
                self._push(owner, f"receiver of {where}")
        else:
            self._value(item, where)

    def _push(self, value: object, where: str) -> None:
        self._work.append((value, where))

    # functions

    def _function(self, function: types.FunctionType, where: str) -> None:
        code = function.__code__
        module = home_module(function)
        qualname = code.co_qualname
        if module is None or not self._stands_in(code, module):
            self._outside(function, where)
        else:
            top = qualname.partition(".")[0]
            if not self._reach_top(module, top, code.co_firstlineno):
                self._reach.reach_whole(module)
            self._reach.declare(module, top)
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self._push(wrapped, where)
        if "<locals>" in qualname or qualname == "<lambda>":
            self._made_values(function, qualname)

    def _stands_in(self, code: types.CodeType, module: str) -> bool:
        """Say whether code was compiled from the file of a project module (and not made by ``exec`` in a namespace)."""
        place = self._reach.modules.place(module)
        if place is None:
            return False
        return os.path.realpath(code.co_filename) == os.path.realpath(place.path)

    def _reach_top(self, module: str, name: str, line: int) -> bool:
        self._reach.enter(module)
        facts = self._reach.closure.get(module)
        if facts is None:
            return False
        if name in facts.unit_bindings:
            self._reach.reach_name(module, name)
            return True
        return self._reach.reach_line(module, line)

    def _made_values(self, function: types.FunctionType, qualname: str) -> None:
        """The values that this object has and its source doesn't say."""
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            label = f"closure of {qualname}: {name}"
            try:
                self._push(cell.cell_contents, label)
            except ValueError:
                self.parts[label] = sha256("empty")
        for index, value in enumerate(function.__defaults__ or ()):
            self._push(value, f"default {index + 1} of {qualname}")
        for name, value in (function.__kwdefaults__ or {}).items():
            self._push(value, f"default of {qualname}: {name}")

    def _outside(self, function: types.FunctionType, where: str) -> None:
        """A library's function counts with its library; one without a file (a notebook's) by its code and globals."""
        module = home_module(function)
        file = file_of(sys.modules.get(module)) if module is not None else None
        code_file = os.path.realpath(function.__code__.co_filename)
        if module is not None and (file is None or os.path.realpath(file) == code_file) and module != "__main__":
            self.parts[where] = sha256("function", module, function.__qualname__)
            self._foreign(module)
            return
        self.parts[where] = code_digest(function.__code__)
        for name in sorted(_global_names(function.__code__)):
            if name in function.__globals__:
                self._push(function.__globals__[name], f"{name}, as {where} sees it")

    def _foreign(self, module: object) -> None:
        if isinstance(module, str) and module:
            self._reach.enter(module)

    # classes and values

    def _class(self, kind: type, where: str) -> None:
        self.parts[where] = sha256("class", kind.__module__, kind.__qualname__)
        module = kind.__module__
        if self._reach.modules.place(module) is None:
            self._foreign(module)
            return
        top = kind.__qualname__.partition(".")[0]
        facts = self._reach.modules.facts(module)
        if facts is not None and (top in facts.unit_bindings or top in facts.import_bindings):
            self._reach.reach_name(module, top)
        else:
            self._reach.reach_whole(module)

    def _value(self, value: object, where: str) -> None:
        kind = type(value)
        if kind.__module__ != "builtins":
            self._class(kind, f"type of {where}")
        if self._encoded(value, where):
            return
        children = [] if isinstance(value, _CACHES) else _children(value)
        self.parts[where] = sha256("made of", kind.__module__, kind.__qualname__, *(name for name, _ in children))
        for name, child in children:
            self._push(child, f"{name} of {where}")
        if kind.__module__ != "builtins" and self._reach.modules.place(kind.__module__) is not None:
            self._reach.reach_whole(kind.__module__)

    def _encoded(self, value: object, where: str) -> bool:
        try:
            data = self._encode(value)
            text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        except Exception as error:  # noqa: BLE001 - whatever a codec or a value's own methods raise: it can't be encoded
            if isinstance(value, _PLAIN):
                self.parts[where] = sha256("plain", type(value).__name__, ascii(value))
                return True
            del error
            return False
        self.parts[where] = sha256("value", text)
        return True


def home_module(function: types.FunctionType) -> str | None:
    """Name the module whose source a function's code stands in; ``functools.wraps`` makes ``__module__`` lie."""
    name = function.__globals__.get("__name__")
    if isinstance(name, str) and name in sys.modules:
        return name
    return function.__module__ if function.__module__ in sys.modules else None


def code_digest(code: types.CodeType) -> str:
    """Give the digest of a code object, its file and lines left out."""
    parts: list[str] = []
    stack: list[types.CodeType] = [code]
    while stack:
        item = stack.pop()
        parts += [item.co_qualname, item.co_code.hex(), repr((item.co_names, item.co_varnames, item.co_freevars))]
        parts += [str(item.co_flags), item.co_exceptiontable.hex(), str(item.co_argcount), str(item.co_kwonlyargcount)]
        for constant in item.co_consts:
            if isinstance(constant, types.CodeType):
                stack.append(constant)
            else:
                parts.append(_constant(constant))
    return sha256(*parts)


def _constant(value: object) -> str:
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {[_constant(item) for item in value]}"
    return f"{type(value).__name__} {hex(value) if type(value) is int else ascii(value)}"


def _global_names(code: types.CodeType) -> set[str]:
    names: set[str] = set()
    stack = [code]
    while stack:
        item = stack.pop()
        names.update(item.co_names)
        stack.extend(constant for constant in item.co_consts if isinstance(constant, types.CodeType))
    return names


def _children(value: object) -> list[tuple[str, Any]]:
    """Give what an object holds, for one that the codec refuses: items and attributes, or what pickle would keep."""
    held = [*_items(value), *_attributes(value)]
    if held or isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return held
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        reduced: Any = reducer(value) if reducer is not None else value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - whatever a class raises: the object can't be taken apart
        return []
    return [("rebuilt from", reduced)] if isinstance(reduced, str) else list(_numbered(reduced[1:3]))


def _items(value: object) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f"[{_short(key)}]", item) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted(((f"{{{_short(item)}}}", item) for item in value), key=lambda pair: pair[0])
    return list(_numbered(value)) if isinstance(value, (list, tuple)) else []


def _numbered(values: Iterable[object]) -> Iterator[tuple[str, Any]]:
    return ((f"[{index}]", item) for index, item in enumerate(values))


def _attributes(value: object) -> list[tuple[str, Any]]:
    held = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                held.setdefault(name, getattr(value, name))
    return sorted(held.items())


def _short(key: object) -> str:
    """Name a key without an address in the name."""
    if isinstance(key, _PLAIN):
        return repr(key)[:80]
    return str(getattr(key, "__qualname__", type(key).__qualname__))
