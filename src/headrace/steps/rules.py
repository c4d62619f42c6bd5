"""Rules that change a table's columns, as plain frozen data. None needs a statistic, so none can leak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headrace.core.errors import DataError
from headrace.steps.from_plain import made_from
from headrace.steps.kinds import Kind, check_kind, kind_of
from headrace.steps.parsing import as_kind, plain_value
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]


class Rule(Protocol):
    """One change of a table, applied lazily.

    A rule is a frozen dataclass, so it can stand in a plan. It treats each row by itself: no rule looks at other
    rows, so it makes no difference whether it comes before or after a split.
    """

    def apply(self, frame: Lazy) -> Lazy:
        """Change the frame. Raises DataError where a column isn't there or is of the wrong kind."""
        ...


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave columns out."""

    columns: tuple[str, ...]

    def apply(self, frame: Lazy) -> Lazy:
        """Leave them out."""
        _need(frame, self.columns, "Drop")
        return frame.drop(*self.columns)


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a column another name, in its place."""

    column: str
    to: str

    def apply(self, frame: Lazy) -> Lazy:
        """Rename it."""
        _need(frame, (self.column,), "Rename")
        _need_free(frame, self.to, "Rename", but=self.column)
        return frame.rename({self.column: self.to})


@dataclass(frozen=True, slots=True)
class Spell:
    """Spell categories in one way.

    With ``fold``, blanks around are stripped and case is lowered first. Then ``spellings`` replaces whole values.
    With ``known``, what is not among these after that becomes ``unknown`` (missing by default). Missing values stay.
    """

    column: str
    spellings: Mapping[str, str] | None = None
    fold: bool = True
    known: tuple[str, ...] | None = None
    unknown: str | None = None

    def apply(self, frame: Lazy) -> Lazy:
        """Respell the column."""
        import narwhals as nw

        _need_text(frame, self.column, "Spell")
        value = nw.col(self.column)
        value = value.str.strip_chars().str.to_lowercase() if self.fold else value
        if self.spellings:
            # Through text of the plan, in its order, never through a column's values: nothing is learned here.
            chosen = value
            for wrong, right in self.spellings.items():
                chosen = nw.when(value == wrong).then(nw.lit(right)).otherwise(chosen)
            value = chosen
        if self.known is not None:
            other = nw.when(~value.is_null()).then(nw.lit(self.unknown)) if self.unknown is not None else _no_text()
            value = nw.when(value.is_in(list(self.known))).then(value).otherwise(other)
        return frame.with_columns(value.alias(self.column))


@dataclass(frozen=True, slots=True)
class StripEnd:
    """Take an ending off text, where it stands: the full stop of Adult's test labels (">50K.")."""

    column: str
    ending: str = "."

    def apply(self, frame: Lazy) -> Lazy:
        """Take it off."""
        import re

        import narwhals as nw

        _need_text(frame, self.column, "StripEnd")
        # As a character class, which the engines' regular expressions all read alike.
        ending = "".join(f"[{sign}]" if sign not in "^\\]" else re.escape(sign) for sign in self.ending)
        return frame.with_columns(nw.col(self.column).str.replace_all(f"{ending}$", ""))


