"""Expectations about rows as checks, with Great Expectations' own meaning where it isn't Headrace's.

Where a check of `headrace.steps.checks` means the same, that one is used. Those here differ in a detail that changes
a verdict: an infinite number may lie in a range that is open on that side, a pattern is looked for anywhere in the
text, all rows that share a key are to blame and not only the later ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError
from headrace.steps.checks.base import NUMBERS, TIMES, Check, RowCheck, Values
from headrace.steps.kinds import Kind

if TYPE_CHECKING:
    import narwhals as nw

Ignore = Literal["any", "all", "never"]
"""Which rows an expectation about several columns passes over: those with any value missing, with all, or none."""

Value = str | int | float | bool | date | datetime


def kind_in(values: Mapping[str, nw.Expr], column: str) -> Kind | None:
    """Give the kind of a column, where it is known."""
    return values.kinds.get(column) if isinstance(values, Values) else None


def looked_at(values: Mapping[str, nw.Expr], columns: tuple[str, ...], ignore: Ignore) -> nw.Expr | None:
    """Say which rows aren't passed over; None for all."""
    import narwhals as nw

    there = [~values[name].is_null() for name in columns]
    if ignore == "never":
        return None
    return (
        nw.any_horizontal(*there, ignore_nulls=True)
        if ignore == "all"
        else nw.all_horizontal(*there, ignore_nulls=True)
    )


def _broken(check: Check, values: Mapping[str, nw.Expr], violation: nw.Expr) -> nw.Expr:
    """Rows that are passed over break nothing."""
    looked_at = check.is_looked_at(values)
    return violation if looked_at is None else violation & looked_at


def moment(text: str, *, what: str) -> datetime:
    """Read a bound that is given as text for a column of days or moments."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise DataError(
            f"{text!r} is no day or moment ({what})", hint="write it as 2024-01-31 or 2024-01-31T12:00:00"
        ) from None


@dataclass(frozen=True, slots=True)
class Between(RowCheck):
    """The value lies between two bounds, either of which may be left out or kept out (``strict``).

    Numbers, days and moments, or text by its code points, whichever the bounds are. An infinite number lies beyond
    each bound on its side, and within where there is none.
    """

    column: str
    at_least: Value | None = None
    at_most: Value | None = None
    strict_low: bool = False
    strict_high: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} within {_span(self.at_least, self.at_most, self.strict_low, self.strict_high)}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        bound = self.at_most if self.at_least is None else self.at_least
        if isinstance(bound, str):
            return ("text", *TIMES)
        return TIMES if isinstance(bound, date) else (*NUMBERS, "boolean")

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows lie outside."""
        import narwhals as nw

        value = values[self.column]
        kind = kind_in(values, self.column)
        if kind == "boolean":
            value = value.cast(nw.Int64)
        good = []
        for bound, is_low, is_strict in (
            (self.at_least, True, self.strict_low),
            (self.at_most, False, self.strict_high),
        ):
            if bound is None:
                continue
            limit = _bound(bound, kind, self.column)
            good.append(_beyond(value, limit, is_low=is_low, is_strict=is_strict))
        return ~nw.all_horizontal(*(part.fill_null(True) for part in good), ignore_nulls=True)


def _beyond(value: nw.Expr, limit: Any, *, is_low: bool, is_strict: bool) -> nw.Expr:
    kept: nw.Expr
    if is_low:
        kept = value > limit if is_strict else value >= limit
    else:
        kept = value < limit if is_strict else value <= limit
    return kept


def _bound(bound: Value, kind: Kind | None, column: str) -> Any:
    if not isinstance(bound, str) or kind not in TIMES:
        return bound
    found = moment(bound, what=f"a bound of {column!r}")
    return found.date() if kind == "date" and found.time() == datetime.min.time() else found


def _span(low: object, high: object, strict_low: bool, strict_high: bool) -> str:
    return (
        f"{'' if low is None else f'{low} (left out)' if strict_low else low}.."
        f"{'' if high is None else f'{high} (left out)' if strict_high else high}"
    )


@dataclass(frozen=True, slots=True)
class Among(RowCheck):
    """The value is one of those listed, or with ``negated`` none of them. Numbers are compared as numbers: 1 is 1.0."""

    column: str
    values: tuple[Value, ...]
    negated: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        more = f" and {len(self.values) - 8} more" if len(self.values) > 8 else ""
        listed = ", ".join(str(value) for value in self.values[:8])
        return f"{self.column} {'none' if self.negated else 'one'} of {listed}{more}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have another value."""
        import narwhals as nw

        value = values[self.column]
        listed = comparable(self.values, kind_in(values, self.column), self.column)
        is_in = value.is_in(listed).fill_null(False) if listed else nw.lit(False)
        bad = is_in if self.negated else ~is_in
        return bad & ~value.is_null()


