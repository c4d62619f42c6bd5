"""What running code reads besides its arguments: files, folder listings, environment variables.

A recorder watches the interpreter's audit events (``open``, ``os.listdir``, ``os.scandir``, ``sqlite3.connect``,
``subprocess.Popen``) and stands in for ``os.environ``. What it saw is kept with a step's result, as a compiler keeps
a dependency file, and must be unchanged for the result to be used again.

What can't be seen, and so isn't counted:

- whether a path exists or what ``os.stat`` says of it, unless it is then opened or listed;
- reads by native libraries that open files themselves, unless a constant in the code names the path;
- sockets, and so databases and services; what a child process reads, apart from project files on its command line;
- environment variables that native code reads (``getenv`` in C), or that a child process inherits.
"""

# Paths are plain strings here: building a Path for each file of a project takes milliseconds.
# ruff: noqa: PTH100, PTH110, PTH111, PTH112, PTH116, PTH118, PTH120

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from headrace.core.discovery_hub import CARRIERS, HUB, unseen
from headrace.core.project import Project
from headrace.core.reach_normal import words
from headrace.core.stamps import Stamps

__all__ = ["Discovered", "Recorder", "unseen"]

ABSENT = "absent"
UNSTABLE = "changed while it was read"
NAMES = "*"
"""In ``environment``: the set of variables that aren't ambient; code went through all of them."""

AMBIENT = words(
    """
    HOME PATH PWD OLDPWD SHLVL _ TERM TERM_PROGRAM TERMINFO COLORTERM NO_COLOR FORCE_COLOR CLICOLOR COLUMNS
    LINES TMPDIR TEMP TMP LANG LANGUAGE LOGNAME USER USERNAME SHELL EDITOR PAGER HOSTNAME DISPLAY
    WAYLAND_DISPLAY MAIL TZ SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_TTY LD_LIBRARY_PATH VIRTUAL_ENV
    CONDA_PREFIX CONDA_DEFAULT_ENV PYTEST_CURRENT_TEST PYTEST_VERSION PYTEST_XDIST_WORKER
    PYTEST_XDIST_TESTRUNUID PYTHONHASHSEED PYTHONPATH PYTHONHOME INVOCATION_ID JOURNAL_STREAM OMP_NUM_THREADS
    OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS VECLIB_MAXIMUM_THREADS BLIS_NUM_THREADS
    POLARS_MAX_THREADS RAYON_NUM_THREADS ARROW_NUM_THREADS NUMBA_NUM_THREADS MAX_JOBS MPLCONFIGDIR MPLBACKEND
    PROCESSOR_IDENTIFIER WINDOWID HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy
    all_proxy SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NETRC GOOGLE_APPLICATION_CREDENTIALS
    CI JOBLIB_TEMP_FOLDER LOKY_MAX_CPU_COUNT LOKY_PICKLER NUMBA_CACHE_DIR KMP_INIT_AT_FORK KMP_DUPLICATE_LIB_OK
    KMP_AFFINITY _RJEM_MALLOC_CONF
    """
)
"""Variables that say where and how a process runs; they don't count when a library reads them."""

_NO_FOLDER = ["\0"]
AMBIENT_STARTS = tuple(
    sorted(
        words("XDG_ LC_ PYTHON HEADRACE_ COVERAGE_ COV_CORE_ DBUS_ GITHUB_ CI_ VSCODE_ JPY_ AWS_ AZURE_ KUBERNETES_")
    )
)
_SYSTEM = tuple(f"/{name}/" for name in ["usr", "etc", "proc", "sys", "dev", "lib", "lib64", "bin", "sbin", "run"])
_CODE_READERS = (
    "importlib",
    "linecache",
    "traceback",
    "tokenize",
    "inspect",
    "warnings",
    "pkgutil",
    "runpy",
    "zipimport",
)


