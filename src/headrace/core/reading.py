"""Reading a parameter as its declared type, from text and from what JSON and TOML know.

===================  ===================================================================================
declared             besides a value of that type
===================  ===================================================================================
bool                 text: true, yes, 1, false, no, 0
int                  text
float                whole numbers (no booleans); text, ``nan`` and ``inf`` too
Decimal, Fraction    numbers; text
str                  nothing: a number is not a text
Path                 text, relative to the folder
date, datetime, time text in ISO form
timedelta            a number of seconds; text of one
UUID                 text
enum                 text: a member's name, names joined by "|" for flags, or a member's value
Literal              text that reads like a choice
None                 text: none, null (where no str is declared)
list, tuple, set …   a list; text: a JSON array, or items between commas
dict, TypedDict      text: a JSON object; keys are read from text
dataclass, pydantic  an object; text: a JSON object
NamedTuple           an object or a list; text: JSON
Secret               text: the variable's name
a class of sources   text that its ``__headrace_read__`` knows, such as a URL
===================  ===================================================================================

Items and fields are read as they are declared. Text stays text wherever a ``str`` is declared.
"""

from __future__ import annotations

import collections.abc as abc
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from headrace.core.errors import HeadraceError, near_miss
from headrace.core.fit import MISSING, class_of, conforms, members, plain_type
from headrace.core.hints import declared_types

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NOTHING = ("none", "null")
_LISTS: Mapping[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.MutableSet: set,
}
_CONCRETE = (list, tuple, set, frozenset)
_ORDERED = (list, tuple, abc.Sequence, abc.MutableSequence)
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


class MisfitError(Exception):
    """A value, or a part of one, is not what is declared. Turned into a `ParameterError` that names the parameter."""

    def __init__(self, value: object, hint: str | None, problem: str = "") -> None:
        super().__init__(value)
        self.value = value
        self.hint = hint
        self.problem = problem
        self.place = ""


