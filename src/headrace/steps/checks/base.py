"""What all checks have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DataError
from headrace.steps.checks.expressions import Formula, parse
from headrace.steps.kinds import Kind

if TYPE_CHECKING:
    import narwhals as nw

Severity = Literal["error", "warn"]
"""What a violation means: ``"error"`` sets the row aside (or fails the step), ``"warn"`` only counts it."""

NUMBERS: tuple[Kind, ...] = ("integer", "number")
TIMES: tuple[Kind, ...] = ("date", "datetime")


class Values(dict[str, "nw.Expr"]):
    """The expressions of a table's columns as checks see them, and the kind of each."""

    def __init__(self, values: Mapping[str, nw.Expr], kinds: Mapping[str, Kind | None]) -> None:
        super().__init__(values)
        self.kinds = kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule about a table: a frozen dataclass, so that it can stand in a plan.

    Most checks look at single rows (`RowCheck`), some at a row among the others (`KeyCheck`, `OrderCheck`,
    `ReferenceCheck`), some at the table as a whole (`WholeCheck`): no row is to blame for those.
    """

    severity: Severity = "error"
    mostly: float = 1.0
    """The share of the rows looked at that must keep the rule for the check to pass. Rows that break it are set aside
    all the same."""
    where: str | None = None
    """Which rows are looked at, as in `Expression`; all by default."""

    def __post_init__(self) -> None:
        if self.severity not in ("error", "warn"):
            raise DataError(f"severity is 'error' or 'warn', but got {self.severity!r}")
        if not 0 <= self.mostly <= 1:
            raise DataError(
                f"0 <= mostly <= 1 must hold, but got mostly={self.mostly!r}", hint="give a share, such as 0.99"
            )
        if self.where is not None:
            parse(self.where)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is about."""
        return ()

    @property
    def says(self) -> str:
        """The rule in words, without ``where``."""
        raise NotImplementedError

    @property
    def rule(self) -> str:
        """The rule in words, such as ``"age within 18..110"``."""
        return self.says if self.where is None else f"{self.says} where {self.where}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at; empty for all."""
        return ()

    @property
    def condition(self) -> Formula | None:
        """What ``where`` says."""
        return None if self.where is None else parse(self.where)

    @property
    def looks_at(self) -> tuple[str, ...]:
        """All the columns that it needs, those of ``where`` included."""
        condition = self.condition
        more = () if condition is None else condition.columns
        return tuple(dict.fromkeys((*self.columns, *more)))

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows the rule can be told of: those with values in all its columns; None for all rows."""
        import narwhals as nw

        there = [~values[name].is_null() for name in self.columns]
        return nw.all_horizontal(*there, ignore_nulls=True) if there else None


class Apart:
    """What a check is besides that doesn't fit into the others' scan: all such take one of their own together."""

    __slots__ = ()

    @staticmethod
    def evaluate(table: object, checks: Sequence[Check]) -> Sequence[Seen]:
        """Say of each check what it finds."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check that is evaluated apart finds."""

    success: bool
    observed: object = None
    """A statistic; None for a check of rows."""
    rows: Sequence[int] = ()
    """The rows that break it, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck(Check):
    """A check that each row passes or fails by itself."""

    def __post_init__(self) -> None:
        Check.__post_init__(self)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows break the rule, given the expressions of the columns (NaN is missing in them).

        Never null. What is missing breaks no rule but `NotMissing`.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCheck(Check):
    """A check about the table as a whole. It fails the step where it doesn't hold and its severity is "error"."""

    def __post_init__(self) -> None:
        Check.__post_init__(self)
        if self.mostly != 1.0:
            raise DataError(
                f"{type(self).__name__} is about the whole table: it can't hold mostly", hint="leave mostly out"
            )


def within(low: object, high: object, what: str) -> None:
    """Raise DataError where two bounds leave nothing, or there is none."""
    if low is None and high is None:
        raise DataError(f"{what} has no bound", hint="give at_least, at_most or both")
    try:
        one, other = comparable(low, high)
        is_empty = low is not None and high is not None and not one <= other
    except TypeError:
        raise DataError(f"{low!r} and {high!r} can't be compared ({what})", hint="give two of one kind") from None
    if is_empty:
        raise DataError(f"at_least <= at_most must hold, but got {low!r} and {high!r} for {what}")


def comparable(*values: Any) -> tuple[Any, ...]:
    """Make days moments, if some of the values are moments."""
    if not any(isinstance(value, datetime) for value in values):
        return values
    return tuple(
        datetime.combine(value, time()) if isinstance(value, date) and not isinstance(value, datetime) else value
        for value in values
    )


def span(low: object, high: object) -> str:
    """Two bounds in words: ``18..110``."""
    return f"{'' if low is None else low}..{'' if high is None else high}"
