"""Brokers, one of each for all tests of a process, and runs whose records a test writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.stores.local import LocalStore
from headrace.testing.brokers import (
    KafkaBench,
    MockKafka,
    RedisBench,
    RedisServer,
    missing_kafka,
    missing_redis,
    mock_kafka,
    redis_server,
)
from headrace.testing.streams import LineBench


@pytest.fixture(scope="session")
def kafka() -> Iterator[MockKafka]:
    if reason := missing_kafka():
        pytest.skip(reason)
    with mock_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    if reason := missing_redis():
        pytest.skip(reason)
    with redis_server() as server:
        yield server


@pytest.fixture
def lines(tmp_path: Path) -> LineBench:
    return LineBench(tmp_path)


@pytest.fixture(params=["lines", "kafka", "redis"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A bench of each kind."""
    if request.param == "lines":
        return LineBench(tmp_path)
    broker = request.getfixturevalue(request.param)
    return KafkaBench(broker) if request.param == "kafka" else RedisBench(broker)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")
