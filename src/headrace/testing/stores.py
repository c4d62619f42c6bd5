"""The contract that every store must pass, and `check_whole`.

A store's own tests make a class of it, which pytest then collects::

    class TestBucketStore(StoreContract):
        def make_store(self, folder): return BucketStore(...)
        def damage(self, store, digest, data): ...
        def make_old(self, store, name, changed): ...

Each case is a method ``test_…`` of a path to an empty folder, and can be called without pytest too.
`StoreContract.cases` names them all, so that a suite can prove that none was lost.
"""

# A case is named by what holds:
# ruff: noqa: D102
from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from headrace.core.errors import DamagedObjectError, StoreError, StoreFullError
from headrace.stores.protocol import Store
from headrace.testing.faults import fault_environment, fault_here
from headrace.testing.store_cleaning import ABSENT, CleaningCases, in_scratch
from headrace.testing.store_tasks import WRITTEN_EVERYTHING, Child, write_everything
from headrace.testing.whole import WholeStore, check_whole

__all__ = ["StoreContract", "WholeStore", "check_whole"]

_BAD_NAMES = (
    "", "/", ".json", "/etc/passwd.json", "../outside.json", "runs/../../outside.json", "runs/./r1.json",
    "runs//r1.json", "runs/.hidden.json", "runs/r1.json/", "runs/r 1.json", "runs/r1\n.json", "runs/r1\0.json",
    "runs\\r1.json", "c:/r1.json", "runs/r1.json/more.json", "runs/*.json", "objects/ab.json", "scratch/x.json",
    "leases/x.json", "cache/x.json", "store.json", "runs/r1", "runs/r1.txt", f"runs/{'x' * 251}.json",
    f"runs/{'é' * 126}.json", "-r.json",
)  # fmt: skip
_GOOD_NAMES = (
    "a.json", "runs/r1/run.json", "runs/r1/nodes/train[3]/1.json", "runs/größe/π.json",
    "models/a@b=c+d,e%f#g~(h).json", "_private/__init__.json", "runs/r1..json", "objects2/a.json",
    f"runs/{'x' * 250}.json",
)  # fmt: skip
_BAD_DIGESTS = ("", "ab", "../../../etc/passwd", "a" * 63, "a" * 65, "../" + "a" * 61, "a" * 32 + "/" + "b" * 31)


