"""A table's profile: right, the same on each engine and however it is cut, kept as an artifact."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headrace
from headrace.core.errors import DataError, FormatError
from headrace.formats.registry import find_format, format_named, save_artifact
from headrace.formats.table import Table
from headrace.steps import Profile, profile
from headrace.steps.profiling import blocks
from headrace.steps.profiling.profile_format import ProfileFormat
from headrace.steps.profiling.profiles import VERSION
from headrace.steps.profiling.summary import summary


def make_rows(n: int = 6_000, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    spiky = np.where(random.random(n) < 0.1, 0.0, random.normal(50_000, 15_000, n))
    odd = random.normal(0, 1, n)
    odd[:4] = [np.nan, np.inf, -np.inf, -0.0]
    moments = pl.Series([datetime(2024, 1, 1) + timedelta(seconds=int(s)) for s in random.integers(0, 10**7, n)])
    frame = pl.DataFrame(
        {
            "income": spiky,
            "odd": odd,
            "age": random.integers(18, 90, n),
            "key": np.arange(n) + (1 << 55),
            "small": pl.Series(random.integers(0, 200, n), dtype=pl.UInt8),
            "plan": random.choice(["basic", "plus", "premium"], n, p=[0.6, 0.3, 0.1]),
            "email": [f"User{i}@example.com" for i in random.integers(0, 10**6, n)],
            "at": moments,
            "day": moments.dt.date(),
            "member": random.random(n) < 0.3,
            "left": np.where(random.random(n) < 0.2 + 0.6 * (spiky > 60_000), "yes", "no"),
            "tags": [["a"]] * n,
        }
    )
    holes = pl.Series(random.random(n) < 0.1)
    return frame.with_columns(
        pl.when(holes).then(None).otherwise(pl.col(name)).alias(name) for name in frame.columns if name != "key"
    )


ROWS = make_rows()


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """Several blocks of a small table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "row_group_rows", lambda schema: 1 << 10)
        yield


@pytest.fixture(scope="module")
def found(small_blocks: None) -> Profile:
    return profile(ROWS, target="left", slices=["plan"])


def test_figures_against_polars(found: Profile) -> None:
    assert (found.n_rows, list(found.columns)) == (6_000, ROWS.columns)
    for name in ROWS.columns:
        column, values = found[name], ROWS[name]
        finite = values.filter(values.is_finite()) if values.dtype.is_float() else values
        assert column.n_missing == values.null_count() + (values.is_nan().sum() if values.dtype.is_float() else 0)
        if column.kind not in ("integer", "number"):
            continue
        numbers = finite.drop_nulls().cast(pl.Float64)
        assert (column.least, column.greatest) == (numbers.min(), numbers.max()) or name == "key"
        assert column.mean == pytest.approx(numbers.mean(), rel=1e-12, abs=1e-12)
        assert name == "key" or column.std == pytest.approx(numbers.std(), rel=1e-12)
        assert column.n_zero == int((numbers == 0).sum())
        assert column.n_negative == int((numbers < 0).sum()) + (name == "odd")
        for share in (0.05, 0.5, 0.95):
            right: Any = numbers.quantile(share, "lower")
            assert column.quantile(share) == pytest.approx(right, rel=0.0078)


def test_skew_against_scipy(found: Profile) -> None:
    from scipy import stats

    values = ROWS["income"].drop_nulls().to_numpy()
    assert found["income"].skew == pytest.approx(stats.skew(values), rel=1e-10)


def test_whole_numbers_beyond_floats_are_exact(found: Profile) -> None:
    assert found["key"].std == pytest.approx(np.arange(6_000).std(ddof=1), rel=1e-14)
    assert found["key"].least == 1 << 55 and found["key"].greatest == (1 << 55) + 5_999
    assert found["key"].n_distinct == pytest.approx(6_000, rel=0.06)


def test_kinds_and_ends(found: Profile) -> None:
    assert [column.kind for column in found.columns.values()] == [
        *("number", "number", "integer", "integer", "integer", "text", "text"),
        *("datetime", "date", "boolean", "text", "other"),
    ]
    assert found["at"].least == ROWS["at"].min() and found["at"].greatest == ROWS["at"].max()
    assert found["day"].least == ROWS["day"].min() and isinstance(found["day"].top[0][0], date)
    assert found["odd"].n_infinite == ROWS["odd"].is_infinite().sum()
    assert math.isfinite(found["odd"].mean)
    assert found["tags"].n_missing == ROWS["tags"].null_count() and not found["tags"].is_exact
    middle = found["at"].as_value(found["at"].quantile(0.5))
    assert abs(middle - ROWS["at"].quantile(0.5)) < timedelta(days=10)  # type: ignore[operator]


