"""The interpreter's one audit hook and one environment, and who watches them.

An audit hook can't be removed, so it is added once a process, when the first watcher comes; while nobody watches it
looks at one attribute and returns. ``os.environ`` changes its class while somebody watches, and no longer.
"""

# Paths are plain strings here: this runs at every file that a step opens.
# ruff: noqa: PTH100, PTH109, PTH113, PTH118

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from types import CodeType, FrameType
from typing import Any, Protocol

CARRIERS = frozenset(
    {
        "os",
        "_collections_abc",
        "collections.abc",
        "headrace.core.discovery",
        "headrace.core.discovery_hub",
        "abc",
        "contextlib",
        "_weakrefset",
    }
)
"""Modules that only pass on what another asks."""

EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "sqlite3.connect", "subprocess.Popen"})


class Watcher(Protocol):
    """What the hub tells. Called on any thread; must not raise."""

    def opened(self, path: str, *, writes: bool, truncates: bool, frame: FrameType | None) -> None:
        """A file is about to be opened."""

    def listed(self, path: str, frame: FrameType | None) -> None:
        """A folder is about to be listed."""

    def commanded(self, path: str, frame: FrameType | None) -> None:
        """A file is named on a child's command line."""

    def made(self, path: str, source: str | None) -> None:
        """A folder is about to be made, or ``source`` to be renamed to ``path``."""

    def read_variable(self, name: str, value: str | None, frame: FrameType | None) -> None:
        """An environment variable is read."""

    def read_all_variables(self, variables: Mapping[str, str]) -> None:
        """Code goes through the whole environment."""

    def set_variable(self, name: str) -> None:
        """The code sets or removes a variable."""


class Hub:
    """The one place that the interpreter's hook reports to. An audit hook can't be removed, so it is added once."""

    def __init__(self) -> None:
        self._watchers: tuple[Watcher, ...] = ()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._is_hooked = False

    @property
    def is_on(self) -> bool:
        """Whether anybody watches, and this thread isn't reading for them."""
        return bool(self._watchers) and not getattr(self._local, "is_busy", False)

    def add(self, watcher: Watcher) -> None:
        """Tell a watcher from now on."""
        with self._lock:
            if watcher not in self._watchers:
                self._watchers = (*self._watchers, watcher)
            if not self._is_hooked:
                self._is_hooked = True
                sys.addaudithook(self.audit)
            _watch_environment()

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher no more."""
        with self._lock:
            self._watchers = tuple(known for known in self._watchers if known is not watcher)
            if not self._watchers:
                _unwatch_environment()

    def paused(self) -> Pause:
        """Keep what this thread reads meanwhile out of every record."""
        return Pause(self._local)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Pass the interpreter's event on; errors stay the call's own."""
        if not self._watchers or event not in EVENTS or getattr(self._local, "is_busy", False):
            return
        with self.paused():
            try:
                self._report(event, arguments, sys._getframe(1))
            except (OSError, ValueError, TypeError, IndexError):
                return  # a path that isn't one: the call itself will say so

    def _report(self, event: str, arguments: tuple[Any, ...], frame: FrameType | None) -> None:
        if event == "open":
            path = as_path(arguments[0])
            writes, truncates = _intent(arguments[1], arguments[2])
            for watcher in self._watchers if path is not None else ():
                watcher.opened(str(path), writes=writes, truncates=truncates, frame=frame)
        elif event in ("os.listdir", "os.scandir"):
            path = as_path(os.curdir if arguments[0] is None else arguments[0])
            for watcher in self._watchers if path is not None else ():
                watcher.listed(str(path), frame)
        elif event in ("os.mkdir", "os.rename"):
            self._report_made(event, arguments)
        elif event == "sqlite3.connect":
            path = as_path(arguments[0])
            for watcher in self._watchers if path is not None and os.path.isfile(path) else ():
                watcher.opened(str(path), writes=False, truncates=False, frame=frame)
        else:
            self._report_command(arguments, frame)

    def _report_made(self, event: str, arguments: tuple[Any, ...]) -> None:
        first, second = as_path(arguments[0]), as_path(arguments[1])
        made, source = (second, first) if event == "os.rename" else (first, None)
        for watcher in self._watchers if made is not None else ():
            watcher.made(str(made), source)

    def _report_command(self, arguments: tuple[Any, ...], frame: FrameType | None) -> None:
        words = [arguments[0], *(arguments[1] if isinstance(arguments[1], (list, tuple)) else [arguments[1]])]
        folder = arguments[2] or os.getcwd()
        for word in words:
            path = as_path(word, folder) if isinstance(word, (str, os.PathLike)) else None
            for watcher in self._watchers if path is not None and os.path.isfile(path) else ():
                watcher.commanded(str(path), frame)

    def walk_to(self, name: object, frame: FrameType | None) -> None:
        """Note the variable that a walk through the environment has come to, and the instruction that walks."""
        if getattr(self._local, "is_busy", False):
            return  # our own walk, made while the code reads one variable: the next read of it must count too
        self._local.passed = name
        if name is not None:
            self._local.walker = instruction(frame)

    def is_walking(self, name: object, frame: FrameType | None) -> bool:
        """Say whether a variable is read by a walk through all of them (``dict(os.environ)``), which counts as one."""
        if name == getattr(self._local, "passed", None):
            return True
        return getattr(self._local, "walker", None) == instruction(frame)

    def variable(self, name: object, frame: FrameType | None) -> None:
        """Pass on that a variable is read."""
        if not self.is_on or not isinstance(name, (str, bytes)) or self.is_walking(name, frame):
            return
        text = os.fsdecode(name)
        with self.paused():
            value = plain_environment().get(text)
            for watcher in self._watchers:
                watcher.read_variable(text, value, frame)

    def all_variables(self) -> None:
        """Pass on that code goes through the whole environment."""
        if self.is_on:
            with self.paused():
                variables = plain_environment()
                for watcher in self._watchers:
                    watcher.read_all_variables(variables)

    def set_variable(self, name: object) -> None:
        """Pass on that the code sets a variable."""
        if self.is_on and isinstance(name, (str, bytes)):
            for watcher in self._watchers:
                watcher.set_variable(os.fsdecode(name))