class Reader:
    """Reads values; relative paths given as text are relative to ``folder``. Without ``text``, text is only text."""

    def __init__(self, folder: Path | None, *, text: bool = True) -> None:
        self._folder = folder
        self._text = text

    def read(self, value: Any, declared: Any) -> Any:
        """Read a value as declared. Raises `MisfitError`."""
        declared = plain_type(declared)
        if declared is MISSING or declared is Any or declared is object:
            return value
        if len(members(declared)) > 1:
            return self._union(value, declared)
        if get_origin(declared) is Literal:
            return self._choice(value, declared)
        if typing.is_typeddict(declared):
            return self._record(value, declared, *_keys_of(declared), dict)
        kind = class_of(declared)
        if kind is None:
            return value
        return self._of_class(value, declared, kind)

    def _of_class(self, value: Any, declared: Any, kind: type) -> Any:
        if kind in _LISTS:
            return self._list(value, declared, kind)
        if kind in _DICTS:
            return self._dict(value, declared)
        scalar = _SCALARS.get(f"{kind.__module__}.{kind.__qualname__}")
        if scalar is not None:
            return self._scalar(value, declared, kind, scalar)
        if conforms(value, declared):
            return value
        if self._text and isinstance(value, str) and (made := read_by_class(value, kind)) is not None:
            return made
        if issubclass(kind, Enum):
            return self._member(value, kind)
        if is_dataclass(kind) or hasattr(kind, "_fields") or hasattr(kind, "__pydantic_fields__"):
            return self._object(value, kind)
        raise MisfitError(value, advice(declared))

    def _scalar(self, value: Any, declared: Any, kind: type, read: Callable[[Any, type], Any]) -> Any:
        if type(value) is kind:
            return value
        if isinstance(value, str) and not self._text:
            raise MisfitError(value, advice(declared))
        try:
            made = read(value, kind)
        except (ValueError, ArithmeticError, KeyError):
            made = NotImplemented
        if made is NotImplemented:
            raise MisfitError(value, advice(declared))
        return Path(self._folder, made) if isinstance(made, Path) and self._folder and isinstance(value, str) else made

    def _union(self, value: Any, declared: Any) -> Any:
        parts = members(declared)
        is_text = isinstance(value, str) and self._text
        if is_text and NoneType in parts and str not in parts and value.lower() in _NOTHING:
            return None
        if is_text and (made := read_by_class(value, declared)) is not None:
            return made
        for part in parts:
            if type(value) is class_of(part) and conforms(value, part):
                return self.read(value, part)
        for part in parts:
            try:
                return self.read(value, part)
            except MisfitError as misfit:
                if part is not NoneType and len(parts) == 2 and NoneType in parts:
                    raise misfit from misfit.__cause__
        raise MisfitError(value, advice(declared))

    def _choice(self, value: Any, declared: Any) -> Any:
        if conforms(value, declared):
            return value
        found = [choice for choice in get_args(declared) if self._text and _choice_text(choice) == value]
        if len(found) != 1:
            raise MisfitError(value, advice(declared))
        return found[0]

    def _member(self, value: Any, kind: Any) -> Any:
        by_name = kind.__members__
        if isinstance(value, str) and self._text:
            if value in by_name:
                return by_name[value]
            names = [name.strip() for name in value.split("|")]
            if issubclass(kind, Flag) and all(name in by_name for name in names):
                member = kind(0)
                for name in names:
                    member |= by_name[name]
                return member
        found = [
            member
            for member in kind
            if (type(member.value) is type(value) and member.value == value)
            or (self._text and isinstance(value, str) and str(member.value) == value)
        ]
        if len(found) != 1:
            raise MisfitError(value, advice(kind))
        return found[0]

    def _list(self, value: Any, declared: Any, kind: type) -> Any:
        is_read = isinstance(value, _CONCRETE) or (isinstance(value, str) and self._text)
        if not is_read and conforms(value, declared):
            return value
        items = self._array(value, declared)
        parts = get_args(declared)
        if kind is tuple and parts and parts[-1] is not Ellipsis:
            if len(items) != len(parts):
                raise MisfitError(value, f"give {len(parts)} items")
            return tuple(
                self._at(f"[{n}]", item, part) for n, (item, part) in enumerate(zip(items, parts, strict=True))
            )
        item_type = parts[0] if parts else MISSING
        read = [self._at(f"[{n}]", item, item_type) for n, item in enumerate(items)]
        make = type(value) if kind not in _CONCRETE and type(value) in _CONCRETE else _LISTS[kind]
        try:
            return make(read)
        except TypeError as error:
            raise MisfitError(value, "give items that can stand in a set") from error

    def _array(self, value: Any, declared: Any) -> list[Any]:
        if isinstance(value, str) and self._text:
            if value.lstrip().startswith("["):
                return list(self._json(value, declared, list))
            return [item.strip() for item in value.split(",")] if value.strip() else []
        if not isinstance(value, (list, tuple) if class_of(declared) in _ORDERED else _CONCRETE):
            raise MisfitError(value, advice(declared))
        return list(value)

    def _dict(self, value: Any, declared: Any) -> Any:
        if not isinstance(value, dict | str) and conforms(value, declared):
            return value
        found = self._json(value, declared, dict)
        keys, values = get_args(declared) or (MISSING, MISSING)
        return {
            self._at(f" key {key!r}", key, keys): self._at(f"[{key!r}]", item, values) for key, item in found.items()
        }

    def _object(self, value: Any, kind: Any) -> Any:
        if hasattr(kind, "__pydantic_fields__") and not is_dataclass(kind):
            return self._made(value, lambda: kind.model_validate(self._json(value, kind, dict)))
        hints = declared_types(kind, None)
        if hasattr(kind, "_fields"):
            names, required = list(kind._fields), {name for name in kind._fields if name not in kind._field_defaults}
            if isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("[")):
                items = self._array(value, list)
                if len(items) > len(names):
                    raise MisfitError(value, f"give at most {len(names)} items: {', '.join(names)}")
                value = dict(zip(names, items, strict=False))
        else:
            taken = [item for item in fields(kind) if item.init]
            names = [item.name for item in taken]
            required = {
                item.name for item in taken if item.default is NO_DEFAULT and item.default_factory is NO_DEFAULT
            }
        return self._record(value, kind, {name: hints.get(name, MISSING) for name in names}, required, kind)

    def _record(
        self, value: Any, declared: Any, hints: Mapping[str, Any], required: Iterable[str], make: Callable[..., Any]
    ) -> Any:
        found = self._json(value, declared, dict)
        for name in found:
            if name not in hints:
                raise MisfitError(value, near_miss(str(name), hints), f"it has no field {name!r}")
        if absent := sorted(set(required) - set(found)):
            raise MisfitError(value, f"it has {', '.join(map(repr, hints))}", f"field {absent[0]!r} is missing")
        read = {name: self._at(f".{name}", item, hints[name]) for name, item in found.items()}
        return self._made(value, lambda: make(**read))

    def _made(self, value: Any, make: Callable[[], Any]) -> Any:
        """What a class makes of a value: what it raises about the value is what is wrong with it."""
        try:
            return make()
        except (ValueError, TypeError, HeadraceError) as error:
            text = error.message if isinstance(error, HeadraceError) else str(error)
            raise MisfitError(value, None, " ".join(text.split())[:200]) from error

    def _json(self, value: Any, declared: Any, kind: type) -> Any:
        """The value, or what text says as JSON: a list or a dict, as asked for."""
        found = value
        if isinstance(value, str) and self._text:
            try:
                found = json.loads(value)
            except (ValueError, RecursionError):
                raise MisfitError(value, advice(declared)) from None
        if not isinstance(found, kind):
            raise MisfitError(value, advice(declared))
        return found

    def _at(self, label: str, value: Any, declared: Any) -> Any:
        try:
            return self.read(value, declared)
        except MisfitError as misfit:
            misfit.place = label + misfit.place
            raise


