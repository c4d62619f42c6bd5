"""Checks of a table as a whole: no row is to blame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from headrace.core.errors import DataError, near_miss
from headrace.steps.checks.base import NUMBERS, TIMES, WholeCheck, span, within
from headrace.steps.kinds import KINDS, Kind

TYPES = (
    *KINDS,
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("float32", "float64", "decimal", "string", "categorical", "time", "duration", "binary", "list", "struct"),
)
"""The names of types: our six kinds, and those of the columns' own types."""

Statistic = str
STATISTICS = ("mean", "std", "median", "sum", "min", "max", "n_distinct", "share_distinct")
Measure = Literal["psi", "js", "ks", "tv"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True)
class MissingShare(WholeCheck):
    """At most a share of the values is missing, in the table as a whole: no row is to blame.

    With ``severity="error"`` the step fails where more are. ``at_most`` is a share from 0 to 1.
    """

    column: str
    at_most: float

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        if not 0 <= self.at_most <= 1:
            raise DataError(
                f"0 <= at_most <= 1 must hold, but got at_most={self.at_most!r}", hint="give a share, such as 0.2"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"at most {self.at_most:.3g} of {self.column} is missing"


@dataclass(frozen=True, slots=True)
class Columns(WholeCheck):
    """The table has these columns; with ``exact`` no others, with ``ordered`` in this order."""

    names: tuple[str, ...]
    exact: bool = False
    ordered: bool = False

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        object.__setattr__(self, "names", (self.names,) if isinstance(self.names, str) else tuple(self.names))
        _refuse_where(self)

    @property
    def says(self) -> str:
        """The rule in words."""
        shown = f"{', '.join(self.names[:8])}{f' and {len(self.names) - 8} more' if len(self.names) > 8 else ''}"
        return f"columns {shown}{' and no others' if self.exact else ''}{' in this order' if self.ordered else ''}"


@dataclass(frozen=True, slots=True)
class HasType(WholeCheck):
    """The column is stored as a type: one of the kinds ("integer", "text"), or a type's own name ("int32")."""

    column: str
    type: str

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        if self.type not in TYPES:
            raise DataError(f"{self.type!r} is no type of column ({self.column!r})", hint=near_miss(self.type, TYPES))
        _refuse_where(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} is stored as {self.type}"


@dataclass(frozen=True, slots=True)
class RowCount(WholeCheck):
    """The number of rows lies between two bounds, both included."""

    at_least: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        within(self.at_least, self.at_most, "RowCount()")

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"number of rows within {span(self.at_least, self.at_most)}"


@dataclass(frozen=True, slots=True)
class Aggregate(WholeCheck):
    """A statistic of a column lies between two bounds, both included. Missing values don't count.

    ``statistic`` is mean, std (of a sample), median, quantile:Q (linear between neighbours), sum, min, max,
    n_distinct or share_distinct (of the values that are there). Of a column without values only counts are known;
    the others don't hold there, and neither does a NaN, such as the mean of two opposite infinities.
    """

    column: str
    statistic: Statistic
    at_least: float | date | datetime | str | None = None
    at_most: float | date | datetime | str | None = None
    strict_low: bool = False
    strict_high: bool = False

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        if self.statistic not in STATISTICS and self.quantile is None:
            raise DataError(
                f"There is no statistic {self.statistic!r} (column {self.column!r})",
                hint=near_miss(self.statistic, STATISTICS) or f"{', '.join(STATISTICS)} or quantile:0.9",
            )
        if self.statistic in ("min", "max"):
            for name in ("at_least", "at_most"):
                object.__setattr__(self, name, _time(getattr(self, name)))
        within(self.at_least, self.at_most, f"{self.statistic} of {self.column!r}")

    @property
    def quantile(self) -> float | None:
        """Which quantile it is about, from 0 to 1; None if it isn't."""
        if self.statistic == "median":
            return 0.5
        found = re.fullmatch(r"quantile:(0|1|0?\.[0-9]+|[01]\.0*)", self.statistic)
        return float(found[1]) if found else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.statistic} of {self.column} within {span(self.at_least, self.at_most)}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        if self.statistic in ("n_distinct", "share_distinct"):
            return ()
        is_of_times = isinstance(self.at_least, date) or isinstance(self.at_most, date)
        return TIMES if is_of_times else NUMBERS


