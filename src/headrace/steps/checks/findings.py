"""What checks found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from headrace.steps.checks.base import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    rule: str
    check: str
    columns: tuple[str, ...]
    severity: Severity
    n_bad: int
    """Rows that break the rule; of a check of the whole table 1 if it doesn't hold, of `MissingShare` the missing
    values then."""
    share: float
    """Bad rows among all, from 0 to 1; for `MissingShare` the share of missing values."""
    examples: tuple[str, ...] = ()
    """Up to five offending values, in the rows' order."""
    rows: tuple[int, ...] = ()
    """The examples' rows, counted from 0."""
    n_looked_at: int = 0
    """Rows that the rule could be told of: those with values in its columns that ``where`` lets through."""
    mostly: float = 1.0
    observed: str = ""
    """What was found, in words."""
    expected: str = ""
    """What should be, in words."""
    value: float | None = None
    """The number that was observed: a statistic; the share of rows that keep the rule among those looked at."""
    passed: bool = True
    """Whether enough of the rows looked at keep the rule (``mostly``); of the whole table, whether it does."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What `validate` found. ``n_rows == n_good + n_quarantined`` always."""

    __headrace_one_value__: ClassVar[bool] = True

    n_rows: int
    n_good: int
    n_quarantined: int
    findings: tuple[Finding, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether all checks of severity "error" hold."""
        return all(finding.passed for finding in self.findings if finding.severity == "error")
