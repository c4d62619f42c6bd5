"""The contract of streams, on each of them; and that it would notice what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DataError
from headrace.testing.brokers import KafkaBench, MockKafka, RedisBench, RedisServer
from headrace.testing.streams import LineBench, LineConnection, LineStream, StreamContract, line_bench

CONTRACTS = ("TestLines", "TestKafka", "TestRedis")


class TestLines(StreamContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @contextmanager
    def bench(self) -> Iterator[LineBench]:
        with line_bench(self.folder) as bench:
            yield bench


class TestKafka(StreamContract):
    @pytest.fixture(autouse=True)
    def place(self, kafka: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("headrace.steps.streams.kafka.ANSWER_SECONDS", 10.0)
        self.cluster = kafka

    @contextmanager
    def bench(self) -> Iterator[KafkaBench]:
        yield KafkaBench(self.cluster)

    def test_a_broker_that_is_not_there(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("headrace.steps.streams.kafka.ANSWER_SECONDS", 1.0)
            super().test_a_broker_that_is_not_there()


class TestRedis(StreamContract):
    @pytest.fixture(autouse=True)
    def place(self, redis: RedisServer) -> None:
        self.server = redis

    @contextmanager
    def bench(self) -> Iterator[RedisBench]:
        yield RedisBench(self.server)


def test_contracts_were_collected_whole(request: pytest.FixtureRequest) -> None:
    if request.config.option.keyword or any("::" in str(arg) for arg in request.config.args):
        pytest.skip("only a part of the tests was asked for")
    for name in CONTRACTS:
        here = [item for item in request.session.items if item.path == request.path]
        found = {item.originalname for item in here if f"{name}::" in item.nodeid}  # type: ignore[attr-defined]
        assert found == set(StreamContract.cases())


class _Broken(LineConnection):
    """Reads as it should but for what a subclass breaks."""


class _Forgetful(_Broken):
    def read(self, partition: str, start: Any, until: Any, *, at_most: int | None = None) -> Any:
        for batch in super().read(partition, start, until):
            yield batch[:-1] or batch


class _Silent(_Broken):
    def gap(self, partition: str, position: Any, ends: Any) -> None:
        return None


class _Greedy(_Broken):
    def read(self, partition: str, start: Any, until: Any, *, at_most: int | None = None) -> Any:
        yield from super().read(partition, start, self.partitions()[partition].end)


class _Shared(_Broken):
    def __init__(self, stream: LineStream) -> None:
        super().__init__(LineStream(stream.folder))


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (_Forgetful, "test_what_was_sent_is_read_in_order"),
        (_Silent, "test_what_was_deleted_is_said"),
        (_Silent, "test_another_topic_of_the_name_is_found_out"),
        (_Greedy, "test_the_same_range_gives_the_same_twice"),
        (_Shared, "test_what_was_committed_is_there"),
    ],
)
def test_the_contract_bites(kind: Any, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineStream, "open", lambda self: kind(self))
    broken = TestLines()
    broken.folder = tmp_path
    with pytest.raises((AssertionError, DataError)):
        getattr(broken, case)()
