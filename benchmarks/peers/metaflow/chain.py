"""Metaflow: a linear flow on the local datastore, run by its command, which is how it runs.

Two of its steps, `start` and `end`, are its own; the marginal time a step leaves them out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import worker

HEAD = """from metaflow import FlowSpec, Parameter, step

class Chain(FlowSpec):
    first = Parameter("first", type=int, required=True)

    @step
    def start(self):
        self.x = self.first
        self.next(self.s1)
"""
STEP = """
    @step
    def s{i}(self):
        self.x = self.x + 1
        self.next(self.{following})
"""
TAIL = """
    @step
    def end(self):
        with open("answer", "w") as file:
            file.write(str(self.x))

if __name__ == "__main__":
    Chain()
"""


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    steps = [STEP.format(i=i, following=f"s{i + 1}" if i < n_steps else "end") for i in range(1, n_steps + 1)]
    flow = scratch / f"chain_{n_steps}.py"
    flow.write_text("".join([HEAD, *steps, TAIL]))
    settings = {**os.environ, "METAFLOW_HOME": str(scratch / "home"), "USERNAME": "benchmark"}

    def run(start: int) -> int:
        command = [sys.executable, str(flow), "--quiet", "run", "--first", str(start)]
        subprocess.run(command, cwd=scratch, env=settings, check=True, stdout=subprocess.DEVNULL)
        return int((scratch / "answer").read_text())

    return run


if __name__ == "__main__":
    worker.main(prepare)
