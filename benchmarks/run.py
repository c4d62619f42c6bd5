"""Measure Headrace beside its peers and write RESULTS.md.

Usage: run.py [--rounds N] [--only PART ...] [--output FILE]      parts: chains, hits, growth, start, map
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from contenders import OURS, PEERS, long_chains
from environments import HERE
from map_items import Mapped, measure_maps
from measure import MS, PerStep, Started, measure_chains, measure_commands, note, scratch_folder
from start_up import commands_to_time

ROOT = HERE.parent


def chains(n_rounds: int, folder: Path) -> str:
    """Every step computed and, where the tool keeps results, kept."""
    measured = measure_chains([*OURS, *PEERS], n_rounds=n_rounds, are_hits=False, folder=folder)
    return "## A step, computed and kept\n\n" + steps_table(measured)


def hits(n_rounds: int, folder: Path) -> str:
    """The same run again: every step is found."""
    contenders = [contender for contender in (*OURS, *PEERS) if contender.has_cache]
    measured = measure_chains(contenders, n_rounds=n_rounds, are_hits=True, folder=folder)
    return "## A step, found in the cache\n\n" + steps_table(measured)


def growth(n_rounds: int, folder: Path) -> str:
    """Whether a step costs the same in a long chain as in a short one. Three rounds: each takes minutes."""
    rows = []
    for are_hits in (False, True):
        kind = "all hits" if are_hits else "computed"
        measured = measure_chains(long_chains(), n_rounds=min(n_rounds, 3), are_hits=are_hits, folder=folder / kind)
        rows += [replace(found, name=f"{found.name}, {kind}") for found in measured]
    return "## 100 and 5,000 steps\n\n" + growth_table(rows)


def start(n_rounds: int, folder: Path) -> str:
    """From a new process to its end."""
    measured = measure_commands(commands_to_time(folder), n_rounds=n_rounds)
    return "## Start\n\n" + start_table(measured)


def maps(n_rounds: int, folder: Path) -> str:
    """A step mapped over many items."""
    kinds = [(what, n, what == "inline") for n in (1_000, 10_000) for what in ("inline", "default")]
    return "## A step mapped over a list\n\n" + maps_table(measure_maps(kinds, n_rounds=n_rounds, folder=folder))


PARTS: dict[str, Callable[[int, Path], str]] = {
    "chains": chains,
    "hits": hits,
    "growth": growth,
    "start": start,
    "map": maps,
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def steps_table(measured: Sequence[PerStep]) -> str:
    head = ["contender", "ms a step", "least - most", "CPU ms a step", "chains", "median ms of each"]
    rows = [
        [
            f"{found.name}: {found.what}",
            number(found.ms_a_step),
            " - ".join(number(value) for value in found.spread_ms),
            "not seen" if found.cpu_ms_a_step is None else number(found.cpu_ms_a_step),
            " and ".join(str(size) for size in found.sizes),
            " and ".join(number(value) for value in found.medians_ms),
        ]
        for found in measured
    ]
    return table(head, rows)


def growth_table(measured: Sequence[PerStep]) -> str:
    rows = []
    for found in measured:
        short, long = (total / size for total, size in zip(found.medians_ms, found.sizes, strict=True))
        rows.append([found.name, number(short), number(long), f"{long / short:.2f}"])
    return table(["", "ms a step of 100", "ms a step of 5,000", "ratio"], rows)


def start_table(measured: Sequence[Started]) -> str:
    rows = [
        [found.what, *(number(seconds * MS) for seconds in (found.median, found.least, found.most))]
        for found in measured
    ]
    return table(["command", "median ms", "least", "most"], rows)


def maps_table(measured: Sequence[Mapped]) -> str:
    head = ["mode", "items", "ms an item", "least - most", "one item more: ms", "all found again: ms", "peak MB"]
    rows = [
        [
            found.what,
            f"{found.n_items:,}",
            number(found.ms_an_item),
            " - ".join(number(value) for value in found.spread_ms),
            number(found.one_more_ms),
            number(found.hits_ms),
            number(found.peak_mb),
        ]
        for found in measured
    ]
    return table(head, rows)


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()


def machine() -> str:
    """What the figures were measured on."""
    about = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in about if line.startswith("model name")), "unknown")
    changed = " with uncommitted changes" if output_of("git", "status", "--porcelain", "src") else ""
    return "\n".join(
        [
            f"- commit {output_of('git', 'rev-parse', '--short', 'HEAD')}{changed}, {time.strftime('%Y-%m-%d')}",
            f"- {os.cpu_count()} cores ({cpu}), Linux {platform.release()}, Python {platform.python_version()}",
        ]
    )


def written_by_others(results: Path) -> str:
    """What stands below the mark: figures of benchmarks that have commands of their own."""
    mark, text = "<!-- by other commands -->", results.read_text() if results.is_file() else ""
    return mark + text.partition(mark)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    texts = []
    # One folder for all, removed at the end: a file system that has just lost many files is slow to make new ones.
    with scratch_folder() as scratch:
        for part in options.only:
            note(f"--- {part}")
            folder = Path(scratch, part)
            folder.mkdir()
            texts.append(PARTS[part](options.rounds, folder))
    head = [
        "# Results",
        "How these are measured, and what they leave out: [benchmarks](README.md).",
        f"{machine()}\n- `make bench`: medians of {options.rounds} rounds; "
        f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after",
    ]
    options.output.write_text("\n\n".join([*head, *texts]) + "\n" + written_by_others(options.output))
    note(f"wrote {options.output}")


if __name__ == "__main__":
    main()
