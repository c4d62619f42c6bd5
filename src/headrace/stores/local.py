"""A store in a folder: nothing to install, and as many processes at once as like to.

::

    store.json               the layout's version and the store's salt
    objects/ab/abcdef…       immutable bytes by their sha256, mode 0444
    runs/r1/run.json, …      records and streams, under their names
    scratch/                 what is being written; renamed from here to where it is seen
    leases/                  a file of locks
    cache/                   what can be made again at any time

Paths are plain strings and folders are made when a call finds them absent, since a step of the engine pays for each
system call: an object, a record put if absent and a record replaced cost about 50 µs each.
"""

# ruff: noqa: PTH100, PTH101, PTH103, PTH108, PTH116, PTH120, PTH208
from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from io import FileIO
from itertools import count
from pathlib import Path

from headrace.core.errors import DamagedObjectError, StoreError
from headrace.core.faults import fault_point
from headrace.stores.files import (
    discard,
    in_folder,
    make_folder,
    make_young,
    read_whole,
    read_with_info,
    sync_one,
    with_parent,
    write_whole,
)
from headrace.stores.lease import FileLease, take_lease
from headrace.stores.local_sweep import LocalCleaning
from headrace.stores.marker import new_marker, salt_of
from headrace.stores.names import OWN_FOLDERS, check_digest, check_name, check_record_name, check_stream_name
from headrace.stores.protocol import StoredBlob
from headrace.stores.scratch import FREE, claim, give_back, owner_name, sweep
from headrace.stores.stream import AppendStream
from headrace.stores.trouble import explain

FAULT_POINTS = (
    "store.open.before_marker",
    "store.object.before_write",
    "store.object.half_written",
    "store.object.before_rename",
    "store.object.after_rename",
    "store.file.before_hash",
    "store.file.half_copied",
    "store.file.before_rename",
    "store.file.after_rename",
    "store.record.before_write",
    "store.record.half_written",
    "store.record.before_link",
    "store.record.after_link",
    "store.record.before_replace",
    "store.record.after_replace",
    "store.record.before_sync",
    "store.record.before_delete",
    "store.object.before_drop",
    "store.sweep.before_removal",
    "store.sweep.moved",
    "store.lease.locked",
    "store.lease.before_unlock",
    "store.stream.before_write",
)
"""The instants inside the store's writes at which a test can strike (see `headrace.core.faults`)."""

RACY_SECONDS = 2.0
"""A file changed within this time may change again without its stamps showing it (the coarsest clock is FAT's)."""

_ASIDE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_CANNOT_MOVE = (errno.EXDEV, errno.EPERM)  # two mounts of one device, or another user's file
_MOST_VERIFIED = 1 << 16
_CHUNK_BYTES = 1 << 20

_Stamp = tuple[int, int, int, int]


