"""Flyte 2, local: tasks with cache="auto", awaited one after another by a parent that isn't cached itself."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import worker

# Its local cache lies in the home folder.
os.environ["HOME"] = sys.argv[1] if len(sys.argv) > 1 else os.environ["HOME"]
import flyte

logging.disable(logging.CRITICAL)
cached = flyte.TaskEnvironment(name="steps", cache="auto")
parent = flyte.TaskEnvironment(name="parent", cache="disable", depends_on=[cached])


@cached.task
async def add_one(x: int) -> int:
    return x + 1


@parent.task
async def chain(start: int, n_steps: int) -> int:
    for _ in range(n_steps):
        start = await add_one(start)
    return start


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    flyte.init()

    def run(start: int) -> int:
        return flyte.run(chain, start, n_steps).outputs()[0]

    return run


if __name__ == "__main__":
    worker.main(prepare)
