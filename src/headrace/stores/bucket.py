"""A store in a bucket: shared by all who point at the same URL.

::

    store.json               the layout's version and the store's salt
    objects/ab/abcdef…       immutable bytes by their sha256
    runs/r1/run.json, …      records, under their names
    runs/r1/events.jsonl/…   streams, in parts (`headrace.stores.bucket_stream`)
    leases/                  who works on what (`headrace.stores.bucket_lease`)

Nothing here relies on a rename, or on the order or the freshness of a listing: what must be put once is put on the
condition that it is absent, and objects are found by their digest. A stale listing can hide a record from
`list_records`, which makes a miss, and can name one that is gone, which reads as none.

**What is near.** A folder of this user's (``HEADRACE_CACHE``, else ``~/.cache/headrace``) holds a `LocalStore` with
copies of the objects that were read or written here. They are checked like any local object before they are used.
That a copy is near never means that the object is in the bucket.

**What is remembered.** Nothing about what the bucket holds: `BucketStore.object_size` asks each time (one request), so
that an object which another process has just dropped is no hit here. Dropped after that answer it's found absent by who
opens it, as in any store, and the step that made it runs again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TypeVar

from headrace.core.caches import cache_root
from headrace.core.errors import DamagedObjectError
from headrace.core.faults import fault_point
from headrace.stores.bucket_client import BucketClient, BucketSettings
from headrace.stores.bucket_fault import BucketFault, explain_fault
from headrace.stores.bucket_lease import BucketLease, Leases
from headrace.stores.bucket_near import has_grown, is_used, limit_bytes
from headrace.stores.bucket_place import BucketPlace
from headrace.stores.bucket_stream import BucketStream, Streams
from headrace.stores.bucket_sweep import N_AT_ONCE, Cleaning, is_young
from headrace.stores.local import LocalStore
from headrace.stores.marker import NoStoreError, new_marker, salt_of
from headrace.stores.names import OWN_FOLDERS, check_digest, check_name, check_record_name
from headrace.stores.protocol import Entry, StoredBlob
from headrace.stores.trouble import explain

FAULT_POINTS = (
    "bucket.object.before_upload",
    "bucket.object.after_upload",
    "bucket.record.before_create",
    "bucket.record.after_create",
    "bucket.record.before_replace",
    "bucket.record.after_replace",
    "bucket.record.before_delete",
    "bucket.object.before_drop",
    "bucket.sweep.before_removal",
    "bucket.lease.taken",
    "bucket.stream.before_upload",
)
"""The instants beside the bucket's requests at which a test can strike (see `headrace.core.faults`)."""

SMALL_BYTES = 64 << 10
"""An object up to this size is put without asking first whether it's there."""

_T = TypeVar("_T")
_N_DOWNLOADS = 2  # the second tells bytes that were altered on their way from such as lie so in the bucket


