"""Plain values and records ⇄ one JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, GenericAlias
from typing import Any

from headrace.core.errors import FormatError, ValueCodecError
from headrace.core.fit import conforms
from headrace.core.forms import TAG
from headrace.core.names import name_of
from headrace.core.values import canonical, decode, encode
from headrace.formats.declared import describe, is_path, type_name
from headrace.formats.files import materialise, only_file, reading
from headrace.formats.json_types import classes_in, is_record_class, json_problem

FILE = "value.json"


class JsonFormat:
    """None, bool, int, float, str, bytes, times, Decimal, UUID, lists, tuples, dicts, sets, enums, dataclasses, named
    tuples, pydantic models and typed dicts ⇄ one JSON file, in the codec of `headrace.core.values`.

    1, 1.0 and True stay what they are; so do -0.0, NaN and the infinities. Dicts keep their order, which is part of
    the value; sets are sorted. NumPy's numbers become Python's. A class is stored by name and made again only when
    the annotation (or a field of an annotated class) names it. A pydantic model's private attributes aren't kept.
    """

    name = "json"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether the annotation and all that it names are JSON values."""
        return json_problem(declared) is None

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the value. Raises FormatError when it isn't what was declared, or holds something that isn't JSON."""
        for name, data in self.pack(value, declared).items():
            (folder / name).write_bytes(data)

    def pack(self, value: object, declared: object) -> Mapping[str, bytes]:
        """What `save` writes, as bytes by file name: a small value needs no folder. Raises like `save`."""
        plain = _plain_number(value)
        try:
            tree = encode(plain, _hook_for(declared))
        except ValueCodecError as error:
            raise FormatError(error.message, hint=error.hint) from error
        if not conforms(plain, declared):
            raise FormatError(
                f"A value of type {describe(declared)!r} is declared, but got {_short(value)} ({type(value).__name__})",
                hint="return what the step declares, or declare what it returns",
            )
        return {FILE: canonical(tree).encode("ascii") + b"\n"}

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the value; classes come from the annotation only."""
        path = only_file(files, FILE, self.name)
        if is_path(declared):
            return materialise(files)
        with reading(f"The JSON value {FILE!r}", AttributeError, RecursionError):
            text = path.read_text(encoding="ascii")
            if not text.endswith("\n"):
                raise ValueError("it is cut short")
            tree = json.loads(text)
        return self.value_of(tree, declared)

    def value_of(self, tree: Any, declared: object) -> object:
        """Make a value of a stored tree, or of a part of one; classes come from the annotation only."""
        with reading(f"The JSON value {FILE!r}", AttributeError, ValueCodecError, ArithmeticError):
            value = decode(tree, _make_model(declared), _finder(declared))
        if not conforms(value, declared):
            raise FormatError(
                f"The stored value {_short(value)} ({type(value).__name__}) isn't the declared {describe(declared)!r}",
                hint="declare what the step that made it returns",
            )
        return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain_number(value: Any) -> Any:
    """Turn a NumPy number into Python's."""
    is_number = (
        type(value).__module__ == "numpy"
        and getattr(getattr(value, "dtype", None), "kind", "") in "biuf"
        and not hasattr(value, "__setitem__")
    )
    return value.item() if is_number else value


def _hook_for(declared: object) -> Callable[[object], Any]:
    def hook(value: object) -> Any:
        plain = _plain_number(value)
        if type(plain) is not type(value):
            return encode(plain)
        cls = type(value)
        if is_record_class(cls):
            if cls not in classes_in(declared):
                raise _undeclared(cls, declared)
            return _encode_model(value, hook) if hasattr(cls, "__pydantic_fields__") else None
        if (
            isinstance(value, FunctionType | BuiltinFunctionType | type | GenericAlias)
            or hasattr(value, "get_params")
            or cls.__module__ == "numpy"
        ):
            raise FormatError(
                f"{_short(value)} ({cls.__module__}.{cls.__qualname__}) is no JSON value",
                hint="return it as an output of its own, in a NamedTuple, so that its own format stores it",
            )
        return None

    return hook


def _undeclared(cls: type, declared: object) -> FormatError:
    what = "enum" if issubclass(cls, Enum) else "class"
    return FormatError(
        f"A value declared {describe(declared)!r} holds a {type_name(cls)}, a {what} that it doesn't name",
        hint=f"name it in the annotation, such as dict[str, {cls.__qualname__}]: only declared classes are loaded",
    )


def _encode_model(value: Any, hook: Callable[[object], Any]) -> Any:
    """Give a pydantic model's fields and extra fields as they are, not as it would print them."""
    cls = type(value)
    found = {name: getattr(value, name) for name in cls.__pydantic_fields__}
    extra = dict(value.__pydantic_extra__ or {})
    return {TAG: "model", "type": name_of(cls), "fields": encode(found, hook), "extra": encode(extra, hook)}


def _make_model(declared: object) -> Callable[[dict[str, Any]], object]:
    find = _finder(declared)

    def make(tree: dict[str, Any]) -> object:
        if tree.get(TAG) != "model":
            raise ValueCodecError(
                f"A value of the kind {tree.get(TAG)!r} is not known", hint="was it made by a newer Headrace?"
            )
        cls: Any = find(tree["type"])
        fields, extra = decode(tree["fields"], make, find), decode(tree["extra"], make, find)
        return cls.model_construct(**fields, **extra)

    return make


def _finder(declared: object) -> Callable[[str], object]:
    def find(name: str) -> object:
        allowed = {name_of(cls): cls for cls in classes_in(declared)}
        if name not in allowed:
            raise FormatError(
                f"The stored value holds a {name!r}, which the declared {describe(declared)!r} doesn't name",
                hint="only classes that the annotation names are loaded: declare what the step that made it returns",
            )
        return allowed[name]

    return find
