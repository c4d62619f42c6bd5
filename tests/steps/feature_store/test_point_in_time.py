"""Point-in-time joins: what was known, when it was known, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asof.histories import generate
from asof.oracle import Fact, Label, known, same
from asof.play import ENGINES, WrongError, engine_of, play_offline, stored, without_correction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.formats.table import Table
from headrace.steps.feature_store import FeatureView, point_in_time


def day(number: int) -> datetime:
    return datetime(2024, 1, 1) + timedelta(days=number - 1)


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> Any:
    if request.param == "duckdb":
        pytest.importorskip("duckdb")
    with engine_of(request.param):
        yield request.param


def joined(labels: pl.DataFrame, *views: FeatureView) -> pl.DataFrame:
    return point_in_time(Table.of(labels), list(views), at="when").polars().collect()


def labels_at(*moments: Any, key: Any = "a") -> pl.DataFrame:
    return pl.DataFrame({"id": [key] * len(moments), "when": list(moments)})


FEE = FeatureView("fees", "id", "since", {"fee": "number"}, created="loaded")


def test_a_correction_counts_from_when_it_was_known() -> None:
    rows = pl.DataFrame(
        {
            "id": ["a", "a", "a"],
            "since": [day(1), day(5), day(5)],
            "loaded": [day(1), day(6), day(9)],  # the second came late, the third corrects it
            "fee": [1.0, 5.0, 5.5],
        }
    )
    found = joined(labels_at(*map(day, range(1, 11))), FEE.on(rows))
    assert found["fee"].to_list() == [1.0] * 5 + [5.0] * 3 + [5.5] * 2


def test_a_late_row_does_not_outdo_a_newer_one() -> None:
    rows = pl.DataFrame({"id": ["a", "a"], "since": [day(5), day(2)], "loaded": [day(5), day(8)], "fee": [5.0, 2.0]})
    assert joined(labels_at(day(4), day(5), day(9)), FEE.on(rows))["fee"].to_list() == [None, 5.0, 5.0]


def test_a_row_that_is_announced_tells_from_its_timestamp_on() -> None:
    rows = pl.DataFrame({"id": ["a"], "since": [day(5)], "loaded": [day(1)], "fee": [5.0]})
    assert joined(labels_at(day(4), day(5)), FEE.on(rows))["fee"].to_list() == [None, 5.0]


def test_the_time_to_live_counts_from_the_timestamp_inclusive() -> None:
    view = FeatureView("fees", "id", "since", {"fee": "number"}, created="loaded", ttl=timedelta(days=2))
    rows = pl.DataFrame({"id": ["a"], "since": [day(1)], "loaded": [day(2)], "fee": [1.0]})
    microsecond = timedelta(microseconds=1)
    found = joined(labels_at(day(2), day(3), day(3) + microsecond), view.on(rows))
    assert found["fee"].to_list() == [1.0, 1.0, None]


def test_an_expired_row_hides_what_is_older() -> None:
    view = FeatureView("fees", "id", "since", {"fee": "number"}, ttl=timedelta(days=2))
    rows = pl.DataFrame({"id": ["a", "a"], "since": [day(1), day(2)], "fee": [1.0, None]})
    assert joined(labels_at(day(3), day(9)), view.on(rows))["fee"].to_list() == [None, None]


def test_of_equal_rows_the_greatest_values_tell() -> None:
    view = FeatureView("v", "id", "since", {"a": "text", "b": "integer"})
    rows = pl.DataFrame(
        {
            "id": ["a"] * 5,
            "since": [day(1)] * 5,
            "a": ["z", "é", None, "é", "Z"],
            "b": [9, None, 9, -1, 9],
        }
    )
    for order in (rows, rows.reverse(), rows.sample(fraction=1.0, shuffle=True, seed=3)):
        assert joined(labels_at(day(1)), view.on(order)).select("a", "b").rows() == [("é", -1)]


def test_rows_keep_their_order_and_number(engine: str, tmp_path: Path) -> None:
    n_rows = 300_000
    labels = pl.DataFrame(
        {
            "id": [(number * 7919) % 1000 for number in range(n_rows)],
            "when": pl.Series([(number * 104_729) % 10_007 for number in range(n_rows)]).cast(pl.Datetime("us")),
            "number": range(n_rows),
        }
    )
    rows = pl.DataFrame({"id": range(0, 1000, 2), "since": [datetime(1970, 1, 1)] * 500, "fee": [1.0] * 500})
    view = FeatureView("fees", "id", "since", {"fee": "number"})
    found = point_in_time(stored(labels, tmp_path / "labels"), [view.on(stored(rows, tmp_path / "rows"))], at="when")
    frame = found.polars().collect()
    assert frame["number"].to_list() == list(range(n_rows))
    assert frame["fee"].is_not_null().to_list() == [number % 2 == 0 for number in labels["id"].to_list()]


def test_missing_keys_and_moments_find_nothing() -> None:
    view = FeatureView("v", ("id", "shop"), "since", {"fee": "number"})
    rows = pl.DataFrame(
        {"id": ["a", None, "a"], "shop": [1, 1, None], "since": [day(1), day(1), None], "fee": [1.0, 2.0, 3.0]}
    )
    labels = pl.DataFrame(
        {"id": ["a", None, "a", "a"], "shop": [1, 1, None, 1], "when": [day(2), day(2), day(2), None]}
    )
    assert joined(labels, view.on(rows))["fee"].to_list() == [1.0, None, None, None]


def test_moments_of_several_zones_are_compared_as_moments() -> None:
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    rows = pl.DataFrame({"id": ["a"], "since": [noon], "fee": [1.0]}).with_columns(
        pl.col("since").dt.convert_time_zone("America/New_York")
    )
    labels = labels_at(noon - timedelta(microseconds=1), noon).with_columns(
        pl.col("when").dt.convert_time_zone("Europe/Berlin")
    )
    view = FeatureView("fees", "id", "since", {"fee": "number"})
    assert joined(labels, view.on(rows))["fee"].to_list() == [None, 1.0]


def test_times_count_to_the_microsecond_before() -> None:
    at, since = (pl.Series(values).cast(pl.Datetime("ns")) for values in ([-1001, 1999], [-1, 2000]))
    rows = pl.DataFrame({"id": ["a"] * 2, "since": since, "fee": [1.0, 2.0]})
    view = FeatureView("fees", "id", "since", {"fee": "number"})
    assert joined(labels_at(None, None).with_columns(when=at), view.on(rows))["fee"].to_list() == [None, 1.0]


def test_a_date_is_the_beginning_of_its_day() -> None:
    rows = pl.DataFrame({"id": ["a"], "since": [date(2024, 1, 2)], "fee": [1.0]})
    view = FeatureView("fees", "id", "since", {"fee": "number"})
    assert joined(labels_at(day(2) - timedelta(seconds=1), day(2)), view.on(rows))["fee"].to_list() == [None, 1.0]
    found = joined(labels_at(date(2024, 1, 1), date(2024, 1, 2)), view.on(rows))
    assert found["fee"].to_list() == [None, 1.0]


def test_several_views_and_prefixes() -> None:
    rows = pl.DataFrame({"id": ["a"], "since": [day(1)], "fee": [1.0], "plan": ["x"]})
    first = FeatureView("one", "id", "since", {"fee": "number", "plan": "text"})
    second = FeatureView("two", "id", "since", {"fee": "number"}, prefix="two_")
    found = joined(labels_at(day(1)), first.on(rows), second.on(rows.with_columns(fee=2.0)))
    assert found.columns == ["id", "when", "fee", "plan", "two_fee"]
    assert found.select("fee", "plan", "two_fee").rows() == [(1.0, "x", 2.0)]


def test_without_rows_and_without_labels() -> None:
    rows = pl.DataFrame({"id": ["a"], "since": [day(1)], "loaded": [day(1)], "fee": [1.0]})
    assert joined(labels_at(day(1)), FEE.on(rows.clear()))["fee"].to_list() == [None]
    found = joined(labels_at(day(1)).clear(), FEE.on(rows))
    assert found.columns == ["id", "when", "fee"] and len(found) == 0


MOMENTS = st.one_of(st.none(), st.integers(0, 6))
FACTS = st.lists(st.tuples(st.sampled_from([None, "a", "b"]), MOMENTS, MOMENTS, st.sampled_from([None, 1.0, 2.0])))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=FACTS,
    labels=st.lists(st.tuples(st.sampled_from([None, "a", "b"]), MOMENTS)),
    ttl=st.none() | st.integers(1, 4),
)
def test_equal_to_the_oracle(
    engine: str,
    facts: list[tuple[str | None, int | None, int | None, float | None]],
    labels: list[tuple[str | None, int | None]],
    ttl: int | None,
) -> None:
    times = {"id": pl.String, "since": pl.Int64, "loaded": pl.Int64, "fee": pl.Float64}
    rows = pl.DataFrame(facts, schema=times, orient="row").with_columns(
        pl.col("since", "loaded").cast(pl.Datetime("us"))
    )
    wanted = pl.DataFrame(labels, schema={"id": pl.String, "when": pl.Int64}, orient="row")
    view = FeatureView(
        "fees", "id", "since", {"fee": "number"}, created="loaded", ttl=ttl and timedelta(microseconds=ttl)
    )
    found = joined(wanted.with_columns(pl.col("when").cast(pl.Datetime("us"))), view.on(rows))
    plain = [Fact((key,), timestamp, created, (fee,)) for key, timestamp, created, fee in facts]
    expected = [known(plain, Label((key,), at), ttl, 1)[0] for key, at in labels]
    assert found["fee"].to_list() == expected


@pytest.mark.parametrize("seed", range(16))
def test_histories(engine: str, seed: int, tmp_path: Path) -> None:
    play_offline(generate(seed), engine, folder=tmp_path if seed % 8 == 0 else None)


def test_a_leak_is_caught(engine: str) -> None:
    caught = 0
    for seed in range(8):
        try:
            play_offline(without_correction(generate(seed)), engine)
        except WrongError:
            caught += 1
    assert caught > 1


def test_the_oracle_tells_missing_from_zero() -> None:
    assert same(None, None) and not same(0.0, None) and not same(1, 1.0) and same("a", "a")


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (lambda rows: rows.drop("fee"), "Feature view 'fees' names column 'fee', which the table doesn't have", None),
        (
            lambda rows: rows.with_columns(pl.col("id").cast(pl.String)),
            "Column 'id' is integer in the labels and text in feature view 'fees'",
            "make them of one kind first",
        ),
        (
            lambda rows: rows.with_columns(pl.col("id").cast(pl.Float64)),
            "Column 'id' is integer in the labels and number in feature view 'fees'",
            "make them of one kind first",
        ),
        (
            lambda rows: rows.with_columns(fee=pl.lit("x")),
            "Feature 'fee' of view 'fees' is declared as number, but the column is String",
            "declare it as text",
        ),
        (
            lambda rows: rows.with_columns(pl.col("since").dt.replace_time_zone("UTC")),
            "The times of column 'since' of feature view 'fees' have a time zone and those of the labels don't, "
            "so they can't be compared",
            "give both a time zone, or neither",
        ),
        (
            lambda rows: rows.with_columns(since=1),
            "Column 'since' of feature view 'fees' is Int32, but is to be a date or datetime",
            "read it as one when the table is ingested",
        ),
    ],
)
def test_what_cannot_be_joined(change: Any, message: str, hint: str | None, engine: str) -> None:
    rows = pl.DataFrame({"id": [1], "since": [day(1)], "loaded": [day(1)], "fee": [1.0]})
    with pytest.raises(DataError) as caught:
        joined(labels_at(day(1), key=1), FEE.on(change(rows)))
    assert caught.value.message == message
    assert caught.value.hint == hint or hint is None


def test_names_that_clash() -> None:
    rows = pl.DataFrame({"id": ["a"], "since": [day(1)], "loaded": [day(1)], "fee": [1.0]})
    with pytest.raises(DataError, match=r"Feature 'fee' of view 'fees' has the name of a column of the labels"):
        joined(labels_at(day(1)).with_columns(fee=1), FEE.on(rows))
    with pytest.raises(DataError, match=r"Feature 'fee' of view 'fees' has the name of a feature of view 'fees'"):
        joined(labels_at(day(1)), FEE.on(rows), FEE.on(rows))
    with pytest.raises(DataError, match=r"The name '_row' is needed by point_in_time itself"):
        joined(labels_at(day(1)).with_columns(_row=1), FEE.on(rows))
    with pytest.raises(DataError, match=r"Feature view 'fees' has no table.\nHint: give it one: fees.on\(table\)"):
        joined(labels_at(day(1)), FEE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b", "id", "t", {"x": "number"}), "'a b' is no name of a feature view"),
        (("a", (), "t", {"x": "number"}), "A feature view needs an entity's column, and a feature (feature view 'a')"),
        (("a", "id", "t", {}), "A feature view needs an entity's column, and a feature (feature view 'a')"),
        (("a", "id", "t", {"id": "text"}), "Column 'id' is named twice (feature view 'a')"),
        (("a", "id", "t", {"x": "float"}), "Column 'x' is declared as 'float', which is no kind of column"),
    ],
)
def test_views_that_are_none(arguments: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        FeatureView(*arguments)
    assert str(caught.value).partition("\n")[0] == f"{message}."


def test_a_time_to_live_is_more_than_nothing() -> None:
    with pytest.raises(DataError, match=r"ttl > 0 must hold, but got ttl=datetime.timedelta\(0\)"):
        FeatureView("a", "id", "t", {"x": "number"}, ttl=timedelta())
