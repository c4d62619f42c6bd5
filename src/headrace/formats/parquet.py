"""Tables of any library ⇄ Parquet in parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.core.errors import FormatError
from headrace.formats.declared import class_of, describe, is_named, is_path, members, type_name
from headrace.formats.files import DAMAGE_HINT, materialise
from headrace.formats.known import TABLE_TYPES
from headrace.formats.table import KeptParts, Table


class ParquetFormat:
    """Tables ⇄ Parquet parts, by one writer: equal tables of any library give equal bytes.

    A lazy frame or relation is streamed and never held whole. Rows keep their order. A table that came from the store
    and is given back as it is keeps its bytes. A stored table arrives as whichever table type is declared, or as a
    folder of parts for a `Path`.
    """

    name = "parquet"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether a table type is declared."""
        return is_named(declared, TABLE_TYPES, subclasses=False)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write the parts. Raises FormatError for a value that is no table, or a column that can't be stored."""
        from headrace.formats.parquet_writer import write_parts
        from headrace.formats.table_rows import PickedRows
        from headrace.formats.table_sources import source_of

        if isinstance(value, Table):
            if value.paths:
                _link_parts([path.absolute() for path in value.paths], folder)
                return
            if value.pieces:
                _save_pieces(value, folder)
                return
            if isinstance(value.source, PickedRows):
                value.source.save(folder)
                return
            value = value.source
        schema, batches = source_of(value).canonical()
        write_parts(schema, batches, folder)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Open the parts as the declared type."""
        from headrace.formats.table_arrivals import stored_schema

        paths = [files[name] for name in sorted(files)]
        if not paths or not all(name.endswith(".parquet") for name in files):
            raise FormatError("An artifact of format 'parquet' must hold parts only", hint=DAMAGE_HINT)
        stored_schema([str(paths[0])])
        table = Table(paths)
        for member in members(declared):
            if is_path(member):
                return materialise(files, as_folder=True)
            cls = class_of(member)
            if cls is not None and (arrive := _ARRIVALS.get(type_name(cls))):
                return arrive(table)
        raise FormatError(
            f"A stored table can't arrive as {describe(declared)!r}",
            hint="declare a table type, headrace.Table or a Path",
        )


KEPT = Path("kept-by-the-store")
"""Where a link leads, to nothing, that stands for a stored part which nobody has opened."""


def _link_parts(paths: Sequence[Path], folder: Path, start: int = 0) -> int:
    """Have the parts in the folder as links: whoever keeps the folder's files knows stored ones again by them."""
    from headrace.formats.parquet_writer import part_name

    for number, path in enumerate(paths, start):
        (folder / part_name(number)).symlink_to(path)
    return start + len(paths)


def _save_pieces(table: Table, folder: Path) -> None:
    """Number the parts of all pieces through, and hold their columns to be the same."""
    from headrace.formats.parquet_writer import part_name

    schema: Any = None
    n_parts = 0
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        for piece in table.pieces:
            if isinstance(piece, KeptParts):
                # Not opened: whoever made it has held its columns to be the same.
                n_parts = _link_parts([KEPT / file.digest for file in piece.files], folder, n_parts)
                continue
            schema = _same_schema(schema, piece)
            if piece.paths:
                n_parts = _link_parts([path.absolute() for path in piece.paths], folder, n_parts)
                continue
            place = Path(aside, str(n_parts))
            place.mkdir()
            ParquetFormat().save(piece, place, Table)
            for part in sorted(place.iterdir()):
                part.rename(folder / part_name(n_parts))
                n_parts += 1


def _same_schema(schema: Any, piece: Table) -> Any:
    own = piece.schema
    if schema is None or own.equals(schema, check_metadata=True):
        return own
    there = {field.name: str(field.type) for field in schema}
    here = {field.name: str(field.type) for field in own}
    unlike = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    shown = ", ".join(f"{name!r} ({there.get(name, 'absent')}, {here.get(name, 'absent')})" for name in unlike[:5])
    raise FormatError(
        f"Tables that are joined have the same columns, but these differ: {shown or 'their order'}",
        hint="bring them to the same columns and types first",
    )


def _collected(table: Table) -> Any:
    return table.polars().collect()


def _narwhals_eager(table: Table) -> Any:
    import narwhals as nw

    return nw.from_native(table.polars().collect(), eager_only=True)


_ARRIVALS: Mapping[str, Callable[[Table], Any]] = {
    "headrace.formats.table.Table": lambda table: table,
    "pyarrow.lib.Table": Table.arrow,
    "polars.dataframe.frame.DataFrame": _collected,
    "polars.lazyframe.frame.LazyFrame": Table.polars,
    "pandas.DataFrame": Table.pandas,
    "pandas.core.frame.DataFrame": Table.pandas,
    "duckdb._relation.DuckDBPyRelation": Table.duckdb,
    "duckdb.duckdb.DuckDBPyRelation": Table.duckdb,
    "_duckdb.DuckDBPyRelation": Table.duckdb,
    "narwhals.dataframe.DataFrame": _narwhals_eager,
    "narwhals.dataframe.LazyFrame": Table.scan,
}
