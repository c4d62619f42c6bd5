"""What a path stands for, read: typed rows in order, and those that couldn't be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps.reading.bad_rows import BadRows
from headrace.steps.reading.files import Member, members_of
from headrace.steps.reading.inference import guessed
from headrace.steps.reading.json_lines import open_json
from headrace.steps.reading.lines import LineFile, LineReader
from headrace.steps.reading.options import ReadOptions
from headrace.steps.reading.sniffing import FileKind, Sniffed, sniff
from headrace.steps.reading.structured import Structured, table_as_declared
from headrace.steps.reading.typed_text import TypedText, open_text

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that were read. Rows in are rows of ``table`` plus rows of ``quarantine``: that has been checked."""

    table: Table
    """The rows, typed, in their order."""
    quarantine: Table
    """The rows that couldn't be read: columns ``file``, ``line``, ``raw`` and ``reason``, in their order."""
    n_quarantined: int

    @property
    def schema(self) -> pa.Schema:
        """The columns' types, as they are stored."""
        return self.table.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The good rows in order, some at a time."""
        return self.table.batches()


def open_rows(source: Path, options: ReadOptions | None = None) -> Rows:
    """Read a file, all files of a folder, or those that a pattern names; see `headrace.steps.ingest`.

    What is held is bounded: of more than some megabytes, typed rows are written to parts in a temporary folder, as
    the store has them; Parquet is opened where it is.

    Raises DataError as `headrace.steps.ingest` does, and TransientError where a file changes meanwhile.
    """
    return read_members(members_of(source), options or ReadOptions())


def read_members(members: Sequence[Member], options: ReadOptions) -> Rows:
    """Read files one after the other as one table."""
    sniffed = [sniff(member.path, declared=options.kind, encoding=options.encoding) for member in members]
    _refuse_other_kinds(members, sniffed)
    partitions = _partitions(members, options)
    bad = BadRows(options.max_bad_rows)
    if sniffed[0].kind in ("parquet", "arrow"):
        structured = Structured(list(zip(members, sniffed, strict=True)), options, partitions)
        table = structured.read(bad)
    else:
        reader = LineReader(members, _opened(members, sniffed, options), partitions, options.max_bad_rows)
        table = reader.read()
        bad = reader.bad
    return Rows(table, bad.table(), len(bad))


def read_table(table: Table, options: ReadOptions) -> Rows:
    """Take a table as a file's rows are: text stripped, missing where it is spelled so, columns as declared."""
    bad = BadRows(options.max_bad_rows)
    return Rows(table_as_declared(table, options, bad), bad.table(), len(bad))


def _opened(members: Sequence[Member], files: Sequence[Sniffed], options: ReadOptions) -> list[LineFile]:
    opened: list[Any] = []
    for member, file in zip(members, files, strict=True):
        if file.kind == "jsonl":
            opened.append(open_json(file, member, options))
        else:
            first: TypedText | None = opened[0] if opened else None
            opened.append(open_text(file, member, options, first))
    return opened


def _refuse_other_kinds(members: Sequence[Member], files: Sequence[Sniffed]) -> None:
    kinds: dict[FileKind, Member] = {}
    for member, file in zip(members, files, strict=True):
        kinds.setdefault(file.kind, member)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        raise DataError(
            f"{second.label!r} is {other}, but {first.label!r} is {one}",
            where=str(second.path),
            hint="files that are read together are of one kind: give those that are, by a pattern such as '*.csv'",
        )


def _partitions(members: Sequence[Member], options: ReadOptions) -> list[Mapping[str, pl.Series]]:
    """Type what the folders' names say, on all of them together."""
    import polars as pl

    typed: dict[str, pl.Series] = {}
    for name in members[0].partition:
        values = pl.Series(name, [member.partition[name] for member in members], pl.String)
        typed[name] = guessed(values, None)[1]
    return [{name: values[number : number + 1] for name, values in typed.items()} for number in range(len(members))]


__all__ = ["ReadOptions", "Rows", "members_of", "open_rows", "read_members", "read_table"]
