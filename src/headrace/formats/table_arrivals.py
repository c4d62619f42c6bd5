"""Stored parts as any library's table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.core.errors import FormatError
from headrace.formats.arrow_types import Categories, innermost, list_sizes
from headrace.formats.files import reading

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

SCAN_ROWS = 1 << 16


def open_part(path: str) -> Any:
    """Open a part's footer. Raises FormatError for bytes that are no Parquet file."""
    from pyarrow import parquet

    with reading(f"A table's part ({path})"):
        return parquet.ParquetFile(path)


def stored_schema(paths: Sequence[str]) -> pa.Schema:
    """Read the stored schema, marks included, from the first part's footer."""
    with open_part(paths[0]) as part:
        return part.schema_arrow


def stored_batches(paths: Sequence[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    """Read the parts in order, at most ``n_rows`` at a time, as they are stored."""
    for path in paths:
        with open_part(path) as part, reading(f"A table's part ({path})"):
            yield from part.iter_batches(batch_size=n_rows)


def stored_arrow(paths: Sequence[str]) -> pa.Table:
    """Read all parts as they are stored."""
    import pyarrow as pa

    tables = []
    for path in paths:
        with open_part(path) as part, reading(f"A table's part ({path})"):
            tables.append(part.read())
    return pa.concat_tables(tables)


def as_arrow(stored: pa.Table) -> pa.Table:
    """Give an Arrow table: categories become dictionaries, in their declared order."""
    import pyarrow as pa

    columns = []
    for field, column in zip(stored.schema, stored.columns, strict=True):
        mark = Categories.of_field(field)
        if sizes := list_sizes(field):
            columns.append(column.cast(_fixed_size_type(field.type, sizes)))
        else:
            columns.append(column if mark is None else pa.chunked_array([_dictionary(column, field.type, mark)]))
    return pa.table(columns, names=stored.column_names)


def _fixed_size_type(kind: pa.DataType, sizes: list[int]) -> pa.DataType:
    import pyarrow as pa

    made = innermost(kind, len(sizes))
    for size in reversed(sizes):
        made = pa.list_(made, size)
    return made


def _dictionary(column: pa.ChunkedArray, kind: pa.DataType, mark: Categories) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    listed = pa.array(mark.values, kind) if mark.values is not None else column.unique().drop_null()
    if isinstance(listed, pa.ChunkedArray):
        listed = listed.combine_chunks()
    indices = pc.index_in(column, value_set=listed)
    if isinstance(indices, pa.ChunkedArray):
        indices = pa.concat_arrays(indices.chunks) if indices.num_chunks else pa.array([], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, listed, ordered=mark.is_ordered)


def as_pandas(stored: pa.Table) -> pd.DataFrame:
    """Give a pandas table with a fresh RangeIndex.

    Whole numbers and booleans with missing values arrive in pandas' nullable types, as floats would round numbers
    beyond 2^53 and objects would lose the type. Missing floats are NaN, missing text is the text type's own.
    """
    import pandas as pd

    frame = stored.replace_schema_metadata(None).to_pandas(ignore_metadata=True)
    for field, column in zip(stored.schema, stored.columns, strict=True):
        mark = Categories.of_field(field)
        if mark is not None:
            values = None if mark.values is None else list(mark.values)
            frame[field.name] = frame[field.name].astype(pd.CategoricalDtype(values, ordered=mark.is_ordered))
        elif column.null_count and (kind := _nullable_dtype(field.type)) is not None:
            frame[field.name] = pd.Series(kind.__from_arrow__(column), index=frame.index, name=field.name)
    return frame


def _nullable_dtype(kind: pa.DataType) -> Any:
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if not pa.types.is_integer(kind):
        return None
    name = str(kind)
    return getattr(pd, f"{'UInt' if name.startswith('u') else 'Int'}{name.lstrip('uint')}Dtype")()


def scan_polars(paths: Sequence[str]) -> pl.LazyFrame:
    """Open the parts lazily with Polars: an enum where categories were declared, else a categorical."""
    import polars as pl

    schema = stored_schema(paths)
    frame = pl.scan_parquet(list(paths), glob=False)
    return restore_polars(frame, schema)


def restore_polars(frame: pl.LazyFrame, schema: pa.Schema) -> pl.LazyFrame:
    """Make marked columns categories again."""
    import polars as pl
    import pyarrow as pa

    casts = []
    for field in schema:
        mark = Categories.of_field(field)
        if sizes := list_sizes(field):
            casts.append(pl.col(field.name).cast(_polars_array(field.type, sizes)))
        elif mark is not None and pa.types.is_string(field.type):
            kind = pl.Categorical() if mark.values is None else pl.Enum(mark.values)
            casts.append(pl.col(field.name).cast(kind))
    return frame.with_columns(casts) if casts else frame


def _polars_array(kind: pa.DataType, sizes: list[int]) -> Any:
    import polars as pl
    import pyarrow as pa

    item = pl.DataFrame(pa.table({"item": pa.array([], innermost(kind, len(sizes)))})).schema["item"]
    return pl.Array(item, tuple(sizes))


def scan_duckdb(paths: Sequence[str]) -> duckdb.DuckDBPyRelation:
    """Open the parts as a relation on DuckDB's default connection, so that relations of several tables can be joined.

    Durations are stored as whole numbers in Parquet and become intervals here.
    """
    import duckdb

    schema = stored_schema(paths)
    if len(schema) == 0:
        raise FormatError(
            "A table without columns can't be opened with DuckDB", hint="take it as a Polars or Arrow table"
        )
    relation = duckdb.read_parquet([_without_glob(path) for path in paths])
    projected = [_duckdb_column(field) for field in schema]
    return relation.project(", ".join(projected)) if any(" AS " in column for column in projected) else relation


def _without_glob(path: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def _duckdb_column(field: pa.Field) -> str:
    import pyarrow as pa

    name: str = field.name
    quoted = '"' + name.replace('"', '""') + '"'
    if not pa.types.is_duration(field.type):
        return quoted
    to_microseconds = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "// 1000"}[field.type.unit]
    return f"to_microseconds(({quoted} {to_microseconds})::BIGINT) AS {quoted}"
