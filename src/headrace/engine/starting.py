"""Start a fork server's process. It imports little, so that the process can be started before all else is loaded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from headrace.engine.process import worker_environment


class Started(NamedTuple):
    """A fork server's process, and the engine's end of the socket that it listens to."""

    process: subprocess.Popen[bytes]
    control: socket.socket


def start(cpus: int, modules: tuple[str, ...] = (), *, stand_by: bool = True) -> Started:
    """Start one with this thread limit, which loads ``modules``.

    ``stand_by``: whether a worker is forked ahead for the call after the first one.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        what = f"main({theirs.fileno()}, {list(modules)!r}, stand_by={stand_by})"
        process = subprocess.Popen(
            [sys.executable, "-c", f"from headrace.engine.forkserver import main; {what}"],
            env=worker_environment(os.environ, cpus),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
    return Started(process, ours)


class Ahead:
    """A fork server for one call, started before it is known whether the call will be made at all."""

    cpus = 1
    """The thread limit of most steps."""

    def __init__(self) -> None:
        self._started: Started | None = start(self.cpus, stand_by=False)

    def take(self) -> Started | None:
        """The server, to be used and ended by whoever takes it; None where it was taken already."""
        started, self._started = self._started, None
        return started

    def abandon(self) -> None:
        """End it, unless it was taken. It has no workers."""
        if (started := self.take()) is not None:
            started.process.kill()
            started.process.wait()
            started.control.close()


@contextmanager
def started_ahead() -> Iterator[Ahead]:
    """Have a fork server start meanwhile, and end it if nobody has taken it."""
    ahead = Ahead()
    try:
        yield ahead
    finally:
        ahead.abandon()
