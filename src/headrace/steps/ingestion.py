"""Ingest: files of rows become one typed table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from headrace.core.errors import DataError
from headrace.core.sample import SAMPLING, Sampling
from headrace.core.step import step
from headrace.formats.table import Table
from headrace.steps.kinds import Kind
from headrace.steps.reading.options import MISSING, ReadOptions
from headrace.steps.reading.rows import Rows, open_rows, read_table
from headrace.steps.reading.sniffing import FileKind
from headrace.steps.sampling import sampled
from headrace.steps.sources.source import Source, fetched


class Ingested(NamedTuple):
    """What `ingest_rows` gives."""

    table: Table
    """The rows that could be read, typed, in their order."""
    quarantine: Table
    """The others, in their order: ``file``, ``line`` (from 1; the row's number where there are no lines), ``raw`` (the
    line's text, at most 64 KiB) and ``reason``."""


@step
def ingest(
    source: Source | Path | str,
    *,
    kind: FileKind | None = None,
    missing: Sequence[str] = MISSING,
    types: Mapping[str, Kind] | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    sampling: Sampling = SAMPLING,
) -> Table:
    """Read files of rows, in their order, into one typed table.

    CSV and TSV, JSON lines (each also within gzip or zstd), Parquet and Arrow are told apart by their bytes, and the
    file's name must not contradict them. Text is stripped of blanks around it. The columns' kinds are inferred on all
    rows, never on a sample: the first of integer, number, boolean, date and datetime (both ISO 8601) that every value
    can be read as; else text. Numbers with leading zeros ("00501") and whole ones of 16 digits or more are
    identifiers, so text. A column without any value is text. Infinite numbers stay infinite; NaN is missing. Parquet,
    Arrow and JSON say themselves what they hold.

    A folder stands for all files below it, and a pattern for those that it names, in the order of their paths; hidden
    ones and those that begin with an underscore are left out. They have the same columns. Folders named as in
    ``year=2024`` give a column. In a pipeline, the step is executed again when a file comes, goes or changes.

    Files that are larger than memory are read in blocks. A table in memory (Polars, pandas, pyarrow, DuckDB) is taken
    as a Parquet file is.

    Parameters
    ----------
    source
        The file, the folder, or a pattern such as ``data/*.csv`` (``*``, ``?``, ``[a-z]``; ``**`` for any folders); or
        a `Source` elsewhere (see `headrace.steps.sources`), as a value or as a URL such as ``s3://bucket/key.csv``.
    kind
        What it is, where its name has no or the wrong suffix: ``"csv"``, ``"tsv"``, ``"parquet"``, ``"jsonl"``,
        ``"arrow"``.
    missing
        How missing values are spelled, after stripping. An empty value is always missing.
    types
        Kinds of columns that aren't to be inferred, by name. Every value must be readable as declared.
    separator
        The one character between values; found in the first line by default.
    columns
        The columns' names, for separated text without a header.
    encoding
        The text's encoding, as Python names it.
    sampling
        What the run samples (``headrace run --sample``); left at its default.

    Raises
    ------
    DataError
        A file is missing (its nearest neighbour is named), empty, a header without rows, not what its name says,
        or damaged; a line has too many or too few fields, isn't in the encoding, opens a quotation mark and doesn't
        close it, or is longer than 16 MB (its number is given); a column's name stands twice; a value isn't of the
        declared kind; a declared column isn't there; one file has other columns than the first.
    TransientError
        A file changes while it is read.

    See Also
    --------
    ingest_rows : sets rows aside that can't be read, instead of failing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("name,age,zip\\nAda,36,00501\\nBob, ?,10001\\n")
    ...     ingest(path, missing=["?"]).polars().collect().to_dicts()
    [{'name': 'Ada', 'age': 36, 'zip': '00501'}, {'name': 'Bob', 'age': None, 'zip': '10001'}]
    """
    options = ReadOptions.checked(
        kind=kind, missing=missing, types=types, separator=separator, columns=columns, encoding=encoding
    )
    return sampled(_read(source, options).table, sampling)


@step
def ingest_rows(
    source: Source | Path | str,
    *,
    max_bad_rows: float = 0,
    kind: FileKind | None = None,
    missing: Sequence[str] = MISSING,
    types: Mapping[str, Kind] | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    sampling: Sampling = SAMPLING,
) -> Ingested:
    """Read files of rows as `ingest` does, and set rows aside that can't be read, up to a limit.

    Set aside is a line that has too many or too few fields, isn't in the encoding, has a NUL byte, opens a quotation
    mark that isn't closed, is longer than 16 MB or is no JSON object, and a row with a value that isn't of the kind
    that ``types`` declares. Where a row over several lines is bad, its first line is set aside, and reading goes on
    behind that.

    Rows in are rows of the table plus rows set aside, always: the step counts them apart, and fails where they differ.
    Missing values break nothing.

    Parameters
    ----------
    max_bad_rows
        How many rows may be set aside: a count (``100``), or, below 1, a share of all rows (``0.001``). Where more are,
        something is wrong with the file rather than with rows, and the step fails.

    The others are those of `ingest`.

    Raises
    ------
    DataError
        More rows than ``max_bad_rows`` can't be read (the first ones are named), or none can; and as in `ingest` for
        what is wrong with a file as a whole.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("name,age\\nAda,36\\nBob,20,?\\nEve,x\\n")
    ...     table, quarantine = ingest_rows(path, types={"age": "integer"}, max_bad_rows=2)
    >>> table.polars().collect().rows()
    [('Ada', 36)]
    >>> quarantine.polars().collect().rows()  # doctest: +NORMALIZE_WHITESPACE
    [('people.csv', 3, 'Bob,20,?', 'has 3 fields, but the header has 2'),
     ('people.csv', 4, 'Eve,x', "has 'x' in 'age' isn't integer, as declared")]
    """
    options = ReadOptions.checked(
        kind=kind,
        missing=missing,
        types=types,
        separator=separator,
        columns=columns,
        encoding=encoding,
        max_bad_rows=max_bad_rows,
    )
    rows = _read(source, options)
    return Ingested(sampled(rows.table, sampling), rows.quarantine)


def _read(source: Any, options: ReadOptions) -> Rows:
    from headrace.formats.table_sources import is_table_value

    if isinstance(source, Table) or is_table_value(source):
        return read_table(Table.of(source), options)
    if not isinstance(source, Source | Path | str):
        raise DataError(
            f"A file is read, but got {source!r} ({type(source).__name__})",
            hint="give a path, or a table of any library",
        )
    return open_rows(fetched(source), options)
