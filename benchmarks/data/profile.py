"""Measure profile and drift beside what one would write by hand, each contender in a process of its own.

Usage: profile.py FOLDER [--rows 1e6] [--rounds 3] [--only profile|drift] [--output FILE]

``FOLDER`` gets the customers of ``customers.py`` (23 columns) where they aren't there. In each round every contender
runs once, in turn. The figures are medians; ratios are those to the first contender.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from customers import write  # noqa: E402
from environments import python_of, set_up  # noqa: E402

from headrace.formats.table import Table  # noqa: E402
from headrace.steps.profiling import profile  # noqa: E402
from headrace.steps.profiling.column import MEASURED  # noqa: E402


@dataclass(frozen=True)
class Contender:
    """A script, and the environment that it runs in."""

    name: str
    script: str
    python: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def profilers() -> list[Contender]:
    duckdb, own = python_of("duckdb"), Path(sys.executable)
    return [
        Contender("one DuckDB query by hand", "duckdb_query.py", duckdb),
        Contender("DuckDB's SUMMARIZE", "duckdb_summarize.py", duckdb),
        Contender("Headrace on Polars", "headrace_profile.py", own),
        Contender("Headrace on DuckDB", "headrace_profile.py", own, environment={"HEADRACE_TABLE_ENGINE": "duckdb"}),
    ]


def drifters(folder: Path) -> list[Contender]:
    """Keep a profile of the first part as the reference, and its tenths for the scan by hand."""
    kept, cuts = folder / "reference.json", folder / "edges.json"
    found = profile(Table(sorted((folder / "customers").glob("*.parquet"))[:1]))
    kept.write_text(found.to_json())
    edges: dict[str, list[Any] | None] = {}
    for name, column in found.columns.items():
        if column.kind in ("integer", "number"):
            edges[name] = sorted(set(column.quantiles([i / 10 for i in range(1, 10)])))
        elif column.kind not in MEASURED and column.is_exact:
            edges[name] = None
    cuts.write_text(json.dumps(edges))
    return [
        Contender("Polars scan by hand", "polars_drift.py", python_of("polars"), (str(cuts),)),
        Contender("Headrace", "headrace_drift.py", Path(sys.executable), (str(kept),)),
    ]


def run(contender: Contender, folder: Path) -> dict[str, Any]:
    command = [str(contender.python), str(HERE / "profiling" / contender.script), str(folder), *contender.arguments]
    done = subprocess.run(
        command, env={**os.environ, **contender.environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{contender.name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {contender.name}: {found['seconds']:.2f} s, {found['peak_mb']:.0f} MB", file=sys.stderr)
    return found


def measured(contenders: list[Contender], folder: Path, n_rounds: int) -> list[str]:
    """Give the rows of a table."""
    found: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    for _ in range(n_rounds):
        for contender in contenders:
            found[contender.name].append(run(contender, folder))
    lines = ["| | seconds | least - most | CPU seconds | peak MB | ratio |", "|---|---|---|---|---|---|"]
    base = statistics.median(told["seconds"] for told in found[contenders[0].name])
    for name, told in found.items():
        seconds = [one["seconds"] for one in told]
        cpu, peak = (statistics.median(one[what] for one in told) for what in ("cpu_seconds", "peak_mb"))
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.2f} - {max(seconds):.2f}"
        lines.append(f"| {name} | {middle:.2f} | {spread} | {cpu:.2f} | {peak:.0f} | {middle / base:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["profile", "drift"])
    parser.add_argument("--output", type=Path, help="add the figures to this file")
    options = parser.parse_args()
    for peer in ("duckdb", "polars"):
        set_up(peer)
    parts = write(options.folder, n_rows=int(options.rows), bad=0.0)
    about = f"{int(options.rows):,} rows, medians of {options.rounds} rounds, {os.cpu_count()} cores, "
    about += f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before"
    texts = []
    if options.only != "drift":
        texts += ["", f"**Profile**: {about}", "", *measured(profilers(), parts, options.rounds)]
    if options.only != "profile":
        texts += ["", f"**Drift**: {about}", "", *measured(drifters(options.folder), parts, options.rounds)]
    print("\n".join(texts))
    if options.output is not None:
        with options.output.open("a") as file:
            file.write("\n".join(texts) + "\n")


if __name__ == "__main__":
    main()
