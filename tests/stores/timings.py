"""What the calls cost that an inline step of the engine makes: ``python tests/stores/timings.py [FOLDER]``.

Prints the best and the median of five rounds in microseconds, in folders that are warm, beside what the file system
itself takes to make a small file and rename it.
"""

# ruff: noqa: PTH102, PTH104
from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from headrace.stores.local import LocalStore

N_CALLS = 2000
N_ROUNDS = 5


def calls(store: LocalStore, folder: str) -> Iterator[tuple[str, Callable[[int], object]]]:
    record = b'{"filling": "' + b"x" * 800 + b'"}'
    digest = store.add_bytes(b"one").digest
    store.write_record("one/entry/1.json", record)
    stream = store.open_stream("runs/r1/events.jsonl")

    def bare(number: int) -> None:
        fd = os.open(f"{folder}/aside{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, record)
        os.close(fd)
        os.rename(f"{folder}/aside{number}", f"{folder}/there{number}")

    def scratch(number: int) -> None:
        with store.scratch():
            pass

    def scratch_with_a_folder(number: int) -> None:
        with store.scratch() as path:
            os.mkdir(f"{path}/sub")

    yield "bare open, write, close, rename", bare
    yield "add_bytes, new", lambda number: store.add_bytes(b"%0200d" % number)
    yield "add_bytes, present", lambda number: store.add_bytes(b"one")
    yield "create_record", lambda number: store.create_record(f"runs/r1/c{number}.json", record)
    yield "create_record, new folder", lambda number: store.create_record(f"actions/ab/{number}/c.json", record)
    yield "create_record, present", lambda number: store.create_record("one/entry/1.json", record)
    yield "write_record, new", lambda number: store.write_record(f"runs/r1/w{number}.json", record)
    yield "write_record, replace", lambda number: store.write_record("one/entry/1.json", record)
    yield "read_record", lambda number: store.read_record("one/entry/1.json")
    yield "read_record, absent", lambda number: store.read_record("one/entry/2.json")
    yield "list_records, one entry", lambda number: list(store.list_records("one/entry"))
    yield "object_size", lambda number: store.object_size(digest)
    yield "read_object", lambda number: store.read_object(digest)
    yield "open_object", lambda number: store.open_object(digest)
    yield "lease and release", lambda number: store.lease("key").release()
    yield "scratch", scratch
    yield "scratch with a folder in it", scratch_with_a_folder
    yield "stream.write", lambda number: stream.write(b"x" * 100 + b"\n")
    yield "LocalStore(…)", lambda number: LocalStore(store.root)


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = LocalStore(Path(place) / "store")
        for number in range(256):
            (store.root / "objects" / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        numbers = count()
        for name, call in calls(store, place):
            rounds = []
            for _ in range(N_ROUNDS):
                started = time.perf_counter()
                for _ in range(N_CALLS):
                    call(next(numbers))
                rounds.append((time.perf_counter() - started) / N_CALLS * 1e6)
            print(f"{name:32s} {min(rounds):7.1f} {sorted(rounds)[N_ROUNDS // 2]:7.1f} µs")


if __name__ == "__main__":
    main()
