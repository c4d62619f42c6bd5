from __future__ import annotations

import collections
import collections.abc as abc
import subprocess
import sys
import typing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Never, NewType, Protocol, TypedDict, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.fit import MISSING, class_of, conforms, fits, members, plain_type, show_type

T = TypeVar("T")
Number = TypeVar("Number", int, float)
Short = TypeVar("Short", bound=abc.Sized)
UserId = NewType("UserId", int)


class Base:
    pass


class Derived(Base):
    pass


class Colour(Enum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: str


class Row(TypedDict):
    name: str
    age: typing.NotRequired[int]


class Walks(Protocol):
    def walk(self) -> None: ...


@typing.runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


class Box(Generic[T]):
    pass


class Names(list[str]):
    pass


class Tagged(list[str], Generic[T]):
    """Its argument is not that of its base."""


@dataclass
class Record:
    n: int


FITS: list[tuple[object, object]] = [
    # nothing, anything
    (int, MISSING),
    (MISSING, int),
    (int, Any),
    (Any, int),
    (int, object),
    (Never, int),
    (typing.NoReturn, int),
    (None, None),
    (None, type(None)),
    # classes, the numeric tower
    (Derived, Base),
    (bool, int),
    (bool, float),
    (int, float),
    (int, complex),
    (float, complex),
    (int, Real),
    (Fraction, Real),
    (datetime, date),
    (int, abc.Hashable),
    (Pair, tuple),
    (Pair, tuple[int, str]),
    (np.float64, float),
    # unions
    (int, int | None),
    (None, int | None),
    (int | None, int | None),
    (bool | None, int | None),
    (int | str, str | int | None),
    (typing.Optional[int], int | None),  # noqa: UP045
    (int | None, Any),
    (int, float | str),
    # literals
    (Literal["a"], Literal["a", "b"]),
    (Literal["a", "b"], str),
    (Literal[1], float),
    (Literal[1, None], int | None),
    (Literal[Colour.RED], Colour),
    # generics
    (list[int], list),
    (list, list[int]),
    (list[int], list[int]),
    (list[bool], list[int]),
    (list[int], list[Any]),
    (list[Any], list[int]),
    (list[int], abc.Sequence[int]),
    (list[int], abc.Iterable[float]),
    (list[int], abc.Collection),
    (typing.List[int], list[int]),  # noqa: UP006
    (list[int], typing.Sequence[int]),
    (dict[str, int], dict[str, float]),
    (dict[str, int], abc.Mapping[str, int]),
    (dict[str, int], abc.Iterable[str]),
    (collections.OrderedDict[str, int], dict[str, int]),
    (collections.Counter[str], abc.Mapping[str, int]),
    (str, abc.Sequence[str]),
    (bytes, abc.Sequence[int]),
    (range, abc.Sequence[int]),
    (frozenset[int], abc.Set[int]),
    (list[list[bool]], list[abc.Sequence[int]]),
    (Names, list[str]),
    (Tagged[int], list[str]),
    (Box[int], Box),
    (Box, Box[int]),
    (Box[bool], Box[int]),
    (type[Derived], type[Base]),
    (abc.Callable[[int], str], abc.Callable[[int], str]),
    (abc.Callable[[int], bool], abc.Callable[..., int]),
    # tuples
    (tuple[int, str], tuple),
    (tuple, tuple[int, str]),
    (tuple[int, bool], tuple[float, int]),
    (tuple[int, ...], tuple[float, ...]),
    (tuple[int, bool], tuple[int, ...]),
    (tuple[()], tuple[int, ...]),
    (tuple[()], tuple[()]),
    (tuple[int, bool], abc.Sequence[int]),
    (tuple[int, ...], abc.Sequence[int]),
    # wrappers
    (Annotated[int, "x"], int),
    (int, Annotated[float, "x"]),
    (list[Annotated[int, "x"]], list[int]),
    (UserId, int),
    (int, UserId),
    (int, T),
    (T, int),
    (int, Number),
    (list[int], Short),
    (typing.Final[int], int),
    # what annotations alone cannot tell
    (Base, Walks),
    (Row, dict),
    (Row, abc.Mapping[str, object]),
    (dict[str, Any], Row),
]

MISFITS: list[tuple[object, object]] = [
    (int, str),
    (Base, Derived),
    (object, int),
    (float, int),
    (complex, float),
    (int, bool),
    (int, Decimal),
    (date, datetime),
    (bytearray, bytes),
    (None, int),
    (int, None),
    (int | None, int),
    (int | str, int),
    (str, int | None),
    (Literal["a", "c"], Literal["a", "b"]),
    (Literal[1], Literal[True]),
    (Literal["a"], int),
    (str, Literal["a"]),
    (list[str], list[int]),
    (list[int], list[bool]),
    (list[int], tuple[int, ...]),
    (abc.Sequence[int], list[int]),
    (abc.Iterable[int], abc.Sequence[int]),
    (list[int | None], list[int]),
    (dict[str, str], dict[str, int]),
    (dict[int, int], abc.Mapping[str, int]),
    (str, abc.Sequence[int]),
    (bytes, abc.Sequence[str]),
    (list[str], abc.Sequence[int]),
    (set[int], list[int]),
    (Box[str], Box[int]),
    (type[Base], type[Derived]),
    (abc.Callable[[int], str], abc.Callable[[int], int]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int, str], tuple[int]),
    (tuple[int, str], tuple[int, ...]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int], tuple[()]),
    (tuple[int, str], abc.Sequence[int]),
    (str, Number),
    (int, Short),
    (str, UserId),
    (Base, Closes),
    (int, Row),
    (Row, int),
    (Row, list[str]),
    (Path, str),
]