class BucketStore:
    """The `headrace.stores.protocol.Store` of a bucket, or of a prefix in one.

    ``url`` is ``s3://bucket/prefix``; ``gs://`` and ``az://`` go the same way and are untested. ``cache`` is the folder
    for what is near, by default one in `cache_root` that belongs to this store. Raises `StoreError` when the bucket
    is absent or can't be reached, when it holds the store of a newer Headrace, and when ``obstore`` isn't installed.
    With ``make=False`` a store that isn't there is a `NoStoreError`.

    The bucket must honour conditional puts (``If-None-Match``, ``If-Match``), as Amazon's, Google's and Azure's do.
    """

    def __init__(
        self,
        url: str,
        *,
        cache: str | Path | None = None,
        settings: BucketSettings | None = None,
        make: bool = True,
    ) -> None:
        self._place = BucketPlace.parse(url)
        self._settings = settings or BucketSettings()
        self._cache = None if cache is None else os.path.abspath(cache)  # noqa: PTH100
        self._client = self._connect()
        with self._explained("open the store", "store.json"):
            self.salt = self._open(make)
        folder = Path(self._cache or cache_root(os.environ) / "stores" / sha256(self.salt).hexdigest()[:16])
        self._near = LocalStore(folder / "near")
        self._near_bytes = limit_bytes(os.environ)
        self._leases = Leases(self._client, self._settings.lease_seconds)
        self._cleaning = Cleaning(self._client, self._leases.server_time)
        self._streams = Streams(self._client, self._near, folder)

    def _connect(self) -> BucketClient:
        return BucketClient(self._place, self._settings)

    def __repr__(self) -> str:
        return f"BucketStore({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _open_again, (self.url, self._cache, tuple(self._settings))

    @property
    def url(self) -> str:
        """The bucket's URL with the prefix."""
        return self._place.url

    @property
    def cache_dir(self) -> Path:
        """A folder for what can be made again at any time."""
        return self._near.cache_dir

    # Objects

    def add_file(self, path: Path) -> StoredBlob:
        """Take a regular file over as an object."""
        return self._upload(self._near.add_file(path))

    def add_bytes(self, data: bytes) -> StoredBlob:
        """Add an object, unless one of that digest and size is there."""
        return self._upload(self._near.add_bytes(data))

    def _upload(self, blob: StoredBlob) -> StoredBlob:
        name = _object_name(blob.digest)
        path = f"{self._near.root}/{name}"
        with self._explained("add an object", name, writes=True):
            fault_point("bucket.object.before_upload")
            if blob.n_bytes <= SMALL_BYTES or not self._is_there(name, blob.n_bytes):
                self._send(name, path, blob.n_bytes)
            fault_point("bucket.object.after_upload")
        has_grown(self._near, blob.n_bytes, self._near_bytes)
        return blob

    def _send(self, name: str, path: str, n_bytes: int) -> None:
        if n_bytes > self._settings.part_bytes:
            self._cleaning.outlive(name, lambda: self._send_parts(name, path, n_bytes))
            return
        data = Path(path).read_bytes()
        if not self._client.add(name, data) and not self._is_there(name, n_bytes):
            self._cleaning.outlive(name, lambda: self._client.write(name, data))

    def _send_parts(self, name: str, path: str, n_bytes: int) -> None:
        self._client.upload(name, path)
        meta = self._client.look(name)
        if meta is None or meta.n_bytes != n_bytes:
            raise BucketFault("network", "the object was not put whole")

    def _is_there(self, name: str, n_bytes: int) -> bool:
        """Is it there, whole, and too young for a sweep? Putting it again makes it young."""
        meta = self._client.look(name)
        return meta is not None and meta.n_bytes == n_bytes and is_young(meta)

    def object_size(self, digest: str) -> int | None:
        """The size of an object in bytes, None if it is absent."""
        check_digest(digest)
        name = _object_name(digest)
        with self._explained("look for an object", name):
            meta = self._client.look(name)
        return None if meta is None else meta.n_bytes

    def open_object(self, digest: str, *, n_bytes: int | None = None) -> Path:
        """A local path that holds the object's bytes, checked against the digest."""
        return self._use(lambda: self._near.open_object(digest), digest, n_bytes)

    def read_object(self, digest: str, *, n_bytes: int | None = None) -> bytes:
        """The object's bytes, checked against the digest."""
        return self._use(lambda: self._near.read_object(digest), digest, n_bytes)

    def _use(self, use: Callable[[], _T], digest: str, n_bytes: int | None) -> _T:
        check_digest(digest)
        is_used(self._near, _object_name(digest))
        try:
            return use()
        except DamagedObjectError:
            self._near.drop_object(digest)
        self._fetch(digest, n_bytes)
        return use()

    def _fetch(self, digest: str, n_bytes: int | None) -> None:
        with self._downloaded(digest, n_bytes) as file:
            blob = self._near.add_file(file)
        has_grown(self._near, blob.n_bytes, self._near_bytes)

    def check_object(self, digest: str) -> None:
        """Fetch an object from the bucket and hold it against its digest. A copy that is near isn't asked."""
        check_digest(digest)
        with self._downloaded(digest, None):
            pass

    @contextmanager
    def _downloaded(self, digest: str, n_bytes: int | None) -> Iterator[Path]:
        """A scratch file with an object's bytes from the bucket, which are right."""
        name = _object_name(digest)
        where = f"{self.url}/{name}"
        problem = ""
        for _ in range(_N_DOWNLOADS):
            with self._near.scratch() as folder:
                file = folder / "object"
                with self._explained("read an object", name):
                    n_found = self._client.download(name, str(file))
                if n_found is None:
                    raise DamagedObjectError(digest, "absent", where=where)
                with file.open("rb") as stream:
                    found = StoredBlob(file_digest(stream, "sha256").hexdigest(), n_found)
                if found.digest == digest:
                    yield file
                    return
                problem = _problem(found, n_bytes)
        raise DamagedObjectError(digest, problem, where=where)

    def drop_object(self, digest: str) -> None:
        """Remove an object, here and in the bucket, so that it can be added again."""
        check_digest(digest)
        name = _object_name(digest)
        with self._explained("drop an object", name, writes=True):
            fault_point("bucket.object.before_drop")
            self._client.delete(name)
        self._near.drop_object(digest)

    def list_objects(self) -> Iterator[str]:
        """The digests of all objects, sorted."""
        with self._explained("list objects", "objects"):
            names = self._client.names("objects")
        return iter(sorted(digest for name in names if len(digest := name.rpartition("/")[2]) == 64))

    # Records

    def create_record(self, name: str, data: bytes, *, durable: bool = False) -> bool:
        """Write a record if there is none of that name: True if ours is written."""
        check_record_name(name)
        self._send_streams(name, durable)
        with self._explained("write a record", name, writes=True):
            fault_point("bucket.record.before_create")
            is_ours = self._client.create(name, data) is not None
            fault_point("bucket.record.after_create")
        return is_ours

    def write_record(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """Write a record, in place of the one of that name if there is one."""
        check_record_name(name)
        self._send_streams(name, durable)
        with self._explained("write a record", name, writes=True):
            fault_point("bucket.record.before_replace")
            self._client.write(name, data)
            fault_point("bucket.record.after_replace")

    def read_record(self, name: str) -> bytes | None:
        """The bytes of a record, None if there is none."""
        check_record_name(name)
        with self._explained("read a record", name):
            found = self._client.read(name)
        return None if found is None else found.data

    def list_records(self, prefix: str = "") -> Iterator[str]:
        """The names of all records below a folder, sorted by code point."""
        if prefix:
            prefix = prefix.removesuffix("/")
            check_name(prefix)
        with self._explained("list records", prefix or "store.json"):
            names = self._client.names(prefix) if prefix else self._all_names()
        return iter(sorted(filter(_is_record, names)))

    def _all_names(self) -> Iterator[str]:
        folders, entries = self._client.children()
        yield from (entry.name for entry in entries if entry.name not in OWN_FOLDERS)
        for folder in folders:
            if folder not in OWN_FOLDERS:
                yield from self._client.names(folder)

    def delete_record(self, name: str) -> None:
        """Remove a record. Does nothing when there is none."""
        check_record_name(name)
        with self._explained("delete a record", name, writes=True):
            fault_point("bucket.record.before_delete")
            self._client.delete(name)

    # Cleaning up

    def reuse_record(self, name: str) -> bytes | None:
        """The bytes of a record that is young from now on, None if there is none."""
        check_record_name(name)
        with self._explained("read a record", name):
            return self._cleaning.reuse(name)

    @property
    def n_at_once(self) -> int:
        """So many that a bucket far away isn't waited for one by one."""
        return N_AT_ONCE

    def clock(self) -> float:
        """The bucket's time."""
        with self._explained("ask for the bucket's time", "leases"):
            return self._cleaning.clock()

    def list_entries(self, folder: str = "") -> Iterator[Entry]:
        """All objects, or everything else that was given to the store."""
        if folder not in ("", "objects"):
            check_name(folder)
        with self._explained("list what is in the store", folder or "store.json"):
            return iter(self._cleaning.entries(folder))

    def list_leftovers(self) -> Iterator[Entry]:
        """Leases of holders that may be gone, and what this machine keeps near that is used no more."""
        with self._explained("list leases", "leases"):
            leases = self._client.entries("leases")
        yield from leases
        yield from self._near.list_leftovers()

    def remove_older(self, names: Sequence[str], before: float) -> list[str]:
        """Remove those of the named entries that were last changed before a time."""
        near = [name for name in names if name.startswith(("scratch/", "cache/"))]
        removed = self._near.remove_older(near, before) if near else []
        with self._explained("remove what is old", "objects", writes=True):
            return removed + self._cleaning.remove_older([name for name in names if name not in set(near)], before)

    def recover(self) -> None:
        """Nothing: what is removed here is removed in one step. Near there may be something to put back."""
        self._near.recover()

    # Streams, scratch space, leases

    def open_stream(self, name: str) -> BucketStream:
        """Open a stream for appending, made if absent. What is appended is uploaded now and then, and at the end."""
        path = self._near.stream_path(name)
        self._near.open_stream(name).close()  # makes its folder
        return BucketStream(
            str(path), lambda: self._upload_stream(name), self._settings.upload_seconds, (_open_stream, (self, name))
        )

    def _upload_stream(self, name: str) -> None:
        with self._explained("upload a stream", name, writes=True):
            fault_point("bucket.stream.before_upload")
            self._streams.upload(name)

    def _send_streams(self, record: str, durable: bool) -> None:
        """Have logs in the bucket before the record that says they're complete."""
        with self._explained("upload a stream", record, writes=True):
            self._streams.upload_beside(record)
            folder = record.rpartition("/")[0]
            if durable and folder:
                self._streams.upload_below(folder)

    def stream_path(self, name: str) -> Path:
        """Where a stream's bytes are. What other machines wrote to it is as it was when this was called."""
        self._near.stream_path(name)  # refuses bad names
        with self._explained("read a stream", name):
            return self._streams.path(name)

    def scratch(self) -> AbstractContextManager[Path]:
        """A fresh, empty local folder from which `add_file` needs no copy, removed at the end."""
        return self._near.scratch()

    def lease(self, name: str, *, wait_seconds: float = 0.0) -> BucketLease:
        """Ask to be the only one who works on ``name``. `BucketLease` says what isn't guaranteed."""
        check_name(name)
        with self._explained("take a lease", f"leases/{name}", writes=True):
            return self._leases.take(name, wait_seconds)

    # Opening, and errors

    def _open(self, make: bool) -> bytes:
        found = self._client.read("store.json")
        if found is None and not make:
            raise NoStoreError("There is no store", where=self.url, hint="run a pipeline first")
        if found is None:
            self._client.create("store.json", new_marker())
            found = self._client.read("store.json")
        if found is None:
            raise BucketFault("network", "what was just written can't be read")
        return salt_of(found.data, f"{self.url}/store.json")

    @contextmanager
    def _explained(self, what: str, name: str, *, writes: bool = False) -> Iterator[None]:
        where = f"{self.url}/{name}"
        try:
            yield
        except BucketFault as fault:
            raise explain_fault(fault, what, where, writes=writes) from fault
        except OSError as error:
            raise explain(error, what, where) from error


def _open_again(url: str, cache: str | None, settings: tuple[float, ...]) -> BucketStore:
    return BucketStore(url, cache=cache, settings=BucketSettings(*settings))  # type: ignore[arg-type]


def _open_stream(store: BucketStore, name: str) -> BucketStream:
    return store.open_stream(name)


def _object_name(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest}"


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not any(part.startswith(".") for part in name.split("/"))


def _problem(blob: StoredBlob, n_bytes: int | None) -> str:
    if n_bytes is not None and blob.n_bytes < n_bytes:
        return f"cut short: it holds {blob.n_bytes} of {n_bytes} bytes"
    if blob.n_bytes == 0:
        return "cut short: it is empty"
    return f"altered: its {blob.n_bytes} bytes have the digest {blob.digest[:12]}"
