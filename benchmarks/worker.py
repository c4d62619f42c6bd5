"""The side of a benchmark that runs in a contender's own environment: a process that is asked for chains.

A contender is a script that builds a chain of `n` steps, each of which adds one to an int, and says how to run it:

    if __name__ == "__main__":
        worker.main(prepare)

``prepare(n, scratch)`` returns ``run(start) -> answer``. What a user writes once (the graph) is made in `prepare`;
everything that happens at each run is in `run`, and only that is timed. Standard library only.

Usage of such a script: SCRIPT SCRATCH [OPTIONS ...]            requests on standard input, a JSON object a line
                        SCRIPT SCRATCH --once N START ...       one chain, its answer printed (for start-up times)
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

Run = Callable[[int], int]
Prepare = Callable[[int, Path], Run]


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def keep_answers_apart() -> TextIO:
    """A stream to the asker; what tools print, even while they are imported, goes to standard error instead."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return answers


ANSWERS = keep_answers_apart()


def timed(run: Run, start: int) -> dict[str, float]:
    """One run and what it took."""
    gc.collect()
    cpu = cpu_seconds()
    began = time.perf_counter()
    answer = run(start)
    seconds = time.perf_counter() - began
    return {"answer": answer, "seconds": seconds, "cpu_seconds": cpu_seconds() - cpu}


def serve(prepare: Prepare, scratch: Path) -> None:
    """Answer requests until standard input ends."""
    chains: dict[int, Run] = {}
    print(json.dumps({"is_ready": True}), file=ANSWERS)
    for line in sys.stdin:
        asked = json.loads(line)
        n_steps = asked["n_steps"]
        if n_steps not in chains:
            chains[n_steps] = prepare(n_steps, scratch)
        print(json.dumps(timed(chains[n_steps], asked["start"])), file=ANSWERS)


def main(prepare: Prepare) -> None:
    """Be a contender."""
    scratch = Path(sys.argv[1])
    scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(scratch)
    if "--once" in sys.argv:
        position = sys.argv.index("--once")
        n_steps, start = (int(text) for text in sys.argv[position + 1 : position + 3])
        print(prepare(n_steps, scratch)(start), file=ANSWERS)
    else:
        serve(prepare, scratch)
