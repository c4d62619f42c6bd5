"""A customer file as a billing system would export it: realistic, and dirty in every way that real ones are.

``python -m churn.generate --rows 100000 --seed 7 --out data/customers.csv``

One row is one customer on one month's snapshot. The label says whether that customer left within the next month. It
follows a known rule (``leave_chance``) plus chance, so the best reachable AUC is known too: about 0.85.

What is wrong with the file, on purpose:

=====================  =================================================================================
missing values         2 to 30 % by column, spelled "", "NA" or " ? "; likelier where they matter (not at random)
outliers               ages of -1, 0, 150 and 999; fees a hundred times too high; negative usage
bad categories         other cases, stray blanks, misspellings, and plans that do not exist
duplicate keys         half a per cent of the customers stand twice, some with other values
impossible dates       30 February, month 13, 00.00.0000; sign-ups after the snapshot
drift over the months  fees rise, payment moves to the app, a competitor arrives and churn climbs
text in numbers        "n/a" and "12,50" in a column of numbers
labels                 "yes", "no", and some "Yes", "NO ", or nothing
=====================  =================================================================================
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]
    """One column under construction."""

MONTHS = 18
FIRST_MONTH = "2024-01"
DUPLICATES = 0.005

REGIONS = ("north", "south", "east", "west", "central")
PLANS = ("basic", "plus", "premium")
CONTRACTS = ("monthly", "one_year", "two_year")
PAYMENTS = ("card", "bank_transfer", "app", "voucher")
GENDERS = ("female", "male", "other")

MISSPELLED: dict[str, dict[str, tuple[str, ...]]] = {
    "plan": {"basic": ("Basic", "basic ", "BASIC"), "plus": ("Plus", "pluss"), "premium": ("Premium", "premum")},
    "region": {"north": ("North", "nort"), "south": ("SOUTH",), "east": (" east",), "west": ("West",), "central": ()},
    "gender": {"female": ("F", "Female"), "male": ("M", "Male"), "other": ("x",)},
    "churned": {"yes": ("Yes", "YES "), "no": ("No", "NO ")},
}
UNKNOWN = {"plan": ("legacy-2009", "???"), "region": ("unknown", "Atlantis")}


def generate(n_rows: int = 100_000, *, seed: int = 7) -> pl.DataFrame:
    """Make the customer table: equal rows for an equal number of rows and seed.

    ``n_rows`` is at least 1; duplicates are among them. Raises ``ValueError`` below that.
    """
    import numpy as np

    if n_rows < 1:
        raise ValueError(f"n_rows >= 1 must hold, but got n_rows={n_rows!r}")
    random = np.random.default_rng(seed)
    truth = customers(n_rows, random)
    truth["churned"] = random.random(n_rows) < leave_chance(truth)
    return spoil(truth, random)


def customers(n: int, random: np.random.Generator) -> dict[str, Array]:
    """Draw the customers as they really are, a clean array for each column."""
    import numpy as np

    month = np.sort(random.integers(0, MONTHS, n))
    time = month / MONTHS
    premium = 0.25 - 0.10 * time
    plan = choose(random, np.stack([0.45 + 0 * time, 0.55 - premium, premium], axis=1))
    app = 0.15 + 0.35 * time
    payment = choose(random, np.stack([0.40 - app / 2, 0.50 - app / 2, app, 0.10 + 0 * time], axis=1))
    contract = choose(random, np.tile([0.55, 0.27, 0.18], (n, 1)))
    tenure = np.minimum(random.gamma(1.6, 16.0, n), 120.0) + 0.5
    fee = np.array([19.0, 34.0, 59.0])[plan] * (1 + 0.15 * time) * random.normal(1.0, 0.06, n)
    return {
        "month": month,
        "plan": plan,
        "payment": payment,
        "contract": contract,
        "region": random.integers(0, len(REGIONS), n),
        "gender": choose(random, np.tile([0.49, 0.49, 0.02], (n, 1))),
        "age": np.clip(random.normal(44, 16, n), 18, 95).astype(np.int64),
        "tenure_days": (tenure * 30.44).astype(np.int64),
        "monthly_fee": np.round(fee, 2),
        "data_gb": np.round(random.lognormal(1.2 + 0.5 * plan, 0.8), 2),
        "voice_minutes": np.round(random.gamma(1.4, 110.0, n), 1),
        "support_calls": random.poisson(0.5 + 0.5 * (tenure < 6), n),
        "late_payments": random.poisson(0.25 + 0.5 * (payment == 3), n),
        "n_devices": 1 + random.binomial(5, 0.18 + 0.1 * plan),
        "nps": np.clip(np.round(random.normal(7.0, 2.2, n)), 0, 10).astype(np.int64),
        "days_since_login": np.minimum(random.exponential(9.0, n), 365.0).astype(np.int64),
    }


def choose(random: np.random.Generator, shares: Array) -> Array:
    """Draw one category a row, each row by its own shares."""
    import numpy as np

    return np.asarray((random.random((len(shares), 1)) > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1))


def leave_chance(truth: dict[str, Array]) -> Array:
    """Say how likely each customer is to leave, between 0 and 1: the rule that a model has to find."""
    import numpy as np

    months = truth["tenure_days"] / 30.44
    score = (
        -3.5
        + np.array([1.5, -0.5, -1.7])[truth["contract"]]
        + np.array([0.0, -0.1, -0.5, 0.7])[truth["payment"]]
        + 1.6 * np.exp(-months / 9)
        + 0.55 * truth["support_calls"]
        + 0.45 * truth["late_payments"]
        - 0.28 * (truth["nps"] - 7)
        + 0.055 * np.minimum(truth["days_since_login"], 60)
        + 0.022 * (truth["monthly_fee"] - 30) * (truth["data_gb"] < 4)
        - 0.012 * (truth["age"] - 44)
        + 0.7 * (truth["region"] == 3) * (truth["month"] >= 9)
        + 0.5 * truth["month"] / MONTHS
    )
    return np.asarray(1 / (1 + np.exp(-score)))


def spoil(truth: dict[str, Array], random: np.random.Generator) -> pl.DataFrame:
    """Write the clean columns down the way the export does, with all that goes wrong on the way."""
    import numpy as np
    import polars as pl

    n = len(truth["month"])
    columns: dict[str, pl.Series | pl.Expr] = {
        "customer_id": identities(n, random),
        **dates(truth, random),
        "email": emails(n, random),
        "gender": names("gender", GENDERS, truth["gender"], random, wrong=0.04, missing=0.03),
        "age": numbers(truth["age"], random, missing=0.05, outliers=(-1, 0, 150, 999), wrong=0.004),
        "region": names("region", REGIONS, truth["region"], random, wrong=0.02, missing=0.02),
        "plan": names("plan", PLANS, truth["plan"], random, wrong=0.05, missing=0.01),
        "contract": names("contract", CONTRACTS, truth["contract"], random, wrong=0.0, missing=0.0),
        "payment_method": names("payment_method", PAYMENTS, truth["payment"], random, wrong=0.0, missing=0.04),
        "monthly_fee": fees(truth["monthly_fee"], random),
        "data_gb": numbers(truth["data_gb"], random, missing=0.06, outliers=(-5.0, 99999.0), wrong=0.002),
        "voice_minutes": numbers(truth["voice_minutes"], random, missing=0.06, outliers=(-60.0,), wrong=0.002),
        "support_calls": numbers(truth["support_calls"], random, missing=0.0, outliers=(500,), wrong=0.0005),
        "late_payments": numbers(truth["late_payments"], random, missing=0.02, outliers=(), wrong=0.0),
        "n_devices": numbers(truth["n_devices"], random, missing=0.02, outliers=(), wrong=0.0),
        "nps": numbers(truth["nps"], random, missing=0.2 + 0.2 * truth["churned"], outliers=(11, -1), wrong=0.001),
        "days_since_login": numbers(truth["days_since_login"], random, missing=0.03, outliers=(9999,), wrong=0.004),
        "churned": names(
            "churned", ("no", "yes"), truth["churned"].astype(np.int64), random, wrong=0.03, missing=0.002
        ),
    }
    return pl.DataFrame(columns)


def identities(n: int, random: np.random.Generator) -> pl.Series:
    """Number the customers, and give some rows the number of an earlier one."""
    import numpy as np
    import polars as pl

    number = np.arange(1, n + 1)
    again = random.random(n) < DUPLICATES
    earlier = (random.random(n) * np.arange(n)).astype(np.int64)
    number = np.where(again & (np.arange(n) > 0), earlier + 1, number)
    return pl.select("C" + pl.Series("customer_id", number).cast(pl.String).str.zfill(8)).to_series()


def dates(truth: dict[str, Array], random: np.random.Generator) -> dict[str, pl.Series]:
    """Date the snapshots (each month's first day) and the sign-ups, some impossible, some after the snapshot."""
    import numpy as np
    import polars as pl

    first = np.datetime64(FIRST_MONTH, "M")
    snapshot = (first + truth["month"]).astype("datetime64[D]")
    n = len(snapshot)
    future = random.random(n) < 0.003
    signup = snapshot + np.where(future, truth["tenure_days"] % 400 + 1, -truth["tenure_days"])
    written = pl.Series("signup_date", signup).cast(pl.String)
    written = replace(written, random, 0.004, ("2023-02-30", "2022-13-01", "00.00.0000", "2021-06-31"))
    written = replace(written, random, 0.01, ("", "NA"))
    return {"snapshot_date": pl.Series("snapshot_date", snapshot).cast(pl.String), "signup_date": written}


def emails(n: int, random: np.random.Generator) -> pl.Series:
    """Make addresses up, all at example domains, some without their @ or their end."""
    import polars as pl

    user = pl.Series("email", random.integers(10**5, 10**8, n)).cast(pl.String)
    good = pl.select("user" + user + "@example.com").to_series()
    broken = random.random(n) < 0.01
    text = pl.select(pl.when(pl.Series(broken)).then(good.str.replace("@", " at ")).otherwise(good)).to_series()
    return replace(text.alias("email"), random, 0.03, ("",))


def names(
    column: str, known: tuple[str, ...], index: Array, random: np.random.Generator, *, wrong: float, missing: float
) -> pl.Series:
    """Write categories as text: a share misspelled or unknown, a share missing."""
    import numpy as np
    import polars as pl

    spellings = [(name, *MISSPELLED.get(column, {}).get(name, ())) for name in known]
    n_most = max(len(s) for s in spellings)
    table = np.array([[s[min(i, len(s) - 1)] for i in range(n_most)] for s in spellings], dtype=object)
    choice = np.where(random.random(len(index)) < wrong, random.integers(0, n_most, len(index)), 0)
    flat = pl.Series(column, table.ravel(), dtype=pl.String)
    text = flat.gather((index * n_most + choice).astype(np.int64))
    if column in UNKNOWN:
        text = replace(text, random, wrong / 10, UNKNOWN[column])
    return replace(text, random, missing, ("", "NA", " ? "))


def numbers(
    values: Array, random: np.random.Generator, *, missing: float | Array, outliers: tuple[float, ...], wrong: float
) -> pl.Series:
    """Write numbers as text: a share replaced by impossible ones, a share missing."""
    import polars as pl

    text = pl.Series(values).cast(pl.String)
    if outliers:
        text = replace(text, random, wrong, tuple(str(o) for o in outliers))
    return replace(text, random, missing, ("", "NA"))


def fees(values: Array, random: np.random.Generator) -> pl.Series:
    """Write fees: some a hundred times too high (a lost decimal point), some as text, some with a decimal comma."""
    import numpy as np
    import polars as pl

    lost_point = random.random(len(values)) < 0.002
    text = pl.Series("monthly_fee", np.round(np.where(lost_point, values * 100, values), 2)).cast(pl.String)
    comma = pl.Series(random.random(len(values)) < 0.001)
    text = pl.select(pl.when(comma).then(text.str.replace(".", ",", literal=True)).otherwise(text)).to_series()
    text = replace(text, random, 0.002, ("n/a", "free"))
    return replace(text, random, 0.02, ("", "NA"))


def replace(text: pl.Series, random: np.random.Generator, share: float | Array, by: tuple[str, ...]) -> pl.Series:
    """Replace a share of the values (one share for all, or one a row) by one of some others, drawn evenly."""
    import numpy as np
    import polars as pl

    n = len(text)
    hit = pl.Series(random.random(n) < share)
    other = pl.Series(by, dtype=pl.String).gather(random.integers(0, len(by), n).astype(np.int64))
    return pl.select(pl.when(hit).then(other).otherwise(text).alias(text.name)).to_series()


def main(arguments: list[str] | None = None) -> int:
    """Write a customer file, and say where."""
    parser = argparse.ArgumentParser(prog="python -m churn.generate", description="Make a dirty customer file up.")
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows (default: 100000)")
    parser.add_argument("--seed", type=int, default=7, help="other seed, other customers (default: 7)")
    parser.add_argument("--out", type=Path, default=Path("data/customers.csv"), help="where to (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.rows < 1:
        parser.error(f"--rows must be at least 1, but is {options.rows}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    aside = options.out.with_name(options.out.name + ".part")
    generate(options.rows, seed=options.seed).write_csv(aside)
    aside.replace(options.out)
    sys.stdout.write(f"{options.out}: {options.rows} rows, seed {options.seed}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
