"""Expectations about a column or a table as a whole that `headrace.steps.checks` doesn't have, and keys and orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headrace.core.errors import DataError
from headrace.steps.checks.base import NUMBERS, TIMES, Apart, Check, Seen, WholeCheck
from headrace.steps.great_expectations.rows import Ignore, Value, looked_at
from headrace.steps.kinds import Kind

if TYPE_CHECKING:
    import narwhals as nw

Compared = Literal["in", "contain", "equal"]
_COMPARED_WORDS: dict[Compared, str] = {"in": "are among", "contain": "contain", "equal": "are"}
Interpolation = Literal["nearest", "linear", "lower", "higher", "midpoint"]


def _listed(values: tuple[object, ...]) -> str:
    more = f" and {len(values) - 8} more" if len(values) > 8 else ""
    return ", ".join(str(value) for value in values[:8]) + more


class OwnScan(Apart):
    """Evaluated by `headrace.steps.great_expectations.evaluating`."""

    __slots__ = ()

    @staticmethod
    def evaluate(table: object, checks: Sequence[Check]) -> Sequence[Seen]:
        """Say of each check what it finds."""
        from headrace.steps.great_expectations.evaluating import ROW, Wanted, evaluate

        seen = []
        for found in evaluate(table, checks, Wanted(None)):
            if found.error is not None:
                raise found.error
            seen.append(Seen(found.success, found.observed, () if found.rows is None else found.rows[ROW].to_list()))
        return seen


# --- rows among the others ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCheck(OwnScan, Check):
    """A check of a row among the others that are looked at."""

    ignore: Ignore = "any"

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say which rows aren't passed over."""
        return looked_at(values, self.columns, self.ignore)


@dataclass(frozen=True, slots=True)
class AllDistinct(WindowCheck):
    """No two rows have the same key: all of them break the rule, the first too. Missing parts are the same."""

    key: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's columns."""
        return self.key

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.key)} in one row only"


@dataclass(frozen=True, slots=True)
class Ordered(WindowCheck):
    """No value is less (``falling``: more) than the last one before it that is looked at."""

    column: str
    falling: bool = False
    strict: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        never = "falls" if self.falling else "rises"
        return (
            f"{self.column} {never} from row to row"
            if self.strict
            else f"{self.column} never {'rises' if self.falling else 'falls'}"
        )

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return (*NUMBERS, *TIMES)


@dataclass(frozen=True, slots=True)
class WithinDeviations(WindowCheck):
    """The value is fewer than so many standard deviations (of a sample) from the mean of those looked at."""

    column: str
    threshold: float
    double_sided: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return (
            f"{self.column} less than {self.threshold} deviations {'from' if self.double_sided else 'above'} its mean"
        )

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return NUMBERS


@dataclass(frozen=True, slots=True)
class ByGreatExpectations(OwnScan, WholeCheck):
    """An expectation that Great Expectations itself runs: see `headrace.steps.great_expectations.running`.

    It holds or doesn't for the table as a whole: no row is set aside for it.
    """

    expectation: str
    arguments: str
    """Its arguments as JSON."""

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.expectation} {self.arguments}"


# --- whole columns ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DistinctValues(OwnScan, WholeCheck):
    """The column's distinct values are among those listed, contain them, or are just these."""

    column: str
    values: tuple[Value, ...]
    compared: Compared

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"distinct values of {self.column} {_COMPARED_WORDS[self.compared]} {_listed(self.values)}"


@dataclass(frozen=True, slots=True)
class MostCommon(OwnScan, WholeCheck):
    """The most common value is one of those listed; with ``ties_okay`` one of several that are as common."""

    column: str
    values: tuple[Value, ...]
    ties_okay: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"most common {self.column} one of {_listed(self.values)}"


@dataclass(frozen=True, slots=True)
class Quantiles(OwnScan, WholeCheck):
    """Each quantile lies between its bounds, both included."""

    column: str
    quantiles: tuple[float, ...]
    ranges: tuple[tuple[float | None, float | None], ...]
    interpolation: Interpolation = "nearest"

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        if len(self.quantiles) != len(self.ranges):
            raise DataError(f"{len(self.quantiles)} quantiles of {self.column!r} have {len(self.ranges)} ranges")
        for low, high in self.ranges:
            if low is not None and high is not None and low > high:
                raise DataError(f"low <= high must hold for a quantile of {self.column!r}, but got {low} and {high}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"quantiles {', '.join(f'{q:g}' for q in self.quantiles)} of {self.column} within their ranges"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return NUMBERS


@dataclass(frozen=True, slots=True)
class ThereShare(OwnScan, WholeCheck):
    """The share of rows that have a value lies between two bounds."""

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
        low, high = ("" if bound is None else bound for bound in (self.at_least, self.at_most))
        return f"share of {self.column} that is there within {low}..{high}"


# --- the table's form ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HasColumn(OwnScan, WholeCheck):
    """The table has a column of that name, at a place counted from 0 where one is given."""

    name: str
    place: int | None = None

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"column {self.name}" if not self.place else f"column {self.name} at place {self.place}"


@dataclass(frozen=True, slots=True)
class ColumnCount(OwnScan, WholeCheck):
    """The number of columns lies between two bounds."""

    at_least: int | None = None
    at_most: int | None = None

    @property
    def says(self) -> str:
        """The rule in words."""
        low, high = ("" if bound is None else bound for bound in (self.at_least, self.at_most))
        return f"number of columns within {low}..{high}"


@dataclass(frozen=True, slots=True)
class ColumnSet(OwnScan, WholeCheck):
    """The table has these columns; with ``exact`` no others, with ``ordered`` in this order and no others."""

    names: tuple[str, ...]
    exact: bool = True
    ordered: bool = False

    @property
    def says(self) -> str:
        """The rule in words."""
        only = " and no others" if self.exact or self.ordered else ""
        return f"columns {_listed(self.names)}{only}{' in this order' if self.ordered else ''}"


@dataclass(frozen=True, slots=True)
class CountOfRows(OwnScan, WholeCheck):
    """The number of rows looked at lies between two bounds."""

    at_least: float | None = None
    at_most: float | None = None
    strict_low: bool = False
    strict_high: bool = False

    @property
    def says(self) -> str:
        """The rule in words."""
        low, high = ("" if bound is None else bound for bound in (self.at_least, self.at_most))
        return f"number of rows within {low}..{high}"


@dataclass(frozen=True, slots=True)
class StatisticBetween(OwnScan, WholeCheck):
    """A statistic of a column lies between two bounds: min, max, mean, median, std, sum, n_distinct, share_distinct."""

    column: str
    statistic: str
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
        low, high = ("" if bound is None else bound for bound in (self.at_least, self.at_most))
        return f"{self.statistic} of {self.column} within {low}..{high}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        if self.statistic in ("n_distinct", "share_distinct"):
            return ()
        if self.statistic in ("min", "max"):
            return (*NUMBERS, *TIMES, "text")
        return (*NUMBERS, "boolean")
