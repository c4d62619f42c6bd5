"""A view's rows as they were known: the one place that says which row tells of an entity at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.formats.table import Table, TableLike
from headrace.steps.feature_store.rooms import with_known_types, with_microseconds
from headrace.steps.feature_store.view import FeatureView
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.tables import need_columns, scan

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]
    Schema = Mapping[str, nw.dtypes.DType]

KEY_KINDS = ("integer", "text", "date", "boolean")
TIMESTAMP, CREATED, KNOWN = "_timestamp", "_created", "_known"
"""Columns of `rows_of`, in microseconds since 1970; a row is known from the later of its timestamp and creation on."""


def opened(table: TableLike) -> Lazy:
    """Open a table on the engine that is set, whatever it is: what is joined must be of one engine."""
    return scan(Table.of(table))


def key_name(number: int) -> str:
    """The name under which `rows_of` has the entity's column of that number."""
    return f"_key_{number}"


def feature_name(number: int) -> str:
    """The name under which `rows_of` has the feature of that number."""
    return f"_feature_{number}"


def key_names(view: FeatureView) -> list[str]:
    """All names of the entity's columns."""
    return [key_name(number) for number in range(len(view.keys))]


def rows_of(view: FeatureView, table: TableLike) -> Lazy:
    """Open a view's rows under fixed names: those that have a key, a timestamp and a creation time.

    Raises DataError where a column isn't there or isn't of a kind that fits.
    """
    import narwhals as nw

    frame = with_known_types(opened(table))
    schema = frame.collect_schema()
    created = view.created or view.timestamp
    where = f"Feature view {view.name!r} names"
    need_columns([*view.keys, view.timestamp, created, *view.features], schema, what=where)
    for column in (view.timestamp, created):
        time_zone(column, schema[column], f"of feature view {view.name!r}")
    frame = with_microseconds(frame, {TIMESTAMP: view.timestamp, CREATED: created})
    keys = [
        key_of(column, schema[column], f"of feature view {view.name!r}").alias(key_name(number))
        for number, column in enumerate(view.keys)
    ]
    values = [
        _feature(view, column, schema[column], kind).alias(feature_name(number))
        for number, (column, kind) in enumerate(view.features.items())
    ]
    frame = frame.select(*keys, TIMESTAMP, CREATED, nw.max_horizontal(TIMESTAMP, CREATED).alias(KNOWN), *values)
    told = [~nw.col(name).is_null() for name in (*key_names(view), TIMESTAMP, CREATED)]
    return frame.filter(nw.all_horizontal(*told, ignore_nulls=False))


def newest(view: FeatureView, rows: Lazy, within: Sequence[str]) -> Lazy:
    """Of the rows that are alike in some columns, the one that tells: see `FeatureView`."""
    order = [TIMESTAMP, CREATED, *(feature_name(number) for number in range(len(view.features)))]
    return rows.unique(list(within), keep="last", order_by=order)


def told_rows(view: FeatureView, rows: Lazy) -> Lazy:
    """The rows that tell from the moment on at which they are known, at most one for each entity and moment.

    Then what tells of an entity at a moment is the newest of these that is known, so that a plain as-of join finds it.
    Why: let the rows of an entity come to be known one after the other (of several at once only the one that outdoes
    the others can ever tell). A row that is outdone by one that was known before it is so for ever, and is left out.
    Each that stays outdoes all before it: the last of them is the greatest of all that are known. And of two rows that
    became known at different moments the later outdoes the earlier exactly if its timestamp isn't older: with equal
    timestamps it was created later, as else it would have been known as early.
    """
    import narwhals as nw

    keys = key_names(view)
    rows = newest(view, rows, [*keys, KNOWN])
    if view.created is None:
        return rows
    return rows.filter(nw.col(TIMESTAMP) == nw.col(TIMESTAMP).cum_max().over(*keys, order_by=KNOWN))


def key_of(column: str, dtype: nw.dtypes.DType, where: str) -> nw.Expr:
    """Give a key's column in the one type of its kind, so that keys of two tables can be compared."""
    import narwhals as nw

    kind = kind_of(dtype)
    if kind not in KEY_KINDS:
        raise DataError(
            f"Column {column!r} {where} is {dtype}, which is no key", hint=f"make it {', '.join(KEY_KINDS)} first"
        )
    value = nw.col(column)
    return value.cast(nw.Int64) if kind == "integer" else value.cast(nw.String) if kind == "text" else value


def time_zone(column: str, dtype: nw.dtypes.DType, where: str) -> bool:
    """Say whether a column of times has a time zone. Raises DataError where it holds no times."""
    if kind_of(dtype) not in ("date", "datetime"):
        raise DataError(
            f"Column {column!r} {where} is {dtype}, but is to be a date or datetime",
            hint="read it as one when the table is ingested",
        )
    return getattr(dtype, "time_zone", None) is not None


def _feature(view: FeatureView, column: str, dtype: nw.dtypes.DType, kind: Kind) -> nw.Expr:
    import narwhals as nw

    found, value = kind_of(dtype), nw.col(column)
    if found != kind and (found, kind) != ("integer", "number"):
        raise DataError(
            f"Feature {column!r} of view {view.name!r} is declared as {kind}, but the column is {dtype}",
            hint=f"declare it as {found}" if found else "make it a number, text, a time or a boolean first",
        )
    if kind == "number":
        value = value.cast(nw.Float64)
        return nw.when(~value.is_nan()).then(value)
    if kind == "integer":
        return value.cast(nw.Int64)
    return value.cast(nw.String) if kind == "text" else value
