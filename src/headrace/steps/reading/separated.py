"""Separated text (CSV, TSV): every value as text, stripped, missing where it is spelled so; and what can't be read."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.core.errors import DataError
from headrace.steps.reading.bad_rows import BadRow
from headrace.steps.reading.blocks import (
    CR,
    LF,
    QUOTE,
    ROW_BYTES,
    Block,
    Readable,
    Row,
    cut,
    n_lines,
    n_rows_of,
    split_row,
    walk,
)
from headrace.steps.reading.files import Member
from headrace.steps.reading.options import ReadOptions
from headrace.steps.reading.sniffing import Sniffed, damaged, has_wide_units, open_bytes

if TYPE_CHECKING:
    import polars as pl

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

SEPARATORS = (",", "\t", ";", "|")
N_SHOWN = 5
N_HEADER_LINES = 100
FEW = 8
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TextRows:
    """The rows of a block, as text, and where they are."""

    frame: pl.DataFrame
    block: Block
    bad: list[BadRow]
    places: tuple[Row, ...] | None = None
    """Where the rows are in the block; None where they are all of its rows."""


@dataclass(frozen=True, slots=True)
class SeparatedText:
    """A file of separated text, and how it is to be read."""

    file: Sniffed
    label: str
    separator: str
    columns: tuple[str, ...]
    has_header: bool
    encoding: str
    missing: tuple[str, ...]

    @property
    def mark(self) -> bytes:
        """The separator as a byte."""
        return self.separator.encode()

    def blocks(self) -> Iterator[Block]:
        """Cut the file, its header left out, into blocks of whole rows."""
        with open_bytes(self.file) as file:
            blocks = cut(stream_of(file, self.encoding), separator=self.mark)
            for block in blocks:
                if not self.has_header:
                    yield block
                elif (header := _first_row(block, self.mark)) is not None:
                    if rest := block.data[header.end :]:
                        yield Block(rest, block.first_line + n_lines(block.data, header.end))
                    yield from blocks

    def parse(self, block: Block) -> TextRows:
        """Read a block's rows; those that can't be read are given apart.

        Rows out and bad rows are all rows of the block, counted by its line ends.
        """
        import pyarrow as pa

        if block.is_overlong or block.is_open:
            return TextRows(self._cleaned(self._frame(b"")), block, [self._unending(block)])
        try:
            data = self._utf8(block.data)
            frame = self._plain_frame(data)
            if frame is None:
                frame = self._frame(data)
                if len(frame) != n_rows_of(block.data, self.mark):
                    return self._mended(block)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            return self._mended(block)
        if b"\0" in block.data:
            return self._mended(block)
        return TextRows(self._cleaned(frame), block, [])

    def _plain_frame(self, data: bytes) -> pl.DataFrame | None:
        """Parse rows of UTF-8 without quotation marks and blank lines, twice as fast; None for others, or for bad rows.

        Polars refuses a row with too many values, but fills up one with too few: there are as many separators as all
        rows have together only where there is no such row.
        """
        import polars as pl

        n_columns, n_ends = len(self.columns), data.count(LF)
        n_rows = n_ends if data.endswith(LF) else n_ends + 1
        n_returns = data.count(CR)
        if n_columns == 1 or QUOTE in data or data.count(self.mark) != n_rows * (n_columns - 1):
            return None
        if n_returns and not n_returns == n_ends == data.count(b"\r\n"):
            return None
        schema = dict.fromkeys(self.columns, pl.String)
        try:
            frame = pl.read_csv(data, has_header=False, schema=schema, separator=self.separator, quote_char=None)
        except pl.exceptions.PolarsError:
            return None
        return frame if len(frame) == n_rows else None

    def places(self, rows: TextRows) -> tuple[Row, ...]:
        """Say where the rows are."""
        return rows.places or tuple(walk(rows.block.data, self.mark, rows.block.first_line))

    def bad_row(self, block: Block, place: Row, reason: str, hint: str) -> BadRow:
        """Set a row of a block aside."""
        raw = block.data[place.start : place.end]
        return BadRow(self.file.path, self.label, place.line, raw, reason, hint, self._text_encoding)

    @property
    def _text_encoding(self) -> str:
        """The encoding of the blocks' text."""
        return "utf-8" if has_wide_units(self.encoding) else self.encoding

    def _utf8(self, data: bytes) -> bytes:
        return data if _is_utf8(self._text_encoding) else data.decode(self._text_encoding).encode()

    def _frame(self, data: bytes) -> pl.DataFrame:
        """Parse rows of UTF-8. Raises ArrowInvalid for a ragged one, or for what isn't UTF-8."""
        import polars as pl
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        if not data.strip(b"\r\n"):
            return pl.DataFrame(schema=dict.fromkeys(self.columns, pl.String))
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self.columns),
            parse_options=arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(self.columns, pa.string())),
        )
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _cleaned(self, frame: pl.DataFrame) -> pl.DataFrame:
        return cleaned(frame, frame.columns, self.missing)

    def _mended(self, block: Block) -> TextRows:
        """Read a block with bad rows: they are found one by one, the others read together."""
        good: list[Row] = []
        bad: list[BadRow] = []
        data = block.data
        for row in walk(data, self.mark, block.first_line, n_values=len(self.columns)):
            problem = self._problem(row, data)
            if problem is None:
                good.append(row)
            else:
                bad.append(self.bad_row(block, row, *problem))
        frame = self._frame(self._utf8(b"".join(data[row.start : row.end] for row in good)))
        if len(frame) != len(good):
            raise _lost_count(self.label, len(good), len(frame))
        return TextRows(self._cleaned(frame), block, bad, tuple(good))

    def _problem(self, row: Row, data: bytes) -> tuple[str, str] | None:
        raw = data[row.start : row.end]
        if row.is_odd or row.is_open:
            return (
                "opens a quotation mark that isn't closed",
                "a quotation mark within a value must be doubled, and the value in quotation marks",
            )
        if row.n_values != len(self.columns):
            should = "the header has" if self.has_header else "there should be"
            return (
                f"has {row.n_values} fields, but {should} {len(self.columns)}",
                f"a value with {self.separator!r} or a line break in it must be in quotation marks; "
                "is the separator right?",
            )
        if b"\0" in raw:
            return "has a NUL byte", "was the file cut short and filled up? Fetch it again"
        try:
            raw.decode(self._text_encoding)
        except UnicodeDecodeError as error:
            before = raw[max(0, error.start - 20) : error.start].decode(self._text_encoding, "replace")
            return (
                f"isn't {self.encoding}: byte {raw[error.start : error.start + 1]!r} after {before!r}",
                "give its encoding, such as encoding='cp1252' (Windows) or 'latin-1'",
            )
        return None

    def _unending(self, block: Block) -> BadRow:
        place = Row(0, len(block.data), block.first_line, 0)
        if block.is_open:
            return self.bad_row(block, place, *self._problem(Row(0, 0, 0, 0, is_open=True), b""))  # type: ignore[misc]
        return self.bad_row(
            block, place, f"is longer than {ROW_BYTES >> 20} MB", "a table has line ends: is it one at all?"
        )


