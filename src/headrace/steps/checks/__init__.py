"""Checks: what must hold for a table, as plain frozen data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrace.steps.checks.base import NUMBERS, TIMES, Check, RowCheck, Severity, WholeCheck
from headrace.steps.checks.findings import Finding, Findings
from headrace.steps.checks.rows import (
    Decreasing,
    Expression,
    ForeignKey,
    Increasing,
    InOrder,
    KeyCheck,
    NoDuplicates,
    OrderCheck,
    Unique,
)
from headrace.steps.checks.values import (
    DateFormat,
    InRange,
    IsKind,
    Length,
    Matches,
    NoMatch,
    NoneOf,
    NotMissing,
    OneOf,
)
from headrace.steps.checks.whole import (
    Aggregate,
    Columns,
    Fresh,
    HasType,
    MissingShare,
    RowCount,
    SameDistribution,
)
from headrace.steps.from_plain import made_from

CHECKS: tuple[type[Any], ...] = (
    IsKind,
    NotMissing,
    MissingShare,
    InRange,
    OneOf,
    NoneOf,
    Matches,
    NoMatch,
    Length,
    DateFormat,
    InOrder,
    Expression,
    Unique,
    NoDuplicates,
    Increasing,
    Decreasing,
    ForeignKey,
    Columns,
    HasType,
    RowCount,
    Aggregate,
    Fresh,
    SameDistribution,
)
"""All the checks there are."""


def read_checks(plain: Iterable[Mapping[str, Any]]) -> tuple[Check, ...]:
    """Make checks from dicts: ``{"check": "InRange", "column": "age", "at_least": 18}``.

    Raises DataError for an unknown check or field, with the nearest.
    """
    return made_from(plain, CHECKS, word="check")


__all__ = [
    "CHECKS",
    "NUMBERS",
    "TIMES",
    "Aggregate",
    "Check",
    "Columns",
    "DateFormat",
    "Decreasing",
    "Expression",
    "Finding",
    "Findings",
    "ForeignKey",
    "Fresh",
    "HasType",
    "InOrder",
    "InRange",
    "Increasing",
    "IsKind",
    "KeyCheck",
    "Length",
    "Matches",
    "MissingShare",
    "NoDuplicates",
    "NoMatch",
    "NoneOf",
    "NotMissing",
    "OneOf",
    "OrderCheck",
    "RowCheck",
    "RowCount",
    "SameDistribution",
    "Severity",
    "Unique",
    "WholeCheck",
    "read_checks",
]
