"""What the cases ask of an orchestrator: a real one, started by its class in ``engines/``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SECRET_NAME = "CONFORMANCE_TOKEN"
SECRET = "tok-Zq8\"'{{ }}$(x)-éß-0123456789"
"""What the environment of an engine's workers holds under `SECRET_NAME`."""

SUCCEEDED, SKIPPED, FAILED, NOT_STARTED = "succeeded", "skipped", "failed", "not started"
BEGIN, FINISH = "<begin>", "<finish>"
"""What `Ended.tasks` calls the tasks that are no nodes."""


@dataclass(frozen=True)
class Deployed:
    """A pipeline as the engine has it.

    Attributes
    ----------
    name
        The pipeline's name.
    folder
        What ``headrace compile`` wrote.
    project
        The project's folder.
    store
        The store that its tasks use.
    nodes
        The plan's nodes.
    """

    name: str
    folder: Path
    project: Path
    store: Path
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a run ended, by the engine's own API.

    Attributes
    ----------
    state
        `SUCCEEDED` or `FAILED`.
    word
        What the engine calls that.
    tasks
        How each task ended: by node (and `BEGIN` and `FINISH`), one of `SUCCEEDED`, `SKIPPED`, `FAILED`, `NOT_STARTED`.
    words
        The same in the engine's own words.
    n_tries
        How often the engine tried each task.
    n_parts
        Of a node that maps, in how many tasks of its own the engine carried out the items; absent where in none.
    """

    state: str
    word: str
    tasks: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    n_tries: Mapping[str, int] = field(default_factory=dict)
    n_parts: Mapping[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """A real orchestrator, with its data in a folder of its own, on the loopback.

    What it starts it stops, also where `start` fails half-way. Everything it says it has from the engine's own API.
    """

    name: str

    def start(self) -> None:
        """Start its services, with `SECRET` in the environment of its workers, and wait until they can be asked."""

    def stop(self) -> None:
        """Stop all that was started."""

    def compile_options(self) -> Sequence[str]:
        """What else ``headrace compile`` is told."""

    def deploy(self, deployed: Deployed) -> None:
        """Put what was compiled where the engine looks for it, and wait until it can be run."""

    def trigger(self, deployed: Deployed, parameters: Mapping[str, Any], date: str | None = None) -> str:
        """Start a run through the engine's API; gives its id there, which Headrace's record of the run has too."""

    def wait(self, deployed: Deployed, run: str, seconds: float = 300.0) -> Ended:
        """Wait for the end of a run, and say how it ended."""

    def backfill(self, deployed: Deployed, first: str, last: str) -> list[str]:
        """Start a run for each date from the first to the last, by the engine's own means; gives their ids."""

    def kill_worker(self, deployed: Deployed, run: str, node: str) -> None:
        """Kill, with signal 9, the engine's own process that carries out a node's task now."""

    def resume(self, deployed: Deployed, run: str, parameters: Mapping[str, Any]) -> str:
        """Go on with a run that failed, by the engine's own means, else by a new run; gives the id to wait for."""

    def texts(self, deployed: Deployed, run: str) -> Iterator[tuple[str, str]]:
        """Everything that the engine keeps or shows of a run: answers of its API, logs, files, its database's dump."""

    def database_bytes(self) -> int:
        """How much the engine keeps in its database (and wherever else it keeps what tasks hand on)."""
