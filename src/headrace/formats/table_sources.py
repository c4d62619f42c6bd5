"""Any library's table as a schema and batches of bounded size."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.core.errors import FormatError
from headrace.formats.arrow_types import Categories, canonical_batch, canonical_schema
from headrace.formats.declared import type_name
from headrace.formats.known import TABLE_TYPES
from headrace.formats.table_rows import PickedRows

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class TableSource:
    """A table that can be read once, in order."""

    schema: pa.Schema
    batches: Iterable[pa.Table]
    categories: dict[str, Categories] = field(default_factory=dict)

    def canonical(self) -> tuple[pa.Schema, Iterator[pa.Table]]:
        """Give the stored schema, and the batches cast to it."""
        schema = canonical_schema(self.schema, self.categories)
        return schema, self._cast(schema)

    def _cast(self, schema: pa.Schema) -> Iterator[pa.Table]:
        with ExitStack() as at_end:
            if isinstance(self.batches, Generator):
                at_end.callback(self.batches.close)
            for batch in self.batches:
                yield canonical_batch(batch, schema)


def is_table_value(value: object) -> bool:
    """Say whether a value is one of the table types."""
    return type_name(type(value)) in TABLE_TYPES


def source_of(table: object) -> TableSource | PickedRows:
    """Open a table of any of the libraries. Raises FormatError for another value or a column that can't be stored."""
    if isinstance(table, PickedRows):
        return table
    library = type(table).__module__.partition(".")[0]
    if not is_table_value(table):
        raise FormatError(
            f"A table is declared, but got a {type_name(type(table))}",
            hint="return a pyarrow, Polars, pandas or DuckDB table",
        )
    if library == "pyarrow":
        return _from_arrow(table)
    if library == "polars":
        return (
            _from_polars_lazy(table)
            if hasattr(table, "collect_schema") and hasattr(table, "collect_batches")
            else _from_polars(table)
        )
    if library == "pandas":
        return _from_pandas(table)
    if library in ("duckdb", "_duckdb"):
        return _from_duckdb(table)
    if library == "narwhals":
        return _from_narwhals(table)
    raise FormatError(f"A {type_name(type(table))} isn't a table with batches", hint="pass what it wraps")


def _from_arrow(table: Any) -> TableSource:
    if table.num_columns == 0 and table.num_rows:
        raise _no_columns(table.num_rows)
    return TableSource(table.schema, (table.slice(start, BATCH_ROWS) for start in range(0, table.num_rows, BATCH_ROWS)))


def _from_polars(frame: Any) -> TableSource:
    if frame.width == 0 and frame.height:
        raise _no_columns(frame.height)
    schema, categories = _polars_schema(frame.schema)
    return TableSource(schema, (part.to_arrow() for part in frame.iter_slices(BATCH_ROWS)), categories)


def _from_polars_lazy(frame: Any) -> TableSource:
    """Stream a lazy frame: Polars runs it batch by batch and waits while a batch is written."""
    schema, categories = _polars_schema(frame.collect_schema())
    batches = frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True, engine="streaming")
    return TableSource(schema, (part.to_arrow() for part in batches), categories)


