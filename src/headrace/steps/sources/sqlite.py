"""Queries of SQLite, by ADBC: the one file that uses its driver.

The driver takes a column's type from the first batch, and a column without a value there for whole numbers. So each
column's type is found on all rows first (one reading by SQLite itself), and then each value is given as that type and,
beside it, whether there is one: no batch is without values then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.steps.sources.databases import Query, Rows, first_line, no_driver

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16
FILLINGS = {"INTEGER": "0", "REAL": "0.0", "TEXT": "''"}


@dataclass(frozen=True)
class _Column:
    name: str
    type: str

    @property
    def selected(self) -> str:
        name = _quoted(self.name)
        return f"CAST(coalesce({name}, {FILLINGS[self.type]}) AS {self.type}), {name} IS NULL"

    @property
    def field(self) -> pa.Field:
        import pyarrow as pa

        kinds = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": pa.string()}
        return pa.field(self.name, kinds[self.type])


@contextmanager
def asked(query: Query) -> Iterator[Rows]:
    """Ask a query, on a file that is opened for reading alone."""
    if not query.file.is_file():
        raise DataError(f"There is no SQLite database {str(query.file)!r}", hint="a path is relative to the project")
    try:
        from adbc_driver_sqlite import dbapi
    except ImportError as error:
        raise no_driver("adbc_driver_sqlite") from error
    place = str(query.file.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    sql = query.sql.rstrip().rstrip(";")
    with closing(dbapi.connect(f"file:{place}?mode=ro")) as connection, closing(connection.cursor()) as cursor:
        try:
            columns = _columns(cursor, sql)
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
            selected = ", ".join(column.selected for column in columns)
            cursor.execute(f"SELECT {selected} FROM ({sql}\n)")
            reader = cursor.fetch_record_batch()
        except dbapi.Error as error:
            raise _refused(query, error) from None
        yield Rows(_schema(columns), _batches(query, reader, columns, dbapi))


def _columns(cursor: Any, sql: str) -> list[_Column]:
    """Find the columns, and each one's type on all rows."""
    cursor.execute(f"SELECT * FROM ({sql}\n) LIMIT 0")
    names = list(cursor.fetch_arrow_table().schema.names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"The query gives more than one column named {', '.join(map(repr, twice))}", hint="name them with AS"
        )
    found = ", ".join(f"group_concat(DISTINCT typeof({_quoted(name)}))" for name in names)
    cursor.execute(f"SELECT {found} FROM ({sql}\n)")
    types = cursor.fetchone() or [None] * len(names)
    return [
        _Column(name, _type_of(name, set(str(seen or "").split(",")))) for name, seen in zip(names, types, strict=True)
    ]


def _type_of(name: str, seen: set[str]) -> str:
    if "blob" in seen:
        raise DataError(
            f"Column {name!r} holds blobs, which are none of the six kinds", hint="leave it out, or use hex()"
        )
    if "text" in seen or not seen & {"integer", "real"}:
        return "TEXT"
    return "REAL" if "real" in seen else "INTEGER"


def _schema(columns: list[_Column]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([column.field for column in columns])


def _batches(query: Query, reader: Any, columns: list[_Column], dbapi: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = _schema(columns)
    try:
        for batch in reader:
            arrays = []
            for number, field in enumerate(schema):
                values, is_missing = batch.column(2 * number), batch.column(2 * number + 1)
                empty = pa.scalar(None, field.type)
                arrays.append(pc.if_else(is_missing.cast(pa.bool_()), empty, values.cast(field.type)))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (dbapi.Error, OSError, pa.ArrowException) as error:
        raise TransientError(
            f"The query broke off: {first_line(error)}", hint="nothing was stored; run again", where=query.database
        ) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refused(query: Query, error: Exception) -> HeadraceError:
    return DataError(
        f"SQLite refuses the query: {first_line(error)}", where=query.database, hint="try it in the sqlite3 shell"
    )
