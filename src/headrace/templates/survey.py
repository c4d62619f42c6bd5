"""What a table is like: read as `ingest` reads it, every column looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.steps.ingestion import ingest
from headrace.steps.kinds import Kind
from headrace.steps.parsing import as_kind
from headrace.steps.reading.encodings import find_encoding
from headrace.steps.reading.options import MISSING
from headrace.steps.reading.sniffing import FileKind, sniff
from headrace.steps.tables import scan
from headrace.steps.targets import kind_of_series

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

MOST_ROWS = 200_000
"""Of a longer table, so many rows are looked at, evenly taken from all of it."""

MOST_VALUES = 100
"""Different values that are kept of a column, at most."""

MARKERS = ("?", "n/a", "N/A", "#N/A", "NULL", "nan", "-", "--")
"""Spellings of a missing value that mean nothing else. `ingest` knows some by itself."""

MOSTLY = 0.9
"""A column of which so many values can be read as a kind is meant to be of that kind."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as its values are."""

    name: str
    kind: Kind | None
    """None for what no model takes: lists, structs, bytes."""
    n_present: int
    n_unique: int
    """Both among the rows that were looked at."""
    values: tuple[Any, ...] = ()
    """The different values, sorted; none where there are more than a hundred."""
    low: Any = None
    high: Any = None
    meant: Kind | None = None
    """For text: the kind that all but a few values can be read as."""
    n_odd: int = 0
    """Values that can't."""

    @property
    def read_as(self) -> Kind | None:
        """The kind that its values are read as here."""
        return self.meant or self.kind


@dataclass(frozen=True)
class Survey:
    """A file of rows, and what is in it."""

    path: Path
    file_kind: FileKind
    n_rows: int
    columns: tuple[Column, ...]
    rows: pl.DataFrame
    """The rows that were looked at, in their order, columns as they are meant."""
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ()
    """Spellings of missing values that `ingest` must be told."""

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]


def survey(path: Path) -> Survey:
    """Look at a table.

    Raises DataError as `ingest` does: for a file that isn't there, is empty, is no table or is damaged.
    """
    sniffed = sniff(path)
    encoding = find_encoding(sniffed) if sniffed.kind in ("csv", "tsv") else "utf-8"
    rows, n_rows = _rows(path, encoding, MISSING)
    missing = _more_missing(rows) if sniffed.kind != "parquet" else ()
    if missing:
        rows, n_rows = _rows(path, encoding, (*MISSING, *missing))
    columns = tuple(_column(rows, name) for name in rows.columns)
    return Survey(path, sniffed.kind, n_rows, columns, _as_meant(rows, columns), encoding, missing)


def _rows(path: Path, encoding: str, missing: Sequence[str]) -> tuple[pl.DataFrame, int]:
    import polars as pl

    lazy = ingest(path, encoding=encoding, missing=missing).polars()
    rows = lazy.head(MOST_ROWS + 1).collect(engine="streaming")
    n_rows = len(rows)
    if n_rows > MOST_ROWS:
        n_rows = int(lazy.select(pl.len()).collect(engine="streaming").item())
        rows = lazy.gather_every(-(-n_rows // MOST_ROWS)).collect(engine="streaming")
    return rows.with_columns(pl.selectors.float().fill_nan(None)), n_rows


def _more_missing(rows: pl.DataFrame) -> tuple[str, ...]:
    """Find how else missing values are spelled: known marks, and the one text in a column of numbers."""
    import polars as pl

    found: dict[str, None] = {}
    for values in rows.select(pl.selectors.string()).iter_columns():
        present = values.drop_nulls()
        if not len(present):
            continue
        found.update(dict.fromkeys(mark for mark in MARKERS if (present == mark).any()))
        others = present.filter(present.cast(pl.Float64, strict=False).is_null()).unique()
        is_number_column = len(others) == 1 and (present == others[0]).mean() < 0.5 and present.n_unique() > 3
        if is_number_column and not str(others[0]).startswith(tuple("0123456789+-.")):
            found[str(others[0])] = None
    return tuple(found)


def _column(rows: pl.DataFrame, name: str) -> Column:
    import polars as pl

    kind = kind_of_series(rows[name])
    if kind is None:
        return Column(name, None, len(rows) - rows[name].null_count(), 0)
    meant = _meant(rows, name) if kind == "text" else None
    values = (_read_as(rows, name, meant) if meant else rows[name]).drop_nulls()
    values = values.cast(pl.String) if kind == "text" and meant is None else values
    unique = values.unique()
    listed = tuple(unique.sort().to_list()) if len(unique) <= MOST_VALUES else ()
    has_range = len(unique) and kind != "boolean"
    bounds = (values.min(), values.max()) if has_range else (None, None)
    n_odd = rows[name].count() - len(values)
    return Column(name, kind, len(values), len(unique), listed, *bounds, meant, n_odd)


def _meant(rows: pl.DataFrame, name: str) -> Kind | None:
    """Say what kind of values a text column is meant to have, where a few can't be read so."""
    n_present = len(rows) - rows[name].null_count()
    kinds: tuple[Kind, ...] = ("integer", "number", "date", "datetime")
    for kind in kinds:
        read = _read_as(rows, name, kind)
        if n_present and MOSTLY <= (len(read) - read.null_count()) / n_present < 1:
            is_code = kind in ("integer", "number") and _looks_like_codes(rows[name])
            return None if is_code else kind
    return None


def _looks_like_codes(values: pl.Series) -> bool:
    """Say whether numbers begin with zeros: postal codes and the like, which are text."""
    return bool(values.str.contains(r"^0\d").any())


def _read_as(rows: pl.DataFrame, name: str, kind: Kind) -> pl.Series:
    frame: nw.LazyFrame[Any] = scan(rows.select(name))
    found: pl.Series = frame.select(as_kind(name, frame.collect_schema()[name], kind)).to_native().collect().to_series()
    return found


def _as_meant(rows: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    return rows.with_columns(_read_as(rows, column.name, column.meant) for column in columns if column.meant)


def refuse_tiny(table: Survey, least: int) -> None:
    """Raise DataError where a table has too few rows to fit, choose and test with."""
    if table.n_rows < least:
        raise DataError(
            f"{table.path.name!r} has {table.n_rows} row{'s' if table.n_rows != 1 else ''}, and a model needs at least "
            f"{least}: for training, for choosing, and for the test",
            hint="give more rows",
        )
