"""Wait until something has come about, under whatever load."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

MOST_SECONDS = 60


def await_that(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def await_file(path: Path) -> str:
    await_that(path.exists, f"{path}")
    return path.read_text()


def await_end(pid: int) -> None:
    """Wait until a process is gone; one that nobody waits for stays as a zombie."""
    status = Path(f"/proc/{pid}/status")

    def is_gone() -> bool:
        try:
            return "\nState:\tZ" in status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    await_that(is_gone, f"the end of process {pid}")
