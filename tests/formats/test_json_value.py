from __future__ import annotations

import math
import tempfile
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict
from zoneinfo import ZoneInfo

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import FormatError
from headrace.formats.json_value import JsonFormat
from headrace.testing.formats import FormatContract, format_error, stored


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@dataclass
class Shape:
    name: str
    points: list[Point]
    tags: set[str] = field(default_factory=set)
    colour: Colour = Colour.RED


class Score(NamedTuple):
    name: str
    value: float


class Options(TypedDict):
    depth: int
    colour: Colour


class Inner(pydantic.BaseModel):
    when: datetime
    tags: set[str] = set()


class Config(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str = pydantic.Field(alias="theName")
    inner: Inner
    colour: Colour = Colour.RED
    point: Point | None = None


WORDS = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"}


class TestJsonContract(FormatContract):
    format = JsonFormat()
    wrong = ("x", int, "A value of type 'int' is declared, but got 'x' (str)")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [
            (None, None),
            (1, int),
            (True, bool),
            (1.0, float),
            (-0.0, float),
            (math.inf, float),
            ("né\ud800\n", str),
            (2**80, int),
            ([1, "a", None, [2.5]], list),
            ({"b": 1, "a": {"$": 2, "c": [()]}}, dict[str, Any]),
            ({1: "a", (2, 3): "b"}, dict[int | tuple[int, int], str]),
            (set(WORDS), set[str]),
            (frozenset(WORDS), frozenset[str]),
            ((1, "a", WORDS), tuple[int, str, set[str]]),
            (b"\x00\xff", bytes),
            (datetime(2026, 1, 2, 3, 4, 5, 6), datetime),
            (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1), datetime),
            (datetime(2026, 1, 2, tzinfo=UTC), datetime),
            (time(1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))), time),
            ([date(2026, 1, 2), timedelta(days=-1, microseconds=3)], list[date | timedelta]),
            ([Decimal("1.50"), uuid.UUID(int=7)], list[Decimal | uuid.UUID]),
            (Colour.BLUE, Colour),
            ([Level.LOW], list[Level]),
            (Shape("s", [Point(1.0, -0.0)], set(WORDS), Colour.BLUE), Shape),
            ({"a": Point(1, 2)}, dict[str, Point]),
            (Score("auc", 0.5), Score),
            ({"depth": 3, "colour": Colour.RED}, Options),
            (Config(theName="n", inner=Inner(when=datetime(2026, 1, 1), tags=set(WORDS)), more={"a": 1}), Config),
            ([Config(theName="n", inner=Inner(when=datetime(2026, 1, 1)), point=Point(1, 2))], list[Config]),
            ("a", Literal["a", "b"]),
            (None, Point | None),
        ]


def round_trip(value: object, declared: object) -> object:
    with stored(JsonFormat(), value, declared) as files:
        return JsonFormat().load(files, declared)


def text_of(value: object, declared: object) -> str:
    with stored(JsonFormat(), value, declared) as files:
        return files["value.json"].read_text()


def refused(value: object, declared: object) -> FormatError:
    with tempfile.TemporaryDirectory() as folder:
        return format_error(lambda: JsonFormat().save(value, Path(folder), declared))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_loaded_is_what_was_saved_to_the_type(value: object) -> None:
    assert repr(round_trip(value, Any)) == repr(value)


@given(PLAIN, PLAIN)
def test_two_values_have_one_text_only_if_they_are_one(one: object, other: object) -> None:
    assert (text_of(one, Any) == text_of(other, Any)) == (repr(one) == repr(other))


def test_nan_is_kept_and_every_nan_has_one_text() -> None:
    assert math.isnan(round_trip(math.nan, float))  # type: ignore[arg-type]
    assert text_of(-math.nan, float) == text_of(math.nan, float)


def test_a_dict_keeps_its_order() -> None:
    assert list(round_trip({"b": 1, "a": 2}, dict)) == ["b", "a"]  # type: ignore[call-overload]


def test_numpy_numbers_become_pythons() -> None:
    value = {"auc": np.float64(0.5), "n": np.int64(3), "ok": np.bool_(True)}
    loaded = round_trip(value, dict[str, Any])
    assert loaded == {"auc": 0.5, "n": 3, "ok": True}
    assert [type(item) for item in loaded.values()] == [float, int, bool]  # type: ignore[attr-defined]
    assert round_trip(np.float64(0.25), float) == 0.25


def test_an_undeclared_class_is_refused_when_saved() -> None:
    error = refused({"a": Point(1, 2)}, dict)
    assert error.message == f"A value declared 'dict' holds a {__name__}.Point, a class that it doesn't name"
    assert error.hint == "name it in the annotation, such as dict[str, Point]: only declared classes are loaded"
    assert "an enum" in refused([Colour.RED], list).message.replace("a enum", "an enum")


def test_an_undeclared_class_is_refused_when_loaded() -> None:
    with stored(JsonFormat(), Point(1, 2), Point) as files:
        error = format_error(lambda: JsonFormat().load(files, Score))
    assert f"holds a '{__name__}:Point', which the declared '{__name__}.Score' doesn't name" in error.message


def test_a_stored_value_of_another_type_is_refused_when_loaded() -> None:
    with stored(JsonFormat(), "a", str) as files:
        error = format_error(lambda: JsonFormat().load(files, int))
    assert error.message == "The stored value 'a' (str) isn't the declared 'int'"


@pytest.mark.parametrize(
    ("value", "declared", "text"),
    [
        ([1, "a"], list[int], "A value of type 'list[int]' is declared, but got [1, 'a'] (list)"),
        ({"f": math.sqrt}, dict, "<built-in function sqrt> (builtins.builtin_function_or_method) is no JSON value"),
        ([np.arange(2)], list, "array([0, 1]) (numpy.ndarray) is no JSON value"),
        ([object], list, "<class 'object'> (builtins.type) is no JSON value"),
    ],
)
def test_what_is_refused(value: object, declared: object, text: str) -> None:
    error = refused(value, declared)
    assert error.message == text
    assert error.hint


def test_a_value_that_refers_to_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    assert "refers to itself" in refused(value, list).message


def test_a_subclass_of_a_container_is_refused() -> None:
    assert "OrderedDict" in refused(OrderedDict(a=1), dict).message


@pytest.mark.parametrize("declared", [object(), list[Path], dict[str, np.ndarray], "Point", lambda: 0])
def test_what_is_no_json_value(declared: object) -> None:
    assert not JsonFormat().handles(declared)
