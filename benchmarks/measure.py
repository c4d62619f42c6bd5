"""The measurements: medians of interleaved rounds, answers checked before anything is timed."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from contenders import Contender, Server

MS = 1000


@dataclass(frozen=True, slots=True)
class PerStep:
    """What a step costs, in milliseconds: from the medians at two chain lengths."""

    name: str
    what: str
    sizes: tuple[int, int]
    medians_ms: tuple[float, float]
    ms_a_step: float
    cpu_ms_a_step: float | None
    spread_ms: tuple[float, float]
    """Smallest and largest marginal cost over the rounds."""


class Starts:
    """Numbers that no chain was started from before, far enough apart that chains share no value."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1_000_000, 1_000_000)

    def new(self) -> int:
        return next(self._numbers)


def note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def measure_chains(contenders: Sequence[Contender], *, n_rounds: int, are_hits: bool, folder: Path) -> list[PerStep]:
    """Time chains of the contenders' two sizes, one after another within a round, in warm processes.

    With `are_hits` each run repeats one that was run before, so that every step is found in the cache.
    """
    times: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    starts = Starts()
    with ExitStack() as stack:
        servers = []
        for contender in contenders:
            note(f"starting {contender.name}")
            server = Server(contender, folder / contender.name.replace(" ", "-"))
            stack.callback(server.close)
            servers.append(server)
        warm = {(server.contender.name, n): starts.new() for server in servers for n in server.contender.sizes}
        for server in servers:
            for n_steps in server.contender.sizes:
                server.run(n_steps, warm[server.contender.name, n_steps])
        for number in range(n_rounds):
            note(f"round {number + 1} of {n_rounds}, load {os.getloadavg()[0]:.1f}")
            for server in servers:
                for n_steps in server.contender.sizes:
                    start = warm[server.contender.name, n_steps] if are_hits else starts.new()
                    told = server.run(n_steps, start)
                    for kind in ("seconds", "cpu_seconds"):
                        times[server.contender.name, n_steps, kind].append(told[kind] * MS)
    return [per_step(contender, times) for contender in contenders]


def per_step(contender: Contender, times: dict[tuple[str, int, str], list[float]]) -> PerStep:
    few, many = contender.sizes
    walls = [times[contender.name, n, "seconds"] for n in (few, many)]
    cpus = [times[contender.name, n, "cpu_seconds"] for n in (few, many)]
    medians = (statistics.median(walls[0]), statistics.median(walls[1]))
    marginal = [(b - a) / (many - few) for a, b in zip(*walls, strict=True)]
    cpu_ms = (statistics.median(cpus[1]) - statistics.median(cpus[0])) / (many - few)
    return PerStep(
        name=contender.name,
        what=contender.what,
        sizes=contender.sizes,
        medians_ms=medians,
        ms_a_step=(medians[1] - medians[0]) / (many - few),
        cpu_ms_a_step=cpu_ms if contender.is_cpu_seen else None,
        spread_ms=(min(marginal), max(marginal)),
    )


@dataclass(frozen=True, slots=True)
class Started:
    """How long a command takes from a new process to its end, in seconds."""

    what: str
    median: float
    least: float
    most: float


def measure_commands(commands: Iterable[tuple[str, list[str], Path]], *, n_rounds: int) -> list[Started]:
    """Time whole commands (name, command, working folder), interleaved, after one run of each that isn't counted."""
    listed = list(commands)
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(n_rounds + 1):
        for what, command, folder in listed:
            began = time.perf_counter()
            done = subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False)
            seconds = time.perf_counter() - began
            if done.returncode:
                raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
            if number:
                times[what].append(seconds)
        note(f"start-up round {number} of {n_rounds}, load {os.getloadavg()[0]:.1f}")
    return [Started(what, statistics.median(took), min(took), max(took)) for what, took in times.items()]


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for stores and caches, on the disk that temporary files are on."""
    return tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True)