class LocalStore(LocalCleaning):
    """The `headrace.stores.protocol.Store` of a folder.

    A record is put if absent by a hard link, which fails for all but one. Where the file system has no hard links (FAT,
    some mounts by FUSE), the check and the rename happen under a lock of the record's; where it has no locks either,
    `create_record` raises `StoreError`.

    ``root`` is the folder, made if absent. Raises `StoreError` when it holds the store of a newer Headrace or can't be
    a folder, and `StoreReadOnlyError` when it isn't a store yet and may not be written. What processes that are gone
    left half-written is removed on the way.
    """

    def __init__(self, root: str | Path) -> None:
        super().__init__(os.path.abspath(root))
        self._objects = f"{self._root}/objects"
        self._scratch = f"{self._root}/scratch"
        self._leases = f"{self._root}/leases"
        self._tag = ""
        self._numbers = count()
        self._pid = -1
        self._prefix = ""
        self._verified: dict[str, _Stamp] = {}
        try:
            self.salt = self._open()
            self._device = os.stat(self._root).st_dev
        except OSError as error:
            raise explain(error, "open the store", self._root) from error

    def __repr__(self) -> str:
        return f"LocalStore({self._root!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return LocalStore, (self._root,)

    @property
    def root(self) -> Path:
        """The store's folder."""
        return Path(self._root)

    @property
    def url(self) -> str:
        """The folder as a ``file://`` URL."""
        return Path(self._root).as_uri()

    @property
    def cache_dir(self) -> Path:
        """A folder for what can be made again at any time. In a read-only store it may be absent."""
        folder = Path(self._root, "cache")
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            return folder  # whoever can't write there goes without
        return folder

    # Objects

    def add_file(self, path: Path) -> StoredBlob:
        """Take a regular file over as an object."""
        source = os.fspath(path)
        try:
            info = os.lstat(source)
            if not stat.S_ISREG(info.st_mode):
                raise StoreError(f"{source!r} is no regular file", hint="an object is made of one file's bytes")
            # A second name of the same file could be used to change the object later.
            if info.st_nlink == 1 and info.st_dev == self._device:
                try:
                    return self._take(source, info)
                except OSError as error:
                    if error.errno not in _CANNOT_MOVE:
                        raise
            blob = self._take_copy(source)
            if os.path.realpath(source) != os.path.realpath(self._object_path(blob.digest)):
                os.unlink(source)
        except OSError as error:
            raise explain(error, "add a file as an object", source) from error
        return blob

    def _take(self, own: str, info: os.stat_result) -> StoredBlob:
        fault_point("store.file.before_hash")
        with FileIO(own) as file:
            digest = file_digest(file, "sha256").hexdigest()
        blob = StoredBlob(digest, info.st_size)
        path = self._object_path(digest)
        if not self._is_there(path, blob.n_bytes):
            os.chmod(own, info.st_mode & 0o444)
            os.utime(own)  # it may have been written long ago
            fault_point("store.file.before_rename")
            in_folder(os.rename, own, path)
            fault_point("store.file.after_rename")
        elif not _is_same_file(info, path):
            os.unlink(own)
        return blob

    def _take_copy(self, source: str) -> StoredBlob:
        aside = self._new_aside()
        try:
            with FileIO(source) as file, FileIO(self._open_aside(aside, 0o444), "w") as copy:
                while chunk := file.read(_CHUNK_BYTES):
                    write_whole(copy.fileno(), chunk, "store.file.half_copied")
            return self._take(aside, os.stat(aside))
        except BaseException:
            discard(aside)
            raise

    def add_bytes(self, data: bytes) -> StoredBlob:
        """Add an object, unless one of that digest and size is there."""
        blob = StoredBlob(sha256(data).hexdigest(), len(data))
        path = self._object_path(blob.digest)
        try:
            if not self._is_there(path, blob.n_bytes):
                fault_point("store.object.before_write")
                aside = self._write_aside(data, 0o444, "store.object.half_written")
                self._move_in(aside, path, "store.object.before_rename")
                fault_point("store.object.after_rename")
        except OSError as error:
            raise explain(error, "add an object", path) from error
        return blob

    def _is_there(self, path: str, n_bytes: int) -> bool:
        try:
            info = os.stat(path)
        except FileNotFoundError:
            return False
        return info.st_size == n_bytes and make_young(path, info.st_mtime)

    def object_size(self, digest: str) -> int | None:
        """The size of an object in bytes, None if it is absent."""
        check_digest(digest)
        try:
            return os.stat(f"{self._objects}/{digest[:2]}/{digest}").st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain(error, "look for an object", self._object_path(digest)) from error

    def open_object(self, digest: str, *, n_bytes: int | None = None) -> Path:
        """A path that holds the object's bytes, checked against the digest."""
        with self._object(digest) as (file, info):
            stamp = _stamp(info)
            if self._verified.get(digest) != stamp:
                started = time.time()
                self._compare(digest, file_digest(file, "sha256").hexdigest(), info, n_bytes)
                self._remember(digest, stamp, _stamp(os.fstat(file.fileno())), started)
        return Path(self._object_path(digest))

    def read_object(self, digest: str, *, n_bytes: int | None = None) -> bytes:
        """The object's bytes, checked against the digest."""
        with self._object(digest) as (file, info):
            stamp = _stamp(info)
            started = time.time()
            data = file.readall()
            if self._verified.get(digest) != stamp or len(data) != info.st_size:
                self._compare(digest, sha256(data).hexdigest(), info, n_bytes)
                self._remember(digest, stamp, _stamp(os.fstat(file.fileno())), started)
        return data

    def check_object(self, digest: str) -> None:
        """Read an object and hold it against its digest, whatever was known of it."""
        with self._object(digest) as (file, info):
            self._compare(digest, file_digest(file, "sha256").hexdigest(), info, None)

    @contextmanager
    def _object(self, digest: str) -> Iterator[tuple[FileIO, os.stat_result]]:
        check_digest(digest)
        path = self._object_path(digest)
        try:
            with FileIO(path) as file:
                yield file, os.fstat(file.fileno())
        except FileNotFoundError as error:
            raise DamagedObjectError(digest, "absent", where=path) from error
        except OSError as error:
            raise explain(error, "read an object", path) from error

    def _compare(self, digest: str, found: str, info: os.stat_result, n_bytes: int | None) -> None:
        if found == digest:
            return
        self._verified.pop(digest, None)
        if n_bytes is not None and info.st_size < n_bytes:
            problem = f"cut short: it holds {info.st_size} of {n_bytes} bytes"
        elif info.st_size == 0:
            problem = "cut short: it is empty"
        else:
            problem = f"altered: its {info.st_size} bytes have the digest {found[:12]}"
        raise DamagedObjectError(digest, problem, where=self._object_path(digest))

    def _remember(self, digest: str, before: _Stamp, after: _Stamp, started: float) -> None:
        """Spare the next check, if the stamps are old enough to show any change made since."""
        if before == after and max(before[2:]) < (started - RACY_SECONDS) * 1e9:
            if len(self._verified) >= _MOST_VERIFIED:
                self._verified.clear()
            self._verified[digest] = before

    def drop_object(self, digest: str) -> None:
        """Remove an object, so that it can be added again."""
        check_digest(digest)
        self._verified.pop(digest, None)
        self._delete(self._object_path(digest), "store.object.before_drop", "drop an object")

    def list_objects(self) -> Iterator[str]:
        """The digests of all objects, sorted."""
        for folder in sorted(self._names_in(self._objects)):
            yield from sorted(name for name in self._names_in(f"{self._objects}/{folder}") if len(name) == 64)

    def _object_path(self, digest: str) -> str:
        return f"{self._objects}/{digest[:2]}/{digest}"

    # Records

    def create_record(self, name: str, data: bytes, *, durable: bool = False) -> bool:
        """Write a record if there is none of that name: True if ours is written."""
        check_record_name(name)
        path = f"{self._root}/{name}"
        try:
            return self._create(path, data, durable=durable)
        except OSError as error:
            raise explain(error, "write a record", path) from error

    def _create(self, path: str, data: bytes, *, durable: bool) -> bool:
        is_ours = not os.access(path, os.F_OK)
        if is_ours:
            fault_point("store.record.before_write")
            aside = self._write_aside(data, 0o666, "store.record.half_written", durable=durable)
            try:
                fault_point("store.record.before_link")
                is_ours = self._link(aside, path)
                fault_point("store.record.after_link")
            finally:
                discard(aside)
        if durable:
            # The winner may not have come to it yet, and whoever adopts its record relies on it as well.
            self._sync(path, with_file=not is_ours)
        return is_ours

    def _link(self, aside: str, path: str) -> bool:
        try:
            in_folder(os.link, aside, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._rename_if_absent(aside, path)
        return True

    def _rename_if_absent(self, aside: str, path: str) -> bool:
        """Do what a link does where there are no links, among all who have none."""
        with self._take_lease(f"link!{path[len(self._root) + 1 :]}", wait_seconds=float("inf")) as lease:
            if not lease.is_exclusive:
                raise StoreError(
                    "This file system has neither hard links nor locks, so that a record can't be put if absent",
                    where=path,
                    hint="put the store on a file system that has one of them",
                )
            if os.access(path, os.F_OK):
                return False
            in_folder(os.rename, aside, path)
            return True

    def write_record(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """Write a record, in place of the one of that name if there is one."""
        check_record_name(name)
        path = f"{self._root}/{name}"
        try:
            fault_point("store.record.before_write")
            aside = self._write_aside(data, 0o666, "store.record.half_written", durable=durable)
            self._move_in(aside, path, "store.record.before_replace")
            fault_point("store.record.after_replace")
            if durable:
                self._sync(path, with_file=False)
        except OSError as error:
            raise explain(error, "write a record", path) from error

    def read_record(self, name: str) -> bytes | None:
        """The bytes of a record, None if there is none."""
        check_record_name(name)
        path = f"{self._root}/{name}"
        try:
            return read_whole(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise explain(error, "read a record", path) from error

    def reuse_record(self, name: str) -> bytes | None:
        """The bytes of a record that is young from now on, None if there is none."""
        check_record_name(name)
        path = f"{self._root}/{name}"
        try:
            data, info = read_with_info(path)
            if make_young(path, info.st_mtime):
                return data
            if os.access(path, os.F_OK):  # another user's: ours in its place is young
                self.write_record(name, data)
                return data
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise explain(error, "read a record", path) from error
        return None

    def list_records(self, prefix: str = "") -> Iterator[str]:
        """The names of all records below a folder, sorted by code point."""
        if prefix:
            prefix = prefix.removesuffix("/")
            check_name(prefix)
            prefix += "/"
        return self._walk(prefix)

    def _walk(self, prefix: str) -> Iterator[str]:
        to_visit = [prefix]
        while to_visit:
            place = to_visit.pop()
            if place and not place.endswith("/"):
                yield place
                continue
            # A folder is sorted with its slash, so that what is in it comes where its full name belongs.
            to_visit.extend(sorted(self._records_in(place), reverse=True))

    def _records_in(self, place: str) -> Iterator[str]:
        try:
            with os.scandir(f"{self._root}/{place}") as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith(".") or (not place and name in OWN_FOLDERS):
                        continue
                    if entry.is_dir():
                        yield f"{place}{name}/"
                    elif name.endswith(".json"):
                        yield place + name
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise explain(error, "list records", f"{self._root}/{place}") from error

    def delete_record(self, name: str) -> None:
        """Remove a record. Does nothing when there is none."""
        check_record_name(name)
        self._delete(f"{self._root}/{name}", "store.record.before_delete", "delete a record")

    # Cleaning up

    def clock(self) -> float:
        """The time by the file system's clock, or by this machine's where nothing can be written."""
        aside = self._new_aside()
        try:
            os.close(self._open_aside(aside, 0o600))
            return os.stat(aside).st_mtime
        except OSError:
            return time.time()
        finally:
            discard(aside)

    # Streams, scratch space, leases

    def open_stream(self, name: str) -> AppendStream:
        """Open a stream for appending, made if absent."""
        path = self._stream_path(name)
        try:
            try:
                return AppendStream(path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                return AppendStream(path)
        except OSError as error:
            raise explain(error, "open a stream", path) from error

    def stream_path(self, name: str) -> Path:
        """Where a stream's bytes are. It may not exist yet."""
        return Path(self._stream_path(name))

    def _stream_path(self, name: str) -> str:
        check_stream_name(name)
        return f"{self._root}/{name}"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A fresh, empty folder from which `add_file` needs no copy, removed at the end."""
        folder = self._new_aside()
        free = f"{self._scratch}/{FREE}-{os.getuid()}-"
        owner = os.getpid()
        try:
            if not claim(folder, free):
                with_parent(os.mkdir, folder)
        except OSError as error:
            raise explain(error, "make a folder for scratch files", folder) from error
        try:
            yield Path(folder)
        finally:
            if os.getpid() == owner:  # a process forked inside has no business here
                give_back(folder, f"{free}{self._tag}-{next(self._numbers)}")

    def lease(self, name: str, *, wait_seconds: float = 0.0) -> FileLease:
        """Ask to be the only one who works on ``name``. `FileLease` says what network file systems don't guarantee."""
        check_name(name)
        try:
            return self._take_lease(name, wait_seconds)
        except OSError as error:
            raise explain(error, "take a lease", self._leases) from error

    def _take_lease(self, name: str, wait_seconds: float) -> FileLease:
        path = f"{self._leases}/locks"
        try:
            return take_lease(path, name, wait_seconds)
        except FileNotFoundError:
            os.makedirs(self._leases, exist_ok=True)
            return take_lease(path, name, wait_seconds)

    # Opening

    def _open(self) -> bytes:
        path = f"{self._root}/store.json"
        try:
            marker = read_whole(path)
        except FileNotFoundError:
            self._make(path)
            marker = read_whole(path)
        salt = salt_of(marker, path)
        sweep(self._scratch, self._system)
        return salt

    def _make(self, path: str) -> None:
        try:
            os.makedirs(self._root)
        except FileExistsError:
            is_new = False
        else:
            is_new = True
        if is_new:
            # A store inside a project is no part of it. A folder that was there before is left as its owner has it.
            self._create(f"{self._root}/.gitignore", b"*\n", durable=False)
        fault_point("store.open.before_marker")
        self._create(path, new_marker(), durable=True)

    # Files

    def _new_aside(self) -> str:
        """A path for something of this process that nobody sees yet."""
        pid = os.getpid()
        if pid != self._pid:
            self._tag = os.urandom(4).hex()  # of this process alone: a store may be opened before a fork
            self._prefix = f"{self._scratch}/{owner_name(pid, self._system)}-{self._tag}-"
            self._pid = pid
        return self._prefix + str(next(self._numbers))

    def _open_aside(self, aside: str, mode: int) -> int:
        try:
            return os.open(aside, _ASIDE, mode)
        except FileNotFoundError:
            # Only this one folder: that of the store is not made a second time.
            make_folder(self._scratch)
            return os.open(aside, _ASIDE, mode)

    def _write_aside(self, data: bytes, mode: int, point: str, *, durable: bool = False) -> str:
        aside = self._new_aside()
        fd = self._open_aside(aside, mode)
        try:
            try:
                write_whole(fd, data, point)
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
        except BaseException:
            discard(aside)
            raise
        return aside

    def _move_in(self, aside: str, path: str, point: str) -> None:
        try:
            fault_point(point)
            in_folder(os.rename, aside, path)
        except BaseException:
            discard(aside)
            raise

    def _delete(self, path: str, point: str, what: str) -> None:
        try:
            fault_point(point)
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise explain(error, what, path) from error

    def _names_in(self, folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise explain(error, "list objects", folder) from error

    def _sync(self, path: str, *, with_file: bool) -> None:
        """Bring the folders above ``path`` to the disk, up to the store's, as each may be new; and the file."""
        fault_point("store.record.before_sync")
        if with_file:
            sync_one(path)
        while len(path) > len(self._root):
            path = os.path.dirname(path)
            sync_one(path)


def _is_same_file(info: os.stat_result, path: str) -> bool:
    """Was the object itself given to be added? Removing it would lose it."""
    return os.path.samestat(info, os.stat(path))


def _stamp(info: os.stat_result) -> _Stamp:
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
