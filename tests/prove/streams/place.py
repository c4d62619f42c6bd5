"""A project that reads Kafka and Redis, the brokers, somebody who goes on sending, and what must be true at the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from kills.processes import MARKER, describe, marked, wait_till

from headrace.engine.exchange import load_artifact
from headrace.engine.gc import Collector, Policy
from headrace.engine.records import RunRecord, run_ids
from headrace.formats.table import Table
from headrace.steps.streams import Kafka, RedisStream
from headrace.steps.streams.chain import Chain
from headrace.steps.streams.protocol import Stream
from headrace.stores.open import open_store
from headrace.testing.brokers import N_PARTITIONS, MockKafka, RedisServer

LONGEST_RUN_SECONDS = 600.0
LONGEST_DEATH_SECONDS = 20.0
PAUSE_SECONDS = 0.02
TOPIC = "orders"
NAMES = ("kafka", "redis")

FLOW = """
from headrace import Table, pipeline, step
from headrace.steps.streams import Kafka, RedisStream, ingest_stream

COLUMNS = {"id": "integer", "pad": "text"}


@step
def counted(table: Table, aside: Table, mood: str) -> int:
    if mood == "bad":
        raise ValueError("a bad mood")
    return table.n_rows + aside.n_rows


@pipeline
def reading(servers: str, url: str, most: int = 100_000, mood: str = "good"):
    kafka = Kafka("orders", servers, group="readers", settings={"fetch.wait.max.ms": 20})
    redis = RedisStream("orders", url, group="readers", field="v")
    first = ingest_stream.options(name="kafka")(kafka, columns=COLUMNS, max_messages=most)
    second = ingest_stream.options(name="redis")(redis, columns=COLUMNS, max_messages=most)
    counted.options(name="count_kafka")(first.table, first.quarantine, mood)
    return counted.options(name="count_redis")(second.table, second.quarantine, mood)
"""


class WrongError(Exception):
    """Something that must be true isn't."""


@dataclass
class Sender:
    """Sends numbered messages to both brokers, a few at a time, some of which nobody can read."""

    cluster: MockKafka
    redis: RedisServer
    seed: int
    n_sent: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._client = self.redis.client()
        self._thread = threading.Thread(target=self._go_on)

    def send(self, n: int) -> None:
        """Send the next so many."""
        for number in range(self.n_sent, self.n_sent + n):
            is_broken = self._random.random() < 0.03
            value = b"broken %d" % number if is_broken else json.dumps({"id": number, "pad": "x" * 20}).encode()
            self.cluster.begin(TOPIC, [value], self._random.randrange(N_PARTITIONS))
            self._client.xadd(TOPIC, {b"v": value})
        self.cluster.flush()
        self.n_sent += n

    def _go_on(self) -> None:
        while not self._stop.wait(self._random.uniform(0, 2 * PAUSE_SECONDS)):
            self.send(self._random.randrange(1, 4))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Go on in a thread for as long as the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


