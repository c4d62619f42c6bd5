"""Many columns of pure noise, compared again and again: how often does anything raise an alarm?

Usage: python tests/prove/noise.py [--runs N] [--columns N]. Writes ``results/drift.json``.

In each run a reference and a table of a thousand columns are drawn from the same distributions: numbers, whole numbers
and categories in turn, a tenth of the values of every other column missing. Beside them, one column in which the mean
moves by 0.2 standard deviations at 10,000 rows, which has to be found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
from commits import commit

from headrace.steps import drift, profile

RESULT = Path(__file__).resolve().parent / "results" / "drift.json"
MOST_SHARE = 0.01
SIZES = (100, 1_000, 10_000)


def noise(n_rows: int, n_columns: int, seed: int) -> pl.DataFrame:
    """Draw columns, which are the same for each seed but for chance."""
    random = np.random.default_rng(seed)
    columns: dict[str, pl.Series] = {}
    for number in range(n_columns):
        kind = number % 4
        drawn = (
            random.normal(0, 1, n_rows)
            if kind == 0
            else random.lognormal(3, 1, n_rows)
            if kind == 1
            else random.poisson(2, n_rows)
            if kind == 2
            else random.zipf(1.5, n_rows).clip(max=40).astype(str)
        )
        values = pl.Series(drawn)
        if number % 2:
            values = values.set(pl.Series(random.random(n_rows) < 0.1), None)
        columns[f"c{number}"] = values
    return pl.DataFrame(columns)


def alarms(seed: int, n_rows: int, n_columns: int) -> tuple[str, ...]:
    """Compare two draws, and give the columns that raise an alarm."""
    reference = profile(noise(n_rows, n_columns, 2 * seed))
    return drift(reference, noise(n_rows, n_columns, 2 * seed + 1)).drifting


def n_runs_with_alarms(seeds: Iterable[int], n_rows: int, n_columns: int) -> int:
    """Count the runs in which anything does."""
    return sum(bool(alarms(seed, n_rows, n_columns)) for seed in seeds)


def is_shift_found(seed: int) -> bool:
    """Move the mean of one column of 10,000 rows by 0.2 standard deviations."""
    random = np.random.default_rng(seed)
    before = pl.DataFrame({"x": random.normal(50, 10, 10_000)})
    return drift(profile(before), pl.DataFrame({"x": random.normal(52, 10, 10_000)})).drifting == ("x",)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help="of each size of table (default: 40)")
    parser.add_argument("--columns", type=int, default=1_000)
    options = parser.parse_args(arguments)
    started = time.time()
    with_alarms = {n: n_runs_with_alarms(range(options.runs), n, options.columns) for n in SIZES}
    n_found = sum(is_shift_found(seed) for seed in range(options.runs))
    n_runs = options.runs * len(SIZES)
    told = {
        "command": "python tests/prove/noise.py " + " ".join(arguments),
        "commit": commit("src/headrace/steps"),
        "seconds": round(time.time() - started),
        "n_columns": options.columns,
        "n_runs": n_runs,
        "runs_with_alarms": {str(n): count for n, count in with_alarms.items()},
        "shifts_found": f"{n_found} of {options.runs}",
    }
    RESULT.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
    return 0 if sum(with_alarms.values()) <= MOST_SHARE * n_runs and n_found == options.runs else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
