"""The fork server: a warm process that forks a worker for each attempt.

The server is single-threaded, imports what it is told to preload and never a user's module. It leads a session of its
own, so a Ctrl-C at the terminal reaches the engine alone. When the engine is gone (its socket ends), the server kills
the process group of every worker and all that they left behind, and ends. A worker is killed by the kernel when the
server ends. One worker stands by, forked and warmed up while the one before it works: each makes one call and ends.

Messages from the engine::

    {"call": "module:function", "request": …, "log": path or null, …}    make a call; with the write end of a pipe
    {"kill": number}                                                     kill the worker of that call

Messages in the call's pipe: ``{"pid": …}`` and ``{"progress": […]}`` and ``{"end": …}`` from the worker, ``{"exit":
status}`` from the server once the worker has ended and its group is gone.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

from headrace.engine import frames
from headrace.engine.process import (
    adopt_orphans,
    die_with_parent,
    kill_children,
    kill_group,
    n_threads,
    open_log,
)

REFUSED = "HEADRACE_NOT_PRELOADED"
TRACING_MODULES = (
    "headrace.engine.prepare",
    "headrace.core.discovery",
    "headrace.core.distributions",
    "headrace.core.loader",
    "headrace.core.pipeline",
    "headrace.core.step",
    "headrace.formats.registry",
    "inspect",
)
"""What the first worker needs of Headrace itself, which as a rule traces the pipeline."""
STEP_MODULES = (
    "headrace.engine.attempt",
    "headrace.engine.exchange",
    "headrace.formats.json_value",
    "encodings.ascii",
    "random",
)
"""What all others need as well."""
Place = list[Any]
"""A target in its plain form, and the URL of a store: the next worker is made ready for those of the last call."""
READY = b"r"
"""What the server sends once, when it has loaded what it was told to."""
TRIED = frozenset({"numpy", "pyarrow", "polars", "pandas", "sklearn"})
"""Libraries that start threads when they are imported, and whose forks were shown to work all the same.

OpenBLAS (numpy, scikit-learn) and jemalloc (pyarrow, polars) take care of a fork themselves; Polars' own thread clears
away what it spilled to the disk, and its pool is not started by the import (`tests/engine/test_forkserver.py`).
"""


class Spare(NamedTuple):
    """A worker that stands by: forked ahead, so that a call need not wait for that. ``line`` brings it its call."""

    pid: int
    line: socket.socket


class Server:
    """The server's state: its socket, the workers under way by process id, and one that stands by if wanted."""

    def __init__(self, control: socket.socket, later: list[str], *, stand_by: bool = True) -> None:
        self._control = control
        self._stands_by = stand_by
        self._later = later  # modules that are loaded while the first worker is at work
        self._workers: dict[int, tuple[int, int]] = {}  # pid: (call number, pipe)
        self._spare: Spare | None = None
        self._is_spare_due = False  # after a call only: one that keeps dying isn't forked over and over
        self._place: Place | None = None
        self._buffer = bytearray()
        self._fds: list[int] = []

    def serve(self) -> None:
        """Do what the engine asks for until it is gone."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._control:
                        if not self._receive():
                            return
                    else:
                        with suppress(BlockingIOError):
                            os.read(wake_read, 4096)
                self._reap()
                if self._is_spare_due:
                    self._is_spare_due = False
                    if self._later:
                        preload(self._later)
                        self._later = []
                        settle()
                    with suppress(OSError):
                        self._spare = self._new_spare()

    def close(self) -> None:
        """Kill all workers, their groups and what they left behind."""
        for pid in self._workers:
            kill_group(pid)
        kill_children()

    def _receive(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 16)
        except ConnectionResetError:
            return False
        if not data:
            return False
        self._buffer += data
        self._fds += fds
        while (message := frames.take(self._buffer)) is not None:
            self._handle(message)
        return True

    def _handle(self, message: dict[str, Any]) -> None:
        if "call" in message:
            self._fork(message, self._fds.pop(0))
        elif "kill" in message:
            for pid, (number, _) in self._workers.items():
                if number == message["kill"]:
                    kill_group(pid)

    def _fork(self, message: dict[str, Any], pipe: int) -> None:
        """Hand a call to the worker that stands by, or to a new one."""
        place = message.get("place", self._place)
        if place != self._place:
            self._place = place
            self._dismiss_spare()
        for _ in range(2):
            try:
                spare = self._spare or self._new_spare()
            except OSError as error:
                with suppress(OSError):
                    frames.send(pipe, {"refused": f"no process could be started: {error}"})
                break
            self._spare = None
            with spare.line:
                try:
                    _send_all(spare.line, frames.pack(message), pipe)
                except OSError:
                    continue  # it was killed while it stood by
            self._workers[spare.pid] = (message["number"], pipe)
            self._is_spare_due = self._stands_by
            return
        os.close(pipe)

    def _dismiss_spare(self) -> None:
        """Let the worker that stands by go: it was made ready for another place. It ends when its line does."""
        if self._spare is not None:
            self._spare.line.close()
            self._spare = None

    def _new_spare(self) -> Spare:
        if self._place is not None:
            open_ahead(self._place)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(theirs)
        theirs.close()
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        return Spare(pid, ours)

    def _become_worker(self, line: socket.socket) -> None:
        """Turn the forked process into a worker, which waits for its one call. Never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.setpgid(0, 0)
            die_with_parent()
            self._control.close()
            for _, other in self._workers.values():
                os.close(other)
            warm_up(self._place)
            call = _receive_call(line)
            if call is not None:
                message, pipe = call
                _redirect(message["log"])
                frames.send(pipe, {"pid": os.getpid()})
                work(message, pipe)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._spare is not None and pid == self._spare.pid:
                self._dismiss_spare()
            worker = self._workers.pop(pid, None)
            if worker is not None:
                kill_group(pid)
                with suppress(OSError):
                    frames.send(worker[1], {"exit": os.waitstatus_to_exitcode(status)})
                os.close(worker[1])


