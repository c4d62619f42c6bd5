"""Checks compiled to the columns of one scan: which rows break a rule, and what else has to be counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.steps.checks import (
    TIMES,
    Aggregate,
    Check,
    Expression,
    ForeignKey,
    Fresh,
    HasType,
    InOrder,
    IsKind,
    MissingShare,
    NotMissing,
    OrderCheck,
    RowCheck,
    SameDistribution,
)
from headrace.steps.checks.base import Values
from headrace.steps.checks.rows import KeyCheck
from headrace.steps.checks.values import raw
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.parsing import as_kind, plain_value
from headrace.steps.rooms import with_hashes
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

SEEN = "__headrace_seen "
EXACT_HASHES = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32")
"""Types whose values are their own hashes."""


@dataclass(slots=True)
class Columns:
    """The columns of the scan, made once each."""

    made: dict[str, nw.Expr] = field(default_factory=dict)
    names: dict[object, str] = field(default_factory=dict)

    def add(self, kind: str, key: object, expr: nw.Expr) -> str:
        """Ask for a column, and give its name: the same for the same key."""
        name = self.names.get((kind, key))
        if name is None:
            name = f"{kind}_{len(self.made)}"
            self.made[name] = expr.alias(name)
            self.names[kind, key] = name
        return name


@dataclass(frozen=True, slots=True)
class Suite:
    """Checks compiled over one frame.

    ``bad`` and ``passed_over`` name the columns that say, for a check's number, which rows break it and which it
    doesn't look at; ``hashes``, ``values`` and ``keys`` those that are looked at in the rows' order.
    """

    checks: tuple[Check, ...]
    source: Lazy
    schema: Mapping[str, nw.dtypes.DType]
    values: Mapping[str, nw.Expr]
    """Each column as checks see it."""
    read: Mapping[str, nw.Expr]
    """The columns that `IsKind` reads as another type."""
    scan: Lazy | None
    """What is to be read; None if the number of rows is all."""
    bad: Mapping[int, str]
    passed_over: Mapping[int, str]
    hashes: Mapping[int, str]
    are_exact: frozenset[int]
    """The checks whose hashes are the values themselves."""
    numbers: Mapping[int, str]
    keys: Mapping[int, tuple[str, ...]]
    nans: Mapping[str, str]
    """For columns that being read as a number changes only where they hold a NaN, what counts those."""


def compiled(frame: Lazy, checks: Sequence[Check], strays: Mapping[int, Any]) -> Suite:
    """Compile checks over a frame. ``strays`` says which `ForeignKey` has keys that don't stand in its table.

    Raises DataError for a column that isn't there, or of a kind that a check can't look at.
    """

    schema = frame.collect_schema()
    kinds = {check.column: check.kind for check in checks if isinstance(check, IsKind)}
    for check in checks:
        need_columns(check.looks_at, schema, what=f"The rule '{check.rule}' looks at")
        refuse_kind(check, {name: kinds.get(name) or kind_of(schema[name]) for name in check.looks_at})
    seen = {name for check in checks for name in check.looks_at}
    if any(isinstance(check, KeyCheck) and not check.columns for check in checks):
        seen |= set(schema)
    values, prepared = _values(schema, kinds, seen)
    maker = _Maker(Values(values, {name: kinds.get(name) or kind_of(schema[name]) for name in schema}), schema)
    for number, check in enumerate(checks):
        maker.add(number, check, is_stray=number in strays)
    scan = None
    if maker.columns.made:
        narrow = frame.select(*(name for name in schema if name in seen))
        narrow = narrow.with_columns(*prepared) if prepared else narrow
        narrow = narrow.select(*maker.columns.made.values())
        scan = narrow if not maker.hashed else _hashed(narrow, maker)
    read = {name: as_kind(name, schema[name], kind) for name, kind in kinds.items() if _changes(schema[name], kind)}
    return Suite(
        tuple(checks), frame, schema, {name: _value(schema, kinds, name) for name in seen}, read, scan,
        maker.bad, maker.passed_over, maker.hashes, frozenset(maker.exact), maker.numbers, maker.keys, maker.nans,
    )  # fmt: skip


def _hashed(frame: Lazy, maker: _Maker) -> Lazy:
    """Hash keys where they stand, and leave the keys themselves behind."""
    parts = {part for key in maker.hashed.values() for part in key}
    kept = [name for name in maker.columns.made if name not in parts or name in maker.needed_parts]
    return with_hashes(frame, maker.hashed).select(*kept, *maker.hashed)


def _value(schema: Mapping[str, nw.dtypes.DType], kinds: Mapping[str, Kind], name: str) -> nw.Expr:
    import narwhals as nw

    kind = kinds.get(name)
    if kind in (None, "text") and _is_coded(schema[name]):
        return nw.col(name).cast(nw.String)
    return plain_value(name, schema[name]) if kind is None else as_kind(name, schema[name], kind)


def _values(
    schema: Mapping[str, nw.dtypes.DType], kinds: Mapping[str, Kind], seen: Iterable[str]
) -> tuple[dict[str, nw.Expr], list[nw.Expr]]:
    """Give the columns as checks see them, and those that have to be made for it."""
    import narwhals as nw

    values: dict[str, nw.Expr] = {}
    prepared: list[nw.Expr] = []
    for name in sorted(seen):
        if schema[name].is_float() or _is_coded(schema[name]) or _changes(schema[name], kinds.get(name)):
            prepared.append(_value(schema, kinds, name).alias(f"{SEEN}{name}"))
            values[name] = nw.col(f"{SEEN}{name}")
        else:
            values[name] = nw.col(name)
    return values, prepared


def _is_coded(dtype: nw.dtypes.DType) -> bool:
    """Say whether a column's text is kept as categories: Polars knows no patterns and lengths of those."""
    import narwhals as nw

    return isinstance(dtype, nw.Categorical | nw.Enum)


