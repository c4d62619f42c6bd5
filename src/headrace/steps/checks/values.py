"""Checks of one column's values, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.checks.base import NUMBERS, TIMES, RowCheck, span, within
from headrace.steps.checks.patterns import check_pattern, date_pattern, portable
from headrace.steps.kinds import Kind, check_kind

if TYPE_CHECKING:
    import narwhals as nw

Value = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfColumn(RowCheck):
    """A check of one column."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)


@dataclass(frozen=True, slots=True)
class IsKind(_OfColumn):
    """The column's values can be read as a kind; in the good rows they then are.

    Text is read as `ingest` reads it: numbers with a point, ISO 8601 days and moments that exist in the calendar,
    "true" and "false". A whole number in a column of kind "number" is fine; a fraction in one of kind "integer"
    isn't.
    """

    column: str
    kind: Kind

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        check_kind(self.kind, column=self.column)
        if self.severity == "warn":
            raise DataError(
                f"IsKind({self.column!r}, {self.kind!r}) can't only warn: a column has one kind",
                hint="leave severity at 'error', so that rows that don't fit are set aside",
            )
        if self.where is not None:
            raise DataError(f"IsKind({self.column!r}) can't hold for some rows only: a column has one kind")

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} is {'an' if self.kind == 'integer' else 'a'} {self.kind}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have a value that can't be read."""
        return values[self.column].is_null() & ~values[raw(self.column)].is_null()

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows have a value, readable or not."""
        return ~values[raw(self.column)].is_null()


def raw(column: str) -> str:
    """What `IsKind` is given a column as it came by, beside the column as it reads it."""
    return f"{column} as it came"


@dataclass(frozen=True, slots=True)
class NotMissing(_OfColumn):
    """Every row has a value."""

    column: str

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} is there"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have none."""
        return values[self.column].is_null()

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """All rows are."""
        return None


@dataclass(frozen=True, slots=True)
class InRange(_OfColumn):
    """The value lies between two bounds, both included; one may be left out. Missing values pass, infinite ones don't.

    For numbers, days and moments; bounds of days may be given as ``"2024-01-31"``. With ``strict_low`` or
    ``strict_high`` that bound itself isn't allowed.
    """

    column: str
    at_least: float | date | datetime | str | None = None
    at_most: float | date | datetime | str | None = None
    strict_low: bool = False
    strict_high: bool = False

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        for name in ("at_least", "at_most"):
            object.__setattr__(self, name, _bound(getattr(self, name), f"{name} of {self.column!r}"))
        within(self.at_least, self.at_most, f"InRange({self.column!r})")

    @property
    def says(self) -> str:
        """The rule in words."""
        above = " above its least" if self.strict_low else ""
        below = " below its most" if self.strict_high else ""
        return f"{self.column} within {span(self.at_least, self.at_most)}{' and'.join(filter(None, (above, below)))}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return TIMES if self._is_of_times else NUMBERS

    @property
    def _is_of_times(self) -> bool:
        return isinstance(self.at_least, date) or isinstance(self.at_most, date)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows lie outside."""
        value = values[self.column]
        inside: list[nw.Expr] = []
        low, high = self.at_least, self.at_most
        if not self._is_of_times:
            # An infinite number is outside, also where that side has no bound.
            low, high = (float("-inf") if low is None else low), (float("inf") if high is None else high)
        if low is not None:
            is_open = self.strict_low or low == float("-inf")
            inside.append(value > low if is_open else value >= low)
        if high is not None:
            is_open = self.strict_high or high == float("inf")
            inside.append(value < high if is_open else value <= high)
        both = inside[0] if len(inside) == 1 else inside[0] & inside[1]
        return ~both.fill_null(True)


def _bound(given: object, what: str) -> object:
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
    except ValueError:
        raise DataError(f"{given!r} is no day or moment ({what})", hint="such as '2024-01-31'") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed(_OfColumn):
    """A check against a list of values."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        name = type(self).__name__
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise DataError(f"{name}({self.column!r}) lists no value", hint="list at least one")
        kinds = {type(value).__name__ for value in self.values}
        if kinds == {"int", "float"}:
            object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        elif len(kinds) > 1:
            raise DataError(
                f"{name}({self.column!r}) lists values of several kinds: {', '.join(sorted(kinds))}",
                hint="a column has one kind: list text, numbers or booleans",
            )

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        kinds = {type(value) for value in self.values}
        return ("text",) if kinds == {str} else ("boolean",) if kinds == {bool} else NUMBERS

    def _listed(self) -> str:
        more = f" and {len(self.values) - 8} more" if len(self.values) > 8 else ""
        return f"{', '.join(str(v) for v in self.values[:8])}{more}"


@dataclass(frozen=True, slots=True)
class OneOf(_Listed):
    """The value is one of those listed. Missing values pass."""

    column: str
    values: tuple[Value, ...]

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} one of {self._listed()}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have another value."""
        value = values[self.column]
        return ~(value.is_in(list(self.values)) | value.is_null()).fill_null(True)


@dataclass(frozen=True, slots=True)
class NoneOf(_Listed):
    """The value is none of those listed. Missing values pass."""

    column: str
    values: tuple[Value, ...]

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} none of {self._listed()}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have one of them."""
        value = values[self.column]
        return (value.is_in(list(self.values)) & ~value.is_null()).fill_null(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patterned(_OfColumn):
    """A check with a regular expression."""

    pattern: str

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        check_pattern(self.pattern, f"column {self.column!r}")

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text",)


@dataclass(frozen=True, slots=True)
class Matches(_Patterned):
    """The whole text matches a regular expression. Missing values pass.

    The pattern may use what Python and Rust both know: no look-around, no back-references.
    """

    column: str
    pattern: str

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} like {self.pattern}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows don't match."""
        return ~values[self.column].str.contains(portable(self.pattern)).fill_null(True)


@dataclass(frozen=True, slots=True)
class NoMatch(_Patterned):
    """The whole text doesn't match a regular expression. Missing values pass."""

    column: str
    pattern: str

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} not like {self.pattern}"

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows match."""
        return values[self.column].str.contains(portable(self.pattern)).fill_null(False)


@dataclass(frozen=True, slots=True)
class Length(_OfColumn):
    """The text's length in characters lies between two bounds, both included. Missing values pass."""

    column: str
    at_least: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        within(self.at_least, self.at_most, f"Length({self.column!r})")

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"length of {self.column} within {span(self.at_least, self.at_most)}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text",)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have a shorter or longer one."""
        length = values[self.column].str.len_chars()
        outside = [length < self.at_least] if self.at_least is not None else []
        outside += [length > self.at_most] if self.at_most is not None else []
        either = outside[0] if len(outside) == 1 else outside[0] | outside[1]
        return either.fill_null(False)


@dataclass(frozen=True, slots=True)
class DateFormat(_OfColumn):
    """The text is a time in a format, as ``datetime.strptime`` reads it, and is in the calendar. Missing values pass.

    Directives: %Y %y %m %d %H %I %M %S %f %j %p %b %B %a %A %z.
    """

    column: str
    format: str

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        date_pattern(self.format)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} in the format {self.format}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text",)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows aren't."""
        return ~values[self.column].str.contains(f"^(?i:{date_pattern(self.format)})$").fill_null(True)
