"""A stream of text cut into blocks of whole rows, so that blocks can be parsed side by side and apart from each other.

A row ends at a line end (LF, CRLF or CR) that isn't within quotation marks. A quotation mark opens a value only where
the value begins; two of them within one stand for one. That is how Python's csv module, pyarrow and RFC 4180 read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

BLOCK_BYTES = 4 << 20
ROW_BYTES = 16 << 20
"""A row that is longer is none: a quotation mark is open, or there are no line ends."""

QUOTE, LF, CR = b'"', b"\n", b"\r"


class Readable(Protocol):
    """Where bytes come from."""

    def read(self, n_bytes: int, /) -> bytes:
        """Give the next bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows, and the number of the line that they begin in."""

    data: bytes
    first_line: int
    is_overlong: bool = False
    """Whether this is a row that is too long, cut: not to be parsed."""
    is_open: bool = False
    """Whether this is a line that opens a quotation mark which isn't closed: not to be parsed."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row is in a block."""

    start: int
    end: int
    line: int
    n_values: int
    is_odd: bool = False
    """Whether it goes over a line end by a quotation mark that isn't followed by a separator: it may be two rows."""
    is_open: bool = False
    """Whether a quotation mark is open at its end."""


def cut(stream: Readable, *, separator: bytes | None, first_line: int = 1) -> Iterator[Block]:
    """Give all rows in blocks of some megabytes. Without ``separator`` each line is a row, whatever is in it.

    At most `ROW_BYTES` and one block are held, whatever the stream is.
    """
    buffer, line, is_end = b"", first_line, False
    wanted = BLOCK_BYTES
    while not is_end or buffer:
        while len(buffer) < wanted and not is_end:
            more = stream.read(wanted - len(buffer))
            buffer += more
            is_end = not more
        if not buffer:
            return
        end = _last_row_end(buffer, separator, is_end=is_end)
        if end:
            yield Block(buffer[:end], line)
            line += n_lines(buffer, end)
            buffer, wanted = buffer[end:], BLOCK_BYTES
        elif is_end or len(buffer) >= ROW_BYTES:
            # What begins here has no end: take its first line out, and go on behind it.
            first_end = _line_end(buffer)
            if first_end is None and not is_end:
                yield Block(buffer, line, is_overlong=True)
                buffer, is_end = _skip_line(stream, buffer[-1:])
            else:
                first_end = len(buffer) if first_end is None else first_end
                yield Block(buffer[:first_end], line, is_open=True)
                buffer = buffer[first_end:]
            line, wanted = line + 1, BLOCK_BYTES
        else:
            wanted = min(2 * len(buffer), ROW_BYTES)


def _skip_line(stream: Readable, last: bytes) -> tuple[bytes, bool]:
    """Read on to the end of a line without keeping it: give what is behind it, and whether that is all."""
    while chunk := stream.read(BLOCK_BYTES):
        if last == CR and chunk[:1] != LF:
            return chunk, False
        end = _line_end(chunk, is_whole=False)
        if end is not None:
            return chunk[end:], False
        last = chunk[-1:]
    return b"", True


def _line_end(data: bytes, *, is_whole: bool = True) -> int | None:
    """The offset behind the first line end, None where there is none (or more may belong to it)."""
    found = [place for place in (data.find(LF), data.find(CR)) if place >= 0]
    if not found:
        return None
    place = min(found)
    if data[place : place + 1] == CR:
        if place + 1 == len(data) and not is_whole:
            return None
        return place + (2 if data[place + 1 : place + 2] == LF else 1)
    return place + 1


def n_lines(data: bytes, end: int | None = None) -> int:
    """Count line ends, CRLF as one."""
    end = len(data) if end is None else end
    n_returns = data.count(CR, 0, end)
    n_both = data.count(b"\r\n", 0, end) if n_returns else 0
    return data.count(LF, 0, end) + n_returns - n_both


def _last_row_end(data: bytes, separator: bytes | None, *, is_end: bool) -> int:
    """The offset behind the last row that is whole; 0 where none is."""
    is_plain = separator is None or QUOTE not in data
    if is_plain:
        return len(data) if is_end else _last_line_end(data, len(data))
    assert separator is not None
    marks = quotation_marks(data, separator)
    if marks is None:
        return _walked_end(data, separator, is_end=is_end)
    if is_end and len(marks) % 2 == 0:
        return len(data)
    end = len(data)
    while end := _last_line_end(data, end):
        n_before = int(marks.searchsorted(end))
        if n_before % 2 == 0:
            return end
        end = int(marks[n_before - 1])
    return 0


