"""Installed distributions: which one a module belongs to, and a digest of what is installed.

``dist-info`` folders are read directly, since scans by ``importlib.metadata`` take tens of milliseconds. What was
read is kept in a cache file under cheap stamps: the site folders' times, and each reached RECORD's.
"""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100, PTH110, PTH113, PTH116, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.core.reach_normal import words
from headrace.core.stamps import write_aside

VERSION = 1
_BUILD_EXTRAS = words(
    """
    test tests testing dev develop development doc docs lint typing mypy benchmark benchmarks bench example
    examples build release check checks qa style format install maintenance
    """
)
_UNCOUNTED = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws", "RECORD.p7s"})
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    ``digest``: over its RECORD, without what differs from one environment to the next (scripts outside the site
    folder, whose first line is a path; compiled bytecode; who installed it). ``requires``: the names it requires, as
    far as they aren't asked for by an extra for building, testing or documenting. ``is_project``: installed from a
    path or a version-control system, so its files count as project code.
    """

    name: str
    version: str
    digest: str
    requires: tuple[str, ...]
    tops: tuple[str, ...]
    record: str
    stamp: tuple[int, ...]
    is_project: bool


def normal_name(name: str) -> str:
    """Write a distribution's name in the one form that compares equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Distributions:
    """What is installed on a search path. Read at first use; ``cache`` is a file of this project's store, or None.

    Not for use by several threads at once. Processes may share the cache file: it is replaced atomically.
    """

    def __init__(self, cache: Path | None = None, search_path: Sequence[str] | None = None) -> None:
        entries = sys.path if search_path is None else search_path
        self._folders = list(dict.fromkeys(os.path.abspath(entry or os.curdir) for entry in entries))
        self._cache = cache
        self._known: dict[str, Distribution] | None = None
        self._owners: dict[str, list[str]] = {}

    def owners(self, module: str) -> tuple[str, ...]:
        """Name the distributions that a module's top-level package belongs to; empty where none."""
        known = self._read()
        names = self._owners.get(module.partition(".")[0], [])
        if len(names) <= 1 or "." not in module:
            return tuple(names)
        exact = [name for name in names if _holds(known[name], module)]
        return tuple(exact or names)

    def get(self, name: str) -> Distribution | None:
        """Give an installed distribution by name."""
        return self._read().get(normal_name(name))

    def state(self) -> str:
        """Give one digest over all that is installed: a plan kept from before holds while this does.

        A module that was missing (``try: import x``) may be there after an installation, and no record names it.
        """
        listed = [[item.name, item.version, item.digest] for _, item in sorted(self._read().items())]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def digests(self, modules: Iterable[str]) -> dict[str, str]:
        """Give ``name -> "version@digest"`` of the distributions that modules belong to, and of all they require.

        Project code (editable, path and version-control installs) and Headrace itself are left out.
        """
        known = self._read()
        found: dict[str, str] = {}
        stack = sorted({name for module in modules for name in self.owners(module)})
        while stack:
            name = stack.pop()
            distribution = known.get(name)
            if distribution is None or name in found or name == "headrace":
                continue
            found[name] = f"{distribution.version}@{distribution.digest}"
            stack.extend(distribution.requires)
        return {name: digest for name, digest in sorted(found.items()) if not known[name].is_project}

    def project_roots(self) -> tuple[str, ...]:
        """Name the installed folders and modules that count as project code."""
        roots = []
        for distribution in self._read().values():
            if distribution.is_project and distribution.name != "headrace":
                site = os.path.dirname(os.path.dirname(distribution.record))
                roots += [os.path.join(site, top) for top in distribution.tops]
                roots += [os.path.join(site, f"{top}.py") for top in distribution.tops]
        return tuple(sorted(root for root in roots if os.path.exists(root)))

    def _read(self) -> dict[str, Distribution]:
        if self._known is None:
            self._known = self._load()
            for distribution in self._known.values():
                for top in distribution.tops:
                    self._owners.setdefault(top, []).append(distribution.name)
        return self._known

    def _load(self) -> dict[str, Distribution]:
        stamps = {folder: _stamp(folder) for folder in self._folders}
        cached = _read_cache(self._cache)
        before = {item.record: item for item in cached.get("distributions", [])}
        if cached.get("folders") == stamps and all(_stamp(item.record) == item.stamp for item in before.values()):
            return {item.name: item for item in before.values()}
        found: dict[str, Distribution] = {}
        for folder in self._folders:
            for record in _records(folder):
                old = before.get(record)
                item = old if old is not None and old.stamp == _stamp(record) else _read_distribution(record)
                if item is not None:
                    found.setdefault(item.name, item)
        self._save(stamps, found)
        return found

    def _save(self, stamps: Mapping[str, tuple[int, ...]], found: Mapping[str, Distribution]) -> None:
        if self._cache is None:
            return
        content = {
            "version": VERSION,
            "folders": stamps,
            "distributions": [asdict(item) for item in found.values()],
        }
        with suppress(OSError):
            write_aside(self._cache, json.dumps(content).encode())


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)