class Pause:
    """Keeps the recorder's own reads out of the record, on this thread."""

    def __init__(self, local: threading.local) -> None:
        self._local = local
        self._was_busy = False

    def __enter__(self) -> None:
        self._was_busy = getattr(self._local, "is_busy", False)
        self._local.is_busy = True

    def __exit__(self, *problem: object) -> None:
        self._local.is_busy = self._was_busy


# The interpreter has one environment and keeps an audit hook for life: so there is one hub a process.
HUB = Hub()
_PlainEnviron: type = type(os.environ)


class _RecordingEnviron(_PlainEnviron):  # type: ignore[misc] # os._Environ is private; only its class is swapped
    """``os.environ`` that reports what is read. Equal to the plain one in all else."""

    def __getitem__(self, key: Any) -> Any:
        HUB.variable(key, sys._getframe(1))
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        HUB.set_variable(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        HUB.variable(key, sys._getframe(1))
        HUB.set_variable(key)
        super().__delitem__(key)

    def __iter__(self) -> Iterator[Any]:
        HUB.all_variables()
        try:
            for key in super().__iter__():
                HUB.walk_to(key, sys._getframe(1))
                yield key
        finally:
            HUB.walk_to(None, None)

    def __len__(self) -> int:
        HUB.all_variables()
        return len(self._data)

    def copy(self) -> dict[Any, Any]:
        """Give a plain copy; the whole environment counts as read."""
        HUB.all_variables()
        with HUB.paused():
            return dict(self)


def unseen() -> AbstractContextManager[None]:
    """Keep what this thread reads meanwhile out of every record: Headrace's own reads while a recorder watches."""
    return HUB.paused()


def _watch_environment() -> None:
    for environ in (os.environ, getattr(os, "environb", None)):
        if environ is not None and type(environ) is _PlainEnviron:
            environ.__class__ = _RecordingEnviron


def _unwatch_environment() -> None:
    for environ in (os.environ, getattr(os, "environb", None)):
        if environ is not None and type(environ) is _RecordingEnviron:
            environ.__class__ = _PlainEnviron


def plain_environment() -> dict[str, str]:
    """Read the environment unseen."""
    with HUB.paused():
        return dict(os.environ)


def as_path(value: object, folder: str | os.PathLike[str] | None = None) -> str | None:
    """Give the absolute path that an event names; None for a descriptor, or a name that isn't a file's."""
    if isinstance(value, int) or not isinstance(value, (str, bytes, os.PathLike)):
        return None
    name = os.fsdecode(value)
    if not name or name.startswith(":"):
        return None
    return os.path.abspath(os.path.join(folder, name) if folder is not None else name)


def _intent(mode: object, flags: object) -> tuple[bool, bool]:
    """Say of an open whether it writes, and whether what was there is lost."""
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+"), "w" in mode or "x" in mode
    if isinstance(flags, int):
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        return writes, bool(flags & os.O_TRUNC) or (bool(flags & os.O_EXCL) and writes)
    return False, False


def instruction(frame: FrameType | None) -> tuple[CodeType, int] | None:
    """Name the instruction under way outside the modules that only pass a question on."""
    while frame is not None and frame.f_globals.get("__name__") in CARRIERS:
        frame = frame.f_back
    return (frame.f_code, frame.f_lasti) if frame is not None else None
