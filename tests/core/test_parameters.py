from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, auto
from fractions import Fraction
from math import inf, isnan
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DefinitionError, ParameterError
from headrace.core.hints import declared_types
from headrace.core.parameters import bind_parameters, read_parameter
from headrace.core.secret import Secret

if TYPE_CHECKING:
    from headrace.core.plan import Plan


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Access(Flag):
    READ = auto()
    WRITE = auto()


@dataclass
class Tree:
    depth: int
    rate: float = 0.1
    features: list[str] = field(default_factory=list)
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError("depth >= 1 must hold")


class Span(NamedTuple):
    start: date
    end: date | None = None


class Limits(TypedDict):
    low: float
    high: NotRequired[float]


class Model(pydantic.BaseModel):
    name: str
    count: int = 1


FOLDER = Path("/here")

READ: list[tuple[Any, object, object]] = [
    (bool, "true", True),
    (bool, "Yes", True),
    (bool, "1", True),
    (bool, "FALSE", False),
    (bool, "0", False),
    (bool, True, True),
    (int, "100", 100),
    (int, " -5 ", -5),
    (int, "1_000", 1000),
    (int, 5, 5),
    (float, "0.5", 0.5),
    (float, "1e-3", 0.001),
    (float, "inf", inf),
    (float, 1, 1.0),
    (float, 0.5, 0.5),
    (complex, "1+2j", 1 + 2j),
    (complex, 1.5, 1.5 + 0j),
    (str, "1", "1"),
    (str, "none", "none"),
    (str, "", ""),
    (Decimal, "0.10", Decimal("0.10")),
    (Decimal, 0.1, Decimal("0.1")),
    (Decimal, 5, Decimal(5)),
    (Fraction, "1/3", Fraction(1, 3)),
    (Fraction, 2, Fraction(2)),
    (Path, "data.csv", Path("/here/data.csv")),
    (Path, "/data.csv", Path("/data.csv")),
    (Path, Path("data.csv"), Path("data.csv")),
    (date, "2026-01-31", date(2026, 1, 31)),
    (date, date(2026, 1, 31), date(2026, 1, 31)),
    (datetime, "2026-01-31T12:00:00+00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    (datetime, "2026-01-31 12:00", datetime(2026, 1, 31, 12)),
    (time, "12:30", time(12, 30)),
    (timedelta, "90", timedelta(seconds=90)),
    (timedelta, 0.5, timedelta(milliseconds=500)),
    (UUID, "12345678123456781234567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    (Secret, "TOKEN", Secret("TOKEN")),
    (Colour, "RED", Colour.RED),
    (Colour, "red", Colour.RED),
    (Colour, Colour.RED, Colour.RED),
    (Level, "LOW", Level.LOW),
    (Level, "2", Level.HIGH),
    (Level, 2, Level.HIGH),
    (Access, "READ | WRITE", Access.READ | Access.WRITE),
    (Literal["a", "b"], "a", "a"),
    (Literal[1, 2], "2", 2),
    (Literal[1, 2], 2, 2),
    (Literal["auto", 5], "5", 5),
    (Literal[True, "auto"], "true", True),
    (Literal[Colour.RED], "RED", Colour.RED),
    (None, "none", None),
    (None, None, None),
    (int | None, "none", None),
    (int | None, "NULL", None),
    (int | None, "5", 5),
    (int | None, None, None),
    (Path | None, "none", None),
    (Path | None, "a", Path("/here/a")),
    (str | None, "none", "none"),
    (int | float, "5", 5),
    (int | float, "5.5", 5.5),
    (float | int, 5, 5),
    (int | str, "5", "5"),
    (bool | int, "1", True),
    (date | Literal["today"], "today", "today"),
    (list[int] | None, "1,2", [1, 2]),
    (list, "a,b", ["a", "b"]),
    (list[int], "1, 2", [1, 2]),
    (list[int], "[1, 2]", [1, 2]),
    (list[int], "", []),
    (list[int], "5", [5]),
    (list[int], (1, 2), [1, 2]),
    (list[float], [1, 2], [1.0, 2.0]),
    (list[str], "a,b", ["a", "b"]),
    (list[Path], ["a", "/b"], [Path("/here/a"), Path("/b")]),
    (list[Path], "a,/b", [Path("/here/a"), Path("/b")]),
    (list[date], ["2026-01-31"], [date(2026, 1, 31)]),
    (list[Colour], ["red", "GREEN"], [Colour.RED, Colour.GREEN]),
    (list[list[int]], "[[1], []]", [[1], []]),
    (Sequence[int], "1,2", [1, 2]),
    (Sequence[int], (1, 2), (1, 2)),
    (Iterable[int], {1, 2}, {1, 2}),
    (tuple[int, ...], "1,2", (1, 2)),
    (tuple[int, ...], [1, 2], (1, 2)),
    (tuple[int, str], ["1", "2"], (1, "2")),
    (tuple[int, str], "1,2", (1, "2")),
    (set[int], [1, 1, 2], {1, 2}),
    (frozenset[str], "a,b", frozenset({"a", "b"})),
    (Collection[int], [1], [1]),
    (Iterable[int], range(3), range(3)),
    (Sequence[int], b"ab", b"ab"),
    (Mapping[str, int], MappingProxyType({"a": 1}), MappingProxyType({"a": 1})),
    (dict, '{"a": 1}', {"a": 1}),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (dict[int, Path], {"1": "a"}, {1: Path("/here/a")}),
    (Mapping[str, int], '{"a": "5"}', {"a": 5}),
    (Limits, {"low": 1}, {"low": 1.0}),
    (Limits, '{"low": 1, "high": 2}', {"low": 1.0, "high": 2.0}),
    (Tree, {"depth": 3}, Tree(3)),
    (Tree, '{"depth": "3", "features": ["a"]}', Tree(3, features=["a"])),
    (Tree, Tree(2), Tree(2)),
    (dict[str, Tree], {"a": {"depth": 1, "rate": 1}}, {"a": Tree(1, 1.0)}),
    (Span, {"start": "2026-01-01"}, Span(date(2026, 1, 1))),
    (Span, ["2026-01-01", "2026-01-02"], Span(date(2026, 1, 1), date(2026, 1, 2))),
    (Span, '["2026-01-01", null]', Span(date(2026, 1, 1), None)),
    (Model, {"name": "a"}, Model(name="a")),
    (Model, '{"name": "a", "count": 2}', Model(name="a", count=2)),
    (Annotated[int, "rows"], "5", 5),
    (Any, "5", "5"),
    (type[Enum], Colour, Colour),
    (Callable[[int], int], abs, abs),
]


@pytest.mark.parametrize(("declared", "given", "value"), READ, ids=lambda item: str(item)[:40])
def test_a_value_is_read_as_it_is_declared(declared: Any, given: object, value: object) -> None:
    read = read_parameter("p", given, declared, folder=FOLDER)
    assert type(read) is type(value)
    assert read == value


def test_nan_is_a_number() -> None:
    assert isnan(read_parameter("p", "nan", float))


MISFITS: list[tuple[Any, object, str, str | None]] = [
    (int, "abc", "must be int, but got 'abc'", "give a whole number, such as 100"),
    (int, "1.5", "must be int, but got '1.5'", "give a whole number, such as 100"),
    (int, 1.0, "must be int, but got 1.0, which is float", "give a whole number, such as 100"),
    (int, True, "must be int, but got True, which is bool", "give a whole number, such as 100"),
    (int, None, "must be int, but got None, which is None", "give a whole number, such as 100"),
    (int, "9" * 5000, "must be int, but got '999", "give a whole number, such as 100"),
    (float, True, "must be float, but got True, which is bool", "give a number, such as 0.5"),
    (float, "half", "must be float, but got 'half'", "give a number, such as 0.5"),
    (float, 10**400, "must be float, but got 1000", "give a number, such as 0.5"),
    (bool, "maybe", "must be bool, but got 'maybe'", "give true or false"),
    (bool, 1, "must be bool, but got 1, which is int", "give true or false"),
    (str, 5, "must be str, but got 5, which is int", "give text: in a JSON or TOML file, between quotes"),
    (Decimal, "x", "must be decimal.Decimal, but got 'x'", "give a number, such as 0.10"),
    (Fraction, "1/0", "must be fractions.Fraction, but got '1/0'", "give a number, such as 1/3"),
    (Path, "", "Path, but got ''", "give a path"),
    (Path, 5, "Path, but got 5, which is int", "give a path"),
    (date, "31.1.2026", "must be datetime.date, but got '31.1.2026'", "give a date, such as 2026-01-31"),
    (date, datetime(2026, 1, 31), "which is datetime.datetime", "give a date, such as 2026-01-31"),
    (datetime, date(2026, 1, 31), "which is datetime.date", "give a time, such as 2026-01-31T12:00:00+00:00"),
    (timedelta, "1 day", "must be datetime.timedelta, but got '1 day'", "give a number of seconds, such as 3600"),
    (timedelta, 1e300, "must be datetime.timedelta", "give a number of seconds, such as 3600"),
    (UUID, "x", "must be uuid.UUID, but got 'x'", "give an id, such as 12345678-1234-5678-1234-567812345678"),
    (Colour, "blue", "Colour, but got 'blue'", "give one of RED, GREEN"),
    (Level, 7, "Level, but got 7, which is int", "give one of LOW, HIGH"),
    (Access, "READ|RUN", "Access, but got 'READ|RUN'", "give one of READ, WRITE"),
    (Literal["a", "b"], "c", "must be Literal['a', 'b'], but got 'c'", "give one of a, b"),
    (Literal[1], True, "must be Literal[1], but got True, which is bool", "give one of 1"),
    (int | None, "x", "must be int | None, but got 'x'", "give a whole number, such as 100"),
    (int | float, "x", "must be int | float, but got 'x'", None),
    (list[int], "1,b", "must be list[int], but got 'b' at p[1]", "give a whole number, such as 100"),
    (list[int], [1, None], "must be list[int], but got None at p[1], which is None", "give a whole number"),
    (list[int], "[1, ", "must be list[int], but got '[1, '", "give a list: as text, items between commas or JSON"),
    (list[int], 5, "must be list[int], but got 5, which is int", "give a list: as text"),
    (list[int], {1}, "must be list[int], but got {1}, which is set", "give a list: as text"),
    (list[int] | None, "1,b", "must be list[int] | None, but got 'b' at p[1]", "give a whole number, such as 100"),
    (list[list[int]], [[1], [2, "x"]], "but got 'x' at p[1][1]", "give a whole number, such as 100"),
    (tuple[int, str], [1], "must be tuple[int, str], but got [1], which is list", "give 2 items"),
    (set[Any], [[1]], "must be set[Any], but got [[1]], which is list", "give items that can stand in a set"),
    (dict[str, int], {"a": "x"}, "must be dict[str, int], but got 'x' at p['a']", "give a whole number"),
    (dict[int, int], {"a": 1}, "must be dict[int, int], but got 'a' at p key 'a'", "give a whole number"),
    (dict[str, int], "a=1", "must be dict[str, int], but got 'a=1'", "give it as JSON"),
    (dict[str, int], "[1]", "must be dict[str, int], but got '[1]'", "give it as JSON"),
    (Limits, {}, "Limits, but got {}, which is dict: field 'low' is missing", "it has 'low', 'high'"),
    (Limits, {"low": 1, "hihg": 2}, ": it has no field 'hihg'", "did you mean 'high'?"),
    (Tree, {"depht": 3}, ": it has no field 'depht'", "did you mean 'depth'?"),
    (Tree, {"rate": 0.5}, ": field 'depth' is missing", "it has 'depth', 'rate', 'features'"),
    (Tree, {"depth": "deep"}, "Tree, but got 'deep' at p.depth", "give a whole number, such as 100"),
    (Tree, {"depth": 1, "made": 3}, ": it has no field 'made'", "there are 'depth', 'features', 'rate'"),
    (Tree, {"depth": 0}, "Tree, but got {'depth': 0}, which is dict: depth >= 1 must hold", None),
    (Tree, "deep", "Tree, but got 'deep'", "give it as JSON"),
    (Span, ["2026-01-01", None, 1], "Span, but got ['2026-01-01', None, 1], which is list", "give at most 2 items"),
    (Model, {"count": 1}, ": 1 validation error for Model name Field required", None),
    (Model, "x", "Model, but got 'x'", "give it as JSON"),
    (Callable[[int], int], "abs", "Callable[[int], int], but got 'abs'", None),
    (bytes, "x", "must be bytes, but got 'x'", None),
]


@pytest.mark.parametrize(("declared", "given", "message", "hint"), MISFITS, ids=lambda item: str(item)[:40])
def test_what_is_not_as_declared_is_refused(declared: Any, given: object, message: str, hint: str | None) -> None:
    with pytest.raises(ParameterError) as caught:
        read_parameter("p", given, declared, "flow.py:3", FOLDER)
    assert caught.value.message.startswith("Parameter 'p' must be ")
    assert message in caught.value.message
    assert (caught.value.hint or "").startswith(hint or "")
    assert (caught.value.hint is None) == (hint is None)
    assert caught.value.where == "flow.py:3"
    assert len(str(caught.value)) < 500


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(ParameterError) as caught:
        read_parameter("rows", "postgres://me:sesame@host/db", int)
    assert caught.value.message == "Parameter 'rows' must be int, but got '***@host/db'"


@pytest.mark.parametrize(("declared", "value"), [(case[0], case[2]) for case in READ], ids=lambda item: str(item)[:40])
def test_a_value_that_was_read_is_read_as_itself(declared: Any, value: object) -> None:
    read = read_parameter("p", value, declared)
    assert (type(read), read) == (type(value), value)


@given(
    st.fixed_dictionaries(
        {
            "rows": st.integers(-(10**9), 10**9),
            "rate": st.floats(allow_nan=False, allow_infinity=False),
            "name": st.text(max_size=5),
            "flags": st.lists(st.booleans(), max_size=3),
            "day": st.dates().map(date.isoformat),
        }
    )
)
def test_json_is_read_like_python(values: dict[str, Any]) -> None:
    def flow(rows: int, rate: float, name: str, flags: tuple[bool, ...], day: date) -> None: ...

    bound = bind_parameters(flow, json.loads(json.dumps(values)), "here")
    expected = {**values, "flags": tuple(values["flags"]), "day": date.fromisoformat(values["day"])}
    assert bound == expected


def test_toml_has_dates_and_times() -> None:
    def flow(day: date, at: datetime, daily: time, rows: int) -> None: ...

    given_ = tomllib.loads("day = 2026-01-31\nat = 2026-01-31T12:00:00Z\ndaily = 12:30:00\nrows = 5")
    assert bind_parameters(flow, given_, "here") == {
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "daily": time(12, 30),
        "rows": 5,
    }


class TestBind:
    def flow(self) -> Any:
        def churn(data: Path, rows: int = 100, share: float = 1, *, name: str | None = None) -> None: ...

        return churn

    def test_defaults_are_filled_in_and_read(self) -> None:
        bound = bind_parameters(self.flow(), {"data": "a.csv"}, "here", FOLDER)
        assert bound == {"data": Path("/here/a.csv"), "rows": 100, "share": 1.0, "name": None}
        assert list(bound) == ["data", "rows", "share", "name"]
        assert type(bound["share"]) is float

    def test_an_unknown_parameter_is_refused(self) -> None:
        with pytest.raises(ParameterError) as caught:
            bind_parameters(self.flow(), {"data": "a", "row": 1}, "flow.py:3")
        assert str(caught.value) == ("Pipeline 'churn' has no parameter 'row' (flow.py:3).\nHint: did you mean 'rows'?")

    def test_a_pipeline_without_parameters_says_so(self) -> None:
        def flow() -> None: ...

        with pytest.raises(ParameterError, match=r"has no parameter 'rows' \(here\).\nHint: it takes none"):
            bind_parameters(flow, {"rows": 1}, "here")

    def test_a_missing_parameter_is_named(self) -> None:
        with pytest.raises(ParameterError) as caught:
            bind_parameters(self.flow(), {}, "flow.py:3")
        assert str(caught.value) == (
            "Pipeline 'churn' needs parameter 'data' (flow.py:3).\nHint: give it, as in -p data=VALUE"
        )

    @pytest.mark.parametrize("stars", ["*rows", "**rows"])
    def test_parameters_without_names_are_refused(self, stars: str) -> None:
        def positional(*rows: int) -> None: ...
        def named(**rows: int) -> None: ...

        with pytest.raises(DefinitionError) as caught:
            bind_parameters(positional if stars == "*rows" else named, {}, "here")
        assert f"takes {stars}, so its parameters have no names" in caught.value.message
        assert caught.value.hint == "name each parameter, or take a list"

    @pytest.mark.parametrize(
        ("declared", "default", "message", "hint"),
        [
            (int, "100", "'rows' of pipeline 'flow' is declared int, but its default is '100'", "give a whole number"),
            (int, None, "'rows' of pipeline 'flow' is declared int, but its default is None", "declare int | None"),
            (Path, "a", "Path, but its default is 'a'", "give a path"),
            (list[int], [1, "a"], "list[int], but its default is [1, 'a']", "give a list"),
        ],
    )
    def test_a_default_that_is_not_as_declared_is_refused(
        self, declared: Any, default: object, message: str, hint: str
    ) -> None:
        def flow(rows: Any = default) -> None: ...

        flow.__annotations__["rows"] = declared
        with pytest.raises(DefinitionError) as caught:
            bind_parameters(flow, {}, "here")
        assert message in caught.value.message
        assert (caught.value.hint or "").startswith(hint)

    def test_a_parameter_that_declares_nothing_takes_anything(self) -> None:
        def flow(anything, more=5): ...  # type: ignore[no-untyped-def]

        assert bind_parameters(flow, {"anything": "1"}, "here") == {"anything": "1", "more": 5}


class TestHints:
    def test_a_type_for_checkers_alone_does_not_evaluate(self) -> None:
        def flow(plan: Plan) -> None: ...

        with pytest.raises(DefinitionError) as caught:
            declared_types(flow, "flow.py:3")
        assert str(caught.value) == (
            "An annotation of 'flow' does not evaluate: NameError: name 'Plan' is not defined (flow.py:3).\n"
            "Hint: import the type at the top of the module: not under TYPE_CHECKING, and not inside a function"
        )

    def test_an_annotation_that_fails_is_told(self) -> None:
        def flow(rows: 1 / 0) -> None: ...  # type: ignore[valid-type]

        with pytest.raises(DefinitionError, match="does not evaluate: ZeroDivisionError") as caught:
            declared_types(flow, None)
        assert "typing.get_type_hints" in (caught.value.hint or "")
