"""Separated text (CSV, TSV), read in batches: every value as text, stripped, missing where it is spelled so."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.steps.reading.sniffing import HEAD_BYTES, Sniffed, open_bytes

if TYPE_CHECKING:
    import polars as pl

BATCH_BYTES = 4 << 20
SEPARATORS = (",", "\t", ";", "|")
N_SHOWN = 5

_RAGGED = re.compile(r"Row #(?P<row>\d+): Expected \d+ columns, got \d+")
_UNDECODABLE = re.compile(r"In CSV column #(?P<column>\d+):.*invalid UTF8", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SeparatedText:
    """A file of separated text, and how it is to be read."""

    file: Sniffed
    separator: str
    columns: tuple[str, ...]
    has_header: bool
    encoding: str
    missing: tuple[str, ...]

    @property
    def is_header_alone(self) -> bool:
        """Whether there is nothing after the header, seen in a file that is read whole already."""
        if len(self.file.head) >= HEAD_BYTES or not self.has_header:
            return False
        text = self.file.head.decode(self.encoding, errors="replace").removeprefix("\ufeff")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator)
        return sum(1 for row in rows if row) < 2

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the rows in order, in batches of a few megabytes, every column as text.

        Blanks around values are stripped; what is then spelled as missing is null. Lines without anything are
        left out. ``columns`` picks some.

        Raises DataError for a ragged line, undecodable bytes, an open quotation mark, or a file cut short.
        """
        import pyarrow as pa

        try:
            yield from self._read(columns)
        except pa.ArrowInvalid as error:
            raise self._explain(str(error)) from error
        except (EOFError, OSError, UnicodeDecodeError) as error:
            raise self._explain(str(error)) from error

    def _read(self, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        import polars as pl
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        with open_bytes(self.file) as file:
            reader = arrow_csv.open_csv(
                file,
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,
                    block_size=BATCH_BYTES,
                    column_names=self.columns,
                    skip_rows_after_names=1 if self.has_header else 0,
                    encoding=self.encoding,
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={name: pa.string() for name in self.columns},
                    include_columns=None if columns is None else list(columns),
                ),
            )
            for batch in reader:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame.select(self._cleaned(name) for name in frame.columns)

    def _cleaned(self, name: str) -> pl.Expr:
        import polars as pl

        stripped = pl.col(name).str.strip_chars()
        return pl.when(~stripped.is_in(list(self.missing))).then(stripped).alias(name)

    def _explain(self, problem: str) -> DataError:
        name, where = self.file.path.name, str(self.file.path)
        if undecodable := _UNDECODABLE.search(problem):
            return self._undecodable(int(undecodable["column"]))
        if "decode" in problem:
            return self._undecodable(None)
        if _RAGGED.search(problem):
            return self._ragged()
        if "end-of-stream" in problem or "CRC" in problem or "compressed" in problem.lower():
            return DataError(f"{name!r} is cut short or damaged: {problem} ({where})", hint="fetch it again")
        if "straddling" in problem:
            return DataError(
                f"{name!r} has a line of more than {BATCH_BYTES >> 20} MB ({where})",
                hint="a quotation mark is probably opened and not closed",
            )
        return DataError(f"{name!r} can't be read as separated text: {problem} ({where})")

    def _ragged(self) -> DataError:
        """Find the lines whose number of fields isn't the header's, reading again with the standard library."""
        n_fields = len(self.columns)
        bad: list[tuple[int, int]] = []
        n_bad = 0
        first_line = 1
        with self._open_text() as text:
            reader = csv.reader(text, delimiter=self.separator)
            for fields in reader:
                if fields and len(fields) != n_fields:
                    n_bad += 1
                    bad += [(first_line, len(fields))] if len(bad) < N_SHOWN else []
                first_line = reader.line_num + 1
        line, got = bad[0] if bad else (0, 0)
        more = f"; so have lines {', '.join(str(line) for line, _ in bad)}" if n_bad > 1 else ""
        more += f" and {n_bad - len(bad)} more" if n_bad > len(bad) else ""
        what = "the header has" if self.has_header else "there should be"
        return DataError(
            f"Line {line} of {self.file.path.name!r} has {got} fields, but {what} {n_fields}{_another(more)}",
            where=str(self.file.path),
            hint=f"a value with {self.separator!r} or a line break in it must be in quotation marks; "
            "is the separator right?",
        )

    def _undecodable(self, column: int | None) -> DataError:
        with open_bytes(self.file) as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    bad = line[error.start : error.start + 1]
                    return DataError(
                        f"Line {number} of {self.file.path.name!r} isn't {self.encoding}: byte {bad!r} "
                        f"after {line[max(0, error.start - 20) : error.start].decode(self.encoding, 'replace')!r}",
                        where=str(self.file.path),
                        hint="give its encoding, such as encoding='cp1252' (Windows) or 'latin-1'",
                    )
        name = self.columns[column] if column is not None else None
        return DataError(
            f"{self.file.path.name!r} isn't {self.encoding}" + (f" (column {name!r})" if name else ""),
            where=str(self.file.path),
            hint="give its encoding, such as encoding='cp1252'",
        )

    def _open_text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(open_bytes(self.file), encoding=self.encoding, errors="replace", newline="")


def _another(more: str) -> str:
    return more.replace("; so have lines", "; other numbers of fields than the header's are in lines", 1)


def open_separated(
    file: Sniffed,
    *,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    missing: Sequence[str] = ("",),
) -> SeparatedText:
    """Find a file's separator and columns.

    ``columns`` names them for a file without a header. Names are stripped; an empty one becomes ``column_N``.

    Raises DataError for an unknown encoding, a separator of other than one character, and a name that stands twice.
    """
    if separator is not None and len(separator.encode()) != 1:
        raise DataError(f"A separator is one ASCII character, but got {separator!r}", hint=r"such as ';' or '\t'")
    try:
        head = file.head.decode(encoding, errors="replace").removeprefix("\ufeff")
    except LookupError:
        raise DataError(f"There is no encoding {encoding!r}", hint="such as 'utf-8', 'cp1252' or 'latin-1'") from None
    chosen = separator or ("\t" if file.kind == "tsv" else _likely_separator(head))
    names = tuple(columns) if columns is not None else _header(head, chosen)
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(
            f"{file.path.name!r} has {len(twice)} column names twice: {', '.join(map(repr, twice[:N_SHOWN]))}",
            where=str(file.path),
            hint="rename one of each in the file",
        )
    spellings = tuple(dict.fromkeys(spelling.strip() for spelling in ("", *missing)))
    return SeparatedText(file, chosen, names, columns is None, encoding, spellings)


def _likely_separator(head: str) -> str:
    """Take the candidate that splits the first line into most fields."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    counts = {candidate: len(_fields(first, candidate)) for candidate in SEPARATORS}
    return max(SEPARATORS, key=lambda candidate: counts[candidate])


def _header(head: str, separator: str) -> tuple[str, ...]:
    rows: Iterator[Any] = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
    first: list[str] = next((row for row in rows if row), [])
    return tuple(name.strip() or f"column_{number}" for number, name in enumerate(first, 1))


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])
