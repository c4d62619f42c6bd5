"""Who is measured: each tool in the settings that its makers recommend for small, fast, local runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from environments import HERE, python_of

ERRORS_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to run a chain. `sizes` are the two chain lengths whose difference gives the time a step."""

    name: str
    what: str
    python: Path
    script: Path
    options: tuple[str, ...] = ()
    sizes: tuple[int, int] = (20, 100)
    has_cache: bool = True
    is_cpu_seen: bool = True
    """Whether its processes are collected by the one that is asked, so that their CPU time is known."""

    def command(self, scratch: Path) -> list[str]:
        """The command that serves chains, with its state in `scratch`."""
        return [str(self.python), str(self.script), str(scratch), *self.options]


def peer(name: str, what: str, sizes: tuple[int, int] = (20, 100), *, has_cache: bool = True) -> Contender:
    """A contender with an environment of its own."""
    folder = HERE / "peers" / name
    return Contender(name, what, python_of(name), folder / "chain.py", sizes=sizes, has_cache=has_cache)


def headrace(name: str, what: str, *options: str, has_cache: bool = True) -> Contender:
    """A contender in this environment."""
    script = HERE / ("headrace_chain.py" if name.startswith("headrace") else "fork_server.py")
    return Contender(name, what, Path(sys.executable), script, options, has_cache=has_cache, is_cpu_seen=has_cache)


PEERS = (
    peer("kedro", "Kedro 1.7.0, SequentialRunner, pickle files, no cache", has_cache=False),
    peer("hamilton", "Hamilton 1.90.0, with_cache"),
    peer("flyte", 'Flyte 2.12.1, local, cache="auto"'),
    peer("zenml", "ZenML 0.98.0, local stack, cache on", (5, 25)),
    peer("metaflow", "Metaflow 2.19.39, local; no cache (resume only)", (5, 15), has_cache=False),
)
OURS = (
    headrace("fork server", "a fork a step from the same preload, nothing else", has_cache=False),
    headrace("headrace", "default mode: a process a step, cache and records"),
    headrace("headrace inline", "--inline: one process, cache and records", "--inline"),
)


def long_chains() -> list[Contender]:
    """Headrace's modes on short and very long chains."""
    return [replace(contender, sizes=(100, 5000)) for contender in OURS if contender.has_cache]


class Server:
    """A contender's process that runs chains when asked. Closed, it ends."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender = contender
        self._log = folder / "log.txt"
        folder.mkdir(parents=True)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                contender.command(folder / "scratch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        self._read()

    def run(self, n_steps: int, start: int) -> dict[str, float]:
        """Run one chain and check its answer. Returns seconds and cpu_seconds."""
        print(json.dumps({"n_steps": n_steps, "start": start}), file=self._pipe(self._process.stdin), flush=True)
        told = self._read()
        if told["answer"] != start + n_steps:
            raise AssertionError(f"{self.contender.name}: {start} + {n_steps} steps gave {told['answer']}")
        return told

    def close(self) -> None:
        """End the process."""
        self._pipe(self._process.stdin).close()
        self._process.wait(timeout=60)
        self._pipe(self._process.stdout).close()

    def _read(self) -> dict[str, float]:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self.contender.name} ended:\n{self._log.read_text()[-ERRORS_SHOWN:]}")
        told: dict[str, float] = json.loads(line)
        return told

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream
