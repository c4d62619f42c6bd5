"""How files of rows are to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind, check_kind
from headrace.steps.reading.sniffing import FileKind

MISSING = ("NA", "NaN", "null")
"""How a missing value is spelled unless said otherwise; an empty one is always missing."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What `headrace.steps.ingest` may be told, checked; see there."""

    kind: FileKind | None = None
    missing: tuple[str, ...] = MISSING
    types: Mapping[str, Kind] = field(default_factory=dict)
    separator: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    max_bad_rows: float = 0

    @classmethod
    def checked(
        cls,
        *,
        kind: FileKind | None = None,
        missing: Sequence[str] = MISSING,
        types: Mapping[str, Kind] | None = None,
        separator: str | None = None,
        columns: Sequence[str] | None = None,
        encoding: str = "utf-8",
        max_bad_rows: float = 0,
    ) -> ReadOptions:
        """Raise DataError for a value that means nothing."""
        declared = {name: check_kind(given, column=name) for name, given in (types or {}).items()}
        if separator is not None and (len(separator.encode()) != 1 or separator in '"\r\n'):
            raise DataError(f"A separator is one ASCII character, but got {separator!r}", hint=r"such as ';' or '\t'")
        try:
            "".encode(encoding)
        except LookupError:
            hint = "such as 'utf-8', 'cp1252' or 'latin-1'"
            raise DataError(f"There is no encoding {encoding!r}", hint=hint) from None
        is_number = isinstance(max_bad_rows, int | float) and not isinstance(max_bad_rows, bool)
        if is_number and float(max_bad_rows).is_integer():
            max_bad_rows = int(max_bad_rows)  # a parameter of a pipeline may have made 100.0 of 100
        if not is_number or max_bad_rows < 0 or not (isinstance(max_bad_rows, int) or max_bad_rows < 1):
            raise DataError(
                f"max_bad_rows is a whole number of rows, or a share below 1, but got {max_bad_rows!r}",
                hint="such as 100, or 0.001",
            )
        names = None if columns is None else tuple(columns)
        return cls(kind, tuple(missing), declared, separator, names, encoding, max_bad_rows)

    @property
    def spellings(self) -> tuple[str, ...]:
        """How missing values are spelled after stripping, the empty one first."""
        return tuple(dict.fromkeys(spelling.strip() for spelling in ("", *self.missing)))
