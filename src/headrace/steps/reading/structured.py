"""Parquet and Arrow: types are the files' own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps.reading.bad_rows import BadRow, BadRows, shown
from headrace.steps.reading.files import Member, refuse_named_twice
from headrace.steps.reading.json_lines import declared
from headrace.steps.reading.keeping import keep
from headrace.steps.reading.options import ReadOptions
from headrace.steps.reading.separated import cleaned
from headrace.steps.reading.sniffing import Sniffed
from headrace.steps.reading.typed_text import refuse_other_columns
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import polars as pl

    Schema = Mapping[str, pl.DataType]

HINT = "it is damaged or cut short: fetch it again"
ROW_HINT = "add its spelling to missing=, or declare another kind"


@dataclass
class Structured:
    """Files of typed rows, read one after the other."""

    files: list[tuple[Member, Sniffed]]
    options: ReadOptions
    partitions: Sequence[Mapping[str, pl.Series]]
    n_rows: int = 0

    def read(self, bad: BadRows) -> Table:
        """Give the good rows: lazily where none can be bad. Raises DataError for other columns, and for no rows."""
        first: tuple[str, Schema] | None = None
        for member, file in self.files:
            schema, n_rows = _facts(file)
            self.n_rows += n_rows
            refuse_named_twice(schema, member)
            if first is None:
                need_columns(self.options.types, schema, what="types= names")
                first = member.label, schema
            else:
                _refuse_other_types(schema, member, *first[::-1])
        assert first is not None
        if not self.n_rows:
            file = self.files[0][1]
            raise DataError(f"{file.path.name!r} has a header but no rows ({file.path})", hint="was it cut short?")
        if self.options.types or any(file.kind == "arrow" for _, file in self.files):
            table = keep(self._frames(list(first[1]), bad))
        else:
            table = Table.of(self._lazy(list(first[1])))
        bad.check(self.n_rows)
        return table

    def _lazy(self, names: Sequence[str]) -> pl.LazyFrame:
        import polars as pl

        frames = [
            _cleaned(pl.scan_parquet(file.path, glob=False), self.options).select(
                *names, *(pl.lit(value[0], value.dtype).alias(name) for name, value in partition.items())
            )
            for (_, file), partition in zip(self.files, self.partitions, strict=True)
        ]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _frames(self, names: Sequence[str], bad: BadRows) -> Iterator[pl.DataFrame]:
        import polars as pl

        for (member, file), partition in zip(self.files, self.partitions, strict=True):
            constants = [pl.lit(value[0], value.dtype).alias(name) for name, value in partition.items()]
            for good in _as_declared(_batches(file), member, self.options, bad):
                yield good.select(*names, *constants)


def table_as_declared(table: Table, options: ReadOptions, bad: BadRows) -> Table:
    """Clean a table that is there already, as a file's is."""
    frame = table.polars()
    need_columns(options.types, frame.collect_schema(), what="types= names")
    if not options.types:
        return Table.of(_cleaned(frame, options))
    batches = frame.collect_batches(maintain_order=True, lazy=True, engine="streaming")
    kept = keep(_as_declared(batches, Member(Path("table"), "table"), options, bad))
    bad.check(kept.n_rows + len(bad))
    return kept


def _as_declared(
    batches: Iterable[pl.DataFrame], member: Member, options: ReadOptions, bad: BadRows
) -> Iterator[pl.DataFrame]:
    """Clean rows and read them as declared; those with a value that can't be are set aside."""
    import polars as pl

    n_before = 0
    for raw in batches:
        frame = _cleaned(raw.lazy(), options).collect()
        reasons: dict[int, list[str]] = {}
        for name, kind in options.types.items():
            found, wrong = declared(frame[name], kind)
            for number in wrong.arg_true():
                reasons.setdefault(number, []).append(f"{shown(frame[name][number])} in {name!r} isn't {kind}")
            frame = frame.with_columns(found)
        if reasons:
            bad.add([_bad_row(raw, number, n_before, member, why) for number, why in sorted(reasons.items())])
            frame = frame.filter(~pl.Series(range(len(frame))).is_in(list(reasons)))
        n_before += len(raw)
        yield frame


def _bad_row(raw: pl.DataFrame, number: int, n_before: int, member: Member, why: Sequence[str]) -> BadRow:
    text = json.dumps(raw.row(number, named=True), ensure_ascii=False, default=str).encode()
    reason = f"has {', '.join(why)}, as declared"
    return BadRow(member.path, member.label, n_before + number + 1, text, reason, ROW_HINT)


def _cleaned(frame: pl.LazyFrame, options: ReadOptions) -> pl.LazyFrame:
    """Strip text, and make missing what is spelled so."""
    import polars as pl

    texts = [name for name, dtype in frame.collect_schema().items() if dtype == pl.String]
    return cleaned(frame, texts, options.spellings)


def _facts(file: Sniffed) -> tuple[Schema, int]:
    """A file's columns and its number of rows, from what it says of itself."""
    import polars as pl

    try:
        if file.kind == "parquet":
            frame = pl.scan_parquet(file.path, glob=False)
            return frame.collect_schema(), int(frame.select(pl.len()).collect(engine="streaming").item())
        schema, n_rows = None, 0
        for batch in _arrow_batches(file.path, columns_alone=True):
            schema, n_rows = batch.schema, n_rows + batch.num_rows
        assert schema is not None
        frame_of_none = pl.from_arrow(schema.empty_table())
        assert isinstance(frame_of_none, pl.DataFrame)
        return frame_of_none.schema, n_rows
    except (pl.exceptions.PolarsError, OSError, ValueError, EOFError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Sniffed, error: Exception) -> DataError:
    problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{file.path.name!r} can't be read as {file.kind}: {problem} ({file.path})", hint=HINT)


def _batches(file: Sniffed) -> Iterator[pl.DataFrame]:
    import polars as pl
    from pyarrow import parquet

    try:
        if file.kind == "arrow":
            for batch in _arrow_batches(file.path):
                yield _polars(batch)
        else:
            with parquet.ParquetFile(file.path) as opened:
                for batch in opened.iter_batches():
                    yield _polars(batch)
    except (pl.exceptions.PolarsError, OSError, ValueError, EOFError) as error:
        raise _unreadable(file, error) from error


def _polars(batch: Any) -> pl.DataFrame:
    import polars as pl
    import pyarrow as pa

    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _arrow_batches(path: Path, *, columns_alone: bool = False) -> Iterator[Any]:
    """Read an Arrow file or stream in batches; one without rows first, for its columns."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as opened:
        is_file = opened.read(6) == b"ARROW1"
        opened.seek(0)
        with pa.ipc.open_file(opened) if is_file else pa.ipc.open_stream(opened) as reader:
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
                batch.validate()
                yield batch


def _refuse_other_types(schema: Schema, member: Member, first: Schema, label: str) -> None:
    refuse_other_columns(list(schema), member, list(first), label)
    other = next((name for name in first if schema[name] != first[name]), None)
    if other is not None:
        raise DataError(
            f"Column {other!r} is {schema[other]} in {member.label!r}, but {first[other]} in {label!r}",
            where=str(member.path),
            hint="write the files anew with one type, or give those that are alike, by a pattern",
        )
