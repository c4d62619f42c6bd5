"""Between a `Table` and Narwhals' lazy frames: all that the steps know about tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from headrace.core.errors import DataError, near_miss
from headrace.formats.table import Table

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

    Lazy = nw.LazyFrame[Any]
    """A lazy frame of whichever engine."""


def scan(table: object, *, in_order: bool = False) -> Lazy:
    """Open a table lazily. In plain calls any frame that Narwhals knows passes for one.

    ``in_order`` is for what `headrace.steps.rooms` does: Polars opens the table then, whichever engine is set.
    """
    import narwhals as nw

    if isinstance(table, Table):
        return table.scan("polars" if in_order else None)
    if in_order:
        return Table.of(table).scan("polars")
    frame: Any = nw.from_native(cast("Any", table))
    return cast("Lazy", frame.lazy())


def table_of(frame: Lazy) -> Table:
    """Make a table of a lazy frame, without reading it."""
    return Table.of(frame.to_native())


def collect(frame: Lazy) -> pl.DataFrame:
    """Read a frame whole, in its order. For what is small, or has to be in memory (a model's matrix)."""
    import polars as pl

    native = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        return native.collect(engine="streaming")
    return cast("pl.DataFrame", frame.collect("polars").to_native())


def need_columns(names: Iterable[str], known: Iterable[str], *, what: str) -> None:
    """Raise DataError, with the nearest name, where a column isn't there."""
    there = list(known)
    for name in names:
        if name not in there:
            raise DataError(f"{what} column {name!r}, which the table doesn't have", hint=near_miss(name, there))
