"""A Redis server for tests, on a free port of loopback, that goes when it is done with."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


def why_no_redis() -> str | None:
    """What is missing here to try Redis; None where nothing is."""
    if shutil.which("redis-server") is None:
        return "redis-server is not on this machine"
    return None if find_spec("redis") else "the extra 'redis' is not installed"


@contextmanager
def redis_server(*options: str) -> Iterator[str | None]:
    """Start a server and give its URL; None where there is none to start."""
    if why_no_redis() is not None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        port = _free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"redis-server ended with {process.returncode}")
        time.sleep(0.02)
    raise RuntimeError("redis-server didn't begin to listen within 30 s")
