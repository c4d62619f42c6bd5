"""Streams and kills: a seeded slice of the campaign, and the proof that the campaign would notice.

`make prove` does it all and writes ``results/streams.json``.
"""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

import pytest
from streams.campaign import carry_out, carry_out_bare, main
from streams.place import BarePlace, Sender, WrongError

from headrace.testing.brokers import missing_kafka, missing_redis, mock_kafka, redis_server

HERE = Path(__file__).resolve().parent
SEED = 5
MISSING = missing_kafka() or missing_redis()

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def test_each_message_lands_once_whatever_is_killed(tmp_path: Path) -> None:
    found = carry_out_bare(tmp_path / "bare", SEED, n_kills=12)
    assert found["n_kills"] == 12
    assert found["n_messages"] > 50


@pytest.mark.timeout(300)
@pytest.mark.prove
def test_each_message_lands_once_when_the_engine_is_killed(tmp_path: Path) -> None:
    assert carry_out(tmp_path / "project", SEED, n_kills=1)["n_kills"] == 1


CARELESS = """
from headrace.steps.streams.chain import Chain
Chain._state = lambda self, landed: "done"
"""
GREEDY = """
from dataclasses import replace
from headrace.steps.streams.chain import Chain
before = Chain._following_pin
Chain._following_pin = lambda self, last, open_from: before(self, replace(last, end=last.begin), open_from)
"""


@pytest.mark.prove
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CARELESS, "what runs that ended well took of kafka of 20: 20 lost"),
        (GREEDY, "the snapshots of kafka of 20: 0 lost .*, 20 more than once"),
    ],
    ids=["no snapshot delivered again", "read again from the begin"],
)
def test_what_is_wrong_is_noticed(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "patch").mkdir()
    (tmp_path / "patch" / "sitecustomize.py").write_text(code)
    dies_once = {"HEADRACE_FAULT": f"streams.committed:kill:1:{tmp_path / 'passages'}"}
    with mock_kafka() as cluster, redis_server() as redis, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path / "patch")
        place = BarePlace(tmp_path / "project", cluster, redis, variables=dies_once)
        with closing(place):
            sender = Sender(cluster, redis, SEED)
            sender.send(20)
            with pytest.raises(WrongError, match="failed"):
                place.run()  # it dies after its first snapshot has landed
            place.run()
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
    assert record["without_engine"]["n_kills"] >= 400
    assert (record["n_lost"], record["n_twice"], record["wrong"]) == (0, 0, "")