@dataclass(frozen=True)
class Discovered:
    """What was read: ``files`` and ``listings`` label -> digest (or ``absent``), ``environment`` name -> HMAC.

    Labels of files inside the project are relative to its root. Values of variables aren't kept, only their
    HMAC-SHA256 under a salt of the store's.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    listings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.files or self.listings or self.environment)

    def to_json(self) -> dict[str, Any]:
        """The form that records keep."""
        return {
            "files": dict(sorted(self.files.items())),
            "listings": dict(sorted(self.listings.items())),
            "environment": dict(sorted(self.environment.items())),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Discovered:
        """Read the form that records keep."""
        return cls(dict(data["files"]), dict(data["listings"]), dict(data["environment"]))

    def merge(self, later: Discovered) -> Discovered:
        """Join with what was read later (the import of the modules, then the call).

        What was read twice with different contents is kept as unstable: it is a hit for nobody.
        """
        return Discovered(
            _joined(self.files, later.files),
            _joined(self.listings, later.listings),
            _joined(self.environment, later.environment),
        )

    def changes(
        self, project: Project, stamps: Stamps, salt: bytes, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """Say what isn't as it was read: ``data/rates.csv changed``; empty: all of it still holds.

        ``environment``: that of the process which would read again; this one's by default.
        """
        found = []
        variables = os.environ if environment is None else environment
        for label, before in self.files.items():
            if before == UNSTABLE or (now := _file_digest(project.resolve(label), stamps)) != before:
                found.append(f"{label} {_verb(before, '' if before == UNSTABLE else now)}")
        for label, before in self.listings.items():
            if before == UNSTABLE or (now := _listing_digest(_names(str(project.resolve(label))))) != before:
                found.append(f"the list of files in {label} {_verb(before, '' if before == UNSTABLE else now)}")
        for name, before in self.environment.items():
            now = _names_digest(variables, salt) if name == NAMES else _value_digest(variables.get(name), salt)
            if now != before:
                what = "the set of environment variables" if name == NAMES else f"environment variable {name}"
                found.append(f"{what} {'changed' if name == NAMES else _verb(before, now)}")
        return found


def _joined(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    joined = {**first, **second}
    for name in first.keys() & second.keys():
        if first[name] != second[name]:
            joined[name] = UNSTABLE
    return joined


def _verb(before: str, now: str) -> str:
    if before == UNSTABLE:
        return UNSTABLE
    return "was added" if before == ABSENT else "was removed" if now == ABSENT else "changed"


class Recorder:
    """Watches what this process reads between ``start`` and ``stop``, on all threads.

    ``ignore``: files and folders that don't count (the store, scratch space, inputs that are known otherwise). Several
    recorders may run at once; each sees everything.
    """

    def __init__(self, project: Project, ignore: Iterable[Path | str] = ()) -> None:
        self._project = project
        self._ignored = tuple(os.path.abspath(path) for path in ignore)
        self._own_folders = _library_folders()
        self._lock = threading.Lock()
        self._files: dict[str, tuple[int, ...]] = {}
        self._written: set[str] = set()
        self._listings: dict[str, list[str] | None] = {}
        self._environment: dict[str, str | None] = {}
        self._set: set[str] = set()
        self._all_names: str | None = None

    def start(self) -> None:
        """Begin to watch."""
        HUB.add(self)

    def stop(self) -> None:
        """Cease to watch. What was seen stays."""
        HUB.remove(self)

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def snapshot(self, stamps: Stamps, salt: bytes) -> Discovered:
        """Give what was seen so far, with the digests of the contents.

        A file that changed between the read and now counts as unstable, since what the code saw can't be known.
        """
        with self._lock:
            seen, listings = dict(self._files), dict(self._listings)
            variables = dict(self._environment)
            names = self._all_names
        files = {}
        with HUB.paused():
            for path, status in seen.items():
                digest = _file_digest(Path(path), stamps)
                files[self._project.relative(path)] = digest if status == _status(path) else UNSTABLE
            found = {self._project.relative(path): self._left(path, held) for path, held in listings.items()}
        environment = {name: _value_digest(value, salt) for name, value in variables.items()}
        if names is not None:
            environment[NAMES] = _hmac(names, salt)
        return Discovered(files, found, environment)

    def _left(self, folder: str, names: list[str] | None) -> str:
        """Give the digest of a folder's list as the code leaves it: what it found, and what it has put there itself."""
        if names is None:
            return UNSTABLE
        if names == _NO_FOLDER:
            return ABSENT
        now = _names(folder)
        own = set(now) - set(self._unwritten(folder, now)) if now != _NO_FOLDER else set()
        return _listing_digest(sorted({*names, *own}))

    # events, called by the hub

    def opened(self, path: str, *, writes: bool, truncates: bool, frame: FrameType | None) -> None:
        """Note that a file is about to be opened."""
        if self._is_ignored(path):
            return
        status = _status(path)
        with self._lock:
            if writes and (truncates or not status):
                self._written.add(path)
            if truncates or path in self._written or path in self._files:
                return
        caller = _caller(frame, CARRIERS)
        if path.endswith((".py", ".pyc")) and caller.startswith(_CODE_READERS):
            return
        if caller == "shutil" and not status:
            return  # a removal of a tree opens its folders by names that are relative to another
        if self._is_library_file(path, frame) or os.path.isdir(path):
            return
        with self._lock:
            self._files.setdefault(path, status)

    def listed(self, path: str, frame: FrameType | None) -> None:
        """Note that a folder is about to be listed."""
        if self._is_ignored(path) or _caller(frame, CARRIERS).startswith(_CODE_READERS):
            return
        if self._is_library_file(path, frame):
            return
        names = self._unwritten(path, _names(path))
        with self._lock:
            if self._listings.setdefault(path, names) != names:
                self._listings[path] = None

    def made(self, path: str, source: str | None) -> None:
        """Note a folder that the code makes, or a file that it renames: its own, if the file was before.

        Reading what the code made itself is no dependency.
        """
        with self._lock:
            is_own = source in self._written if source is not None else not os.path.exists(path)
            if is_own and path not in self._files:
                self._written.add(path)

    def commanded(self, path: str, frame: FrameType | None) -> None:
        """Note a file that is named on a child's command line; a project's counts."""
        if self._project.inside(path) is not None:
            self.opened(path, writes=False, truncates=False, frame=frame)

    def read_variable(self, name: str, value: str | None, frame: FrameType | None) -> None:
        """Note that an environment variable is read."""
        with self._lock:
            if name in self._set or name in self._environment:
                return
        if _is_ambient(name) and not self._is_own_read(frame):
            return
        with self._lock:
            self._environment.setdefault(name, value)

    def read_all_variables(self, variables: Mapping[str, str]) -> None:
        """Note that code goes through the whole environment: every variable that isn't ambient counts."""
        with self._lock:
            counted = {
                name: value for name, value in variables.items() if name not in self._set and not _is_ambient(name)
            }
            for name, value in counted.items():
                self._environment.setdefault(name, value)
            if self._all_names is None:
                self._all_names = "\0".join(sorted(counted))

    def set_variable(self, name: str) -> None:
        """Note that the code sets a variable itself."""
        with self._lock:
            if name not in self._environment:
                self._set.add(name)

    # what counts

    def _is_ignored(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder + os.sep) for folder in self._ignored)

    def _is_library_file(self, path: str, frame: FrameType | None) -> bool:
        """Files of the interpreter, of libraries and of the system don't count, unless the project is among them."""
        inside = self._project.inside(path)
        if inside is not None:
            parts = inside.split("/")
            return any(part in ("site-packages", "__pycache__", ".venv", ".headrace", ".git") for part in parts)
        if (path + os.sep).startswith((*self._own_folders, *_SYSTEM)):
            return True
        home = os.path.expanduser("~") + os.sep
        return path.startswith(home + ".") and not self._is_project_caller(frame)

    def _is_project_caller(self, frame: FrameType | None) -> bool:
        """Say whether the nearest code outside the standard library is the project's."""
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith("<") and not _is_standard(file):
                return self._project.is_project_file(file)
            frame = frame.f_back
        return False

    def _is_own_read(self, frame: FrameType | None) -> bool:
        """Say whether the project's code reads a variable itself, and not a library that it calls."""
        while frame is not None and _passes_on(frame):
            frame = frame.f_back
        return frame is not None and self._project.is_project_file(frame.f_code.co_filename)

    def _unwritten(self, folder: str, names: list[str]) -> list[str]:
        with self._lock:
            return [name for name in names if os.path.join(folder, name.rstrip("/")) not in self._written]


