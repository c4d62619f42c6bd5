"""Cleaning up a store: what is kept, what goes, when it is refused, and beside a pipeline at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import StoreError
from headrace.engine import gc
from headrace.engine.gc import BusyError, ClockError, Collected, Collector, Policy
from headrace.engine.records import run_ids
from headrace.engine.view import RunView, run_lease
from headrace.stores.local import LocalStore
from headrace.testing.faults import fault_environment
from headrace.testing.stores import check_whole

DAY = 86400.0
FLOW = """
@step
def numbers(n: int) -> list[int]:
    return list(range(n))
@step
def total(numbers: list[int]) -> int:
    return sum(numbers)
@pipeline
def flow(n: int = 3):
    return total(numbers(n))
@pipeline
def other(n: int = 3):
    return total(numbers(n))
"""


def make_old(store: LocalStore, days: float, run_id: str | None = None) -> None:
    """Make everything older, or one run."""
    root = store.root if run_id is None else store.root / "runs" / run_id
    for folder, folders, files in os.walk(root, topdown=False):
        for name in (*files, *folders):
            changed = Path(folder, name).stat().st_mtime - days * DAY
            os.utime(Path(folder, name), (changed, changed))


def collect(store: LocalStore, **policy: Any) -> Collected:
    return Collector(store, Policy(**policy), wait_seconds=0).collect()


@pytest.fixture
def store(project: Any) -> LocalStore:
    project.write(FLOW)
    return LocalStore(project.folder / ".headrace")


def run(project: Any, n: int = 3, **options: Any) -> str:
    return str(project.run({"n": n}, inline=True, **options).run_id)


class TestWhatIsKept:
    def test_what_is_young_stays(self, project: Any, store: LocalStore) -> None:
        for n in range(3):
            run(project, n)
        before = check_whole(store)
        found = collect(store, n_newest=1, age_seconds=0)
        assert (found.runs, found.n_bytes, check_whole(store)) == ([], 0, before)

    def test_the_newest_of_each_pipeline_stay_and_what_they_name(self, project: Any, store: LocalStore) -> None:
        runs = [run(project, n) for n in range(4)]
        other = run(project, 7, pipeline="other")
        make_old(store, 40)
        found = collect(store, n_newest=2)
        assert (found.runs, run_ids(store)) == (runs[:2], sorted([*runs[2:], other]))
        assert found.went["results"].n == 4 and found.stayed["results"].n == 6
        assert project.outcomes(project.run({"n": 2}, inline=True)) == dict.fromkeys(("numbers", "total"), "cached")
        assert project.outcomes(project.run({"n": 0}, inline=True)) == dict.fromkeys(("numbers", "total"), "succeeded")
        check_whole(store)
        assert not (store.root / "runs" / runs[0]).exists()

    def test_a_result_that_is_used_stays(self, project: Any, store: LocalStore) -> None:
        run(project, 1)
        make_old(store, 40)
        run(project, 1)
        make_old(store, 20)
        for n in range(2, 4):
            run(project, n)
        collect(store, n_newest=1, age_seconds=30 * DAY)
        assert project.outcomes(project.run({"n": 1}, inline=True)) == dict.fromkeys(("numbers", "total"), "cached")

    def test_the_newest_success_stays(self, project: Any, store: LocalStore) -> None:
        good = run(project, 1)
        project.write(FLOW.replace("return sum(numbers)", "return sum(numbers) // 0"))
        bad = [run(project, n) for n in range(3)]
        make_old(store, 40)
        assert collect(store, n_newest=1, age_seconds=0).runs == bad[:2]
        assert run_ids(store) == sorted([good, bad[2]])

    def test_named_runs_stay(self, project: Any, store: LocalStore) -> None:
        runs = [run(project, n) for n in range(3)]
        make_old(store, 40)
        assert collect(store, n_newest=1, runs=frozenset([runs[0], "unknown"])).runs == [runs[1]]
        assert RunView.read(store, runs[0]).plan.nodes
        for artifact in RunView.read(store, runs[0]).results["numbers"].outputs.values():
            assert all(store.read_object(file.digest) for file in artifact.files)

    def test_a_run_under_way_and_what_it_resumes_stay(self, project: Any, store: LocalStore) -> None:
        runs = [run(project, n) for n in range(3)]
        (store.root / "runs" / runs[1] / "end.json").unlink()
        text = json.loads(store.read_record(f"runs/{runs[1]}/run.json") or b"")
        store.write_record(f"runs/{runs[1]}/run.json", json.dumps({**text, "resumes": runs[0]}).encode())
        make_old(store, 40)
        with store.lease(run_lease(runs[1])):
            assert collect(store, n_newest=1).runs == []
        assert collect(store, n_newest=1).runs == runs[:2]

    def test_registered_models_stay_and_so_does_what_a_later_version_writes(self, store: LocalStore) -> None:
        model, later = store.add_bytes(b"model").digest, store.add_bytes(b"later").digest
        gone = store.add_bytes(b"nothing names it").digest
        store.create_record("registry/churn/versions/1.json", json.dumps({"files": [["m", model, 5]]}).encode())
        store.create_record("something/new.json", json.dumps({"deep": [{"er": f"sha256:{later}"}]}).encode())
        make_old(store, 400)
        found = collect(store)
        assert (found.went["objects"].n, sorted(store.list_objects())) == (1, sorted([model, later]))
        assert store.object_size(gone) is None

    def test_checkpoints_go_when_nobody_goes_on(self, store: LocalStore) -> None:
        named = store.add_bytes(b"progress").digest
        store.write_record(f"checkpoints/{named}/fold.json", json.dumps({"files": [["x", named, 8]]}).encode())
        make_old(store, 20)
        assert collect(store).went["checkpoints"].n == 0
        make_old(store, 20)
        found = collect(store)
        assert (found.went["checkpoints"].n, found.went["objects"].n) == (1, 1)

    def test_leftovers_of_other_machines_go(self, store: LocalStore) -> None:
        left = store.root / "scratch" / "77-12345-ffffffff-abcdabcd-0"
        left.mkdir(parents=True)
        (left / "half").write_bytes(b"half written")
        with store.scratch() as mine:
            (mine / "file").write_bytes(b"mine")
            assert collect(store).went["leftovers"].n == 0
            make_old(store, 2)
            assert (collect(store).went["leftovers"], left.exists()) == ((1, 12), False)
            assert (mine / "file").read_bytes() == b"mine"

    def test_looking_says_what_would_go_and_changes_nothing(self, project: Any, store: LocalStore) -> None:
        for n in range(4):
            run(project, n)
        make_old(store, 40)

        def content() -> dict[str, bytes]:
            return {str(path): path.read_bytes() for path in store.root.rglob("*") if path.is_file()}

        before = content()
        said = Collector(store, Policy(n_newest=1)).look()
        assert content() == before
        did = collect(store, n_newest=1)
        assert said == did
        n_bytes = sum(map(len, before.values())) - sum(map(len, content().values()))
        assert (did.n_bytes, len(did.runs)) == (n_bytes, 3)


class TestRefusals:
    def test_a_registry_that_cannot_be_read_stops_it_all(
        self, project: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(project)
        store.add_bytes(b"old")
        (store.root / "registry" / "churn").mkdir(parents=True)
        record = store.root / "registry" / "churn" / "champion.json"
        record.write_bytes(b'{"version": ')
        make_old(store, 400)
        before = check = sorted(path for path in store.root.rglob("*"))
        with pytest.raises(
            StoreError, match=r"The registry's record 'registry/churn/champion.json' can't be read, so no"
        ):
            collect(store, n_newest=1)
        record.unlink()
        read = LocalStore.read_record

        def broken(self: LocalStore, name: str) -> bytes | None:
            if name.startswith("actions/"):
                raise StoreError("Could not read a record: Input/output error")
            return read(self, name)

        monkeypatch.setattr(LocalStore, "read_record", broken)
        with pytest.raises(StoreError, match="Input/output error"):
            collect(store, n_newest=1)
        check = sorted(path for path in store.root.rglob("*"))
        assert set(before) - set(check) == {record}

    def test_one_at_a_time(self, store: LocalStore) -> None:
        with store.lease("gc"), pytest.raises(BusyError, match=f"is being cleaned up by process {os.getpid()} on"):
            collect(LocalStore(store.root))

    def test_a_short_grace_is_for_when_nobody_runs(self, project: Any, store: LocalStore) -> None:
        run_id = run(project)
        (store.root / "runs" / run_id / "end.json").unlink()
        old = store.add_bytes(b"nothing names it").digest
        with store.lease(run_lease(run_id)):
            with pytest.raises(BusyError, match=f"Run '{run_id}' is under way, and a grace of 1 hours is only for"):
                collect(store, grace_seconds=3600.0)
            assert store.object_size(old) is not None
        time.sleep(0.02)  # the file system's clock has a grain
        assert collect(store, grace_seconds=0.0).went["objects"].n == 1

    def test_a_clock_that_jumps_stops_the_sweep(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        old = store.add_bytes(b"nothing names it").digest
        make_old(store, 40)
        clock = LocalStore.clock
        times = iter((0.0, 3600.0))
        monkeypatch.setattr(LocalStore, "clock", lambda self: clock(self) + next(times))
        with pytest.raises(ClockError, match="The store's clock jumped by 3600 seconds"):
            collect(store)
        assert store.object_size(old) is not None

    def test_the_stores_clock_counts_and_not_this_machines(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        young = store.add_bytes(b"just made").digest
        years = 10 * 365 * DAY
        for module in ("headrace.stores.files.time", "headrace.engine.gc.time", "headrace.stores.local.time"):
            real = time.time
            monkeypatch.setattr(module, _Times(lambda real=real: real() + years))
        assert collect(store).went["objects"].n == 0
        assert store.object_size(young) is not None


class _Times:
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def __init__(self, now: Callable[[], float]) -> None:
        self.time = now


class TestBeside:
    def test_a_run_that_begins_between_mark_and_sweep_loses_nothing(self, project: Any, store: LocalStore) -> None:
        """It takes over what was to go, by the first marking, and makes again what has gone."""
        runs = [run(project, n) for n in range(4)]
        make_old(store, 40)
        results = {}

        class Paused(Collector):
            def _pause(self, seconds: float) -> None:
                results["beside"] = project.run({"n": 0}, inline=True)

        found = Paused(store, Policy(n_newest=1), wait_seconds=0).collect()
        assert found.runs == runs[:3]
        assert project.outcomes(results["beside"]) == dict.fromkeys(("numbers", "total"), "succeeded")
        assert results["beside"].load() == 0
        check_whole(store)
        assert project.outcomes(project.run({"n": 0}, inline=True)) == dict.fromkeys(("numbers", "total"), "cached")

    def test_a_collector_that_stands_still_beside_a_pipeline(
        self, project: Any, store: LocalStore, wait_for: Callable[..., None]
    ) -> None:
        """The command is stopped at its first removal, after it has marked; a pipeline runs; then it goes on."""
        for n in range(3):
            run(project, n)
        make_old(store, 40)
        command = [sys.executable, "-m", "headrace.cli.main", "store", "gc", "--keep", "1", "--store", str(store.root)]
        env = fault_environment("store.sweep.before_removal", "stop")
        with subprocess.Popen([*command, "--json"], cwd=project.folder, env=env, stdout=subprocess.PIPE) as stopped:
            wait_for(lambda: Path(f"/proc/{stopped.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
            beside = [project.run({"n": n}, inline=True) for n in range(3)]
            assert [project.outcomes(one)["total"] for one in beside] == ["cached"] * 3
            stopped.send_signal(signal.SIGCONT)
            out, _ = stopped.communicate(timeout=60)
        went = json.loads(out)
        assert went["went"]["results"]["n"] == 0, "a result went that was used since"
        check_whole(store)
        assert [one.load() for one in beside] == [0, 0, 1]
        again = [project.run({"n": n}, inline=True) for n in range(3)]
        assert [project.outcomes(one)["total"] for one in again] == ["cached"] * 3

    @pytest.mark.parametrize("point", ["store.sweep.before_removal", "store.sweep.moved"])
    @pytest.mark.parametrize("passage", [1, 4, 9])
    def test_killed_half_way_it_goes_on_the_next_time(
        self, project: Any, store: LocalStore, point: str, passage: int
    ) -> None:
        runs = [run(project, n) for n in range(4)]
        make_old(store, 40)
        command = [sys.executable, "-m", "headrace.cli.main", "store", "gc", "--keep", "1", "--store", str(store.root)]
        env = fault_environment(point, passage=passage)
        done = subprocess.run(command, cwd=project.folder, env=env, capture_output=True)
        assert done.returncode == -9
        check_whole(store)
        assert RunView.read(store, runs[3]).state == "succeeded"
        collect(store, n_newest=1, age_seconds=0)
        assert run_ids(store) == runs[3:]
        assert project.outcomes(project.run({"n": 3}, inline=True)) == dict.fromkeys(("numbers", "total"), "cached")
        fresh = LocalStore(project.folder / "fresh")
        project.run({"n": 3}, inline=True, store=fresh.root)
        assert set(store.list_objects()) == set(fresh.list_objects())


def test_digests_are_found_wherever_they_are(store: LocalStore) -> None:
    digest = "0123456789abcdef" * 4
    for text, n_found in ((f'"{digest}"', 1), (f"x{digest}y", 1), (digest + "a", 0), (digest[:-1], 0)):
        assert len(gc._DIGEST.findall(text.encode())) == n_found, text
