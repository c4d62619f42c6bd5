"""What Narwhals can't say: one small room for each engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from headrace.core.errors import DataError
from headrace.formats.table import Table

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import polars as pl
    import pyarrow as pa

    Lazy = nw.LazyFrame[Any]

BATCH_ROWS = 1 << 16


def arrow_batches(frame: Lazy, n_rows: int) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Run a frame and give its rows in their order, about ``n_rows`` at a time, as Arrow's tables."""
    import polars as pl

    native = frame.to_native()
    if not isinstance(native, pl.LazyFrame) and not hasattr(native, "to_arrow_reader"):
        native = Table.of(native).polars()
    if isinstance(native, pl.LazyFrame):
        schema: pa.Schema = pl.DataFrame(schema=native.collect_schema()).to_arrow().schema
        batches = native.collect_batches(chunk_size=n_rows, maintain_order=True, lazy=True, engine="streaming")
        return schema, (batch.to_arrow() for batch in batches)
    reader = native.to_arrow_reader(n_rows)
    return reader.schema, _tables(reader)


def _tables(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in reader:
        yield pa.Table.from_batches([batch])


def with_row_number(frame: Lazy, name: str) -> Lazy:
    """Number the rows from 0, in their order."""
    import narwhals as nw
    import polars as pl

    native: Any = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        numbered: Any = native.with_row_index(name).with_columns(_int64(name))
    else:
        # DuckDB keeps the order in which rows were read.
        numbered = native.project(f'*, row_number() OVER () - 1 AS "{name}"')
    return cast("Lazy", nw.from_native(numbered))


def batches(frame: Lazy) -> Iterator[nw.DataFrame[Any]]:
    """Read a frame batch by batch in its order, without holding it whole."""
    import narwhals as nw
    import polars as pl

    native: Any = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        found = native.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True, engine="streaming")
        for batch in found:
            yield nw.from_native(batch, eager_only=True)
        return
    reader = _reader(native)
    try:
        for arrow in reader:
            yield nw.from_native(cast("pl.DataFrame", pl.from_arrow(arrow)), eager_only=True)
    finally:
        reader.close()


def _reader(relation: Any) -> Any:
    """Run a relation. DuckDB takes no other work while a result is open: one that was left half read is given up."""
    import duckdb

    try:
        return relation.to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        connection: Any = duckdb.default_connection()
        if "unfinished result" not in str(error) or not hasattr(connection, "abort"):
            raise
        connection.abort()
        return relation.to_arrow_reader(BATCH_ROWS)


def with_hashes(frame: Lazy, keys: Mapping[str, Sequence[str]]) -> Lazy:
    """Add a hash of 64 bits of several columns, for each of the names. Equal values have equal hashes."""
    import narwhals as nw
    import polars as pl

    native: Any = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        made = [(pl.struct(list(key)) if len(key) > 1 else pl.col(key[0])).hash().alias(n) for n, key in keys.items()]
        hashed: Lazy = nw.from_native(native.with_columns(made))
        return hashed
    hashes = [f"hash({', '.join(map(_quoted, key))}) AS {_quoted(name)}" for name, key in keys.items()]
    made_of: Lazy = nw.from_native(native.project(", ".join(["*", *hashes])))
    return made_of


def is_repeated(frame: nw.DataFrame[Any]) -> np.ndarray[Any, Any]:
    """Say which rows of a small frame stood before in it; missing values are the same as each other."""
    import polars as pl

    native = frame.to_native()
    repeated: np.ndarray[Any, Any] = ~native.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    return repeated


def stand_in(rows: nw.DataFrame[Any], others: nw.DataFrame[Any]) -> np.ndarray[Any, Any]:
    """Say which rows of a batch stand in another, small frame of the same columns. Missing values don't."""
    import polars as pl

    native, there = rows.to_native(), others.to_native()
    if len(native.columns) == 1:
        found: np.ndarray[Any, Any] = native.to_series().is_in(there.to_series().implode()).fill_null(False).to_numpy()
        return found
    marked = there.with_columns(pl.lit(True).alias("\0there"))
    joined = native.join(marked, on=native.columns, how="left", maintain_order="left")
    stands: np.ndarray[Any, Any] = joined["\0there"].fill_null(False).to_numpy()
    return stands


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def with_key_share(frame: Lazy, column: str, name: str, *, seed: int | str) -> Lazy:
    """Add each key's place between 0 and 1: ``int(sha256(f"{seed}:{key}").hexdigest()[:13], 16) / 16**13``.

    The key is written as text (whole numbers in decimal digits, days in ISO 8601); a missing one as nothing. DuckDB
    hashes by itself; Polars has no SHA-256, so keys go through the standard library one by one, at about a million
    a second.
    """
    import narwhals as nw
    import polars as pl

    if _is_duckdb(frame):
        return _key_share_in_duckdb(frame, column, name, seed)
    native = _polars(frame, "hashes")
    text = pl.col(column).cast(pl.String).fill_null("")
    share = text.map_batches(lambda keys: _shares(keys, seed), return_dtype=pl.Float64, is_elementwise=True)
    return nw.from_native(native.with_columns(share.alias(name)))


def with_values(frame: Lazy, name: str, values: np.ndarray[Any, Any]) -> Lazy:
    """Add a column of values that are in memory, one for each row in the rows' order."""
    import narwhals as nw
    import polars as pl

    native = _polars(frame, "the rows' order")
    beside = pl.Series(name, values).to_frame().lazy()
    return nw.from_native(pl.concat([native, beside], how="horizontal"))


def _shares(keys: pl.Series, seed: int | str) -> pl.Series:
    from hashlib import sha256

    import numpy as np
    import polars as pl

    start = f"{seed}:".encode()
    digests = b"".join([sha256(start + key.encode()).digest()[:8] for key in keys])
    # The first 13 hexadecimal digits are the upper 52 of these 64 bits: a float holds them all.
    return pl.Series(keys.name, (np.frombuffer(digests, ">u8") >> np.uint64(12)).astype(np.float64) / 2.0**52)


def _is_duckdb(frame: Lazy) -> bool:
    return type(frame.to_native()).__module__.partition(".")[0] in ("duckdb", "_duckdb")


def _key_share_in_duckdb(frame: Lazy, column: str, name: str, seed: int | str) -> Lazy:
    import narwhals as nw

    key, new = (f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (column, name))
    digits = f"sha256('{seed}:' || coalesce({key}::VARCHAR, ''))[1:13]"
    relation: Any = frame.to_native()
    projected: Lazy = nw.from_native(
        relation.project(f"*, ('0x' || {digits})::BIGINT / 4503599627370496.0::DOUBLE AS {new}")
    )
    return projected


def _int64(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.Int64)


def _polars(frame: Lazy, what: str) -> pl.LazyFrame:
    import polars as pl

    native = frame.to_native()
    if not isinstance(native, pl.LazyFrame):
        raise DataError(
            f"The engine of this table ({type(native).__module__.partition('.')[0]}) doesn't give {what}",
            hint="open the table on Polars for this step",
        )
    return native
