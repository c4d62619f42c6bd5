"""A lease as a locked file: it ends with the process that holds it, whatever ends that."""

# ruff: noqa: PTH108, PTH116
from __future__ import annotations

import errno
import fcntl
import os
import time
from types import TracebackType
from typing import Self

from headrace.core.faults import fault_point

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.05


class FileLease:
    """A lease by ``flock`` on a file, which is removed when the lease is released.

    The lock belongs to the open file, so it excludes other threads as well as other processes. A process forked while
    it is held inherits the open file: the lease then lasts until it is released or both have ended, and only the
    process that took it can release it.

    **Not guaranteed.** Over NFS, ``flock`` is honoured between machines with NFSv4, or with a lock daemon; mounted
    with ``local_lock=flock`` or ``nolock`` each machine has its own. A machine that is cut off keeps a
    lease until the server gives it up. Where a file system has no locks at all, everyone gets the lease
    (`is_exclusive` is then False).
    """

    __slots__ = ("_fd", "_path", "_pid", "holder", "is_exclusive")

    def __init__(self, path: str, fd: int | None, *, is_exclusive: bool = True, holder: str | None = None) -> None:
        self._path = path
        self._fd = fd
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
            _remove(self._path)
            fault_point("store.lease.removed")
            fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_lease(path: str, wait_seconds: float) -> FileLease:
    """Take the lease of the file ``path``, trying for up to ``wait_seconds``. Raises ``OSError``."""
    lease = _try_to_take(path)
    if lease.acquired or wait_seconds <= 0:
        return lease
    deadline = time.monotonic() + wait_seconds
    pause = _FIRST_PAUSE_SECONDS
    while not lease.acquired and (left := deadline - time.monotonic()) > 0:
        # Blocking in flock could not be ended in time, nor by another thread.
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        lease = _try_to_take(path)
    return lease


def _try_to_take(path: str) -> FileLease:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, fd):
                fault_point("store.lease.locked")
                os.write(fd, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
                return FileLease(path, fd)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).partition(b"\n")[0].decode(errors="replace")
            os.close(fd)
            return FileLease(path, None, holder=holder or None)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return FileLease(path, fd, is_exclusive=False)
            os.close(fd)
            raise
        # The holder before us removed the file that we had waited for: a lock on it means nothing.
        os.close(fd)


def _is_still(path: str, fd: int) -> bool:
    """Is the open file still the one that others find under ``path``?"""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # it stays as an empty, unlocked file, which takes nothing from the next
