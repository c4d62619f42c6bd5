"""Streams and kills: a seeded slice of the campaign.

`make prove` does it all and writes ``results/streams.json``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from streams.campaign import carry_out, main

from headrace.testing.brokers import missing_kafka, missing_redis

HERE = Path(__file__).resolve().parent
SEED = 5
MISSING = missing_kafka() or missing_redis()

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.mark.timeout(300)
def test_each_message_lands_once_whatever_is_killed(tmp_path: Path) -> None:
    found = carry_out(tmp_path / "project", SEED, n_kills=2)
    assert found["n_kills"] == 2
    assert found["n_messages"] > 50


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_whole_campaign() -> None:
    seed = random.SystemRandom().randrange(10_000)
    assert main(["--seed", str(seed)]) == 0
    record = json.loads((HERE / "results" / "streams.json").read_text())
    assert record["seed"] == seed
    assert record["n_kills"] >= 200
    assert (record["n_lost"], record["n_twice"], record["wrong"]) == (0, 0, "")
