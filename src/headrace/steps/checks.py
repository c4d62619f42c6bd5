"""Checks: what must hold for a table, as plain frozen data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from headrace.core.errors import DataError
from headrace.steps.from_plain import made_from
from headrace.steps.kinds import Kind, check_kind

if TYPE_CHECKING:
    import narwhals as nw

Severity = Literal["error", "warn"]
"""What a violation means: ``"error"`` sets the row aside, ``"warn"`` only counts it."""


NUMBERS: tuple[Kind, ...] = ("integer", "number")
TIMES: tuple[Kind, ...] = ("date", "datetime")


class Check(Protocol):
    """One rule about a table.

    A check is a frozen dataclass, so it can stand in a plan. It looks at single rows (`violation`), unless it is
    about the table as a whole (`Unique`, `MissingShare`), which `validate` knows by itself.
    """

    @property
    def severity(self) -> Severity:
        """What a violation means."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        ...

    @property
    def rule(self) -> str:
        """The rule in words, such as ``"age within 18..110"``."""
        ...

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at; empty for all."""
        ...


class RowCheck(Check, Protocol):
    """A check that each row passes or fails by itself."""

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows break the rule, given the expressions of the columns (NaN is missing in them).

        Never null. What is missing breaks no rule but `NotMissing`.
        """
        ...


