from __future__ import annotations

import functools
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import InitVar, dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from headrace.core.errors import ValueCodecError
from headrace.core.secret import Secret
from headrace.core.values import canonical, check_importable, decode, encode, names_in


class Colour(Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796 - an alias


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    RED = "red"


class Access(Flag):
    READ = auto()
    WRITE = auto()
    RUN = auto()


class Bits(IntFlag):
    ONE = 1
    TWO = 2


@dataclass
class Plain:
    a: int
    b: Any = None


@dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    made: int = field(init=False, default=0)


@dataclass(frozen=True)
class Derived:
    """Sets, after its fields, an attribute that is none."""

    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubled", self.factor * 2)


@dataclass
class Changing:
    """Changes a field that it was given."""

    n: int

    def __post_init__(self) -> None:
        self.n += 1


@dataclass
class WithInitVar:
    n: int
    seed: InitVar[int] = 0

    def __post_init__(self, seed: int) -> None:
        self.n += seed


@dataclass(init=False)
class ByHand:
    n: int

    def __init__(self, text: str) -> None:
        self.n = int(text)


class Pair(NamedTuple):
    left: int
    right: float = 0.5


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str
    count: int = pydantic.Field(1, alias="n")


class Crossed(pydantic.BaseModel):
    """Each field's alias is the other's name."""

    a: int = pydantic.Field(alias="b")
    b: int = pydantic.Field(alias="a")


class Limits(pydantic.BaseModel):
    low: float = 0.0


class Sized:
    @classmethod
    def make(cls) -> Sized:
        return cls()

    class Inner:
        pass


class SizedMore(Sized):
    pass


def helper(x: int) -> int:
    return x


ZONE = ZoneInfo("Europe/Paris")

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63,
    -(2**2047),
    2**2048,
    10**5000,
    -(10**5000),
    0.0,
    -0.0,
    1.0,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "1",
    "é",
    "\ud800",
    "a\udcffb",
    "\x00\n\u2028",
    b"",
    b"\xff\x00",
    1 + 2j,
    complex(-0.0, math.inf),
    [],
    [1],
    [1.0],
    [[1]],
    (),
    (1,),
    ([],),
    {},
    {"a": 1, "b": 2},
    {"b": 2, "a": 1},
    {"$": "tuple", "items": []},
    {"$": None},
    {"$x": 1},
    {"": 1},
    {1: "a"},
    {"1": "a"},
    {True: "a"},
    {1.0: "a"},
    {None: 1},
    {(1, 2): 3},
    set(),
    {1, 2},
    {1.0, 2.0},
    frozenset(),
    frozenset({1, 2}),
    date(2026, 1, 31),
    datetime(2026, 1, 31),
    datetime(2026, 1, 31, 1, 2, 3, 4),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZONE),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZONE, fold=1),
    datetime(2026, 1, 31, tzinfo=UTC),
    datetime(2026, 1, 31, tzinfo=ZoneInfo("UTC")),
    datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=1), "two words")),
    datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=1))),
    time(1, 2),
    time(1, 2, fold=1),
    time(1, 2, tzinfo=UTC),
    UTC,
    timezone(timedelta(0), "Z"),
    ZONE,
    timedelta(0),
    timedelta(days=-1, microseconds=1),
    Decimal(1),
    Decimal("1.0"),
    Decimal("1.00"),
    Decimal("-0"),
    Decimal("1e400"),
    Decimal("Infinity"),
    Fraction(1, 3),
    Fraction(1),
    UUID(int=5),
    Path("a/b"),
    Path("/a/b"),
    Path(),
    re.compile("a+"),
    re.compile("a+", re.IGNORECASE),
    re.compile("(?i)a+"),
    re.compile(b"a+"),
    range(3),
    range(0, 3, 2),
    range(0, 4, 2),
    slice(None),
    slice(1, 2),
    slice(1, 2.0, None),
    Colour.RED,
    Colour.GREEN,
    Level.LOW,
    Word.RED,
    Access.READ,
    Access.READ | Access.RUN,
    Access(0),
    Bits.ONE,
    Bits(8),
    Bits.ONE | Bits(8),
    Plain(1),
    Plain(1, [Plain(2)]),
    Plain(1, {Path("a")}),
    Slotted(1),
    Changing(1),
    WithInitVar(1, 3),
    ByHand("3"),
    Pair(1),
    Pair(1, 1.0),
    Model(name="a", n=2),
    Model(name="a", n=2, more=[1]),
    Crossed(b=1, a=2),
    Limits(low=-0.0),
    Secret("TOKEN"),
    helper,
    len,
    math.sqrt,
    Plain,
    Sized.Inner,
    Sized.make,
    SizedMore.make,
    int,
    list[int],
    dict[str, list[int]],
    functools.partial(helper, 1),
    functools.partial(helper, x=1),
    functools.partial(helper, [1], x=Path("a")),
]


