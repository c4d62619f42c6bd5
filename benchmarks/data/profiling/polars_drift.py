"""Drift by hand in streaming Polars: rows between edges that were fixed before, and rows of each category.

``polars_drift.py FOLDER EDGES``; the edges, tenths of the reference, are JSON by column, ``null`` for categories.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
from clock import timed


def work(folder: Path) -> object:
    edges = json.loads(Path(sys.argv[2]).read_text())
    frame = pl.scan_parquet(sorted(folder.glob("*.parquet")))
    counts = [pl.len().alias("rows")]
    for name, cuts in edges.items():
        column = pl.col(name)
        counts.append(column.null_count().alias(f"{name} missing"))
        if cuts is None:
            counts.append(column.value_counts().implode().alias(name))
            continue
        # How many lie below each edge: what lies between is the difference.
        counts += [(column < cut).sum().alias(f"{name} < {place}") for place, cut in enumerate(cuts)]
    return frame.select(counts).collect(engine="streaming").width


if __name__ == "__main__":
    timed(work)
