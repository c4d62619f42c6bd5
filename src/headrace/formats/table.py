"""A handle on a table that ready-made steps take and give."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from headrace.core.errors import DefinitionError, near_miss

if TYPE_CHECKING:
    import duckdb
    import narwhals as nw
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from headrace.core.artifact import StoredFile
    from headrace.stores.protocol import Store

    # To a type checker a Table may go wherever a table of any library is declared: it arrives as what was declared.
    _AnyTable: TypeAlias = Any
else:
    _AnyTable = object

ENGINE_VARIABLE = "HEADRACE_TABLE_ENGINE"
ENGINES = ("polars", "duckdb")
Engine: TypeAlias = Literal["polars", "duckdb"]
"""What a table is opened with: Polars (streaming) or DuckDB (within little memory)."""


class Table(_AnyTable):  # type: ignore[misc]
    """A table, opened lazily when it is asked for, with the library that is asked for.

    It stands on stored parts, or on a table of a library that is not yet stored (`Table.of`): storing that one
    streams it, batch by batch. To make one costs nothing, and it works in plain calls without any store. A step that
    declares a `Table` takes any table, and what gives a `Table` fits where a ``polars.DataFrame``, ``pyarrow.Table``
    or other table is declared.

    Rows keep their order, column names are unique. Missing values stay missing in every library; what becomes of
    each type of column is told in `headrace.formats.arrow_types`.

    >>> import polars as pl
    >>> table = Table.of(pl.DataFrame({"plan": ["basic", "plus"], "fee": [9.5, None]}))
    >>> table.columns, table.n_rows
    (['plan', 'fee'], 2)
    >>> table.scan().select("fee").collect().to_native()["fee"].to_list()
    [9.5, None]
    """

    __slots__ = ("_paths", "_pieces", "_source")

    def __init__(
        self, paths: Sequence[str | Path] = (), *, source: object = None, pieces: Sequence[Piece] = ()
    ) -> None:
        """Stand on stored parts in the order of their rows; for anything else there are `of` and `joined`."""
        self._paths = tuple(str(path) for path in paths)
        self._source = source
        self._pieces = tuple(pieces)

    @classmethod
    def of(cls, frame: object) -> Table:
        """Wrap a table or lazy frame of any library, narwhals' included; a `Table` is given back as it is.

        Raises FormatError for another value.
        """
        from headrace.formats.table_sources import is_table_value, source_of

        if isinstance(frame, Table):
            return frame
        if not is_table_value(frame):
            source_of(frame)
        return cls(source=frame)

    @classmethod
    def joined(cls, pieces: Iterable[Piece]) -> Table:
        """Put tables below each other, without reading them. Their columns are the same, in the same order.

        Parts that are stored stay as they are: storing the whole neither reads nor writes them again. So of a table
        that grows, or that is changed in a few places, only what is new is written.

        >>> import polars as pl
        >>> Table.joined([Table.of(pl.DataFrame({"n": [1, 2]})), Table.of(pl.DataFrame({"n": [3]}))]).n_rows
        3
        """
        found = tuple(pieces)
        return found[0] if len(found) == 1 and isinstance(found[0], Table) else cls(pieces=found)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What the table was joined of; none for another one."""
        return self._pieces

    @property
    def paths(self) -> tuple[Path, ...]:
        """The stored parts in the order of their rows, to be read and never changed; none if the table isn't stored."""
        return tuple(Path(path) for path in self._paths)

    @property
    def source(self) -> object:
        """The table of a library that this one was made of; None for a stored one."""
        return self._source

    def scan(self, engine: Engine | None = None) -> nw.LazyFrame[Any]:
        """Open the table as a narwhals lazy frame.

        ``engine`` is "polars" or "duckdb"; not given, it is what the environment variable HEADRACE_TABLE_ENGINE says,
        else "polars". Raises DefinitionError for another name.
        """
        import narwhals as nw

        chosen = engine or os.environ.get(ENGINE_VARIABLE) or ENGINES[0]
        if chosen not in ENGINES:
            raise DefinitionError(f"There is no table engine {chosen!r}", hint=near_miss(chosen, ENGINES))
        opened: Any = self.duckdb() if chosen == "duckdb" else self.polars()
        frame: nw.LazyFrame[Any] = nw.from_native(opened)
        return frame

    def polars(self) -> pl.LazyFrame:
        """Open the table as a Polars lazy frame."""
        from headrace.formats import table_arrivals

        if self._paths:
            return table_arrivals.scan_polars(self._paths)
        if self._pieces:
            import polars as pl

            return pl.concat([table_of(piece).polars() for piece in self._pieces])
        return _polars_of(self._source)

    def arrow(self) -> pa.Table:
        """Read the whole table as an Arrow table; categories are dictionaries."""
        from headrace.formats.table_arrivals import as_arrow

        return as_arrow(self._stored())

    def pandas(self) -> pd.DataFrame:
        """Read the whole table as a pandas one with a fresh RangeIndex.

        Whole numbers and booleans with missing values arrive in pandas' nullable types, missing floats as NaN.
        """
        from headrace.formats.table_arrivals import as_pandas

        return as_pandas(self._stored())

    def duckdb(self) -> duckdb.DuckDBPyRelation:
        """Open the table as a relation on DuckDB's default connection."""
        from headrace.formats.table_arrivals import scan_duckdb

        if self._paths:
            return scan_duckdb(self._paths)
        if self._pieces:
            first, *others = (table_of(piece).duckdb() for piece in self._pieces)
            return functools.reduce(lambda whole, piece: whole.union(piece), others, first)
        return _duckdb_of(self._source, self)

    def batches(self, n_rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Read the table in order, at most ``n_rows`` rows at a time, without holding it whole."""
        from headrace.formats.table_arrivals import stored_batches

        if self._paths:
            yield from stored_batches(self._paths, n_rows)
            return
        if self._pieces:
            for piece in self._pieces:
                yield from table_of(piece).batches(n_rows)
            return
        for batch in self._open_source()[1]:
            yield from batch.to_batches(max_chunksize=n_rows)

    @property
    def schema(self) -> pa.Schema:
        """The stored columns' Arrow types, from a footer: nothing is read."""
        from headrace.formats.table_arrivals import stored_schema

        if self._paths:
            return stored_schema(self._paths)
        if self._pieces:
            return table_of(self._pieces[0]).schema
        schema: pa.Schema = self._open_source()[0]
        return schema

    @property
    def columns(self) -> list[str]:
        """The columns' names in order."""
        names: list[str] = self.schema.names
        return names

    @property
    def n_rows(self) -> int:
        """The number of rows: from the parts' footers; a lazy frame that isn't stored is run to count them."""
        from headrace.formats.table_arrivals import open_part

        if self._pieces:
            return sum(table_of(piece).n_rows for piece in self._pieces)
        if not self._paths:
            return _count_rows(self._source)
        total = 0
        for path in self._paths:
            with open_part(path) as part:
                total += part.metadata.num_rows
        return total

    def _open_source(self) -> tuple[pa.Schema, Iterator[pa.Table]]:
        from headrace.formats.table_sources import source_of

        return source_of(self._source).canonical()

    def _stored(self) -> pa.Table:
        """The whole table in its stored form."""
        import pyarrow as pa

        from headrace.formats.table_arrivals import stored_arrow

        if self._paths:
            return stored_arrow(self._paths)
        if self._pieces:
            return pa.concat_tables([table_of(piece)._stored() for piece in self._pieces])
        schema, batches = self._open_source()
        return pa.concat_tables([schema.empty_table(), *batches])

    def __repr__(self) -> str:
        if self._pieces:
            return f"Table.joined({len(self._pieces)} pieces)"
        if self._paths:
            return f"Table({len(self._paths)} stored {'part' if len(self._paths) == 1 else 'parts'})"
        return f"Table.of({type(self._source).__module__.partition('.')[0]} {type(self._source).__name__})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._paths, self._source, self._pieces)


@dataclass(frozen=True)
class KeptParts:
    """Parts of a table that a store holds, not opened as yet: they may stand in a table without being read."""

    store: Store
    files: tuple[StoredFile, ...]
    """In the order of their rows."""

    def open(self) -> Table:
        """Open them. Raises DamagedObjectError where one is gone or altered."""
        return Table([self.store.open_object(file.digest, n_bytes=file.n_bytes) for file in self.files])


Piece: TypeAlias = "Table | KeptParts"
"""What a table is joined of."""


def table_of(piece: Piece) -> Table:
    """Give a piece as a table."""
    return piece.open() if isinstance(piece, KeptParts) else piece


def _rebuild(paths: tuple[str, ...], source: object, pieces: tuple[Piece, ...] = ()) -> Table:
    return Table(paths, source=source, pieces=pieces)


def _native(source: Any) -> Any:
    return source.to_native() if type(source).__module__.partition(".")[0] == "narwhals" else source


def _polars_of(source: object) -> pl.LazyFrame:
    import polars as pl

    from headrace.formats.table_arrivals import restore_polars
    from headrace.formats.table_rows import PickedRows

    if isinstance(source, PickedRows):
        return source.polars()
    native = _native(source)
    if isinstance(native, pl.LazyFrame):
        return native
    if isinstance(native, pl.DataFrame):
        return native.lazy()
    stored = Table.of(native)._stored()
    frame = pl.from_arrow(stored.replace_schema_metadata(None))
    assert isinstance(frame, pl.DataFrame)
    return restore_polars(frame.lazy(), stored.schema)


def _duckdb_of(source: object, table: Table) -> duckdb.DuckDBPyRelation:
    import duckdb

    native = _native(source)
    if isinstance(native, duckdb.DuckDBPyRelation):
        return native
    return duckdb.from_arrow(table.arrow())


def _count_rows(source: object) -> int:
    native: Any = _native(source)
    if hasattr(native, "n_rows"):
        return int(native.n_rows)
    if hasattr(native, "collect_schema") and hasattr(native, "collect"):
        import polars as pl

        return int(native.select(pl.len()).collect(engine="streaming").item())
    if hasattr(native, "num_rows"):
        return int(native.num_rows)
    return len(native)


if TYPE_CHECKING:

    class _ArrowStream(Protocol):
        """A table that Arrow can read: a pyarrow.Table, a pandas.DataFrame, where they bring types."""

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    TableLike: TypeAlias = (
        Table
        | pl.DataFrame
        | pl.LazyFrame
        | duckdb.DuckDBPyRelation
        | nw.DataFrame[Any]
        | nw.LazyFrame[Any]
        | _ArrowStream
    )
else:
    # A step that declares this gets a Table from the engine; in a plain call it gets what it was given.
    TableLike = Table
