"""Where an attempt is executed: in a worker forked for it, or in this process."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import FileIO
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from headrace.core.errors import HeadraceError
from headrace.core.outcome import Outcome
from headrace.engine import frames
from headrace.engine.attempt import Attempt, AttemptEnd, Report, Workplace, captured, run_attempt
from headrace.engine.process import count_out_of_memory_kills, kill_group, kill_session, open_log
from headrace.engine.records import Failure
from headrace.engine.starting import Ahead, Started, start

if TYPE_CHECKING:
    from headrace.engine.batch import Batch

T = TypeVar("T")

PRELOADABLE: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "pyarrow": ("pyarrow", "pyarrow.parquet"),
    "polars": ("polars",),
    "narwhals": ("narwhals",),
    "pandas": ("pandas",),
    "scikit-learn": (
        "sklearn.pipeline",
        "sklearn.compose",
        "sklearn.impute",
        "sklearn.preprocessing",
        "sklearn.linear_model",
        "sklearn.ensemble",
        "sklearn.model_selection",
        "sklearn.metrics",
    ),
}
"""By distribution, the modules that were shown to survive a fork (`tests/engine/test_forkserver.py`)."""


MOST_STILLBORN = 2
"""How many workers that end before they begin are passed over."""


class Launcher(Protocol):
    """Executes attempts. `run` may be called from several threads at once.

    ``log`` is a file for what the step prints.
    """

    def run(self, attempt: Attempt, cpus: int, timeout_seconds: float | None, log: str, report: Report) -> AttemptEnd:
        """Execute one attempt and say how it ended, whatever happens to it."""

    def run_batch(
        self, batch: Batch, cpus: int, timeout_seconds: float | None, log: str, report: Report
    ) -> AttemptEnd | None:
        """Carry out some items, noted in the batch's journal. How the process ended that did not come to the end."""

    def cancel(self) -> None:
        """End what is under way, from any thread; what is asked for later ends at once."""

    def close(self) -> None:
        """Give back all processes."""


class WorkerDiedError(HeadraceError):
    """A worker ended without saying how."""

    def __init__(self, status: int, is_out_of_memory: bool = False, *, has_started: bool = True) -> None:
        self.status = status
        self.is_out_of_memory = is_out_of_memory
        self.has_started = has_started
        super().__init__(f"The worker {_describe_status(status)}")


class CallTimedOutError(HeadraceError):
    """A worker was killed because its time was over."""


class CancelledError(HeadraceError):
    """A worker was killed because the run was cancelled."""


