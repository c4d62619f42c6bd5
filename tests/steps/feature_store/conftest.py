"""The oracle and the histories stand with the campaign."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "prove"))

from asof.servers import redis_server, why_no_redis


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of this process's own."""
    if (why := why_no_redis()) is not None:
        pytest.skip(why)
    with redis_server() as url:
        assert url is not None
        yield url