def _read_cache(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            return {}
        return {
            "folders": {folder: tuple(stamp) for folder, stamp in content["folders"].items()},
            "distributions": [_from_json(item) for item in content["distributions"]],
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _from_json(item: Mapping[str, Any]) -> Distribution:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
    return Distribution(**fields)


def _records(folder: str) -> list[str]:
    """List the files that say what is installed in a site folder: RECORD, or METADATA where a packager left it out."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = []
    for name in names:
        if name.endswith(".dist-info"):
            record = os.path.join(folder, name, "RECORD")
            found.append(record if os.path.exists(record) else os.path.join(folder, name, "METADATA"))
        elif name.endswith(".egg-info"):
            inside = os.path.join(folder, name, "PKG-INFO")
            found.append(inside if os.path.exists(inside) else os.path.join(folder, name))
    return [path for path in found if os.path.isfile(path)]


def _read_distribution(record: str) -> Distribution | None:
    folder = os.path.dirname(record)
    is_wheel = folder.endswith(".dist-info")
    metadata_path = os.path.join(folder, "METADATA") if is_wheel else record
    try:
        with open(metadata_path, encoding="utf-8", errors="replace") as file:
            metadata = _headers(file.read())
        with open(record, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    names = metadata.get("name", [])
    if not names:
        return None
    rows = _rows(text) if record.endswith("RECORD") else [[text]]
    return Distribution(
        normal_name(names[0]),
        metadata.get("version", ["0"])[0],
        hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        _requires(metadata.get("requires-dist", [])),
        _tops(rows) if record.endswith("RECORD") else _declared_tops(folder, names[0]),
        record,
        _stamp(record),
        _is_project(folder),
    )


def _headers(text: str) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            headers.setdefault(name.strip().lower(), []).append(value.strip())
    return headers


def _rows(text: str) -> list[list[str]]:
    """Give the RECORD's lines that say the same in every environment."""
    rows = []
    for row in csv.reader(text.splitlines()):
        if not row or row[0].startswith(("..", "/")) or row[0].endswith(".pyc"):
            continue
        if ".dist-info/" in row[0] and row[0].rpartition("/")[2] in _UNCOUNTED:
            continue
        rows.append(row[:2])
    return sorted(rows)


def _tops(rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    tops = set()
    for row in rows:
        first, slash, _ = row[0].partition("/")
        if slash and not first.endswith((".dist-info", ".data")):
            tops.add(first)
        elif not slash and first.endswith((".py", ".so", ".pyd")):
            tops.add(first.partition(".")[0])
    return tuple(sorted(tops))


def _declared_tops(folder: str, name: str) -> tuple[str, ...]:
    with suppress(OSError):
        text = Path(folder, "top_level.txt").read_text(encoding="utf-8")
        return tuple(sorted(set(text.split())))
    return (name.replace("-", "_"),)


def _requires(lines: Iterable[str]) -> tuple[str, ...]:
    names = set()
    for line in lines:
        requirement, _, marker = line.partition(";")
        extra = _EXTRA.search(marker)
        matched = _NAME.match(requirement)
        if matched and not (extra and normal_name(extra[1]) in _BUILD_EXTRAS):
            names.add(normal_name(matched[1]))
    return tuple(sorted(names))


def _is_project(folder: str) -> bool:
    """PEP 610: a folder or a version-control system, not an archive."""
    try:
        direct = json.loads(Path(folder, "direct_url.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(direct, dict) and ("dir_info" in direct or "vcs_info" in direct)


def _holds(distribution: Distribution, module: str) -> bool:
    """Say whether a distribution that shares a namespace has files of a module, by what is on disk."""
    site = Path(distribution.record).parent.parent
    parts = module.split(".")
    try:
        text = Path(distribution.record).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    while len(parts) > 1:
        path = "/".join(parts)
        if f"\n{path}" in f"\n{text}" and (site / path).parent.exists():
            return True
        parts.pop()
    return False
