"""One query by hand in DuckDB: approximate statistics of the numeric columns and of the text columns."""

from __future__ import annotations

from pathlib import Path

import duckdb
from clock import timed

NUMBERS = ("BIGINT", "DOUBLE", "INTEGER", "FLOAT")
SHARES = "[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]"


def work(folder: Path) -> object:
    source = f"read_parquet('{folder}/*.parquet')"
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()
    parts = ["count(*)"]
    for name, kind, *_ in columns:
        column = f'"{name}"'
        if kind in NUMBERS:
            parts += [
                f"count({column}), min({column}), max({column}), avg({column}), stddev({column}), skewness({column})",
                f"count_if({column} = 0), approx_count_distinct({column}), approx_quantile({column}, {SHARES})",
            ]
        elif kind == "VARCHAR":
            lengths = f"min(length({column})), max(length({column})), avg(length({column}))"
            parts.append(f"count({column}), approx_count_distinct({column}), {lengths}, approx_top_k({column}, 10)")
    return len(duckdb.sql(f"SELECT {', '.join(parts)} FROM {source}").fetchall()[0])


if __name__ == "__main__":
    timed(work)
