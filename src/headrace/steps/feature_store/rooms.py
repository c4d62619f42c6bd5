"""What Narwhals can't say of times and as-of joins: one small room for each engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

TIMESTAMPTZ_NS = "TIMESTAMPTZ_NS"
"""DuckDB's nanoseconds with a zone, a type that Narwhals 2.29 doesn't know."""


def with_microseconds(frame: Lazy, columns: Mapping[str, str]) -> Lazy:
    """Add dates and datetimes as whole microseconds since 1970-01-01T00:00 (UTC, where they have a zone).

    ``columns``: what each is called, and the column that it is made from.
    """
    import narwhals as nw
    import polars as pl

    native: Any = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        return nw.from_native(
            native.with_columns(
                pl.col(column).dt.epoch("us").cast(pl.Int64).alias(name) for name, column in columns.items()
            )
        )
    from duckdb import StarExpression

    types = dict(zip(native.columns, map(str, native.types), strict=True))
    made = [_duckdb_microseconds(column, types[column]).alias(name) for name, column in columns.items()]
    return _lazy(native.select(StarExpression(), *made))


def _duckdb_microseconds(column: str, kind: str) -> Any:
    from duckdb import ColumnExpression, ConstantExpression, FunctionExpression

    moment = ColumnExpression(column)
    if kind not in ("TIMESTAMP_NS", TIMESTAMPTZ_NS):
        return FunctionExpression("epoch_us", moment)
    # Down to the microsecond before, as Polars does it: a cast would round.
    value, thousand = FunctionExpression("epoch_ns", moment), ConstantExpression(1000)
    rest = FunctionExpression("mod", FunctionExpression("mod", value, thousand) + thousand, thousand)
    return (value - rest) // thousand


def with_known_types(frame: Lazy) -> Lazy:
    """Make microseconds of the one type of time that Narwhals doesn't know."""
    import polars as pl

    native: Any = frame.to_native()
    if isinstance(native, pl.LazyFrame) or not (unknown := _nanoseconds_with_zone(native)):
        return frame
    from duckdb import ColumnExpression

    columns = [(name, ColumnExpression(name)) for name in native.columns]
    cast = [value.cast("TIMESTAMPTZ").alias(name) if name in unknown else value for name, value in columns]
    return _lazy(native.select(*cast))


def _nanoseconds_with_zone(relation: Any) -> set[str]:
    return {name for name, kind in zip(relation.columns, relation.types, strict=True) if str(kind) == TIMESTAMPTZ_NS}


def as_of(left: Lazy, right: Lazy, at: str, since: str, keys: Sequence[str]) -> Lazy:
    """Add to each row of the left the last of the right with its keys and ``since <= at``; missing keys meet none."""
    import narwhals as nw
    import polars as pl

    native, other = left.sort(at).to_native(), right.sort(since).to_native()
    if isinstance(native, pl.LazyFrame):
        # What Narwhals calls warns that it can't check the order within keys, which the sort above has made.
        return nw.from_native(
            native.join_asof(other, left_on=at, right_on=since, by=list(keys), check_sortedness=False)
        )
    return left.join_asof(right, left_on=at, right_on=since, by_left=list(keys), by_right=list(keys))


def _lazy(native: Any) -> Lazy:
    import narwhals as nw

    frame: Lazy = nw.from_native(native)
    return frame
