"""The twelve checks, as Headrace's checks: nine about rows, three about the table."""

from __future__ import annotations

from headrace.steps.checks import (
    Aggregate,
    Check,
    Expression,
    ForeignKey,
    HasType,
    InRange,
    Matches,
    NotMissing,
    OneOf,
    RowCount,
    Unique,
)

EMAIL = r"[^@ ]+@[^@ ]+\.[a-z]+"

CHECKS: tuple[Check, ...] = (
    NotMissing("customer_id"),
    Unique("customer_id"),
    InRange("age", 18, 110),
    InRange("monthly_fee", 0, 500),
    OneOf("contract", ("monthly", "one_year", "two_year")),
    OneOf("gender", ("f", "m", "x")),
    Matches("email", EMAIL),
    Aggregate("income", "mean", 30_000, 60_000),
    RowCount(at_least=1),
    HasType("churned", "int64"),
    ForeignKey("plan_id", "plans"),
    Expression("signup_at <= seen_at"),
)
