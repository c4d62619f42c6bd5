"""Every row in one part, by a formula that anyone can compute."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps import AtRandom, ByKey, ByTime, split
from headrace.steps.splitting import splitmix64


def parts(frame: pl.DataFrame, how: Any, **shares: float) -> list[list[int]]:
    return [part.polars().collect()["row"].to_list() for part in split(frame, how, **shares)]


def numbered(n: int, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"row": range(n), **columns})


def test_the_generator_gives_the_published_numbers() -> None:
    """The first five for seed 1234567, as in the reference implementation's test vectors."""
    assert splitmix64(5, 1234567).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_by_key_is_the_documented_formula() -> None:
    frame = numbered(500, id=[f"C{i % 100}" for i in range(500)])
    found = parts(frame, ByKey("id", seed=3), validation=0.2, test=0.3)

    def side(key: str) -> int:
        place = int(hashlib.sha256(f"3:{key}".encode()).hexdigest()[:13], 16) / 16**13
        return 2 if place < 0.3 else 1 if place < 0.5 else 0

    expected: list[list[int]] = [[], [], []]
    for row, key in frame.iter_rows():
        expected[side(key)].append(row)
    assert found == expected


def test_a_key_stays_on_its_side_when_rows_are_added() -> None:
    first = split(numbered(300, id=list(range(300))), ByKey("id"))
    more = split(numbered(900, id=list(range(899, -1, -1))), ByKey("id"))
    for before, after in zip(first, more, strict=True):
        assert set(before.polars().collect()["id"]) == {i for i in after.polars().collect()["id"] if i < 300}


def test_a_number_and_its_text_are_one_key() -> None:
    as_number = parts(numbered(200, id=list(range(200))), ByKey("id"))
    as_text = parts(numbered(200, id=[str(i) for i in range(200)]), ByKey("id"))
    assert as_number == as_text


def test_rows_without_a_key_go_together() -> None:
    found = parts(numbered(300, id=[None if i % 3 == 0 else f"k{i}" for i in range(300)]), ByKey("id"))
    together = [sum(row % 3 == 0 for row in part) for part in found]
    assert sorted(together) == [0, 0, 100]


def test_at_random_is_the_documented_formula() -> None:
    labels = ["a" if i % 5 else "b" for i in range(200)]
    found = parts(numbered(200, label=labels), AtRandom(7, "label"), validation=0.1, test=0.25)
    scores = dict(enumerate(splitmix64(200, 7).tolist()))
    sides: dict[int, int] = {}
    for label in ("a", "b"):
        ranked = sorted((row for row in range(200) if labels[row] == label), key=lambda row: scores[row])
        n_test, n_validation = round(0.25 * len(ranked)), round(0.1 * len(ranked))
        sides |= {row: 2 if i < n_test else 1 if i < n_test + n_validation else 0 for i, row in enumerate(ranked)}
    assert found == [[row for row in range(200) if sides[row] == side] for side in range(3)]


@given(
    st.lists(st.sampled_from(["a", "b", None]), min_size=20, max_size=120),
    st.integers(0, 2**70),
    st.sampled_from([0.1, 0.2, 1 / 3]),
)
def test_strata_keep_their_shares(labels: list[str | None], seed: int, share: float) -> None:
    frame = pl.DataFrame({"row": range(len(labels)), "label": pl.Series(labels, dtype=pl.String)})
    found = parts(frame, AtRandom(seed, "label"), validation=share, test=share)
    assert sorted(row for part in found for row in part) == list(range(len(labels)))
    assert all(part == sorted(part) for part in found)
    for label in set(labels):
        n = labels.count(label)
        assert sum(labels[row] == label for row in found[2]) == round(share * n)


def test_equal_seeds_equal_parts_and_others_differ() -> None:
    frame = numbered(1000)
    assert parts(frame, AtRandom(1)) == parts(frame, AtRandom(1)) != parts(frame, AtRandom(2))
    keyed = numbered(1000, id=list(range(1000)))
    assert parts(keyed, ByKey("id", 1)) == parts(keyed, ByKey("id", 1)) != parts(keyed, ByKey("id", 2))


def test_shares_by_key_are_right_on_average() -> None:
    sizes = [len(part) for part in parts(numbered(20_000, id=list(range(20_000))), ByKey("id"))]
    # 15 % of 20,000 keys: a standard deviation is 50 of them.
    assert abs(sizes[1] - 3000) < 250 and abs(sizes[2] - 3000) < 250


@pytest.mark.parametrize("name", ["t", "n", "moment"])
def test_the_latest_are_for_the_test(name: str) -> None:
    times = list(range(100))
    random.Random(0).shuffle(times)
    found = parts(numbered(100, t=times).rename({"t": name}), ByTime(name), validation=0.1, test=0.2)
    assert [sorted(times[row] for row in part) for part in found] == [
        list(range(70)),
        list(range(70, 80)),
        list(range(80, 100)),
    ]
    assert all(part == sorted(part) for part in found)


def test_one_moment_stays_together() -> None:
    """Months of 10 rows: 15 % is nearest to two months of ten (20 %) or one (10 %); the later of equals is taken."""
    found = parts(numbered(100, t=[i // 10 for i in range(100)]), ByTime("t"), validation=0.15, test=0.15)
    assert [len(part) for part in found] == [70, 20, 10]


def test_rows_without_a_time_are_for_training() -> None:
    found = parts(numbered(12, t=[None, None, *range(10)]), ByTime("t"), validation=0.2, test=0.2)
    assert found == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9], [10, 11]]


@pytest.mark.parametrize(
    ("how", "shares", "message"),
    [
        (AtRandom(), {"test": 20}, r"0 < test < 1 must hold, but got test=20.\nHint: give a share, such as 0.2"),
        (AtRandom(), {"validation": 0.0}, "0 < validation < 1 must hold, but got validation=0.0"),
        (AtRandom(), {"validation": 0.5, "test": 0.5}, r"validation \+ test < 1 must hold, but got 0.5 \+ 0.5"),
        (AtRandom(stratify="labl"), {}, r"split looks at column 'labl', .*\nHint: did you mean 'label'\?"),
        (ByKey("ids"), {}, "split looks at column 'ids'"),
        (ByKey("f"), {}, "Column 'f' is Float64, which is no key"),
        (ByTime("label"), {}, "Column 'label' has 2 moments, too few for three parts"),
        (AtRandom(), {"test": 0.01}, r"Splitting 10 rows with AtRandom\(.*\) leaves none for test"),
    ],
)
def test_what_is_refused(how: Any, shares: dict[str, float], message: str) -> None:
    frame = numbered(10, label=["a", "b"] * 5, f=[0.5] * 10)
    with pytest.raises(DataError, match=message):
        split(frame, how, **shares)
