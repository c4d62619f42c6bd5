"""Data files that reached code names by a string constant: they count by content."""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH112, PTH113, PTH118, PTH120, PTH109

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from headrace.core.project import Project
from headrace.core.reach_modules import Modules
from headrace.core.stamps import Stamps

_MAX_LENGTH = 300
_GLOB = frozenset("*?[")
_PATTERN = re.compile(r"[\w\-./ *?\[\]!]*(/[\w\-./ *?\[\]!]*|\.\w{1,8})")
"""What a file pattern is written with: a slash or an ending. A regular expression has more, or neither."""

_WORD = re.compile(r"\w{2}")
_LIVE = ("/proc/", "/sys/", "/dev/", "/run/")
"""What is there changes by itself."""


class Files:
    """Finds the files that constants name, with one listing of the project for all of them."""

    def __init__(self, project: Project, stamps: Stamps) -> None:
        self._project = project
        self._stamps = stamps
        self._by_name: dict[str, list[str]] | None = None

    def named(self, strings: Iterable[tuple[str, str]], modules: Modules) -> dict[str, str]:
        """Give ``label -> content digest`` of the files named by ``(module, constant)``.

        A constant names a file relative to the working folder, the project's root or its module's folder; or it is the
        end of the path of a project file that is no Python source. A constant with ``*`` names all files it matches,
        and the data folder that it looks in, for files yet to come; one with a slash may name a folder of the project.
        Constants of the ready-made steps name files that they write; what they read of a project is their arguments.
        """
        found: dict[str, str] = {}
        for module, text in sorted(strings):
            if module.startswith("headrace.steps") or not _may_be_path(text):
                continue
            place = modules.place(module)
            folder = os.path.dirname(place.path) if place is not None and place.path else None
            for path in self._paths(text, folder):
                label = self._project.relative(path)
                if label not in found:
                    digest = self.digest(Path(path))
                    if digest is not None:
                        found[label] = digest
        return found

    def digest(self, path: Path) -> str | None:
        """Give the digest of a file's or folder's content; None where it can't be read."""
        try:
            return self._stamps.digest_path(path)
        except OSError:
            return None

    def _paths(self, text: str, folder: str | None) -> Iterator[str]:
        bases = [os.getcwd(), str(self._project.root), *([folder] if folder else [])]
        if _GLOB & set(text):
            yield from self._matching(text, bases)
            return
        for base in bases:
            path = os.path.normpath(os.path.join(base, text))
            if path.startswith(_LIVE) or f"{os.sep}.headrace{os.sep}" in path:
                continue
            if os.path.isfile(path) or (self._is_data_folder(path) and "/" in text):
                yield path
        ending = text.replace(os.sep, "/").lstrip("./")
        for relative in self._index().get(ending.rpartition("/")[2], ()):
            if relative == ending or relative.endswith(f"/{ending}"):
                yield os.path.join(self._project.root, relative)

    def _is_data_folder(self, path: str) -> bool:
        inside = self._project.inside(path)
        if inside in (None, ".", "") or not os.path.isdir(path):
            return False
        return not any(part.startswith(".") for part in str(inside).split("/")) and not _has_python(path)

    def _matching(self, text: str, bases: Iterable[str]) -> Iterator[str]:
        if not _PATTERN.fullmatch(text) or not _WORD.search(text):
            return
        patterns = {os.path.normpath(os.path.join(base, text)) for base in bases}
        for pattern in sorted(patterns):
            folder = os.path.dirname(pattern[: min(pattern.index(mark) for mark in _GLOB if mark in pattern)])
            if self._is_data_folder(folder):
                yield folder
        ending = f"*/{text.removeprefix('./')}"
        for names in self._index().values():
            for relative in names:
                path = os.path.join(self._project.root, relative)
                if fnmatch.fnmatchcase(f"/{relative}", ending) or any(
                    fnmatch.fnmatchcase(path, pattern) for pattern in patterns
                ):
                    yield path

    def _index(self) -> dict[str, list[str]]:
        if self._by_name is None:
            self._by_name = {}
            for relative in self._project.files():
                if not relative.endswith((".py", ".pyc")):
                    self._by_name.setdefault(relative.rpartition("/")[2], []).append(relative)
        return self._by_name


def _may_be_path(text: str) -> bool:
    return 0 < len(text) <= _MAX_LENGTH and text.isprintable() and text.strip("./\\ ") != ""


def _has_python(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".py") for entry in entries)
