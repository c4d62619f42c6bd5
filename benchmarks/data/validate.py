"""Validation beside its peers: twelve checks on 23 columns, 0.5 % of the rows bad, what is bad written to a file.

Usage: validate.py [--rows 1e6 1e7 5e7] [--bad 0.005] [--rounds 3] [--good] [--only NAME ...] [--folder FOLDER]

Each measurement has a process of its own; within a round every contender runs once. Before anything is timed the
answers are compared: the number of rows, the mean, how many rows break each rule, and how many are set aside; of the
peers that give verdicts alone, which rules don't hold. ``--good`` writes the good rows too (not the peers that give
verdicts). The page cache is warm: the first round isn't counted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import environments  # noqa: E402

CONTENDERS: Mapping[str, str | None] = {
    "headrace_polars": None,
    "headrace_duckdb": None,
    "polars_by_hand": None,
    "duckdb_by_hand": None,
    "gx_pandas": "great-expectations",
    "pandera_pandas": "pandera",
}
"""By name, the peer in whose environment it runs; None for this one."""
MOST_ROWS = {"gx_pandas": 10_000_000, "pandera_pandas": 10_000_000}
NAMES = ("missing", "repeated", "age", "fee", "contract", "gender", "email", "plan", "order")


def measured(contender: str, folder: Path, *, good: bool) -> dict[str, Any]:
    """Run one contender once."""
    peer = CONTENDERS[contender]
    python = sys.executable if peer is None else str(environments.python_of(peer))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=folder) as scratch:
        command = [python, str(HERE / "timed.py"), contender, str(folder), str(Path(scratch) / "out")]
        done = subprocess.run([*command, *(["good"] if good else [])], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{contender} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


def refuse_other_answers(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Hold each answer to the first."""
    first = next(iter(found.values()))
    broken = sorted(name for name, n in zip(NAMES, first["bad"], strict=True) if n)
    for contender, answer in found.items():
        wanted: dict[str, Any] = {"n_rows": first["n_rows"]}
        if "failed" in answer:
            wanted |= {"failed": broken, "whole": [True] * 3}
            answer = {**answer, "failed": sorted(answer["failed"])}
        else:
            wanted |= {"bad": first["bad"], "n_quarantined": first["n_quarantined"]}
            if not math.isclose(answer["mean"], first["mean"], rel_tol=1e-12):
                raise SystemExit(f"{contender} has another mean: {answer['mean']!r}, not {first['mean']!r}")
        different = {name: (answer[name], value) for name, value in wanted.items() if answer[name] != value}
        if different:
            raise SystemExit(f"{contender} has another answer (its own, the first's): {different!s:.2000}")


def table_of(n_rows: int, told: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The figures as a table; times are medians."""
    seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in told.items()}
    lines = [
        "| contender | s | least | CPU s | peak MB | times Headrace's | us a row |",
        "|---|---|---|---|---|---|---|",
    ]
    own = seconds.get("headrace_polars", math.nan)
    for name, runs in told.items():
        cpu = statistics.median(run["cpu_seconds"] for run in runs)
        peak = max(run["peak_mb"] for run in runs)
        least = min(run["seconds"] for run in runs)
        a_row = 1e6 * seconds[name] / n_rows
        lines.append(
            f"| {name} | {seconds[name]:.2f} | {least:.2f} | {cpu:.2f} | {peak:.0f} | "
            f"{seconds[name] / own:.2f} | {a_row:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6])
    parser.add_argument("--bad", type=float, default=0.005)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--good", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[*CONTENDERS], default=[*CONTENDERS])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "headrace-customers")
    given = parser.parse_args()
    import customers

    for n_rows in map(int, given.rows):
        folder = given.folder / f"{n_rows}-{given.bad:g}"
        customers.write(folder, n_rows=n_rows, bad=given.bad)
        for stale in folder.glob("headrace-bench-*"):
            shutil.rmtree(stale)
        names = [name for name in given.only if n_rows <= MOST_ROWS.get(name, n_rows)]
        if given.good:
            names = [name for name in names if CONTENDERS[name] is None]
        for peer in filter(None, (CONTENDERS[name] for name in names)):
            environments.set_up(peer)
        refuse_other_answers({name: measured(name, folder, good=given.good)["found"] for name in names})
        told: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for number in range(given.rounds):
            for name in names:
                told[name].append(measured(name, folder, good=given.good))
            print(f"round {number + 1} of {given.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        what = "what is bad and what is good" if given.good else "what is bad"
        print(f"\n{n_rows:,} rows, {given.bad:.2%} of them bad, {what} written\n\n{table_of(n_rows, told)}", flush=True)


if __name__ == "__main__":
    main()
