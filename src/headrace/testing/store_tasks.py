"""What the store's contract does in other processes: one function a task, and how a child is started and driven.

A child gets the pickled store over its standard input and opens it itself, which is part of the contract.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from headrace.core.errors import StoreFullError, StoreReadOnlyError
from headrace.stores.protocol import Store
from headrace.testing.whole import check_whole

_START = "from headrace.testing.store_tasks import main; main()"
_MIB = 1 << 20

Open = Callable[[], Store]
Ready = Callable[[], None]


class Child:
    """Another process, which runs one of the tasks below. Ends with its context, killed if need be."""

    def __init__(
        self, task: str, store: bytes, *args: object, env: Mapping[str, str] | None = None, wrap: Sequence[str] = ()
    ) -> None:
        own = dict(os.environ if env is None else env)
        own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        pipe = subprocess.PIPE
        command = [*wrap, sys.executable, "-c", _START]
        self.task = task
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=own)
        self._say(json.dumps([task, base64.b64encode(store).decode(), args]))

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_till_ready(self) -> None:
        """Return once the task has come to its ``ready()``."""
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise AssertionError(f"Task {self.task!r} did not get ready:\n{self.process.communicate()[1].decode()}")

    def go(self) -> None:
        """Let the task go on after its ``ready()``."""
        self._say("go")

    def returncode(self) -> int:
        """Wait for the end: negative when a signal ended it."""
        self.process.communicate(timeout=120)
        return self.process.returncode

    def result(self) -> Any:
        """Wait for the end, and give what the task returned. Raises ``AssertionError`` with its traceback."""
        out, errors = self.process.communicate(timeout=120)
        if self.process.returncode != 0:
            raise AssertionError(f"Task {self.task!r} ended with {self.process.returncode}:\n{errors.decode()}")
        return json.loads(out.splitlines()[-1])


def main() -> None:
    """Run the task that the standard input names."""
    task, store, args = json.loads(sys.stdin.readline())
    pickled = base64.b64decode(store)

    def ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()

    result = TASKS[task](lambda: pickle.loads(pickled), ready, *args)
    sys.stdout.write(json.dumps(result) + "\n")


def race_to_create(open_store: Open, ready: Ready, who: int, n_records: int) -> list[list[object]]:
    """Try to create each of the records, and read what is there then."""
    store = open_store()
    ready()
    outcome: list[list[object]] = []
    for number in range(n_records):
        name = f"race/{number}.json"
        won = store.create_record(name, json.dumps({"who": who, "filling": "x" * 5000}).encode())
        there = store.read_record(name)
        outcome.append([won, json.loads(there or b"null")["who"]])
    return outcome


def replace_again_and_again(open_store: Open, ready: Ready, who: int, n_times: int) -> int:
    """Replace one record by ones of many lengths, and read it each time. Returns how many were not whole."""
    store = open_store()
    ready()
    n_torn = 0
    for number in range(n_times):
        filling = f"{who}.{number} " * (1 + 300 * (number % 7))
        record = {"filling": filling, "sha256": sha256(filling.encode()).hexdigest()}
        store.write_record("replaced/one.json", json.dumps(record).encode())
        there = json.loads(store.read_record("replaced/one.json") or b"null")
        n_torn += sha256(there["filling"].encode()).hexdigest() != there["sha256"]
    return n_torn


def add_the_same(open_store: Open, ready: Ready, n_objects: int) -> list[str]:
    """Add the same objects as everyone else, and read each at once."""
    store = open_store()
    ready()
    digests = []
    for number in range(n_objects):
        data = f"{number} ".encode() * 40_000
        if number % 2:
            blob = store.add_bytes(data)
        else:
            with store.scratch() as folder:
                (folder / "object").write_bytes(data)
                blob = store.add_file(folder / "object")
        assert store.read_object(blob.digest) == data
        digests.append(blob.digest)
    return digests


def append_lines(open_store: Open, ready: Ready, who: int, n_lines: int) -> None:
    """Append lines to a stream that others append to as well."""
    store = open_store()
    ready()
    with store.open_stream("streams/shared.jsonl") as stream:
        for number in range(n_lines):
            stream.write(json.dumps([who, number, "x" * 200]).encode() + b"\n")


def hold_lease(open_store: Open, ready: Ready, name: str) -> bool:
    """Take a lease and hold it till told to go on."""
    store = open_store()
    with store.lease(name) as lease:
        assert lease.acquired, f"held by {lease.holder}"
        ready()
    return True


def fork_under_lease(open_store: Open, ready: Ready, name: str) -> list[bool]:
    """Hold a lease while a forked process leaves its context: does ours still exclude, and is it free afterwards?"""
    store = open_store()
    lease = store.lease(name)
    pid = os.fork()
    if pid == 0:
        lease.release()
        os._exit(0)
    os.waitpid(pid, 0)
    still_excludes = not store.lease(name).acquired
    lease.release()
    return [still_excludes, store.lease(name).acquired]


def use_after_fork(open_store: Open, ready: Ready) -> int:
    """Write from a process and three forked from it at once, all with the store that was opened before."""
    store = open_store()
    store.add_bytes(b"before")
    pids = []
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            for number in range(50):
                store.add_bytes(b"%d %d" % (child, number))
                store.create_record(f"forked/{child}/{number}.json", b"{}")
            os._exit(0)
        pids.append(pid)
    for number in range(50):
        store.add_bytes(b"parent %d" % number)
    exits = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert exits == [0, 0, 0]
    return check_whole(store).n_objects


def fork_in_scratch(open_store: Open, ready: Ready) -> bool:
    """Use a scratch folder while a forked process leaves its context. Says whether it is still there."""
    store = open_store()
    with store.scratch() as folder:
        (folder / "file").write_bytes(b"mine")
        pid = os.fork()
        if pid != 0:
            os.waitpid(pid, 0)
            return (folder / "file").read_bytes() == b"mine"
    os._exit(0)


def big_object(open_store: Open, ready: Ready, n_mib: int) -> int:
    """Add a big file, one that has a second name too, and check both. Returns by how many bytes memory rose."""
    store = open_store()
    store.add_bytes(b"warm")
    before = _peak_memory_bytes()
    with store.scratch() as folder:
        for path, filling in ((folder / "moved", b"m"), (folder / "copied", b"c")):
            with path.open("wb") as file:
                for _ in range(n_mib):
                    file.write(filling * _MIB)
        os.link(folder / "copied", folder / "other name")
        for path, filling in ((folder / "moved", b"m"), (folder / "copied", b"c")):
            blob = store.add_file(path)
            expected = sha256()
            for _ in range(n_mib):
                expected.update(filling * _MIB)
            assert (blob.digest, blob.n_bytes) == (expected.hexdigest(), n_mib * _MIB)
            assert store.open_object(blob.digest).stat().st_size == n_mib * _MIB
    return _peak_memory_bytes() - before


def _peak_memory_bytes() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def write_everything(store: Store) -> None:
    """Make one of each kind of write. Repeated, also after a kill at any instant, it ends in the same content."""
    first = store.add_bytes(b"an object " * 1000)
    with store.scratch() as folder:
        for name in ("moved", "copied"):
            (folder / name).write_bytes(name.encode() * 2000)
        os.link(folder / "copied", folder / "other name")
        blobs = [first, store.add_file(folder / "moved"), store.add_file(folder / "copied")]
    record = json.dumps({"objects": [blob.digest for blob in blobs]}).encode()
    store.create_record("actions/ab/made.json", record)
    store.create_record("runs/r1/run.json", record, durable=True)
    store.write_record("runs/r1/state.json", b'{"state": "running"}')
    store.write_record("runs/r1/state.json", b'{"state": "succeeded"}', durable=True)
    with store.lease("runs/r1") as lease, store.open_stream("runs/r1/log.txt") as stream:
        stream.write(b"one line\n" if lease.acquired else b"no lease\n")
    store.create_record("runs/r1/extra.json", b"{}")
    store.delete_record("runs/r1/extra.json")
    store.drop_object(store.add_bytes(b"to be dropped").digest)
    store.recover()
    swept = store.add_bytes(b"to be swept").digest
    store.remove_older([f"objects/{swept[:2]}/{swept}"], store.clock() + 60)


WRITTEN_EVERYTHING = (3, 3)
"""How many objects and records `write_everything` leaves."""


def write_all(open_store: Open, ready: Ready) -> None:
    """Run `write_everything`, to be struck in the middle."""
    write_everything(open_store())


def remove_all(open_store: Open, ready: Ready, names: list[str]) -> list[str]:
    """Remove entries, whatever their age."""
    store = open_store()
    return store.remove_older(names, store.clock() + 60)


def fill_disk(open_store: Open, ready: Ready, folder: str) -> list[str]:
    """On a file system of 1 MB: fill it, find the store whole, make space, and go on with the same store."""
    _mount_here(folder, "size=1m")
    store = open_store()
    kept = store.add_bytes(b"kept" * 1000)
    store.write_record("runs/r1/state.json", b'{"state": "old"}')
    texts = [_refused(StoreFullError, store.add_bytes, os.urandom(2 * _MIB))]
    stream = store.open_stream("runs/r1/log.txt")
    stream.write(b"first line\n")
    ballast = Path(folder, "ballast")
    with ballast.open("wb", buffering=0) as file:
        while _goes_on(lambda: file.write(b"x" * 4096)):
            pass
    filling = json.dumps("y" * 50_000).encode()
    texts.append(_refused(StoreFullError, store.write_record, "runs/r1/state.json", filling))
    texts.append(_refused(StoreFullError, store.create_record, "runs/r1/new.json", filling))
    texts.append(_refused(StoreFullError, stream.write, filling))
    ballast.unlink()
    with stream:
        stream.write(b"next line\n")
    lines = store.stream_path("runs/r1/log.txt").read_bytes().splitlines()
    assert (lines[0], lines[-1], len(lines)) == (b"first line", b"next line", 3), "a torn line took others along"
    assert store.read_record("runs/r1/state.json") == b'{"state": "old"}'
    assert store.read_record("runs/r1/new.json") is None
    assert check_whole(store) == (1, 1)
    assert store.read_object(kept.digest) == b"kept" * 1000
    write_everything(store)
    check_whole(store)
    return texts


def _goes_on(write: Callable[[], object]) -> bool:
    try:
        write()
    except OSError:
        return False
    return True


def use_read_only(open_store: Open, ready: Ready, folder: str) -> list[str]:
    """On a file system that turns read-only: all that reads works, and all that writes says what is wrong."""
    _mount_here(folder, "size=4m")
    store = open_store()
    write_everything(store)
    digest = next(store.list_objects())
    data = store.read_object(digest)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    texts = []
    for each in (store, open_store()):
        assert check_whole(each) == WRITTEN_EVERYTHING
        assert each.add_bytes(data).digest == digest
        assert not each.create_record("runs/r1/run.json", b"{}")
        writes: list[tuple[Any, ...]] = [
            (each.add_bytes, b"new"),
            (each.drop_object, digest),
            (each.write_record, "runs/r1/run.json", b"{}"),
            (each.create_record, "runs/r1/new.json", b"{}"),
            (each.delete_record, "runs/r1/run.json"),
            (each.open_stream, "runs/r1/log.txt"),
            (each.lease, "one"),
            (each.scratch().__enter__,),
        ]
        texts += [_refused(StoreReadOnlyError, *write) for write in writes]
    return texts


def make_on_read_only(open_store: Open, ready: Ready, folder: str) -> str:
    """Where there is no store yet and nothing may be written, opening says so."""
    _mount_here(folder, "ro,size=1m")
    return _refused(StoreReadOnlyError, open_store)


def _refused(kind: type[Exception], write: Callable[..., object], *args: object) -> str:
    try:
        write(*args)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} was raised")


def _mount_here(folder: str, options: str) -> None:
    """Mount a fresh tmpfs, in a mount namespace that ends with this process."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)


