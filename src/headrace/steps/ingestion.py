"""Ingest: a file of rows becomes a typed table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import Table
from headrace.steps.kinds import Kind, check_kind, polars_type
from headrace.steps.reading.inference import converted, infer
from headrace.steps.reading.separated import SeparatedText, open_separated
from headrace.steps.reading.sniffing import FileKind, Sniffed, sniff
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import polars as pl

MISSING = ("NA", "NaN", "null")
"""How a missing value is spelled unless said otherwise; an empty one is always missing."""


@step
def ingest(
    source: Path,
    *,
    kind: FileKind | None = None,
    missing: Sequence[str] = MISSING,
    types: Mapping[str, Kind] | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> Table:
    """Read a file of rows, in its order, into a typed table.

    CSV and TSV (also gzipped), Parquet and JSON lines are told apart by their bytes, and the file's name must not
    contradict them. Text is stripped of blanks around it. The columns' kinds are inferred on all rows, never on a
    sample: the first of integer, number, boolean, date and datetime (both ISO 8601) that every value can be read
    as; else text. Numbers with leading zeros ("00501") and whole ones of 16 digits or more are identifiers, so
    text. A column without any value is text. Infinite numbers stay infinite; NaN is missing.

    A table that is larger than memory is read in batches.

    Parameters
    ----------
    source
        The file.
    kind
        What it is, where its name has no or the wrong suffix: ``"csv"``, ``"tsv"``, ``"parquet"``, ``"jsonl"``.
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

    Raises
    ------
    DataError
        The file is missing (its nearest neighbour is named), empty, a header without rows, not what its name says,
        or damaged; a line has too many or too few fields (its number is given); bytes aren't in the encoding; a
        column's name stands twice; a value isn't of the declared kind; a declared column isn't there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("name,age,zip\\nAda,36,00501\\nBob, ?,10001\\n")
    ...     ingest(path, missing=["?"]).polars().collect().to_dicts()
    [{'name': 'Ada', 'age': 36, 'zip': '00501'}, {'name': 'Bob', 'age': None, 'zip': '10001'}]
    """
    declared = {name: check_kind(given, column=name) for name, given in (types or {}).items()}
    sniffed = sniff(source, declared=kind)
    if sniffed.kind in ("csv", "tsv"):
        text = open_separated(sniffed, separator=separator, columns=columns, encoding=encoding, missing=missing)
        return Table.of(_typed(text, declared))
    return Table.of(_structured(sniffed, declared, missing))


def _typed(text: SeparatedText, declared: Mapping[str, Kind]) -> pl.LazyFrame:
    """Infer the kinds in one pass, and give a lazy frame that reads and converts in another."""
    from polars.io.plugins import register_io_source

    need_columns(declared, text.columns, what="types= names")
    if text.is_header_alone:
        raise _no_rows(text.file)
    inference = infer(text.batches(), text.columns, declared)
    if inference.n_rows == 0:
        raise _no_rows(text.file)
    kinds = inference.kinds()

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for batch in text.batches(with_columns):
            frame = batch.select(converted(name, kinds[name]) for name in batch.columns)
            frame = frame if predicate is None else frame.filter(predicate)
            frame = frame if n_rows is None else frame.head(n_rows)
            n_rows = None if n_rows is None else n_rows - len(frame)
            yield frame
            if n_rows == 0:
                return

    schema: Any = {name: polars_type(kinds[name]) for name in text.columns}
    return register_io_source(read, schema=schema, validate_schema=True)


def _structured(file: Sniffed, declared: Mapping[str, Kind], missing: Sequence[str]) -> pl.LazyFrame:
    """Open Parquet or JSON lines: types are the file's own; text is stripped and missing as in separated text."""
    import polars as pl

    frame = _scan(file)
    try:
        schema = frame.collect_schema()
        n_rows = frame.select(pl.len()).collect(engine="streaming").item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{file.path.name!r} can't be read as {file.kind}: {str(error).splitlines()[0]} ({file.path})",
            hint="it is damaged or cut short: fetch it again",
        ) from error
    if n_rows == 0:
        raise _no_rows(file)
    need_columns(declared, schema, what="types= names")
    spellings = list(dict.fromkeys(spelling.strip() for spelling in ("", *missing)))
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    stripped = {name: pl.col(name).str.strip_chars() for name in texts}
    frame = frame.with_columns(
        pl.when(~text.is_in(spellings)).then(text).alias(name) for name, text in stripped.items()
    )
    return frame.with_columns(
        converted(name, kind) if name in texts else pl.col(name).cast(polars_type(kind))
        for name, kind in declared.items()
    )


def _scan(file: Sniffed) -> pl.LazyFrame:
    import polars as pl

    if file.kind == "parquet":
        return pl.scan_parquet(file.path)
    return pl.scan_ndjson(file.path, infer_schema_length=None)


def _no_rows(file: Sniffed) -> DataError:
    return DataError(f"{file.path.name!r} has a header but no rows ({file.path})", hint="was it cut short?")
