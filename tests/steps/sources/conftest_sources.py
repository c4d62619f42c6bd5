"""What the tests of sources look at, and a run without an engine: a step's function, its pins, a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace import RunResult, Table
from headrace.core.context import RunContext, entered
from headrace.core.external import External, external_id
from headrace.core.sample import SAMPLING, Sample
from headrace.engine.exchange import load_artifact, save_value
from headrace.stores.local import LocalStore


class Memory:
    """Knows one code."""

    code = "code"

    def code_of(self, function: Callable[..., Any]) -> str:
        return self.code

    memo = load_checkpoint = save_checkpoint = None


@contextmanager
def in_run(
    folder: Path, *externals: External, sample: Sample | None = None, memory: Any = None
) -> Iterator[LocalStore]:
    """Be in a run that has begun now: what is external is pinned."""
    store = LocalStore(folder / "store")
    beginning = RunContext("", "", 0, 0, store, folder, {}, lambda *_: None, sample=sample)
    with entered(beginning):
        pins = {external_id(item): item.pin(store) for item in (*externals, SAMPLING)}
    (folder / "scratch").mkdir(exist_ok=True)
    context = RunContext(
        "r1", "n1", 1, 0, store, folder, pins, lambda *_: None, memory or Memory(), scratch=lambda: folder / "scratch"
    )
    with entered(context):
        yield store


def kept(table: Table, store: LocalStore) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Store a step's table as an engine would: its rows, and the digests of its parts."""
    artifact = save_value(table, Table, store)
    loaded = load_artifact(artifact, Table, store)
    return loaded.polars().collect().rows(), [file.digest for file in artifact.files]


def outcomes(result: RunResult) -> list[str]:
    return [str(node.outcome) for node in result.nodes.values()]


def failure(result: RunResult) -> str:
    return next(node.failure.message for node in result.nodes.values() if node.failure)
