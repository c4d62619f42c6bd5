"""Digests of files and folders, remembered under cheap stat stamps.

A stamp is trusted only outside the *racy window*: a file that was modified at, or shortly before, the moment its
stamp was taken could be modified again within the clock's resolution and keep size and times, so it is hashed again
(git's index follows the same rule).
"""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100, PTH110, PTH112, PTH116, PTH123

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from headrace.core.globs import fixed_part, matching

RACY_WINDOW_NS = 2_000_000_000
"""Two seconds: the coarsest file times in use (FAT); kernels tick in milliseconds."""

MAX_ENTRIES = 50_000
VERSION = 1


class Stamp(NamedTuple):
    """What a file looked like when it was hashed; times in nanoseconds since the epoch."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str
    stamped_ns: int

    def holds_for(self, status: os.stat_result) -> bool:
        """Say whether a file that looks like ``status`` still has this digest."""
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if seen != self[:4]:
            return False
        return max(self.mtime_ns, self.ctime_ns) < self.stamped_ns - RACY_WINDOW_NS


class Stamps:
    """A cache of file digests.

    Threads may share one. Processes may share its file: it is replaced atomically, entries of others are kept, and an
    entry that is lost costs a hash. A damaged cache file counts as an empty one. With ``path=None`` nothing is kept.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: dict[str, Stamp] | None = None
        self._fresh: dict[str, Stamp] = {}

    def digest_file(self, path: Path | str) -> str:
        """Give the sha256 of a file's bytes, from the cache if its stamp can be trusted.

        Raises OSError (FileNotFoundError, IsADirectoryError, ...) where the file can't be read.
        """
        name = os.path.abspath(path)
        status = os.stat(name)
        with self._lock:
            known = self._known().get(name)
        if known is not None and known.holds_for(status):
            return known.digest
        stamp = _hash(name)
        with self._lock:
            self._known()[name] = stamp
            self._fresh[name] = stamp
        return stamp.digest

    def digest_tree(self, folder: Path | str) -> str:
        """Give one digest over all files below a folder: their posix paths and contents, and empty folders.

        Links are followed, each folder once. Raises FileNotFoundError or NotADirectoryError for what isn't a folder.
        """
        top = Path(folder)
        listing = [[name, self.digest_file(top / name) if is_file else ""] for name, is_file in _walk(top)]
        return hashlib.sha256(json.dumps(listing, separators=(",", ":")).encode()).hexdigest()

    def digest_path(self, path: Path | str) -> str:
        """Give the digest of a file or of a folder's tree."""
        return self.digest_tree(path) if os.path.isdir(path) else self.digest_file(path)

    def digest_matching(self, pattern: Path | str) -> str | None:
        """Give one digest over all files and folders that a pattern names: their paths and contents; None for none."""
        top = fixed_part(pattern)
        found = []
        for path in matching(pattern):
            is_there = os.path.exists(path)  # a link to nothing isn't
            found.append([Path(os.path.relpath(path, top)).as_posix(), self.digest_path(path) if is_there else ""])
        if not found:
            return None
        return hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()

    def save(self) -> None:
        """Write what was learned to the cache file, beside what other processes wrote. Does nothing where it can't."""
        if self._path is None:
            return
        with self._lock:
            if not self._fresh:
                return
            entries = {**_read(self._path), **self._fresh}
            self._entries = entries
            self._fresh = {}
        if len(entries) > MAX_ENTRIES:
            newest = sorted(entries.items(), key=lambda item: item[1].stamped_ns)[-MAX_ENTRIES // 2 :]
            entries = dict(newest)
        with suppress(OSError):
            write_aside(self._path, json.dumps({"version": VERSION, "files": entries}).encode())

    def _known(self) -> dict[str, Stamp]:
        if self._entries is None:
            self._entries = _read(self._path) if self._path is not None else {}
        return self._entries

    def __enter__(self) -> Stamps:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()


def write_aside(path: Path, data: bytes) -> None:
    """Replace a file atomically: readers see the old bytes or the new ones. Raises OSError where it can't."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.{time.monotonic_ns()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


def _hash(name: str) -> Stamp:
    """Hash a file. One that changes while it is read keeps a stamp that nothing can trust."""
    with open(name, "rb") as file:
        before = os.fstat(file.fileno())
        stamped_ns = time.time_ns()
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    changed = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return Stamp(
        before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino, digest, 0 if changed else stamped_ns
    )


def _read(path: Path) -> dict[str, Stamp]:
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            return {}
        return {name: Stamp(*entry) for name, entry in content["files"].items() if _is_entry(entry)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 6
        and isinstance(entry[4], str)
        and all(type(entry[index]) is int for index in (0, 1, 2, 3, 5))
    )


def _walk(top: Path) -> Iterator[tuple[str, bool]]:
    """Yield ``(posix path, is a file)`` below a folder in one order everywhere; empty folders too."""
    found: list[tuple[str, bool]] = []
    seen: set[tuple[int, int]] = set()
    stack = [""]
    while stack:
        prefix = stack.pop()
        status = os.stat(top / prefix)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        is_empty = True
        for entry in os.scandir(top / prefix):
            is_empty = False
            if entry.is_dir():
                stack.append(f"{prefix}{entry.name}/")
            elif entry.is_file():
                found.append((prefix + entry.name, True))
        if is_empty and prefix:
            found.append((prefix, False))
    yield from sorted(found)
