"""Small dealings with files that the store's parts share. All raise ``OSError``."""

# ruff: noqa: PTH102, PTH103, PTH108, PTH120
from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from headrace.core import faults

_MOST_FOLDERS = 5


def write_whole(fd: int, data: bytes, half_way_point: str) -> None:
    """Write all of ``data``, with a fault point in the middle of it."""
    rest = memoryview(data)
    if faults.ARMED is not None:
        rest = rest[os.write(fd, rest[: len(rest) // 2]) :]
        faults.fault_point(half_way_point)
    while (n_written := os.write(fd, rest)) < len(rest):
        rest = rest[n_written:]


def read_whole(path: str) -> bytes:
    """The bytes of a small file."""
    return read_with_info(path)[0]


def read_with_info(path: str) -> tuple[bytes, os.stat_result]:
    """The bytes of a small file, and what the system said of it before."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        size = info.st_size
        # One more than there should be: an answer of exactly the size is then known to be all of it.
        data = os.read(fd, size + 1)
        while len(data) < size and (more := os.read(fd, size)):
            data += more
        return data, info
    finally:
        os.close(fd)


def in_folder(put: Callable[[str, str], None], source: str, path: str) -> None:
    """Rename or link to ``path``, making its folder if it is absent: again, if it was empty and cleaned away."""
    for _ in range(_MOST_FOLDERS):
        try:
            return put(source, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
    return put(source, path)


def with_parent(make: Callable[[str], None], path: str) -> None:
    """Make a folder, and the one above it if that is absent."""
    try:
        make(path)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        make(path)


def make_folder(path: str) -> None:
    """Make a folder unless it is there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return  # another's, just now


def discard(path: str) -> None:
    """Remove a file of our own that nobody sees; the sweep gets what stays."""
    try:
        os.unlink(path)
    except OSError:
        return


REFRESH_SECONDS = 4 * 3600.0
"""What is used again gets a new stamp if its last is older: who cleans up spares what is younger than thrice that."""


def make_young(path: str, changed: float) -> bool:
    """Give a file that was changed then today's stamp, if it's old. False where it's gone or another user's.

    A stamp from the future is old too: it's not known how old, since the clock was wrong then or is now.
    """
    if 0 <= time.time() - changed < REFRESH_SECONDS:
        return True
    try:
        os.utime(path)
    except OSError as error:
        return error.errno == errno.EROFS  # where nothing can be cleaned up either
    return True


def sync_one(path: str) -> None:
    """Bring a file or a folder to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that doesn't sync folders
            raise
    finally:
        os.close(fd)
