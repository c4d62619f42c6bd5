"""Brokers for tests: Kafka by librdkafka's own mock cluster, and a real server of Redis.

Other processes reach them as they would reach the real ones, for as long as this process has them open. `missing_kafka`
and `missing_redis` say why there can be none here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from headrace.steps.streams.kafka import Kafka
from headrace.steps.streams.redis_stream import RedisStream

ANSWER_SECONDS = 30.0
N_PARTITIONS = 4
"""What the mock cluster gives each topic."""
KEPT_BYTES = 5 << 20
"""What the mock cluster keeps of a partition: when more is sent, it deletes from the begin."""


def missing_kafka() -> str | None:
    """Why there can be no Kafka here, None if there can."""
    return None if find_spec("confluent_kafka") else "not installed here: confluent-kafka"


def missing_redis() -> str | None:
    """Why there can be no Redis here, None if there can."""
    if find_spec("redis") is None:
        return "not installed here: redis"
    return None if shutil.which("redis-server") else "redis-server is not on this machine"


class MockKafka:
    """A cluster of one broker inside this process, on loopback. Topics are made when something is sent to them."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._producer: Any = Producer({"test.mock.num.brokers": 1, "linger.ms": 1, "message.max.bytes": 4 << 20})
        brokers = self._producer.list_topics(timeout=ANSWER_SECONDS).brokers
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())

    def send(self, topic: str, values: Sequence[bytes | None], partition: int = 0, key: bytes | None = None) -> None:
        """Send messages. They are there when it returns."""
        self.begin(topic, values, partition, key)
        self.flush()

    def begin(self, topic: str, values: Sequence[bytes | None], partition: int = 0, key: bytes | None = None) -> None:
        """Send messages without waiting for them."""
        for value in values:
            self._producer.produce(topic, value, key, partition)

    def flush(self) -> None:
        """Wait for what was sent."""
        if self._producer.flush(ANSWER_SECONDS):
            raise TimeoutError("the mock cluster takes no messages")

    def lose(self, topic: str, partition: int = 0) -> None:
        """Have the broker delete what it holds, by sending more than it keeps."""
        self.send(topic, [b"." * (1 << 20)] * (KEPT_BYTES >> 20), partition)

    def close(self) -> None:
        """Let it go."""
        self._producer.flush(1.0)
        del self._producer


class RedisServer:
    """A server of Redis, with nothing on disk, behind a socket in a folder of its own."""

    def __init__(self, *words: str) -> None:
        self._clients: list[Any] = []
        self._folder = tempfile.mkdtemp(prefix="redis-")
        socket = f"{self._folder}/socket"
        self.url = f"unix://{socket}"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", *words]
        self.process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (Path(socket).exists() and self._answers()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("redis-server doesn't start")
            time.sleep(0.01)

    def _answers(self) -> bool:
        import redis

        with redis.Redis.from_url(self.url) as client:
            try:
                client.ping()
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False
        return True

    def client(self, **options: Any) -> Any:
        """A client, open till the server is stopped."""
        import redis

        self._clients.append(redis.Redis.from_url(self.url, protocol=2, **options))
        return self._clients[-1]

    def close(self) -> None:
        """Stop it."""
        for client in self._clients:
            client.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


_NUMBERS = count(1)


class KafkaBench:
    """A topic of its own in a mock cluster, for `headrace.testing.streams`."""

    n_partitions = N_PARTITIONS
    is_of_json = False

    def __init__(self, cluster: MockKafka) -> None:
        self._cluster = cluster
        self.topic = f"orders-{next(_NUMBERS)}"
        for partition in range(N_PARTITIONS):
            cluster.begin(self.topic, [], partition)
        cluster._producer.list_topics(self.topic, timeout=ANSWER_SECONDS)

    def stream(self, **options: Any) -> Kafka:
        """The topic."""
        return Kafka(self.topic, self._cluster.servers, **{"group": "readers", **options})

    def send(self, values: Sequence[bytes], partition: int = 0) -> None:
        """Send messages."""
        self._cluster.send(self.topic, values, partition)

    def lose(self, partition: int = 0) -> None:
        """Have old messages deleted."""
        self._cluster.lose(self.topic, partition)

    def misnamed(self) -> Kafka:
        """A topic that isn't there."""
        return Kafka(self.topic + "s", self._cluster.servers, group="readers")

    def unreachable(self) -> Kafka:
        """A broker that isn't there."""
        return Kafka(self.topic, "127.0.0.1:9", group="readers", settings={"socket.timeout.ms": 1000})


class RedisBench:
    """A stream of its own in a server of Redis, for `headrace.testing.streams`."""

    n_partitions = 1
    is_of_json = False

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._client = server.client()
        self.key = f"orders-{next(_NUMBERS)}"
        self._client.xgroup_create(self.key, "maker", mkstream=True)

    def stream(self, **options: Any) -> RedisStream:
        """The stream, a message in the field ``v``."""
        return RedisStream(self.key, self._server.url, **{"group": "readers", "field": "v", **options})

    def send(self, values: Sequence[bytes], partition: int = 0) -> None:
        """Add entries."""
        with self._client.pipeline() as many:
            for value in values:
                many.xadd(self.key, {b"v": value})
            many.execute()

    def lose(self, partition: int = 0) -> None:
        """Trim it to nothing."""
        self._client.xtrim(self.key, maxlen=0, approximate=False)

    def misnamed(self) -> RedisStream:
        """A key that isn't there."""
        return RedisStream(self.key + "s", self._server.url, group="readers")

    def unreachable(self) -> RedisStream:
        """A server that isn't there."""
        return RedisStream(self.key, "redis://127.0.0.1:9/0", group="readers")


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """A mock cluster for as long as the block runs."""
    cluster = MockKafka()
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def redis_server(*words: str) -> Iterator[RedisServer]:
    """A server of Redis for as long as the block runs; ``words`` go to it."""
    server = RedisServer(*words)
    try:
        yield server
    finally:
        server.close()
