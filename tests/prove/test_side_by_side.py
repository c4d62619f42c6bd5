"""Eight processes on one store, one pipeline again and again: no lock error, equal digests, each key stored once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.engine.records import Action
from headrace.stores.open import open_store
from headrace.testing.stores import check_whole

PIPELINE = """
from __future__ import annotations
import os
from headrace import pipeline, step

@step
def draw(i: int) -> list[int]:
    return [i, os.getpid(), *os.urandom(2)]

@step
def join(parts: list[list[int]]) -> list[int]:
    return [number for part in parts for number in part]

@step
def count(numbers: list[int], turn: int) -> int:
    return len(numbers) + turn

@pipeline
def flow(turn: int, n: int = 12):
    return count(join([draw(i) for i in range(n)]), turn)
"""

RUN = """
import json, sys
import headrace
for turn in range(int(sys.argv[1])):
    result = headrace.run("flow.py", {"turn": turn // 2}, store="store", inline=sys.argv[2] == "inline")
    assert result.outcome == "succeeded", [r.failure.message for r in result.nodes.values() if r.failure]
    digests = {n: r.outputs["output"].digest for n, r in sorted(result.nodes.items()) if n != "count"}
    print(json.dumps(digests))
"""


@pytest.mark.parametrize("turns", [3, pytest.param(20, marks=pytest.mark.prove)])
def test_eight_processes_share_a_store(tmp_path: Path, turns: int) -> None:
    """A step's result is different each time it is executed, so equal digests mean that all took the winner's."""
    (tmp_path / "flow.py").write_text(PIPELINE)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(turns), "worker" if number % 4 == 0 else "inline"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    seen: set[str] = set()
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert err == ""
        lines = out.splitlines()
        assert len(lines) == turns
        seen.update(lines)
    assert len(seen) == 1
    digests = json.loads(seen.pop())
    assert len(digests) == 13

    store = open_store(tmp_path / "store")
    check_whole(store)
    actions = []
    for name in store.list_records("actions"):
        text = store.read_record(name)
        assert text is not None
        actions.append(Action.from_json(text))
    assert len(actions) == len({action.key for action in actions}) == 13 + (turns + 1) // 2
    assert len({action.run_id for action in actions}) > 1, "one process made all: nothing was shown"