def _changes(dtype: nw.dtypes.DType, kind: Kind | None) -> bool:
    """Say whether a column of that type is made another by being read as a kind."""
    import narwhals as nw

    if kind is None or kind_of(dtype) != kind:
        return kind is not None
    return kind == "number" and (dtype.is_float() or dtype != nw.Float64)


class _Maker:
    """Makes the scan's columns, check by check."""

    def __init__(self, values: Values, schema: Mapping[str, nw.dtypes.DType]) -> None:
        self.columns = Columns()
        self._values = values
        self._schema = schema
        self.bad: dict[int, str] = {}
        self.passed_over: dict[int, str] = {}
        self.hashes: dict[int, str] = {}
        self.exact: set[int] = set()
        self.numbers: dict[int, str] = {}
        self.keys: dict[int, tuple[str, ...]] = {}
        self.hashed: dict[str, tuple[str, ...]] = {}
        self.needed_parts: set[str] = set()
        self.nans: dict[str, str] = {}

    def add(self, number: int, check: Check, *, is_stray: bool) -> None:
        """Ask for what a check needs."""
        if isinstance(check, IsKind):
            self._add_raw(check)
        if isinstance(check, RowCheck):
            self.bad[number] = self.columns.add("bad", number, self._only(check, check.violation(self._values)))
        elif isinstance(check, MissingShare):
            key = ("missing", check.column, check.where)
            self.bad[number] = self.columns.add("bad", key, self._only(check, self._values[check.column].is_null()))
        self._pass_over(number, check)
        if isinstance(check, KeyCheck):
            self._hash(number, check)
        elif isinstance(check, ForeignKey) and is_stray:
            names = [self.columns.add("key", (name, check.where), self._masked(check, name)) for name in check.columns]
            self.keys[number] = tuple(names)
            self.needed_parts.update(names)
        elif isinstance(check, OrderCheck | Fresh) or _is_of_numbers(check):
            name = check.columns[0]
            self.numbers[number] = self.columns.add("key", (name, check.where), self._masked(check, name))
            self.needed_parts.add(self.numbers[number])

    def _add_raw(self, check: IsKind) -> None:
        import narwhals as nw

        dtype = self._schema[check.column]
        self._values[raw(check.column)] = plain_value(check.column, dtype)
        if check.kind == "number" and dtype == nw.Float64:
            is_nan = nw.col(check.column).is_nan().fill_null(False)
            self.nans[check.column] = self.columns.add("over", ("nan", check.column), is_nan)

    def _pass_over(self, number: int, check: Check) -> None:
        """Ask for the rows that a check doesn't look at, so that they are counted."""
        key, unlooked = self._unlooked(number, check)
        outside = self._outside(check)
        if unlooked is None and outside is None:
            return
        both = unlooked if outside is None else outside if unlooked is None else unlooked | outside
        assert both is not None
        self.passed_over[number] = self.columns.add("over", (key, check.where), both)

    def _unlooked(self, number: int, check: Check) -> tuple[object, nw.Expr | None]:
        """Say which rows can't be looked at for want of a value; with a name for it that checks may share."""
        import narwhals as nw

        if not check.columns or isinstance(check, NotMissing | MissingShare | HasType):
            return None, None
        if type(check).is_looked_at is not Check.is_looked_at:
            looked = check.is_looked_at(self._values)
            return number, None if looked is None else ~looked
        missing = [self._values[name].is_null() for name in check.columns]
        return check.columns, missing[0] if len(missing) == 1 else nw.any_horizontal(*missing, ignore_nulls=True)

    def _outside(self, check: Check) -> nw.Expr | None:
        condition = check.condition
        return None if condition is None else ~condition.expr(self._values).fill_null(False)

    def _only(self, check: Check, violation: nw.Expr) -> nw.Expr:
        outside = self._outside(check)
        return violation if outside is None else violation & ~outside

    def _masked(self, check: Check, name: str) -> nw.Expr:
        """A column's values, missing where ``where`` isn't true."""
        import narwhals as nw

        outside = self._outside(check)
        return self._values[name] if outside is None else nw.when(~outside).then(self._values[name])

    def _hash(self, number: int, check: KeyCheck) -> None:
        names = check.columns or tuple(self._schema)
        key = (names, check.where)
        if len(names) == 1 and type(self._schema[names[0]]).__name__ in EXACT_HASHES:
            import narwhals as nw

            self.hashes[number] = self.columns.add(
                "hash", key, self._masked(check, names[0]).cast(nw.Int64).fill_null(0)
            )
            self.exact.add(number)
            return
        parts = tuple(self.columns.add("key", (name, check.where), self._masked(check, name)) for name in names)
        name = f"hash of {number}"
        self.hashed[name] = parts
        self.hashes[number] = name


