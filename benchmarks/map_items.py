"""A step mapped over many items: what an item costs, what the process holds, and what one item more computes.

Run by itself (``map_items.py FOLDER N [--inline]``) it is one measurement in a process of its own, told as JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIPELINE = """
from collections.abc import Iterable

from headrace import pipeline, step


@step
def numbers(n: int, start: int) -> list[int]:
    return list(range(start, start + n))


@step
def add_one(x: int) -> int:
    return x + 1


@step
def total(xs: Iterable[int]) -> int:
    return sum(xs)


@pipeline
def mapped(n: int, start: int = 0) -> int:
    return total(add_one.map(numbers(n, start)))
"""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map of so many items, measured; times in milliseconds an item, memory in MB."""

    what: str
    n_items: int
    ms_an_item: float
    spread_ms: tuple[float, float]
    one_more_ms: float
    hits_ms: float
    """The whole run again, all of it found."""
    peak_mb: float


def measure_maps(kinds: Sequence[tuple[str, int, bool]], *, n_rounds: int, folder: Path) -> list[Mapped]:
    """Measure each kind (name, items, inline) in as many processes as there are rounds, interleaved."""
    told: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number in range(n_rounds):
        for index, (what, n_items, is_inline) in enumerate(kinds):
            place = folder / f"{number}-{index}"
            command = [sys.executable, __file__, str(place), str(n_items), *(["--inline"] if is_inline else [])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            told.setdefault((what, n_items), []).append(json.loads(done.stdout.splitlines()[-1]))
    return [_summed_up(what, n_items, rounds) for (what, n_items), rounds in told.items()]


def _summed_up(what: str, n_items: int, rounds: Sequence[dict[str, Any]]) -> Mapped:
    def median(name: str) -> float:
        return float(statistics.median(one[name] for one in rounds))

    each = [one["computed_seconds"] * 1000 / n_items for one in rounds]
    return Mapped(
        what=what,
        n_items=n_items,
        ms_an_item=statistics.median(each),
        spread_ms=(min(each), max(each)),
        one_more_ms=median("grown_seconds") * 1000,
        peak_mb=median("peak_mb"),
        hits_ms=median("hits_seconds") * 1000,
    )


def measure_here(folder: Path, n_items: int, *, is_inline: bool) -> dict[str, Any]:
    """One measurement. Each answer, and what was computed for it, is checked."""
    import headrace

    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "mapped"\nversion = "1"\n')
    (folder / "mapped.py").write_text(PIPELINE)

    def run(n: int, n_computed: int) -> float:
        began = time.perf_counter()
        done = headrace.run("mapped:mapped", {"n": n}, folder=folder, inline=is_inline)
        node = done.nodes["add_one"]
        assert done.load() == n * (n + 1) // 2
        assert node.items is not None
        assert node.items["n"] == n
        assert node.items["counts"].get("succeeded", 0) == n_computed
        return node.seconds if n_computed else time.perf_counter() - began

    told = {"computed_seconds": run(n_items, n_items)}
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told["grown_seconds"] = run(n_items + 1, 1)
    told["hits_seconds"] = run(n_items + 1, 0)
    return told


if __name__ == "__main__":
    print(json.dumps(measure_here(Path(sys.argv[1]), int(sys.argv[2]), is_inline="--inline" in sys.argv)))