@pytest.mark.parametrize(("made", "taken"), FITS, ids=lambda declared: show_type(declared))
def test_what_fits(made: object, taken: object) -> None:
    assert fits(made, taken)


@pytest.mark.parametrize(("made", "taken"), MISFITS, ids=lambda declared: show_type(declared))
def test_what_does_not_fit(made: object, taken: object) -> None:
    assert not fits(made, taken)


CONFORM: list[tuple[object, object]] = [
    (1, int),
    (True, int),
    (1, float),
    (True, float),
    (1.0, complex),
    (1, MISSING),
    (None, None),
    (None, int | None),
    ("a", Literal["a", "b"]),
    (1, Literal[1]),
    (Colour.RED, Colour),
    (Colour.RED, Literal[Colour.RED]),
    ([1, 2], list[int]),
    ([], list[int]),
    ([1, "a"], list[int | str]),
    ([1, 2.0], abc.Sequence[float]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ((), tuple[()]),
    ((), tuple[int, ...]),
    (Pair(1, "a"), tuple[int, str]),
    (Pair(1, "a"), Pair),
    ({"a": 1}, dict[str, int]),
    ({"a": 1}, abc.Mapping[str, float]),
    ({"a": 1}, abc.Iterable[str]),
    ({"a": [None]}, dict[str, list[int | None]]),
    ({1, 2}, set[int]),
    ("ab", abc.Sequence[str]),
    (b"ab", abc.Sequence[int]),
    (range(3), abc.Sequence[int]),
    ({"name": "a"}, Row),
    ({"name": "a", "age": 3}, Row),
    (int, type[int]),
    (bool, type[int]),
    (len, abc.Callable[[object], int]),
    (Path("a"), Path),
    (Record(1), Record),
    (1, UserId),
    (1, Annotated[int, "x"]),
    (1, Number),
    ([1], Short),
    (1, Walks),
    (open, typing.Callable),
    (Derived(), Base),
    (np.float64(1), float),
]

DO_NOT_CONFORM: list[tuple[object, object]] = [
    ("1", int),
    (1.0, int),
    (1, bool),
    (1, str),
    (None, int),
    (1, None),
    ("c", Literal["a", "b"]),
    (True, Literal[1]),
    (1.0, Literal[1]),
    ([1, "a"], list[int]),
    ((1, 2), list[int]),
    ([1], tuple[int]),
    ((1,), tuple[int, str]),
    ((1, "a", 2), tuple[int, str]),
    ((1, "a"), tuple[int, ...]),
    ((1,), tuple[()]),
    ({"a": "b"}, dict[str, int]),
    ({1: 1}, dict[str, int]),
    ({1: 1}, abc.Iterable[str]),
    ({1, "a"}, set[int]),
    ("ab", abc.Sequence[int]),
    (b"ab", abc.Sequence[str]),
    ({}, Row),
    ({"name": 1}, Row),
    ({"name": "a", "more": 1}, Row),
    ([("name", "a")], Row),
    (str, type[int]),
    (1, type[int]),
    (1, abc.Callable[[object], int]),
    (Base(), Derived),
    (Base(), Closes),
    ("a", Number),
    (1, Short),
    (np.int64(1), int),
    (Path("a"), str),
]


def shown(item: object) -> str:
    """A case's name: without an address, since each of xdist's workers must find the same names."""
    text = str(item)
    return type(item).__name__ if " at 0x" in text else text[:40]


@pytest.mark.parametrize(("value", "declared"), CONFORM, ids=shown)
def test_what_conforms(value: object, declared: object) -> None:
    assert conforms(value, declared)


@pytest.mark.parametrize(("value", "declared"), DO_NOT_CONFORM, ids=shown)
def test_what_does_not_conform(value: object, declared: object) -> None:
    assert not conforms(value, declared)


def test_a_judge_is_asked_about_each_item_first() -> None:
    asked: list[tuple[object, object]] = []

    def judge(value: object, declared: object) -> bool | None:
        asked.append((value, declared))
        return {"yes": True, "no": False}.get(value) if isinstance(value, str) else None

    assert conforms([1, "yes"], list[int], judge)
    assert not conforms([1, "no"], list[int], judge)
    assert conforms({"k": ("yes", 2)}, dict[str, tuple[int, int]], judge)
    assert conforms("yes", Annotated[int, "kept"], judge)
    assert asked[-1] == ("yes", Annotated[int, "kept"])


def test_a_fit_is_reflexive() -> None:
    for made, taken in FITS + MISFITS:
        assert fits(made, made)
        assert fits(taken, taken)


TYPES = st.recursive(
    st.sampled_from([int, bool, float, str, bytes, None, Base, Derived, Any]),
    lambda inner: (
        inner.map(lambda item: list[item])  # type: ignore[valid-type]
        | st.tuples(inner, inner).map(lambda pair: tuple[pair])  # type: ignore[valid-type]
        | st.tuples(inner, inner).map(lambda pair: typing.Union[pair])  # noqa: UP007
    ),
    max_leaves=5,
)


@given(TYPES, TYPES)
def test_a_union_takes_what_its_members_take(one: Any, other: Any) -> None:
    assert fits(one, typing.Union[one, other])  # noqa: UP007
    assert fits(typing.Union[one, other], one) >= (one == other)  # noqa: UP007


@given(TYPES, st.sampled_from([1, True, 1.5, "a", None, [1], ["a"], (1, "a"), [[True]]]))
def test_a_value_conforms_to_whatever_its_type_fits_into(declared: Any, value: object) -> None:
    """What fits as a declaration, conforms as a value."""
    if fits(type(value), declared) and not isinstance(value, list | tuple):
        assert conforms(value, declared)


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (MISSING, "anything"),
        (None, "None"),
        (type(None), "None"),
        (int, "int"),
        (Path, "pathlib.Path"),
        (Any, "Any"),
        (int | None, "int | None"),
        (typing.Optional[int], "int | None"),  # noqa: UP045
        (list[int], "list[int]"),
        (typing.List[int], "list[int]"),  # noqa: UP006
        (typing.List, "list"),  # noqa: UP006
        (dict[str, list[Path]], "dict[str, list[pathlib.Path]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple"),
        (Literal["a", 1, Colour.RED], "Literal['a', 1, Colour.RED]"),
        (abc.Callable[[int], str], "collections.abc.Callable[[int], str]"),
        (Annotated[int, object()], "int"),
        (list[Annotated[int, object()]], "list[int]"),
        (UserId, "UserId"),
        (T, "T"),
    ],
)
def test_a_type_is_shown_as_its_user_wrote_it(declared: object, text: str) -> None:
    assert show_type(declared) == text


def test_members_are_plain_and_flat() -> None:
    assert members(Annotated[int | Annotated[str | None, "x"], "y"]) == (int, str, type(None))
    assert members(int) == (int,)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements came with 3.12")
def test_a_named_alias_is_what_it_stands_for() -> None:
    code = (
        "from headrace.core.fit import conforms, fits, plain_type\n"
        "type Names = list[str]\n"
        "assert fits(Names, list[str]) and fits(list[str], Names) and not fits(list[int], Names)\n"
        "assert conforms(['a'], Names) and plain_type(Names) == list[str]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_class_behind_an_annotation() -> None:
    assert class_of(list[int]) is list
    assert class_of(Row) is dict
    assert class_of(plain_type(None)) is type(None)
    assert class_of(Any) is None