def _is_of_numbers(check: Check) -> bool:
    """Say whether a check of the whole needs a column's numbers, one by one."""
    if isinstance(check, SameDistribution):
        return check.edges is not None
    if not isinstance(check, Aggregate) or check.quantile is not None:
        return False
    return check.statistic not in ("n_distinct", "share_distinct")


def refuse_kind(check: Check, kinds: Mapping[str, Kind | None]) -> None:
    """Raise DataError where a check looks at a column of a kind that it can't compare."""
    condition = check.condition
    if condition is not None:
        condition.check(kinds)
    if isinstance(check, Expression):
        check.formula.check(kinds)
    own = {name: kinds[name] for name in check.columns}
    wrong = next((name for name, kind in own.items() if check.takes and kind not in check.takes), None)
    if wrong is not None:
        raise DataError(
            f"The rule '{check.rule}' is for columns of kind {' or '.join(check.takes)}, "
            f"but {wrong!r} is {kinds[wrong] or 'of no kind that is checked'}",
            hint=f"add IsKind({wrong!r}, {_advised(check)!r}), which sets the rows aside that can't be read so",
        )
    if len(check.takes) > 2 and len({kind in TIMES for kind in own.values()}) > 1:
        raise DataError(f"The rule '{check.rule}' compares a time with a number", hint="name two times or two numbers")


def _advised(check: Check) -> Kind:
    return "date" if isinstance(check, InOrder) else check.takes[0]
