from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from headrace.core.errors import DamagedObjectError, StoreError, StoreFullError, StoreReadOnlyError
from headrace.stores import scratch
from headrace.stores.files import REFRESH_SECONDS
from headrace.stores.lease import FileLease
from headrace.stores.local import FAULT_POINTS, LocalStore
from headrace.stores.open import open_store
from headrace.testing.faults import fault_environment, fault_here
from headrace.testing.stores import StoreContract, check_whole


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def object_path(store: LocalStore, digest: str) -> Path:
    return store.root / "objects" / digest[:2] / digest


def text_of(error: pytest.ExceptionInfo[BaseException]) -> str:
    return str(error.value)


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead_seconds: float) -> None:
    later = time.time() + ahead_seconds
    monkeypatch.setattr(time, "time", lambda: later)


class TestLayout:
    def test_an_object_is_read_only_and_named_by_its_digest(self, store: LocalStore) -> None:
        blob = store.add_bytes(b"x")
        with store.scratch() as folder:
            (folder / "f").write_bytes(b"f")
            other = store.add_file(folder / "f")
        for digest in (blob.digest, other.digest):
            assert stat.S_IMODE(object_path(store, digest).stat().st_mode) & 0o333 == 0

    def test_the_folders_are_those_of_the_docstring(self, store: LocalStore) -> None:
        store.add_bytes(b"x")
        store.write_record("runs/r1/run.json", b"1")
        store.lease("a").release()
        assert store.cache_dir == store.root / "cache"
        assert sorted(path.name for path in store.root.iterdir()) == [
            ".gitignore", "cache", "leases", "objects", "runs", "scratch", "store.json",
        ]  # fmt: skip
        assert [list((store.root / name).iterdir()) for name in ("scratch", "cache")] == [[], []]
        assert json.loads((store.root / "store.json").read_bytes()) == {"format": 1, "salt": store.salt.hex()}

    def test_a_folder_that_was_there_keeps_its_gitignore_as_it_is(self, tmp_path: Path) -> None:
        LocalStore(tmp_path)
        assert not (tmp_path / ".gitignore").exists()
        assert (LocalStore(tmp_path / "new").root / ".gitignore").read_text() == "*\n"

    def test_a_present_object_is_not_written_again(self, store: LocalStore) -> None:
        digest = store.add_bytes(b"x").digest
        before = object_path(store, digest).stat()
        store.add_bytes(b"x")
        with store.scratch() as folder:
            (folder / "f").write_bytes(b"x")
            store.add_file(folder / "f")
        assert object_path(store, digest).stat() == before

    def test_an_old_object_that_is_added_again_gets_a_new_stamp(self, store: LocalStore) -> None:
        path = object_path(store, store.add_bytes(b"x").digest)
        for age_seconds, is_renewed in ((REFRESH_SECONDS - 60, False), (REFRESH_SECONDS + 60, True)):
            old = time.time() - age_seconds
            os.utime(path, (old, old))
            store.add_bytes(b"x")
            assert (path.stat().st_mtime > old + 1) is is_renewed

    def test_a_relative_root_stays_where_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        store = LocalStore("here")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.write_record("a.json", b"1")
        assert (tmp_path / "here" / "a.json").exists()


