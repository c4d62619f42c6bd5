from __future__ import annotations

import collections
import collections.abc
import contextlib
import functools
import io
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.utils import all_estimators

from headrace.core.errors import ValueCodecError
from headrace.core.values import DEEPEST, canonical, decode, encode


def through_json(value: object) -> Any:
    return decode(json.loads(canonical(encode(value))))


@dataclass
class Plain:
    a: int
    b: Any = None


@dataclass(init=False)
class ByHand:
    n: int

    def __init__(self, text: str) -> None:
        self.n = int(text)


class Extended(ByHand):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.more = 1


@dataclass
class Unset:
    n: int = field(init=False)


class Loose(Enum):
    """Makes members that have no name in the class."""

    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        made = object.__new__(cls)
        made._name_, made._value_ = "ONE", value
        return made


class Int(int):
    pass


class Text(str):
    pass


class Sized:
    def measure(self) -> int:
        return 1


def cyclic_list() -> object:
    value: list[object] = []
    value.append([value])
    return value


def cyclic_dataclass() -> object:
    value = Plain(1)
    value.b = {"self": value}
    return value


def nested(n: int) -> object:
    value: object = 1
    for _ in range(n):
        value = [value]
    return value


def local() -> object:
    @dataclass
    class Local:
        n: int = 1

    return Local()


FORM = "has no canonical form, so it cannot stand in a plan"

REFUSED: list[tuple[str, Callable[[], object], str, str]] = [
    ("lambda", lambda: lambda: 1, "A lambda cannot be a value in a plan (", "define a named function at the top"),
    ("nested lambda", lambda: {"f": [1, lambda: 1]}, "), at ['f'][1]", "define a named function at the top"),
    ("local class", local, "'local.<locals>.Local' is defined inside a function (", "move it to the top of the module"),
    (
        "lambda in a partial",
        lambda: functools.partial(lambda x: x, 1),
        "A lambda cannot be a value in a plan",
        "define a named function",
    ),
    ("url", lambda: "postgres://me:pw@host/db", "A URL with a password in it cannot be", "Secret('NAME')"),
    ("url with a slash in it", lambda: "redis://:p/w@host", "A URL with a password in it cannot be", "Secret('NAME')"),
    ("url as a key", lambda: {"amqp://me:pw@host": 1}, "A URL with a password", "Secret('NAME')"),
    ("url as a path", lambda: Path("s3://me:pw@host/a"), "A URL with a password", "Secret('NAME')"),
    ("url in a pattern", lambda: re.compile("http://me:pw@host"), "A URL with a password", "Secret('NAME')"),
    ("url of numpy", lambda: np.str_("http://me:pw@host"), "A URL with a password", "Secret('NAME')"),
    ("url in a field", lambda: Plain(1, ["http://me:pw@host"]), ", at .b[0]", "Secret('NAME')"),
    ("cycle", cyclic_list, "A list refers to itself, at [0][0]", "pass data that ends"),
    ("cycle of objects", cyclic_dataclass, "A Plain refers to itself, at .b['self']", "pass data that ends"),
    ("depth", lambda: nested(101), f"A list is nested more than {DEEPEST} deep", "pass flatter data"),
    ("depth without end", lambda: nested(100_000), f"A list is nested more than {DEEPEST} deep", "pass flatter data"),
    ("surrogates in pairs", lambda: "\ud83d\ude00", "A text of surrogates in pairs has no canonical form", "utf-16"),
    ("int subclass", lambda: Int(1), f"test_refused_values.Int {FORM}", "pass a plain int: int(…)"),
    ("str subclass", lambda: Text("a"), f"test_refused_values.Text {FORM}", "pass a plain str: str(…)"),
    ("bytearray", lambda: bytearray(b"a"), f"A value of type bytearray {FORM}", "pass a plain bytes: bytes(…)"),
    ("memoryview", lambda: memoryview(b"a"), f"A value of type memoryview {FORM}", "pass a plain bytes: bytes(…)"),
    (
        "OrderedDict",
        lambda: collections.OrderedDict(a=1),
        f"A value of type collections.OrderedDict {FORM}",
        "pass a plain dict",
    ),
    (
        "defaultdict",
        lambda: collections.defaultdict(list),
        f"A value of type collections.defaultdict {FORM}",
        "pass a plain dict",
    ),
    (
        "Counter",
        lambda: collections.Counter("aab"),
        f"A value of type collections.Counter {FORM}",
        "pass a plain dict: dict(…)",
    ),
    (
        "deque",
        lambda: collections.deque([1]),
        f"A value of type collections.deque {FORM}",
        "pass a plain list: list(…)",
    ),
    (
        "mappingproxy",
        lambda: MappingProxyType({}),
        f"A value of type mappingproxy {FORM}",
        "pass a plain dict: dict(…)",
    ),
    ("generator", lambda: (x for x in "ab"), f"A value of type generator {FORM}", "pass a plain list: list(…)"),
    ("views", lambda: {}.keys(), f"A value of type dict_keys {FORM}", "pass a plain list: list(…)"),
    (
        "namespace",
        lambda: SimpleNamespace(a=1),
        f"A value of type types.SimpleNamespace {FORM}",
        "make its class a dataclass",
    ),
    ("plain object", lambda: Sized(), f"test_refused_values.Sized {FORM}", "make its class a dataclass"),
    (
        "method",
        lambda: Sized().measure,
        f"A value of type method {FORM}",
        "pass the object and call its method in the step",
    ),
    ("module", lambda: json, f"A value of type module {FORM}", "make its class a dataclass"),
    ("ellipsis", lambda: ..., f"A value of type ellipsis {FORM}", "make its class a dataclass"),
    ("union type", lambda: int | None, f"A value of type types.UnionType {FORM}", "make its class a dataclass"),
    ("timestamp", lambda: pd.Timestamp("2026-01-01"), f"Timestamp {FORM}", "pass a datetime.datetime, date or time"),
    ("pure path", lambda: PurePosixPath("a"), f"PurePosixPath {FORM}", "pass a pathlib.Path"),
    ("windows path", lambda: PureWindowsPath("a"), f"PureWindowsPath {FORM}", "pass a pathlib.Path"),
    (
        "unknown zone",
        lambda: datetime(2026, 1, 1, tzinfo=ZoneInfo.from_file(open_zone())),
        "has no canonical form",
        "use datetime.timezone or zoneinfo.ZoneInfo",
    ),
    ("more than its fields", lambda: Extended("1"), "holds 'more', which is not one of its fields", "make it a field"),
    ("unnamed member", lambda: Loose(5), "is no named member of", "pass one of its members"),
    ("unset field", lambda: Unset(), "test_refused_values.Unset is not set", "give it a value"),
    ("long fraction", lambda: Fraction(10**5000, 3), "A Fraction cannot be written down: Exceeds the limit", ""),
    (
        "numpy in a slice",
        lambda: slice(object(), 1),
        f"A value of type object {FORM}, at .start",
        "make its class a dataclass",
    ),
    ("callable alias", lambda: collections.abc.Callable[[int], str], FORM, "make its class a dataclass"),
]


