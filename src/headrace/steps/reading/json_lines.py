"""JSON lines as typed rows: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind, polars_type
from headrace.steps.reading.bad_rows import BadRow, shown
from headrace.steps.reading.blocks import ROW_BYTES, Block, cut, n_rows_of
from headrace.steps.reading.files import Member
from headrace.steps.reading.inference import read
from headrace.steps.reading.lines import TypedRows
from headrace.steps.reading.options import ReadOptions
from headrace.steps.reading.separated import cleaned, stream_of
from headrace.steps.reading.sniffing import Sniffed, open_bytes

if TYPE_CHECKING:
    import polars as pl

    Schema = Mapping[str, pl.DataType]

HINT = "each line is one JSON object"


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A file of JSON lines; a `headrace.steps.reading.lines.LineFile`.

    Types are JSON's own, whole numbers and others apart; a key that a line lacks is missing. Text is stripped and
    missing as in separated text.
    """

    file: Sniffed
    label: str
    options: ReadOptions

    def blocks(self) -> Iterator[Block]:
        """Cut it into lines."""
        with open_bytes(self.file) as file:
            yield from cut(stream_of(file, self.options.encoding, as_utf8=True), separator=None)

    def typed(self, block: Block, schema: Schema | None) -> TypedRows:
        """Read a block; ``schema`` changes nothing, as lines say themselves what they hold."""
        import polars as pl

        n_rows = n_rows_of(block.data, None) or 0
        lines = None
        try:
            frame = _frame(block.data) if not block.is_overlong else pl.DataFrame()
            bad: list[BadRow] = []
        except (pl.exceptions.PolarsError, UnicodeDecodeError):
            frame = pl.DataFrame()
        if len(frame) != n_rows or block.is_overlong:
            lines, bad = self._mended(block)
            frame = _frame(b"\n".join(text for _, text in lines)) if lines else pl.DataFrame()
        if len(frame) + len(bad) != n_rows:
            raise DataError(
                f"{n_rows} lines of {self.label!r} were to be read, but {len(frame)} were",
                hint="this is an error of Headrace's: please report it, with the file",
            )
        frame = self._cleaned(frame)
        frame, bad = self._as_declared(frame, lines or _lines(block), bad)
        return TypedRows(frame, dict(frame.schema), n_rows, bad)

    def _mended(self, block: Block) -> tuple[list[tuple[int, bytes]], list[BadRow]]:
        """Find the bad lines one by one."""
        good: list[tuple[int, bytes]] = []
        bad: list[BadRow] = []
        for line, text in _lines(block):
            reason = f"is longer than {ROW_BYTES >> 20} MB" if block.is_overlong else _problem(text)
            if reason is None:
                good.append((line, text))
            else:
                bad.append(BadRow(self.file.path, self.label, line, text, reason, HINT))
        return good, bad

    def _cleaned(self, frame: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        texts = [name for name, kind in frame.schema.items() if kind == pl.String]
        return cleaned(frame, texts, self.options.spellings)

    def _as_declared(
        self, frame: pl.DataFrame, lines: list[tuple[int, bytes]], bad: list[BadRow]
    ) -> tuple[pl.DataFrame, list[BadRow]]:
        import polars as pl

        reasons: dict[int, list[str]] = {}
        for name, kind in self.options.types.items():
            values = frame[name] if name in frame.columns else pl.Series(name, [None] * len(frame), pl.String)
            found, wrong = declared(values, kind)
            for number in wrong.arg_true():
                reasons.setdefault(number, []).append(f"{shown(values[number])} in {name!r} isn't {kind}")
            frame = frame.with_columns(found)
        if not reasons:
            return frame, bad
        hint = "add its spelling to missing=, or declare another kind"
        more = [
            BadRow(self.file.path, self.label, *lines[number], f"has {', '.join(why)}, as declared", hint)
            for number, why in sorted(reasons.items())
        ]
        is_bad = pl.Series(range(len(frame))).is_in(list(reasons))
        return frame.filter(~is_bad), sorted([*bad, *more], key=lambda row: row.line)

    def joined(self, left: Schema, right: Schema) -> Schema:
        """The types for the rows of both: whole numbers become numbers, and what goes together in no other way text."""
        names = dict.fromkeys([*left, *right])
        return {name: _wider(left.get(name), right.get(name)) for name in names}

    def fitted(self, frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
        """Cast to the types of all lines; a column without any value is text."""
        import polars as pl

        wanted = {name: _without_null(kind) for name, kind in schema.items()}
        if not len(frame):
            return pl.DataFrame(schema=wanted)
        columns = []
        for name, kind in wanted.items():
            if name not in frame.columns:
                columns.append(pl.lit(None, kind).alias(name))
            elif frame.schema[name] != kind:
                columns.append(_as(name, frame.schema[name], kind))
            else:
                columns.append(pl.col(name))
        return frame.select(columns)


def declared(values: pl.Series, kind: Kind) -> tuple[pl.Series, pl.Series]:
    """Give values as a declared kind, missing where they can't be read so, and say which these are."""
    import polars as pl

    if values.dtype == pl.String:
        return read(values, kind)
    wanted = polars_type(kind)
    if values.dtype == wanted:
        return values, values.is_null() & False
    if values.dtype.is_nested():
        return pl.Series(values.name, [None] * len(values), wanted), values.is_not_null()
    found = values.cast(wanted, strict=False)
    wrong = found.is_null() & values.is_not_null()
    if values.dtype.is_float() and kind == "integer":
        wrong = wrong | (found.cast(pl.Float64) != values).fill_null(False)
    return found, wrong


def _frame(data: bytes) -> pl.DataFrame:
    import polars as pl

    return pl.read_ndjson(data, infer_schema_length=None)


def _lines(block: Block) -> list[tuple[int, bytes]]:
    lines = enumerate(block.data.splitlines(), block.first_line)
    return [(number, text) for number, text in lines if text]


def _problem(text: bytes) -> str | None:
    """Say what is wrong with a line, None where nothing is."""
    import polars as pl

    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"isn't JSON: {error}"
    if not isinstance(found, dict):
        return f"isn't a JSON object, but {type(found).__name__}"
    try:
        return None if len(_frame(text)) == 1 else "can't be read as one row"
    except pl.exceptions.PolarsError as error:
        return f"can't be read: {str(error).splitlines()[0]}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value in JSON")


def _wider(left: pl.DataType | None, right: pl.DataType | None) -> pl.DataType:
    import polars as pl

    if left is None or right is None or left == right:
        return left or right or pl.Null()
    if left == pl.Null() or right == pl.Null():
        return right if left == pl.Null() else left
    if left.is_numeric() and right.is_numeric():
        return pl.Float64()
    if isinstance(left, pl.List) and isinstance(right, pl.List):
        return pl.List(_wider(_instance(left.inner), _instance(right.inner)))
    if isinstance(left, pl.Struct) and isinstance(right, pl.Struct):
        both = dict.fromkeys([*(f.name for f in left.fields), *(f.name for f in right.fields)])
        of_left, of_right = dict(left), dict(right)
        return pl.Struct({n: _wider(_instance(of_left.get(n)), _instance(of_right.get(n))) for n in both})
    return pl.String()


def _instance(kind: object) -> pl.DataType | None:
    return kind() if isinstance(kind, type) else kind  # type: ignore[return-value]


def _without_null(kind: pl.DataType) -> pl.DataType:
    import polars as pl

    if kind == pl.Null():
        return pl.String()
    if isinstance(kind, pl.List):
        return pl.List(_without_null(_instance(kind.inner) or pl.Null()))
    if isinstance(kind, pl.Struct):
        return pl.Struct({field.name: _without_null(_instance(field.dtype) or pl.Null()) for field in kind.fields})
    return kind


def _as(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    import polars as pl

    if wanted == pl.String() and found.is_nested():
        return pl.col(name).map_elements(_as_json, return_dtype=pl.String).alias(name)
    return pl.col(name).cast(wanted)


def _as_json(value: object) -> str:
    import polars as pl

    plain = value.to_list() if isinstance(value, pl.Series) else value
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def open_json(file: Sniffed, member: Member, options: ReadOptions) -> JsonLines:
    """Open a file of JSON lines."""
    return JsonLines(file, member.label, options)
