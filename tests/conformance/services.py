"""Processes that the engines consist of: started, waited for, and ended with all that they left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody listens at a port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Service:
    """A process of ours: its output in a file, its end with all that it started."""

    def __init__(self, name: str, command: list[str], folder: Path, **options: Any) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
            )

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it and whoever it left behind in its session."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until(condition: Callable[[], Any], service: Service | None = None, *, seconds: float) -> None:
    """Wait for something that is sure to come, unless the service that it comes from has ended."""
    end = time.monotonic() + seconds
    while not condition():
        if service is not None and service.process.poll() is not None:
            raise RuntimeError(f"{service.name} has ended:\n{service.log.read_text()[-4000:]}")
        if time.monotonic() > end:
            text = service.log.read_text()[-4000:] if service is not None else ""
            raise TimeoutError(f"waited for {seconds} seconds\n{text}")
        time.sleep(0.1)
