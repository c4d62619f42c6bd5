"""Small dealings with files that the store's parts share. All raise ``OSError``."""

# ruff: noqa: PTH102, PTH103, PTH108, PTH120
from __future__ import annotations

import errno
import os
from collections.abc import Callable

from headrace.core import faults


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
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        # One more than there should be: an answer of exactly the size is then known to be all of it.
        data = os.read(fd, size + 1)
        while len(data) < size and (more := os.read(fd, size)):
            data += more
        return data
    finally:
        os.close(fd)


def in_folder(put: Callable[[str, str], None], source: str, path: str) -> None:
    """Rename or link to ``path``, making its folder if it is absent."""
    try:
        put(source, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        put(source, path)


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


def refresh(path: str) -> None:
    """Give a file today's stamp where that can be done."""
    try:
        os.utime(path)
    except OSError:
        return  # another user's object, or a read-only store: it keeps its stamp


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
