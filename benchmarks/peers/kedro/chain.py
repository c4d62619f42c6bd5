"""Kedro: SequentialRunner, each value a pickle file. It has no cache: a run computes every step."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import worker
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset

logging.disable(logging.CRITICAL)


def add_one(x: int) -> int:
    return x + 1


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    folder = scratch / str(n_steps)
    steps = pipeline([node(add_one, f"v{i}", f"v{i + 1}", name=f"s{i}") for i in range(n_steps)])
    runner = SequentialRunner()

    def run(start: int) -> int:
        kept = {f"v{i + 1}": PickleDataset(filepath=str(folder / f"v{i + 1}.pkl")) for i in range(n_steps)}
        catalog = DataCatalog({"v0": MemoryDataset(start), **kept})
        runner.run(steps, catalog)
        return catalog.load(f"v{n_steps}")

    return run


if __name__ == "__main__":
    worker.main(prepare)