def comparable(listed: tuple[Value, ...], kind: Kind | None, column: str) -> list[Any]:
    """Give those of some values that a column of a kind can hold, as that kind's."""
    if kind == "text":
        return [value for value in listed if isinstance(value, str)]
    if kind == "boolean":
        return sorted({bool(value) for value in listed if isinstance(value, bool | int | float) and value in (0, 1)})
    if kind in NUMBERS:
        numbers = [value for value in listed if isinstance(value, int | float) and value == value]
        if kind == "integer":
            whole = [value for value in numbers if not isinstance(value, float) or value.is_integer()]
            return [int(value) for value in whole if -(2**63) <= value < 2**63]
        return [float(value) for value in numbers]
    if kind in TIMES:
        times = [moment(value, what=f"a value for {column!r}") if isinstance(value, str) else value for value in listed]
        moments = [value for value in times if isinstance(value, date)]
        if kind == "datetime":
            return [
                value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
                for value in moments
            ]
        return [value.date() if isinstance(value, datetime) else value for value in moments]
    return list(listed)


@dataclass(frozen=True, slots=True)
class Finds(RowCheck):
    """The text has a match of the patterns anywhere: of any or of all, or with ``negated`` of none.

    The patterns are Python's; see `headrace.steps.great_expectations.patterns`. A whole number is looked at as it is
    written.
    """

    column: str
    patterns: tuple[str, ...]
    every: bool = False
    negated: bool = False
    shown: tuple[str, ...] = field(default=(), kw_only=True)
    """The patterns as they were given, where those above were made of something else (a LIKE, a date's format)."""

    def __post_init__(self) -> None:
        from headrace.steps.great_expectations.patterns import PatternError, engine_pattern

        Check.__post_init__(self)
        for pattern in self.patterns:
            try:
                engine_pattern(pattern)
            except PatternError as error:
                raise DataError(f"{error} (column {self.column!r})") from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        glue = " and " if self.every else " or "
        return f"{self.column} {'without' if self.negated else 'with'} {glue.join(self.shown or self.patterns)}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text", "integer")

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows don't match."""
        import narwhals as nw

        from headrace.steps.great_expectations.patterns import engine_pattern

        text = values[self.column].cast(nw.String)
        found = [
            text.str.contains(engine_pattern(pattern)).fill_null(self.negated is False) for pattern in self.patterns
        ]
        together = nw.all_horizontal if self.every else nw.any_horizontal
        matched = together(*found, ignore_nulls=True)
        return (matched if self.negated else ~matched) & ~values[self.column].is_null()


@dataclass(frozen=True, slots=True)
class Length(RowCheck):
    """The text has a number of characters (code points) between two bounds."""

    column: str
    at_least: float | None = None
    at_most: float | None = None
    strict_low: bool = False
    strict_high: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"length of {self.column} within {_span(self.at_least, self.at_most, self.strict_low, self.strict_high)}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text", "integer")

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows are too short or too long."""
        import narwhals as nw

        length = values[self.column].cast(nw.String).str.len_chars()
        good = []
        if self.at_least is not None:
            good.append(_beyond(length, self.at_least, is_low=True, is_strict=self.strict_low))
        if self.at_most is not None:
            good.append(_beyond(length, self.at_most, is_low=False, is_strict=self.strict_high))
        return ~nw.all_horizontal(*(part.fill_null(True) for part in good), ignore_nulls=True)


@dataclass(frozen=True, slots=True)
class IsMissing(RowCheck):
    """No row has a value."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} is missing"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """All rows are."""
        return None

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have one."""
        return ~values[self.column].is_null()


@dataclass(frozen=True, slots=True)
class OfType(RowCheck):
    """The column has one of some types, by the names that pandas and NumPy give them."""

    column: str
    types: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} of type {' or '.join(self.types)}"

    def holds(self, kind: Kind | None) -> bool:
        """Say whether a column of a kind has one of the types."""
        return kind is not None and any(name in TYPE_NAMES[kind] for name in self.types)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows are of another type: all or none."""
        import narwhals as nw

        return ~values[self.column].is_null() & nw.lit(not self.holds(kind_in(values, self.column)))


TYPE_NAMES: dict[Kind, frozenset[str]] = {
    "integer": frozenset({"int64", "int", "int_", "i8", "<i8", "long", "Int64Dtype", "INTEGER", "BIGINT", "LongType"}),
    "number": frozenset(
        {"float64", "float", "float_", "double", "f8", "<f8", "Float64Dtype", "FLOAT", "DOUBLE", "DoubleType"}
    ),
    "text": frozenset(
        {"str", "string", "object", "object_", "O", "StringDtype", "STRING", "TEXT", "VARCHAR", "StringType"}
    ),
    "boolean": frozenset({"bool", "bool_", "?", "BooleanDtype", "BOOLEAN", "BOOL", "BooleanType"}),
    "datetime": frozenset(
        {"datetime64", "datetime64[ns]", "datetime", "Timestamp", "M8[ns]", "TIMESTAMP", "DATETIME", "TimestampType"}
    ),
    "date": frozenset({"date", "DATE", "DateType"}),
}
"""What a column of each kind is called, in pandas and NumPy, SQL and Spark."""