def cleaned(frame: Frame, names: Iterable[str], spellings: Sequence[str]) -> Frame:
    """Strip columns of text, and make missing what is spelled so."""
    import polars as pl

    frame = frame.with_columns(pl.col(name).str.strip_chars() for name in names)
    return frame.with_columns(pl.when(_is_there(name, spellings)).then(pl.col(name)).alias(name) for name in names)


def _is_there(name: str, spellings: Sequence[str]) -> pl.Expr:
    import polars as pl

    if len(spellings) > FEW:
        return ~pl.col(name).is_in(list(spellings))
    # Some comparisons cost less than a look-up.
    return pl.all_horizontal(pl.col(name) != spelling for spelling in spellings)


def _lost_count(label: str, n_expected: int, n_found: int) -> DataError:
    return DataError(
        f"{n_expected} rows of {label!r} were to be read, but {n_found} were",
        hint="this is an error of Headrace's: please report it, with the file",
    )


def _first_row(block: Block, separator: bytes) -> Row | None:
    return next(walk(block.data, separator), None)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


class _Transcoded:
    """Bytes in an encoding that can't be cut at line ends, as UTF-8."""

    def __init__(self, file: Any, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._n_read = 0

    def read(self, n_bytes: int, /) -> bytes:
        while chunk := self._file.read(n_bytes):
            text = self._decode(chunk, final=False)
            self._n_read += len(chunk)
            if text:
                return text.encode()
        return self._decode(b"", final=True).encode()

    def _decode(self, chunk: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeError as error:
            raise DataError(
                f"It isn't {self._encoding}, {error.reason if isinstance(error, UnicodeDecodeError) else error}, "
                f"near byte {self._n_read:,}",
                hint="give its encoding, or fetch it again",
            ) from error


class _WithoutMark:
    """Bytes without a byte order mark at their beginning."""

    def __init__(self, file: Readable) -> None:
        self._file, self._is_first = file, True

    def read(self, n_bytes: int, /) -> bytes:
        found = self._file.read(n_bytes)
        if self._is_first:
            self._is_first = False
            return found.removeprefix(BOM) or (self._file.read(n_bytes) if found else b"")
        return found


def stream_of(file: Any, encoding: str, *, as_utf8: bool = False) -> Readable:
    """Give a file's text without a byte order mark, as UTF-8 where its encoding can't be cut at line ends."""
    is_transcoded = has_wide_units(encoding) or (as_utf8 and not _is_utf8(encoding))
    return _WithoutMark(_Transcoded(file, encoding) if is_transcoded else file)


def open_separated(file: Sniffed, member: Member, options: ReadOptions) -> SeparatedText:
    """Find a file's separator and columns.

    ``options.columns`` names them for a file without a header. Names are stripped; an empty one becomes ``column_N``.

    Raises DataError for a name that stands twice, and a header that can't be read.
    """
    header = _header_text(file, options.encoding)
    separator = options.separator or ("\t" if file.kind == "tsv" else _likely_separator(header))
    names = options.columns or _names(header, separator)
    _refuse_twice(file, names)
    is_given = options.columns is not None
    return SeparatedText(file, member.label, separator, names, not is_given, options.encoding, options.spellings)


def _header_text(file: Sniffed, encoding: str) -> str:
    """The first row that isn't blank, whichever separator there is."""
    try:
        with open_bytes(file) as opened:
            for block in cut(stream_of(opened, encoding), separator=None):
                if block.is_overlong:
                    raise DataError(
                        f"The first line of {file.path.name!r} is longer than {ROW_BYTES >> 20} MB ({file.path})",
                        hint="a table has line ends: is it one at all?",
                    )
                data = block.data.lstrip(b"\r\n")
                if data:
                    return _first_lines(file, data).decode("utf-8" if has_wide_units(encoding) else encoding, "replace")
    except (OSError, EOFError) as error:
        raise damaged(file.path, str(error)) from error
    return ""


def _first_lines(file: Sniffed, data: bytes) -> bytes:
    """The first row, which may go over line ends within quotation marks."""
    end = 0
    for line in data.splitlines(keepends=True)[:N_HEADER_LINES]:
        end += len(line)
        if data.count(QUOTE, 0, end) % 2 == 0:
            return data[:end]
    raise DataError(
        f"The header of {file.path.name!r} opens a quotation mark that isn't closed ({file.path})",
        hint="a quotation mark within a name must be doubled, and the name in quotation marks",
    )


def _refuse_twice(file: Sniffed, names: Sequence[str]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(
            f"{file.path.name!r} has {len(twice)} column names twice: {', '.join(map(repr, twice[:N_SHOWN]))}",
            where=str(file.path),
            hint="rename one of each in the file",
        )


def _likely_separator(header: str) -> str:
    """Take the candidate that splits the first line into most fields."""
    return max(SEPARATORS, key=lambda candidate: len(split_row(header, candidate)))


def _names(header: str, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() or f"column_{number}" for number, name in enumerate(split_row(header, separator), 1))
