"""The processes of one trial, found by a variable in their environment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MARKER = "HEADRACE_TRIAL"


def marked(trial: str) -> list[int]:
    """All living processes that have the trial's marker in their environment, wherever they ended up."""
    wanted = f"{MARKER}={trial}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and wanted in environment(int(entry.name)):
            found.append(int(entry.name))
    return sorted(found)


def environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def status(pid: int) -> tuple[str, int]:
    """A process's state (``R``, ``S``, ``T``, …; ``X`` when it is gone) and its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[1])


def server_of(engine: int, trial: str) -> list[int]:
    """The engine's fork servers."""
    return [pid for pid in marked(trial) if status(pid)[1] == engine]


def workers_of(engine: int, trial: str) -> list[int]:
    """The workers: the children of the fork servers."""
    servers = set(server_of(engine, trial))
    return [pid for pid in marked(trial) if status(pid)[1] in servers]


def wait_till(is_so: Callable[[], bool], seconds: float, pause: float = 0.001) -> bool:
    """Poll until something is so. Says whether it came to be."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def describe(pid: int) -> str:
    """A process for a message: its id, state and command, without the machine's paths."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        command = ""
    return f"{pid} {status(pid)[0]} {command.rpartition('/bin/')[2][:120]}"
