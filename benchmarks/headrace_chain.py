"""Headrace: a step is a process by default; with --inline all steps share one. Cache, records and logs are on."""

from __future__ import annotations

import sys
from pathlib import Path

import worker

import headrace

PIPELINE = """
from headrace import pipeline, step


@step
def add_one(x: int) -> int:
    return x + 1


@pipeline
def chain(start: int, n_steps: int) -> int:
    x = start
    for _ in range(n_steps):
        x = add_one(x)
    return x
"""


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    project = scratch / "project"
    project.mkdir(exist_ok=True)
    (project / "pyproject.toml").write_text('[project]\nname = "chain"\nversion = "1"\n')
    (project / "chain.py").write_text(PIPELINE)
    is_inline = "--inline" in sys.argv

    def run(start: int) -> int:
        done = headrace.run("chain:chain", {"start": start, "n_steps": n_steps}, folder=project, inline=is_inline)
        answer: int = done.load()
        return answer

    return run


if __name__ == "__main__":
    worker.main(prepare)