def open_ahead(place: Place) -> None:
    """Open the project and the store once, for all workers that are forked later. Imports nothing of the project."""
    from headrace.engine.attempt import opened

    with suppress(Exception):  # whatever it is, the attempt meets it again, and says so
        opened(place[0]["root"], place[1])


def warm_up(place: Place | None) -> None:
    """Touch what every call uses: the first touch copies the pages that the worker shares with the server."""
    import inspect
    import typing

    from headrace.core.artifact import Artifact, StoredFile
    from headrace.core.key import KeyParts
    from headrace.formats.json_value import JsonFormat
    from headrace.formats.registry import find_format

    inspect.signature(Artifact.of)
    typing.get_type_hints(Artifact)
    find_format(dict[str, int])
    files = [StoredFile(name, sha256(data).hexdigest(), len(data)) for name, data in JsonFormat().pack(1, int).items()]
    artifact = Artifact.of("json", 1, files, "builtins.int")
    json.loads(json.dumps([artifact.to_json(), KeyParts({}, {"a": [1, {}]}, {}, {}).to_json()]))
    if place is not None:
        from headrace.core.discovery import Recorder
        from headrace.engine.attempt import make_ready, opened
        from headrace.engine.target import Target

        with suppress(Exception):  # whatever it is, the attempt meets it again, and says so
            make_ready(Target.from_json(place[0]), place[1])
            with Recorder(opened(place[0]["root"], place[1])[1].project):
                os.environ.get("")


def _send_all(line: socket.socket, data: bytes, fd: int) -> None:
    sent = socket.send_fds(line, [data], [fd])
    if sent < len(data):  # who has all may have hung up: to send nothing more would be an error then
        line.sendall(data[sent:])


def _receive_call(line: socket.socket) -> tuple[dict[str, Any], int] | None:
    """The call that a worker waits for, and its pipe; None when the server is gone."""
    buffer, pipes = bytearray(), []
    with line:
        while True:
            data, fds, _, _ = socket.recv_fds(line, 1 << 16, 1)
            if not data:
                return None
            buffer += data
            pipes += fds
            if (message := frames.take(buffer)) is not None:
                return message, pipes[0]


def work(message: dict[str, Any], pipe: int) -> None:
    """Call what was asked for and send its result."""
    from headrace.core.names import find_named

    def report(done: float, total: float | None, text: str) -> None:
        with suppress(OSError):
            frames.send(pipe, {"progress": [done, total, text]})

    function: Any = find_named(message["call"])
    try:
        end = function(message["request"], report) if message["reports"] else function(message["request"])
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    frames.send(pipe, {"end": end})


def _redirect(log: str | None) -> None:
    """Send what the worker prints, natively too, into its log; nothing is read from the terminal."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if log is None:
        return
    fd = open_log(log)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    # Line by line, so that a log can be followed, and that a process which the step forks does not print again what
    # was still waiting to be written.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def preload(modules: list[str]) -> None:
    """Import modules ahead. One that starts a thread and was not tried may hang its forks: start afresh without it."""
    refused = os.environ.get(REFUSED, "").split()
    for name in modules:
        if name in refused:
            continue
        n_before = n_threads()
        try:
            __import__(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker that needs the module will tell
            print(f"not preloaded: {name}: {error}", file=sys.stderr)  # noqa: T201
        if n_threads() > n_before and name.partition(".")[0] not in TRIED:
            os.environ[REFUSED] = " ".join([*refused, name])
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def main(control_fd: int, modules: list[str], *, stand_by: bool = True) -> None:
    """Serve the engine at the other end of a socket."""
    os.set_inheritable(control_fd, True)  # for a start afresh
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    # The server that is there first has no libraries to load, and is waited for, unless it was started ahead of need.
    is_waited_for = stand_by and not modules
    preload(list(TRACING_MODULES) if is_waited_for else [*TRACING_MODULES, *STEP_MODULES, *modules])
    settle()
    os.set_inheritable(control_fd, False)
    control = socket.socket(fileno=control_fd)
    with suppress(OSError):
        control.send(READY)
    server = Server(control, later=list(STEP_MODULES) if is_waited_for else [], stand_by=stand_by)
    try:
        server.serve()
    finally:
        server.close()
    os._exit(0)  # nothing is left to be given back, and somebody waits


def settle() -> None:
    """Have what is there by now left alone by the garbage collector: looking at it would copy it into each worker."""
    import gc

    gc.collect()
    gc.freeze()
