"""Cleaning up a store in a bucket: how old things are, and removing the old without losing what is used again.

A bucket removes an entry whatever has become of it since it was looked at. So two things are agreed on:

- **A record that is reused is replaced on the condition that it's as it was read**, with other bytes (a line's end
  comes or goes). Who cleans up replaces it by a note that it's gone, on the same condition, and removes that. One of
  the two conditions fails.
- **An object that is about to be removed is announced**, in an entry below ``leases/doomed``; then its age is looked
  at, then it's removed, then the announcement is. Whoever puts an old object again looks for announcements afterwards,
  waits for those that name it, and looks whether the object is there. An announcement counts for `DOOM_SECONDS`, and
  who made it stops removing long before.

Times are the bucket's own, but for one question: whether an entry is younger than some hours. There this machine's time
will do, since the clouds refuse requests of a machine whose clock is off by a quarter of an hour.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from headrace.core.faults import fault_point
from headrace.stores.bucket_client import BucketClient, Meta
from headrace.stores.bucket_fault import BucketFault
from headrace.stores.bucket_lease import is_dead
from headrace.stores.files import REFRESH_SECONDS
from headrace.stores.names import OWN_FOLDERS
from headrace.stores.protocol import Entry
from headrace.stores.scratch import owner_name, system_tag

N_AT_ONCE = 16
DOOM_SECONDS = 120.0
_MOST_SECONDS_OF_A_BATCH = 30.0
_BATCH = 400
_POLL_SECONDS = 0.2
_MOST_TRIES = 3
_DOOMED = "leases/doomed"
_GONE = b""


def is_young(meta: Meta) -> bool:
    """Is it so young that nobody cleans it up for hours? What is from the future isn't: one of the clocks is wrong."""
    return 0 <= time.time() - meta.modified + _CLOCKS_DIFFER_SECONDS < REFRESH_SECONDS


_CLOCKS_DIFFER_SECONDS = 900.0


class Cleaning:
    """The part of a bucket's store that tells how old things are, and removes them. Raises `BucketFault`."""

    def __init__(self, client: BucketClient, server_time: Callable[[], float]) -> None:
        self._client = client
        self._server_time = server_time

    def clock(self) -> float:
        """The bucket's time."""
        now = self._server_time()
        if not now:
            raise BucketFault("network", "what was just written can't be found")
        return now

    def reuse(self, name: str) -> bytes | None:
        """Read a record and make it young; None where it's gone."""
        found = None
        for _ in range(_MOST_TRIES):
            found = self._client.read(name)
            if found is None or is_young(found.meta):
                break
            data = found.data[:-1] if found.data.endswith(b"\n") else found.data + b"\n"
            try:
                if self._client.replace(name, data, found.meta.etag) is not None:
                    break
            except BucketFault as fault:
                if fault.kind != "denied":
                    raise
                break  # who may only read cleans nothing up, and records nothing
        return None if found is None else found.data

    def outlive(self, name: str, put: Callable[[], None]) -> None:
        """Put an object that may be there and old, so that it stays."""
        put()
        while self._is_doomed(name):
            time.sleep(_POLL_SECONDS)
        if self._client.look(name) is None:
            put()

    def _is_doomed(self, name: str) -> bool:
        announcements = self._client.names(_DOOMED)
        for announcement in announcements:
            found = self._client.read(announcement)
            note = json.loads(found.data) if found is not None else {"names": []}
            if found is None or name not in note["names"] or is_dead(note["owner"]):
                continue
            if self._server_time() - found.meta.modified < DOOM_SECONDS:
                return True
        return False

    def entries(self, folder: str) -> list[Entry]:
        """All entries below a folder, or all but those of the store's own."""
        if folder:
            return self._client.entries(folder)
        folders, found = self._client.children()
        found = [entry for entry in found if entry.name not in OWN_FOLDERS]
        for each in folders:
            if each not in OWN_FOLDERS:
                found += self._client.entries(each)
        return found

    def remove_older(self, names: Sequence[str], before: float) -> list[str]:
        """Remove the entries that were last changed before a time."""
        objects = [name for name in names if name.startswith("objects/")]
        others = [name for name in names if not name.startswith("objects/")]
        removed = []
        with ThreadPoolExecutor(N_AT_ONCE, thread_name_prefix="headrace-sweep") as pool:
            gone = pool.map(lambda name: self._remove_record(name, before), others)
            removed += [name for name, is_gone in zip(others, gone, strict=True) if is_gone]
            for start in range(0, len(objects), _BATCH):
                batch = objects[start : start + _BATCH]
                with self._announced(batch) as until:
                    gone = pool.map(lambda name, until=until: self._remove_object(name, before, until), batch)
                    removed += [name for name, is_gone in zip(batch, gone, strict=True) if is_gone]
        return removed

    def _remove_record(self, name: str, before: float) -> bool:
        if not name.endswith(".json"):
            meta = self._client.look(name)
            if meta is None or meta.modified >= before:
                return False
            fault_point("bucket.sweep.before_removal")
            self._client.delete_once(name)
            return True
        found = self._client.read(name)
        meta = found.meta if found is not None else self._client.look(name)
        if meta is None or meta.modified >= before:
            return False
        fault_point("bucket.sweep.before_removal")
        if self._client.replace(name, _GONE, meta.etag) is None:
            return False
        self._client.delete_once(name)
        return True

    @contextmanager
    def _announced(self, names: Sequence[str]) -> Iterator[float]:
        """Announce what is to be removed. Gives the time (monotonic) until which that may be done."""
        announcement = f"{_DOOMED}/{secrets.token_hex(8)}"
        note = {"owner": owner_name(os.getpid(), system_tag()), "names": list(names)}
        self._client.write(announcement, json.dumps(note).encode())
        try:
            yield time.monotonic() + _MOST_SECONDS_OF_A_BATCH
        finally:
            self._client.delete(announcement)

    def _remove_object(self, name: str, before: float, until: float) -> bool:
        meta = self._client.look(name)
        if meta is None or meta.modified >= before:
            return False
        fault_point("bucket.sweep.before_removal")
        if time.monotonic() > until:
            return False  # this process stood still: the next cleaning goes on
        self._client.delete_once(name)
        return True
