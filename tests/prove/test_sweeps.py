"""Cleaning up beside others: a seeded slice of the campaign, and the proof that it would notice.

`make prove` does it all and writes ``results/sweeps.json``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sweeps.campaign import KINDS, main
from sweeps.play import LostError, play

from headrace.stores.bucket import BucketStore
from headrace.stores.local import LocalStore

SEEDS = (3, 19, 27)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_is_named_is_lost_and_the_rest_goes(kind: str, seed: int, tmp_path: Path) -> None:
    played = play(kind, tmp_path, seed)
    assert played.n_turns > 50
    assert played.n_left > 0


@pytest.mark.parametrize(("kind", "seed"), [("folder", 19), ("bucket", 10)])
def test_a_hit_that_leaves_its_result_old_is_caught(
    kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in (LocalStore, BucketStore):
        monkeypatch.setattr(store, "reuse_record", store.read_record)
    with pytest.raises(LostError, match="is gone"):
        play(kind, tmp_path, seed)


def test_an_object_that_is_added_again_and_stays_old_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.stores.bucket.is_young", lambda meta: True)
    with pytest.raises(LostError, match="which is gone"):
        play("bucket", tmp_path, 27)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_everything() -> None:
    assert main([]) == 0
