"""Checks of rows across columns, and of a row among the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.checks.base import NUMBERS, TIMES, Check, RowCheck
from headrace.steps.checks.expressions import Formula, parse
from headrace.steps.kinds import Kind

if TYPE_CHECKING:
    import narwhals as nw


@dataclass(frozen=True, slots=True)
class InOrder(RowCheck):
    """One column's value isn't after another's: a sign-up not after the snapshot. Rows where one is missing pass."""

    earlier: str
    later: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.earlier, self.later)

    @property
    def says(self) -> str:
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
class Expression(RowCheck):
    """What an expression across columns says is true: ``"fee * months <= total"``.

    The language is told in `headrace.steps.checks.expressions`; ``where`` is written in it too. Rows for which it
    can't be told, as a value is missing, pass.
    """

    expression: str

    def __post_init__(self) -> None:
        RowCheck.__post_init__(self)
        if not self.formula.columns:
            raise DataError(f"The expression {self.expression!r} names no column")

    @property
    def formula(self) -> Formula:
        """The expression, read."""
        return parse(self.expression)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return self.formula.columns

    @property
    def says(self) -> str:
        """The rule in words."""
        return self.expression

    def violation(self, values: Mapping[str, nw.Expr]) -> nw.Expr:
        """Say for which rows it is false."""
        return ~self.formula.expr(values).fill_null(True)

    def is_looked_at(self, values: Mapping[str, nw.Expr]) -> nw.Expr | None:
        """Say for which rows it can be told."""
        return ~self.formula.expr(values).is_null()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck(Check):
    """A check that rows are told apart by their columns: the first stays, later ones break the rule."""

    def __post_init__(self) -> None:
        Check.__post_init__(self)


@dataclass(frozen=True, slots=True)
class Unique(KeyCheck):
    """No two rows have the same key: the first stays, later ones break the rule. A key with a missing part passes."""

    key: tuple[str, ...] | str
    """Becomes a tuple."""

    def __post_init__(self) -> None:
        KeyCheck.__post_init__(self)
        object.__setattr__(self, "key", (self.key,) if isinstance(self.key, str) else tuple(self.key))
        if not self.key:
            raise DataError("Unique() names no column", hint="give the key's columns")

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's columns."""
        return _names(self.key)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.columns)} unique"


@dataclass(frozen=True, slots=True)
class NoDuplicates(KeyCheck):
    """No two rows are the same in all columns: the first stays. Missing values are the same as each other."""

    @property
    def says(self) -> str:
        """The rule in words."""
        return "no row stands twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCheck(Check):
    """A check of a value against the last one before it that isn't missing, in the rows' order. Missing ones pass."""

    column: str
    strict: bool = False

    def __post_init__(self) -> None:
        Check.__post_init__(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of column that it can look at."""
        return (*NUMBERS, *TIMES)

    @property
    def is_rising(self) -> bool:
        """Whether values may not fall."""
        return isinstance(self, Increasing)


@dataclass(frozen=True, slots=True)
class Increasing(OrderCheck):
    """No value is less than the one before it; with ``strict``, each is more. Missing values are passed over."""

    column: str
    strict: bool = False

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} rises from row to row" if self.strict else f"{self.column} never falls"


@dataclass(frozen=True, slots=True)
class Decreasing(OrderCheck):
    """No value is more than the one before it; with ``strict``, each is less. Missing values are passed over."""

    column: str
    strict: bool = False

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} falls from row to row" if self.strict else f"{self.column} never rises"


@dataclass(frozen=True, slots=True)
class ForeignKey(Check):
    """The key stands in another table, which is given to `validate` by name. A key with a missing part passes.

    ``column`` is one column or several; ``to`` are those of the other table, by default of the same names.
    """

    column: tuple[str, ...] | str
    table: str
    to: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        Check.__post_init__(self)
        for name in ("column", "to"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        object.__setattr__(self, "to", self.to or self.column)
        if not self.column or len(self.column) != len(self.to):
            raise DataError(
                f"ForeignKey has {len(self.column)} columns, but {len(self.to)} in table {self.table!r}",
                hint="name as many on both sides",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's columns in this table."""
        return _names(self.column)

    @property
    def theirs(self) -> tuple[str, ...]:
        """The key's columns in the other table."""
        return _names(self.to)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.columns)} stands in {self.table}.{' + '.join(self.theirs)}"


def _names(given: tuple[str, ...] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given
