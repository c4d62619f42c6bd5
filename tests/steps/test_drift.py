"""Drift: each measure against SciPy, what is told and what isn't, and that noise raises no alarm."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from scipy.spatial import distance

from headrace.cli.main import main
from headrace.core.errors import DataError
from headrace.formats.registry import save_artifact
from headrace.formats.table import Table
from headrace.steps import Drift, Limits, drift, profile
from headrace.steps import drift_measures as measures
from headrace.steps.drifting import ColumnDrift, compare_profiles

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12)


def of(found: Drift, column: str, part: str = "") -> ColumnDrift:
    return next(change for change in found.columns if (change.column, change.slice) == (column, part))


def make_rows(n: int, seed: int, *, shift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in random.integers(0, 300, n)]
    return pl.DataFrame(
        {
            "income": random.normal(50_000, 15_000, n) + shift * 15_000,
            "far": 1e6 + random.normal(0, 1, n) + shift,
            "visits": random.poisson(3, n),
            "plan": random.choice(["basic", "plus", "premium"], n, p=[0.6, 0.3, 0.1]),
            "region": random.choice(["north", "south"], n),
            "member": random.random(n) < 0.3,
            "day": days,
            "email": [f"user{i}@example.com" for i in random.integers(0, 10**7, n)],
        }
    )


BEFORE = make_rows(10_000, 0)


@given(COUNTS)
def test_chi_squared_against_scipy(counts: list[tuple[int, int]]) -> None:
    both = np.array(counts, np.float64)
    both = both[both.sum(axis=1) > 0]
    if len(both) < 2 or not both.sum(axis=0).all():
        return
    expected = both.sum(axis=1) * both.sum(axis=0).min() / both.sum()
    statistic, p_value = measures.chi_squared(both[:, 0], both[:, 1])
    if expected.min() >= measures.LEAST_EXPECTED:
        right = stats.chi2_contingency(both, correction=False)
        assert statistic == pytest.approx(right.statistic, rel=1e-9, abs=1e-9)
        assert p_value == pytest.approx(right.pvalue, rel=1e-9, abs=1e-14)
    else:
        assert 0 <= p_value <= 1


def test_rare_categories_are_put_together() -> None:
    often, rare = np.array([500.0, 500.0, 3.0, 2.0, 1.0]), np.array([500.0, 500.0, 0.0, 4.0, 3.0])
    pooled = stats.chi2_contingency([[500, 500, 6], [500, 500, 7]], correction=False)
    assert measures.chi_squared(often, rare)[1] == pytest.approx(pooled.pvalue)
    joined = stats.chi2_contingency([[500, 501], [500, 500]], correction=False)
    found = measures.chi_squared(np.array([500.0, 500.0, 1.0]), np.array([500.0, 500.0, 0.0]))
    assert found[1] == pytest.approx(joined.pvalue)
    assert measures.chi_squared(np.array([3.0, 0.0]), np.array([0.0, 3.0]))[1] == 1.0


@given(st.floats(0.01, 8.0))
def test_kolmogorov_against_scipy(x: float) -> None:
    assert measures.kolmogorov_tail(x) == pytest.approx(special.kolmogorov(x), rel=1e-9, abs=1e-12)


@given(st.floats(0.5, 300.0), st.floats(0.0, 900.0))
def test_gamma_against_scipy(a: float, x: float) -> None:
    assert measures.gamma_tail(a, x) == pytest.approx(special.gammaincc(a, x), rel=1e-8, abs=1e-13)


def test_two_shares_against_scipy() -> None:
    right = stats.chi2_contingency([[30, 970], [60, 1140]], correction=True)
    assert measures.shares_differ(1000, 30, 1200, 60) == pytest.approx(right.pvalue)
    assert measures.shares_differ(10, 0, 10, 0) == measures.shares_differ(0, 0, 5, 1) == 1.0


def test_distances_against_scipy() -> None:
    p, q = np.array([10.0, 20.0, 70.0]), np.array([30.0, 30.0, 0.0])
    assert measures.jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2))
    assert measures.total_variation(p, q) == pytest.approx(0.7)
    a, b = (p + 0.5) / 101.5, (q + 0.5) / 61.5
    assert measures.psi(p, q) == pytest.approx(stats.entropy(a, b) + stats.entropy(b, a))
    none = np.zeros(3)
    assert np.isnan([f(p, none) for f in (measures.psi, measures.jensen_shannon, measures.total_variation)]).all()
    assert measures.kolmogorov_smirnov(p, none)[1] == measures.chi_squared(p, none)[1] == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrections_against_scipy(p_values: list[float]) -> None:
    right = stats.false_discovery_control(p_values, method="bh")
    assert measures.benjamini_hochberg(p_values) == pytest.approx(right.tolist())
    adjusted = measures.holm(p_values)
    least = min(p_values)
    assert min(adjusted) == pytest.approx(min(1.0, least * len(p_values)))
    assert all(p <= a for p, a in zip(p_values, adjusted, strict=True))


def test_a_planted_shift_is_found_and_measured() -> None:
    now = make_rows(10_000, 1, shift=0.2)
    found = drift(profile(BEFORE), now)
    assert found.drifting == ("far", "income") or found.drifting == ("income", "far")
    for name in ("income", "far"):
        right = stats.ks_2samp(BEFORE[name].to_numpy(), now[name].to_numpy(), method="asymp")
        assert of(found, name).effect == pytest.approx(right.statistic, abs=0.004)
        # In theory 2 Φ(0.1) - 1 = 0.08 and 0.2² = 0.04.
        assert of(found, name).effect == pytest.approx(0.08, abs=0.02)
        assert of(found, name).psi == pytest.approx(0.04, abs=0.02)
        assert of(found, name).p_value < 1e-15
    assert not of(found, "visits").is_drift and of(found, "email").effect != of(found, "email").effect


def test_what_is_told() -> None:
    now = make_rows(10_000, 2).with_columns(
        plan=pl.when(pl.col("plan") == "premium").then(pl.lit("gold")).otherwise(pl.col("plan")),
        income=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(pl.col("income")),
        member=pl.lit(True),
        region=pl.lit(3),
        added=pl.lit(1),
    )
    found = drift(profile(BEFORE), now.drop("visits"))
    assert (found.lost_columns, found.new_columns) == (("visits",), ("added",))
    plan = of(found, "plan")
    assert (plan.new, plan.vanished) == (("gold",), ("premium",)) and plan.new_share == pytest.approx(0.1, abs=0.02)
    assert plan.reasons[1].endswith("of rows in new categories: gold")
    assert of(found, "income").reasons == ("missing 10.0%, was 0.0%",)
    assert of(found, "income").effect < 0.03
    assert of(found, "member").effect == pytest.approx(0.7, abs=0.02)
    assert of(found, "region").reasons == ("kind was text, is integer",)
    assert set(found.drifting) == {"plan", "income", "member", "region", "visits"}
    assert [change.is_drift for change in found.columns] == sorted((c.is_drift for c in found.columns), reverse=True)


def test_slices_are_compared_too() -> None:
    now = make_rows(10_000, 3).with_columns(
        income=pl.col("income") + pl.when(pl.col("region") == "north").then(8_000).otherwise(0)
    )
    found = drift(profile(BEFORE, slices=["region"]), now)
    assert {(c.column, c.slice) for c in found.columns if c.is_drift} == {("income", ""), ("income", "region=north")}
    assert of(found, "income", "region=north").effect > of(found, "income").effect


def test_limits_and_refusals() -> None:
    reference, now = profile(BEFORE), make_rows(10_000, 1, shift=0.2)
    assert drift(reference, now, limits=Limits(effect=0.2)).drifting == ()
    assert drift(reference, now, columns=["visits"]).drifting == ()
    assert set(drift(reference, now, correction="benjamini-hochberg").drifting) == {"income", "far"}
    with pytest.raises(DataError, match="0 < alpha < 1 must hold, but got alpha=2"):
        drift(reference, now, alpha=2)
    with pytest.raises(DataError, match="The profile has no column 'incme'"):
        drift(reference, now, columns=["incme"])


def test_profiles_are_compared_without_a_scan() -> None:
    now = make_rows(10_000, 1, shift=0.2)
    scanned, compared = drift(profile(BEFORE), now), compare_profiles(profile(BEFORE), profile(now))
    for column in ("income", "plan", "day", "visits"):
        assert of(scanned, column) == of(compared, column)


def test_the_same_on_both_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    reference = profile(BEFORE)
    make_rows(10_000, 1, shift=0.2).write_parquet(tmp_path / "now.parquet")
    found = []
    for engine in ("polars", "duckdb"):
        monkeypatch.setenv("HEADRACE_TABLE_ENGINE", engine)
        (tmp_path / engine).mkdir()
        save_artifact(drift(reference, Table([tmp_path / "now.parquet"])), Drift, tmp_path / engine)
        found.append((tmp_path / engine / "value.json").read_bytes())
    assert found[0] == found[1]


def test_empty_tables() -> None:
    reference = profile(BEFORE)
    assert drift(reference, BEFORE.head(0)).drifting == ()
    assert drift(profile(BEFORE.head(0)), BEFORE).drifting == ()


def test_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    BEFORE.write_parquet("before.parquet")
    make_rows(10_000, 1, shift=0.2).write_csv("now.csv")
    assert main(["data", "profile", "before.parquet", "-o", "before.json"]) == 0
    assert "before.parquet: 10,000 rows, 8 columns" in capsys.readouterr().out
    assert main(["data", "drift", "before.json", "before.parquet"]) == 0
    assert capsys.readouterr().out == "10,000 rows against 10,000: nothing drifts\n"
    assert main(["data", "drift", "before.json", "now.csv"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "10,000 rows against 10,000: 2 columns of 8 drift"
    assert main(["data", "drift", "before.parquet", "now.csv", "--slice", "plan", "--json"]) == 3
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(told["drifting"]) == {"income", "far"} and {c["slice"] for c in told["columns"]} > {"plan=plus"}
    assert main(["data", "drift", "before.json", "now.csv", "--slice", "plan"]) == 2
    assert "made without slices by 'plan'" in capsys.readouterr().err
    assert main(["data", "drift", "befor.json", "now.csv"]) == 2
    assert main(["data", "profile", "nwo.csv"]) == 2
    assert "There is no file 'nwo.csv'" in capsys.readouterr().err
