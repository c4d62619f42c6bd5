"""Cleaning up a store in a folder: how old things are, and removing the old without losing what is used again.

What may become young at any moment (an object that is added again, a record that is reused) is moved aside first, where
nobody can refresh it any more, and looked at there: old, it goes; young, it is put back.
"""

# ruff: noqa: PTH104, PTH106, PTH108, PTH120
from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from headrace.core.faults import fault_point
from headrace.stores.files import discard, in_folder
from headrace.stores.names import MOST_NAME_BYTES, OWN_FOLDERS, check_name
from headrace.stores.protocol import Entry
from headrace.stores.scratch import FREE, belongs_to_the_living, remove, system_tag
from headrace.stores.trouble import explain

SWEPT = "swept!"
"""How the names of what is being removed begin, in ``scratch/``; then the name that it had, with ``!`` for ``/``."""

_CACHE_KEEPS = ("stamps.json",)


class LocalCleaning:
    """The part of `headrace.stores.local.LocalStore` that tells how old things are, and removes them."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._system = system_tag()

    @property
    def n_at_once(self) -> int:
        """One: nothing here is waited for."""
        return 1

    def list_entries(self, folder: str = "") -> Iterator[Entry]:
        """All objects, or everything else that was given to the store."""
        if folder not in ("", "objects"):
            check_name(folder)
        with self._explained("list what is in the store"):
            yield from entries_below(self._root, folder)

    def list_leftovers(self) -> Iterator[Entry]:
        """What processes of other systems left in ``scratch/``, and what is in ``cache/``, by its last use."""
        with self._explained("list what was left behind"):
            yield from leftovers_below(self._root, self._system)

    def remove_older(self, names: Sequence[str], before: float) -> list[str]:
        """Remove those of the named entries that were last changed before a time."""
        with self._explained("remove what is old"):
            return remove_older(self._root, names, before)

    def recover(self) -> None:
        """Put back what was in the middle of `remove_older` when its process was killed."""
        with self._explained("put back what was being removed"):
            recover(self._root)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise explain(error, what, self._root) from error


def entries_below(root: str, folder: str) -> Iterator[Entry]:
    """All files below a folder of the store's; with ``""`` all but the store's own places. Raises ``OSError``."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        for item in _scan(f"{root}/{place}" if place else root):
            name = f"{place}/{item.name}" if place else item.name
            if item.name.startswith(".") or (not place and item.name in OWN_FOLDERS):
                continue
            info = _info(item)
            if info is None:
                continue
            if stat.S_ISDIR(info.st_mode):
                waiting.append(name)
            else:
                yield Entry(name, info.st_size, info.st_mtime)


def leftovers_below(root: str, system: str) -> Iterator[Entry]:
    """What is in ``scratch/`` of processes that are not known to live here, and in ``cache/``. Raises ``OSError``."""
    for folder, _, files in os.walk(f"{root}/cache"):
        for file in files:
            with suppress(OSError):
                info = os.lstat(f"{folder}/{file}")
                if file not in _CACHE_KEEPS:
                    changed = max(info.st_mtime, info.st_atime)
                    yield Entry(os.path.relpath(f"{folder}/{file}", root), info.st_size, changed)
    for item in _scan(f"{root}/scratch"):
        if item.name.startswith((f"{FREE}-", SWEPT)) or belongs_to_the_living(item.name, system):
            continue
        found = _info(item)
        if found is not None:
            yield _with_all_in_it(f"scratch/{item.name}", item.path, found)


def _with_all_in_it(name: str, path: str, info: os.stat_result) -> Entry:
    """A file or a folder as one entry: as big as all in it, and as young as the youngest."""
    n_bytes, changed = 0 if stat.S_ISDIR(info.st_mode) else info.st_size, info.st_mtime
    for folder, folders, files in os.walk(path):
        for each in (*files, *folders):
            with suppress(OSError):
                found = os.lstat(f"{folder}/{each}")
                n_bytes += 0 if stat.S_ISDIR(found.st_mode) else found.st_size
                changed = max(changed, found.st_mtime)
    return Entry(name, n_bytes, changed)


def remove_older(root: str, names: Sequence[str], before: float) -> list[str]:
    """Remove the entries that were last changed before a time, and the folders left empty. Raises ``OSError``."""
    os.makedirs(f"{root}/scratch", exist_ok=True)  # noqa: PTH103
    removed = [name for name in names if _remove_one(root, name, before)]
    for folder in {os.path.dirname(name) for name in removed if name.startswith(("runs/", "actions/", "checkpoints/"))}:
        _remove_empty(root, folder)
    return removed


def _remove_one(root: str, name: str, before: float) -> bool:
    path = f"{root}/{name}"
    try:
        if os.lstat(path).st_mtime >= before:
            return False
        fault_point("store.sweep.before_removal")
        aside = SWEPT + name.replace("/", "!")
        may_become_young = name.startswith("objects/") or name.endswith(".json")
        if may_become_young and len(os.fsencode(aside)) <= MOST_NAME_BYTES:
            return _remove_moved(path, f"{root}/scratch/{aside}", before)
        remove(path)
    except FileNotFoundError:
        return False  # another was faster
    return True


def _remove_moved(path: str, aside: str, before: float) -> bool:
    os.rename(path, aside)
    fault_point("store.sweep.moved")
    if os.lstat(aside).st_mtime >= before:
        _put_back(aside, path)
        return False
    os.unlink(aside)
    return True


def _put_back(aside: str, path: str) -> None:
    """Give a file its name again, unless somebody has made it anew."""
    try:
        in_folder(os.link, aside, path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        return  # another has put it back
    except OSError:  # no hard links here
        if not os.path.exists(path):  # noqa: PTH110
            in_folder(os.rename, aside, path)
            return
    discard(aside)


def recover(root: str) -> None:
    """Put back what was being removed when its process was killed. Raises ``OSError``."""
    for item in _scan(f"{root}/scratch"):
        if item.name.startswith(SWEPT):
            _put_back(item.path, f"{root}/{item.name.removeprefix(SWEPT).replace('!', '/')}")


def _remove_empty(root: str, folder: str) -> None:
    while folder.count("/") >= 1:
        try:
            os.rmdir(f"{root}/{folder}")
        except OSError:
            return  # it isn't empty
        folder = os.path.dirname(folder)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return list(items)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _info(item: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
