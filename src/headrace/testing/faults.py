"""Strike a store's writes at a chosen instant: kill, stop or refuse the process that passes there.

`FAULT_POINTS` names the instants, and `BUCKET_POINTS` those of a bucket's store. ``headrace.core.faults`` says what a
spec looks like; it is read once, when a process starts, so a fault is set for a child process by `fault_environment`,
and for this one by `fault_here`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.core import faults
from headrace.stores.bucket import FAULT_POINTS as BUCKET_POINTS
from headrace.stores.local import FAULT_POINTS

__all__ = ["BUCKET_POINTS", "FAULT_POINTS", "check_point", "fault_environment", "fault_here", "passages"]


def fault_environment(
    point: str, action: str = "kill", *, passage: int = 1, goes_on: bool = False, counter: Path | None = None
) -> dict[str, str]:
    """The environment of a child process that is struck, this process's own included.

    ``action`` is ``kill``, ``stop`` or an error number's name in lower case (``enospc``). It happens at the
    ``passage``-th time that ``point`` is passed (from 1) and, with ``goes_on``, at all that follow; with a ``counter``
    file the passages of all processes count together. Raises ``ValueError`` for an unknown point.
    """
    return {**os.environ, faults.VARIABLE: _spec(point, action, passage, goes_on=goes_on, counter=counter)}


@contextmanager
def fault_here(point: str, action: str, *, passage: int = 1, goes_on: bool = False) -> Iterator[None]:
    """Strike this process, with an error: no other thread may use a store meanwhile."""
    before = faults.ARMED
    faults.ARMED = faults.from_environment(_spec(point, action, passage, goes_on=goes_on, counter=None))
    try:
        yield
    finally:
        faults.ARMED = before


def passages(counter: Path) -> list[tuple[int, str]]:
    """Who passed, in turn, by the counter file of a fault: process ids and points."""
    lines = counter.read_text().splitlines() if counter.exists() else []
    return [(int(pid), point) for pid, point in (line.split() for line in lines)]


def check_point(point: str) -> None:
    """Let a known point pass, raise ``ValueError`` for others: a fault at a point that isn't there proves nothing."""
    known = (*FAULT_POINTS, *BUCKET_POINTS)
    if point != "*" and point not in known:
        raise ValueError(f"There is no fault point {point!r}; there are {', '.join(known)}")


def _spec(point: str, action: str, passage: int, *, goes_on: bool, counter: Path | None) -> str:
    check_point(point)
    return f"{point}:{action}:{passage}{'+' if goes_on else ''}" + (f":{counter}" if counter else "")
