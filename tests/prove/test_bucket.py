"""A bucket under fire: a seeded slice of the campaign, and the proof that the campaign would notice.

`make prove` does it all and writes ``results/bucket.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket.campaign import SHARE, main
from bucket.faults import Campaign, WrongError, carry_out
from bucket.proxy import Trouble
from bucket.server import missing, serving, surroundings
from bucket.team import share_a_cache
from bucket.writers import N_STEPS, kill_a_holder, write_together

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SEED = 7


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as url:
        yield url


def test_each_operation_is_right_or_a_clear_error(server: str, tmp_path: Path) -> None:
    found = carry_out(server, tmp_path, SEED, 80, SHARE)
    assert (found["wrong"], found["n_operations"]) == ([], 80)
    assert found["n_injected"] >= 25
    assert found["n_errors"] >= 1
    assert found["outcomes"]["hit: hit"] >= 1


def test_processes_on_one_plan_make_the_same_and_store_it_once(server: str, tmp_path: Path) -> None:
    found = write_together(server, tmp_path, SEED, 5, 1)
    assert (found["n_different_digests"], found["most_puts_of_a_key"], found["n_actions"]) == (1, 1, N_STEPS)
    assert found["n_ended"] >= 4


@pytest.mark.prove
def test_the_second_of_a_team_computes_nothing(server: str, tmp_path: Path) -> None:
    found = share_a_cache(server, tmp_path)
    assert found["n_steps"] >= 8
    assert found["n_equal_digests"] >= 8


@pytest.mark.parametrize("elsewhere", [False, pytest.param(True, marks=pytest.mark.prove)])
def test_the_lease_of_a_killed_holder_is_free_within_its_time(server: str, tmp_path: Path, elsewhere: bool) -> None:
    assert kill_a_holder(server, tmp_path, 1.0, elsewhere=elsewhere)["free_after_seconds"] < 4.5


def test_a_store_that_trusts_what_is_near_is_caught(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.stores.bucket import BucketStore

    with surroundings(server):
        campaign = Campaign(server, Trouble(SEED), tmp_path, SEED + 1)
    one, two = campaign.stores
    campaign.blobs, campaign.names = [b"data", b"data"], ["actions/00/0.json"]
    one.add_bytes(b"data")
    assert (campaign.create(one), campaign.hit(two), campaign.hit(one)) == ("won", "hit", "hit")
    assert campaign.drop(two) == "right"
    assert campaign.hit(one) == "miss: no object"
    monkeypatch.setattr(BucketStore, "object_size", lambda self, digest: self._near.object_size(digest))
    with pytest.raises(WrongError, match="a false hit"):
        campaign.hit(one)


def test_a_put_that_forgets_its_condition_is_caught(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.stores.bucket_client import BucketClient

    put = BucketClient._put

    def forgetful(self: BucketClient, name: str, data: bytes, mode: object, tag: str = "") -> str:
        return put(self, name, data, "overwrite" if mode == "create" else mode, tag)

    monkeypatch.setattr(BucketClient, "_put", forgetful)
    assert "and we won: True" in " ".join(carry_out(server, tmp_path, SEED + 2, 100, 0.0)["wrong"])


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_everything() -> None:
    assert main([]) == 0