class TestVerification:
    @staticmethod
    def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
        import headrace.stores.local as module

        hashed: list[str] = []
        for name in ("file_digest", "sha256"):
            original: Callable[..., object] = getattr(module, name)

            def counted(*args: object, name: str = name, original: Callable[..., object] = original) -> object:
                hashed.append(name)
                return original(*args)

            monkeypatch.setattr(module, name, counted)
        return hashed

    @pytest.mark.parametrize(("age_seconds", "n_hashes"), [(0.0, 4), (3600.0, 1)])
    def test_an_object_outside_the_racy_window_is_hashed_once(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, age_seconds: float, n_hashes: int
    ) -> None:
        digest = store.add_bytes(b"x" * 100).digest
        set_clock(monkeypatch, age_seconds)
        hashed = self.count_hashes(monkeypatch)
        for _ in range(2):
            store.open_object(digest)
            assert store.read_object(digest) == b"x" * 100
        assert len(hashed) == n_hashes

    def test_a_stamp_set_back_hides_nothing(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        digest = store.add_bytes(b"good").digest
        path = object_path(store, digest)
        set_clock(monkeypatch, 3600.0)
        store.open_object(digest)
        before = path.stat()
        path.chmod(0o644)
        path.write_bytes(b"evil")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(DamagedObjectError, match="altered: its 4 bytes have the digest"):
            store.open_object(digest)

    def test_the_texts_say_what_is_wrong(self, store: LocalStore) -> None:
        digest = store.add_bytes(b"ten bytes!").digest
        path = object_path(store, digest)
        path.chmod(0o644)
        for data, n_bytes, problem in (
            (b"ten", 10, "cut short: it holds 3 of 10 bytes"),
            (b"", None, "cut short: it is empty"),
            (b"ten bytes?", 10, f"altered: its 10 bytes have the digest {sha256(b'ten bytes?').hexdigest()[:12]}"),
            (b"ten", None, f"altered: its 3 bytes have the digest {sha256(b'ten').hexdigest()[:12]}"),
        ):
            path.write_bytes(data)
            with pytest.raises(DamagedObjectError) as caught:
                store.read_object(digest, n_bytes=n_bytes)
            assert text_of(caught) == (
                f"Object {digest[:12]} is {problem} ({path}).\n"
                "Hint: nothing is lost: run again, and the step that made it is executed again"
            )
            assert (caught.value.digest, caught.value.problem) == (digest, problem)


class TestDurability:
    @pytest.fixture
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        paths: list[str] = []
        real = os.fsync

        def fsync(fd: int) -> None:
            paths.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        return paths

    def test_nothing_is_synced_unasked(self, store: LocalStore, synced: list[str]) -> None:
        store.add_bytes(b"x")
        with store.scratch() as folder:
            (folder / "f").write_bytes(b"f")
            store.add_file(folder / "f")
        store.create_record("a/b.json", b"1")
        store.write_record("a/b.json", b"2")
        store.open_stream("a/b.log").close()
        assert synced == []

    @pytest.mark.parametrize("write", [LocalStore.create_record, LocalStore.write_record])
    def test_a_durable_record_syncs_the_file_and_each_folder(
        self, store: LocalStore, synced: list[str], write: Callable[..., object]
    ) -> None:
        write(store, "runs/r1/run.json", b"1", durable=True)
        root = str(store.root)
        assert synced[0].startswith(f"{root}/scratch/")
        assert synced[1:] == [f"{root}/runs/r1", f"{root}/runs", root]

    def test_the_loser_makes_the_winners_record_durable(self, store: LocalStore, synced: list[str]) -> None:
        store.create_record("runs/run.json", b"1")
        assert not store.create_record("runs/run.json", b"2", durable=True)
        root = str(store.root)
        assert synced == [f"{root}/runs/run.json", f"{root}/runs", root]

    def test_the_salt_is_durable(self, tmp_path: Path, synced: list[str]) -> None:
        LocalStore(tmp_path / "new")
        assert synced[-1] == str(tmp_path / "new")
        assert len(synced) == 2


class TestOpening:
    @pytest.mark.parametrize("form", [str, Path, Path.as_uri, lambda path: path.as_uri().replace("//", "//localhost")])
    def test_a_folder_is_opened_by_path_and_url(self, tmp_path: Path, form: Callable[[Path], str | Path]) -> None:
        folder = tmp_path / "with space & ünicode%41"
        salt = LocalStore(folder).salt
        store = open_store(form(folder))
        assert store.salt == salt
        assert open_store(store.url).salt == salt
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]

    def test_home_is_meant_by_a_tilde(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        open_store("~/stores/mine")
        assert (tmp_path / "stores" / "mine" / "store.json").exists()

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("ftp://key:secret@host/x", "A store can't be opened by a URL of the scheme 'ftp'."),
            ("file://elsewhere/x", "A 'file' URL names a folder of this machine, but got the host 'elsewhere'."),
            ("", "The store's path is empty."),
            ("  ", "The store's path is empty."),
            ("file://", "The store's path is empty."),
        ],
    )
    def test_what_is_no_folder_is_refused(self, url: str, text: str) -> None:
        with pytest.raises(StoreError) as caught:
            open_store(url)
        hint = "Hint: give a folder, such as '.headrace', its URL, such as 'file:///srv/headrace', or a bucket, as 's3://bucket/team'"
        assert text_of(caught) == f"{text}\n{hint}"

    def test_a_file_in_the_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError) as caught:
            open_store(tmp_path / "file")
        assert text_of(caught).startswith(f"Could not open the store: Not a directory ({tmp_path / 'file'}).\nHint: ")

    def test_a_newer_store_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "store.json").write_text('{"format": 2, "salt": "?", "more": []}')
        with pytest.raises(StoreError) as caught:
            open_store(tmp_path)
        assert text_of(caught) == (
            f"The store has format 2, and this version of Headrace knows formats up to 1 ({tmp_path}/store.json).\n"
            "Hint: upgrade Headrace, or choose another store (--store, HEADRACE_STORE)"
        )

    @pytest.mark.parametrize(
        "marker",
        ["", "{", "[]", "1", "{}", '{"format": 1}', '{"format": "x", "salt": ""}', '{"format": 1, "salt": 3}',
         '{"format": 1, "salt": "abcd"}', f'{{"format": 0, "salt": "{"ab" * 32}"}}', '{"format": null}'],
    )  # fmt: skip
    def test_a_damaged_marker_is_refused(self, tmp_path: Path, marker: str) -> None:
        (tmp_path / "store.json").write_text(marker)
        with pytest.raises(StoreError) as caught:
            open_store(tmp_path)
        assert text_of(caught) == (
            f"The store's 'store.json' is damaged ({tmp_path}/store.json).\n"
            "Hint: restore it from a backup, or choose another store (--store, HEADRACE_STORE)"
        )
        assert (tmp_path / "store.json").read_text() == marker

    def test_processes_that_race_to_make_a_store_get_one_salt(self, tmp_path: Path) -> None:
        code = (
            "import sys; from headrace.stores.open import open_store\n"
            "sys.stdin.readline(); salts = [open_store(f'{sys.argv[1]}/{n}').salt.hex() for n in range(20)]\n"
            "print(*salts)"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) for _ in range(6)
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.flush()
        salts = [child.communicate()[0].split() for child in children]
        assert [child.returncode for child in children] == [0] * 6
        assert len({tuple(each) for each in salts}) == 1
        assert len(set(salts[0])) == 20

    def test_a_kill_before_the_marker_leaves_a_folder_that_opens(self, tmp_path: Path) -> None:
        code = f"from headrace.stores.open import open_store; open_store({str(tmp_path / 'store')!r})"
        environment = {**fault_environment("store.open.before_marker"), "PYTHONPATH": os.pathsep.join(sys.path)}
        assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -9
        assert not (tmp_path / "store" / "store.json").exists()
        assert check_whole(LocalStore(tmp_path / "store")) == (0, 0)

    def test_a_folder_removed_under_a_store_is_not_made_again(self, store: LocalStore) -> None:
        import shutil

        shutil.rmtree(store.root)
        with pytest.raises(StoreError, match="Could not add an object: No such file or directory"):
            store.add_bytes(b"x")
        assert not store.root.exists()