def test_values(found: Profile) -> None:
    counts = ROWS["plan"].drop_nulls().value_counts(sort=True).rows()
    assert found["plan"].top == counts and found["plan"].is_exact and found["plan"].n_distinct == 3
    assert dict(found["member"].top) == dict(ROWS["member"].drop_nulls().value_counts().rows())
    assert dict(found["age"].top) == dict(ROWS["age"].drop_nulls().value_counts().rows())
    email = found["email"]
    assert not email.is_exact and email.n_distinct == pytest.approx(ROWS["email"].n_unique() - 1, rel=0.06)
    assert found["income"].top[0][0] == 0.0
    assert email.texts is not None
    assert email.texts.classes == {"lower+upper+digit+sign": ROWS["email"].count()}
    lengths = ROWS["email"].drop_nulls().str.len_chars()
    assert (email.texts.shortest, email.texts.longest) == (lengths.min(), lengths.max())
    assert email.texts.n_characters == lengths.sum()


def test_with_the_target(found: Profile) -> None:
    both = ROWS.filter(pl.col("income").is_not_null() & pl.col("left").is_not_null())
    right = np.corrcoef(both["income"].to_numpy(), (both["left"] == "yes").to_numpy())[0, 1]
    assert found["income"].association is not None
    assert found["income"].association.correlation == pytest.approx(right, rel=1e-9)
    assert found["left"].association is None and found["plan"].association is None
    by_number = profile(ROWS, target="age", columns=["income"])
    assert list(by_number.columns) == ["income", "age"]
    both = ROWS.drop_nulls(["income", "age"])
    right = np.corrcoef(both["income"].to_numpy(), both["age"].to_numpy())[0, 1]
    assert by_number["income"].association is not None
    assert by_number["income"].association.correlation == pytest.approx(right, rel=1e-9)


def test_slices(found: Profile) -> None:
    parts = found.slices["plan"]
    assert list(parts) == ["(missing)", "basic", "plus", "premium"]
    assert sum(part.n_rows for part in parts.values()) == found.n_rows
    alone = profile(ROWS.filter(pl.col("plan") == "plus"), target="left")
    assert parts["plus"].n_rows == alone.n_rows
    for name, column in alone.columns.items():
        assert (parts["plus"][name].buckets, parts["plus"][name].texts) == (column.buckets, column.texts)
        assert parts["plus"][name].std == pytest.approx(column.std, rel=1e-12, nan_ok=True)
    with pytest.raises(DataError, match="more than 50 values, too many for slices"):
        profile(ROWS, slices=["age"])
    with pytest.raises(DataError, match=r"which makes no slices"):
        profile(ROWS, slices=["income"])


def test_the_same_bytes_however_it_is_read(found: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = found.to_json()
    assert profile(ROWS, target="left", slices=["plan"]).to_json() == text
    ROWS.drop("tags").write_parquet(tmp_path / "rows.parquet", row_group_size=700)
    stored = Table([tmp_path / "rows.parquet"])
    plain = profile(ROWS.drop("tags"), target="left").to_json()
    assert profile(stored, target="left").to_json() == plain
    assert profile(ROWS.drop("tags").to_arrow(), target="left").to_json() == plain
    pytest.importorskip("duckdb")
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", "duckdb")
    assert profile(stored, target="left").to_json() == plain


@pytest.mark.parametrize("cuts", [(), (1_000,), (0, 3_333, 3_334, 6_000)])
def test_parts_add_up(found: Profile, cuts: tuple[int, ...]) -> None:
    ends = [0, *cuts, 6_000]
    parts = [profile(ROWS.slice(start, end - start), target="left", slices=["plan"]) for start, end in pairwise(ends)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert merged.n_rows == 6_000
    for name, whole in found.columns.items():
        column = merged[name]
        assert (column.n, column.n_missing, column.n_zero, column.n_infinite, column.n_negative) == (
            *(whole.n, whole.n_missing, whole.n_zero, whole.n_infinite, whole.n_negative),
        )
        assert (column.low, column.high, column.buckets) == (whole.low, whole.high, whole.buckets)
        assert (column.texts, column.registers) == (whole.texts, whole.registers)
        assert column.is_exact == whole.is_exact and (not whole.is_exact or column.values == whole.values)
        assert column.mean == pytest.approx(whole.mean, rel=1e-12, nan_ok=True)
        assert column.std == pytest.approx(whole.std, rel=1e-12, nan_ok=True)
        if whole.association is not None and column.association is not None:
            right = pytest.approx(whole.association.correlation, rel=1e-10, nan_ok=True)
            assert column.association.correlation == right
    assert list(merged.slices["plan"]) == list(found.slices["plan"])


def test_it_is_json_that_reads_back(found: Profile) -> None:
    text = found.to_json()
    assert Profile.from_json(text) == found and Profile.from_json(text).to_json() == text
    plain = json.loads(text)
    assert plain["version"] == VERSION == 1 and plain["columns"]["plan"]["values"]["values"][0] == "basic"
    assert json.loads(json.dumps(summary(found), allow_nan=False))["columns"]["plan"]["n_distinct"] == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "This is no profile"),
        ("[1]", "This is no profile"),
        ('{"format": "headrace.profile", "version": 99}', "of version 99, and this Headrace reads up to 1"),
        ('{"format": "headrace.profile", "version": 1}', "The profile is damaged"),
    ],
)
def test_what_is_no_profile(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=re.escape(words)):
        Profile.from_json(text)


