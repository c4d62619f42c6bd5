"""A strict type check of what users write with tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import polars as pl
from headrace.formats import Table, TableLike

def ingest() -> Table:
    return Table.of(pl.DataFrame({"a": [1]}))

def own(frame: pl.DataFrame) -> pl.LazyFrame:
    return frame.lazy()

def ready_made(data: TableLike) -> Table:
    return Table.of(data)

table: Table = ready_made(own(ingest()))
lazy: pl.LazyFrame = own(table)
rows: int = ingest().n_rows
"""

WRONG = """
from headrace.formats import Table, TableLike

def ready_made(data: TableLike) -> Table:
    return Table.of(data)

ready_made([1, 2])
rows: str = ready_made(Table()).n_rows
"""


def test_a_table_fits_wherever_one_is_declared_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "right.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = done.stdout.splitlines()
    assert found[0].startswith('wrong.py:7: error: Argument 1 to "ready_made" has incompatible type')
    assert found[1].startswith("wrong.py:8: error: Incompatible types in assignment")
    assert found[2].startswith("Found 2 errors in 1 file (checked 2 source files)")
