"""Separated text as typed rows: kinds guessed or as declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.kinds import KINDS, Kind, polars_type
from headrace.steps.reading.bad_rows import BadRow, shown
from headrace.steps.reading.blocks import Block
from headrace.steps.reading.files import Member
from headrace.steps.reading.inference import guessed, joined, read
from headrace.steps.reading.lines import TypedRows
from headrace.steps.reading.options import ReadOptions
from headrace.steps.reading.separated import SeparatedText, TextRows, open_separated
from headrace.steps.reading.sniffing import Sniffed
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import polars as pl

    Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class TypedText:
    """A file of separated text whose columns are typed; a `headrace.steps.reading.lines.LineFile`."""

    text: SeparatedText
    names: tuple[str, ...]
    """The columns in the order in which they are given: that of the first of several files."""
    declared: Mapping[str, Kind]

    @property
    def file(self) -> Sniffed:
        """The file."""
        return self.text.file

    def blocks(self) -> Iterator[Block]:
        """Cut it into whole rows."""
        return self.text.blocks()

    def typed(self, block: Block, schema: Schema | None) -> TypedRows:
        """Read a block: declared columns as declared, others as the least kind that fits, from the schema's on."""
        import polars as pl

        rows = self.text.parse(block)
        frame, bad = self._as_declared(rows)
        columns, types = [], {}
        for name in self.names:
            values = frame[name]
            kind = self.declared.get(name)
            if kind is None:
                kind, values = guessed(values, None if schema is None else _kind(schema[name]))
            columns.append(values)
            types[name] = pl.Null() if kind is None else polars_type(kind)
        return TypedRows(pl.DataFrame(columns), types, len(rows.frame) + len(rows.bad), bad)

    def _as_declared(self, rows: TextRows) -> tuple[pl.DataFrame, list[BadRow]]:
        """Read declared columns; set rows aside that have a value which isn't of its kind."""
        frame = rows.frame
        misfits: dict[str, pl.Series] = {}
        for name, kind in self.declared.items():
            found, wrong = read(frame[name], kind)
            if wrong.any():
                misfits[name] = wrong
            frame = frame.with_columns(found)
        if not misfits:
            return frame, rows.bad
        is_bad = reduce(or_, misfits.values())
        return frame.filter(~is_bad), self._with_misfits(rows, misfits, is_bad)

    def _with_misfits(self, rows: TextRows, misfits: Mapping[str, pl.Series], is_bad: pl.Series) -> list[BadRow]:
        places = self.text.places(rows)
        bad = list(rows.bad)
        for number in is_bad.arg_true():
            wrong = [name for name, where in misfits.items() if where[number]]
            values = {name: rows.frame[name][number] for name in wrong}
            reasons = [f"{shown(value)} in {name!r} isn't {self.declared[name]}" for name, value in values.items()]
            hint = f"add its spelling to missing=, or read {wrong[0]!r} as text"
            bad.append(self.text.bad_row(rows.block, places[number], f"has {', '.join(reasons)}, as declared", hint))
        return sorted(bad, key=lambda row: row.line)

    def joined(self, left: Schema, right: Schema) -> Schema:
        """The least kinds for the rows of both."""
        import polars as pl

        kinds = {name: joined(_kind(left[name]), _kind(right[name])) for name in left}
        return {name: pl.Null() if kind is None else polars_type(kind) for name, kind in kinds.items()}

    def fitted(self, frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
        """Cast integers to numbers and dates to datetimes; a column without any value is text."""
        import polars as pl

        wanted = {name: pl.String() if kind == pl.Null() else kind for name, kind in schema.items()}
        return frame.cast(wanted) if dict(frame.schema) != wanted else frame  # type: ignore[arg-type]


def _kind(dtype: pl.DataType) -> Kind | None:
    return next((kind for kind in KINDS if polars_type(kind) == dtype), None)


def open_text(file: Sniffed, member: Member, options: ReadOptions, first: TypedText | None) -> TypedText:
    """Open a file. Raises DataError where its columns aren't those of the first one, or a declared one is missing."""
    text = open_separated(file, member, options)
    if first is not None:
        refuse_other_columns(text.columns, member, first.names, first.text.label)
        return TypedText(text, first.names, options.types)
    need_columns(options.types, text.columns, what="types= names")
    return TypedText(text, text.columns, options.types)


def refuse_other_columns(names: Sequence[str], member: Member, first: Sequence[str], label: str) -> None:
    """Raise DataError where a file's columns aren't those of the first one; their order may differ."""
    lacking = [name for name in first if name not in names]
    more = [name for name in names if name not in first]
    if lacking or more:
        parts = [f"lacks {', '.join(map(repr, lacking[:5]))}"] if lacking else []
        parts += [f"has {', '.join(map(repr, more[:5]))} more"] if more else []
        raise DataError(
            f"{member.label!r} has other columns than {label!r}: it {' and '.join(parts)}",
            where=str(member.path),
            hint="files that are read together have the same columns; give those that have, by a pattern",
        )
