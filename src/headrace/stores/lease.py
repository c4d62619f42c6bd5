"""A lease as a locked byte of one file: it ends with the process that holds it, whatever ends that.

A file for each lease, made and removed again, would cost more than all else that a small step writes: ext4 looks
through all inodes that were freed in the last minutes before it gives one out. So the leases of a store are bytes of
one file, each at the place that a hash of its name says. Two names that share a byte make one wait for the other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from contextlib import suppress
from hashlib import blake2b
from types import TracebackType
from typing import Self

from headrace.core.faults import fault_point

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_TAKEN = (errno.EAGAIN, errno.EACCES)
_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.05
_N_NOTES = 4096
_NOTE_BYTES = 128
_PLACES = 1 << 60


class FileLease:
    """A lease by a lock on a byte.

    The lock belongs to the open file (``F_OFD_SETLK``), so it excludes other threads as well as other processes. A
    process forked while it is held inherits the open file: the lease then lasts until it is released or both have
    ended, and only the process that took it can release it.

    **Not guaranteed.** Over NFS, locks are honoured between machines with NFSv4, or with a lock daemon; mounted with
    ``local_lock`` or ``nolock`` each machine has its own. A machine that is cut off keeps a lease until the server
    gives it up. Where a file system or the system (macOS) has no such locks at all, everyone gets the lease
    (`is_exclusive` is then False).
    """

    __slots__ = ("_fd", "_pid", "_place", "holder", "is_exclusive")

    def __init__(self, fd: int | None, place: int, *, is_exclusive: bool = True, holder: str | None = None) -> None:
        self._fd = fd
        self._place = place
        self._pid = os.getpid()
        self.is_exclusive = is_exclusive
        self.holder = holder

    @property
    def acquired(self) -> bool:
        """Is it ours? False once released."""
        return self._fd is not None

    def release(self) -> None:
        """Give it back. Releasing what is not ours, or twice, does nothing."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        # In a forked process only the inherited file is closed: unlocking it would unlock it for the holder too.
        if self._pid == os.getpid() and self.is_exclusive:
            fault_point("store.lease.before_unlock")
            _set_lock(fd, fcntl.F_UNLCK, self._place)
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_lease(path: str, name: str, wait_seconds: float) -> FileLease:
    """Take the lease of a name in the file ``path``, trying for up to ``wait_seconds``. Raises ``OSError``."""
    place = int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % _PLACES
    lease = _try_to_take(path, place)
    if lease.acquired or wait_seconds <= 0:
        return lease
    deadline = time.monotonic() + wait_seconds
    pause = _FIRST_PAUSE_SECONDS
    while not lease.acquired and (left := deadline - time.monotonic()) > 0:
        # Blocking in the lock could not be ended in time, nor by another thread.
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        lease = _try_to_take(path, place)
    return lease


def _try_to_take(path: str, place: int) -> FileLease:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _set_lock(fd, fcntl.F_WRLCK, place)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return FileLease(fd, place, is_exclusive=False)
        holder = _read_note(fd, place)
        os.close(fd)
        if error.errno in _TAKEN:
            return FileLease(None, place, holder=holder)
        raise
    try:
        fault_point("store.lease.locked")
        _write_note(fd, place)
    except BaseException:
        os.close(fd)  # else the lock would stay for as long as this process
        raise
    return FileLease(fd, place)


def _set_lock(fd: int, kind: int, place: int) -> None:
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None:
        raise OSError(errno.ENOSYS, "this system has no locks of open files")
    # struct flock: type, whence, start, length, pid. Locks may lie beyond the end of the file, and past the notes.
    fcntl.fcntl(fd, command, struct.pack("hhqqi0q", kind, os.SEEK_SET, _N_NOTES * _NOTE_BYTES + place, 1, 0))


def _write_note(fd: int, place: int) -> None:
    """Say who holds a lease, for a message to a person. Names that share a note overwrite one another's."""
    note = f"process {os.getpid()} on {os.uname().nodename}"[: _NOTE_BYTES - 1]
    # The lock needs no space, so a full disk is no reason to go without the lease.
    with suppress(OSError):
        os.pwrite(fd, note.encode().ljust(_NOTE_BYTES, b"\0"), place % _N_NOTES * _NOTE_BYTES)


def _read_note(fd: int, place: int) -> str | None:
    note = os.pread(fd, _NOTE_BYTES, place % _N_NOTES * _NOTE_BYTES).partition(b"\0")[0]
    return note.decode(errors="replace") or None
