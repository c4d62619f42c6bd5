"""A table as blocks of rows, cut at the same rows whichever engine reads it and however it batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.formats.arrow_types import canonical_schema
from headrace.formats.parquet_writer import row_group_rows
from headrace.steps.rooms import arrow_batches
from headrace.steps.tables import need_columns, scan

if TYPE_CHECKING:
    import pyarrow as pa


def open_blocks(table: object, columns: Sequence[str] | None = None) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Give a table's stored schema (of some columns), and its rows in blocks of one contiguous array a column.

    A block holds as many rows as a stored row group does, which follows from the schema alone.
    """
    frame = scan(table)
    names = list(frame.collect_schema())
    if columns is not None:
        need_columns(columns, names, what="The profile looks at")
    n_rows = row_group_rows([None] * len(names))
    chosen = names if columns is None else list(columns)
    schema, batches = arrow_batches(frame.select(*chosen), n_rows)
    return canonical_schema(schema, {}), _cut(batches, n_rows)


def _cut(batches: Iterator[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    """Cut and join batches to exactly ``n_rows`` each, the last one excepted."""
    import pyarrow as pa

    held: list[pa.Table] = []
    n_held = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, n_rows - n_held)
            held.append(piece)
            n_held += piece.num_rows
            start += piece.num_rows
            if n_held == n_rows:
                yield pa.concat_tables(held)
                held, n_held = [], 0
    if n_held:
        yield pa.concat_tables(held)