def identified(value: Any) -> str:
    """What a step could tell about a value, written independently of the codec."""
    if isinstance(value, functools.partial):
        return f"partial {identified(value.func)} {identified(value.args)} {identified(value.keywords)}"
    if isinstance(value, Model):
        named = {**value.__dict__, **(value.model_extra or {})}
        return f"Model {[(name, identified(item)) for name, item in named.items()]}"
    if isinstance(value, Flag):
        return f"{type(value).__name__} {value.value}"
    if type(value) is int:
        return hex(value)
    if isinstance(value, datetime | time):
        return f"{value!r} {value.fold} {value.tzinfo!r}"
    if type(value) in (set, frozenset):
        return f"{type(value).__name__} {sorted(map(identified, value))}"
    if type(value) in (list, tuple):
        return f"{type(value).__name__} {[identified(item) for item in value]}"
    if type(value) is dict:
        return f"dict {[(identified(key), identified(item)) for key, item in value.items()]}"
    if is_dataclass(value) and not isinstance(value, type):
        found = {item.name: identified(getattr(value, item.name)) for item in fields(value)}
        return f"{type(value).__qualname__} {found}"
    return f"{type(value).__module__}.{type(value).__qualname__} {value!r}"


def through_json(value: object) -> Any:
    return decode(json.loads(canonical(encode(value))))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = through_json(value)
    assert type(back) is type(value)
    assert identified(back) == identified(value)
    assert canonical(encode(back)) == canonical(encode(value))


def test_trees_are_equal_only_where_values_and_types_are() -> None:
    by_text: dict[str, str] = {}
    for value in VALUES:
        text = canonical(encode(value))
        assert by_text.setdefault(text, identified(value)) == identified(value)
    assert len(by_text) == len({identified(value) for value in VALUES}) == len(VALUES)


def test_every_nan_is_one_nan() -> None:
    negative = float.fromhex("-0x1p0") * float("nan")
    assert encode(float("nan")) == encode(negative) == {"$": "float", "value": "nan"}
    assert math.isnan(through_json(math.nan))
    assert through_json(Decimal("NaN")).is_nan()
    assert through_json(Decimal("sNaN12")).is_snan()


def test_sets_do_not_depend_on_the_order_of_their_members() -> None:
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other)
    assert canonical(encode(one)) == canonical(encode(other))
    mixed = encode({1, "1", None, (1,), 2.5})
    assert mixed["items"] == sorted(mixed["items"], key=canonical)


def test_an_alias_is_the_member_that_it_names() -> None:
    assert encode(Colour.CRIMSON) == encode(Colour.RED)


def test_flags_are_shown_by_their_names() -> None:
    assert [encode(flags)["name"] for flags in (Access.READ, Access.READ | Access.RUN, Access(0))] == [
        "READ",
        "READ|RUN",
        "0",
    ]


def test_what_a_dataclass_sets_beside_its_fields_is_set_again() -> None:
    assert through_json(Derived(1.5)).doubled == 3.0


def test_a_field_that_the_constructor_changes_is_changed_once() -> None:
    assert through_json(Changing(1)).n == 2


