"""Look at an environment and a store for what is known to go wrong: a list of small questions, each with an answer."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headrace.core.errors import HeadraceError, near_miss

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

Level = Literal["ok", "note", "warning", "problem"]
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
_DAY_SECONDS = 86400.0
_FEW_BYTES = 1 << 30
_MOST_SKEW_SECONDS = 5.0
_WRONG_SKEW_SECONDS = 900.0
_FLOOR = re.compile(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;\s*(.*))?")
_OVER_A_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "lustre")
_KNOWN_VARIABLES = ("CACHE", "CACHE_LIMIT", "CPUS", "FAULT", "LISTENER_SECONDS", "NOT_PRELOADED", "STARTED_STEADY")
_STRAYS: Mapping[str, str] = {
    "PYTHONPATH": "modules found through it may be other than those that are installed",
    "PYTHONOPTIMIZE": "assert statements in steps do nothing",
    "PYTHONDONTWRITEBYTECODE": "each worker compiles modules anew, so that steps start slowly",
    "LD_PRELOAD": "a library is put under every process: it may change times, memory and results",
    "FAKETIME": "the clock isn't the real one",
    "HEADRACE_FAULT": "processes are killed or refused on purpose, for tests",
}


@dataclass(frozen=True)
class Answer:
    """What one question found. ``why`` says why that matters, ``hint`` what to do; both are empty where it's ``ok``."""

    level: Level
    about: str
    text: str
    why: str = ""
    hint: str = ""


def examine_environment(settings: Callable[[], Mapping[str, object]]) -> Iterator[Answer]:
    """Look at Python, the installed distributions, the environment's variables, and the project's settings."""
    yield _python()
    yield from _distributions()
    yield from _variables(os.environ)
    try:
        settings()
    except HeadraceError as error:
        yield Answer("problem", "settings", error.message, "no command works with them", error.hint or "mend the file")


def examine_store(store: Store) -> Iterator[Answer]:
    """Look at a store: may it be written, does it keep what it promises, its clock, its disk, what was left behind.

    Writes a few small entries, and removes them.
    """
    yield Answer("ok", "store", f"{store.url} can be reached")
    try:
        yield from _promises(store)
    except HeadraceError as error:
        yield Answer("problem", "writing", error.message, "no pipeline can run with this store", error.hint or "")
    yield _clock(store)
    root = getattr(store, "root", None)
    if isinstance(root, Path):
        yield _file_system(root)
    yield _space(Path(root) if root is not None else store.cache_dir)
    yield _leftovers(store)


def _python() -> Answer:
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Answer("ok", "python", f"Python {version}")
    known = f"{'.'.join(map(str, OLDEST_PYTHON))} to {'.'.join(map(str, NEWEST_PYTHON))}"
    return Answer("problem", "python", f"Python {version}", f"Headrace is tested with {known}", f"use one of {known}")


