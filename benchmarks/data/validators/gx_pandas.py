"""Great Expectations on pandas, verdicts only (BOOLEAN_ONLY, its fastest)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

from validators import CONTRACTS, EMAIL, GENDERS, NAMES


def warm() -> None:
    """Nothing beyond the imports."""


def run(folder: Path, out: Path, *, good: bool) -> dict[str, Any]:
    """Give the verdicts."""
    frame = pd.read_parquet(folder / "customers")
    plans = pd.read_parquet(folder / "plans.parquet")["plan_id"].tolist()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("customers")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    of_rows = [
        gxe.ExpectColumnValuesToNotBeNull(column="customer_id"),
        gxe.ExpectColumnValuesToBeUnique(column="customer_id"),
        gxe.ExpectColumnValuesToBeBetween(column="age", min_value=18, max_value=110),
        gxe.ExpectColumnValuesToBeBetween(column="monthly_fee", min_value=0, max_value=500),
        gxe.ExpectColumnValuesToBeInSet(column="contract", value_set=list(CONTRACTS)),
        gxe.ExpectColumnValuesToBeInSet(column="gender", value_set=list(GENDERS)),
        gxe.ExpectColumnValuesToMatchRegex(column="email", regex=f"^(?:{EMAIL})$"),
        gxe.ExpectColumnValuesToBeInSet(column="plan_id", value_set=plans),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="seen_at", column_B="signup_at", or_equal=True),
    ]
    whole = [
        gxe.ExpectColumnMeanToBeBetween(column="income", min_value=30_000, max_value=60_000),
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeOfType(column="churned", type_="int64"),
    ]
    suite = gx.ExpectationSuite(name="customers", expectations=[*of_rows, *whole])
    results = batch.validate(suite, result_format="BOOLEAN_ONLY").results
    failed = [name for name, result in zip(NAMES, results, strict=False) if not result.success]
    return {"n_rows": len(frame), "failed": failed, "whole": [bool(result.success) for result in results[9:]]}
