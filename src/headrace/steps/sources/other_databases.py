"""Queries of all other databases, by SQLAlchemy: the one file that uses it.

Databases and their drivers differ in what they say of types, so values decide: rows are written aside as text while
they come, and what each column was seen to hold in all of them makes its kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.core.errors import DataError, HeadraceError, ProjectError, TransientError
from headrace.steps.kinds import Kind
from headrace.steps.sources.databases import Query, Rows, first_line
from headrace.steps.sources.source import scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 10_000
LARGEST = 1 << 63


@contextmanager
def asked(query: Query) -> Iterator[Rows]:
    """Ask a query, and give its rows once all of them are there."""
    import pyarrow as pa

    try:
        import sqlalchemy
    except ImportError as error:
        raise ProjectError(
            f"A database of the kind {query.scheme!r} is asked by SQLAlchemy, which isn't installed",
            hint="python -m pip install 'headrace[sqlalchemy]', and the database's own driver; PostgreSQL and SQLite "
            "need headrace[sql] alone",
        ) from error
    file = scratch_folder() / "rows.arrow"
    try:
        engine = sqlalchemy.create_engine(query.url)
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise DataError(
            f"SQLAlchemy can't open {query.database!r}: {first_line(error)}",
            hint="is the database's driver installed, and named in the URL, such as mysql+pymysql://?",
        ) from None
    try:
        with engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH_ROWS) as connection:
            result = connection.execute(sqlalchemy.text(query.sql.rstrip().rstrip(";")))
            names, kinds = _write_aside(result, file)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise _problem(query, getattr(error, "orig", None) or error) from None
    finally:
        engine.dispose()
    schema = pa.schema([pa.field(name, _types()[kind]) for name, kind in zip(names, kinds, strict=True)])
    with pa.memory_map(str(file)) as opened:
        reader = pa.ipc.open_stream(opened)
        yield Rows(schema, (_cast(batch, schema) for batch in reader))
    file.unlink()


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write_aside(result: Any, file: Path) -> tuple[Sequence[str], list[Kind]]:
    """Write all rows as text, and give the columns' names and kinds."""
    import pyarrow as pa

    names = list(result.keys())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"The query gives more than one column named {', '.join(map(repr, twice))}", hint="name them with AS"
        )
    seen: list[set[Kind]] = [set() for _ in names]
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for part in result.partitions(BATCH_ROWS):
            columns = [
                pa.array([_text(value, name, found) for value in values], pa.string())
                for name, found, values in zip(names, seen, zip(*part, strict=True), strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return names, [_kind(found) for found in seen]


def _text(value: Any, name: str, seen: set[Kind]) -> str | None:
    """Give a value as text, and note its kind."""
    if value is None or value != value:
        return None
    kind, text = _known(value)
    if kind is None:
        raise DataError(
            f"Column {name!r} holds {type(value).__name__}, which is none of the six kinds", hint="cast it in the query"
        )
    seen.add(kind)
    return text


def _known(value: Any) -> tuple[Kind | None, str]:
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, int):
        return ("integer" if -LARGEST <= value < LARGEST else "text"), str(value)
    if isinstance(value, float | Decimal):
        return "number", repr(float(value)) if isinstance(value, float) else str(value)
    if isinstance(value, datetime):
        plain = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return "datetime", plain.isoformat()
    if isinstance(value, date):
        return "date", value.isoformat()
    if isinstance(value, time):
        return "text", value.isoformat()
    if isinstance(value, str | UUID):
        return "text", str(value)
    if isinstance(value, dict | list):
        return "text", json.dumps(value, default=str, ensure_ascii=False)
    return None, ""


def _kind(seen: set[Kind]) -> Kind:
    if len(seen) == 1:
        return next(iter(seen))
    if seen == {"integer", "number"}:
        return "number"
    return "datetime" if seen == {"date", "datetime"} else "text"


def _types() -> dict[Kind, pa.DataType]:
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "boolean": pa.bool_(),
    }


def _problem(query: Query, error: Any) -> HeadraceError:
    text = first_line(error)
    if (
        type(error).__name__ in ("OperationalError", "InterfaceError")
        and "syntax" not in text
        and "no such" not in text
    ):
        return TransientError(
            f"The database {query.database!r} can't be asked: {text}", hint="look at its address, then run again"
        )
    return DataError(f"The database refuses the query: {text}", where=query.database, hint="try it in its own shell")
