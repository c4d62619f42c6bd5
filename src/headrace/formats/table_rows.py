"""Some rows of a table, named by their numbers: nothing is read until it is opened, and parts without any are kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import FormatError
from headrace.formats.table_arrivals import open_part

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa

    from headrace.formats.table import Table

FEW_GROUPS = 2
BATCH_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class PickedRows:
    """Rows of a table in their order: those that a mask marks, or with ``are_left_out`` all others.

    Parts of which no row is left out keep their bytes where the table is stored; the others are written anew, each as
    a part of its own. ``beside`` are columns for the picked rows.
    """

    table: Table
    mask: np.ndarray[Any, Any]
    """A truth value for each of the table's rows."""
    are_left_out: bool = False
    beside: pa.Table | None = None
    columns: tuple[str, ...] | None = None
    """Which columns; None for all."""

    @property
    def _read_schema(self) -> pa.Schema:
        """The types of the table's columns that are read."""
        import pyarrow as pa

        schema = self.table.schema
        return schema if self.columns is None else pa.schema([schema.field(name) for name in self.columns])

    @property
    def schema(self) -> pa.Schema:
        """The stored columns' types."""
        schema = self._read_schema
        for field in () if self.beside is None else self.beside.schema:
            schema = schema.append(field)
        return schema

    @property
    def kept(self) -> np.ndarray[Any, Any]:
        """A truth value for each row: whether it is in."""
        return ~self.mask if self.are_left_out else self.mask

    def canonical(self) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """Give the stored schema, and the rows in batches."""
        return self.schema, self.batches()

    def batches(self) -> Iterator[pa.Table]:
        """Read the rows in order. Row groups without any are passed over where the table is stored."""
        n_given = 0
        for batch in self._picked():
            if self.beside is not None:
                more = self.beside.slice(n_given, batch.num_rows)
                for name in more.column_names:
                    batch = batch.append_column(more.schema.field(name), more.column(name))
            n_given += batch.num_rows
            yield batch
        if n_given != self.n_rows:
            raise _changed(self.n_rows, n_given)

    def _picked(self) -> Iterator[pa.Table]:
        import pyarrow as pa

        kept = self.kept
        if self.table.paths:
            yield from _of_parts(self.table.paths, kept, self.columns, self._read_schema)
            return
        start = 0
        for batch, n_rows in _whole(self.table, kept, self.columns):
            wanted = kept[start : start + n_rows]
            start += n_rows
            if wanted.any():
                yield batch if wanted.all() else batch.filter(pa.array(wanted))

    def polars(self) -> pl.LazyFrame:
        """Open the rows as a Polars lazy frame."""
        import polars as pl

        frame = _marked(self.table.polars(), self.kept)
        if self.beside is None:
            return frame
        beside = pl.from_arrow(self.beside)
        assert isinstance(beside, pl.DataFrame)
        return pl.concat([frame, beside.lazy()], how="horizontal")

    @property
    def n_rows(self) -> int:
        """How many rows are in."""
        return int(self.kept.sum())

    def save(self, folder: Path) -> None:
        """Write the rows as parts. A stored table's parts of which nothing is left out are copied."""
        from headrace.formats.parquet_writer import part_name, write_parts

        if not (self.are_left_out and self.table.paths):
            write_parts(self.schema, self.batches(), folder)
            return
        start = n_made = 0
        for path in self.table.paths:
            with open_part(str(path)) as part:
                n_rows = part.metadata.num_rows
            left_out = self.mask[start : start + n_rows]
            start += n_rows
            if not left_out.any():
                shutil.copyfile(path, folder / part_name(n_made))
                n_made += 1
            elif not left_out.all():
                self._rewrite(path, left_out, folder / part_name(n_made))
                n_made += 1
        if start != len(self.mask):
            raise _changed(len(self.mask), start)
        if n_made == 0:
            write_parts(self.schema, iter(()), folder)

    def _rewrite(self, path: Path, left_out: np.ndarray[Any, Any], made: Path) -> None:
        from headrace.formats.parquet_writer import write_part
        from headrace.formats.table import Table

        rows = PickedRows(Table([path]), left_out, are_left_out=True)
        write_part(self.schema, rows.batches(), made)


def _changed(n_wanted: int, n_read: int) -> FormatError:
    return FormatError(
        f"{n_wanted} rows were to be read, but there were {n_read}",
        hint="the table gave other rows than when it was looked at: store it first, or give its query an order",
    )


def _of_parts(
    paths: Sequence[Path], kept: np.ndarray[Any, Any], columns: tuple[str, ...] | None, schema: pa.Schema
) -> Iterator[pa.Table]:
    """Read some rows of stored parts: by their row groups where few hold any, else by parts (twice as fast)."""
    from headrace.formats.arrow_types import canonical_batch

    start = 0
    for path in paths:
        with open_part(str(path)) as part:
            sizes = [part.metadata.row_group(number).num_rows for number in range(part.metadata.num_row_groups)]
            wanted = kept[start : start + sum(sizes)]
            start += len(wanted)
            starts = [sum(sizes[:number]) for number in range(len(sizes))]
            groups = [n for n, (at, size) in enumerate(zip(starts, sizes, strict=True)) if wanted[at : at + size].any()]
            if len(groups) > FEW_GROUPS:
                batches = _by_part(path, wanted, columns, schema)
            else:
                batches = (
                    _of_group(part.read_row_group(n, columns=columns), wanted[starts[n] : starts[n] + sizes[n]])
                    for n in groups
                )
            for batch in batches:
                yield canonical_batch(batch, schema)


def _of_group(group: pa.Table, wanted: np.ndarray[Any, Any]) -> pa.Table:
    import pyarrow as pa

    return group if wanted.all() else group.filter(pa.array(wanted))


def _by_part(
    path: Path, wanted: np.ndarray[Any, Any], columns: tuple[str, ...] | None, schema: pa.Schema
) -> Iterator[pa.Table]:
    import polars as pl

    frame = pl.scan_parquet(path, glob=False)
    frame = _marked(frame if columns is None else frame.select(columns), wanted)
    for batch in frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True, engine="streaming"):
        yield batch.to_arrow()


def _marked(frame: pl.LazyFrame, kept: np.ndarray[Any, Any]) -> pl.LazyFrame:
    """The rows of a frame that are marked."""
    import polars as pl

    name = "\0kept"
    marks = pl.Series(name, kept).to_frame().lazy()
    return pl.concat([frame, marks], how="horizontal").filter(pl.col(name)).drop(name)


def _whole(table: Table, kept: np.ndarray[Any, Any], columns: tuple[str, ...] | None) -> Iterator[tuple[pa.Table, int]]:
    """Read any table by its batches, up to the last row that is kept."""
    import numpy as np
    import pyarrow as pa

    n_left = int(np.flatnonzero(kept)[-1]) + 1 if kept.any() else 0
    # Closed at once: DuckDB takes no other work while a result is open.
    opened: Any = table.batches()
    with closing(opened) as batches:
        while n_left > 0 and (batch := next(batches, None)) is not None:
            n_left -= batch.num_rows
            whole = pa.Table.from_batches([batch])
            yield (whole if columns is None else whole.select(list(columns))), batch.num_rows
