"""Headrace's comparison of a table with a stored profile: ``headrace_drift.py FOLDER PROFILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import narwhals
import numpy
import polars
import pyarrow.compute
import pyarrow.parquet
from clock import timed

from headrace.formats.table import Table
from headrace.steps.drifting import drift
from headrace.steps.profiling import Profile

LOADED = [narwhals, pyarrow.parquet, numpy, polars, pyarrow.compute]


def work(folder: Path) -> object:
    reference = Profile.from_json(Path(sys.argv[2]).read_bytes())
    return drift(reference, Table(sorted(folder.glob("*.parquet")))).drifting


if __name__ == "__main__":
    timed(work)