class TestSweep:
    def test_what_this_system_cannot_judge_is_left(self, store: LocalStore) -> None:
        folder = store.root / "scratch"
        folder.mkdir(exist_ok=True)
        system = scratch.system_tag()
        mine = scratch.owner_name(os.getpid(), system)
        left = {
            f"{mine}-aaaa-0",  # alive
            "999999999-5-otherbox-aaaa-0",  # another machine's
            "not of ours",
        }
        gone = {
            f"999999999-5-{system}-aaaa-0",  # no such process
            f"{os.getpid()}-1-{system}-aaaa-0",  # an earlier process of this id
        }
        for name in left | gone:
            (folder / name).mkdir()
            (folder / name / "file").write_bytes(b"x")
        LocalStore(store.root)
        assert {path.name for path in folder.iterdir()} == left

    def test_a_folder_is_used_again(self, store: LocalStore) -> None:
        """ext4 looks through what was freed of late before it makes a folder: a step must not free one each time."""
        inodes = set()
        for number in range(5):
            with store.scratch() as folder:
                assert list(folder.iterdir()) == []
                inodes.add(folder.stat().st_ino)
                (folder / str(number)).write_bytes(b"left")
        assert len(inodes) == 1
        with store.scratch() as one, LocalStore(store.root).scratch() as other:
            assert one.stat().st_ino in inodes
            assert other.stat().st_ino not in inodes
        assert len(list((store.root / "scratch").iterdir())) == 2
        assert check_whole(store) == (0, 0)

    def test_another_user_s_folder_is_left(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        with store.scratch() as folder:
            inode = folder.stat().st_ino
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        with store.scratch() as folder:
            assert folder.stat().st_ino != inode

    def test_everything_goes_and_nothing_is_followed(self, store: LocalStore, tmp_path: Path) -> None:
        kept = tmp_path / "kept"
        (kept / "sub").mkdir(parents=True)
        (kept / "file").write_bytes(b"kept")
        with store.scratch() as folder:
            (folder / "a" / "b" / "c").mkdir(parents=True)
            (folder / "a" / "b" / "file").write_bytes(b"x")
            (folder / "a" / "b" / "file").chmod(0o000)
            (folder / "a" / "link to a file").symlink_to(kept / "file")
            (folder / "a" / "link to a folder").symlink_to(kept)
            (folder / "link to nothing").symlink_to("nowhere")
        assert not folder.exists()
        assert sorted(path.name for path in kept.iterdir()) == ["file", "sub"]

    def test_a_name_in_the_project_is_not_touched(self, store: LocalStore) -> None:
        """What a step opens is seen by an audit hook, which can't tell names relative to a folder's descriptor."""
        code = (
            "import sys; from headrace.stores.local import LocalStore\n"
            "store = LocalStore(sys.argv[1]); seen = []\n"
            "with store.scratch() as folder:\n"
            "    (folder / 'a' / 'b').mkdir(parents=True); (folder / 'a' / 'file').write_bytes(b'')\n"
            "    sys.addaudithook(lambda what, args: what in ('open', 'os.scandir') and seen.append(args[0]))\n"
            "print([path for path in seen if not str(path).startswith(sys.argv[1])])"
        )
        own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code, str(store.root)]
        assert subprocess.run(command, env=own, capture_output=True, check=True).stdout == b"[]\n"

    def test_a_zombie_writes_no_more(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", ""])
        deadline = time.monotonic() + 10
        while scratch.start_time(child.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.wait()
        assert scratch.start_time(os.getpid()) is not None


class TestWithoutLinks:
    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def link(source: str, path: str) -> None:
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", link)

    def test_the_first_record_stays(self, store: LocalStore) -> None:
        assert store.create_record("a/b.json", b"1")
        assert not store.create_record("a/b.json", b"2")
        assert store.read_record("a/b.json") == b"1"
        assert check_whole(store) == (0, 1)

    def test_one_of_many_writes_a_record(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        start = "import os, errno\ndef link(a, b): raise OSError(errno.EPERM, 'no links here')\nos.link = link\n"
        main = "from headrace.testing.store_tasks import main; main()"
        monkeypatch.setattr("headrace.testing.store_tasks._START", start + main)

        class Contract(StoreContract):
            def make_store(self, folder: Path) -> LocalStore:
                return LocalStore(folder)

        Contract().test_one_of_many_writes_a_record(tmp_path)

    def test_without_locks_too_it_is_an_error(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl

        def lock(fd: int, command: int, what: bytes) -> None:
            raise OSError(errno.EOPNOTSUPP, "no locks here")

        monkeypatch.setattr(fcntl, "fcntl", lock)
        with pytest.raises(StoreError) as caught:
            store.create_record("a/b.json", b"1")
        assert text_of(caught) == (
            "This file system has neither hard links nor locks, so that a record can't be put if absent "
            f"({store.root}/a/b.json).\nHint: put the store on a file system that has one of them"
        )
        assert check_whole(store) == (0, 0)
        with store.lease("a") as lease:
            assert lease.acquired and not lease.is_exclusive


class TestErrors:
    @pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
    def test_a_store_that_may_not_be_written(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def rename(source: str, path: str) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "rename", rename)
        with pytest.raises(StoreReadOnlyError) as caught:
            store.write_record("a/b.json", b"1")
        assert text_of(caught) == (
            f"The store may not be used to write a record: {os.strerror(number)} ({store.root}/a/b.json).\n"
            "Hint: give this user the right to it, or choose another store (--store, HEADRACE_STORE)"
        )
        assert isinstance(caught.value.__cause__, OSError)
        assert check_whole(store) == (0, 0)

    def test_anything_else_is_chained(self, store: LocalStore) -> None:
        (store.root / "runs").write_bytes(b"a file")
        with pytest.raises(StoreError) as caught:
            store.write_record("runs/r1.json", b"1")
        assert text_of(caught) == (
            f"Could not write a record: File exists ({store.root}/runs/r1.json).\n"
            "Hint: look at the file system under the store, then run again: what was finished is kept"
        ) or text_of(caught).startswith("Could not write a record: Not a directory (")
        assert isinstance(caught.value.__cause__, OSError)

    def test_names(self, store: LocalStore) -> None:
        for name, text in (
            ("../x.json", "'../x.json' cannot be a name in a store.\nHint: a name is made of parts with '/' between, "),
            (
                "objects/x.json",
                "'objects/x.json' is a place of the store's own.\nHint: use another first part, such as",
            ),
            ("a/b.txt", "The name of a record must end in '.json', but got 'a/b.txt'."),
            ("a.json/b.json", "In the name 'a.json/b.json' a part before the last ends in '.json'.\nHint: a folder is"),
            (
                "x" * 251 + ".json",
                f"A part of the name '{'x' * 251}.json' is longer than 255 bytes.\nHint: use a short",
            ),
        ):
            with pytest.raises(StoreError) as caught:
                store.read_record(name)
            assert text_of(caught).startswith(text)
        with pytest.raises(StoreError) as caught:
            store.open_stream("a/b.json")
        assert text_of(caught) == (
            "The name of a stream must not end in '.json', but got 'a/b.json'.\nHint: use '.jsonl' or '.log'"
        )


class TestLease:
    def test_it_frees_no_inode(self, store: LocalStore) -> None:
        """ext4 looks through what was freed of late before it makes a file: leases must not be files of their own."""
        for name in ("one", "other"):
            store.lease(name).release()
        assert [path.name for path in (store.root / "leases").iterdir()] == ["locks"]

    def test_names_have_locks_of_their_own(self, store: LocalStore) -> None:
        held = [store.lease(f"name {i}".replace(" ", "_")) for i in range(200)]
        assert all(lease.acquired for lease in held)
        assert not any(store.lease(f"name_{i}").acquired for i in range(200))
        for lease in held:
            lease.release()

    def test_it_is_free_again_after_an_error(self, store: LocalStore) -> None:
        with (
            fault_here("store.lease.locked", "enospc"),
            pytest.raises(StoreFullError, match="No space is left to take"),
        ):
            store.lease("key")
        with store.lease("key") as lease:
            assert lease.acquired

    def test_a_full_disk_takes_only_the_note(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def pwrite(fd: int, data: bytes, offset: int) -> int:
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr(os, "pwrite", pwrite)
        with store.lease("key") as lease, store.lease("key") as other:
            assert (lease.acquired, other.acquired, other.holder) == (True, False, None)

    def test_a_long_name(self, store: LocalStore) -> None:
        name = "/".join(["x" * 100] * 5)
        with store.lease(name) as one, store.lease(name + "y") as other, store.lease(name) as again:
            assert (one.acquired, other.acquired, again.acquired) == (True, True, False)

    def test_a_lease_that_is_not_ours_releases_nothing(self, store: LocalStore) -> None:
        with store.lease("key"):
            lease: FileLease = store.lease("key")
            lease.release()
            assert not store.lease("key").acquired


class TestFaultPoints:
    @staticmethod
    def points_in_the_code() -> Iterator[str]:
        import re

        import headrace.stores

        for path in Path(headrace.stores.__path__[0]).glob("*.py"):
            code = path.read_text().partition("FAULT_POINTS = (")
            after = code[2].partition("\n)\n")[2] if code[1] else code[0]
            yield from re.findall(r'"(store\.[a-z]+\.[a-z_]+)"', code[0] + after if code[1] else after)

    def test_each_point_has_its_place_and_the_other_way_round(self) -> None:
        found = list(self.points_in_the_code())
        assert set(found) == set(FAULT_POINTS)
        assert len(set(FAULT_POINTS)) == len(FAULT_POINTS)

    def test_an_unknown_point_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"There is no fault point 'store\.nowhere'; there are store\.open"):
            fault_environment("store.nowhere")


class TestRemovingWhatIsOld:
    """What is used again in the middle of its removal stays."""

    @pytest.mark.parametrize("point", ["store.sweep.before_removal", "store.sweep.moved"])
    @pytest.mark.parametrize("kind", ["object", "record"])
    def test_what_is_used_in_the_middle_of_it_is_there(
        self, store: LocalStore, point: str, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = store.add_bytes(b"x").digest
        store.create_record(f"actions/ab/{digest}.json", b"{}")
        name = f"objects/{digest[:2]}/{digest}" if kind == "object" else f"actions/ab/{digest}.json"
        os.utime(store.root / name, (0, 0))
        found: list[object] = []

        def meanwhile(passed: str) -> None:
            if passed == point:
                found.append(store.add_bytes(b"x") if kind == "object" else store.reuse_record(name))

        monkeypatch.setattr("headrace.stores.local_sweep.fault_point", meanwhile)
        removed = store.remove_older([name], store.clock() - 60)
        assert len(found) == 1
        # Who came before it was moved found it, and it stays; who came after made an object anew, or found no record.
        is_gone = point == "store.sweep.moved"
        assert removed == ([name] if is_gone else [])
        assert (store.root / name).exists() is (kind == "object" or not is_gone)
        assert (found == [None]) is (kind == "record" and is_gone)
        assert list((store.root / "scratch").iterdir()) == []

    def test_a_name_too_long_to_be_moved_is_removed(self, store: LocalStore) -> None:
        name = f"runs/{'r' * 200}/nodes/{'n' * 200}.1.json"
        store.create_record(name, b"{}")
        assert store.remove_older([name], store.clock() + 60) == [name]
        assert list((store.root / "runs").iterdir()) == []

    def test_folders_that_were_left_empty_are_made_again_by_who_needs_them(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.link
        n_tries = []

        def link(source: str, path: str) -> None:
            n_tries.append(path)
            if len(n_tries) < 4:
                Path(path).parent.rmdir() if Path(path).parent.exists() else None
            real(source, path)

        monkeypatch.setattr("headrace.stores.local.os.link", link)
        assert store.create_record("runs/r1/run.json", b"{}")
        assert len(n_tries) == 4