class ForkServer:
    """The engine's end of one fork server. Thread-safe."""

    def __init__(self, cpus: int, modules: tuple[str, ...], started: Started | None = None) -> None:
        self._process, self._control = started or start(cpus, modules)
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._under_way: dict[int, int | None] = {}  # call number: process id once known
        self._is_cancelled = False
        self._is_ready = False

    def is_ready(self) -> bool:
        """Whether it has loaded its modules. A call before waits for that."""
        if not self._is_ready:
            with self._lock:
                poll = select.poll()
                poll.register(self._control, select.POLLIN)
                if not self._is_ready and poll.poll(0):
                    self._is_ready = True
                    with suppress(OSError):
                        self._control.recv(1)
        return self._is_ready

    def call(
        self,
        function: str,
        request: Any,
        *,
        log: str | None = None,
        timeout_seconds: float | None = None,
        report: Report | None = None,
        place: list[Any] | None = None,
    ) -> Any:
        """Call a function in a worker of its own and return its result.

        ``place``: the target and the store that the next worker is made ready for meanwhile.

        Raises `WorkerDiedError`, `CallTimedOutError` or `CancelledError`.
        """
        message = {"call": function, "request": request, "log": log, "reports": report is not None}
        if place is not None:
            message["place"] = place
        for _ in range(MOST_STILLBORN):
            try:
                return self._call_once(message, timeout_seconds, report)
            except WorkerDiedError as error:
                # A worker that was killed while it stood by has done nothing: the call goes to another.
                if error.has_started or self._process.poll() is not None:
                    raise
        return self._call_once(message, timeout_seconds, report)

    def _call_once(self, message: dict[str, Any], timeout_seconds: float | None, report: Report | None) -> Any:
        read, write = os.pipe()
        number = next(self._numbers)
        self._under_way[number] = None
        try:
            try:
                self._send({**message, "number": number}, write)
            finally:
                os.close(write)
            kills_before = count_out_of_memory_kills()  # while the worker begins, which has taken no memory by then
            return self._await(number, read, timeout_seconds, report, kills_before)
        finally:
            del self._under_way[number]
            os.close(read)

    def _await(
        self, number: int, read: int, timeout_seconds: float | None, report: Report | None, kills_before: int
    ) -> Any:
        reader = frames.Reader(read)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        timed_out = False
        while True:
            try:
                message = reader.next(deadline)
            except TimeoutError:
                timed_out, deadline = True, None
                self.kill(number)
                continue
            if message is None:
                self._process.poll()
                raise self._ended(number, -signal.SIGKILL, timed_out, kills_before)
            if "pid" in message:
                self._under_way[number] = message["pid"]
            elif "progress" in message and report is not None:
                report(*message["progress"])
            elif "end" in message and not timed_out:
                return message["end"]
            elif "refused" in message:
                raise HeadraceError(message["refused"], hint="lower --workers")
            elif "exit" in message:
                raise self._ended(number, message["exit"], timed_out, kills_before)

    def _ended(self, number: int, status: int, timed_out: bool, kills_before: int) -> HeadraceError:
        if self._is_cancelled:
            return CancelledError("The run was cancelled")
        if timed_out:
            return CallTimedOutError("The time limit was over")
        is_out_of_memory = status == -signal.SIGKILL and count_out_of_memory_kills() > kills_before
        return WorkerDiedError(status, is_out_of_memory, has_started=self._under_way[number] is not None)

    def kill(self, number: int) -> None:
        """Kill the worker of a call, with all that it started."""
        with suppress(WorkerDiedError):  # then the server is gone, and the kernel has killed it
            self._send({"kill": number})

    def cancel(self) -> None:
        """Kill all workers. What is called later ends at once."""
        with self._lock:  # a call is sent before, and killed below, or not sent any more
            self._is_cancelled = True
        for number in list(self._under_way):
            self.kill(number)

    def _send(self, message: Any, pipe: int | None = None) -> None:
        data = frames.pack(message)
        with self._lock:
            if self._is_cancelled and pipe is not None:
                raise CancelledError("The run was cancelled")
            try:
                sent = self._control.send(data) if pipe is None else socket.send_fds(self._control, [data], [pipe])
                if sent < len(data):
                    self._control.sendall(data[sent:])
            except (BrokenPipeError, ConnectionResetError):
                raise WorkerDiedError(self._process.wait()) from None

    def close(self) -> None:
        """End the server and all its workers."""
        self._control.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in list(self._under_way.values()):
            if pid is not None:
                kill_group(pid)
        if self._process.returncode != 0:
            # It was killed itself, and the kernel killed its workers. What these had started is still in its session.
            kill_session(self._process.pid)


class ForkServers:
    """The fork servers of an engine, one for each thread limit, started when first needed. Thread-safe.

    ``ahead`` is one that was started already.
    """

    def __init__(self, ahead: Ahead | None = None) -> None:
        self._ahead = ahead
        self._servers: dict[tuple[int, tuple[str, ...]], ForkServer] = {}
        self._lock = threading.Lock()
        self._is_cancelled = False

    def get(self, cpus: int, modules: tuple[str, ...] = ()) -> ForkServer:
        """The server for this thread limit, with these modules loaded."""
        with self._lock:
            server = self._servers.get((cpus, modules))
            if server is None:
                fits = self._ahead is not None and (cpus, modules) == (self._ahead.cpus, ())
                started = self._ahead.take() if self._ahead is not None and fits else None
                server = self._servers[cpus, modules] = ForkServer(cpus, modules, started)
                if self._is_cancelled:
                    server.cancel()
            return server

    def cancel(self) -> None:
        """Kill what is under way."""
        with self._lock:
            self._is_cancelled = True
            for server in self._servers.values():
                server.cancel()

    def close(self) -> None:
        """End all servers."""
        with self._lock:
            for server in self._servers.values():
                server.close()
            self._servers.clear()