def _time(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
    except ValueError:
        raise DataError(f"{given!r} is no day or moment", hint="such as '2024-01-31'") from None


@dataclass(frozen=True, slots=True)
class Fresh(WholeCheck):
    """The newest time of a column is at most so long before ``at``: the data isn't stale.

    ``within`` is such as ``"2 days"``, ``"36 hours"`` or ``"90 minutes"``. ``at`` is a pipeline's date, say. Where it
    is left out, it is the moment when the check runs (UTC), by which a step's result is no longer the same each time:
    give it in a pipeline. A newest time after ``at`` doesn't hold either.
    """

    column: str
    within: str
    at: date | datetime | str | None = None

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        object.__setattr__(self, "at", _time(self.at))
        _ = self.span

    @property
    def span(self) -> timedelta:
        """How old it may be."""
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(week|day|hour|minute|second)s?\s*", self.within)
        if found is None:
            raise DataError(f"{self.within!r} is no length of time", hint="such as '2 days' or '36 hours'")
        return timedelta(**{f"{found[2]}s": float(found[1])})

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"newest {self.column} within {self.within} before {self.at or 'now'}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return TIMES


@dataclass(frozen=True, slots=True)
class SameDistribution(WholeCheck):
    """A column is distributed as a reference is, within a limit. Missing values don't count.

    ``reference`` are pairs of a bin and its share. For text the bins are the values, all others one more bin. For
    numbers they are the bins' upper edges, rising: a value belongs to the first bin whose edge isn't below it, the
    last bin has no edge (None). Shares are made to add up to one.

    ``measure``: "psi" (population stability index, empty bins counted as 0.0001), "js" (Jensen-Shannon distance, base
    2), "tv" (total variation: the share that would have to move), "ks" (the largest difference of the cumulated
    shares at the bins' edges; numbers only).
    """

    column: str
    reference: tuple[tuple[str | float | None, float], ...]
    measure: Measure = "psi"
    at_most: float = 0.2

    def __post_init__(self) -> None:
        WholeCheck.__post_init__(self)
        pairs = tuple((name, float(share)) for name, share in self.reference)
        object.__setattr__(self, "reference", pairs)
        if self.measure not in MEASURES:
            raise DataError(f"There is no measure {self.measure!r}", hint=near_miss(self.measure, MEASURES))
        if not pairs or sum(share for _, share in pairs) <= 0 or any(share < 0 for _, share in pairs):
            raise DataError(f"The reference of {self.column!r} has no shares above 0", hint="give (bin, share) pairs")
        edges = self.edges
        if edges is not None and (sorted(set(edges)) != list(edges) or pairs[-1][0] is not None):
            raise DataError(
                f"The reference's edges of {self.column!r} must rise, and the last bin have none",
                hint="such as ((10, 0.3), (20, 0.5), (None, 0.2))",
            )
        if edges is None and self.measure == "ks":
            raise DataError(f"'ks' compares numbers, but {self.column!r} has a reference of text")

    @property
    def edges(self) -> tuple[float, ...] | None:
        """The bins' upper edges without the last one's; None where the bins are values."""
        names = [name for name, _ in self.reference if name is not None]
        return None if any(isinstance(name, str) for name in names) else tuple(float(name) for name in names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.measure} of {self.column} against its reference at most {self.at_most:g}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text",) if self.edges is None else NUMBERS


def _refuse_where(check: WholeCheck) -> None:
    if check.where is not None:
        raise DataError(f"{type(check).__name__} isn't about rows: it takes no where")