def open_zone() -> Any:
    header = b"TZif2" + bytes(15)
    body = struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return io.BytesIO((header + body) * 2 + b"\nUTC0\n")


@pytest.mark.parametrize(("make", "message", "hint"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED])
def test_what_has_no_canonical_form_is_refused(make: Callable[[], object], message: str, hint: str) -> None:
    with pytest.raises(ValueCodecError) as caught:
        encode(make())
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_password_is_not_in_the_refusal() -> None:
    with pytest.raises(ValueCodecError) as caught:
        encode({"url": "postgres://me:sesame@host/db"})
    assert "sesame" not in str(caught.value)
    assert caught.value.message.endswith(", at ['url']")


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/path@v1",
        "https://me@host/x",
        "see http://a, b: c@d",
        '{"u": "http://a", "b": "x@y"}',
        "a:b@c",
    ],
)
def test_a_url_without_a_password_passes(text: str) -> None:
    assert through_json(text) == text


def test_depth_up_to_the_limit_passes() -> None:
    assert through_json(nested(100)) == nested(100)


def test_a_value_that_stands_twice_is_no_cycle() -> None:
    shared = [1]
    assert through_json([shared, shared, {"a": shared}]) == [[1], [1], {"a": [1]}]


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: Pipeline([("model", model)])])
def test_a_fitted_estimator_is_refused(wrap: Callable[[Any], Any]) -> None:
    fitted = wrap(KMeans(2, n_init=1).fit([[0.0], [1.0]]))
    with pytest.raises(ValueCodecError, match="fitted cannot be a value in a plan") as caught:
        encode({"model": fitted})
    assert caught.value.hint == "return it from a step and pass that output, or pass sklearn.base.clone(...) of it"


class Smoothed(BaseEstimator):  # type: ignore[misc]
    """A parameter's name ends as what is learned does: ``lambda`` is a word of Python's."""

    def __init__(self, lambda_: float = 1.0) -> None:
        self.lambda_ = lambda_


def test_a_parameter_that_ends_like_learned_state_is_none() -> None:
    assert through_json(Smoothed(0.5)).lambda_ == 0.5


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_no_estimator_of_scikit_learn_counts_as_fitted_before_it_is() -> None:
    made = []
    for name, kind in all_estimators():
        with contextlib.suppress(TypeError):  # those that need arguments
            made.append((name, kind()))
    assert len(made) > 150
    for name, estimator in made:
        assert type(through_json(estimator)) is type(estimator), name
