"""Stores in which time is made to pass: a folder whose files become older, and a bucket in memory."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import headrace.engine.gc as gc_module
from headrace.stores import bucket_sweep
from headrace.stores.bucket import BucketStore
from headrace.stores.bucket_client import Found, Meta
from headrace.stores.bucket_fault import BucketFault
from headrace.stores.local import LocalStore
from headrace.stores.protocol import Entry, Store
from sweeps.turnstile import HERE, Actor

HOUR = 3600.0
_LONGEST_REQUEST_SECONDS = 60.0


class World(Protocol):
    """A place that holds a store, and the time there."""

    passed: float
    """By how many seconds the time there is later than ours."""

    def open(self, actor: Actor | None) -> Store:
        """The store, for an actor; without one nobody stops anywhere."""

    def pass_time(self, seconds: float) -> None:
        """Make all that is there older."""


class Stepping:
    """A store whose every method is a place to stop at. Its times are the world's."""

    def __init__(self, store: Store, world: World, actor: Actor | None) -> None:
        self._store = store
        self._world = world
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if not callable(value) or name == "scratch":
            return value

        def called(*args: Any, **options: Any) -> Any:
            HERE.actor = self._actor  # also in the threads of a pool
            if self._actor is not None:
                self._actor.step()
            result = value(*args, **options)
            return list(result) if name.startswith("list_") else result

        return called

    n_at_once = 1

    def clock(self) -> float:
        """The world's time."""
        HERE.actor = self._actor
        return self._store.clock() + self._world.passed

    def list_entries(self, folder: str = "") -> list[Entry]:
        """What is there, with the world's times."""
        found = self.__getattr__("list_entries")(folder)
        return [entry._replace(changed=entry.changed + self._world.passed) for entry in found]

    def list_leftovers(self) -> list[Entry]:
        """What was left, with the world's times."""
        found = self.__getattr__("list_leftovers")()
        return [entry._replace(changed=entry.changed + self._world.passed) for entry in found]

    def remove_older(self, names: list[str], before: float) -> list[str]:
        """Remove by the world's time, as it is when it's looked at. One name at a time, so that time can pass."""
        removed: list[str] = []
        for name in names:
            removed += self.__getattr__("remove_older")([name], before - self._world.passed)
        return removed


class Folder:
    """A store in a folder, whose files are made older."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = 0.0
        LocalStore(folder)

    def open(self, actor: Actor | None) -> Any:
        HERE.actor = None
        return Stepping(LocalStore(self.folder), self, actor)

    def pass_time(self, seconds: float) -> None:
        self.passed += seconds
        for place, _, files in os.walk(self.folder):
            for file in files:
                changed = os.lstat(f"{place}/{file}").st_mtime - seconds
                os.utime(f"{place}/{file}", (changed, changed))


class Bucket:
    """A store in a bucket in memory, which does what S3 does, with the store's own code in front."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = 0.0
        self.entries: dict[str, list[Any]] = {}
        self.lock = threading.Lock()
        self._n_opened = 0

    def open(self, actor: Actor | None) -> Any:
        HERE.actor = None
        self._n_opened += 1
        store = _MemoryStore(self, actor, self.folder / f"near{self._n_opened}")
        return Stepping(store, self, actor)

    def pass_time(self, seconds: float) -> None:
        self.passed += seconds
        for name, found in self.entries.items():
            # Who lives and holds a lease renews it all the while.
            if not name.startswith("leases/") or found[2] is None or found[2].is_dead:
                found[1] -= seconds


class _MemoryStore(BucketStore):
    def __init__(self, world: Bucket, actor: Actor | None, cache: Path) -> None:
        self._of_actor = world, actor
        super().__init__("s3://memory", cache=cache)

    def _connect(self) -> Any:
        return MemoryClient(*self._of_actor)


class MemoryClient:
    """A `BucketClient` of entries in memory: each request is one step, and consistent with all before."""

    def __init__(self, world: Bucket, actor: Actor | None) -> None:
        self._world = world
        self._actor = actor

    def _arrive(self) -> dict[str, list[Any]]:
        if self._actor is not None and threading.current_thread().name.startswith("lease "):
            if self._actor.is_dead:
                raise BucketFault("network", "the holder is dead")
        elif self._actor is not None:
            self._actor.step()
        return self._world.entries

    def _put(self, name: str, data: bytes) -> str:
        self._world.entries[name] = [data, time.time(), self._actor]
        return hashlib.md5(data).hexdigest()

    def create(self, name: str, data: bytes) -> str | None:
        entries = self._arrive()
        with self._world.lock:
            return None if name in entries else self._put(name, data)

    def add(self, name: str, data: bytes) -> bool:
        return self.create(name, data) is not None

    def replace(self, name: str, data: bytes, etag: str) -> str | None:
        entries = self._arrive()
        with self._world.lock:
            if name not in entries or hashlib.md5(entries[name][0]).hexdigest() != etag:
                return None
            return self._put(name, data)

    def write(self, name: str, data: bytes) -> None:
        self._arrive()
        self._put(name, data)

    def upload(self, name: str, path: str) -> None:
        self.write(name, Path(path).read_bytes())

    def read(self, name: str) -> Found | None:
        self._arrive()
        return self._found(name)

    def look(self, name: str) -> Meta | None:
        found = self.read(name)
        return None if found is None else found.meta

    def _found(self, name: str) -> Found | None:
        found = self._world.entries.get(name)
        if found is None:
            return None
        data, modified, _ = found
        return Found(data, Meta(len(data), hashlib.md5(data).hexdigest(), modified))

    def download(self, name: str, path: str) -> int | None:
        found = self.read(name)
        if found is None:
            return None
        return Path(path).write_bytes(found.data)

    def entries(self, folder: str) -> list[Entry]:
        entries = self._arrive()
        return [Entry(n, len(e[0]), e[1]) for n, e in list(entries.items()) if n.startswith(f"{folder}/")]

    def names(self, folder: str) -> list[str]:
        return [entry.name for entry in self.entries(folder)]

    def children(self) -> tuple[list[str], list[Entry]]:
        entries = self._arrive()
        top = [Entry(n, len(e[0]), e[1]) for n, e in list(entries.items()) if "/" not in n]
        return sorted({name.split("/")[0] for name in entries if "/" in name}), top

    def delete(self, name: str) -> None:
        self._arrive().pop(name, None)

    def delete_once(self, name: str) -> None:
        if self._actor is None:
            self._world.entries.pop(name, None)
            return
        # Between the look at an entry's age and its removal lies the time of one request.
        self._actor.deadline = self._world.passed + _LONGEST_REQUEST_SECONDS
        self.delete(name)
        self._actor.deadline = float("inf")


@contextmanager
def times_of(world: World) -> Iterator[None]:
    """Have the collector's own clock be the world's, and one thread where a bucket would have many."""

    class Times:
        monotonic = staticmethod(lambda: time.monotonic() + world.passed)
        sleep = staticmethod(lambda seconds: None)

    class SweepTimes:
        time = staticmethod(time.time)
        monotonic = staticmethod(lambda: time.monotonic() + world.passed)
        sleep = staticmethod(lambda seconds: None)

    before = gc_module.time, bucket_sweep.time, bucket_sweep.N_AT_ONCE
    gc_module.time, bucket_sweep.time, bucket_sweep.N_AT_ONCE = Times, SweepTimes, 1  # type: ignore[assignment]
    try:
        yield
    finally:
        gc_module.time, bucket_sweep.time, bucket_sweep.N_AT_ONCE = before  # type: ignore[assignment]
