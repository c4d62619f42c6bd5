"""When a pipeline runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """When a pipeline runs, and what its runs have to do with one another; see `headrace.pipeline`."""

    schedule: str | None = None
    timezone: str | None = None
    date: str | None = None
    depends_on_past: bool = False
    max_active_runs: int | None = None

    @property
    def needs_date(self) -> bool:
        """Whether each run is for a date."""
        return self.date is not None or self.depends_on_past