def test_a_field_that_was_changed_after_the_constructor_is_kept() -> None:
    slotted = Slotted(1)
    object.__setattr__(slotted, "made", 7)
    assert through_json(slotted).made == 7


class TestEstimators:
    def nested(self) -> Any:
        columns = ColumnTransformer([("numbers", StandardScaler(with_mean=False), ["a", "b"])])
        return Pipeline([("columns", columns), ("model", LogisticRegression(C=0.5, class_weight={0: 1.0, 1: 2.0}))])

    def test_a_pipeline_in_a_pipeline_comes_back(self) -> None:
        made = through_json(self.nested())
        assert type(made) is Pipeline
        assert made.steps[1][1].get_params() == LogisticRegression(C=0.5, class_weight={0: 1.0, 1: 2.0}).get_params()
        assert made.steps[0][1].transformers[0][1].with_mean is False
        assert canonical(encode(made)) == canonical(encode(self.nested()))

    def test_its_classes_are_named(self) -> None:
        named = {name.rpartition(":")[2] for name in names_in(encode(self.nested()))}
        assert named == {"Pipeline", "ColumnTransformer", "StandardScaler", "LogisticRegression"}

    def test_a_parameter_tells_apart(self) -> None:
        assert canonical(encode(StandardScaler())) != canonical(encode(StandardScaler(with_std=False)))


