"""What ``[tool.headrace.backends.dagster]`` and ``--set`` may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """The settings of the backend.

    Attributes
    ----------
    executor
        ``multiprocess``: nodes that don't wait for one another run side by side, each op in a process of its own,
        forked from one that has Dagster loaded. ``in_process``: one after the other in the run's own process, which
        costs less where a pipeline is a chain.
    max_concurrent
        How many ops of a run are under way at once, with ``multiprocess``; the number of processors by default.
    lost_retries
        How often an op is tried again whose process, or whose step's process, was killed.
    finish_seconds
        How often the sensors look for runs that Dagster ended early, in seconds.
    start
        The first partition of a pipeline whose runs are for dates.
    schedule
        Whether the schedule is on as soon as the file is loaded, rather than when it is switched on.
    webserver
        The address of the webserver, which ``--submit`` tells to load the file again; empty: nobody is told.
    """

    executor: Literal["multiprocess", "in_process"] = "multiprocess"
    max_concurrent: int | None = None
    lost_retries: int = 2
    finish_seconds: int = 30
    start: date = date(2020, 1, 1)
    schedule: bool = False
    webserver: str = ""
