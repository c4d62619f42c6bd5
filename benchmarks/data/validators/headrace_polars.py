"""Headrace on Polars: its twelve checks, compiled to one scan."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

ENGINE = "polars"


def warm() -> None:
    """Import all of it: look at one row, and store it."""
    os.environ["HEADRACE_TABLE_ENGINE"] = ENGINE
    import polars as pl

    row = {
        "customer_id": "1",
        "age": 20.0,
        "monthly_fee": -1.0,
        "contract": "monthly",
        "gender": "f",
        "email": "a@b.c",
        "income": 4e4,
        "churned": 1,
        "plan_id": 1,
    }
    frame = pl.DataFrame([row]).with_columns(signup_at=pl.datetime(2024, 1, 1), seen_at=pl.datetime(2024, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "customers").mkdir()
        frame.write_parquet(Path(folder) / "customers" / "warm.parquet")
        frame.write_parquet(Path(folder) / "plans.parquet")
        run(Path(folder), Path(folder) / "out", good=True)


def run(folder: Path, out: Path, *, good: bool) -> dict[str, Any]:
    """Look, and write the rows that are set aside; with ``good`` the others too."""
    from checks import CHECKS

    from headrace.formats.parquet import ParquetFormat
    from headrace.formats.table import Table
    from headrace.steps import validate

    table = Table(sorted((folder / "customers").glob("*.parquet")))
    tables = {"plans": Table([folder / "plans.parquet"])}
    rows, aside, findings = validate(table, CHECKS, tables=tables, max_bad_share=1)
    for name, made in (("aside", aside), ("good", rows)) if good else (("aside", aside),):
        (out / name).mkdir(parents=True)
        ParquetFormat().save(made, out / name, Table)
    by_check = {finding.rule: finding for finding in findings.findings}
    bad = [f.n_bad for f in findings.findings if f.check not in ("Aggregate", "RowCount", "HasType")]
    mean = next(f.value for rule, f in by_check.items() if rule.startswith("mean of income"))
    return {"n_rows": findings.n_rows, "mean": mean, "bad": bad, "n_quarantined": findings.n_quarantined}