# --- several columns ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greater(RowCheck):
    """One column's value is greater than another's. A row where one is missing breaks it, unless it is passed over."""

    greater: str
    lesser: str
    or_equal: bool = False
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.greater, self.lesser)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.greater} {'>=' if self.or_equal else '>'} {self.lesser}"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows are the wrong way round."""
        one, other = values[self.greater], values[self.lesser]
        return _broken(self, values, ~(one >= other if self.or_equal else one > other).fill_null(False))


@dataclass(frozen=True, slots=True)
class Equal(RowCheck):
    """Two columns have the same value. A row where one is missing breaks it, unless it is passed over."""

    one: str
    other: str
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.one, self.other)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.one} == {self.other}"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows differ."""

        if not _alike(kind_in(values, self.one), kind_in(values, self.other)):
            return _broken(self, values, _all_rows(values, self.one))
        return _broken(self, values, ~(values[self.one] == values[self.other]).fill_null(False))


def _all_rows(values: Mapping[str, nw.Expr], column: str) -> nw.Expr:
    """True for each row: a literal alone is no column."""
    return values[column].is_null() | ~values[column].is_null()


def _alike(one: Kind | None, other: Kind | None) -> bool:
    """Can values of two kinds be equal?"""
    groups = (NUMBERS, TIMES)
    return one is None or other is None or one == other or any(one in group and other in group for group in groups)


@dataclass(frozen=True, slots=True)
class PairAmong(RowCheck):
    """Two columns' values are one of the pairs listed; None in a pair is a missing value."""

    one: str
    other: str
    pairs: tuple[tuple[Value | None, Value | None], ...]
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.one, self.other)

    @property
    def says(self) -> str:
        """The rule in words."""
        listed = ", ".join(f"{one}|{other}" for one, other in self.pairs[:8])
        more = f" and {len(self.pairs) - 8} more" if len(self.pairs) > 8 else ""
        return f"{self.one}|{self.other} one of {listed}{more}"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have another pair."""
        import narwhals as nw

        found = [_is(values, self.one, one) & _is(values, self.other, other) for one, other in self.pairs]
        broken = ~nw.any_horizontal(*found, ignore_nulls=True) if found else _all_rows(values, self.one)
        return _broken(self, values, broken)


def _is(values: Mapping[str, nw.Expr], column: str, wanted: Value | None) -> nw.Expr:
    import narwhals as nw

    if wanted is None:
        return values[column].is_null()
    listed = comparable((wanted,), kind_in(values, column), column)
    return (values[column] == listed[0]).fill_null(False) if listed else nw.lit(False)


@dataclass(frozen=True, slots=True)
class SumIs(RowCheck):
    """The row's values add up to a total. A row where one is missing breaks it, unless it is passed over."""

    names: tuple[str, ...]
    total: float
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return self.names

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.names)} == {self.total}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return NUMBERS

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows add up to something else."""
        first, *others = (values[name] for name in self.names)
        for other in others:
            first = first + other
        return _broken(self, values, ~(first == self.total).fill_null(False))


@dataclass(frozen=True, slots=True)
class DifferInRow(RowCheck):
    """The row's values differ from one another; missing ones are equal."""

    names: tuple[str, ...]
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return self.names

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{', '.join(self.names)} differ in a row"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows repeat a value."""
        import narwhals as nw

        same = []
        for number, one in enumerate(self.names):
            for other in self.names[number + 1 :]:
                same.append(values[one].is_null() & values[other].is_null())
                if _alike(kind_in(values, one), kind_in(values, other)):
                    same.append((values[one] == values[other]).fill_null(False))
        broken = nw.any_horizontal(*same, ignore_nulls=True) if same else ~_all_rows(values, self.names[0])
        return _broken(self, values, broken)


@dataclass(frozen=True, slots=True)
class EqualInRow(RowCheck):
    """The row's values are all the same; missing ones are the same as each other."""

    names: tuple[str, ...]
    ignore: Ignore = field(default="all", kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns."""
        return self.names

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{', '.join(self.names)} the same in a row"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows differ."""
        import narwhals as nw

        first, *others = self.names
        same = []
        for other in others:
            both_missing = values[first].is_null() & values[other].is_null()
            if _alike(kind_in(values, first), kind_in(values, other)):
                both_missing = both_missing | (values[first] == values[other]).fill_null(False)
            same.append(both_missing)
        broken = ~nw.all_horizontal(*same, ignore_nulls=True) if same else ~_all_rows(values, first)
        return _broken(self, values, broken)
