"""Fault points: named instants at which a test can have this process die, or be refused by the operating system.

Durable code calls ``fault_point("store.object.before_rename")`` at each instant that matters. Nothing happens unless
the environment variable ``HEADRACE_FAULT`` was set when this module was imported::

    HEADRACE_FAULT="POINT:ACTION[:PASSAGE[:COUNTER]]"

``POINT``    the name of a point, or ``*`` for any.
``ACTION``   ``kill`` sends SIGKILL to this process, ``stop`` sends it SIGSTOP, and the name of an error number in lower
             case (``enospc``, ``erofs``, ``eio``, …) raises the ``OSError``.
``PASSAGE``  the passage at which it happens, from 1 (the default). ``N+`` is the N-th and all that follow, 0 is none.
``COUNTER``  a file in which the passages of all processes are counted together, a line each: the process and the point.
             Without one each process counts for itself, a forked one from where its parent was.
"""

from __future__ import annotations

import errno
import os
import signal
from itertools import count

VARIABLE = "HEADRACE_FAULT"
LINE_BYTES = 64


class Fault:
    """One fault that waits for its passage. A spec that cannot be read is a ``ValueError``, at import."""

    def __init__(self, spec: str) -> None:
        point, action, passage, counter = [*spec.split(":", 3), "", "", ""][:4]
        if action not in ("kill", "stop") and not hasattr(errno, action.upper()):
            raise ValueError(
                f"{VARIABLE}={spec!r} must be POINT:ACTION[:PASSAGE[:COUNTER]], ACTION one of kill, stop, enospc, …"
            )
        self.point = point
        self.action = action
        self.goes_on = passage.endswith("+")
        self.passage = int(passage.removesuffix("+") or 1)
        self.counter = counter
        self._own_count = count(1)
        self._fd = -1
        if counter:
            # Opened here, since a step is watched for what it opens. A forked process needs an offset of its own.
            self._open_counter()
            os.register_at_fork(after_in_child=self._open_counter)

    def pass_by(self, point: str) -> None:
        """Count a passage of ``point`` and strike if it is the one."""
        if self.point not in (point, "*"):
            return
        n_passages = self._count(point)
        if n_passages == self.passage or (self.goes_on and n_passages > self.passage):
            self._strike(point)

    def _open_counter(self) -> None:
        self._fd = os.open(self.counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def _count(self, point: str) -> int:
        if self._fd < 0:
            return next(self._own_count)
        # A line appended moves the offset to the new end of the file: no two processes get the same number.
        os.write(self._fd, f"{os.getpid()} {point}"[: LINE_BYTES - 1].ljust(LINE_BYTES - 1).encode() + b"\n")
        return os.lseek(self._fd, 0, os.SEEK_CUR) // LINE_BYTES

    def _strike(self, point: str) -> None:
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            number = getattr(errno, self.action.upper())
            raise OSError(number, f"{os.strerror(number)} (a fault at {point})")


def from_environment(spec: str | None) -> Fault | None:
    """Read the fault of ``HEADRACE_FAULT``, if there is one."""
    return Fault(spec) if spec else None


ARMED = from_environment(os.environ.get(VARIABLE))
"""The fault of this process, or None: read once, at import."""


def fault_point(name: str) -> None:
    """Mark an instant at which a test may strike. Costs a call and a comparison when none does."""
    if ARMED is not None:
        ARMED.pass_by(name)
