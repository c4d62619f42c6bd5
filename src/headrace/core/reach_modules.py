"""Where modules are: project source, a compiled part of the project, a folder of a namespace package, or foreign.

Nothing is imported to find out. Facts are read once per source.
"""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100, PTH110, PTH118, PTH119, PTH120, PTH123, PTH206

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import Any

from headrace.core.project import Project, file_of
from headrace.core.reach_effects import Effects
from headrace.core.reach_facts import ModuleFacts, facts_of

STANDARD_LIBRARY = frozenset(sys.stdlib_module_names) | frozenset(sys.builtin_module_names)


@dataclass(frozen=True)
class Place:
    """Where a module is. ``path`` is empty for a namespace package; ``folders`` are where its submodules are."""

    name: str
    path: str
    is_package: bool
    folders: tuple[str, ...]


class Modules:
    """Finds the project's modules and keeps their facts, one reading for all steps of a run."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._places: dict[str, Place | None] = {}
        self._facts: dict[str, ModuleFacts | None] = {}
        self.effects = Effects(self)

    def place(self, name: str) -> Place | None:
        """Give the place of a project module; None for a foreign or absent one."""
        if name not in self._places:
            self._places[name] = self._find(name)
        return self._places[name]

    def facts(self, name: str) -> ModuleFacts | None:
        """Give a project module's facts; None for one without Python source that parses."""
        if name not in self._facts:
            self._facts[name] = self._read(name)
        return self._facts[name]

    def label(self, place: Place) -> str:
        """Give the module's project-relative path; a namespace package's is its dotted name."""
        return self.project.relative(place.path) if place.path else place.name.replace(".", "/")

    def every_module(self) -> list[str]:
        """Name all modules under the root, by the name they would be imported as."""
        roots = [os.path.abspath(entry or os.curdir) for entry in sys.path]
        loaded = {
            os.path.abspath(origin): name
            for name, module in list(sys.modules.items())
            if name != "__main__" and (origin := file_of(module)) is not None
        }
        names = []
        for relative in self.project.files(suffix=".py"):
            path = os.path.join(self.project.root, relative)
            name = loaded.get(os.path.abspath(path)) or _module_name(path, roots, str(self.project.root))
            if not _is_headrace(name):
                self._places.setdefault(name, _place_of_file(name, path))
                names.append(name)
        return names

    def _find(self, name: str) -> Place | None:
        top = name.partition(".")[0]
        if _is_headrace(name) or (top in STANDARD_LIBRARY and not self._shadowed(name)):
            return None
        loaded = self._loaded(name)
        if loaded is not None:
            return loaded
        parent, _, _ = name.rpartition(".")
        if not parent:
            return self._checked(name, _find_spec(name, None))
        above = self.place(parent)
        if above is None or not above.folders:
            return None
        return self._checked(name, _find_spec(name, above.folders))

    def _shadowed(self, name: str) -> bool:
        """A project may have a module named as one of the standard library; if it is loaded, it is that one."""
        origin = file_of(sys.modules.get(name.partition(".")[0]))
        return origin is not None and name != "__main__" and self.project.inside(origin) is not None

    def _loaded(self, name: str) -> Place | None:
        module = sys.modules.get(name)
        origin = file_of(module)
        if origin is None or not os.path.exists(origin):
            return None
        if not self.project.is_project_file(origin):
            return None
        folders = tuple(vars(module).get("__path__", ()))
        return Place(name, os.path.abspath(origin), bool(folders), folders)

    def _checked(self, name: str, spec: importlib.machinery.ModuleSpec | None) -> Place | None:
        if spec is None:
            return None
        folders = tuple(spec.submodule_search_locations or ())
        if spec.origin is None or not spec.has_location:
            inside = [folder for folder in folders if self.project.is_project_file(os.path.join(folder, "x.py"))]
            return Place(name, "", True, folders) if inside else None
        if not self.project.is_project_file(spec.origin):
            return None
        return Place(name, os.path.abspath(spec.origin), bool(folders), folders)

    def _read(self, name: str) -> ModuleFacts | None:
        place = self.place(name)
        if place is None or not place.path.endswith(".py"):
            return None
        try:
            with open(place.path, "rb") as file:
                source = file.read()
            digest = hashlib.sha256(source).hexdigest()
            return facts_of(source, digest, _own_name(name), self.label(place), is_package=place.is_package)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _own_name(name: str) -> str:
    """``__main__`` run with ``-m`` knows the name it would be imported as; relative imports go by it."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None) if name == "__main__" else None
    return spec.name if spec is not None else name


def _is_headrace(name: str) -> bool:
    """Headrace's own modules don't count, so that a patch release doesn't void every cache; its steps do."""
    if name == "headrace" or name.startswith("headrace."):
        return not (name == "headrace.steps" or name.startswith("headrace.steps."))
    return False


def _find_spec(name: str, folders: Sequence[str] | None) -> Any:
    if name == "headrace.steps" or name.startswith("headrace.steps."):
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        top = [package] if name == "headrace.steps" else list(folders or ())
        return importlib.machinery.PathFinder.find_spec(name, top)
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None or not isinstance(finder, (type, MetaPathFinder, object)):
            continue
        if getattr(finder, "records_sources", False) or type(finder).__module__.startswith("_pytest"):
            continue
        try:
            spec = find(name, list(folders) if folders is not None else None)
        except (ImportError, AttributeError, ValueError, TypeError):
            continue
        if spec is not None:
            return spec
    return None


def _module_name(path: str, roots: Sequence[str], fallback: str) -> str:
    holders = [root for root in roots if path.startswith(root.rstrip(os.sep) + os.sep)]
    relative = os.path.relpath(path, max(holders, key=len, default=fallback))
    parts = relative.removesuffix(".py").split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _place_of_file(name: str, path: str) -> Place:
    is_package = os.path.basename(path) == "__init__.py"
    return Place(name, path, is_package, (os.path.dirname(path),) if is_package else ())
