"""One trial: a run that is struck at an instant, and everything that must be true afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.stores.local import LocalStore
from headrace.testing.faults import passages
from headrace.testing.stores import check_whole
from kills.instants import Instant
from kills.processes import MARKER, describe, marked, server_of, status, wait_till, workers_of

HERE = Path(__file__).resolve().parent
LONGEST_RUN_SECONDS = 60.0
LONGEST_DEATH_SECONDS = 10.0
NEVER = 0
TWELVE = "twelve.py:twelve"


class WrongError(Exception):
    """Something that must be true after a kill isn't."""


@dataclass
class Place:
    """A trial's own folder: the project, a store, and a folder for the steps' temporary files."""

    folder: Path

    def __post_init__(self) -> None:
        self.name = str(self.folder)  # the marker of its processes: nobody else has this folder
        self.store = self.folder / "store"
        self.project = self.folder / "project"
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        if not self.project.exists():
            shutil.copytree(HERE / "project", self.project, ignore=shutil.ignore_patterns("__pycache__"))

    def environment(self, fault: str | None = None) -> dict[str, str]:
        """What a run's processes are started with."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        own |= {MARKER: self.name, "TMPDIR": str(self.folder / "tmp")}
        own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        return own | ({"HEADRACE_FAULT": fault} if fault else {})

    def start(
        self, *, inline: bool = False, fault: str | None = None, target: str = TWELVE, **parameters: object
    ) -> subprocess.Popen[bytes]:
        """Start an engine."""
        request = {"target": target, "store": str(self.store), "inline": inline, "parameters": parameters}
        command = [sys.executable, str(HERE / "driver.py"), json.dumps(request)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.project, env=self.environment(fault), stdout=pipe, stderr=pipe)

    def run(self, *, inline: bool = False, fault: str | None = None) -> Ended:
        """Run the pipeline to its end."""
        return finish(self.start(inline=inline, fault=fault))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Ended:
    """How an engine ended, and what it said."""

    exit_code: int
    report: Mapping[str, Any] | None
    errors: str

    def outcomes(self) -> dict[str, str]:
        return {name: node["outcome"] for name, node in (self.report or {"nodes": {}})["nodes"].items()}

    def digests(self) -> dict[str, dict[str, str]]:
        return {name: node["digests"] for name, node in (self.report or {"nodes": {}})["nodes"].items()}


def finish(engine: subprocess.Popen[bytes]) -> Ended:
    """Wait for an engine's end."""
    try:
        out, errors = engine.communicate(timeout=LONGEST_RUN_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        _, errors = engine.communicate()
        text = errors.decode(errors="replace")[-2000:]
        raise WrongError(f"the engine hung for more than {LONGEST_RUN_SECONDS:g} s\n{text}") from None
    report = json.loads(out.splitlines()[-1]) if out.strip() and out.splitlines()[-1].startswith(b"{") else None
    return Ended(engine.returncode, report, errors.decode(errors="replace"))


@dataclass(frozen=True)
class Undisturbed:
    """What a run does that nobody disturbs: its digests, how long it takes, the points that it passes."""

    digests: dict[str, dict[str, str]]
    seconds: float
    passed: list[str]
    n_objects: int
    n_bytes: int


def undisturbed(folder: Path) -> Undisturbed:
    """Run once in peace, and once more inline: the digests must be the same."""
    place = Place(folder / "undisturbed")
    counter = folder / "passages"
    first = place.run()
    started = time.perf_counter()
    counted = Place(folder / "counted").run(fault=f"*:enospc:{NEVER}:{counter}")
    seconds = time.perf_counter() - started  # the second run's: the first one warms the machine up
    inline = Place(folder / "inline").run(inline=True)
    for ended in (first, counted, inline):
        if ended.exit_code != 0 or ended.digests() != first.digests() or len(ended.outcomes()) != 12:
            raise WrongError(f"an undisturbed run went wrong: {ended.outcomes()}\n{ended.errors}")
    whole = check_whole(LocalStore(place.store))
    n_bytes = sum(path.stat().st_size for path in place.store.rglob("*") if path.is_file())
    return Undisturbed(first.digests(), seconds, [point for _, point in passages(counter)], whole.n_objects, n_bytes)


def strike(place: Place, instant: Instant, rng: random.Random) -> tuple[bool, Ended]:
    """Start a run and strike it. Says whether the instant came, and how the engine ended."""
    counter = place.folder / "passages"
    fault = f"{instant.point}:stop:{instant.passage}:{counter}" if instant.point else None
    engine = place.start(inline=instant.inline, fault=fault)
    try:
        if instant.point:
            has_come = _strike_at_point(place, instant, engine, counter)
        else:
            has_come = _strike_in_time(place, instant, engine, rng)
        return has_come, finish(engine)
    finally:
        engine.kill()
        engine.wait()


def _strike_at_point(place: Place, instant: Instant, engine: subprocess.Popen[bytes], counter: Path) -> bool:
    def has_come() -> bool:
        return engine.poll() is not None or len(passages_so_far(counter)) >= instant.passage

    if not wait_till(has_come, LONGEST_RUN_SECONDS):
        raise WrongError("the engine neither ended nor came to the point")
    passed = passages_so_far(counter)
    if len(passed) < instant.passage:
        return False
    writer = passed[instant.passage - 1][0]
    wait_till(lambda: status(writer)[0] in "TXZ", LONGEST_DEATH_SECONDS)
    victims = {
        "the one who writes": [writer],
        "engine": [engine.pid],
        "workers": workers_of(engine.pid, place.name),
        "both": [engine.pid, *workers_of(engine.pid, place.name)],
    }[instant.victim]
    kill(victims)
    # Whoever was stopped and not killed goes on from there, if the kernel or the server hasn't ended it.
    with suppress(ProcessLookupError):
        os.kill(writer, signal.SIGCONT)
    return bool(victims)


def passages_so_far(counter: Path) -> list[tuple[int, str]]:
    """The passages counted so far. A stop comes after its line was written."""
    return passages(counter)


def _strike_in_time(place: Place, instant: Instant, engine: subprocess.Popen[bytes], rng: random.Random) -> bool:
    with suppress(subprocess.TimeoutExpired):
        engine.wait(instant.seconds)
        return False
    if instant.victim == "engine":
        kill([engine.pid])
        return True
    victims: list[int] = []

    def find_victims() -> bool:
        find = server_of if instant.victim == "server" else workers_of
        victims[:] = find(engine.pid, place.name)
        return bool(victims) or engine.poll() is not None

    # Between two steps there is no worker: the next one will do.
    wait_till(find_victims, LONGEST_RUN_SECONDS, pause=0.0005)
    if not victims:
        return False
    if instant.victim == "a worker":
        kill([rng.choice(victims)])
    else:
        kill(victims + ([engine.pid] if instant.victim == "both" else []))
    return True


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check_nothing_runs(place: Place, seconds: float = LONGEST_DEATH_SECONDS) -> float:
    """Nothing of the trial may be left running. Returns the seconds that the last of it took to die."""
    started = time.monotonic()
    if not wait_till(lambda: not marked(place.name), seconds, pause=0.005):
        left = [describe(pid) for pid in marked(place.name)]
        kill(marked(place.name))
        raise WrongError("something was left running:\n" + "\n".join(left))
    return time.monotonic() - started


def finished_steps(store: LocalStore) -> set[str]:
    """The steps whose result is in the store: those with an action, and those that a node's record calls good."""
    found = set()
    for name in store.list_records():
        record = json.loads(store.read_record(name) or b"null")
        is_good_end = name.startswith("runs/") and record.get("outcome") in ("succeeded", "cached")
        if "node" in record and (name.startswith("actions/") or is_good_end):
            found.add(record["node"])
    return found


def check_next_run(place: Place, expected: Undisturbed) -> int:
    """The next run must end, take what was finished, and make what an undisturbed run makes. Returns its hits."""
    finished = finished_steps(LocalStore(place.store)) if place.store.exists() else set()
    ended = place.run()
    if ended.exit_code != 0:
        raise WrongError(f"the next run ended with {ended.exit_code}: {ended.outcomes()}\n{ended.errors[-3000:]}")
    again = sorted(name for name in finished if ended.outcomes()[name] != "cached")
    if again:
        raise WrongError(f"finished steps were executed again: {again}")
    if ended.digests() != expected.digests:
        differing = [name for name, made in expected.digests.items() if ended.digests().get(name) != made]
        raise WrongError(f"other digests than an undisturbed run's: {differing}")
    check_whole(LocalStore(place.store))
    check_nothing_runs(place)
    return len(finished)


def carry_out(place: Place, instant: Instant, expected: Undisturbed, seed: int) -> dict[str, object]:
    """One trial from beginning to end. Raises `WrongError` or ``AssertionError`` when something isn't as it must be."""
    rng = random.Random(f"{seed} {instant.number}")
    has_come, ended = strike(place, instant, rng)
    death_seconds = check_nothing_runs(place)
    if place.store.exists():
        check_whole(LocalStore(place.store))
    n_hits = check_next_run(place, expected)
    return {
        **instant.to_json(),
        "has_come": has_come,
        "engine": ended.exit_code,
        "n_hits": n_hits,
        "death_seconds": round(death_seconds, 3),
    }
