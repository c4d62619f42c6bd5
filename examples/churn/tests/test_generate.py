"""The customers are the same for the same seed, and dirty in the ways that are told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from churn.generate import customers, generate, leave_chance, main

N = 20_000


@pytest.fixture(scope="module")
def made() -> pl.DataFrame:
    return generate(N, seed=3)


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        path = tmp_path / "new" / f"{name}.csv"
        assert main(["--rows", "500", "--seed", str(seed), "--out", str(path)]) == 0
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    assert not list((tmp_path / "new").glob("*.part"))


def test_there_are_as_many_rows_as_asked_for(made: pl.DataFrame) -> None:
    assert made.shape == (N, 19)
    assert generate(1).height == 1
    with pytest.raises(ValueError, match=r"n_rows >= 1 must hold, but got n_rows=0"):
        generate(0)
    with pytest.raises(SystemExit):
        main(["--rows", "0"])


def test_what_is_wrong_with_them(made: pl.DataFrame) -> None:
    def share(condition: pl.Expr) -> float:
        return float(made.select(condition.mean()).item())

    assert 0.003 < 1 - made["customer_id"].n_unique() / N < 0.007
    assert 0.03 < share(pl.col("age").is_in(["", "NA"])) < 0.07
    assert 0.002 < share(pl.col("age").is_in(["-1", "0", "150", "999"])) < 0.006
    assert 0.002 < share(pl.col("signup_date").is_in(["2023-02-30", "2022-13-01", "00.00.0000", "2021-06-31"])) < 0.006
    assert 0.001 < share(pl.col("signup_date") > pl.col("snapshot_date")) < 0.009
    assert share(pl.col("plan").is_in(["basic", "plus", "premium"])) > 0.93
    assert 0 < share(pl.col("plan").is_in(["legacy-2009", "???"])) < 0.01
    assert 0.001 < share(pl.col("monthly_fee").is_in(["n/a", "free"])) < 0.004
    assert 0 < share(pl.col("monthly_fee").str.contains(",")) < 0.003
    assert 0.005 < share(pl.col("email").str.contains(" at ")) < 0.015
    nps_missing = pl.col("nps").is_in(["", "NA"])
    leavers = pl.col("churned").str.strip_chars().str.to_lowercase() == "yes"
    assert share(nps_missing.filter(leavers)) > 1.5 * share(nps_missing.filter(~leavers)), "missing not at random"


def test_they_drift(made: pl.DataFrame) -> None:
    random = np.random.default_rng(0)
    truth = customers(100_000, random)
    chance, month = leave_chance(truth), truth["month"]
    assert chance[month >= 12].mean() > chance[month < 6].mean() + 0.04
    assert (truth["payment"][month >= 12] == 2).mean() > (truth["payment"][month < 6] == 2).mean() + 0.1
    assert made["snapshot_date"].is_sorted() and made["snapshot_date"].n_unique() == 18
