"""Pandera on pandas, lazily: all that fails is collected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from validators import CONTRACTS, EMAIL, GENDERS


def warm() -> None:
    """Validate one row."""
    pa.DataFrameSchema({"a": pa.Column(int)}).validate(pd.DataFrame({"a": [1]}))


def run(folder: Path, out: Path, *, good: bool) -> dict[str, Any]:
    """Give the verdicts."""
    frame = pd.read_parquet(folder / "customers")
    plans = pd.read_parquet(folder / "plans.parquet")["plan_id"].tolist()
    column, check = pa.Column, pa.Check
    schema = pa.DataFrameSchema(
        {
            "customer_id": column(nullable=False, unique=True),
            "age": column(checks=check.in_range(18, 110, error="age"), nullable=True),
            "monthly_fee": column(checks=check.in_range(0, 500, error="fee"), nullable=True),
            "contract": column(checks=check.isin(CONTRACTS, error="contract"), nullable=True),
            "gender": column(checks=check.isin(GENDERS, error="gender"), nullable=True),
            "email": column(checks=check.str_matches(f"^(?:{EMAIL})$", error="email"), nullable=True),
            "plan_id": column(checks=check.isin(plans, error="plan"), nullable=True),
            "income": column(checks=check(lambda s: 30_000 <= s.mean() <= 60_000, error="mean"), nullable=True),
            "churned": column("int64"),
        },
        checks=[
            check(lambda f: f["signup_at"] <= f["seen_at"], error="order"),
            check(lambda f: len(f) >= 1, error="rows"),
        ],
    )
    failed: set[str] = set()
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        told = set(error.failure_cases["check"].astype(str))
        failed = {"missing" if "nullable" in one else "repeated" if "unique" in one else one for one in told}
    return {"n_rows": len(frame), "failed": sorted(failed), "whole": ["mean" not in failed, "rows" not in failed, True]}
