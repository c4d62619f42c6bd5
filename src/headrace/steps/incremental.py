"""Taking in what is new of data that grows: what was taken in before is neither read, nor hashed, nor stored again.

What was made of each file, or of the rows up to a watermark, is kept as a record in the store::

    increments/<source>.json        parts of tables by digest, and what they were made of and by

For files it is a memory alone: what isn't in it is read, and the result is the same. For rows it is where to go on
from, and pinned with each run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.artifact import StoredFile
from headrace.core.context import RunContext, current_run
from headrace.core.discovery import unseen
from headrace.core.errors import DataError
from headrace.core.external import ONCE
from headrace.core.sample import SAMPLING, Sampling
from headrace.core.step import step
from headrace.core.values import Json, encode
from headrace.formats.table import KeptParts, Table
from headrace.steps.ingestion import ingest
from headrace.steps.kinds import Kind, kind_of
from headrace.steps.reading.options import MISSING
from headrace.steps.sampling import sampled
from headrace.steps.sources.growing import NewFiles, NewRows, state_name

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

SAVE_SECONDS = 5.0
VERSION = 1


@dataclass(frozen=True)
class _Reading:
    """How what is new is read: the options of `ingest`, as far as they stand for all."""

    missing: Sequence[str]
    types: Mapping[str, Kind]
    separator: str | None
    encoding: str
    sampling: Sampling

    def read(self, path: Path, kinds: Mapping[str, Kind]) -> Table:
        return ingest(
            path,
            missing=self.missing,
            types={**kinds, **self.types},
            separator=self.separator,
            encoding=self.encoding,
        )

    def made_by(self, run: RunContext) -> Json:
        """Tell what counts beside the data: where it has changed, all is read again."""
        assert run.memory is not None
        sample = self.sampling.sample
        options = [self.missing, dict(self.types), self.separator, self.encoding, sample and sample.to_json()]
        return [VERSION, run.memory.code_of(read_part), encode(options)]


def read_part(reading: _Reading, path: Path, kinds: Mapping[str, Kind]) -> Table:
    """Read one file, or the rows of one increment."""
    return sampled(reading.read(path, kinds), reading.sampling)


@step
def ingest_new(
    source: NewFiles | NewRows,
    *,
    missing: Sequence[str] = MISSING,
    types: Mapping[str, Kind] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    sampling: Sampling = SAMPLING,
) -> Table:
    """Take in data that grows, as one table: what was taken in before is kept as it is, and what is new is added.

    Of files the rows stand in the order of their names, of rows in the order in which they were taken in. The kinds of
    columns are those of the first file (or of the first rows), and hold for all that comes: a later value that isn't of
    that kind is an error, and ``types=`` says it better, whereupon all is read again. So it is when the code or the
    options change. In a plain call everything is read.

    Rows that were corrected stand in the table as they were and as they are: `latest` keeps the newest of each key.

    Parameters
    ----------
    source
        `NewFiles` or `NewRows`.
    missing, types, separator, encoding
        As for `ingest`.
    sampling
        What the run samples; left at its default. What is taken in of a sample is kept apart.

    Raises
    ------
    DataError
        What `ingest` raises; a file has other columns than the first; a row has no watermark.

    Examples
    --------
    >>> import os, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "monday.csv").write_text("id,n\\n1,5\\n")
    ...     _ = pathlib.Path(folder, "tuesday.csv").write_text("id,n\\n2,6\\n")
    ...     ingest_new(NewFiles(folder, "*.csv")).polars().collect().rows()
    [(1, 5), (2, 6)]
    """
    reading = _Reading(missing, dict(types or {}), separator, encoding, sampling)
    run = current_run()
    if isinstance(source, NewFiles):
        return _new_files(source, reading, run)
    return _new_rows(source, reading, run)


# Files


@dataclass
class _Memory:
    """What was made of files, as far as the store still has it."""

    store: Store
    name: str
    made_by: Json
    kinds: dict[str, Kind] | None = None
    columns: list[str] = field(default_factory=list)
    parts: dict[str, tuple[str, list[StoredFile]]] = field(default_factory=dict)
    saved: float = 0.0

    @classmethod
    def open(cls, store: Store, name: str, made_by: Json) -> _Memory:
        known = json.loads(store.read_record(name) or b"{}")
        memory = cls(store, name, made_by)
        if known.get("made_by") == made_by:
            memory.kinds, memory.columns = known["kinds"], known["columns"]
            memory.parts = {
                file: (fingerprint, [StoredFile(*part) for part in parts])
                for file, (fingerprint, parts) in known["parts"].items()
            }
        return memory

    def find(self, file: str, fingerprint: str) -> list[StoredFile] | None:
        known = self.parts.get(file)
        if known is None or known[0] != fingerprint or not _are_there(self.store, known[1]):
            return None
        return known[1]

    def save(self, *, files: Sequence[str] | None = None) -> None:
        """Keep what is known; of the files named alone, where they are."""
        if files is None and time.monotonic() - self.saved < SAVE_SECONDS:
            return
        kept = self.parts if files is None else {name: self.parts[name] for name in files}
        parts = {name: (fingerprint, [_plain(part) for part in found]) for name, (fingerprint, found) in kept.items()}
        record = {"made_by": self.made_by, "kinds": self.kinds, "columns": self.columns, "parts": parts}
        self.store.write_record(self.name, json.dumps(record).encode())
        self.saved = time.monotonic()


def _new_files(source: NewFiles, reading: _Reading, run: RunContext | None) -> Table:
    if run is None or run.memory is None:
        return _all_files(source, reading)
    files: dict[str, str] = run.pin_of(source)
    with unseen():  # the fingerprints tell what is read
        memory = _Memory.open(run.store, state_name(source), reading.made_by(run))
        first = next(iter(files))
        if memory.find(first, files[first]) is None or memory.kinds is None:
            kinds, columns = _kinds(reading.read(source.open(first, files[first]), {}))
            if (kinds, columns) != (memory.kinds, memory.columns):
                memory.parts.clear()
            memory.kinds, memory.columns = kinds, columns
        pieces = [_piece(source, name, fingerprint, reading, memory) for name, fingerprint in files.items()]
        memory.save(files=list(files))
    return Table.joined(pieces)


def _piece(source: NewFiles, name: str, fingerprint: str, reading: _Reading, memory: _Memory) -> KeptParts:
    parts = memory.find(name, fingerprint)
    if parts is None:
        path = source.open(name, fingerprint)
        table = read_part(reading, path, memory.kinds or {})
        _refuse_other_columns(name, table.columns, memory.columns)
        parts = _stored(table, memory.store)
        source.check(name, fingerprint, path)
        memory.parts[name] = (fingerprint, parts)
        memory.save()
    return KeptParts(memory.store, tuple(parts))


def _all_files(source: NewFiles, reading: _Reading) -> Table:
    """Read all files, for a plain call."""
    folder = Path.cwd() / source.folder
    names = source.names(folder)
    kinds, columns = _kinds(reading.read(folder / names[0], {}))
    pieces = []
    for name in names:
        table = read_part(reading, folder / name, kinds)
        _refuse_other_columns(name, table.columns, columns)
        pieces.append(Table.of(table.polars().collect()))
    return Table.joined(pieces)


def _kinds(table: Table) -> tuple[dict[str, Kind], list[str]]:
    schema = table.scan("polars").collect_schema()
    kinds = {name: kind for name, dtype in schema.items() if (kind := kind_of(dtype)) is not None}
    return kinds, list(schema)


def _refuse_other_columns(name: str, columns: Sequence[str], expected: Sequence[str]) -> None:
    if list(columns) == list(expected):
        return
    more, less = [c for c in columns if c not in expected], [c for c in expected if c not in columns]
    said = [f"it has {', '.join(map(repr, more[:5]))} more"] if more else []
    said += [f"it lacks {', '.join(map(repr, less[:5]))}"] if less else []
    raise DataError(
        f"{name!r} hasn't the columns of what came first: {' and '.join(said) or 'their order is another'}",
        hint="bring it to the same columns, or put it into another folder",
    )


# Rows


def _new_rows(source: NewRows, reading: _Reading, run: RunContext | None) -> Table:
    from headrace.steps.sources.watermarks import ask_above

    if run is None or run.memory is None:
        return read_part(reading, ask_above(source, None).path, {})
    pin = {name: value for name, value in run.pin_of(source).items() if name != ONCE}
    with unseen():  # the pin tells from where, and that it is read in each run
        made_by = reading.made_by(run)
        parts = [StoredFile(*part) for part in pin.get("parts", [])]
        is_begun = bool(parts) and pin.get("made_by") == made_by and _are_there(run.store, parts)
        parts = parts if is_begun else []
        found = ask_above(source, pin["above"] if is_begun else None)
        kinds: Mapping[str, Kind] = pin["kinds"] if is_begun else {}
        if found.n_rows:
            table = read_part(reading, found.path, kinds)
            if is_begun:
                _refuse_other_columns("The query's result", table.columns, pin["columns"])
            parts = [*parts, *_stored(table, run.store)]
            new_kinds, columns = _kinds(table)
            state = {"above": found.highest, "kinds": new_kinds, "columns": columns, "made_by": made_by}
            record = {**state, "parts": [_plain(part) for part in parts]}
            run.store.write_record(state_name(source), json.dumps(record).encode(), durable=True)
        elif not is_begun:
            raise DataError("The query gives no rows", where=source.query.database, hint="is it the right one?")
    return Table.joined([KeptParts(run.store, tuple(parts))])


def _stored(table: Table, store: Store) -> list[StoredFile]:
    from headrace.engine.exchange import save_value

    return list(save_value(table, Table, store).files)


def _plain(part: StoredFile) -> list[Json]:
    return [part.path, part.digest, part.n_bytes]


def _are_there(store: Store, parts: Sequence[StoredFile]) -> bool:
    return all(store.object_size(part.digest) == part.n_bytes for part in parts)
