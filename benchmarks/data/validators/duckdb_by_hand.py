"""DuckDB, as one would write it by hand: one query of counts, then what is bad, and what is good, to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from validators import CONTRACTS, EMAIL, GENDERS, NAMES

BREAKS = {
    "missing": "customer_id IS NULL",
    "age": "age NOT BETWEEN 18 AND 110",
    "fee": "monthly_fee NOT BETWEEN 0 AND 500",
    "contract": f"contract NOT IN {CONTRACTS}",
    "gender": f"gender NOT IN {GENDERS}",
    "email": f"NOT regexp_full_match(email, '{EMAIL}')",
    "plan": "plan_id NOT IN (SELECT plan_id FROM plans)",
    "order": "signup_at > seen_at",
}


def warm() -> None:
    """Start the engine."""
    duckdb.sql("SELECT 1").fetchall()


def run(folder: Path, out: Path, *, good: bool) -> dict[str, Any]:
    """Count, and write."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW plans AS FROM '{folder / 'plans.parquet'}'")
    rows = f"read_parquet('{folder / 'customers' / '*.parquet'}', filename = true, file_row_number = true)"
    connection.execute(f"CREATE VIEW customers AS FROM {rows}")
    counts = ", ".join(f"count_if({broken}) AS {name}" for name, broken in BREAKS.items() if name != "order")
    query = f"""SELECT count(*), count(customer_id) - count(DISTINCT customer_id), avg(income), {counts},
        count_if({BREAKS["order"]}) FROM customers"""
    n_rows, n_repeated, mean, *found = connection.execute(query).fetchall()[0]
    is_bad = " OR ".join(f"coalesce({broken}, false)" for broken in BREAKS.values())
    if n_repeated:
        connection.execute(
            """CREATE TABLE repeated AS SELECT filename, file_row_number FROM customers JOIN
            (SELECT customer_id FROM customers GROUP BY customer_id HAVING count(*) > 1) USING (customer_id)
            QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY filename, file_row_number) > 1"""
        )
        is_bad += " OR (filename, file_row_number) IN (FROM repeated)"
    out.mkdir(parents=True, exist_ok=True)
    whole = "SELECT * EXCLUDE (filename, file_row_number) FROM customers"
    options = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    copied = connection.execute(f"COPY ({whole} WHERE {is_bad}) TO '{out / 'aside.parquet'}' {options}").fetchall()
    if good:
        connection.execute(f"COPY ({whole} WHERE NOT ({is_bad})) TO '{out / 'good.parquet'}' {options}")
    by_name = dict(zip([name for name in NAMES if name != "repeated"], found, strict=True))
    bad = [n_repeated if name == "repeated" else by_name[name] for name in NAMES]
    return {"n_rows": n_rows, "mean": mean, "bad": bad, "n_quarantined": copied[0][0]}
