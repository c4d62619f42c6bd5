"""Rows that can't be read: kept aside with their place, their text and the reason, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps.reading.keeping import keep

if TYPE_CHECKING:
    import polars as pl

RAW_BYTES = 64 << 10
FRAME_ROWS = 10_000
N_SHOWN = 5
MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be read, where it begins, and why."""

    file: Path
    label: str
    """The file's name, the same on every machine."""
    line: int
    raw: bytes
    reason: str
    hint: str
    encoding: str = "utf-8"
    """That of ``raw``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", self.raw[:RAW_BYTES])


@dataclass
class BadRows:
    """The rows set aside so far, and how many may be."""

    allowed: float = 0
    n_rows: int = 0
    first: list[BadRow] = field(default_factory=list)
    """The first few."""
    _latest: list[BadRow] = field(default_factory=list)
    _frames: list[pl.DataFrame] = field(default_factory=list)

    def __len__(self) -> int:
        return self.n_rows

    def add(self, rows: list[BadRow]) -> None:
        """Set rows aside. Raises DataError as soon as there are more than may be, where that is a number."""
        self.n_rows += len(rows)
        self.first += rows[: N_SHOWN - len(self.first)]
        if isinstance(self.allowed, int) and self.n_rows > self.allowed:
            raise self._too_many(None)
        self._latest += rows
        if len(self._latest) >= FRAME_ROWS:
            self._frames.append(_frame(self._latest))
            self._latest.clear()

    def check(self, n_rows: int) -> None:
        """Raise DataError where more of the ``n_rows`` rows are set aside than may be."""
        allowed = self.allowed if isinstance(self.allowed, int) else self.allowed * n_rows
        if self.n_rows > allowed:
            raise self._too_many(n_rows)

    def _too_many(self, n_rows: int | None) -> DataError:
        row = self.first[0]
        text = f"Line {row.line} of {row.label!r} {row.reason}"
        lines = [str(other.line) for other in self.first if other.label == row.label]
        if self.n_rows > 1:
            more = f" and {self.n_rows - len(lines)} more" if self.n_rows > len(lines) else ""
            text += f"; bad rows are in lines {', '.join(lines)}{more}"
        if self.allowed:
            share = "" if n_rows is None else f" of {n_rows} ({self.n_rows / n_rows:.2%})"
            text = f"{self.n_rows} rows{share} can't be read, more than max_bad_rows={self.allowed!r} allows. {text}"
        hints = "; ".join(dict.fromkeys(other.hint for other in self.first))
        more = "allow more with max_bad_rows" if self.allowed else "set them aside with ingest_rows(…, max_bad_rows=…)"
        return DataError(text, where=str(row.file), hint=f"{hints}; or {more}")

    def table(self) -> Table:
        """The quarantine: columns ``file``, ``line``, ``raw`` (at most 64 KiB) and ``reason``, in the rows' order."""
        return keep([*self._frames, _frame(self._latest)])


def _frame(rows: list[BadRow]) -> pl.DataFrame:
    import polars as pl

    data = {
        "file": [row.label for row in rows],
        "line": [row.line for row in rows],
        "raw": [_text(row) for row in rows],
        "reason": [row.reason for row in rows],
    }
    return pl.DataFrame(data, schema={"file": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String})


def shown(value: object) -> str:
    """Give a value as a reason shows it: not all of a long one."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _text(row: BadRow) -> str:
    return row.raw.rstrip(b"\r\n").decode(row.encoding, errors="backslashreplace")
