"""Files of lines (separated text, JSON lines) as typed rows: block by block, in threads, mostly in one pass."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from headrace.core.errors import DataError, TransientError
from headrace.formats.table import Table
from headrace.steps.reading.bad_rows import BadRow, BadRows
from headrace.steps.reading.blocks import Block
from headrace.steps.reading.files import Member, refuse_named_twice
from headrace.steps.reading.keeping import keep
from headrace.steps.reading.side_by_side import side_by_side
from headrace.steps.reading.sniffing import Sniffed, damaged

if TYPE_CHECKING:
    import polars as pl

    Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class TypedRows:
    """The rows of a block, typed, and what its columns hold.

    ``schema`` has the type Null for a column without any value.
    """

    frame: pl.DataFrame
    schema: Schema
    n_rows: int
    """The rows that the block has by its line ends."""
    bad: list[BadRow]


class LineFile(Protocol):
    """A file of lines. It may be used by several threads."""

    @property
    def file(self) -> Sniffed:
        """The file."""

    def blocks(self) -> Iterator[Block]:
        """Cut it into whole rows."""

    def typed(self, block: Block, schema: Schema | None) -> TypedRows:
        """Read a block, columns as in ``schema`` or, where they don't fit, as the next wider type that does."""

    def joined(self, left: Schema, right: Schema) -> Schema:
        """The least types for the rows of both."""

    def fitted(self, frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
        """Cast what was read to types that are as wide or wider."""


@dataclass
class LineReader:
    """Reads files one after the other.

    Types are taken from the first block, and the rows kept as they are read while all blocks fit. If one doesn't, the
    rest is looked at, and all is read once more: types then depend on all rows, wherever the blocks were cut.
    """

    members: Sequence[Member]
    files: list[LineFile]
    partitions: Sequence[Mapping[str, pl.Series]]
    """Of each file, the columns that its folders' names give it, one value each."""
    allowed_bad: float
    bad: BadRows = field(init=False)
    n_rows: int = 0

    def read(self) -> Table:
        """Give the good rows; the others are in ``bad``. Raises DataError where there are none, or too many bad."""
        schema: Schema | None = None
        while True:
            run = _Run(self.members, self.files, self.partitions, schema, BadRows(self.allowed_bad))
            try:
                table = keep(run.frames())
            except _Widened as widened:
                schema = widened.schema
                continue
            self.bad, self.n_rows = run.bad, run.n_rows
            run.bad.check(run.n_rows)
            if run.n_rows != table.n_rows + len(run.bad):
                raise DataError(
                    f"{run.n_rows} rows were read, but {table.n_rows} are kept and {len(run.bad)} set aside",
                    hint="this is an error of Headrace's: please report it, with the file",
                )
            return table


class _Widened(Exception):  # noqa: N818 - it is no error
    """The types found first don't fit all rows."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema


@dataclass
class _Run:
    """One pass over all files."""

    members: Sequence[Member]
    files: list[LineFile]
    partitions: Sequence[Mapping[str, pl.Series]]
    schema: Schema | None
    bad: BadRows
    n_rows: int = 0

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give the rows, typed. Raises _Widened at the end where types turned out to be others."""
        import polars as pl

        kept, found = self.schema, self.schema
        n_good = 0
        tasks = self._tasks()
        reader = self.files[0]
        while kept is None and (task := next(tasks, None)) is not None:
            rows = self._take(self._typed(task, None))
            if len(rows.frame):
                kept = found = rows.schema
                n_good += len(rows.frame)
                yield reader.fitted(rows.frame, kept)
        for rows in side_by_side(lambda task: self._typed(task, kept), tasks, n_threads=pl.thread_pool_size()):
            self._take(rows)
            assert kept is not None and found is not None
            found = reader.joined(found, rows.schema)
            n_good += len(rows.frame)
            if found == kept:
                yield reader.fitted(rows.frame, kept)
        if found is not None and found != kept:
            raise _Widened(found)
        if not n_good:
            self.bad.check(self.n_rows)
            raise no_rows(self.files[0].file, self.bad)

    def _take(self, rows: TypedRows) -> TypedRows:
        self.n_rows += rows.n_rows
        self.bad.add(rows.bad)
        return rows

    def _tasks(self) -> Iterator[tuple[int, Block]]:
        for number, opened in enumerate(self.files):
            before = _state(opened.file)
            try:
                for block in opened.blocks():
                    if block.is_overlong and not self.bad.allowed:
                        # Not after all that is behind it, which may be what a bomb unpacks to.
                        self._take(self._typed((number, block), self.schema))
                    yield number, block
            except (EOFError, OSError, zlib.error) as error:
                raise damaged(opened.file.path, str(error)) from error
            if _state(opened.file) != before:
                raise changed(opened.file)

    def _typed(self, task: tuple[int, Block], schema: Schema | None) -> TypedRows:
        import polars as pl

        number, block = task
        rows = self.files[number].typed(block, schema)
        constants = self.partitions[number]
        if not constants:
            return rows
        refuse_named_twice(rows.schema, self.members[number])
        columns = [pl.lit(value[0], value.dtype).alias(name) for name, value in constants.items()]
        types = {name: value.dtype for name, value in constants.items()}
        return replace(rows, frame=rows.frame.with_columns(columns), schema={**rows.schema, **types})


def _state(file: Sniffed) -> tuple[int, int]:
    status = file.path.stat()
    return status.st_size, status.st_mtime_ns


def changed(file: Sniffed) -> TransientError:
    """Say that a file isn't what it was when its reading began."""
    return TransientError(
        f"{file.path.name!r} changed while it was read ({file.path})",
        hint="nothing was stored; run again once it is complete",
    )


def no_rows(file: Sniffed, bad: BadRows | None = None) -> DataError:
    """Say that a file has nothing in it but a header."""
    if bad:
        return DataError(
            f"None of the {len(bad)} rows of {file.path.name!r} can be read ({file.path})", hint="is it one?"
        )
    return DataError(f"{file.path.name!r} has a header but no rows ({file.path})", hint="was it cut short?")