@dataclass
class Place:
    """A folder with the project and its store."""

    folder: Path
    cluster: MockKafka
    redis: RedisServer
    store_place: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    most: int = 100_000

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pyproject.toml").write_text('[project]\nname = "reader"\n')
        (self.folder / "flow.py").write_text(FLOW)
        self.store_place = self.store_place or str(self.folder / "store")

    def start(self, fault: str | None = None, mood: str = "good") -> subprocess.Popen[bytes]:
        """Start a run, in a process group of its own."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        own |= {MARKER: str(self.folder), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        own |= self.variables | ({"HEADRACE_FAULT": fault} if fault else {})
        command = [sys.executable, "-m", "headrace.cli.main", "run", "flow.py:reading", "--store", self.store_place]
        given = {"servers": self.cluster.servers, "url": self.redis.url, "most": self.most, "mood": mood}
        for name, value in given.items():
            command += ["-p", f"{name}={value}"]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=own, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True
        )

    def run(self, fault: str | None = None, mood: str = "good") -> None:
        """Run to the end, which must be good."""
        engine = self.start(fault, mood)
        out, _ = engine.communicate(timeout=LONGEST_RUN_SECONDS)
        if engine.returncode != 0:
            raise WrongError(f"a run that nobody disturbed ended with {engine.returncode}:\n{out.decode()[-3000:]}")

    def kill(self, seconds: float) -> bool:
        """Start a run, and kill its process group after some time. Whether it was still alive."""
        engine = self.start()
        time.sleep(seconds)
        is_alive = engine.poll() is None
        if is_alive:
            os.killpg(engine.pid, signal.SIGKILL)
        out, _ = engine.communicate(timeout=LONGEST_RUN_SECONDS)
        if not is_alive and engine.returncode != 0:
            raise WrongError(f"a run ended with {engine.returncode} before it was killed:\n{out.decode()[-3000:]}")
        if not wait_till(lambda: not marked(str(self.folder)), LONGEST_DEATH_SECONDS, 0.01):
            left = "\n".join(describe(pid) for pid in marked(str(self.folder)))
            raise WrongError(f"processes outlived their engine:\n{left}")
        return is_alive

    def clean_up(self) -> None:
        """Remove all that nothing names, but no run."""
        policy = Policy(n_newest=1_000_000, age_seconds=0, grace_seconds=0)
        Collector(open_store(self.store_place), policy, wait_seconds=0).collect()

    def streams(self) -> dict[str, Stream]:
        """What the project reads."""
        return {
            "kafka": Kafka(TOPIC, self.cluster.servers, group="readers"),
            "redis": RedisStream(TOPIC, self.redis.url, group="readers", field="v"),
        }

    def check(self, n_sent: int) -> dict[str, int]:
        """All messages are in one snapshot, and each snapshot was taken by one run that ended well."""
        store = open_store(self.store_place)
        found = {}
        for name, stream in self.streams().items():
            chain = Chain(store, stream).snapshots()
            landed = [number for one in chain for number in _numbers(store, one.artifacts)]
            _same(landed, n_sent, f"the snapshots of {name}")
            for before, after in pairwise(chain):
                if before.end != after.begin:
                    raise WrongError(f"snapshot {after.snapshot} of {name} doesn't begin where the one before ended")
            taken = [number for artifacts in self._taken(store, name) for number in _numbers(store, artifacts)]
            _same(taken, n_sent, f"what runs that ended well took of {name}")
            with stream.open() as connection:
                if connection.committed() != chain[-1].end:
                    raise WrongError(f"the broker of {name} was told {connection.committed()}, not {chain[-1].end}")
            found[f"n_snapshots_{name}"] = len(chain)
            found[f"n_delivered_again_{name}"] = sum(one.delivery > 1 for one in chain)
        return found

    def _taken(self, store: Any, name: str) -> Iterator[Sequence[Any]]:
        for run_id in run_ids(store):
            record = RunRecord(store, run_id)
            end = record.end()
            if end is not None and end["outcome"] == "succeeded":
                outputs = record.results()[name].outputs
                yield outputs["table"], outputs["quarantine"]


@dataclass
class BarePlace(Place):
    """One whose runs are processes without an engine; see `streams.reader`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        path = os.pathsep.join(path for path in sys.path if path)
        own = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self._errors = (self.folder / "errors.txt").open("w")
        self._forks = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reader.py"))],
            cwd=self.folder,
            env={**own, **self.variables, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def _begin(self) -> int:
        assert self._forks.stdin is not None and self._forks.stdout is not None
        asked = {"store_place": self.store_place, "servers": self.cluster.servers, "url": self.redis.url}
        self._forks.stdin.write(json.dumps({**asked, "most": self.most}) + "\n")
        self._forks.stdin.flush()
        return int(self._forks.stdout.readline())

    def _end(self) -> int:
        assert self._forks.stdout is not None
        return int(self._forks.stdout.readline())

    def run(self, fault: str | None = None, mood: str = "good") -> None:
        """Run to the end, which must be good."""
        self._begin()
        if self._end() != 0:
            raise WrongError(f"a run that nobody disturbed failed:\n{self.errors()}")

    def kill(self, seconds: float) -> bool:
        """Start a run, and kill it after some time. Whether it was still alive."""
        pid = self._begin()
        time.sleep(seconds)
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, signal.SIGKILL)
        status = self._end()
        if status not in (0, -signal.SIGKILL):
            raise WrongError(f"a run failed before it was killed:\n{self.errors()}")
        return status != 0

    def errors(self) -> str:
        """What the runs said last."""
        return (self.folder / "errors.txt").read_text()[-3000:]

    def close(self) -> None:
        """Fork no more."""
        self._forks.communicate()
        self._errors.close()


def _numbers(store: Any, artifacts: Sequence[Any]) -> list[int]:
    """The numbers of the messages in a table and a quarantine."""
    table, aside = (load_artifact(artifact, Table, store).arrow() for artifact in artifacts)
    return [*table["id"].to_pylist(), *(int(raw.split()[1]) for raw in aside["raw"].to_pylist())]


def _same(found: list[int], n_sent: int, what: str) -> None:
    counts = Counter(found)
    lost = sorted(set(range(n_sent)) - set(counts))
    twice = sorted(number for number, n in counts.items() if n > 1)
    if lost or twice:
        raise WrongError(f"{what} of {n_sent}: {len(lost)} lost {lost[:5]}, {len(twice)} more than once {twice[:5]}")
