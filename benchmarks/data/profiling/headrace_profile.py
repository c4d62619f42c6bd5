"""Headrace's profile of all columns, and the JSON that is kept. The engine is HEADRACE_TABLE_ENGINE's."""

from __future__ import annotations

import os
from pathlib import Path

import narwhals
import numpy
import pyarrow.compute
import pyarrow.parquet
from clock import timed

from headrace.formats.table import Table
from headrace.steps.profiling import profile

if os.environ.get("HEADRACE_TABLE_ENGINE") == "duckdb":
    import duckdb
else:
    import polars

LOADED = [narwhals, pyarrow.parquet, numpy, pyarrow.compute, duckdb if "duckdb" in globals() else polars]


def work(folder: Path) -> object:
    found = profile(Table(sorted(folder.glob("*.parquet"))))
    return len(found.to_json()), found.n_rows


if __name__ == "__main__":
    timed(work)
