"""Asking a query for the rows above a watermark."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from headrace.core.errors import DataError, near_miss
from headrace.steps.sources.databases import Query, write_rows
from headrace.steps.sources.growing import NewRows
from headrace.steps.sources.source import scratch_folder


class Found(NamedTuple):
    """Rows in a Parquet file, how many, and the highest watermark of them, as a literal of SQL."""

    path: Path
    n_rows: int
    highest: str | None


def ask_above(source: NewRows, above: str | None) -> Found:
    """Ask for the rows above a watermark, in its order; with None for all.

    Raises DataError where the column isn't there, or a row has no watermark.
    """
    name = '"' + source.watermark.replace('"', '""') + '"'
    query = source.query
    inner = query.sql.rstrip().rstrip(";")
    condition = "" if above is None else f" WHERE {name} > {above} OR {name} IS NULL"
    asked = Query(query.database, f"SELECT * FROM ({inner}\n) AS q{condition} ORDER BY {name}", query.password)
    path = write_rows(asked, scratch_folder() / "rows.parquet")
    return _looked_at(path, source.watermark)


def _looked_at(path: Path, watermark: str) -> Found:
    import pyarrow.compute as pc
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if watermark not in names:
            raise DataError(f"The query gives no column {watermark!r}", hint=near_miss(watermark, names))
        highest, n_rows, n_missing = None, 0, 0
        for batch in file.iter_batches(columns=[watermark]):
            column = batch.column(0)
            n_rows, n_missing = n_rows + len(column), n_missing + column.null_count
            largest = pc.max(column).as_py()
            if largest is not None:
                highest = largest if highest is None else max(highest, largest)
    if n_missing:
        raise DataError(
            f"{n_missing} rows have no watermark {watermark!r}, so they can't be told from those that are new",
            hint="give them one in the query, or leave them out: WHERE … IS NOT NULL",
        )
    return Found(path, n_rows, None if highest is None else literal(highest))


def literal(value: Any) -> str:
    """Write a watermark as SQL that means the same in each database.

    >>> literal(7), literal("it's"), literal(date(2026, 1, 31))
    ('7', "'it''s'", "'2026-01-31'")
    """
    if isinstance(value, bool):
        raise DataError("A watermark grows, and a boolean can't", hint="name a column with a number or a time")
    if isinstance(value, int | float):
        return json.dumps(value)
    if isinstance(value, datetime):
        # In UTC: a timestamp without a zone takes no notice of the offset, one with a zone needs it.
        return f"'{value.isoformat(sep=' ')}+00:00'"
    text = value.isoformat() if isinstance(value, date) else str(value)
    return "'" + text.replace("'", "''") + "'"
