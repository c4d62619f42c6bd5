"""Loads project modules so that it is known which source each came from, and says when source and code differ.

Python's own bytecode cache trusts a file's time in whole seconds and its size: an edit within one second that keeps the
length is missed, and the old code runs. Project modules are loaded from source here, through a bytecode cache named
by the source's digest. That is also fast where writing ``__pycache__`` is forbidden.
"""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import marshal
import os
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path

from headrace.core.project import Project, file_of
from headrace.core.reach_values import code_digest
from headrace.core.stamps import write_aside


class SourceFinder(MetaPathFinder):
    """Finds what the finders after it find, and takes over the loading of the project's Python sources.

    It stands before the ordinary path finder and after those that a test runner or a tool puts first.
    """

    records_sources = True

    def __init__(self, project: Project, cache: Path | None) -> None:
        self._project = project
        self._cache = cache
        self._busy: set[str] = set()
        self.sources: dict[str, tuple[str, str]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Give the spec that the next finders give, with our loader where it is project source."""
        following = sys.meta_path[sys.meta_path.index(self) + 1 :] if self in sys.meta_path else []
        for finder in following:
            find = getattr(finder, "find_spec", None)
            spec = find(fullname, path, target) if find is not None else None
            if spec is not None:
                return self._taken_over(fullname, spec)
        return None

    def _taken_over(self, name: str, spec: importlib.machinery.ModuleSpec) -> importlib.machinery.ModuleSpec:
        is_source = type(spec.loader) is importlib.machinery.SourceFileLoader and spec.origin is not None
        if is_source and self._project.is_project_file(str(spec.origin)):
            spec.loader = SourceLoader(name, str(spec.origin), self)
        return spec

    def compiled(self, source: bytes, path: str) -> types.CodeType:
        """Compile a source, or take its bytecode from the cache. Raises SyntaxError as the compiler does."""
        place = self._place(source, path)
        code = _read_code(place)
        if code is None:
            code = compile(source, path, "exec", dont_inherit=True)
            if place is not None:
                payload = marshal.dumps(code)
                with suppress(OSError):
                    write_aside(place, hashlib.sha256(payload).digest() + payload)
        return code

    def _place(self, source: bytes, path: str) -> Path | None:
        if self._cache is None:
            return None
        digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
        digest.update(f"{sys.implementation.cache_tag} {sys.flags.optimize} {path}\0".encode())
        digest.update(source)
        name = digest.hexdigest()
        return self._cache / name[:2] / name


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Loads one module from its source and notes the source's digest."""

    def __init__(self, fullname: str, path: str, finder: SourceFinder) -> None:
        super().__init__(fullname, path)
        self._finder = finder

    def get_code(self, fullname: str) -> types.CodeType:
        """Compile the source as it is now; a stale ``.pyc`` isn't looked at."""
        path = self.get_filename(fullname)
        source = self.get_data(path)
        code = self._finder.compiled(source, path)
        self._finder.sources[fullname] = (os.path.abspath(path), hashlib.sha256(source).hexdigest())
        return code


def install_loader(project: Project, cache: Path | None = None) -> SourceFinder:
    """Load the project's modules through us from now on, in this process; ``cache`` is a folder for bytecode.

    Modules already loaded stay as they are. Installing for a project again gives the same finder.
    """
    for finder in _finders():
        if finder._project == project:
            return finder
    finder = SourceFinder(project, cache)
    kinds = [getattr(known, "__name__", "") for known in sys.meta_path]
    sys.meta_path.insert(kinds.index("PathFinder") if "PathFinder" in kinds else len(kinds), finder)
    return finder


def uninstall_loader(finder: SourceFinder) -> None:
    """Leave loading to Python again; what was loaded stays known to the finder."""
    with suppress(ValueError):
        sys.meta_path.remove(finder)


def loaded_sources() -> Mapping[str, tuple[str, str]]:
    """Give ``module name -> (path, sha256 of the source it was loaded from)`` of the project modules loaded by us."""
    return {name: source for finder in _finders() for name, source in finder.sources.items() if name in sys.modules}


def source_changes(modules: Mapping[str, str], project: Project | None = None) -> list[str]:
    """Say what differs between expected sources, the loaded code and the disk; empty: nothing.

    ``modules``: module name -> sha256 of its source (``StepCode.modules`` without the paths, or with them as
    ``(path, sha256)`` pairs). A module that we loaded is compared by its source's digest; one loaded otherwise (a
    script, a test) by compiling the source on disk and comparing its functions with the loaded ones. A module that
    isn't loaded yet is compared on disk.
    """
    loaded = loaded_sources()
    found = []
    for name, expected in modules.items():
        label, digest = expected if isinstance(expected, tuple) else (None, expected)
        path = _path_of(name, label, loaded, project)
        problem = _change(name, path, digest, loaded.get(name))
        if problem is not None:
            found.append(f"{label or path or name} {problem}")
    return found


def _change(name: str, path: str | None, expected: str, loaded: tuple[str, str] | None) -> str | None:
    if loaded is not None and loaded[1] != expected:
        return "was loaded in another version than the plan's"
    if path is None:
        return "isn't here any more"
    try:
        source = Path(path).read_bytes()
    except OSError:
        return "can't be read any more"
    if hashlib.sha256(source).hexdigest() != expected:
        return "changed on disk"
    if loaded is None and path.endswith(".py") and not _code_agrees(name, source, path):
        return "was changed after it was loaded"
    return None


def _path_of(
    name: str, label: str | None, loaded: Mapping[str, tuple[str, str]], project: Project | None
) -> str | None:
    if name in loaded:
        return loaded[name][0]
    origin = file_of(sys.modules.get(name))
    if origin is not None:
        return os.path.abspath(origin)
    if label is not None and project is not None:
        path = project.resolve(label)
        return str(path) if path.exists() else None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


def _code_agrees(name: str, source: bytes, path: str) -> bool:
    """Compare the functions of a module that something else loaded with those that the source on disk compiles to.

    Code that a loader rewrote (a test runner's assertions) can't be compared; there the disk alone is judged.
    """
    module = sys.modules.get(name)
    loader = vars(module).get("__loader__") if module is not None else None
    if module is None or not (loader is None or type(loader) is importlib.machinery.SourceFileLoader):
        return True
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    on_disk = _digests(code)
    here = os.path.abspath(path)
    for function in _functions(module):
        held = function.__code__
        if os.path.abspath(held.co_filename) == here and code_digest(held) not in on_disk.get(held.co_qualname, ()):
            return False
    return True


def _digests(code: types.CodeType) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    stack = [code]
    while stack:
        item = stack.pop()
        found.setdefault(item.co_qualname, set()).add(code_digest(item))
        stack.extend(constant for constant in item.co_consts if isinstance(constant, types.CodeType))
    return found


def _functions(module: types.ModuleType) -> list[types.FunctionType]:
    """Give the functions that a module's namespace holds: plain ones, wrapped ones, methods."""
    found: list[types.FunctionType] = []
    seen: set[int] = set()
    stack: list[object] = list(vars(module).values())
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, types.FunctionType):
            found.append(item)
            stack.append(getattr(item, "__wrapped__", None))
        elif isinstance(item, type) and item.__module__ == module.__name__:
            stack.extend(vars(item).values())
        elif isinstance(item, (staticmethod, classmethod)):
            stack.append(item.__func__)
        elif isinstance(item, property):
            stack.extend((item.fget, item.fset, item.fdel))
    return found


def _finders() -> list[SourceFinder]:
    return [finder for finder in sys.meta_path if isinstance(finder, SourceFinder)]


def _read_code(place: Path | None) -> types.CodeType | None:
    """Read cached bytecode; one that is cut short or damaged counts as absent."""
    if place is None:
        return None
    try:
        data = place.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return None
    try:
        code = marshal.loads(data[32:])
    except (ValueError, EOFError, TypeError):
        return None
    return code if isinstance(code, types.CodeType) else None
