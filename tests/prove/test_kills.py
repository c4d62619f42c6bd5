"""Kills and other trouble: a seeded slice of the campaign, and the proof that the campaign would notice.

`make prove` does it all and writes ``results/kills.json``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from kills.campaign import main, summary, try_instants
from kills.instants import Instant, choose
from kills.processes import MARKER, marked, wait_till
from kills.trial import Place, Undisturbed, WrongError, carry_out, check_nothing_runs, undisturbed
from kills.trouble import can_mount, trouble_trials

from headrace.testing.faults import FAULT_POINTS

HERE = Path(__file__).resolve().parent
SEED = 20
N_INSTANTS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def expected(folder: Path) -> Undisturbed:
    return undisturbed(folder)


def test_after_each_kill_all_is_whole_and_the_next_run_ends(folder: Path, expected: Undisturbed) -> None:
    instants = choose(SEED, N_INSTANTS, expected.passed, expected.seconds)
    found = summary(try_instants(folder, expected, instants, SEED))
    assert found["n_wrong"] == 0
    assert found["n_instants"] >= N_INSTANTS - 3
    assert found["n_at_fault_points"] >= 3


@pytest.mark.prove
def test_after_other_trouble_too(folder: Path, expected: Undisturbed) -> None:
    trials = trouble_trials(folder, expected, SEED, n_each=1)
    assert [trial for trial in trials if "wrong" in trial] == []
    kinds = Counter(trial["kind"] for trial in trials if "skipped" not in trial)
    assert (kinds["damaged objects"], kinds["started process"]) == (1, 8)
    assert kinds["full disk"] == kinds["read-only"] == (1 if can_mount(folder) else 0)


def test_an_undisturbed_run_passes_most_points(expected: Undisturbed) -> None:
    """Points that a run doesn't pass could not be struck: they are tried one by one in the store's contract."""
    not_in_a_run = {"store.file.half_copied", "store.record.before_delete", "store.object.before_drop"}
    not_in_a_run |= {"store.sweep.before_removal", "store.sweep.moved"}  # struck in tests/engine/test_gc.py
    seldom = {"store.record.before_replace", "store.record.after_replace"}
    assert set(FAULT_POINTS) - set(expected.passed) <= not_in_a_run | seldom


def test_instants_come_from_the_seed_alone() -> None:
    passed = ["store.a", "store.b", "store.b", "engine.c"]
    instants = choose(3, 100, passed, 2.0)
    assert instants == choose(3, 100, passed, 2.0) != choose(4, 100, passed, 2.0)
    at_points = [instant for instant in instants if instant.point]
    assert len(at_points) == 50
    assert {(instant.point, instant.passage) for instant in at_points} == {
        ("store.a", 1),
        ("store.b", 1),
        ("store.b", 2),
    }
    assert all(0 <= instant.seconds <= 2.0 for instant in instants)
    assert {instant.victim for instant in instants} == {
        "the one who writes", "engine", "workers", "both", "a worker", "server",
    }  # fmt: skip


IN_PLACE = """
import os
from headrace.stores import local

def write_record(self, name, data, *, durable=False):
    path = f"{self._root}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    local.write_whole(fd, data, "store.record.half_written")
    os.close(fd)

def create_record(self, name, data, *, durable=False):
    if os.access(f"{self._root}/{name}", os.F_OK): return False
    write_record(self, name, data)
    return True

local.LocalStore.write_record, local.LocalStore.create_record = write_record, create_record
"""

FORGETFUL = """
from headrace.stores import local
before = local.LocalStore.create_record
def create_record(self, name, data, *, durable=False):
    return name.startswith("actions/") or before(self, name, data, durable=durable)
local.LocalStore.create_record = create_record
"""


class PatchedPlace(Place):
    """A place where the store is another one: a ``sitecustomize`` puts it in, in every process."""

    def environment(self, fault: str | None = None) -> dict[str, str]:
        own = super().environment(fault)
        return {**own, "PYTHONPATH": f"{self.folder / 'patch'}:{own['PYTHONPATH']}"}

    def patch(self, code: str) -> PatchedPlace:
        (self.folder / "patch").mkdir()
        (self.folder / "patch" / "sitecustomize.py").write_text(code)
        return self


@pytest.mark.parametrize(
    ("code", "instant", "message"),
    [
        (IN_PLACE, Instant(0, "both", "store.record.half_written", 12), "isn't whole"),
        (FORGETFUL, Instant(0, "both", "store.lease.before_unlock", 5), "finished steps were executed again"),
    ],
    ids=["records written in place", "actions forgotten"],
)
def test_a_broken_store_is_caught(
    tmp_path: Path, expected: Undisturbed, code: str, instant: Instant, message: str
) -> None:
    place = PatchedPlace(tmp_path / "trial").patch(code)
    with pytest.raises((WrongError, AssertionError), match=message):
        carry_out(place, instant, expected, SEED)


def test_other_digests_are_caught(tmp_path: Path, expected: Undisturbed) -> None:
    place = Place(tmp_path / "trial")
    source = (place.project / "twelve.py").read_text()
    (place.project / "twelve.py").write_text(source.replace('f"{salt} {number}"', 'f"{salt}  {number}"'))
    with pytest.raises(WrongError, match=r"other digests than an undisturbed run's: .*generate"):
        carry_out(place, Instant(0, "engine", seconds=0.1), expected, SEED)


def test_what_is_left_running_is_caught_and_killed(tmp_path: Path) -> None:
    place = Place(tmp_path / "trial")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={MARKER: place.name})
    assert wait_till(lambda: marked(place.name) == [child.pid], seconds=10)  # its environment comes after its start
    with pytest.raises(WrongError, match=f"something was left running:\n{child.pid} S .*time.sleep"):
        check_nothing_runs(place, seconds=0.2)
    assert child.wait() == -9
    assert marked(place.name) == []


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_whole_campaign() -> None:
    seed = random.SystemRandom().randrange(10_000)
    assert main(["--seed", str(seed)]) == 0
    record = json.loads((HERE / "results" / "kills.json").read_text())
    assert record["seed"] == seed
    assert record["n_wrong"] == 0
    assert record["n_instants"] >= 200
    assert record["n_at_fault_points"] >= 100
