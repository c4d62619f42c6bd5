"""DuckDB's own SUMMARIZE."""

from __future__ import annotations

from pathlib import Path

import duckdb
from clock import timed


def work(folder: Path) -> object:
    return len(duckdb.sql(f"SUMMARIZE SELECT * FROM read_parquet('{folder}/*.parquet')").fetchall())


if __name__ == "__main__":
    timed(work)
