"""How long it takes to look an entity's features up, and to put them there.

    python benchmarks/data/lookup.py [--entities 100000] [--lookups 20000] [--redis redis://127.0.0.1:6379/9]

Beside it a bare `sqlite3` query of the same file by its primary key, and a bare `json.loads`: what is the least that
there is to do. With ``--redis`` a server that may be written to. Each figure is of one thread, in this process, warm.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.steps.feature_store import FeatureLookup, FeatureView, OnlineStore, open_online
from headrace.steps.feature_store.materializing import write_online
from headrace.steps.kinds import Kind

FEATURES: dict[str, Kind] = dict.fromkeys((f"number_{place}" for place in range(10)), "number")
FEATURES |= {"plan": "text", "n_orders": "integer", "since": "date"}
VIEW = FeatureView(
    "activity",
    "customer_id",
    "week_end",
    FEATURES,
    created="loaded_at",
)
DAY = datetime(2025, 9, 1, tzinfo=UTC)


def history(n_entities: int) -> Any:
    """Two rows for each customer, the second a correction."""
    import numpy as np
    import polars as pl

    source = np.random.default_rng(7)
    one = pl.DataFrame(
        {
            "customer_id": [f"C{number}" for number in range(n_entities)],
            "week_end": [DAY - timedelta(days=7)] * n_entities,
            "loaded_at": [DAY - timedelta(days=6)] * n_entities,
            **{f"number_{place}": source.normal(size=n_entities) for place in range(10)},
            "plan": source.choice(["basic", "plus", "premium"], n_entities),
            "n_orders": source.integers(0, 50, n_entities),
            "since": [DAY.date()] * n_entities,
        }
    )
    return pl.concat([one, one.with_columns(loaded_at=pl.col("loaded_at") + timedelta(days=2), number_0=1.5)])


def percentiles(ask: Callable[[str], object], keys: Sequence[str]) -> dict[str, float]:
    """Microseconds by share of the lookups."""
    for key in keys[:1000]:
        ask(key)
    taken = []
    for key in keys:
        started = time.perf_counter_ns()
        ask(key)
        taken.append(time.perf_counter_ns() - started)
    taken.sort()
    return {name: taken[int(len(taken) * share)] / 1000 for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}


def measure(store: OnlineStore, table: Any, keys: Sequence[str]) -> dict[str, Any]:
    """Materialise twice, and look up."""
    seconds = {}
    for name in ("first", "again"):
        started = time.perf_counter()
        written = write_online(VIEW.on(table), store, at=DAY)
        seconds[f"materialize_{name}_seconds"] = round(time.perf_counter() - started, 2)
    with FeatureLookup(store, ["activity"]) as lookup:
        one = percentiles(lambda key: lookup.get({"customer_id": key}), keys)
        started = time.perf_counter()
        for start in range(0, len(keys), 100):
            lookup.get_many([{"customer_id": key} for key in keys[start : start + 100]])
        of_a_hundred = (time.perf_counter() - started) / len(keys) * 1e6
    return {**seconds, "n_entities": written.state.n_rows, "get": one, "get_many_of_100_each": round(of_a_hundred, 1)}


def bare(file: Path, keys: Sequence[str]) -> dict[str, float]:
    """The same row by a plain query, and its JSON read."""
    connection = sqlite3.connect(file)
    (space,) = connection.execute("SELECT space FROM entities LIMIT 1").fetchone()

    def ask(key: str) -> object:
        query = "SELECT features FROM entities WHERE space = ? AND key = ?"
        (features,) = connection.execute(query, (space, f'["{key}"]')).fetchone()
        return json.loads(features)

    found = percentiles(ask, keys)
    connection.close()
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--redis", metavar="URL", help="a server that may be written to")
    options = parser.parse_args()
    source = random.Random(1)
    keys = [f"C{source.randrange(options.entities)}" for _ in range(options.lookups)]
    table = history(options.entities)
    record: dict[str, Any] = {"python": platform.python_version(), "entities": options.entities}
    with tempfile.TemporaryDirectory(prefix="lookup-") as folder:
        file = Path(folder, "features.sqlite")
        with open_online(f"sqlite:{file}") as store:
            record["sqlite"] = measure(store, table, keys)
        record["bare sqlite3 and json"] = bare(file, keys)
    if options.redis:
        with open_online(options.redis) as store:
            record["redis"] = measure(store, table, keys)
    print(json.dumps(record, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