def test_equal_values_give_equal_texts_in_other_processes() -> None:
    code = (
        "import sys, pathlib, datetime\n"
        "from headrace.core.values import canonical, encode\n"
        "words = {f'w{n}' for n in range(100)}\n"
        "value = [words, frozenset(words), {w: 1 for w in sorted(words)}, pathlib.Path('a'), {(1, 'a'), (2, 'b')}]\n"
        "print(canonical(encode(value)))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(texts) == 1


class TestDecode:
    def test_only_what_is_found_is_made(self) -> None:
        def find(name: str) -> object:
            if not name.endswith(":Plain"):
                raise ValueCodecError(f"{name!r} is not declared")
            return Plain

        assert decode(encode(Plain(1, [2])), find=find) == Plain(1, [2])
        for value in (Pair(1), Colour.RED, Access.READ, helper, Limits(), np.zeros(1), StandardScaler(), Plain(1, int)):
            with pytest.raises(ValueCodecError, match="is not declared"):
                decode(encode(value), find=find)

    def test_nothing_but_the_trees_names_is_imported(self) -> None:
        tree = canonical(encode([Path("a"), {1}, Decimal(1), UUID(int=1), {"a": (1, 2)}]))
        code = (
            "import sys, json\n"
            "from headrace.core.values import decode\n"
            "before = set(sys.modules)\n"
            f"decode(json.loads({tree!r}))\n"
            "print(*(set(sys.modules) - before))\n"
        )
        seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        imported = {name.partition(".")[0] for name in seen.split()}
        assert {"decimal", "uuid"} <= imported
        assert not imported & {"headrace", "numpy", "zoneinfo", "fractions", "pydantic", "sklearn"}

    @pytest.mark.parametrize("how", ["dataclass", "namedtuple", "pydantic", "estimator", "external"])
    def test_no_other_function_is_called(self, how: str) -> None:
        tree = {"$": how, "type": "os:system", "fields": {"command": "exit 3"}}
        with pytest.raises(ValueCodecError, match=r"is no \w+ class") as caught:
            decode(tree)
        assert caught.value.hint == "has the class changed since the plan was made?"

    @pytest.mark.parametrize(
        ("tree", "message"),
        [
            ({"$": "spaceship"}, "A value of the kind 'spaceship' is not known"),
            ({"$": 5}, "A value of the kind 5 is not known"),
            ({"$": None}, "A value of the kind None is not known"),
            ({"$": ["a"]}, "A value cannot be made again: TypeError: unhashable type: 'list'"),
            ({"$": "tuple"}, "A value cannot be made again: KeyError: 'items'"),
            ({"$": "date", "value": "31.1.2026"}, "A value cannot be made again: ValueError: Invalid isoformat string"),
            ({"$": "bytes", "value": "?"}, "A value cannot be made again: Error: "),
            ({"$": "set", "items": [[]]}, "A value cannot be made again: TypeError: unhashable type: 'list'"),
            ({"$": "Decimal", "value": "x"}, "A value cannot be made again: InvalidOperation"),
            ({"$": "name", "value": "nowhere"}, "'nowhere' is no import path"),
            ({"$": "name", "value": ":x"}, "':x' is no import path"),
            (
                {"$": "name", "value": "no_such_module:x"},
                "Module 'no_such_module' of 'no_such_module:x' does not import",
            ),
            ({"$": "name", "value": "json:dumpz"}, "'json' has no 'dumpz'"),
            ({"$": "enum", "type": "json:dumps", "name": "A"}, "is no enum"),
            ({"$": "zone", "value": "Mars/Olympus"}, "A value cannot be made again: ZoneInfoNotFoundError"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_a_tree_that_the_codec_did_not_make_is_an_error(self, tree: object, message: str) -> None:
        with pytest.raises(ValueCodecError) as caught:
            decode(tree)
        assert message in caught.value.message

    def test_a_tree_without_end_is_an_error(self) -> None:
        tree: object = 1
        for _ in range(50_000):
            tree = [tree]
        with pytest.raises(ValueCodecError, match="RecursionError"):
            decode(tree)

    def test_a_member_that_is_gone_is_an_error(self) -> None:
        tree = encode(Colour.RED)
        with pytest.raises(ValueCodecError, match="has no member 'BLUE'") as caught:
            decode({**tree, "name": "BLUE"})
        assert caught.value.hint == "it has 'RED', 'GREEN', 'CRIMSON'"

    def test_a_field_that_is_new_is_an_error(self) -> None:
        tree = encode(Pair(1))
        del tree["fields"]["right"]
        with pytest.raises(ValueCodecError, match="KeyError: 'right'") as caught:
            decode(tree)
        assert caught.value.hint == "was it made by another version of its class?"

    def test_a_hook_makes_what_the_codec_does_not_know(self) -> None:
        tree = [{"$": "ref", "node": "a", "output": "b"}, {"$": "tuple", "items": [{"$": "ref", "node": "c"}]}]
        assert decode(tree, lambda item: item["node"]) == ["a", ("c",)]


class TestNames:
    def test_names_in_gives_functions_and_classes(self) -> None:
        value = {"a": [helper, Plain(1, {Colour.RED})], "b": functools.partial(len)}
        named = {name.rpartition(":")[2] for name in names_in(encode(value))}
        assert named == {"helper", "Plain", "Colour", "len"}

    def test_a_dict_that_looks_like_a_tree_names_nothing(self) -> None:
        assert names_in(encode({"$": "name", "value": "os:system", "type": "os:system"})) == set()

    def test_a_name_that_leads_elsewhere_is_refused(self) -> None:
        with pytest.raises(ValueCodecError, match="is not what importing it gives") as caught:
            check_importable(encode(named_alike()))
        assert caught.value.hint == "give it a name of its own in its module"

    def test_names_that_lead_home_pass(self) -> None:
        check_importable(encode([helper, Plain(1), Sized.make, np.mean]))


def named_alike() -> object:
    """A function that says it is `Unimportable`, which the module knows as another thing."""

    def wrapper() -> None: ...

    wrapper.__qualname__ = "Unimportable"
    return wrapper


Unimportable = functools.partial(helper)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC), allow_imaginary=False)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.sampled_from([Colour.RED, Access.READ | Access.WRITE, Pair(1), helper])
)
hashable = st.recursive(leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.builds(Plain, st.integers(), inner)
    ),
    max_leaves=12,
)


@given(values)
def test_any_value_comes_back(value: object) -> None:
    tree = encode(value)
    text = canonical(tree)
    back = decode(json.loads(text))
    assert identified(back) == identified(value)
    assert canonical(encode(back)) == text


@given(values, values)
def test_trees_are_equal_where_values_are(one: object, other: object) -> None:
    assert (canonical(encode(one)) == canonical(encode(other))) == (identified(one) == identified(other))
