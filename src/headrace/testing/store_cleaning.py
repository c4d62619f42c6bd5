"""The part of a store's contract that is about cleaning up: ages, reuse, and the removal of what is old."""

# A case is named by what holds:
# ruff: noqa: D102
from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from headrace.stores.protocol import Store, StoredBlob
from headrace.testing.faults import fault_environment
from headrace.testing.store_tasks import Child
from headrace.testing.whole import check_whole

ABSENT = sha256(b"never added").hexdigest()


class CleaningCases:
    """The cases; see `headrace.testing.stores.StoreContract`, which says what is to be implemented."""

    fault_points: ClassVar[Sequence[str]]

    def make_store(self, folder: Path) -> Store:
        """See `StoreContract`."""
        raise NotImplementedError

    def make_old(self, store: Store, name: str, changed: float) -> None:
        """Have an entry look as if it had last been changed then, by the store's clock. ``name`` is an `Entry`'s."""
        raise NotImplementedError

    def _child(self, folder: Path, task: str, *args: object, **options: object) -> Child:
        raise NotImplementedError

    def test_record_is_reused(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        name = f"actions/ab/{ABSENT}.json"
        assert store.reuse_record(name) is None
        store.create_record(name, b'{"a": 1}')
        assert store.reuse_record(name) == b'{"a": 1}'
        self.make_old(store, name, store.clock() - 9 * 3600)
        assert json.loads(store.reuse_record(name) or b"") == {"a": 1}
        assert store.remove_older([name], store.clock() - 3600) == [], "a record that was reused is old"
        assert json.loads(store.read_record(name) or b"") == {"a": 1}

    def test_object_that_is_added_again_is_young(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for data in (b"x" * 100, b"y" * 100_000):
            for add in (store.add_bytes, lambda data: in_scratch(store, data, store.add_file)):
                digest = store.add_bytes(data).digest
                name = f"objects/{digest[:2]}/{digest}"
                self.make_old(store, name, store.clock() - 9 * 3600)
                add(data)
                assert store.remove_older([name], store.clock() - 3600) == []
                assert store.read_object(digest) == data

    def test_file_that_was_written_long_ago_is_young_as_an_object(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with store.scratch() as folder:
            (folder / "file").write_bytes(b"old")
            os.utime(folder / "file", (0, 0))
            blob = store.add_file(folder / "file")
        assert store.remove_older([f"objects/{blob.digest[:2]}/{blob.digest}"], store.clock() - 3600) == []

    def test_everything_is_listed_with_its_age(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        started = store.clock()
        digest = store.add_bytes(b"12345").digest
        store.create_record("runs/r1/run.json", b"{}")
        store.write_record("a.json", b"1")
        with store.open_stream("runs/r1/log.txt") as stream:
            stream.write(b"one\n")
        with store.lease("key"), store.scratch():
            objects, others = list(store.list_entries("objects")), list(store.list_entries())
        assert [entry[:2] for entry in objects] == [(f"objects/{digest[:2]}/{digest}", 5)]
        sizes = {entry.name: entry.n_bytes for entry in others}
        (log,) = [name for name in sizes if name.startswith("runs/r1/log.txt")]
        assert sizes == {"runs/r1/run.json": 2, "a.json": 1, log: 4}
        assert all(started - 2 <= entry.changed <= store.clock() + 2 for entry in objects + others)
        assert {entry.name for entry in store.list_entries("runs")} == {"runs/r1/run.json", log}
        assert list(store.list_entries("nothing/here")) == []

    def test_only_what_is_older_is_removed(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        digest = store.add_bytes(b"x").digest
        store.create_record(f"actions/{digest[:2]}/{digest}/{digest[:32]}.json", b"{}")
        store.create_record("runs/r1/run.json", b"{}")
        with store.open_stream("runs/r1/log.txt") as stream:
            stream.write(b"one\n")
        names = sorted(entry.name for folder in ("", "objects") for entry in store.list_entries(folder))
        assert len(names) == 4
        assert store.remove_older(names, store.clock() - 3600) == []
        assert sorted(entry.name for folder in ("", "objects") for entry in store.list_entries(folder)) == names
        assert store.remove_older(["objects/ab/" + ABSENT, "runs/r2/run.json"], store.clock() + 10) == []
        assert sorted(store.remove_older(names, store.clock() + 10)) == names
        assert (list(store.list_entries()), list(store.list_entries("objects"))) == ([], [])
        assert store.object_size(digest) is None
        assert store.add_bytes(b"x").digest == digest
        assert store.create_record("runs/r1/run.json", b"1")
        assert check_whole(store) == (1, 1)

    def test_what_was_being_removed_is_put_back(self, tmp_path: Path) -> None:
        point = "store.sweep.moved" if "store.sweep.moved" in self.fault_points else "bucket.sweep.before_removal"
        store = self.make_store(tmp_path)
        digest = store.add_bytes(b"kept").digest
        name = f"objects/{digest[:2]}/{digest}"
        with self._child(tmp_path, "remove_all", [name], env=fault_environment(point)) as child:
            assert child.returncode() == -9
        store = self.make_store(tmp_path)
        store.recover()
        assert store.read_object(digest) == b"kept"
        assert [entry.name for entry in store.list_entries("objects")] == [name]


def in_scratch(store: Store, data: bytes, use: Callable[[Path], StoredBlob]) -> StoredBlob:
    """Use a file in a scratch folder of the store."""
    with store.scratch() as folder:
        (folder / "file").write_bytes(data)
        return use(folder / "file")
