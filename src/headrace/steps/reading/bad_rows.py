"""Rows that can't be read: kept aside with their place, their text and the reason, up to a limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

RAW_BYTES = 64 << 10
N_SHOWN = 5


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


@dataclass
class BadRows:
    """The rows set aside so far, and how many may be."""

    allowed: float = 0
    rows: list[BadRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: list[BadRow]) -> None:
        """Set rows aside. Raises DataError as soon as there are more than may be, where that is a number."""
        self.rows += rows
        if isinstance(self.allowed, int) and len(self.rows) > self.allowed:
            raise self._too_many(None)

    def check(self, n_rows: int) -> None:
        """Raise DataError where more of the ``n_rows`` rows are set aside than may be."""
        allowed = self.allowed if isinstance(self.allowed, int) else self.allowed * n_rows
        if len(self.rows) > allowed:
            raise self._too_many(n_rows)

    def _too_many(self, n_rows: int | None) -> DataError:
        first = self.rows[0]
        text = f"Line {first.line} of {first.label!r} {first.reason}"
        n_bad = len(self.rows)
        same = [row for row in self.rows if row.file == first.file]
        if n_bad > 1:
            text += f"; bad rows are in lines {', '.join(str(row.line) for row in same[:N_SHOWN])}"
            text += f" and {n_bad - len(same[:N_SHOWN])} more" if n_bad > len(same[:N_SHOWN]) else ""
        if self.allowed:
            share = "" if n_rows is None else f" of {n_rows} ({n_bad / n_rows:.2%})"
            text = f"{n_bad} rows{share} can't be read, more than max_bad_rows={self.allowed!r} allows. {text}"
        reasons = Counter(row.hint for row in self.rows)
        hint = first.hint if len(reasons) == 1 else "; ".join(dict.fromkeys(row.hint for row in self.rows[:N_SHOWN]))
        more = "allow more with max_bad_rows" if self.allowed else "set them aside with ingest_rows(…, max_bad_rows=…)"
        return DataError(text, where=str(first.file), hint=f"{hint}; or {more}")

    def frame(self) -> pl.DataFrame:
        """The quarantine: columns ``file``, ``line``, ``raw`` (at most 64 KiB) and ``reason``, in the rows' order."""
        import polars as pl

        data = {
            "file": [row.label for row in self.rows],
            "line": [row.line for row in self.rows],
            "raw": [_text(row) for row in self.rows],
            "reason": [row.reason for row in self.rows],
        }
        return pl.DataFrame(data, schema={"file": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String})


def _text(row: BadRow) -> str:
    return row.raw[:RAW_BYTES].rstrip(b"\r\n").decode(row.encoding, errors="backslashreplace")