class StoreContract(CleaningCases):
    """What is true of every `Store`. Implement `make_store`, `damage` and `make_old`.

    The cases about full and read-only disks mount a small tmpfs over the store's folder, in a mount namespace of their
    own, and are skipped with the reason where that isn't permitted.
    """

    is_folder: ClassVar[bool] = True
    """Does the store keep its bytes in the folder that `make_store` was given?"""

    memory_bytes: ClassVar[int] = 16 << 20
    """By how much adding and reading an object of 64 MiB may raise the memory of the process."""

    fault_points: ClassVar[Sequence[str]] = ()
    """The fault points in the store's writes: it is killed and refused at each."""

    def make_store(self, folder: Path) -> Store:
        """Open the store that belongs to ``folder``, making it if it is new. Called again it opens the same store."""
        raise NotImplementedError

    def damage(self, store: Store, digest: str, data: bytes) -> None:
        """Put other bytes in the place of a stored object's, behind the store's back."""
        raise NotImplementedError

    @classmethod
    def cases(cls) -> tuple[str, ...]:
        """The names of all cases."""
        return tuple(sorted(name for name in dir(cls) if name.startswith("test_")))

    # Objects

    def test_bytes_come_back(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for data in (b"", b"x", b"\0\r\n\xff" * 1000, b"y" * 300_000):
            blob = store.add_bytes(data)
            assert blob == (sha256(data).hexdigest(), len(data))
            assert store.object_size(blob.digest) == len(data)
            for again in (store, self.make_store(tmp_path)):
                assert again.read_object(blob.digest) == data
                assert again.open_object(blob.digest).read_bytes() == data

    def test_file_is_taken_over(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path / "store")
        inside = in_scratch(store, b"moved", store.add_file)
        outside = tmp_path / "outside.bin"
        outside.write_bytes(b"from elsewhere")
        outside.chmod(0o600)
        blob = store.add_file(outside)
        assert not outside.exists()
        assert inside == (sha256(b"moved").hexdigest(), 5)
        assert store.read_object(blob.digest) == b"from elsewhere"
        assert blob == (sha256(b"from elsewhere").hexdigest(), 14)

    def test_file_that_is_there_already_is_taken_over(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        blob = store.add_bytes(b"same")
        with store.scratch() as folder:
            (folder / "same").write_bytes(b"same")
            assert store.add_file(folder / "same") == blob
            assert not (folder / "same").exists()
        assert store.read_object(blob.digest) == b"same"

    def test_second_name_of_a_file_cannot_change_the_object(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path / "store")
        (tmp_path / "one").write_bytes(b"original")
        os.link(tmp_path / "one", tmp_path / "two")
        blob = store.add_file(tmp_path / "one")
        (tmp_path / "two").write_bytes(b"vandaled")
        assert not (tmp_path / "one").exists()
        assert store.read_object(blob.digest) == b"original"

    def test_object_given_as_a_file_is_not_lost(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        blob = store.add_bytes(b"an object of the store's")
        assert store.add_file(store.open_object(blob.digest)) == blob
        assert store.read_object(blob.digest) == b"an object of the store's"

    def test_only_a_regular_file_is_added(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path / "store")
        (tmp_path / "folder").mkdir()
        (tmp_path / "target").write_bytes(b"t")
        (tmp_path / "link").symlink_to(tmp_path / "target")
        for name in ("folder", "link"):
            message = _error(StoreError, store.add_file, tmp_path / name)
            assert f"{str(tmp_path / name)!r} is no regular file" in message
        assert "No such file" in _error(StoreError, store.add_file, tmp_path / "absent")
        assert (tmp_path / "link").is_symlink()
        assert list(store.list_objects()) == []

    def test_objects_are_listed_sorted(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        assert list(store.list_objects()) == []
        digests = [store.add_bytes(b"%d" % number).digest for number in range(40)]
        assert list(store.list_objects()) == sorted(digests)

    def test_absent_object(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        assert store.object_size(ABSENT) is None
        for read in (store.read_object, store.open_object):
            assert _damage_text(read, ABSENT).startswith(f"Object {ABSENT[:12]} is absent (")
        store.drop_object(ABSENT)

    def test_damaged_object_is_found_at_each_read(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        good = b"good bytes" * 100
        for bad, words in ((good[:500], "cut short"), (b"", "cut short"), (b"x" + good[1:], "altered")):
            digest = store.add_bytes(good).digest
            self.damage(store, digest, bad)
            for again in (store, self.make_store(tmp_path)):
                for read in (again.read_object, again.open_object):
                    text = _damage_text(read, digest, n_bytes=len(good))
                    assert text.startswith(f"Object {digest[:12]} is {words}: "), text
                    assert text.endswith(
                        "Hint: nothing is lost: run again, and the step that made it is executed again"
                    )
            store.drop_object(digest)
            assert store.object_size(digest) is None
            assert store.add_bytes(good).digest == digest
            assert store.read_object(digest) == good
            store.drop_object(digest)

    def test_damage_is_found_where_a_copy_is_right(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        digest = store.add_bytes(b"good bytes").digest
        store.check_object(digest)
        self.damage(store, digest, b"evil bytes")
        assert "altered" in _damage_text(store.check_object, digest)
        store.drop_object(digest)
        assert "absent" in _damage_text(store.check_object, digest)

    def test_damage_after_a_check_is_found(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        digest = store.add_bytes(b"good bytes").digest
        store.open_object(digest)
        self.damage(store, digest, b"evil bytes")
        _damage_text(store.open_object, digest)
        _damage_text(store.read_object, digest)

    def test_object_of_the_wrong_size_is_replaced(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for add in (store.add_bytes, lambda data: in_scratch(store, data, store.add_file)):
            digest = store.add_bytes(b"good bytes").digest
            self.damage(store, digest, b"good")
            assert add(b"good bytes").digest == digest
            assert store.read_object(digest) == b"good bytes"

    def test_malformed_digest_is_refused(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for digest in _BAD_DIGESTS:
            for use in (store.object_size, store.open_object, store.read_object, store.drop_object):
                message = _error(StoreError, use, digest)
                assert message.startswith(f"{digest!r} is not a sha256 digest"), message

    def test_big_objects_take_no_memory(self, tmp_path: Path) -> None:
        with self._child(tmp_path, "big_object", 64) as child:
            assert child.result() < self.memory_bytes

    def test_writers_of_one_object_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        expected = [sha256(f"{number} ".encode() * 40_000).hexdigest() for number in range(8)]
        assert self._all_at_once(tmp_path, "add_the_same", [(8,)] * 4) == [expected] * 4
        assert check_whole(self.make_store(tmp_path)) == (8, 0)

    # Records

    def test_record_comes_back(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for durable in (False, True):
            name = f"runs/{durable}/run.json"
            assert store.read_record(name) is None
            assert store.create_record(name, b'{"a": 1}', durable=durable)
            store.write_record(f"runs/{durable}/state.json", b"[]", durable=durable)
            for again in (store, self.make_store(tmp_path)):
                assert again.read_record(name) == b'{"a": 1}'
                assert again.read_record(f"runs/{durable}/state.json") == b"[]"

    def test_first_record_stays(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        assert store.create_record("a/b.json", b"1")
        for durable in (False, True):
            assert not store.create_record("a/b.json", b"2", durable=durable)
        assert not self.make_store(tmp_path).create_record("a/b.json", b"3")
        assert store.read_record("a/b.json") == b"1"

    def test_record_is_replaced(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for data in (b"1", b"[2, 2]", b"3" * 100_000, b"4"):
            store.write_record("a/b.json", data, durable=len(data) == 1)
            assert store.read_record("a/b.json") == data

    def test_record_is_deleted(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        store.write_record("a/b/c.json", b"1")
        store.delete_record("a/b/c.json")
        store.delete_record("a/b/c.json")
        store.delete_record("never/was.json")
        assert store.read_record("a/b/c.json") is None
        assert list(store.list_records()) == []
        assert store.create_record("a/b/c.json", b"2")
        assert store.read_record("a/b/c.json") == b"2"

    def test_records_are_listed_sorted_below_a_folder(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        names = ["a/b.json", "a/b/c.json", "a/b-.json", "a/b/c/d.json", "a/bb/x.json", "a.json", "b/é.json", "b/z.json"]
        for name in names:
            store.write_record(name, b"1")
        assert list(store.list_records()) == sorted(names)
        assert list(store.list_records("a/b")) == ["a/b/c.json", "a/b/c/d.json"]
        assert list(store.list_records("a/b/")) == ["a/b/c.json", "a/b/c/d.json"]
        assert list(store.list_records("nothing/here")) == []
        for prefix in ("..", "/", "a/../b", "objects"):
            _error(StoreError, store.list_records, prefix)

    def test_streams_and_objects_are_no_records(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        store.add_bytes(b"x")
        store.open_stream("runs/r1/events.jsonl").close()
        store.write_record("runs/r1/run.json", b"1")
        with store.lease("runs/r1"):
            assert list(store.list_records()) == ["runs/r1/run.json"]

    def test_names_that_lead_elsewhere_are_refused(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path / "store")
        for name in _BAD_NAMES:
            uses: list[Callable[[str], object]] = [
                store.read_record,
                store.delete_record,
                lambda name: store.create_record(name, b"1"),
                lambda name: store.write_record(name, b"1"),
            ]
            for use in uses:
                message = _error(StoreError, use, name)
                assert repr(name) in message, message
        for name in ("../x.log", "/x.log", "runs/r1.json", "", "objects/x.log"):
            for use in (store.open_stream, store.stream_path):
                assert repr(name) in _error(StoreError, use, name)
        for name in ("../x", "/x", ""):
            assert repr(name) in _error(StoreError, store.lease, name)
        assert os.listdir(tmp_path) in ([], ["store"])  # noqa: PTH208
        assert list(store.list_records()) == []

    def test_odd_names_are_kept_as_they_are(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        for name in _GOOD_NAMES:
            assert store.create_record(name, json.dumps(name).encode())
        assert list(store.list_records()) == sorted(_GOOD_NAMES)
        for name in _GOOD_NAMES:
            assert json.loads(store.read_record(name) or b"") == name
            with store.lease(name) as lease:
                assert lease.acquired

    def test_one_of_many_writes_a_record(self, tmp_path: Path) -> None:
        n_records, n_processes = 40, 8
        outcomes = self._all_at_once(tmp_path, "race_to_create", [(who, n_records) for who in range(n_processes)])
        for of_one_record in zip(*outcomes, strict=True):
            winners = [who for who, (won, _) in enumerate(of_one_record) if won]
            assert len(winners) == 1, f"{len(winners)} processes wrote one record"
            assert {there for _, there in of_one_record} == set(winners), (
                "a process read another record than the winner's"
            )
        assert check_whole(self.make_store(tmp_path)) == (0, n_records)

    def test_replaced_record_is_whole_at_each_moment(self, tmp_path: Path) -> None:
        assert self._all_at_once(tmp_path, "replace_again_and_again", [(who, 150) for who in range(4)]) == [0] * 4
        assert check_whole(self.make_store(tmp_path)) == (0, 1)

    # Streams

    def test_stream_grows(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        assert not store.stream_path("runs/r1/log.txt").exists()
        for text in (b"one\n", b"", b"two\n"):
            with store.open_stream("runs/r1/log.txt") as stream:
                assert stream.write(text) == len(text)
                assert store.stream_path("runs/r1/log.txt").read_bytes().endswith(text)
        assert store.stream_path("runs/r1/log.txt").read_bytes() == b"one\ntwo\n"

    def test_lines_of_many_processes_stay_whole(self, tmp_path: Path) -> None:
        self._all_at_once(tmp_path, "append_lines", [(who, 200) for who in range(4)])
        lines = self.make_store(tmp_path).stream_path("streams/shared.jsonl").read_bytes().splitlines()
        seen = [tuple(json.loads(line)[:2]) for line in lines]
        assert sorted(seen) == [(who, number) for who in range(4) for number in range(200)]

    # The store itself

    def test_salt_stays(self, tmp_path: Path) -> None:
        salts = {self.make_store(tmp_path / "one").salt for _ in range(3)}
        assert len(salts) == 1
        assert {len(salt) for salt in salts} == {32}
        assert self.make_store(tmp_path / "two").salt not in salts

    def test_pickled_store_is_the_same(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        digest = store.add_bytes(b"x").digest
        again = pickle.loads(pickle.dumps(store))
        assert (again.url, again.salt) == (store.url, store.salt)
        assert again.read_object(digest) == b"x"

    def test_forked_processes_write_at_once(self, tmp_path: Path) -> None:
        with self._child(tmp_path, "use_after_fork") as child:
            assert child.result() == 1 + 4 * 50
        assert check_whole(self.make_store(tmp_path)) == (1 + 4 * 50, 3 * 50)

    def test_threads_write_at_once(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        won: list[int] = []

        def work(who: int) -> None:
            for number in range(50):
                store.add_bytes(b"%d" % number)
                if store.create_record(f"threads/{number}.json", b"%d" % who):
                    won.append(number)
                store.write_record("threads/last.json", b"%d" % who)

        threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == list(range(50))
        assert check_whole(store) == (50, 51)

    def test_cache_folder_is_there(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        (store.cache_dir / "stamp").write_bytes(b"1")
        assert self.make_store(tmp_path).cache_dir == store.cache_dir
        shutil.rmtree(store.cache_dir)
        assert store.cache_dir.is_dir()

    def test_scratch_folder_is_empty_and_goes(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with store.scratch() as one, store.scratch() as other:
            assert one != other
            assert list(one.iterdir()) == []
            (one / "sub").mkdir()
            (one / "sub" / "file").write_bytes(b"x")
        assert not one.exists() and not other.exists()
        try:
            with store.scratch() as folder:
                raise KeyError("a step failed")
        except KeyError:
            assert not folder.exists()

    def test_scratch_folder_outlives_a_forked_process(self, tmp_path: Path) -> None:
        with self._child(tmp_path, "fork_in_scratch") as child:
            assert child.result() is True

    def test_scratch_of_a_killed_process_is_swept(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with self._child(tmp_path, "leave_scratch") as child:
            child.wait_till_ready()
            with store.scratch() as mine:
                (mine / "file").write_bytes(b"mine")
                (there,) = {folder.parent for folder in (mine,)}
                self.make_store(tmp_path)
                assert len(list(there.iterdir())) == 3, "something of a living process was swept"
                child.process.kill()
                child.process.wait()
                self.make_store(tmp_path)
                assert list(there.iterdir()) == [mine]
                assert (mine / "file").read_bytes() == b"mine"

    # Leases

    def test_lease_excludes_within_a_process(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with store.lease("key") as mine:
            assert mine.acquired and mine.holder is None
            for other_store in (store, self.make_store(tmp_path)):
                with other_store.lease("key") as theirs:
                    assert not theirs.acquired
                    assert str(os.getpid()) in (theirs.holder or "")
            with store.lease("another") as other:
                assert other.acquired
        assert not mine.acquired
        mine.release()
        with store.lease("key") as again:
            assert again.acquired

    def test_lease_excludes_threads(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        n_inside = [0]
        most_inside = [0]

        def work() -> None:
            for _ in range(20):
                with store.lease("threads", wait_seconds=float("inf")) as lease:
                    assert lease.acquired
                    n_inside[0] += 1
                    most_inside[0] = max(most_inside[0], n_inside[0])
                    time.sleep(0)
                    n_inside[0] -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (n_inside, most_inside) == ([0], [1])

    def test_lease_of_a_process_ends_with_it(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with self._child(tmp_path, "hold_lease", "key") as child:
            child.wait_till_ready()
            with store.lease("key", wait_seconds=0.05) as lease:
                assert not lease.acquired
                assert str(child.process.pid) in (lease.holder or "")
            child.process.kill()
            with store.lease("key", wait_seconds=10) as lease:
                assert lease.acquired

    def test_lease_is_waited_for(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        with self._child(tmp_path, "wait_for_lease", "key", 30.0) as child:
            child.wait_till_ready()
            with store.lease("key") as mine:
                assert mine.acquired
                child.go()
                time.sleep(0.2)
            assert 0.1 < child.result() < 20

    def test_lease_outlives_a_forked_process(self, tmp_path: Path) -> None:
        with self._child(tmp_path, "fork_under_lease", "key") as child:
            assert child.result() == [True, True]

    # Trouble

    def test_kill_at_each_fault_point_leaves_the_store_whole(self, tmp_path: Path) -> None:
        for number, point in enumerate(self.fault_points):
            folder = tmp_path / str(number)
            with self._child(folder, "write_all", env=fault_environment(point)) as child:
                assert child.returncode() == -9, f"the write was not killed at {point}"
            store = self.make_store(folder)
            check_whole(store)
            write_everything(store)
            assert check_whole(store) == WRITTEN_EVERYTHING, point

    def test_full_disk_at_each_fault_point_leaves_the_store_whole(self, tmp_path: Path) -> None:
        for number, point in enumerate(self.fault_points):
            store = self.make_store(tmp_path / str(number))
            write_everything(store)
            assert check_whole(store) == WRITTEN_EVERYTHING, point
            store = self.make_store(tmp_path / f"{number} full")
            if point not in ("store.lease.before_unlock", "bucket.lease.taken"):  # nothing is written there
                with fault_here(point, "enospc"):
                    message = _error(StoreFullError, write_everything, store)
                assert "No space is left to " in message and "\nHint: nothing half-written was left behind" in message
            check_whole(store)
            write_everything(store)
            assert check_whole(store) == WRITTEN_EVERYTHING, point

    def test_full_disk_loses_nothing(self, tmp_path: Path) -> None:
        texts = self._on_own_mount(tmp_path, "fill_disk")
        whats = ("add an object", "write a record", "write a record", "append to a stream")
        for text, what in zip(texts, whats, strict=True):
            assert text.startswith(f"No space is left to {what}: No space left on device (")
            assert text.endswith("make space (or raise the quota) and run again")

    def test_read_only_disk_can_be_read(self, tmp_path: Path) -> None:
        texts = self._on_own_mount(tmp_path, "use_read_only")
        assert len(texts) == 16
        for text in texts:
            assert text.startswith("The store may not be used to "), text
            assert ": Read-only file system (" in text and "choose another store (--store, HEADRACE_STORE)" in text

    def test_new_store_on_a_read_only_disk_is_refused(self, tmp_path: Path) -> None:
        text = self._on_own_mount(tmp_path, "make_on_read_only")
        assert text.startswith("The store may not be used to open the store: Read-only file system (")

    # Children

    def _child(self, folder: Path, task: str, *args: object, **options: object) -> Child:
        return Child(task, pickle.dumps(self.make_store(folder)), *args, **options)  # type: ignore[arg-type]

    def _all_at_once(self, folder: Path, task: str, args: Sequence[tuple[object, ...]]) -> list[Any]:
        children = [self._child(folder, task, *each) for each in args]
        try:
            for child in children:
                child.wait_till_ready()
            for child in children:
                child.go()
            return [child.result() for child in children]
        finally:
            for child in children:
                child.__exit__()

    def _on_own_mount(self, folder: Path, task: str) -> Any:
        if not self.is_folder:
            _skip("the store doesn't keep its bytes in a folder")
        own_namespace = _own_mounts(folder)
        with self._child(folder, task, str(folder), wrap=own_namespace) as child:
            return child.result()


def _own_mounts(folder: Path) -> list[str]:
    """The command before a command that may mount a tmpfs without others seeing it. Skips the case if there is none."""
    folder.mkdir(exist_ok=True)
    reason = "no 'unshare' command"
    for options in (["-m"], ["-Urm"]):
        command = ["unshare", *options, "--", sys.executable, "-c", _TRY_MOUNT, str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError:
            break
        if done.returncode == 0:
            return command[: 2 + len(options) - 1 + 1]
        reason = done.stderr.strip().splitlines()[-1]
    _skip(f"mounting a tmpfs isn't permitted here: {reason}")
    raise AssertionError("skipping goes on")


_TRY_MOUNT = """
import subprocess, sys
done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", sys.argv[1]], stderr=subprocess.PIPE)
sys.exit(done.stderr.decode() if done.returncode else 0)
"""


def _skip(reason: str) -> None:
    import pytest

    pytest.skip(reason)


def _error(kind: type[StoreError], use: Callable[..., object], *args: object, **options: object) -> str:
    try:
        use(*args, **options)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} was raised")


def _damage_text(read: Callable[..., object], *args: object, **options: object) -> str:
    return _error(DamagedObjectError, read, *args, **options)
