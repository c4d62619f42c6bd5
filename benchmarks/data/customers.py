"""Make up customers: 23 columns, any number of rows, the same each time, in bounded memory.

Twelve numeric columns (some values missing, some far out), five of categories (some missing), two times, an e-mail, an
id, a foreign key to ``plans.parquet`` and a label that 18 % have. With ``--bad 0.005`` one row in 200 breaks one of
the nine rules about rows that ``checks.py`` has.

Usage: customers.py FOLDER [--rows 1e6] [--bad 0.005] [--seed 1]

Writes ``FOLDER/customers/part-*.parquet`` (stored parts, a million rows each) and ``FOLDER/plans.parquet``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from headrace.formats.parquet_writer import GROUPS_PER_PART, MAX_GROUP_ROWS, part_name, write_part

PART_ROWS = GROUPS_PER_PART * MAX_GROUP_ROWS
N_PLANS = 5_000
REGIONS = ("north", "south", "east", "west", "islands")
CONTRACTS = ("monthly", "one_year", "two_year")
GENDERS = ("f", "m", "x")
DEVICES = ("phone", "tablet", "router", "none")
OCCUPATIONS = tuple(f"occupation {n:02}" for n in range(40))
DOMAINS = ("example.com", "example.org", "mail.example.net")
KINDS_OF_BAD = 9
SCRAMBLE = 0x9E3779B1


def numbers(random: np.random.Generator, values: np.ndarray[Any, Any], missing: float) -> pl.Series:
    """Round, and leave some out."""
    return pl.Series(np.where(random.random(len(values)) < missing, np.nan, values.round(2))).fill_nan(None)


def categories(random: np.random.Generator, n: int, names: tuple[str, ...], missing: float) -> pl.Series:
    picked = pl.Series(random.integers(0, len(names), n))
    texts = pl.Series(names).gather(picked)
    return texts.set(pl.Series(random.random(n) < missing), None) if missing else texts


def part(start: int, n: int, *, bad: float, seed: int) -> pl.DataFrame:
    """Rows ``start`` to ``start + n``, whatever was made before them."""
    random = np.random.default_rng([seed, start])
    row = np.arange(start, start + n, dtype=np.int64)
    day = 86_400_000_000
    signup = np.int64(1_500_000_000_000_000) + random.integers(0, 3000, n) * day + random.integers(0, day, n)
    tenure = random.integers(0, 120, n)
    frame = pl.DataFrame(
        {
            "customer_id": pl.Series(row * SCRAMBLE % 2**32).cast(pl.String).str.zfill(10),
            "plan_id": random.integers(1, N_PLANS + 1, n),
            "email": pl.Series(row).cast(pl.String),
            "signup_at": pl.Series(signup).cast(pl.Datetime("us")),
            "seen_at": pl.Series(signup + random.integers(0, 500 * day, n)).cast(pl.Datetime("us")),
            "age": numbers(random, random.normal(45, 12, n).clip(18, 100).round(), 0.02),
            "income": numbers(random, random.lognormal(10.5, 0.6, n), 0.08),
            "monthly_fee": numbers(random, random.gamma(4, 12.5, n).clip(0, 499), 0.0),
            "data_gb": numbers(random, random.lognormal(2, 1, n), 0.03),
            "voice_minutes": numbers(random, random.gamma(2, 150, n), 0.03),
            "sms": numbers(random, random.poisson(20, n).astype(float), 0.03),
            "support_calls": numbers(random, random.poisson(1.2, n).astype(float), 0.0),
            "nps": numbers(random, random.integers(0, 11, n).astype(float), 0.4),
            "days_since_login": numbers(random, random.exponential(20, n).round(), 0.05),
            "tenure_months": pl.Series(tenure),
            "discount": numbers(random, random.beta(1, 8, n), 0.0),
            "balance": numbers(random, random.normal(0, 300, n) * np.where(random.random(n) < 1e-3, 50, 1), 0.01),
            "region": categories(random, n, REGIONS, 0.01),
            "contract": categories(random, n, CONTRACTS, 0.0),
            "gender": categories(random, n, GENDERS, 0.05),
            "device": categories(random, n, DEVICES, 0.02),
            "occupation": categories(random, n, OCCUPATIONS, 0.1),
            "churned": (random.random(n) < 0.18).astype(np.int64),
        }
    )
    domain = pl.Series("domain", DOMAINS).gather(pl.Series(random.integers(0, len(DOMAINS), n)))
    frame = frame.with_columns(pl.concat_str(pl.lit("user"), pl.col("email"), pl.lit("@"), domain).alias("email"))
    return spoilt(frame, random, bad)


def spoilt(frame: pl.DataFrame, random: np.random.Generator, bad: float) -> pl.DataFrame:
    """Let a share of the rows break one rule each."""
    kind = np.where(random.random(len(frame)) < bad, random.integers(1, KINDS_OF_BAD + 1, len(frame)), 0)
    kind[0] = 0
    is_kind = [pl.lit(pl.Series(kind == n)) for n in range(KINDS_OF_BAD + 1)]
    changes = [
        ("customer_id", 1, pl.lit(None)),
        ("customer_id", 2, pl.col("customer_id").shift(1)),
        ("age", 3, pl.lit(170.0)),
        ("monthly_fee", 4, pl.lit(-1.0)),
        ("contract", 5, pl.lit("weekly")),
        ("gender", 6, pl.lit("?")),
        ("email", 7, pl.lit("no mail")),
        ("plan_id", 8, pl.lit(N_PLANS + 7)),
        ("seen_at", 9, pl.col("signup_at") - pl.duration(days=1)),
    ]
    for name, n, value in changes:
        frame = frame.with_columns(pl.when(is_kind[n]).then(value).otherwise(pl.col(name)).alias(name))
    return frame


def batches(start: int, n: int, *, bad: float, seed: int) -> Iterator[pa.Table]:
    for at in range(start, start + n, MAX_GROUP_ROWS):
        yield part(at, min(MAX_GROUP_ROWS, start + n - at), bad=bad, seed=seed).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )


def write(folder: Path, *, n_rows: int, bad: float, seed: int = 1) -> Path:
    """Write the parts that aren't there, and the plans. Gives the folder of the parts."""
    made = folder / "customers"
    made.mkdir(parents=True, exist_ok=True)
    plans = pl.DataFrame({"plan_id": np.arange(1, N_PLANS + 1), "name": [f"plan {n}" for n in range(1, N_PLANS + 1)]})
    plans.write_parquet(folder / "plans.parquet")
    for number, start in enumerate(range(0, n_rows, PART_ROWS)):
        place = made / part_name(number)
        if not place.exists():
            n = min(PART_ROWS, n_rows - start)
            schema = next(batches(start, 1, bad=bad, seed=seed)).schema
            aside = place.with_suffix(".aside")
            from headrace.formats.arrow_types import canonical_batch, canonical_schema

            stored = canonical_schema(schema, {})
            rows = (canonical_batch(batch, stored) for batch in batches(start, n, bad=bad, seed=seed))
            write_part(stored, rows, aside)
            aside.replace(place)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--bad", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(write(given.folder, n_rows=int(given.rows), bad=given.bad, seed=given.seed))


if __name__ == "__main__":
    main()
