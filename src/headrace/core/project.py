"""The project: which files are its own code, and what they are called wherever it is checked out."""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH119, PTH120, PTH206, PTH117

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from headrace.core.stamps import Stamps

SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})
SKIPPED_FOLDERS = SITE_FOLDERS | {"__pycache__", "node_modules", "__pypackages__"}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass(frozen=True)
class Project:
    """A folder of code with a ``pyproject.toml``, or any folder.

    ``installed`` are import roots or package folders inside ``site-packages`` that count as project code all the same:
    distributions installed from a path or a version-control system.
    """

    root: Path
    installed: tuple[str, ...] = ()

    @classmethod
    def find(cls, start: Path) -> Project:
        """Give the project around a file or folder: the nearest folder upward with a ``pyproject.toml``.

        Where there is none, the folder itself (a file's folder).
        """
        place = Path(os.path.abspath(start))
        folder = place.parent if place.is_file() else place
        for candidate in (folder, *folder.parents):
            if (candidate / "pyproject.toml").is_file():
                return cls(candidate)
        return cls(folder)

    @cached_property
    def _prefix(self) -> str:
        return os.path.abspath(self.root).rstrip(os.sep) + os.sep

    @cached_property
    def _real_prefix(self) -> str:
        return os.path.realpath(self.root).rstrip(os.sep) + os.sep

    def inside(self, path: str | Path) -> str | None:
        """Give a path relative to the root, posix, or None where it is outside."""
        name = os.path.abspath(path)
        for prefix in (self._prefix, self._real_prefix):
            if name.startswith(prefix):
                return name[len(prefix) :].replace(os.sep, "/")
        return "." if name + os.sep in (self._prefix, self._real_prefix) else None

    def is_project_file(self, path: str | Path) -> bool:
        """Say whether a file is code of the project, followed line by line, and not a library, counted as a whole.

        Project code is: Python files under the root (not in a virtual environment, a hidden folder or
        ``site-packages``); editable, path and version-control installs; modules on ``sys.path`` that belong to no
        distribution; ``headrace.steps``.
        """
        name = os.path.abspath(path)
        if _is_inside(name, _PACKAGE):
            return _is_inside(name, os.path.join(_PACKAGE, "steps"))
        relative = self.inside(name)
        if relative is not None and not self._is_skipped(relative):
            return True
        if any(name == root or _is_inside(name, root) for root in self.installed):
            return True
        if _is_library(name):
            return False
        return relative is None and import_root(name) is not None

    def _is_skipped(self, relative: str) -> bool:
        folders = relative.split("/")[:-1]
        if any(part in SKIPPED_FOLDERS or part.startswith(".") for part in folders):
            return True
        place = self._prefix
        for part in folders:
            place = os.path.join(place, part)
            if os.path.exists(os.path.join(place, "pyvenv.cfg")):
                return True
        return False

    def relative(self, path: str | Path) -> str:
        """Name a file the same in every checkout.

        Posix, relative to the root when inside, else to the import root it was found on, else absolute.
        """
        name = os.path.abspath(path)
        inside = self.inside(name)
        if inside is not None:
            return inside
        root = import_root(name)
        if root is not None:
            return os.path.relpath(name, root).replace(os.sep, "/")
        return name.replace(os.sep, "/")

    def resolve(self, label: str) -> Path:
        """Find the file that ``relative`` named: below the root if it is there, else below an import root."""
        if os.path.isabs(label):
            return Path(label)
        own = self.root / label
        if own.exists():
            return own
        for entry in sys.path:
            if entry and os.path.exists(os.path.join(entry, label)):
                return Path(entry, label)
        return own

    def files(self, *, suffix: str | None = None) -> Iterator[str]:
        """Yield the project's own files as posix paths relative to the root, in one order everywhere."""
        stack = [""]
        while stack:
            prefix = stack.pop()
            folders, names = [], []
            try:
                entries = list(os.scandir(self._prefix + prefix))
            except OSError:
                continue
            names_here = {entry.name for entry in entries}
            if prefix and ("pyvenv.cfg" in names_here or {"store.json", "objects"} <= names_here):
                continue  # a virtual environment, or a store
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in SKIPPED_FOLDERS:
                        folders.append(f"{prefix}{entry.name}/")
                elif suffix is None or entry.name.endswith(suffix):
                    names.append(prefix + entry.name)
            yield from sorted(names)
            stack.extend(sorted(folders, reverse=True))

    def source_digest(self, stamps: Stamps, *, roots: Iterable[str | Path] = ()) -> str:
        """Give one digest over the project's Python sources and ``pyproject.toml``.

        ``roots``: more folders or files of code (``loaded_roots`` of the run that the digest is compared with).
        """
        digest = hashlib.sha256()
        for relative in (*self.files(suffix=".py"), "pyproject.toml"):
            _add(digest, relative, self._prefix + relative, stamps)
        for root in sorted(str(root) for root in roots):
            label = self.relative(root)
            if os.path.isdir(root):
                for relative in Project(Path(root)).files(suffix=".py"):
                    _add(digest, f"{label}/{relative}", os.path.join(root, relative), stamps)
            else:
                _add(digest, label, root, stamps)
        return digest.hexdigest()

    def loaded_roots(self) -> tuple[str, ...]:
        """Name the top-level packages and modules of project code outside the root that are loaded in this process."""
        found: set[str] = set()
        for name, module in list(sys.modules.items()):
            origin = file_of(module)
            if "." in name or origin is None or not origin.endswith(".py"):
                continue
            if self.inside(origin) is None and self.is_project_file(origin):
                found.add(os.path.dirname(origin) if os.path.basename(origin) == "__init__.py" else origin)
        return tuple(sorted(found))


def file_of(module: object) -> str | None:
    """Give a loaded module's ``__file__``; its ``__getattr__``, which may import, isn't asked."""
    origin = getattr(module, "__dict__", {}).get("__file__")
    return origin if isinstance(origin, str) else None


def import_root(path: str) -> str | None:
    """Give the longest entry of ``sys.path`` that holds a file; None where none does."""
    holders = [root for root in map(os.path.abspath, filter(None, sys.path)) if _is_inside(path, root)]
    return max(holders, key=len, default=None)


def _is_library(name: str) -> bool:
    if any(part in SITE_FOLDERS for part in name.split(os.sep)):
        return True
    return _is_inside(name, os.path.dirname(os.path.abspath(os.__file__)))


def _is_inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _add(digest: hashlib._Hash, label: str, path: str, stamps: Stamps) -> None:
    try:
        content = stamps.digest_file(path)
    except OSError:
        content = "absent"
    digest.update(f"{label}\0{content}\n".encode())
