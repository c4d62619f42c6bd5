"""How an attempt, a node or a run ended."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a node ended. A closed set: everything that shows or exports outcomes covers each of these."""

    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream failed"

    @property
    def is_good(self) -> bool:
        """Whether the node's outputs are there to be used."""
        return self in (Outcome.SUCCEEDED, Outcome.CACHED)

    @property
    def is_failure(self) -> bool:
        """Whether the run has failed because of this."""
        return self not in (Outcome.SUCCEEDED, Outcome.CACHED, Outcome.SKIPPED)


class RunOutcome(StrEnum):
    """How a run ended. *Rejected*: all steps worked, and a gate said no."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def exit_code(self) -> int:
        """What the process that ran it ends with."""
        return {"succeeded": 0, "rejected": 3, "failed": 1, "cancelled": 130}[self.value]