def wait_for_lease(open_store: Open, ready: Ready, name: str, wait_seconds: float) -> float:
    """Wait for a lease that another holds. Returns the seconds that it took, negative when it was not got."""
    store = open_store()
    ready()
    started = time.monotonic()
    with store.lease(name, wait_seconds=wait_seconds) as lease:
        took = time.monotonic() - started
        return took if lease.acquired else -took


def leave_scratch(open_store: Open, ready: Ready) -> None:
    """Get into the middle of things: a scratch folder with a file in it, in a thread too. Then wait to be killed."""
    store = open_store()
    inside = threading.Event()

    def in_a_thread() -> None:
        with store.scratch() as folder:
            (folder / "left").write_bytes(b"left")
            inside.set()
            time.sleep(60)

    threading.Thread(target=in_a_thread, daemon=True).start()
    with store.scratch() as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "left").write_bytes(b"left")
        inside.wait()
        ready()


_TASKS: tuple[Callable[..., Any], ...] = (
    race_to_create,
    replace_again_and_again,
    add_the_same,
    append_lines,
    hold_lease,
    wait_for_lease,
    fork_under_lease,
    use_after_fork,
    fork_in_scratch,
    big_object,
    write_all,
    remove_all,
    fill_disk,
    use_read_only,
    make_on_read_only,
    leave_scratch,
)
TASKS: Mapping[str, Callable[..., Any]] = {task.__name__: task for task in _TASKS}
"""Each task by its name."""
