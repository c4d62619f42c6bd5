"""Queries of PostgreSQL, by ADBC: the one file that uses its driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.steps.sources.databases import Query, Rows, first_line, no_driver

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 8 << 20


@contextmanager
def asked(query: Query) -> Iterator[Rows]:
    """Ask a query, in a transaction that can't write."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise no_driver("adbc_driver_postgresql") from error
    try:
        connection = dbapi.connect(query.url)
    except dbapi.Error as error:
        raise _unreachable(query, error) from None
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            cursor.execute("SET TRANSACTION READ ONLY")
            # Values as JSON for what has no kind of its own. A query of a query: a semicolon would end it too soon.
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            cursor.execute(query.sql.rstrip().rstrip(";"))
            reader = cursor.fetch_record_batch()
            columns = [_Column(field) for field in reader.schema]
        except dbapi.Error as error:
            raise _refused(query, error) from None
        yield Rows(_schema(columns), _batches(query, reader, columns, dbapi))


def _batches(query: Query, reader: Any, columns: list[_Column], dbapi: Any) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema = _schema(columns)
    try:
        for batch in reader:
            arrays = [column.converted(array) for column, array in zip(columns, batch.columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except HeadraceError:
        raise
    except (dbapi.Error, OSError, pa.ArrowException) as error:
        raise TransientError(
            f"The query broke off: {first_line(error)}", hint="nothing was stored; run again", where=query.database
        ) from None


def _schema(columns: list[_Column]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(column.name, column.type) for column in columns])


class _Column:
    """A column as the driver gives it, and as one of the six kinds."""

    def __init__(self, field: pa.Field) -> None:
        self.name: str = field.name
        self._given = field.type
        self.type = self._kind()

    @property
    def _postgres_type(self) -> str:
        return str(getattr(self._given, "type_name", None) or self._given)

    def _kind(self) -> pa.DataType:
        import pyarrow as pa

        given, types = self._given, pa.types
        if types.is_boolean(given):
            return pa.bool_()
        if types.is_integer(given):
            return pa.int64()
        if types.is_floating(given) or types.is_decimal(given) or self._postgres_type == "numeric":
            return pa.float64()
        if types.is_date(given):
            return pa.date32()
        if types.is_timestamp(given):
            return pa.timestamp("us")
        if types.is_string(given) or types.is_large_string(given) or types.is_time(given) or types.is_list(given):
            return pa.string()
        if self._is_uuid or self._is_text:
            return pa.string()
        raise DataError(
            f"Column {self.name!r} is {self._postgres_type}, which is none of the six kinds",
            hint=f'cast it in the query, such as "{self.name}"::text, or leave it out',
        )

    @property
    def _is_uuid(self) -> bool:
        return self._postgres_type in ("uuid", "extension<arrow.uuid>") or "uuid" in str(self._given)

    @property
    def _is_text(self) -> bool:
        import pyarrow as pa

        storage = getattr(self._given, "storage_type", None)
        return storage is not None and (pa.types.is_string(storage) or pa.types.is_large_string(storage))

    def converted(self, array: pa.Array) -> pa.Array:
        """Give a batch's values as the kind."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._is_uuid:
            return pa.array([_uuid_text(value) for value in array.to_pylist()], pa.string())
        storage = array.storage if isinstance(array, pa.ExtensionArray) else array
        if pa.types.is_list(storage.type):
            return pa.array([_json_text(value) for value in storage.to_pylist()], pa.string())
        if pa.types.is_time(storage.type):
            return pa.array([None if v is None else v.isoformat() for v in storage.to_pylist()], pa.string())
        if pa.types.is_timestamp(storage.type) and storage.type.tz is not None:
            return storage.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        if pa.types.is_floating(self.type):
            return _without_nan(storage.cast(pa.float64()), pc)
        return storage.cast(self.type)


def _without_nan(array: pa.Array, pc: Any) -> pa.Array:
    import pyarrow as pa

    return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)


def _uuid_text(value: Any) -> str | None:
    from uuid import UUID

    if value is None or isinstance(value, str):
        return value
    return str(UUID(bytes=bytes(value)) if isinstance(value, bytes | bytearray) else value)


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _unreachable(query: Query, error: Exception) -> HeadraceError:
    text = first_line(error)
    if any(word in text for word in ("authentication failed", "no password supplied", "does not exist")):
        return DataError(
            f"PostgreSQL at {query.database!r} lets nobody in so: {text}",
            hint="look at the user and the database's name, and give the password as Query(…, password=Secret('NAME'))",
        )
    return TransientError(
        f"PostgreSQL at {query.database!r} can't be reached: {text}", hint="look at its address, then run again"
    )


def _refused(query: Query, error: Exception) -> HeadraceError:
    text = first_line(error)
    if "read-only transaction" in text:
        return DataError(f"A query only reads, but this one writes: {text}", hint="take the writing out of it")
    return DataError(f"PostgreSQL refuses the query: {text}", where=query.database, hint="try it in psql")
