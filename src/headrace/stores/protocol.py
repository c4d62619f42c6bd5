"""What a store is. The docstrings here are the specification, and ``headrace.testing.stores`` holds a store to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Protocol, Self


class StoredBlob(NamedTuple):
    """An object as it was added: the sha256 of its bytes in lower-case hex, and their number."""

    digest: str
    n_bytes: int


class Entry(NamedTuple):
    """Something that a store keeps: an object, a record, a stream or a part of one.

    ``name`` is where it is in the store (``objects/ab/abcdef…``, ``runs/r1/run.json``). ``changed`` is when it was
    written or last used, in seconds since 1970 by the store's own clock (see `Store.clock`), not by this machine's.
    """

    name: str
    n_bytes: int
    changed: float


class Lease(Protocol):
    """The outcome of asking for a lease. As a context manager it releases itself at the end."""

    @property
    def acquired(self) -> bool:
        """Is it ours? False once released."""

    @property
    def holder(self) -> str | None:
        """Who holds it when it is not ours, for a message to a person. None when ours, or unknown."""

    def release(self) -> None:
        """Give it back. Releasing what is not ours, or twice, does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """Objects, records, streams and leases, shared by all who point at the same URL.

    *Objects* are immutable bytes, named by their sha256. *Records* are small JSON documents with a name. *Streams* are
    logs and event lines that grow. A record is written after the objects that it names, so whoever reads a record may
    expect its objects; whoever finds one absent or damaged calls `drop_object` and makes it again.

    **Names.** A record is named by a path of parts with ``/`` between, the last ending in ``.json``
    (``runs/r1/run.json``). A part begins with a letter, a digit or ``_``, goes on with these and ``. - = @ + , % # ~
    ( ) [ ]``, and has up to 255 bytes in UTF-8. A stream is named alike, its last part ending otherwise than in
    ``.json``. A lease is named like a record, whatever its end. The first parts ``objects``, ``scratch``, ``leases``,
    ``cache`` and ``store.json`` are the store's own. All other names are refused with a `StoreError`: nothing is ever
    read or written outside the store. Two names that differ in case alone should not be used: some file systems hold
    them for one.

    **Threads and processes.** All methods may be called from several threads, processes and, where the medium is
    shared, machines at once, with no lock held between calls. A store that was opened may be used in a process forked
    since, and can be pickled: it opens itself again.

    **Atomicity.** A reader finds an object or a record whole or not at all, also when its writer is killed half-way,
    and a replaced record as it was before or after. Nothing is promised across two calls.

    **Durability.** What a method wrote survives the death of its process. It survives a power cut only where
    ``durable=True`` was said; without that a power cut may leave an object absent, cut short or zeroed, which reading
    finds out, and a record absent or empty.

    **Ownership.** Bytes that come back are the caller's. Paths that come back are the store's: they are read, and never
    written, renamed or removed. `add_file` takes its file over.

    **Errors.** `StoreFullError` when there is no space or quota left: nothing half-written stays, and the same store
    goes on working once there is space. `StoreReadOnlyError` when the store may not be written; all that reads goes on
    working. `DamagedObjectError` where said. Everything else that goes wrong is a `StoreError`, with the cause chained.
    """

    @property
    def url(self) -> str:
        """What `open_store` opens this store by, in any process that can reach it."""

    @property
    def salt(self) -> bytes:
        """32 random bytes that belong to this store for as long as it lives: the same for all who open it."""

    @property
    def cache_dir(self) -> Path:
        """A local folder, made if absent, for what can be made again at any time: stamps, bytecode, traces.

        Nothing may depend on it: it may be empty, gone, or not writable.
        """

    def add_file(self, path: Path) -> StoredBlob:
        """Take a regular file over as an object. Afterwards there is no file at ``path``.

        The caller has closed it, and nobody else has it open for writing. A file in the folder of `scratch` is moved
        and costs one reading; any other may be copied. Raises `StoreError` when ``path`` is absent or no regular file
        (a link isn't one); ``path`` then stays as it was. Otherwise as `add_bytes`.
        """

    def add_bytes(self, data: bytes) -> StoredBlob:
        """Add an object. Where one of that digest and size is there already, it becomes young again (`Entry.changed`).

        An object of that digest whose size is wrong is replaced.
        """

    def object_size(self, digest: str) -> int | None:
        """The size of an object in bytes, None if it is absent. Cheap: the bytes are not read."""

    def open_object(self, digest: str, *, n_bytes: int | None = None) -> Path:
        """A local path that holds the object's bytes, which were checked against the digest.

        The path has no file extension, may not be written, and stays for as long as the object isn't dropped. A process
        that has checked an object may skip the next check while the file's identity, size and stamps are as they were
        then, and were not fresh then (within the grain of the file system's clock).

        Raises `DamagedObjectError` when the object is absent, cut short or altered. ``n_bytes``, the size that a record
        says, lets the error tell the one from the other.
        """

    def read_object(self, digest: str, *, n_bytes: int | None = None) -> bytes:
        """The object's bytes, checked against the digest. Raises like `open_object`."""

    def check_object(self, digest: str) -> None:
        """Read an object where the store keeps it, no copy nor memory of it elsewhere, and hold it against its digest.

        Raises `DamagedObjectError` like `open_object`. For who looks a whole store over: it's slow.
        """

    def drop_object(self, digest: str) -> None:
        """Remove an object, so that it can be added again. Does nothing when it is absent.

        Those who have it open can go on reading it. Dropping an object that records still name makes their next use a
        `DamagedObjectError`, and the step that made it run again: only damaged objects and those that nothing names
        are dropped.
        """

    def list_objects(self) -> Iterator[str]:
        """The digests of all objects, sorted. What is added or dropped meanwhile may be seen or not."""

    def create_record(self, name: str, data: bytes, *, durable: bool = False) -> bool:
        """Write a record if there is none of that name: True if ours is written, False if there was one.

        Of any number who try at once, exactly one gets True. After False, `read_record` gives the winner's bytes, whole
        (unless it was deleted since).
        """

    def write_record(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """Write a record, in place of the one of that name if there is one. Of several at once the last stays."""

    def read_record(self, name: str) -> bytes | None:
        """The bytes of a record, None if there is none."""

    def reuse_record(self, name: str) -> bytes | None:
        """The bytes of a record, None if there is none; and nobody who cleans up holds it for unused from now on.

        For whoever goes on to use what the record names. Where it has not been written or reused for some hours, its
        `Entry.changed` becomes now; after that, and before that alone, `remove_older` may have removed it. Cheap: a
        record that is young is only read. In a store that may not be written it is only read, too. A line's end may
        come or go behind the record's JSON.
        """

    def list_records(self, prefix: str = "") -> Iterator[str]:
        """The names of all records below the folder ``prefix`` (``runs/r1``; all with ``""``), sorted by code point.

        Of records that are written or deleted meanwhile each may be seen or not. A folder that isn't there is empty.
        """

    def delete_record(self, name: str) -> None:
        """Remove a record. Does nothing when there is none."""

    def open_stream(self, name: str) -> IO[bytes]:
        """Open a stream for appending, made if absent: an unbuffered binary file, which the caller closes.

        Each ``write`` appends its bytes at once and in one piece, so that processes that write whole lines can share a
        stream. A process that dies in the middle, or a full disk, can leave a last line without its end: readers skip
        what they can't parse. ``write`` raises the store's errors.
        """

    def stream_path(self, name: str) -> Path:
        """Where a stream's bytes are, for reading and following. It may not exist yet."""

    # Cleaning up. `headrace.engine.gc` decides what goes; a store knows how old things are, and removes them safely.

    @property
    def n_at_once(self) -> int:
        """How many requests are worth having under way at once: 1 where each takes microseconds."""

    def clock(self) -> float:
        """The time by the clock that stamps entries: the file system's or the bucket's. In seconds since 1970."""

    def list_entries(self, folder: str = "") -> Iterator[Entry]:
        """All objects (with ``"objects"``), or all else that was given to the store, below a folder if one is named.

        In no order. What is written or removed meanwhile may be seen or not; what was there before and stays is seen.
        """

    def list_leftovers(self) -> Iterator[Entry]:
        """What writers that are gone, or of whom nobody here can say, left in the store's own places."""

    def remove_older(self, names: Sequence[str], before: float) -> list[str]:
        """Remove those of the named entries that were last changed before a time. Returns the names of the removed.

        The age is looked at in the same instant: an object that somebody adds again, or a record that somebody reuses,
        stays, or is found absent by them. Killed half-way it leaves each entry there, or absent, or (for an instant
        that few are killed in) where the next `recover` finds it.
        """

    def recover(self) -> None:
        """Put back what was in the middle of `remove_older` when its process was killed."""

    def scratch(self) -> AbstractContextManager[Path]:
        """A fresh, empty folder from which `add_file` needs no copy. It is removed at the end, with what is in it.

        It belongs to the process that asked: when that process dies, the next who opens the store may remove it.
        """

    def lease(self, name: str, *, wait_seconds: float = 0.0) -> Lease:
        """Ask to be the only one who works on ``name``, waiting up to ``wait_seconds`` (``inf``: till it's free).

        Best effort: it spares work, and correctness must not depend on it. Where the medium has no locks, everyone gets
        it. It excludes other leases of that name in other processes and in this one (threads too). It ends with
        `Lease.release` or with the death of its process, of whatever kind.
        """
