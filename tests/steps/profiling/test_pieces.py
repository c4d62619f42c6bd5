"""The pieces of a profile, each against an independent calculation, and merged in any way."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headrace.steps.profiling import distinct, frequent
from headrace.steps.profiling.association import Association, TargetBlock, associated
from headrace.steps.profiling.buckets import COARSEST, MOST_BUCKETS, BucketCounter, Buckets, edges_of, keys_of
from headrace.steps.profiling.distinct import Registers
from headrace.steps.profiling.frequent import ValueCounter, Values, tally
from headrace.steps.profiling.hashing import hash_integers, hash_numbers, hash_texts
from headrace.steps.profiling.moments import Moments
from headrace.steps.profiling.texts import TextCounter, text_bytes

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)


def hashed(texts: list[str]) -> np.ndarray[Any, Any]:
    return hash_texts(*text_bytes(pa.array(texts, pa.string())))


@given(st.lists(FLOATS, min_size=1), st.integers(COARSEST, 52))
def test_a_bucket_holds_its_numbers_and_is_narrow(numbers: list[float], bits: int) -> None:
    values = np.array(numbers)
    keys = keys_of(values, bits)
    low, high = edges_of(keys, bits)
    assert ((low <= values) & (values <= high)).all()
    order = np.argsort(values)
    assert (keys[order][1:] >= keys[order][:-1]).all()
    normal = np.abs(values) >= np.finfo(np.float64).tiny
    width = (high / 2 - low / 2)[normal]
    assert (width <= np.maximum(np.abs(low), np.abs(high))[normal] / 2 ** (bits + 1) * (1 + 1e-9)).all()


@given(st.lists(FLOATS, max_size=40), st.lists(FLOATS, max_size=40), st.lists(FLOATS, max_size=40))
def test_buckets_do_not_depend_on_parts(a: list[float], b: list[float], c: list[float]) -> None:
    parts = [Buckets.of(np.array(part, np.float64)) for part in (a, b, c)]
    whole = Buckets.of(np.array([*c, *a, *b], np.float64))
    assert parts[0].merge(parts[1]).merge(parts[2]) == parts[2].merge(parts[1]).merge(parts[0]) == whole
    assert Buckets.from_plain(whole.to_plain()) == whole


@pytest.mark.parametrize("spread", [1e-9, 1.0, 1e6])
def test_buckets_stay_few_and_fine(spread: float) -> None:
    random = np.random.default_rng(1)
    values = 1000 + spread * random.standard_normal(100_000)
    values[:10] = [1e12, -1e12, 0, 1e-300, -5, 1e300, 3, 2, 1, 7]
    counter = BucketCounter()
    for part in np.array_split(values, 7):
        counter.add(part)
    buckets = counter.freeze()
    assert buckets == Buckets.of(values)
    assert len(buckets.at) <= MOST_BUCKETS or buckets.bits == COARSEST
    assert len(buckets.at) > 500
    for share in (0.01, 0.25, 0.5, 0.9, 0.999):
        found = buckets.quantiles([share], values.min(), values.max())[0]
        right = np.quantile(values, share, method="lower")
        assert abs(found - right) <= buckets.relative_error * abs(right) * (1 + 1e-12)
    assert buckets.relative_error <= 1 / 129


def test_a_histogram_holds_all_numbers() -> None:
    values = np.random.default_rng(2).gamma(2.0, 10.0, 50_000)
    edges = np.linspace(values.min(), values.max(), 21)
    found = Buckets.of(values).histogram(np.array([-np.inf, *edges[1:-1], np.inf]))
    assert found.sum() == pytest.approx(50_000)
    assert np.abs(found - np.histogram(values, edges)[0]).max() < 250


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(0, 60))
def test_moments_of_parts_are_those_of_the_whole(numbers: list[float], cut: int) -> None:
    whole = Moments.of(np.array(numbers))
    merged = Moments.of(np.array(numbers[:cut])).merge(Moments.of(np.array(numbers[cut:])))
    assert merged.n == whole.n == len(numbers)
    if numbers:
        exact = sum(map(Fraction, numbers)) / len(numbers)
        assert merged.mean == pytest.approx(float(exact), rel=1e-12, abs=1e-9)
        assert merged.m2 == pytest.approx(float(sum((Fraction(x) - exact) ** 2 for x in numbers)), rel=1e-12, abs=1e-6)
    assert Moments.from_plain(whole.to_plain()) == whole


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (5e4, 1.5e4), (1.7e15, 3e6), (-3.0, 1e-6)])
def test_moments_against_scipy(mean: float, std: float) -> None:
    random = np.random.default_rng(3)
    values = mean + std * (random.gamma(2.0, 1.0, 300_000) - 2.0)
    merged = Moments()
    for part in np.array_split(values, 23):
        merged = merged.merge(Moments.of(part))
    # About a number near the mean, so that the independent calculation isn't the one that loses digits.
    centred = values - values[0]
    assert merged.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
    assert merged.std == pytest.approx(np.std(centred, ddof=1), rel=1e-12)
    assert merged.skew == pytest.approx(stats.skew(centred), rel=1e-11)
    counts = np.array([3, 1, 2])
    weighted = Moments.of(np.array([1.0, 5.0, 2.5]), counts)
    assert weighted.m2 == pytest.approx(Moments.of(np.repeat([1.0, 5.0, 2.5], counts)).m2, rel=1e-14)


def test_moments_at_the_ends() -> None:
    assert math.isnan(Moments().std) and math.isnan(Moments().skew) and math.isnan(Moments.of(np.ones(1)).std)
    assert Moments.of(np.ones(5)).std == 0.0 and math.isnan(Moments.of(np.ones(5)).skew)
    huge = Moments.of(np.array([1e200, -1e200, 3.0]))
    assert huge.merge(huge).n == 6 and huge.std == math.inf
    assert Moments.from_plain(huge.to_plain()).mean == huge.mean


def test_hashes_are_what_they_always_were() -> None:
    """What is stored is merged with what a later version makes, so these may never change."""
    numbers = np.array([0.0, 1.0, -1.5, 1e300])
    assert [hex(h) for h in hash_numbers(numbers).tolist()] == NUMBER_HASHES
    texts = ["", "a", "12345678", "123456789", "ä" * 200, "x" * 600]
    assert [hex(h) for h in hashed(texts).tolist()] == TEXT_HASHES
    ints = np.array([0, 1, 1 << 60], np.int64)
    assert [hex(h) for h in hash_integers(ints, ints.astype(np.float64)).tolist()] == INTEGER_HASHES


NUMBER_HASHES = [
    "0x0",
    "0x2a20cd80798dae26",
    "0x72653d04b2c9568b",
    "0xa469536ddec11aea",
]
TEXT_HASHES = [
    "0x0",
    "0xef84dba91e6652df",
    "0x20b25c88f251787c",
    "0x609c58e31301985d",
    "0x1fefc2ead9deafba",
    "0xd31e43de9fd217a7",
]
INTEGER_HASHES = [
    "0x0",
    "0x2a20cd80798dae26",
    "0x25e0fe92fe960153",
]


def test_hashes_tell_texts_apart() -> None:
    texts = [f"{'x' * (i % 70)}{i}" for i in range(20_000)]
    texts += [t + "\0" for t in texts]
    long = ["y" * 300 + str(i) for i in range(500)]
    assert len(set(hashed([*texts, *long]).tolist())) == len(texts) + len(long)
    shifted = pa.array(["skipped", None, *texts]).slice(1).drop_null()
    assert (hash_texts(*text_bytes(shifted)) == hashed(texts)).all()


@pytest.mark.parametrize("n", [0, 1, 50, 5_000, 200_000])
def test_distinct_values_within_the_stated_error(n: int) -> None:
    values = np.arange(n, dtype=np.float64) * 7 + 0.5
    parts = [Registers.of(hash_numbers(part)) for part in np.array_split(np.concatenate([values, values]), 5)]
    merged = parts[0]
    for part in parts[1:]:
        merged = part.merge(merged)
    assert merged == Registers.of(hash_numbers(values))
    assert merged.estimate() == pytest.approx(n, rel=4 * distinct.ERROR, abs=0.6)
    assert Registers.from_plain(merged.to_plain()) == merged


def counted(parts: list[np.ndarray[Any, Any]]) -> Values:
    counter = ValueCounter()
    for part in parts:
        tally(hash_numbers(part), counter, lambda rows, part=part: part[rows].tolist())
    return counter.freeze()


def test_few_values_are_counted_exactly() -> None:
    random = np.random.default_rng(4)
    values = random.integers(0, frequent.MOST_VALUES, 300_000).astype(np.float64)
    found = counted(np.array_split(values, 3))
    names, counts = np.unique(values, return_counts=True)
    assert found.is_exact and found.error == 0
    assert found.counts == dict(zip(names.tolist(), counts.tolist(), strict=True))
    ranked = list(found.counts.items())
    assert ranked == sorted(ranked, key=lambda item: (-item[1], item[0]))


def test_frequent_values_among_many_are_found_within_the_error() -> None:
    random = np.random.default_rng(5)
    values = random.standard_normal(400_000)
    values[random.random(400_000) < 0.2] = 0.0
    values[random.random(400_000) < 0.01] = -999.0
    whole = counted(np.array_split(values, 4))
    merged = counted([values[:150_000]]).merge(counted(np.array_split(values[150_000:], 2)))
    for found in (whole, merged):
        assert not found.is_exact and found.error <= 400_000 / 1000
        assert list(found.counts)[:2] == [0.0, -999.0]
        for value in (0.0, -999.0):
            right = int((values == value).sum())
            assert found.counts[value] <= right <= found.counts[value] + found.error


def test_colliding_slots_are_told_apart() -> None:
    hashes = np.array([1, 2, 1, 3, 1 << 60], np.uint64)
    counter = ValueCounter()
    few = tally(hashes, counter, lambda rows: [int(h) for h in hashes[rows]])
    assert few is not None and counter.freeze() == Values({1: 2, 2: 1, 3: 1, 1 << 60: 1})


def test_long_texts_are_not_kept() -> None:
    counter = ValueCounter()
    counter.add(["short", "ä" * 65], [3, 2])
    assert counter.freeze().counts == {"short": 3} and not counter.freeze().is_exact


def test_texts() -> None:
    counter = TextCounter()
    counter.add(pa.array(["abc", "", "Ab 9", "12", "Grüße!", "12"]))
    counter.add(pa.array(["abc", "z"]), np.array([2, 1]))
    found = counter.freeze()
    assert (found.shortest, found.longest, found.n_characters) == (0, 6, 3 + 4 + 2 + 6 + 2 + 6 + 1)
    assert found.classes == {
        "": 1,
        "digit": 2,
        "lower": 4,
        "lower+upper+digit+blank": 1,
        "lower+upper+sign+other": 1,
    }
    assert found.lengths.n == 9
    assert found.merge(TextCounter().freeze()) == found


def test_correlation_against_scipy() -> None:
    random = np.random.default_rng(6)
    x = random.standard_normal(9_000) + 1e6
    y = 0.3 * (x - 1e6) + random.standard_normal(9_000)
    label = np.where(y > 0.2, "yes", "no")
    by_number, by_label = Association(), Association()
    for rows in np.array_split(np.arange(9_000), 5):
        by_number = by_number.merge(associated(x[rows], None, TargetBlock(y[rows])))
        names, codes = np.unique(label[rows], return_inverse=True)
        by_label = by_label.merge(associated(x[rows], None, TargetBlock(None, tuple(names.tolist()), codes)))
    assert by_number.correlation == pytest.approx(stats.pearsonr(x - 1e6, y).statistic, rel=1e-9)
    assert by_label.correlation == pytest.approx(stats.pearsonr(x - 1e6, label == "yes").statistic, rel=1e-9)
    for found in (by_number, by_label):
        assert Association.from_plain(found.to_plain()) == found


def test_correlation_with_missing_targets_and_many_labels() -> None:
    x = np.array([1.0, 2.0, 3.0])
    is_there = np.array([True, False, True, True])
    found = associated(x, is_there, TargetBlock(np.array([1.0, 9.0, np.nan, 3.0])))
    assert (found.x.n, found.correlation) == (2, pytest.approx(1.0))
    many = associated(x, None, TargetBlock(None, tuple(map(str, range(30))), np.array([0, 1, 2])))
    assert many.is_too_many and many.merge(found.merge(many)).is_too_many and math.isnan(many.correlation)