class WorkerLauncher:
    """Executes each attempt in a worker of its own.

    While the server that is to have the modules is still loading them, workers come from one that has none: they
    import what they need themselves, and the first step need not wait.
    """

    def __init__(self, servers: ForkServers, modules: tuple[str, ...]) -> None:
        self._servers = servers
        self._modules = modules

    def run(self, attempt: Attempt, cpus: int, timeout_seconds: float | None, log: str, report: Report) -> AttemptEnd:
        """Execute one attempt; see `Launcher`."""
        started = time.perf_counter()
        try:
            data = self._server(cpus).call(
                "headrace.engine.attempt:run_in_worker",
                dict(vars(attempt)),
                log=log,
                timeout_seconds=timeout_seconds,
                report=report,
                place=_place(attempt.target, attempt.store),
            )
        except HeadraceError as error:
            outcome, failure = _ending(error, timeout_seconds)
            return AttemptEnd(outcome, failure=failure, seconds=time.perf_counter() - started)
        return AttemptEnd.from_json(data)

    def run_batch(
        self, batch: Batch, cpus: int, timeout_seconds: float | None, log: str, report: Report
    ) -> AttemptEnd | None:
        """Carry out some items in one worker; see `Launcher`."""
        started = time.perf_counter()
        try:
            self._server(cpus).call(
                "headrace.engine.batch:run_batch_in_worker",
                dict(vars(batch)),
                log=log,
                timeout_seconds=timeout_seconds,
                report=report,
                place=_place(batch.common["target"], batch.common["store"]),
            )
        except HeadraceError as error:
            outcome, failure = _ending(error, timeout_seconds)
            return AttemptEnd(outcome, failure=failure, seconds=time.perf_counter() - started)
        return None

    def _server(self, cpus: int) -> ForkServer:
        server = self._servers.get(cpus, self._modules)
        return server if server.is_ready() else self._servers.get(cpus)

    def cancel(self) -> None:
        """Kill what is under way."""
        self._servers.cancel()

    def close(self) -> None:
        """Nothing is kept here."""


def _place(target: Any, store: str) -> list[Any] | None:
    """What the next worker can be made ready for: a store in a folder, since a bucket is asked when it is needed."""
    return [target, store] if store.startswith("file:") else None


def _ending(error: HeadraceError, timeout_seconds: float | None) -> tuple[Outcome, Failure]:
    if isinstance(error, CallTimedOutError):
        text = f"The step took longer than its time limit of {timeout_seconds:g} seconds, and was killed"
        return Outcome.TIMED_OUT, Failure("TimedOut", text, is_retryable=True)
    if isinstance(error, CancelledError):
        return Outcome.CANCELLED, Failure("Cancelled", "The run was cancelled")
    if isinstance(error, WorkerDiedError):
        if error.is_out_of_memory:
            text = "The kernel killed the worker for want of memory"
            return Outcome.OUT_OF_MEMORY, Failure("OutOfMemory", text, is_retryable=True)
        return Outcome.CRASHED, Failure("Crashed", error.message, is_retryable=True)
    return Outcome.FAILED, Failure(type(error).__name__, str(error), is_retryable=True)


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status} before the step was done"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"


class InlineLauncher:
    """Executes attempts in this process: for a debugger, and for the smallest steps.

    A crash takes the engine with it. A time limit is kept on the main thread alone, and ends Python code only.
    """

    def __init__(self, workplace: Workplace, echo: bool) -> None:
        self._workplace = workplace
        self._echo = echo

    def run(self, attempt: Attempt, cpus: int, timeout_seconds: float | None, log: str, report: Report) -> AttemptEnd:
        """Execute one attempt; see `Launcher`."""

        with captured(lambda: FileIO(open_log(log), "ab"), self._echo):
            return self._limited(lambda: run_attempt(attempt, self._workplace, report), timeout_seconds)

    def run_batch(
        self, batch: Batch, cpus: int, timeout_seconds: float | None, log: str, report: Report
    ) -> AttemptEnd | None:
        """Carry out some items here; see `Launcher`."""
        from headrace.engine.batch import run_batch

        def log_bytes() -> int:
            return os.stat(log).st_size if os.path.exists(log) else 0  # noqa: PTH110, PTH116 - asked for each item

        with captured(lambda: FileIO(open_log(log), "ab"), self._echo):
            return self._limited(lambda: run_batch(batch, self._workplace, log_bytes, report), timeout_seconds)

    def _limited(self, call: Callable[[], T], timeout_seconds: float | None) -> T | AttemptEnd:
        if timeout_seconds is None or threading.current_thread() is not threading.main_thread():
            return call()

        class Over(BaseException):
            pass

        def strike(*_: object) -> None:
            raise Over

        before = signal.signal(signal.SIGALRM, strike)
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        started = time.perf_counter()
        try:
            return call()
        except Over:
            outcome, failure = _ending(CallTimedOutError("over"), timeout_seconds)
            return AttemptEnd(outcome, failure=failure, seconds=time.perf_counter() - started)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def cancel(self) -> None:
        """What is under way is this thread's own: an interruption ends it."""

    def close(self) -> None:
        """Nothing is kept here."""