@dataclass(frozen=True, slots=True)
class Cast:
    """Read a column as another kind. What can't be read becomes missing: check it with `IsKind` before."""

    column: str
    kind: Kind

    def __post_init__(self) -> None:
        check_kind(self.kind, column=self.column)

    def apply(self, frame: Lazy) -> Lazy:
        """Read it."""
        dtype = _dtype(frame, self.column, "Cast")
        return frame.with_columns(as_kind(self.column, dtype, self.kind).alias(self.column))


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold a number between two bounds; one may be left out.

    Values outside become the bound, or missing with ``outside="missing"``. Infinite values are outside.
    """

    column: str
    at_least: float | None = None
    at_most: float | None = None
    outside: Literal["bound", "missing"] = "bound"

    def __post_init__(self) -> None:
        if self.at_least is not None and self.at_most is not None and not self.at_least <= self.at_most:
            raise DataError(
                f"at_least <= at_most must hold, but got {self.at_least!r} and {self.at_most!r} for {self.column!r}"
            )

    def apply(self, frame: Lazy) -> Lazy:
        """Hold it."""
        import narwhals as nw

        value = plain_value(self.column, _need_number(frame, self.column, "Limit"))
        for bound, is_outside in ((self.at_least, value < self.at_least), (self.at_most, value > self.at_most)):
            if bound is not None and self.outside == "bound":
                value = nw.when(is_outside).then(nw.lit(bound)).otherwise(value)
            elif bound is not None:
                value = nw.when(~is_outside).then(value)
        return frame.with_columns(value.alias(self.column))


@dataclass(frozen=True, slots=True)
class Fill:
    """Put a constant where a value is missing. (What needs a statistic, such as the median, belongs in the model.)"""

    column: str
    value: str | float | bool

    def apply(self, frame: Lazy) -> Lazy:
        """Fill them."""
        import narwhals as nw

        _need(frame, (self.column,), "Fill")
        return frame.with_columns(nw.col(self.column).fill_null(self.value))


@dataclass(frozen=True, slots=True)
class DropMissing:
    """Leave out the rows that have no value in a column, such as those without a label."""

    column: str

    def apply(self, frame: Lazy) -> Lazy:
        """Leave them out."""
        import narwhals as nw

        dtype = _dtype(frame, self.column, "DropMissing")
        return (
            frame.filter(~plain_value(self.column, dtype).is_null())
            if dtype.is_float()
            else frame.filter(~nw.col(self.column).is_null())
        )


Comparison = Literal[">", ">=", "<", "<=", "==", "!="]
"""How two numbers are compared."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A yes-or-no column: does ``left`` stand to ``factor * right`` as ``how`` says?

    ``Compare("tipped", "tips", ">", "fare", 0.2)`` is ``tips > 0.2 * fare``. Without ``right`` the factor itself is
    what is compared with. Missing where a side is missing.
    """

    name: str
    left: str
    how: Comparison
    right: str | None = None
    factor: float = 1.0

    def apply(self, frame: Lazy) -> Lazy:
        """Add the column."""
        import operator

        import narwhals as nw

        operators = {
            ">": operator.gt,
            ">=": operator.ge,
            "<": operator.lt,
            "<=": operator.le,
            "==": operator.eq,
            "!=": operator.ne,
        }
        if self.how not in operators:
            raise DataError(f"Compare knows no {self.how!r}", hint=f"one of {', '.join(operators)}")
        left = plain_value(self.left, _need_number(frame, self.left, "Compare"))
        right: Any = nw.lit(self.factor)
        if self.right is not None:
            right = plain_value(self.right, _need_number(frame, self.right, "Compare")) * self.factor
        holds = operators[self.how](left, right)
        return frame.with_columns(
            nw.when(holds).then(nw.lit("yes")).otherwise(nw.when(~holds).then(nw.lit("no"))).alias(self.name)
        )


@dataclass(frozen=True, slots=True)
class DaysBetween:
    """A column of days from one date to another; negative where they are the wrong way round, missing where one is."""

    name: str
    earlier: str
    later: str

    def apply(self, frame: Lazy) -> Lazy:
        """Add the column."""
        import narwhals as nw

        for column in (self.earlier, self.later):
            _need_time(frame, column, "DaysBetween")
        # As moments, since the engines disagree on what a difference of days is.
        first, last = (nw.col(column).cast(nw.Date).cast(nw.Datetime("us")) for column in (self.earlier, self.later))
        span = (last - first).dt.total_minutes() // 1440
        return frame.with_columns(span.cast(nw.Int64).alias(self.name))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A column of one number divided by another; missing where one is missing or the divisor is 0."""

    name: str
    top: str
    bottom: str

    def apply(self, frame: Lazy) -> Lazy:
        """Add the column."""
        import narwhals as nw

        top, bottom = (
            plain_value(c, _need_number(frame, c, "Ratio")).cast(nw.Float64) for c in (self.top, self.bottom)
        )
        return frame.with_columns((top / nw.when(bottom != 0).then(bottom)).alias(self.name))


