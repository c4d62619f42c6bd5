"""Many histories on both engines and in each online store, and a record of them."""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from commits import commit

from asof.histories import History, generate
from asof.play import ENGINES, WrongError, play_offline, play_online
from asof.servers import redis_server
from headrace.steps.feature_store import OnlineStore, open_online

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "asof.json"


class Campaign:
    """Counts what was compared, and keeps what was wrong."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis_url = redis_url
        self.counts: dict[str, int] = {}
        self.wrong: list[str] = []

    def play(self, seed: int) -> None:
        """Play one history: on stored parts every tenth time, else on frames."""
        history = generate(seed)
        self._count("labels", len(history.labels))
        self._count("rows of views", sum(len(side.facts) for side in history.sides))
        self._count("corrected or late rows", _n_late(history))
        with tempfile.TemporaryDirectory(prefix="asof-") as folder:
            parts = Path(folder) if seed % 10 == 0 else None
            for engine in ENGINES:
                with self._noting(f"seed {seed} on {engine}"):
                    self._count(f"features compared on {engine}", play_offline(history, engine, folder=parts))
            engine = ENGINES[seed % 2]
            with (
                self._noting(f"seed {seed} in SQLite from {engine}"),
                open_online(f"sqlite:{folder}/o.sqlite") as store,
            ):
                self._count("entities compared in SQLite", play_online(history, store, engine, seed))
        if self._redis_url is not None:
            self._play_redis(seed, engine)

    def _play_redis(self, seed: int, engine: str) -> None:
        """A history around now, as Redis counts times to live by the clock; the last moment is within it."""
        assert self._redis_url is not None
        history = generate(seed, around=datetime.now(UTC), with_zone=True)
        now = int(time.time() * 1e6) + 60_000_000
        with self._noting(f"seed {seed} in Redis from {engine}"), open_online(self._redis_url) as store:
            _wipe(store)
            self._count("entities compared in Redis", play_online(history, store, engine, seed, at=now))

    @contextmanager
    def _noting(self, title: str) -> Iterator[None]:
        try:
            yield
        except WrongError as error:
            self.wrong.append(f"{title}: {error}")
            print(self.wrong[-1], flush=True)

    def _count(self, what: str, n: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + n


def _n_late(history: History) -> int:
    return sum(
        fact.created is not None and fact.timestamp is not None and fact.created > fact.timestamp
        for side in history.sides
        for fact in side.facts
    )


def _wipe(store: OnlineStore) -> None:
    client = getattr(store, "_client", None)
    assert client is not None
    client.flushdb()


def main(arguments: list[str] | None = None) -> int:
    """Play, write the record, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python tests/prove/asof", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with redis_server() as url:
        campaign = Campaign(url)
        for seed in range(options.seed, options.seed + options.histories):
            campaign.play(seed)
    record = {
        "command": f"python tests/prove/asof --seed {options.seed} --histories {options.histories}",
        "commit": commit("src/headrace", "tests/prove/asof"),
        "python": platform.python_version(),
        "seconds": round(time.monotonic() - started, 1),
        "histories": options.histories,
        "redis": "a real server" if url else "none on this machine",
        **campaign.counts,
        "wrong": campaign.wrong,
    }
    options.results.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
    return 1 if campaign.wrong else 0