def test_a_profile_of_the_first_version_is_still_read() -> None:
    """A file that version 1 wrote: what reads it may change, what it says may not."""
    kept = Profile.from_json((Path(__file__).parent / "profile-1.json").read_bytes())
    age, plan = kept["age"], kept["plan"]
    assert (kept.n_rows, age.n_missing, age.least, age.greatest) == (4, 1, 36.0, 150.0)
    assert (round(age.mean, 2), plan.top) == (75.67, [("a", 3), ("b", 1)])


def test_an_artifact_of_its_own(found: Profile, tmp_path: Path) -> None:
    assert isinstance(find_format(Profile), ProfileFormat)
    made = save_artifact(found, Profile, tmp_path)
    files = {path.name: path for path in tmp_path.iterdir()}
    assert list(files) == ["profile.json"]
    assert format_named(made.name).load(files, Profile) == found
    with pytest.raises(FormatError, match=r"A Profile is declared, but got a builtins\.int"):
        ProfileFormat().save(3, tmp_path, Profile)


FLOW = """
import polars as pl
from headrace import pipeline, step
from headrace.steps import Profile, profile

@step
def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"x": range(n)})

@step
def read(known: Profile) -> int:
    return known["x"].n_distinct

@pipeline
def flow(n: int) -> int:
    return read(profile(rows(n)))
"""


def test_in_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "profiles"\n')
    (tmp_path / "flow.py").write_text(FLOW)
    made = headrace.run("flow.py:flow", {"n": 30}, folder=tmp_path)
    assert made.outcome == "succeeded", [node.failure for node in made.nodes.values()]
    assert made.load() == 30


def test_empty_and_hollow_tables() -> None:
    empty = profile(ROWS.head(0), target="left")
    assert empty.n_rows == 0 and list(empty.columns) == ROWS.columns
    assert math.isnan(empty["income"].mean) and empty["income"].least is None and empty["plan"].top == []
    assert math.isnan(empty["income"].quantile(0.5)) and empty["income"].histogram() == ()
    assert empty.merge(profile(ROWS, target="left")).n_rows == 6_000
    hollow = profile(pl.DataFrame({"a": [None, None], "b": [np.nan, np.inf]}))
    assert (hollow["a"].kind, hollow["a"].n_missing, hollow["b"].n_missing) == ("text", 2, 1)
    assert (hollow["b"].n_infinite, hollow["b"].least, hollow["b"].n_distinct) == (1, None, 0)
    assert Profile.from_json(hollow.to_json()) == hollow


def test_histogram(found: Profile) -> None:
    bars = found["income"].histogram(10)
    assert sum(bar.count for bar in bars) == pytest.approx(found["income"].n_present)
    assert bars[0].low == found["income"].least and bars[-1].high == found["income"].greatest
    trimmed = found["income"].histogram(10, trim=0.05)
    assert len(trimmed) == 10 and sum(bar.count for bar in trimmed) < 0.93 * found["income"].n_present
    two = profile(pl.DataFrame({"x": [0] * 300 + [1] * 100}))["x"].histogram(4, trim=0.005)
    assert [bar.count for bar in two] == [300, 0, 0, 100]


def test_refusals(found: Profile) -> None:
    with pytest.raises(DataError, match=r"The profile has no column 'incom'.*\n.*income"):
        found["incom"]
    with pytest.raises(DataError, match="0 <= share <= 1 must hold, but got 2"):
        found["income"].quantile(2)
    with pytest.raises(DataError, match="names column 'lef'"):
        profile(ROWS, target="lef")
    with pytest.raises(DataError, match="The profile looks at column 'x'"):
        profile(ROWS, columns=["x"])
    with pytest.raises(DataError, match=r"The target 'day' is of type"):
        profile(ROWS, target="day")
    with pytest.raises(DataError, match=r"different columns can't be merged: 'odd'"):
        profile(ROWS.select("age")).merge(profile(ROWS.select("age", "odd")))
    with pytest.raises(DataError, match="kind 'integer' and one of kind 'number'"):
        profile(ROWS.select("age")).merge(profile(ROWS.select(pl.col("age").cast(pl.Float64))))
    with pytest.raises(DataError, match="by the targets 'age' and None"):
        profile(ROWS.select("age"), target="age").merge(profile(ROWS.select("age")))
