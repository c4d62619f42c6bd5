"""The data that a command is given: files of rows, a stored table's parts, profiles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import DataError, near_miss

if TYPE_CHECKING:
    from headrace.formats.table import Table


def add_data(parser: argparse.ArgumentParser, name: str = "data", *, what: str = "the table") -> None:
    """Let a table be named."""
    parser.add_argument(
        name,
        type=Path,
        metavar=name.upper(),
        help=f"{what}: Parquet, CSV, TSV or JSON lines, or a folder of Parquet parts",
    )


def open_table(path: Path) -> Table:
    """Open a file of rows, or a folder of Parquet parts in their names' order.

    Raises DataError where there is none, with the nearest name.
    """
    from headrace.formats.table import Table

    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise DataError(f"The folder {str(path)!r} holds no Parquet file", hint="name a file, or a folder of parts")
        return Table(parts)
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"There is no file {str(path)!r}", hint=near_miss(path.name, beside))
    if path.suffix == ".parquet":
        return Table([path])
    from headrace.steps.ingestion import ingest

    return ingest(path)