@dataclass(frozen=True, slots=True)
class IsKind:
    """The column's values can be read as a kind; in the good rows they then are.

    Text is read as `ingest` reads it: numbers with a point, ISO 8601 days and moments that exist in the calendar,
    "true" and "false". A whole number in a column of kind "number" is fine; a fraction in one of kind "integer"
    isn't.
    """

    column: str
    kind: Kind
    severity: Severity = "error"

    def __post_init__(self) -> None:
        check_kind(self.kind, column=self.column)
        if self.severity == "warn":
            raise DataError(
                f"IsKind({self.column!r}, {self.kind!r}) can't only warn: a column has one kind",
                hint="leave severity at 'error', so that rows that don't fit are set aside",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{self.column} is {'an' if self.kind == 'integer' else 'a'} {self.kind}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ()


@dataclass(frozen=True, slots=True)
class NotMissing:
    """Every row has a value."""

    column: str
    severity: Severity = "error"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{self.column} is there"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ()

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have none."""
        return values[self.column].is_null()


@dataclass(frozen=True, slots=True)
class MissingShare:
    """At most a share of the values is missing, in the table as a whole: no row is to blame.

    With ``severity="error"`` the step fails where more are. ``at_most`` is a share from 0 to 1.
    """

    column: str
    at_most: float
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if not 0 <= self.at_most <= 1:
            raise DataError(
                f"0 <= at_most <= 1 must hold, but got at_most={self.at_most!r}", hint="give a share, such as 0.2"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"at most {self.at_most:.3g} of {self.column} is missing"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ()


@dataclass(frozen=True, slots=True)
class InRange:
    """The value lies between two bounds, both included; one may be left out. Missing values pass, infinite ones don't.

    For numbers, days and moments; bounds of days may be given as ``"2024-01-31"``.
    """

    column: str
    at_least: float | date | datetime | str | None = None
    at_most: float | date | datetime | str | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        for name in ("at_least", "at_most"):
            object.__setattr__(self, name, _bound(getattr(self, name), f"{name} of {self.column!r}"))
        low, high = self.at_least, self.at_most
        if low is None and high is None:
            raise DataError(f"InRange({self.column!r}) has no bound", hint="give at_least, at_most or both")
        if low is not None and high is not None and not low <= high:  # type: ignore[operator]
            raise DataError(f"at_least <= at_most must hold, but got {low!r} and {high!r} for {self.column!r}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        low = "" if self.at_least is None else str(self.at_least)
        high = "" if self.at_most is None else str(self.at_most)
        return f"{self.column} within {low}..{high}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return TIMES if isinstance(self.at_least or self.at_most, date) else NUMBERS

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows lie outside."""
        import narwhals as nw

        value = values[self.column]
        outside: list[nw.Expr] = []
        if self.at_least is not None:
            outside.append(value < self.at_least)
        if self.at_most is not None:
            outside.append(value > self.at_most)
        if not isinstance(self.at_least or self.at_most, date):
            outside += [value == float("inf"), value == float("-inf")]
        return nw.any_horizontal(*(o.fill_null(False) for o in outside), ignore_nulls=True)


def _bound(given: object, what: str) -> object:
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
    except ValueError:
        raise DataError(f"{given!r} is no day or moment ({what})", hint="such as '2024-01-31'") from None


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of those listed. Missing values pass."""

    column: str
    values: tuple[str | int | float | bool, ...]
    severity: Severity = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise DataError(f"OneOf({self.column!r}) lists no value", hint="list those that are allowed")
        kinds = {type(value).__name__ for value in self.values}
        if kinds == {"int", "float"}:
            object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        elif len(kinds) > 1:
            raise DataError(
                f"OneOf({self.column!r}) lists values of several kinds: {', '.join(sorted(kinds))}",
                hint="a column has one kind: list text, numbers or booleans",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        more = f" and {len(self.values) - 8} more" if len(self.values) > 8 else ""
        return f"{self.column} one of {', '.join(str(v) for v in self.values[:8])}{more}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        kinds = {type(value) for value in self.values}
        return ("text",) if kinds == {str} else ("boolean",) if kinds == {bool} else NUMBERS

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows have another value."""
        value = values[self.column]
        return ~(value.is_in(list(self.values)) | value.is_null()).fill_null(True)


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole text matches a regular expression. Missing values pass.

    The pattern may use what Python and Rust both know: no look-around, no back-references.
    """

    column: str
    pattern: str
    severity: Severity = "error"

    def __post_init__(self) -> None:
        import re

        try:
            re.compile(self.pattern)
        except re.error as error:
            raise DataError(f"{self.pattern!r} is no regular expression: {error} (column {self.column!r})") from None
        if re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]", self.pattern):
            raise DataError(
                f"{self.pattern!r} uses look-around or a back-reference (column {self.column!r})",
                hint="engines that read tables don't know them: say it without",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{self.column} like {self.pattern}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ("text",)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows don't match."""
        return ~values[self.column].str.contains(f"^(?:{self.pattern})$").fill_null(True)


@dataclass(frozen=True, slots=True)
class InOrder:
    """One column's value isn't after another's: a sign-up not after the snapshot. Rows where one is missing pass."""

    earlier: str
    later: str
    severity: Severity = "error"

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.earlier, self.later)

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{self.earlier} not after {self.later}"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return (*NUMBERS, *TIMES)

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say which rows are the wrong way round."""
        return (values[self.earlier] > values[self.later]).fill_null(False)


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows have the same key: the first stays, later ones break the rule. A key with a missing part passes."""

    key: tuple[str, ...]
    severity: Severity = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (self.key,) if isinstance(self.key, str) else tuple(self.key))
        if not self.key:
            raise DataError("Unique() names no column", hint="give the key's columns")

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's columns."""
        return self.key

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.key)} unique"

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return ()


CHECKS: tuple[type[Any], ...] = (IsKind, NotMissing, MissingShare, InRange, OneOf, Matches, InOrder, Unique)
"""All the checks there are."""


def read_checks(plain: Iterable[Mapping[str, Any]]) -> tuple[Check, ...]:
    """Make checks from dicts: ``{"check": "InRange", "column": "age", "at_least": 18}``.

    Raises DataError for an unknown check or field, with the nearest.
    """
    return made_from(plain, CHECKS, word="check")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    rule: str
    check: str
    columns: tuple[str, ...]
    severity: Severity
    n_bad: int
    share: float
    """Bad rows among all, from 0 to 1; for `MissingShare` the share of missing values."""
    examples: tuple[str, ...] = ()
    """Up to five offending values, in the rows' order."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return self.n_bad == 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What `validate` found. ``n_rows == n_good + n_quarantined`` always."""

    __headrace_one_value__: ClassVar[bool] = True

    n_rows: int
    n_good: int
    n_quarantined: int
    findings: tuple[Finding, ...] = field(default=())
