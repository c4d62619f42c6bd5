"""Kills in the middle of a map and of a step with parts: what had finished is never computed again.

Each instant is one of: the engine killed once so many parts have been computed; a worker, or the engine, killed by
itself at a fault point inside a write. Then the store says which parts had finished (their actions are there), and the
next run must compute exactly the others.

`make prove` tries more instants and writes ``results/parts.json``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from commits import commit

RESULTS = Path(__file__).resolve().parent / "results" / "parts.json"
SEED = 11
POINTS = (
    "engine.item.begun",
    "engine.before_action",
    "store.object.before_rename",
    "store.object.after_rename",
    "store.record.half_written",
    "store.record.before_link",
    "store.record.after_link",
    "store.record.before_replace",
    "store.record.after_replace",
)
N_ITEMS, N_FOLDS, N_EPOCHS = 12, 8, 10
FLOW = """
import time
from pathlib import Path
from headrace import load_checkpoint, memo, pipeline, save_checkpoint, step

def note(place: str, text: str) -> None:
    Path(place, f"{time.time_ns()} {text}").touch()

@step
def score(x: int, place: str) -> list[int]:
    note(place, f"item{x}")
    time.sleep(0.01)
    return [x, x * x]

def fold(i: int, place: str) -> int:
    note(place, f"fold{i}")
    time.sleep(0.01)
    return i * i

@step
def cross_validate(n: int, place: str) -> int:
    return sum(memo(fold, i, place) for i in range(n))

@step
def train(n: int, place: str) -> int:
    first, total = load_checkpoint((0, 0))
    for epoch in range(first, n):
        note(place, f"epoch{epoch}")
        total += epoch
        save_checkpoint((epoch + 1, total))
    return total

@pipeline
def flow(place: str, n_items: int, n_folds: int, n_epochs: int):
    return {
        "scores": score.options(max_tasks=3).map(list(range(n_items)), place),
        "folds": cross_validate(n_folds, place),
        "epochs": train(n_epochs, place),
    }
