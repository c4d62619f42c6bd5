"""Objects taken apart into named values, and made again from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from inspect import CO_VARARGS, CO_VARKEYWORDS
from typing import Any

from headrace.core.errors import ValueCodecError
from headrace.core.names import name_of

KINDS = ("namedtuple", "dataclass", "pydantic", "estimator")
"""How an object is made again."""


def take_apart(value: Any) -> tuple[str, Mapping[str, object]] | None:
    """How an object is made again, and from what; None when there is no agreed way.

    Raises `ValueCodecError` for an object that holds more than would be kept: a fitted estimator, attributes beside a
    dataclass's fields, a field that is not set.
    """
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return "namedtuple", dict(zip(kind._fields, value, strict=True))
    if is_dataclass(value):
        return "dataclass", _dataclass_fields(value)
    if hasattr(kind, "__pydantic_fields__"):
        return "pydantic", _model_fields(value)
    if callable(getattr(value, "get_params", None)) and callable(getattr(value, "set_params", None)):
        parameters = value.get_params(deep=False)
        _refuse_fitted(value, parameters)
        return "estimator", parameters
    return None


def make_again(how: str, kind: Any, found: Mapping[str, Any]) -> Any:
    """Make the object that `take_apart` took apart. Raises `ValueCodecError` when the class is no such class."""
    test, make = _MAKERS[how]
    if not (isinstance(kind, type) and test(kind)):
        raise ValueCodecError(f"{kind!r} is no {how} class", hint="has the class changed since the plan was made?")
    return make(kind, found)


def _dataclass_fields(value: Any) -> dict[str, object]:
    kind = type(value)
    names = [item.name for item in fields(value)]
    if unset := [name for name in names if not hasattr(value, name)]:
        raise ValueCodecError(f"Field {unset[0]!r} of a {_title(kind)} is not set", hint="give it a value")
    beside = sorted(set(getattr(value, "__dict__", ())) - set(names))
    if beside and not _takes_fields(kind):
        raise ValueCodecError(
            f"A {_title(kind)} holds {beside[0]!r}, which is not one of its fields, so it would be lost",
            hint="make it a field, or let the class's own @dataclass write the constructor",
        )
    return {name: getattr(value, name) for name in names}


def _make_dataclass(kind: Any, found: Mapping[str, Any]) -> Any:
    """Through the constructor, so that ``__post_init__`` sets what is no field; then each field as it was."""
    if _takes_fields(kind):
        value = kind(**{item.name: found[item.name] for item in fields(kind) if item.init})
    else:
        value = object.__new__(kind)
    for name, item in found.items():
        object.__setattr__(value, name, item)
    return value


def _takes_fields(kind: Any) -> bool:
    """Whether the constructor takes the fields and nothing else: no ``InitVar``, none written by hand."""
    code = getattr(kind.__init__, "__code__", None)
    if code is None:
        return False
    n_taken = code.co_argcount + code.co_kwonlyargcount
    has_stars = bool(code.co_flags & (CO_VARARGS | CO_VARKEYWORDS))
    return not has_stars and set(code.co_varnames[1:n_taken]) == {item.name for item in fields(kind) if item.init}


def _model_fields(value: Any) -> dict[str, object]:
    """A pydantic model's fields and extra fields, as they are. Its private attributes are not kept."""
    found = {name: getattr(value, name) for name in type(value).__pydantic_fields__}
    return {**found, **(getattr(value, "__pydantic_extra__", None) or {})}


def _make_model(kind: Any, found: Mapping[str, Any]) -> Any:
    """Without validating again, and by the fields' own names, which ``model_construct`` takes for aliases."""
    model = kind.model_construct(**found)
    for name in kind.__pydantic_fields__:
        if name in found:
            model.__dict__[name] = found[name]
    return model


def _refuse_fitted(value: Any, parameters: Mapping[str, object]) -> None:
    held = [name for name in getattr(value, "__dict__", ()) if name.endswith("_") and not name.startswith("_")]
    is_fitted = getattr(value, "__sklearn_is_fitted__", lambda: True)
    if set(held) - set(parameters) and is_fitted():  # one that learns nothing says that it is fitted, always
        raise ValueCodecError(
            f"A {_title(type(value))} that is fitted cannot be a value in a plan, which keeps its parameters alone",
            hint="return it from a step and pass that output, or pass sklearn.base.clone(...) of it",
        )


def _title(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


_MAKERS: Mapping[str, Any] = {
    "namedtuple": (
        lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"),
        lambda kind, found: kind._make([found[name] for name in kind._fields]),
    ),
    "dataclass": (is_dataclass, _make_dataclass),
    "pydantic": (lambda kind: hasattr(kind, "__pydantic_fields__"), _make_model),
    "estimator": (lambda kind: hasattr(kind, "get_params"), lambda kind, found: kind(**found)),
}


def enum_tree(value: Enum) -> dict[str, Any]:
    """The fields of the tree of an enum's member: its name; for flags, which combine, also the number."""
    kind = type(value)
    if isinstance(value, Flag):
        return {"type": name_of(kind), "name": value.name or "0", "value": value.value}
    if kind.__members__.get(value.name) is not value:
        raise ValueCodecError(f"{value!r} is no named member of {_title(kind)}", hint="pass one of its members")
    return {"type": name_of(kind), "name": value.name}


def make_member(kind: Any, tree: Mapping[str, Any]) -> object:
    """The member of an enum. Raises `ValueCodecError` when the class has none of that name or number."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise ValueCodecError(f"{kind!r} is no enum", hint="has the class changed since the plan was made?")
    if issubclass(kind, Flag):
        return kind(tree["value"])
    if tree["name"] not in kind.__members__:
        raise ValueCodecError(
            f"{_title(kind)} has no member {tree['name']!r}", hint=f"it has {', '.join(map(repr, kind.__members__))}"
        )
    return kind.__members__[tree["name"]]