def _polars_schema(schema: Any) -> tuple[pa.Schema, dict[str, Categories]]:
    import polars as pl
    import pyarrow as pa

    for name, kind in schema.items():
        if _holds_objects(kind):
            # Arrow would get the objects' addresses.
            raise _no_arrow_type(name, kind)
    try:
        empty = pl.DataFrame(schema=schema).to_arrow()
    except (pl.exceptions.PolarsError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        name, kind = next((name, kind) for name, kind in schema.items() if not _is_arrow_dtype(kind))
        raise _no_arrow_type(name, kind) from error
    categories = {
        name: Categories(tuple(kind.categories.to_list()), is_ordered=True)
        for name, kind in schema.items()
        if isinstance(kind, pl.Enum)
    }
    return empty.schema, categories


def _holds_objects(kind: Any) -> bool:
    import polars as pl

    nested = [getattr(kind, "inner", None), *(field.dtype for field in getattr(kind, "fields", ()))]
    return bool(kind == pl.Object) or any(_holds_objects(item) for item in nested if item is not None)


def _no_arrow_type(name: str, kind: object) -> FormatError:
    return FormatError(
        f"The type '{kind}' of column {name!r} can't be stored in a table",
        hint="cast the column to a type that Arrow has",
    )


def _is_arrow_dtype(kind: Any) -> bool:
    import polars as pl
    import pyarrow as pa

    try:
        pl.DataFrame(schema={"column": kind}).to_arrow()
    except (pl.exceptions.PolarsError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _from_pandas(frame: Any) -> TableSource:
    import pandas as pd
    import pyarrow as pa

    _refuse_index(frame, pd)
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise FormatError(
            f"A stored table's column names are text, but a pandas table has {odd[0]!r} ({type(odd[0]).__name__})",
            hint="frame.columns = [str(name) for name in frame.columns]",
        )
    if frame.columns.has_duplicates:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))[:5]
        raise FormatError(
            f"A table has more than one column named {', '.join(map(repr, twice))}",
            hint="rename them: a stored table's column names are unique",
        )
    try:
        with warnings.catch_warnings():
            # pandas 3.1 deprecates what pyarrow 26 asks of columns with a time zone; it can go with pyarrow's next.
            warnings.simplefilter("ignore", DeprecationWarning)
            table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        detail = "; ".join(str(part) for part in error.args)
        raise FormatError(
            f"A pandas table can't be stored: {detail}",
            hint="give the column one type, such as frame['x'].astype('string')",
        ) from error
    if table.num_columns == 0 and len(frame):
        raise _no_columns(len(frame))
    categories = {
        name: Categories(_category_values(frame[name]), bool(frame[name].cat.ordered))
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    table = table.replace_schema_metadata(None)
    return TableSource(table.schema, _from_arrow(table).batches, categories)


def _category_values(column: Any) -> tuple[Any, ...]:
    values = tuple(column.cat.categories.tolist())
    if not all(isinstance(value, str | int | float | bool) for value in values):
        kind = type(values[0]).__name__
        raise FormatError(
            f"Column {column.name!r} has categories of type {kind!r}, which can't be stored",
            hint="make them text: column.astype(str).astype('category')",
        )
    return values


def _refuse_index(frame: Any, pd: Any) -> None:
    index = frame.index
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None:
        return
    names = [name for name in index.names if name is not None]
    shown = f"named {', '.join(map(repr, names))}" if names else f"of type {type(index).__name__}"
    raise FormatError(
        f"A pandas table with an index {shown} can't be stored, as other libraries' tables have none",
        hint="frame.reset_index() keeps it as a column, frame.reset_index(drop=True) leaves it out",
    )


def _from_duckdb(relation: Any) -> TableSource:
    import pyarrow as pa

    if len(set(relation.columns)) < len(relation.columns):
        canonical_schema(pa.schema([(name, pa.null()) for name in relation.columns]), {})
    # Without rows: an open reader keeps the whole connection from other queries, also after the table was refused.
    natural = relation.limit(0).to_arrow_table().schema
    return TableSource(pa.schema([_in_utc(field) for field in natural]), _duckdb_batches(relation))


def _duckdb_batches(relation: Any) -> Iterator[pa.Table]:
    import pyarrow as pa

    reader = relation.to_arrow_reader(BATCH_ROWS)
    try:
        for batch in reader:
            yield pa.Table.from_batches([batch])
    finally:
        reader.close()


def _in_utc(column: pa.Field) -> pa.Field:
    """DuckDB keeps instants and names the session's time zone beside them: it is no part of the data."""
    import pyarrow as pa

    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    return column.with_type(pa.timestamp(column.type.unit, tz="UTC")) if zoned else column


def _from_narwhals(frame: Any) -> TableSource | PickedRows:
    native = frame.to_native()
    if not is_table_value(native):
        raise FormatError(
            f"A narwhals frame over a {type_name(type(native))} can't be stored",
            hint="collect it into a Polars or Arrow table",
        )
    return source_of(native)


def _no_columns(n_rows: int) -> FormatError:
    return FormatError(
        f"A table with {n_rows} rows and no column can't be stored", hint="keep a column, or return the number of rows"
    )