def _last_line_end(data: bytes, before: int) -> int:
    end = data.rfind(LF, 0, before) + 1
    # A CR at the very end may be half of a CRLF.
    return end or data.rfind(CR, 0, min(before, len(data) - 1)) + 1


def _walked_end(data: bytes, separator: bytes, *, is_end: bool) -> int:
    end = 0
    for row in walk(data, separator):
        if row.is_open:
            return row.start
        if row.end == len(data) and not is_end and data[-1:] != LF:
            return row.start
        end = row.end
    return end


def quotation_marks(data: bytes, separator: bytes) -> Any:
    """Where the quotation marks are, as an array; None where some stand within or behind values.

    Where each mark that opens is at a value's beginning, and each that closes at its end or before another mark, an
    even number of marks before a place means that it isn't within any.
    """
    import numpy as np

    text = np.frombuffer(data, np.uint8)
    marks = np.flatnonzero(text == QUOTE[0])
    edges = np.zeros(256, bool)
    edges[[separator[0], LF[0], CR[0], QUOTE[0]]] = True
    opening, closing = marks[::2], marks[1::2]
    before = text[opening[1:] - 1] if len(opening) and opening[0] == 0 else text[opening - 1]
    behind = text[closing[:-1] + 1] if len(closing) and closing[-1] == len(text) - 1 else text[closing + 1]
    if not (edges[before].all() and edges[behind].all()):
        return None
    return marks


def n_rows_of(data: bytes, separator: bytes | None) -> int | None:
    """Count the rows of a block by its line ends, without reading them: blank lines are none.

    None where quotation marks stand within or behind values, so that it takes a walk.
    """
    if separator is None or QUOTE not in data:
        lines = data.splitlines()
        return len(lines) - lines.count(b"")
    marks = quotation_marks(data, separator)
    if marks is None:
        return None
    import numpy as np

    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == LF[0])
    if CR in data:
        returns = np.flatnonzero(text[:-1] == CR[0])
        ends = np.sort(np.concatenate([ends, returns[text[returns + 1] != LF[0]]]))
    ends = ends[marks.searchsorted(ends) % 2 == 0]
    starts = np.concatenate([[0], ends + 1])
    widths = np.append(ends, len(text)) - starts
    is_blank = (widths == 0) | ((widths == 1) & (text[np.minimum(starts, len(text) - 1)] == CR[0]))
    return int(len(starts) - is_blank.sum())


@lru_cache(maxsize=16)
def _value(separator: bytes) -> re.Pattern[bytes]:
    rest = rb"[^" + re.escape(separator) + rb"\r\n]*+"
    return re.compile(rb'"((?:[^"]++|"")*+)("?)(' + rest + rb")|" + rest)


def walk(data: bytes, separator: bytes, first_line: int = 1, *, n_values: int | None = None) -> Iterator[Row]:
    """Give the rows of a block one by one, blank lines left out.

    With ``n_values`` a row over several lines that hasn't so many values, or is odd, is but its first line: the
    quotation mark in it isn't meant to be one.
    """
    lines = data.splitlines(keepends=True)
    position = index = 0
    while index < len(lines):
        start, first, text = position, index, lines[index]
        position += len(text)
        index += 1
        if QUOTE not in text:
            if text.strip(b"\r\n"):
                yield Row(start, position, first_line + first, text.count(separator) + 1)
            continue
        row = _quoted_row(data, separator, start, first_line + first)
        is_bad = row.is_odd or row.is_open or row.n_values != n_values
        if n_values is not None and is_bad and row.end > position:
            row = Row(start, position, row.line, row.n_values, is_odd=True)
        while position < row.end:
            position += len(lines[index])
            index += 1
        yield row


def _quoted_row(data: bytes, separator: bytes, start: int, line: int) -> Row:
    value, mark, position = _value(separator), separator[0], start
    n_values, is_odd, is_open = 0, False, False
    while True:
        found = value.match(data, position)
        assert found is not None
        n_values += 1
        position = found.end()
        if found[1] is not None:
            is_open |= not found[2]
            is_odd |= bool(found[3]) and (LF in found[1] or CR in found[1])
        if position >= len(data) or data[position] != mark:
            break
        position += 1
    position += 2 if data[position : position + 2] == b"\r\n" else 1
    return Row(start, min(position, len(data)), line, n_values, is_odd, is_open)


def split_row(row: str, separator: str) -> list[str]:
    """Split one row into its values."""
    text, value, position = row.encode(), _value(separator.encode()), 0
    values = []
    while True:
        found = value.match(text, position)
        assert found is not None
        position = found.end()
        whole = found[0] if found[1] is None else found[1].replace(b'""', QUOTE) + found[3]
        values.append(whole.decode())
        if position >= len(text) or text[position] in (LF[0], CR[0]):
            return values
        position += 1
