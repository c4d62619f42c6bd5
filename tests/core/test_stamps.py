"""Digests under stamps: what is trusted, and what is hashed again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core import stamps as stamps_module
from headrace.core.stamps import RACY_WINDOW_NS, Stamp, Stamps

OLD_NS = 1_600_000_000_000_000_000


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def reads(monkeypatch):
    """The paths whose bytes were read."""
    seen: list[str] = []
    real = stamps_module._hash
    monkeypatch.setattr(stamps_module, "_hash", lambda name: seen.append(name) or real(name))
    return seen


@pytest.fixture
def past(monkeypatch):
    """Makes the stamps' clock run an hour ahead, so that no file was written just now."""
    real = time.time_ns
    monkeypatch.setattr(stamps_module.time, "time_ns", lambda: real() + 3_600_000_000_000)


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert Stamps().digest_file(tmp_path / "a") == sha(b"abc")


def test_a_file_untouched_for_long_is_read_once(tmp_path, reads, past):
    (tmp_path / "a").write_bytes(b"abc")
    stamps = Stamps()
    assert stamps.digest_file(tmp_path / "a") == stamps.digest_file(tmp_path / "a") == sha(b"abc")
    assert len(reads) == 1


def test_a_file_written_just_now_is_read_again(tmp_path, reads):
    (tmp_path / "a").write_bytes(b"abc")
    stamps = Stamps()
    stamps.digest_file(tmp_path / "a")
    stamps.digest_file(tmp_path / "a")
    assert len(reads) == 2


def test_an_edit_of_equal_size_and_restored_times_is_seen(tmp_path, past):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    stamps = Stamps()
    assert stamps.digest_file(path) == sha(b"abc")
    time.sleep(0.02)  # longer than a kernel's tick: the change time moves on
    path.write_bytes(b"xyz")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    assert stamps.digest_file(path) == sha(b"xyz")


@given(
    age=st.integers(-(10**10), 10**10),
    change=st.sampled_from(["nothing", "size", "mtime", "ctime", "inode"]),
)
def test_a_stamp_holds_only_outside_the_racy_window_and_for_equal_status(age, change):
    stamp = Stamp(3, OLD_NS, OLD_NS, 7, "d", OLD_NS + age)
    fields = {"size": 3, "mtime": OLD_NS, "ctime": OLD_NS, "inode": 7}
    if change != "nothing":
        fields[change] += 1

    class Status:
        st_size, st_mtime_ns, st_ctime_ns, st_ino = (fields[name] for name in ("size", "mtime", "ctime", "inode"))

    assert stamp.holds_for(Status) == (age > RACY_WINDOW_NS and change == "nothing")


def test_a_file_dated_in_the_future_is_always_read(tmp_path, reads):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    later = time.time_ns() + 10**13
    os.utime(path, ns=(later, later))
    stamps = Stamps()
    stamps.digest_file(path)
    stamps.digest_file(path)
    assert len(reads) == 2


def test_a_file_that_changes_while_it_is_read_is_never_trusted(tmp_path, monkeypatch, past):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    real = hashlib.file_digest

    def growing(file, name):
        found = real(file, name)
        with path.open("ab") as more:
            more.write(b"!")
        return found

    monkeypatch.setattr(stamps_module.hashlib, "file_digest", growing)
    stamps = Stamps()
    stamps.digest_file(path)
    assert stamps._known()[str(path)].stamped_ns == 0


def test_saved_stamps_serve_the_next_process(tmp_path, reads, past):
    (tmp_path / "a").write_bytes(b"abc")
    with Stamps(tmp_path / "cache" / "stamps.json") as stamps:
        stamps.digest_file(tmp_path / "a")
    assert Stamps(tmp_path / "cache" / "stamps.json").digest_file(tmp_path / "a") == sha(b"abc")
    assert len(reads) == 1


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 99, "files": {}}',
        b'{"version": 1, "files": []}',
        b'{"version": 1, "files": {"/a": [1, 2]}}',
        b'{"version": 1, "files": {"/a": ["1", 2, 3, 4, "d", 6]}}',
        b'{"version": 1, "files": {"/a": null}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_cache_counts_as_an_empty_one(tmp_path, damage):
    cache = tmp_path / "stamps.json"
    cache.write_bytes(damage)
    (tmp_path / "a").write_bytes(b"abc")
    with Stamps(cache) as stamps:
        assert stamps.digest_file(tmp_path / "a") == sha(b"abc")
    assert str(tmp_path / "a") in json.loads(cache.read_bytes())["files"]


def test_saving_keeps_what_another_process_saved(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    one, two = Stamps(tmp_path / "s.json"), Stamps(tmp_path / "s.json")
    one.digest_file(tmp_path / "a")
    two.digest_file(tmp_path / "b")
    one.save()
    two.save()
    assert set(json.loads((tmp_path / "s.json").read_bytes())["files"]) == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    stamps = Stamps(tmp_path / "file" / "stamps.json")
    assert stamps.digest_file(tmp_path / "file") == sha(b"")
    stamps.save()
    assert (tmp_path / "file").read_text() == ""


def _save_many(folder: str, first: int) -> None:
    for number in range(first, first + 20):
        with Stamps(Path(folder) / "s.json") as stamps:
            stamps.digest_file(Path(folder) / f"f{number % 40}")


def test_many_processes_share_a_cache(tmp_path):
    for number in range(40):
        (tmp_path / f"f{number}").write_text(str(number))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_save_many, args=(str(tmp_path), n * 20)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    entries = json.loads((tmp_path / "s.json").read_bytes())["files"]
    assert entries
    assert all(entry[4] == sha(Path(name).read_bytes()) for name, entry in entries.items())
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_threads_share_one(tmp_path):
    for number in range(50):
        (tmp_path / f"f{number}").write_text(str(number))
    stamps, found = Stamps(), []

    def work():
        found.append([stamps.digest_file(tmp_path / f"f{n}") for n in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[sha(str(n).encode()) for n in range(50)]] * 4


def test_a_tree_is_its_names_and_contents(tmp_path):
    def tree(name, files):
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return Stamps().digest_tree(tmp_path / name)

    base = tree("a", {"x": "1", "d/y": "2"})
    assert tree("b", {"d/y": "2", "x": "1"}) == base
    assert tree("c", {"x": "1", "d/y": "3"}) != base
    assert tree("d", {"x": "1", "d/z": "2"}) != base
    assert tree("e", {"x": "1", "d/y": "2", "e": ""}) != base
    (tmp_path / "b" / "empty").mkdir()
    assert Stamps().digest_tree(tmp_path / "b") != base


def test_a_tree_with_a_loop_ends(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "f").write_text("1")
    before = Stamps().digest_tree(tmp_path / "a")
    (tmp_path / "a" / "f").write_text("2")
    assert Stamps().digest_tree(tmp_path / "a") != before


@pytest.mark.parametrize(("what", "error"), [("missing", FileNotFoundError), ("file", NotADirectoryError)])
def test_what_is_no_folder_has_no_tree(tmp_path, what, error):
    (tmp_path / "file").write_text("")
    with pytest.raises(error):
        Stamps().digest_tree(tmp_path / what)


def test_what_is_no_file_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError):
        Stamps().digest_file(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        Stamps().digest_file(tmp_path)
