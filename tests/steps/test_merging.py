"""Late and corrected rows by their key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.engine.exchange import load_artifact, save_value
from headrace.formats import parquet_writer
from headrace.formats.table import Table
from headrace.steps import latest, merge
from headrace.stores.local import LocalStore

sys.path.insert(0, str(Path(__file__).resolve().parent / "sources"))

from conftest_sources import in_run, kept  # isort: skip

SCHEMA = {"id": pl.Int64, "at": pl.Int64, "v": pl.String}
Row = tuple[Any, ...]


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def rows(table: Table) -> list[Row]:
    return table.polars().collect().rows()


def beats(new: Row, old: Row) -> bool:
    return old[1] is None or (new[1] is not None and new[1] >= old[1])


def newest(given: list[Row]) -> list[Row]:
    """Loops, as an oracle."""
    best: dict[Any, int] = {}
    for number, row in enumerate(given):
        if row[0] is not None and (row[0] not in best or beats(row, given[best[row[0]]])):
            best[row[0]] = number
    return [row for number, row in enumerate(given) if row[0] is None or best[row[0]] == number]


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    coming = newest(new)
    by_key = {row[0]: row for row in coming if row[0] is not None}
    there = {row[0] for row in old if row[0] is not None}
    kept = [by_key[row[0]] if row[0] in by_key and beats(by_key[row[0]], row) else row for row in old]
    return kept + [row for row in coming if row[0] is None or row[0] not in there]


ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 5), st.none() | st.integers(0, 3), st.sampled_from("abc")), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_latest_is_what_loops_give(given: list[Row]) -> None:
    assert rows(latest(frame(given), key=["id"], newer_by="at")) == newest(given)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_merge_is_what_loops_give(old: list[Row], new: list[Row]) -> None:
    once = newest(old)
    assert rows(merge(frame(once), frame(new), key=["id"], newer_by="at")) == merged(once, new)


def test_only_parts_in_which_a_row_is_replaced_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_writer, "row_group_rows", lambda schema: 10)
    old = [(i, 1, "old") for i in range(400)]
    new = [(90, 2, "new"), (500, 2, "new"), (200, 0, "late")]
    with in_run(tmp_path) as store:
        before = save_value(Table.of(frame(old)), Table, store)
        assert len(before.files) == 5
        table = load_artifact(before, Table, store)
        found, parts = kept(merge(table, frame(new), key=["id"], newer_by="at"), store)
    assert found == merged(old, new)
    digests = [file.digest for file in before.files]
    assert [part in digests for part in parts] == [True, False, True, True, True, False]
    assert isinstance(store, LocalStore)


def test_a_table_in_which_nothing_changes_is_the_same_artifact(tmp_path: Path) -> None:
    with in_run(tmp_path) as store:
        before = save_value(Table.of(frame([(1, 5, "a")])), Table, store)
        table = load_artifact(before, Table, store)
        after = save_value(merge(table, frame([(1, 4, "late")]), key=["id"], newer_by="at"), Table, store)
    assert after.digest == before.digest


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key": []}, "but none is named"),
        ({"key": "id"}, "but none is named"),
        ({"key": ["ide"]}, r"column 'ide', which the table doesn't have\.\nHint: did you mean 'id'"),
        ({"key": ["id"], "newer_by": "when"}, "column 'when'"),
    ],
)
def test_keys_that_can_not_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        merge(frame([]), frame([]), **options)


def test_other_columns() -> None:
    other = frame([]).rename({"v": "w"})
    with pytest.raises(DataError, match=r"these differ \(old, new\): 'v' \(String, absent\), 'w' \(absent, String\)"):
        merge(frame([]), other, key=["id"])
