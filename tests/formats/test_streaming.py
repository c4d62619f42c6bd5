"""A table larger than memory is stored without being held: shown by a process's own peak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, resource, sys
from pathlib import Path
import duckdb, polars as pl
from headrace.formats import save_artifact
kind, source, times, target = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
target.mkdir()
if kind == "polars":
    value = pl.scan_parquet([source] * times).with_columns(z=pl.col("c1") * 2)
else:
    value = duckdb.sql(f"select *, c1 * 2 as z from read_parquet({[source] * times})")
save_artifact(value, type(value), target)
rows = pl.scan_parquet(target).select(pl.len()).collect().item()
print(); print(json.dumps([rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]))
"""


@pytest.mark.prove
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["polars", "duckdb"])
def test_eight_times_the_rows_take_no_eight_times_the_memory(kind: str, tmp_path: Path) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    source = tmp_path / "source.parquet"
    pl.DataFrame({f"c{number}": rng.random(2_000_000) for number in range(8)}).write_parquet(
        source, row_group_size=1 << 17
    )
    found = []
    for times in (2, 16):
        command = [sys.executable, "-c", PROGRAM, kind, str(source), str(times), str(tmp_path / f"{kind}{times}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    (few, peak_mb), (many, later_peak_mb) = found
    assert (few, many) == (4_000_000, 32_000_000)
    assert later_peak_mb < peak_mb + 350, "the 2.3 GB of 32 million rows were held"