Part = Literal["year", "month", "day", "weekday", "hour"]
"""A part of a date: weekdays are 1 (Monday) to 7."""


@dataclass(frozen=True, slots=True)
class DatePart:
    """A column with a part of a date, a whole number; missing where the date is."""

    name: str
    column: str
    part: Part

    def apply(self, frame: Lazy) -> Lazy:
        """Add the column."""
        import narwhals as nw

        kind = _need_time(frame, self.column, "DatePart")
        if self.part == "hour" and kind == "date":
            raise DataError(f"Column {self.column!r} has days, which have no hour", hint="leave this rule out")
        moment = nw.col(self.column).dt
        parts = {
            "year": moment.year,
            "month": moment.month,
            "day": moment.day,
            "weekday": moment.weekday,
            "hour": moment.hour,
        }
        if self.part not in parts:
            raise DataError(f"DatePart knows no {self.part!r}", hint=f"one of {', '.join(parts)}")
        return frame.with_columns(parts[self.part]().cast(nw.Int64).alias(self.name))


@dataclass(frozen=True, slots=True)
class WasMissing:
    """A column of 1 where another's value is missing, else 0."""

    name: str
    column: str

    def apply(self, frame: Lazy) -> Lazy:
        """Add the column."""
        import narwhals as nw

        dtype = _dtype(frame, self.column, "WasMissing")
        return frame.with_columns(plain_value(self.column, dtype).is_null().cast(nw.Int64).alias(self.name))


RULES: tuple[type[Any], ...] = (
    Drop,
    Rename,
    Spell,
    StripEnd,
    Cast,
    Limit,
    Fill,
    DropMissing,
    Compare,
    DaysBetween,
    Ratio,
    DatePart,
    WasMissing,
)
"""All the rules there are."""


def read_rules(plain: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Make rules from dicts: ``{"rule": "Limit", "column": "age", "at_most": 110}``.

    Raises DataError for an unknown rule or field, with the nearest.
    """
    return made_from(plain, RULES, word="rule")


def apply_rules(frame: Lazy, rules: Iterable[Rule]) -> Lazy:
    """Apply rules one after the other: a later one sees what earlier ones made."""
    for rule in rules:
        frame = rule.apply(frame)
    return frame


def _need(frame: Lazy, columns: Iterable[str], rule: str) -> None:
    need_columns(columns, frame.collect_schema(), what=f"Rule {rule} names")


def _need_free(frame: Lazy, name: str, rule: str, *, but: str) -> None:
    if name != but and name in frame.collect_schema():
        raise DataError(f"Rule {rule} makes a column {name!r}, which is there already", hint="choose another name")


def _dtype(frame: Lazy, column: str, rule: str) -> nw.dtypes.DType:
    _need(frame, (column,), rule)
    return frame.collect_schema()[column]


def _need_text(frame: Lazy, column: str, rule: str) -> None:
    dtype = _dtype(frame, column, rule)
    if kind_of(dtype) != "text":
        raise DataError(f"Rule {rule} takes text, but column {column!r} is {dtype}", hint="leave this rule out")


def _need_number(frame: Lazy, column: str, rule: str) -> nw.dtypes.DType:
    dtype = _dtype(frame, column, rule)
    if not dtype.is_numeric():
        raise DataError(
            f"Rule {rule} takes numbers, but column {column!r} is {dtype}",
            hint=f"check it with IsKind({column!r}, 'number') in validate, which reads it as numbers",
        )
    return dtype


def _need_time(frame: Lazy, column: str, rule: str) -> Kind:
    dtype = _dtype(frame, column, rule)
    kind = kind_of(dtype)
    if kind not in ("date", "datetime"):
        raise DataError(
            f"Rule {rule} takes dates, but column {column!r} is {dtype}",
            hint=f"check it with IsKind({column!r}, 'date') in validate, which reads it as dates",
        )
    return kind


def _no_text() -> nw.Expr:
    import narwhals as nw

    return nw.lit(None, nw.String)
