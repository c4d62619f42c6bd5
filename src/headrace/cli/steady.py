"""The process that an inline run needs: started with the environment that a worker would have."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MARK = "HEADRACE_STARTED_STEADY"


def start_steady(command: Sequence[str]) -> None:
    """Start this process again where its environment is not a worker's: the hash seed is fixed at the start alone.

    Does nothing the second time, whatever the environment is then, nor in a process that was started for something
    else than ``command``, the word and its arguments.
    """
    if sys.orig_argv[-len(command) :] != list(command):
        return
    from headrace.engine.process import worker_environment

    wanted = worker_environment(os.environ, 1)
    if wanted == dict(os.environ) or os.environ.get(MARK) == str(os.getpid()):
        return
    wanted[MARK] = str(os.getpid())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


@contextmanager
def ending_as_interrupted() -> Iterator[None]:
    """Let a termination, or a terminal that goes away, end this process as Ctrl-C does: in order, and recorded.

    What the caller of this process chose to ignore stays ignored.
    """
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