def read_by_class(text: str, declared: Any) -> Any:
    """What a class among the declared ones makes of a text that it knows; None where none knows it.

    Such a class has a class method ``__headrace_read__``, which is given the text and gives an instance or None.
    """
    for part in members(declared):
        read = getattr(class_of(part), "__headrace_read__", None)
        made = read(text) if read is not None else None
        if made is not None:
            return made
    return None


def _keys_of(declared: Any) -> tuple[Mapping[str, Any], set[str]]:
    """The keys of a typed dict: each with its type, and those that must be there."""
    hints = declared_types(declared, None)
    # A class in a module with postponed annotations counts what is NotRequired as required: its hints know.
    optional = {name for name, hint in hints.items() if get_origin(hint) is typing.NotRequired}
    return hints, set(declared.__required_keys__) - optional


def _choice_text(choice: object) -> str:
    if isinstance(choice, bool):
        return str(choice).lower()
    return choice.name if isinstance(choice, Enum) else str(choice)


def advice(declared: Any) -> str | None:
    """What to give where a type is declared."""
    declared = plain_type(declared)
    if get_origin(declared) is Literal:
        return "give one of " + ", ".join(_choice_text(choice) for choice in get_args(declared))
    parts = [part for part in members(declared) if part is not NoneType]
    kind = class_of(declared)
    if kind is None:
        return advice(parts[0]) if len(parts) == 1 and parts[0] != declared else None
    if issubclass(kind, Enum):
        return "give one of " + ", ".join(kind.__members__)
    if kind in _LISTS:
        return 'give a list: as text, items between commas or JSON such as ["a", "b"]'
    if kind in _DICTS or is_dataclass(kind) or hasattr(kind, "_fields") or hasattr(kind, "__pydantic_fields__"):
        return 'give it as JSON, such as {"name": "value"}'
    return _ADVICE.get(kind.__qualname__)


_ADVICE = {
    "bool": "give true or false",
    "int": "give a whole number, such as 100",
    "float": "give a number, such as 0.5",
    "Decimal": "give a number, such as 0.10",
    "Fraction": "give a number, such as 1/3",
    "complex": "give a number, such as 1+2j",
    "str": "give text: in a JSON or TOML file, between quotes",
    "date": "give a date, such as 2026-01-31",
    "datetime": "give a time, such as 2026-01-31T12:00:00+00:00",
    "time": "give a time of day, such as 12:30",
    "timedelta": "give a number of seconds, such as 3600",
    "UUID": "give an id, such as 12345678-1234-5678-1234-567812345678",
    "Path": "give a path",
    "Secret": "give the name of the environment variable that holds it",
    "NoneType": "give none",
}


def _number(value: Any, kind: Any) -> Any:
    """A number of any kind from text, and from a narrower kind of number; no booleans."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value if isinstance(value, kind) and not isinstance(value, bool) else NotImplemented
    if isinstance(value, float) and kind is not complex:
        return kind(repr(value)) if kind.__qualname__ in ("Decimal", "Fraction") else _narrow(value, kind)
    return kind(value.strip() if isinstance(value, str) else value)


def _narrow(value: float, kind: type) -> Any:
    return value if isinstance(value, kind) else NotImplemented


def _iso(value: Any, kind: Any) -> Any:
    return kind.fromisoformat(value) if isinstance(value, str) else NotImplemented


def _seconds(value: Any, kind: Any) -> Any:
    seconds = _number(value, float)
    return seconds if seconds is NotImplemented else kind(seconds=seconds)


def _from_text(value: Any, kind: Any) -> Any:
    return kind(value) if isinstance(value, str) and value else NotImplemented


def _path(value: Any, kind: Any) -> Any:
    return value if isinstance(value, Path) else _from_text(value, Path)


def _nothing(value: Any, kind: type) -> Any:
    return None if isinstance(value, str) and value.lower() in _NOTHING else NotImplemented


_SCALARS: Mapping[str, Callable[[Any, Any], Any]] = {
    "builtins.bool": lambda value, kind: _WORDS[value.lower()] if isinstance(value, str) else NotImplemented,
    "builtins.int": _number,
    "builtins.float": _number,
    "builtins.complex": _number,
    "builtins.str": lambda value, kind: value if isinstance(value, str) else NotImplemented,
    "builtins.NoneType": _nothing,
    "decimal.Decimal": _number,
    "fractions.Fraction": _number,
    "datetime.date": _iso,
    "datetime.datetime": _iso,
    "datetime.time": _iso,
    "datetime.timedelta": _seconds,
    "uuid.UUID": _from_text,
    "pathlib.Path": _path,
    "pathlib._local.Path": _path,
    "headrace.core.secret.Secret": _from_text,
}
"""By a type's import path: what makes a value of it, or NotImplemented."""
