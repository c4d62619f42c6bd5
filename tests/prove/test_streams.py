"""Streams and kills: a seeded slice of the campaign, and the proof that the campaign would notice.

`make prove` does it all and writes ``results/streams.json``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from streams.campaign import carry_out, main
from streams.place import Place, Sender, WrongError

from headrace.testing.brokers import missing_kafka, missing_redis, mock_kafka, redis_server

HERE = Path(__file__).resolve().parent
SEED = 5
MISSING = missing_kafka() or missing_redis()

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def test_each_message_lands_once_whatever_is_killed(tmp_path: Path) -> None:
    found = carry_out(tmp_path / "project", SEED, n_kills=3)
    assert found["n_kills"] == 3
    assert found["n_messages"] > 50


FORGETFUL = """
from headrace.steps.streams.chain import Chain
Chain.land = lambda self, landed: True
"""
CARELESS = """
from headrace.steps.streams.chain import Chain
Chain._state = lambda self, landed: "done"
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [(FORGETFUL, "the snapshots of kafka"), (CARELESS, "what runs that ended well took of kafka of 20: 20 lost")],
    ids=["nothing written down", "no snapshot delivered again"],
)
def test_what_is_lost_is_noticed(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "patch").mkdir()
    (tmp_path / "patch" / "sitecustomize.py").write_text(code)
    with mock_kafka() as cluster, redis_server() as redis, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "patch")
        place = Place(tmp_path / "project", cluster, redis)
        sender = Sender(cluster, redis, SEED)
        sender.send(20)
        with pytest.raises(WrongError, match="ended with 1"):
            place.run(mood="bad")  # after its snapshots have landed
        place.run()
        with pytest.raises(WrongError, match=words):
            place.check(sender.n_sent)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_whole_campaign() -> None:
    seed = random.SystemRandom().randrange(10_000)
    assert main(["--seed", str(seed)]) == 0
    record = json.loads((HERE / "results" / "streams.json").read_text())
    assert record["seed"] == seed
    assert record["n_kills"] >= 200
    assert (record["n_lost"], record["n_twice"], record["wrong"]) == (0, 0, "")