"""


@dataclass(frozen=True)
class Strike:
    """Kill the engine after ``n_parts`` have been computed, or whoever passes ``point`` for the ``passage``-th time."""

    n_parts: int = 0
    point: str = ""
    passage: int = 0


def strikes(seed: int, n_strikes: int) -> list[Strike]:
    rng = random.Random(seed)
    n_parts = N_ITEMS + N_FOLDS + N_EPOCHS
    found = []
    for number in range(n_strikes):
        if number % 3 == 0:
            found.append(Strike(n_parts=rng.randint(1, n_parts - 1)))
        else:
            found.append(Strike(point=POINTS[number % len(POINTS)], passage=rng.randint(1, 25)))
    return found


class Place:
    """A project of its own, with a folder for marks: one for each time that a part is computed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir(parents=True)
        (folder / "pyproject.toml").write_text('[project]\nname = "parts"\n')
        (folder / "parts.py").write_text(FLOW)

    def start(self, **variables: str) -> subprocess.Popen[bytes]:
        numbers = {"place": str(self.marks), "n_items": N_ITEMS, "n_folds": N_FOLDS, "n_epochs": N_EPOCHS}
        given = [word for name, value in numbers.items() for word in ("-p", f"{name}={value}")]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        return subprocess.Popen(
            [sys.executable, "-m", "headrace.cli.main", "run", "parts.py", "--workers", "2", "--json", *given],
            cwd=self.folder,
            env=plain | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def n_marks(self) -> int:
        return len(list(self.marks.iterdir()))

    def taken(self) -> list[str]:
        """What was computed since the last time that this was asked."""
        files = list(self.marks.iterdir())
        for file in files:
            file.unlink()
        return [file.name.split()[1] for file in files]

    def finished(self) -> Counter[str]:
        """What the store holds as finished, by kind."""
        found: Counter[str] = Counter()
        for file in (self.folder / ".headrace/actions").rglob("*.json"):
            node = json.loads(file.read_bytes())["node"]
            found["items" if node.startswith("score[") else node] += 1
        for file in (self.folder / ".headrace/checkpoints").rglob("*.json"):
            stored = json.loads(file.read_bytes())["outputs"]["output"]["files"][0][1]
            value = (self.folder / ".headrace/objects" / stored[:2] / stored).read_text()
            found["epochs"] = json.loads(value)["items"][0]
        return found


def try_strike(place: Place, strike: Strike) -> dict[str, Any]:
    """Strike, and see what the next run computes."""
    variables = {}
    if strike.point:
        variables["HEADRACE_FAULT"] = f"{strike.point}:kill:{strike.passage}:{place.folder / 'passages'}"
    engine = place.start(**variables)
    if strike.n_parts:
        deadline = time.monotonic() + 60
        while place.n_marks() < strike.n_parts and engine.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        engine.send_signal(signal.SIGKILL)
    engine.communicate(timeout=120)
    computed = place.taken()
    before = place.finished()
    again = place.start()
    out, problem = again.communicate(timeout=120)
    assert again.returncode == 0, problem.decode()
    ended = json.loads(out)
    value = {name: output.get("value") for name, output in ended["outputs"].items()}
    assert value["folds"] == sum(i * i for i in range(N_FOLDS))
    assert value["epochs"] == sum(range(N_EPOCHS))
    kinds = Counter(mark.rstrip("0123456789") for mark in place.taken())
    is_done = {node: ended["nodes"][node]["outcome"] == "cached" for node in ended["nodes"]}
    wrong = []
    n_left = 0 if is_done["score"] else N_ITEMS - before["items"]
    if kinds["item"] != n_left:
        wrong.append(f"{kinds['item']} items were computed, and {n_left} were left")
    n_folds = before["cross_validate"]
    n_left = 0 if is_done["cross_validate"] else N_FOLDS - n_folds
    if kinds["fold"] != n_left:
        wrong.append(f"{kinds['fold']} folds were computed, and {n_left} were left")
    n_left = 0 if is_done["train"] else N_EPOCHS - before["epochs"]
    if kinds["epoch"] != n_left:
        wrong.append(f"{kinds['epoch']} epochs were computed, and {n_left} were left")
    return {
        **{name: item for name, item in asdict(strike).items() if item},
        "exit_code": engine.returncode,
        "n_computed_before": len(computed),
        "n_computed_after": sum(kinds.values()),
        **({"wrong": wrong} if wrong else {}),
    }


def try_all(folder: Path, seed: int, n_strikes: int) -> list[dict[str, Any]]:
    return [
        try_strike(Place(folder / f"strike{number}"), strike) for number, strike in enumerate(strikes(seed, n_strikes))
    ]


def test_what_had_finished_is_not_computed_again(tmp_path: Path) -> None:
    trials = try_all(tmp_path, SEED, 6)
    assert [trial for trial in trials if "wrong" in trial] == []
    assert sum(trial["n_computed_before"] > 0 and trial["n_computed_after"] > 0 for trial in trials) >= 2


def test_the_campaign_would_notice(tmp_path: Path) -> None:
    """Where what had finished is forgotten, it says so."""

    class Forgetful(Place):
        def start(self, **variables: str) -> subprocess.Popen[bytes]:
            for file in (self.folder / ".headrace/actions").rglob("*.json"):
                if self.n_marks() == 0:
                    file.unlink()
            return super().start(**variables)

    # By then items or folds have finished, whatever the order: epochs alone are fewer, and two parts may be under way.
    trial = try_strike(Forgetful(tmp_path / "trial"), Strike(n_parts=N_EPOCHS + 2 * 4))
    assert any("were left" in text for text in trial["wrong"])


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_whole_campaign(tmp_path: Path) -> None:
    started = time.perf_counter()
    trials = try_all(tmp_path, SEED, 40)
    record = {
        "seed": SEED,
        "commit": commit("src"),
        "command": "pytest -m prove tests/prove/test_parts.py",
        "seconds": round(time.perf_counter() - started, 1),
        "n_strikes": len(trials),
        "n_wrong": sum("wrong" in trial for trial in trials),
        "n_in_the_middle": sum(bool(trial["n_computed_before"] and trial["n_computed_after"]) for trial in trials),
    }
    lines = ",\n  ".join(json.dumps(trial) for trial in trials)
    RESULTS.write_text(json.dumps(record, indent=1)[:-2] + f',\n "trials": [\n  {lines}\n ]\n}}\n')
    assert record["n_wrong"] == 0
