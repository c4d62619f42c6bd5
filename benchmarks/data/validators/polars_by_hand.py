"""Streaming Polars, as one would write it by hand: one query of counts, then what is bad, and what is good, to files.

The second query needs the keys that stand more than once, which are found only where there are any. The first row of
a key stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from validators import CONTRACTS, EMAIL, GENDERS


def warm() -> None:
    """Start the engine."""
    pl.LazyFrame({"a": [1]}).select(pl.col("a").sum()).collect(engine="streaming")


def run(folder: Path, out: Path, *, good: bool) -> dict[str, Any]:
    """Count, and write."""
    rows = pl.scan_parquet(folder / "customers" / "*.parquet")
    plans = pl.read_parquet(folder / "plans.parquet", columns=["plan_id"])["plan_id"]
    key = pl.col("customer_id")
    breaks = {
        "missing": key.is_null(),
        "age": ~pl.col("age").is_between(18, 110),
        "fee": ~pl.col("monthly_fee").is_between(0, 500),
        "contract": ~pl.col("contract").is_in(CONTRACTS),
        "gender": ~pl.col("gender").is_in(GENDERS),
        "email": ~pl.col("email").str.contains(f"^(?:{EMAIL})$"),
        "plan": ~pl.col("plan_id").is_in(plans.implode()),
        "order": pl.col("signup_at") > pl.col("seen_at"),
    }
    counts = rows.select(
        pl.len().alias("n_rows"),
        key.drop_nulls().n_unique().alias("n_keys"),
        pl.col("income").mean().alias("mean"),
        *(broken.sum().alias(name) for name, broken in breaks.items()),
    )
    found = counts.collect(engine="streaming").row(0, named=True)
    n_repeated = found["n_rows"] - found["missing"] - found["n_keys"]
    is_bad = pl.any_horizontal(*(broken.fill_null(False) for broken in breaks.values()))
    if n_repeated:
        several = rows.select("customer_id").drop_nulls().group_by("customer_id").len().filter(pl.col("len") > 1)
        keys = several.select("customer_id").collect(engine="streaming").to_series()
        stands = rows.select("customer_id").with_row_index("row").filter(key.is_in(keys.implode()))
        later = stands.filter(~key.is_first_distinct()).select("row").collect(engine="streaming").to_series()
        rows = rows.with_row_index("row")
        is_bad = is_bad | pl.col("row").is_in(later.implode())
    out.mkdir(parents=True, exist_ok=True)
    zstd: Any = {"compression": "zstd", "compression_level": 1}
    drop = ["row"] if n_repeated else []
    rows.filter(is_bad).drop(drop).sink_parquet(out / "aside.parquet", **zstd)
    if good:
        rows.filter(~is_bad).drop(drop).sink_parquet(out / "good.parquet", **zstd)
    names = ("missing", "repeated", "age", "fee", "contract", "gender", "email", "plan", "order")
    n_aside = pl.scan_parquet(out / "aside.parquet").select(pl.len()).collect().item()
    bad = [n_repeated if name == "repeated" else found[name] or 0 for name in names]
    return {"n_rows": found["n_rows"], "mean": found["mean"], "bad": bad, "n_quarantined": n_aside}
