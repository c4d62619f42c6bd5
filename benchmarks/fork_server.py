"""The floor of the default mode: a process for each step from a fork server with Headrace's preload, and no more.

The server forks for each request, the child adds one, sends the sum through the pipe it was given and ends; the server
collects it and says so. No cache, no record, no log, no check.
"""

from __future__ import annotations

import gc
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import worker

NUMBER = struct.Struct("!q")
SERVE = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import fork_server; fork_server.serve()"


def preload() -> None:
    """Import what Headrace's server holds when it forks for a step that uses no library."""
    import headrace.engine.attempt
    import headrace.engine.forkserver  # noqa: F401


def serve() -> None:
    """Fork for each number that comes in on descriptor 0."""
    preload()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=0) as control:
        while data := control.recv(NUMBER.size):
            pid = os.fork()
            if pid == 0:
                control.send(NUMBER.pack(NUMBER.unpack(data)[0] + 1))
                os._exit(0)
            os.waitpid(pid, 0)
            control.send(b"e")


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    ours, theirs = socket.socketpair()
    subprocess.Popen([sys.executable, "-c", SERVE], stdin=theirs.fileno())
    theirs.close()

    def run(start: int) -> int:
        x = start
        for _ in range(n_steps):
            ours.send(NUMBER.pack(x))
            x = NUMBER.unpack(ours.recv(NUMBER.size))[0]
            ours.recv(1)
        return x

    return run


if __name__ == "__main__":
    worker.main(prepare)
