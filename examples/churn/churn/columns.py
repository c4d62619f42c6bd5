"""What is known of the customers' columns: what must hold, how they are spelled, and what can be derived."""

from __future__ import annotations

from headrace.steps.checks import (
    Aggregate,
    Columns,
    Expression,
    InOrder,
    InRange,
    IsKind,
    Matches,
    MissingShare,
    NotMissing,
    OneOf,
    Unique,
)
from headrace.steps.rules import DaysBetween, Ratio, Spell, WasMissing

CHECKS = (
    Columns(("customer_id", "snapshot_date", "signup_date", "contract", "monthly_fee", "churned")),
    Unique(("customer_id",)),
    NotMissing("customer_id"),
    NotMissing("churned"),
    IsKind("snapshot_date", "date"),
    IsKind("signup_date", "date"),
    InOrder("signup_date", "snapshot_date"),
    IsKind("age", "integer"),
    InRange("age", 18, 110),
    IsKind("monthly_fee", "number"),
    InRange("monthly_fee", 0, 500),
    InRange("data_gb", 0, 5_000),
    InRange("voice_minutes", 0, 50_000),
    InRange("support_calls", 0, 100),
    InRange("nps", 0, 10),
    InRange("days_since_login", 0, 3_650),
    OneOf("contract", ("monthly", "one_year", "two_year")),
    Matches("email", r"[^@ ]+@[^@ ]+\.[a-z]+", severity="warn"),
    MissingShare("nps", at_most=0.5),
    Aggregate("monthly_fee", "mean", 10, 100, severity="warn"),
    Expression("data_gb > 0 or voice_minutes > 0", where="contract = 'monthly'", severity="warn", mostly=0.9),
)

CLEANING = (
    Spell("churned"),
    Spell("region", {"nort": "north"}, known=("north", "south", "east", "west", "central")),
    Spell("plan", {"pluss": "plus", "premum": "premium"}, known=("basic", "plus", "premium"), unknown="other"),
    Spell("gender", {"f": "female", "m": "male", "x": "other"}, known=("female", "male", "other")),
)

DERIVED = (
    DaysBetween("tenure_days", "signup_date", "snapshot_date"),
    Ratio("fee_per_gb", "monthly_fee", "data_gb"),
    WasMissing("nps_missing", "nps"),
)
