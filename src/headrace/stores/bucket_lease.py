"""A lease as an entry in the bucket, put if absent and renewed while its holder lives.

Whoever finds it taken may have it once its holder has not renewed it for as long as the entry itself says. Ages are by
the bucket's clock alone, from the entry's time of change to that of a probe written now: no two machines need agree on
the time. A holder known to be dead, a process of this very system, isn't waited for.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from headrace.core.faults import fault_point
from headrace.stores.bucket_client import BucketClient, Found
from headrace.stores.bucket_fault import BucketFault
from headrace.stores.scratch import owner_name, start_time, system_tag

_GRAIN_SECONDS = 2.0  # HTTP tells times in whole seconds, at both ends
_BEATS_IN_A_LEASE = 4
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.5
_CLOCK_LASTS_SECONDS = 60.0


class BucketLease:
    """The outcome of asking for a lease; see `headrace.stores.protocol.Lease`.

    **Not guaranteed.** A holder that is stopped for longer than ``seconds``, or cut off from the bucket, loses it
    without being told in time. `acquired` turns False once it notices.
    """

    def __init__(self, client: BucketClient, name: str, seconds: float, etag: str | None, holder: str | None) -> None:
        self._client = client
        self._name = name
        self._seconds = seconds
        self._etag = etag
        self._pid = os.getpid()
        self._ended = threading.Event()
        self._renewed = time.monotonic()
        self.holder = holder
        if etag is not None:
            threading.Thread(target=self._renew, name=f"lease {name}", daemon=True).start()

    @property
    def acquired(self) -> bool:
        """Is it ours? False once released, or lost."""
        return self._etag is not None and not self._ended.is_set()

    def release(self) -> None:
        """Give it back. Releasing what is not ours, or twice, does nothing."""
        etag, self._etag = self._etag, None
        if etag is None or self._ended.is_set() or self._pid != os.getpid():
            return
        self._ended.set()
        with suppress(BucketFault):  # then it expires
            if time.monotonic() - self._renewed < self._seconds / 2:
                self._client.delete(self._name)
            else:  # it may be another's by now: only if it's still ours is it marked as free
                self._client.replace(self._name, _content(0.0), etag)

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / _BEATS_IN_A_LEASE):
            etag = self._etag
            if etag is None:
                return
            asked = time.monotonic()
            try:
                renewed = self._client.replace(self._name, _content(self._seconds), etag)
            except BucketFault:
                if asked - self._renewed < self._seconds:
                    continue
                renewed = None
            if renewed is None:
                self._ended.set()
                return
            self._etag, self._renewed = renewed, asked

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _Clock(NamedTuple):
    ahead_seconds: float  # of time.monotonic()
    read: float


class Leases:
    """Takes leases in one bucket. Thread-safe."""

    def __init__(self, client: BucketClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._clock: _Clock | None = None

    def take(self, name: str, wait_seconds: float) -> BucketLease:
        """Take the lease of a name, trying for up to ``wait_seconds``. Raises `BucketFault`."""
        deadline = time.monotonic() + wait_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            lease = self._try_to_take(f"leases/{name}")
            left = deadline - time.monotonic()
            if lease.acquired or left <= 0:
                return lease
            time.sleep(min(pause * random.uniform(0.5, 1.0), left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _try_to_take(self, name: str) -> BucketLease:
        content = _content(self._seconds)
        etag = self._client.create(name, content)
        holder = None
        if etag is None:
            found = self._client.read(name) or self._unreadable(name)
            if found is not None:
                note = _read_note(found.data)
                holder = str(note.get("holder") or "another process")
                if self._is_free(found, note):
                    etag = self._client.replace(name, content, found.meta.etag)
        if etag is not None:
            fault_point("bucket.lease.taken")
        return BucketLease(self._client, name, self._seconds, etag, holder if etag is None else None)

    def _unreadable(self, name: str) -> Found | None:
        """A lease that is there and was torn: it has an age, and lasts as ours do."""
        meta = self._client.look(name)
        return None if meta is None else Found(b"", meta)

    def _is_free(self, found: Found, note: dict[str, Any]) -> bool:
        if is_dead(str(note.get("owner", ""))):
            return True
        seconds = note.get("seconds")
        lasts = float(seconds) if isinstance(seconds, int | float) else self._seconds
        return lasts == 0 or self.server_time() - found.meta.modified > lasts + _GRAIN_SECONDS

    def server_time(self) -> float:
        """The bucket's time now, from an entry that was just written: as late as it can be told."""
        now = time.monotonic()
        clock = self._clock
        if clock is None or not 0 <= now - clock.read < _CLOCK_LASTS_SECONDS:
            probe = f"leases/.clock-{secrets.token_hex(4)}"
            self._client.write(probe, b"")
            meta = self._client.look(probe)
            self._client.delete(probe)
            if meta is None:
                return 0.0  # no clock, so nothing is old
            clock = self._clock = _Clock(meta.modified - now, now)
        return time.monotonic() + clock.ahead_seconds


def _content(seconds: float) -> bytes:
    """What the entry holds: no two are equal, or an etag could come again."""
    pid = os.getpid()
    note = {
        "owner": owner_name(pid, system_tag()),
        "holder": f"process {pid} on {os.uname().nodename}",
        "seconds": seconds,
        "nonce": secrets.token_hex(8),
    }
    return json.dumps(note).encode()


def _read_note(data: bytes) -> dict[str, Any]:
    try:
        note = json.loads(data)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def is_dead(owner: str) -> bool:
    """Is this a process of this system that has ended?"""
    pid, _, rest = owner.partition("-")
    started, _, system = rest.partition("-")
    if system != system_tag() or not pid.isdecimal():
        return False
    now = start_time(int(pid))
    return now is None or (now != started and "?" not in (now, started))
