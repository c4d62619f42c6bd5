"""Handles: what stands for the outputs of steps while a pipeline is traced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from headrace.core.errors import DefinitionError, near_miss
from headrace.core.fit import fits, show_type
from headrace.core.forms import TAG
from headrace.core.names import name_of
from headrace.core.places import caller_place
from headrace.core.plan import Ref
from headrace.core.values import Json


class Owner(Protocol):
    """The tracer that a handle belongs to."""

    root: Path


class Handle:
    """Stands for what a step will make. It has no value yet, so nothing can be asked of it."""

    __slots__ = ("_owner",)
    __headrace_handle__ = True
    __array_ufunc__ = None  # NumPy's operators leave it to the handle to refuse

    _owner: Owner

    def __copy__(self) -> Handle:
        return self

    def __deepcopy__(self, memo: object) -> Handle:
        return self

    __hash__ = object.__hash__


LIST_FORMAT = "list"
"""The format of a list whose items are artifacts of their own."""

_DO_IT_IN_A_STEP = "do it in a step that takes this output"
_CONDITION = "for a condition let a step return a bool, and write step.options(when=that)(…)"
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "__bool__": ("cannot stand in an `if`, `while`, `and`, `or` or `not`", _CONDITION),
    **dict.fromkeys(("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"), ("cannot be compared", _CONDITION)),
    **dict.fromkeys(
        ("__iter__", "__next__", "__reversed__", "__aiter__"),
        (
            "cannot be looped over or unpacked",
            "return a NamedTuple from the step to get separate outputs, loop in a step that takes this output, "
            "or call a step for each of its items: step.map(this)",
        ),
    ),
    "__len__": ("has no length", _DO_IT_IN_A_STEP),
    "__contains__": ("cannot be searched with `in`", _DO_IT_IN_A_STEP),
    **dict.fromkeys(("__getitem__", "__setitem__", "__delitem__"), ("cannot be indexed", _DO_IT_IN_A_STEP)),
    "__call__": ("cannot be called", _DO_IT_IN_A_STEP),
    **dict.fromkeys(("__str__", "__format__"), ("cannot be put into a text", _DO_IT_IN_A_STEP)),
    "__fspath__": (
        "cannot be used as a path",
        "a step that declares a Path takes it as one: do in that step what is to be done with it",
    ),
    **dict.fromkeys(
        ("__int__", "__float__", "__complex__", "__index__", "__round__", "__trunc__", "__floor__", "__ceil__"),
        ("cannot become a number", _DO_IT_IN_A_STEP),
    ),
    **dict.fromkeys(("__enter__", "__exit__", "__aenter__"), ("cannot stand in a `with`", _DO_IT_IN_A_STEP)),
    "__await__": ("cannot be awaited", "call an async step like any other: a worker runs it to its end"),
    "__array__": ("cannot become an array", _DO_IT_IN_A_STEP),
    "__reduce_ex__": ("cannot be pickled", "pass it to a step as an argument"),
    **dict.fromkeys(
        (
            f"__{side}{name}__"
            for side in ("", "r", "i")
            for name in (
                *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
                *("lshift", "rshift", "and", "or", "xor"),
            )
        ),
        ("cannot be calculated with", _DO_IT_IN_A_STEP),
    ),
    **dict.fromkeys(("__neg__", "__pos__", "__abs__", "__invert__"), ("cannot be calculated with", _DO_IT_IN_A_STEP)),
}
"""By special method: what cannot be done, and what to do instead."""


def _refusing(what: str, hint: str) -> Any:
    def refuse(self: Handle, *_: object, **__: object) -> NoReturn:
        raise DefinitionError(
            f"{self!r} has no value while the pipeline is traced, so it {what}",
            where=caller_place(self._owner.root),
            hint=hint,
        )

    return refuse


for _name, _refusal in _REFUSALS.items():
    setattr(Handle, _name, _refusing(*_refusal))


class Output(Handle):
    """One output of a node."""

    __slots__ = ("_declared", "_format", "_ref")

    def __init__(self, owner: Owner, ref: Ref, declared: object, format_name: str) -> None:
        self._owner = owner
        self._ref = ref
        self._declared = declared
        self._format = format_name

    def __repr__(self) -> str:
        return f"output {str(self._ref)!r}"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise DefinitionError(
            f"{self!r} has no output {name!r}: it is one {show_type(self._declared)}",
            where=caller_place(self._owner.root),
            hint="return a NamedTuple from the step to get separate outputs, or take the part out in a step",
        )


class Listed(Output):
    """An output of a node that maps a step over a list: a list of what the step gives for each item."""

    __slots__ = ("_item",)

    def __init__(self, item: Output) -> None:
        super().__init__(item._owner, item._ref, list[item._declared], LIST_FORMAT)  # type: ignore[name-defined]
        self._item = item


class Outputs(Handle):
    """The outputs of a node whose step returns several: by name, by position, or unpacked."""

    __slots__ = ("_is_mapped", "_kind", "_node", "_parts")

    def __init__(
        self, owner: Owner, node: str, parts: Mapping[str, Output], kind: type | None, *, is_mapped: bool = False
    ) -> None:
        self._owner = owner
        self._is_mapped = is_mapped
        self._node = node
        self._parts = parts
        self._kind = kind

    def __repr__(self) -> str:
        return f"outputs of {self._node!r}"

    def __iter__(self) -> Iterator[Output]:
        return iter(self._parts.values())

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> Output:
        parts = list(self._parts.values())
        if not isinstance(index, int) or not -len(parts) <= index < len(parts):
            raise self._has_no(index)
        return parts[index]

    def __getattr__(self, name: str) -> Output:
        if name.startswith(("__", "_repr_", "_ipython_")):  # what copy, IPython and other tools look for
            raise AttributeError(name)
        if name not in self._parts:
            raise self._has_no(name)
        return self._parts[name]

    def _has_no(self, name: object) -> DefinitionError:
        return DefinitionError(
            f"Node {self._node!r} has no output {name!r}",
            where=caller_place(self._owner.root),
            hint=near_miss(str(name), self._parts),
        )

    @property
    def _declared(self) -> object:
        """The type of all of them together; of a map, of the rows that they are."""
        if self._is_mapped:
            return list[self._kind or tuple]  # type: ignore[misc]
        return self._kind or tuple[tuple(part._declared for part in self._parts.values())]  # type: ignore[misc]

    def _tree(self) -> Json:
        trees = {name: part._ref.to_json() for name, part in self._parts.items()}
        if self._kind is None:
            return {TAG: "tuple", "items": list(trees.values())}
        if self._is_mapped:
            return {TAG: "rows", "type": name_of(self._kind), "fields": trees}
        how = "dataclass" if is_dataclass(self._kind) else "namedtuple"
        return {TAG: how, "type": name_of(self._kind), "fields": trees}

    def _bools(self) -> list[str]:
        return [name for name, part in self._parts.items() if fits(part._declared, bool)]


class Nothing(Handle):
    """What a node gives whose step returns nothing: good for ``after=`` alone."""

    __slots__ = ("_node",)

    def __init__(self, owner: Owner, node: str) -> None:
        self._owner = owner
        self._node = node

    def __repr__(self) -> str:
        return f"node {self._node!r}, which has no output"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise DefinitionError(
            f"Node {self._node!r} has no output {name!r}, since its step returns None",
            where=caller_place(self._owner.root),
            hint="annotate and return what the step makes",
        )
