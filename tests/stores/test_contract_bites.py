"""The contract proves that it ran, and that a broken store doesn't pass it."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import StoreError
from headrace.stores import scratch
from headrace.stores.local import FAULT_POINTS, LocalStore
from headrace.stores.protocol import StoredBlob
from headrace.testing.stores import StoreContract


def damage(store: LocalStore, digest: str, data: bytes) -> None:
    path = store.root / "objects" / digest[:2] / digest
    path.chmod(0o644)
    path.write_bytes(data)


def contract_of(make: Callable[[Path], LocalStore]) -> StoreContract:
    class Contract(StoreContract):
        fault_points = FAULT_POINTS

        def make_store(self, folder: Path) -> LocalStore:
            return make(folder)

        damage = staticmethod(damage)

        def make_old(self, store: LocalStore, name: str, changed: float) -> None:
            os.utime(store.root / name, (changed, changed))

    return Contract()


class TrustsBytes(LocalStore):
    def read_object(self, digest: str, *, n_bytes: int | None = None) -> bytes:
        return (self.root / "objects" / digest[:2] / digest).read_bytes()


class TrustsItsFirstCheck(LocalStore):
    def open_object(self, digest: str, *, n_bytes: int | None = None) -> Path:
        if digest in self._verified:
            return Path(self._object_path(digest))
        path = super().open_object(digest, n_bytes=n_bytes)
        self._verified[digest] = (0, 0, 0, 0)
        return path


class KeepsWhatIsThere(LocalStore):
    def _is_there(self, path: str, n_bytes: int) -> bool:
        return Path(path).exists()


class LastWriterWins(LocalStore):
    def create_record(self, name: str, data: bytes, *, durable: bool = False) -> bool:
        was_there = self.read_record(name) is not None
        self.write_record(name, data)
        return not was_there


class WritesInPlace(LocalStore):
    def write_record(self, name: str, data: bytes, *, durable: bool = False) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[: len(data) // 2])
        raise KeyboardInterrupt


class LinksTheFile(LocalStore):
    def add_file(self, path: Path) -> StoredBlob:
        blob = StoredBlob(sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        target = self.root / "objects" / blob.digest[:2] / blob.digest
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        return blob


class LetsEveryoneIn(LocalStore):
    def _take_lease(self, name: str, wait_seconds: float) -> Any:
        return super()._take_lease(f"{name}-{os.urandom(4).hex()}", wait_seconds)


class SweepsEverything(LocalStore):
    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        for entry in (self.root / "scratch").iterdir():
            scratch.remove(str(entry))


class ListsUnsorted(LocalStore):
    def list_records(self, prefix: str = "") -> Any:
        return reversed(list(super().list_records(prefix)))


class ForgetsItsSalt(LocalStore):
    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self.salt = os.urandom(32)


class ReusesWithoutAWord(LocalStore):
    def reuse_record(self, name: str) -> bytes | None:
        return self.read_record(name)


class TakesAFilesOwnStamp(LocalStore):
    def add_file(self, path: Path) -> StoredBlob:
        changed = path.stat().st_mtime
        blob = super().add_file(path)
        os.utime(self._object_path(blob.digest), (changed, changed))
        return blob


class RemovesWhateverItsAge(LocalStore):
    def remove_older(self, names: Any, before: float) -> list[str]:
        return super().remove_older(names, before + 1e9)


class ForgetsWhatItMoved(LocalStore):
    def recover(self) -> None:
        return


BROKEN = {
    "test_record_is_reused": ReusesWithoutAWord,
    "test_object_that_is_added_again_is_young": KeepsWhatIsThere,
    "test_file_that_was_written_long_ago_is_young_as_an_object": TakesAFilesOwnStamp,
    "test_only_what_is_older_is_removed": RemovesWhateverItsAge,
    "test_what_was_being_removed_is_put_back": ForgetsWhatItMoved,
    "test_damaged_object_is_found_at_each_read": TrustsBytes,
    "test_damage_after_a_check_is_found": TrustsItsFirstCheck,
    "test_object_of_the_wrong_size_is_replaced": KeepsWhatIsThere,
    "test_first_record_stays": LastWriterWins,
    "test_second_name_of_a_file_cannot_change_the_object": LinksTheFile,
    "test_lease_excludes_within_a_process": LetsEveryoneIn,
    "test_scratch_of_a_killed_process_is_swept": SweepsEverything,
    "test_records_are_listed_sorted_below_a_folder": ListsUnsorted,
    "test_salt_stays": ForgetsItsSalt,
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_broken_store_is_caught(case: str, tmp_path: Path) -> None:
    for number, make in enumerate((LocalStore, BROKEN[case])):
        run = getattr(contract_of(make), case)
        (tmp_path / str(number)).mkdir()
        if make is LocalStore:
            run(tmp_path / str(number))
        else:
            with pytest.raises((AssertionError, StoreError)):
                run(tmp_path / str(number))


def test_removing_the_link_is_caught_by_the_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put-if-absent that checks first and renames then has two winners."""
    start = (
        "import os, time\n"
        "def link(source, path):\n"
        "    if os.access(path, os.F_OK): raise FileExistsError(path)\n"
        "    time.sleep(0.002); os.rename(source, path)\n"
        "os.link = link\n"
    )
    monkeypatch.setattr(
        "headrace.testing.store_tasks._START", start + "from headrace.testing.store_tasks import main; main()"
    )
    with pytest.raises(AssertionError, match=r"processes wrote one record|another record than the winner's"):
        contract_of(LocalStore).test_one_of_many_writes_a_record(tmp_path)


def test_contract_was_collected_whole(request: pytest.FixtureRequest) -> None:
    if request.config.option.keyword or any("::" in str(arg) for arg in request.config.args):
        pytest.skip("only a part of the tests was asked for")
    collected = {item.originalname for item in request.session.items if "TestLocalStore" in item.nodeid}
    assert collected == set(StoreContract.cases())
    assert len(collected) >= 49