def _distributions() -> Iterator[Answer]:
    """Hold what is installed against what Headrace needs, and name the extras that are there."""
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        stated = requires("headrace") or []
    except PackageNotFoundError:
        yield Answer("note", "headrace", "Headrace runs from a folder and isn't installed", "versions can't be told")
        return
    extras: dict[str, bool] = {}
    for requirement in stated:
        found = _FLOOR.match(requirement)
        assert found is not None
        name, bounds, condition = found[1], found[2], found[3] or ""
        extra = match[1] if (match := re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", condition)) else None
        try:
            there = version(name)
        except PackageNotFoundError:
            if extra is None:
                why = "Headrace needs it for its main job"
                yield Answer("problem", name, "it isn't installed", why, f"pip install '{name}{bounds}'")
            else:
                extras[extra] = False
            continue
        if extra is not None:
            extras.setdefault(extra, True)
        floor = match[1] if (match := re.search(r">=\s*([\d.]+)", bounds)) else "0"
        if _numbers(there) < _numbers(floor):
            why = f"Headrace is tested with {floor} and later"
            yield Answer("problem", name, f"{name} {there} is installed", why, f"pip install '{name}>={floor}'")
    shown = ", ".join(sorted(extra for extra, is_there in extras.items() if is_there)) or "none"
    yield Answer("ok", "extras", f"installed: {shown}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _variables(environment: Mapping[str, str]) -> Iterator[Answer]:
    """Name variables that change what runs do. Their values may be secret, and aren't shown."""
    from headrace.engine.settings import KNOWN

    known = [f"HEADRACE_{name.upper()}" for name in (*KNOWN, *_KNOWN_VARIABLES)]
    n_strays = 0
    for name in sorted(environment):
        if name in _STRAYS and environment[name]:
            n_strays += 1
            level: Level = "note" if name.startswith("PYTHON") else "warning"
            yield Answer(level, "environment", f"{name} is set", _STRAYS[name], f"unset {name}, unless it's meant")
        elif name.startswith("HEADRACE_") and name not in known:
            n_strays += 1
            why = "no setting has this name, so that it does nothing"
            yield Answer("warning", "environment", f"{name} is set", why, near_miss(name, known) or f"unset {name}")
    if not n_strays:
        yield Answer("ok", "environment", "no stray variables")


def _promises(store: Store) -> Iterator[Answer]:
    """Try what all else relies on: an object comes back, one of two wins a record, one of two holds a lease."""
    tag = f"{os.getpid()}-{os.urandom(6).hex()}"
    started = time.perf_counter()
    data = tag.encode()
    blob = store.add_bytes(data)
    is_whole = store.read_object(blob.digest) == data
    store.drop_object(blob.digest)
    name = f"doctor/{tag}.json"
    try:
        winners = [store.create_record(name, b"{}") for _ in range(2)]
    finally:
        store.delete_record(name)
    with store.lease(f"doctor-{tag}") as one, store.lease(f"doctor-{tag}") as other:
        holders = [one.acquired, other.acquired]
    seconds = time.perf_counter() - started
    if not is_whole:
        yield Answer("problem", "objects", "an object came back altered", "results can't be kept", "use another disk")
    if winners != [True, False]:
        why = "two runs that make the same at once would each believe that theirs counts"
        hint = "use a server that honours If-None-Match, as S3 does, or a file system with links"
        yield Answer("problem", "records", "a record could be put twice", why, hint)
    if holders != [True, False]:
        why = "two runs that need the same at once both make it; nothing else suffers"
        hint = "mount it with locks (NFS: version 4, and no 'nolock')"
        yield Answer("warning", "leases", "a lease excludes nobody here", why, hint)
    yield Answer("ok", "writing", f"objects, records and leases work ({seconds * 1000:.0f} ms)")


def _clock(store: Store) -> Answer:
    skew = store.clock() - time.time()
    text = f"the store's clock differs from this machine's by {abs(skew):.0f} s"
    if abs(skew) <= _MOST_SKEW_SECONDS:
        return Answer("ok", "clock", text)
    why = "results that expire do so by this machine's clock, and runs are listed by it"
    level: Level = "problem" if abs(skew) > _WRONG_SKEW_SECONDS else "warning"
    return Answer(level, "clock", text, why, "set the clock (timedatectl set-ntp true)")


def _file_system(root: Path) -> Answer:
    kind = file_system_of(root, _mounts())
    if kind in _OVER_A_NETWORK or kind.startswith("fuse."):
        why = "locks and the order in which others see writes depend on how it's mounted; steps cost more"
        hint = "several machines share a store better in a bucket (s3://…); one machine keeps it on a disk of its own"
        return Answer("warning", "file system", f"the store is on {kind}", why, hint)
    if kind in ("tmpfs", "ramfs"):
        why = "what is in it is gone after a restart"
        return Answer("warning", "file system", f"the store is on {kind}", why, "put it on a disk")
    if kind == "overlay":
        why = "what is in a container's own file system goes with the container"
        return Answer("note", "file system", "the store is on overlay", why, "mount a volume, or use a bucket")
    return Answer("ok", "file system", f"the store is on {kind or 'a file system of unknown kind'}")


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""


def file_system_of(root: Path, mounts: str) -> str:
    """The kind of the file system that holds a folder, by ``/proc/self/mounts``; empty where it's unknown."""
    best, kind = "", ""
    path = str(root.resolve())
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), fields[1])
        is_above = path == place or path.startswith(place.rstrip("/") + "/")
        if is_above and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def _space(folder: Path) -> Answer:
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / 1e9:.1f} GB are free at {folder}"
    n_files = None
    with suppress(OSError):
        status = os.statvfs(folder)
        n_files = status.f_favail if status.f_files else None
    hint = "headrace store gc, or make space otherwise"
    if n_files is not None and n_files < 10_000:
        return Answer("warning", "disk", f"{n_files} more files fit at {folder}", "a run ends when it's full", hint)
    if usage.free < _FEW_BYTES:
        return Answer("warning", "disk", text, "a run ends when it's full", hint)
    return Answer("ok", "disk", text)


def _leftovers(store: Store) -> Answer:
    oldest = store.clock() - _DAY_SECONDS
    left = [e for e in store.list_leftovers() if e.changed < oldest and not e.name.startswith("cache/")]
    if not left:
        return Answer("ok", "leftovers", "none")
    n_bytes = sum(entry.n_bytes for entry in left)
    text = f"{len(left)} from processes that are gone ({n_bytes / 1e6:.1f} MB)"
    return Answer("note", "leftovers", text, "they take space and do no harm", "headrace store gc")
