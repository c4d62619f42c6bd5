"""Separated text into typed, stored Parquet: ``ingest`` beside Polars and pyarrow, which infer on a sample.

    python benchmarks/ingest.py [--rows 1000000]

Each contender runs in a process of its own, in turn, three times; the least is told: wall clock, processor time, peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SETUP = """
import json, resource, sys, time
from pathlib import Path
source, place = Path(sys.argv[1]), Path(sys.argv[2])
place.mkdir()
"""
TOLD = """
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu,
                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]))
"""
START = "wall, cpu = time.perf_counter(), time.process_time()\n"
CONTENDERS: Mapping[str, tuple[str, str]] = {
    "polars scan_csv, sink_parquet": (
        "import polars as pl\n",
        "pl.scan_csv(source, try_parse_dates=True).sink_parquet(place / 'x.parquet', compression='zstd',"
        " compression_level=1)\n",
    ),
    "pyarrow read_csv, write_table": (
        "from pyarrow import csv, parquet\n",
        "parquet.write_table(csv.read_csv(source), place / 'x.parquet', compression='zstd', compression_level=1)\n",
    ),
    "ingest, stored": (
        "import numpy, polars, pyarrow.parquet\nfrom headrace.formats.parquet import ParquetFormat\n"
        "from headrace.formats.table import Table\nfrom headrace.steps import ingest\n",
        "ParquetFormat().save(ingest(source), place, Table)\n",
    ),
}
N_TIMES = 3


def write_rows(path: Path, n: int) -> None:
    """Make up 23 columns: ids, numbers and texts with missing values, a day, a moment, a label."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)

    def with_holes(values: pl.Series) -> pl.Series:
        return pl.select(pl.when(pl.Series(random.random(n) >= 0.03)).then(values)).to_series()

    columns = {
        "customer_id": pl.Series([f"C{i:08d}" for i in range(n)]),
        "account": pl.Series(random.integers(0, n, n)),
    }
    columns |= {f"x{i}": with_holes(pl.Series(random.normal(50, 20, n).round(3 + i % 3))) for i in range(7)}
    columns |= {f"k{i}": with_holes(pl.Series(random.integers(0, 10 ** (i + 1), n))) for i in range(5)}
    levels = {f"c{i}": [f"level {j} of {i}" for j in range(4 + i * 3)] for i in range(5)}
    columns |= {name: with_holes(pl.Series(random.choice(values, n))) for name, values in levels.items()}
    columns["email"] = pl.Series([f"user{i}@example{i % 97}.com" for i in range(n)])
    seen = pl.Series(random.integers(1_577_836_800, 1_704_067_200, n) * 1_000_000).cast(pl.Datetime("us"))
    columns |= {"signup": seen.dt.date(), "seen": seen.dt.strftime("%Y-%m-%d %H:%M:%S")}
    columns["churned"] = pl.Series(random.choice(["yes", "no"], n))
    pl.DataFrame(columns).write_csv(path)


def measured(name: str, source: Path, place: Path) -> list[float]:
    """Run one contender in a process of its own: seconds, processor seconds, megabytes at its peak."""
    imports, work = CONTENDERS[name]
    code = SETUP + imports + START + work + TOLD
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(place)], capture_output=True, text=True, check=True
    )
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure all, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "rows.csv")
        write_rows(source, asked.rows)
        print(f"{asked.rows:,} rows x 23 columns, {source.stat().st_size / 1e6:.0f} MB of CSV")
        found: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
        for turn in range(N_TIMES):
            for number, name in enumerate(CONTENDERS):
                found[name].append(measured(name, source, Path(folder, f"{turn}-{number}")))
    for name, runs in found.items():
        wall, cpu, peak = (min(values) for values in zip(*runs, strict=True))
        print(f"{name:32} {wall:6.2f} s  {cpu:6.2f} s of processor  {peak:5.0f} MB")


if __name__ == "__main__":
    main()