def _passes_on(frame: FrameType) -> bool:
    """Whether this only asks for another, as ``os.path.expanduser`` does, whose file has no place (``<frozen …>``)."""
    name = str(frame.f_globals.get("__name__"))
    is_pathlib = name.partition(".")[0] == "pathlib"  # a package since 3.13
    return name in CARRIERS or is_pathlib or frame.f_code.co_filename.startswith("<frozen ")


def _is_ambient(name: str) -> bool:
    return name in AMBIENT or name.startswith(AMBIENT_STARTS)


def _library_folders() -> tuple[str, ...]:
    """Where the interpreter and the installed libraries are."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.__file__)}
    folders |= {entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))}
    folders.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(os.path.abspath(folder).rstrip(os.sep) + os.sep for folder in folders)


def _is_standard(file: str) -> bool:
    folder = os.path.dirname(os.__file__) + os.sep
    return (file.startswith(folder) and "-packages" not in file) or file == __file__


def _caller(frame: FrameType | None, passed: frozenset[str]) -> str:
    """Name the module that asked, those left aside that only pass the question on."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("_frozen_importlib"):
            return "importlib"
        if name not in passed:
            return name
        frame = frame.f_back
    return ""


def _status(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _file_digest(path: Path, stamps: Stamps) -> str:
    try:
        return stamps.digest_file(path)
    except OSError:
        return ABSENT


def _names(folder: str) -> list[str]:
    """List a folder, subfolders with a slash; what Python and Headrace put there themselves is left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name + ("/" if entry.is_dir() else "")
                for entry in entries
                if entry.name not in ("__pycache__", ".headrace")
            )
    except OSError:
        return list(_NO_FOLDER)


def _listing_digest(names: list[str]) -> str:
    if names == _NO_FOLDER:
        return ABSENT
    return hashlib.sha256(json.dumps(names).encode("utf-8", "surrogatepass")).hexdigest()


def _names_digest(environment: Mapping[str, str], salt: bytes) -> str:
    return _hmac("\0".join(sorted(name for name in environment if not _is_ambient(name))), salt)


def _value_digest(value: str | None, salt: bytes) -> str:
    return ABSENT if value is None else _hmac(value, salt)


def _hmac(text: str, salt: bytes) -> str:
    return hmac.new(salt, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
