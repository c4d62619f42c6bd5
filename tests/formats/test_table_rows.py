"""Some rows of a table: which parts keep their bytes, and the same rows in each library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import FormatError
from headrace.formats import parquet_writer
from headrace.formats.parquet import ParquetFormat
from headrace.formats.table import Table
from headrace.formats.table_rows import PickedRows


def stored(frame: Any, folder: Path) -> Table:
    folder.mkdir(parents=True, exist_ok=True)
    ParquetFormat().save(Table.of(frame), folder, Table)
    return Table(sorted(folder.glob("*.parquet")))


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 10 rows, parts of 40."""
    monkeypatch.setattr(parquet_writer, "row_group_rows", lambda schema: 10)
    monkeypatch.setattr(parquet_writer, "GROUPS_PER_PART", 4)


FRAME = pl.DataFrame(
    {
        "n": range(100),
        "s": [f"text {n}" if n % 7 else None for n in range(100)],
        "c": pl.Series(["a", "b"] * 50, dtype=pl.Enum(["a", "b"])),
        "l": [[n, n + 1] for n in range(100)],
    }
)


def test_parts_without_a_left_out_row_keep_their_bytes(small_groups: None, tmp_path: Path) -> None:
    table = stored(FRAME, tmp_path / "all")
    assert [path.name for path in table.paths] == [f"part-0000{n}.parquet" for n in range(3)]
    mask = np.zeros(100, bool)
    mask[[45, 79]] = True
    kept = stored(Table.of(PickedRows(table, mask, are_left_out=True)), tmp_path / "kept")
    same = [one.read_bytes() == other.read_bytes() for one, other in zip(table.paths, kept.paths, strict=True)]
    assert same == [True, False, True]
    assert kept.polars().collect().equals(FRAME.filter(~mask))


def test_a_part_of_which_all_rows_are_left_out_goes(small_groups: None, tmp_path: Path) -> None:
    table = stored(FRAME, tmp_path / "all")
    mask = np.zeros(100, bool)
    mask[40:80] = True
    kept = stored(Table.of(PickedRows(table, mask, are_left_out=True)), tmp_path / "kept")
    assert [path.read_bytes() for path in kept.paths] == [table.paths[n].read_bytes() for n in (0, 2)]
    mask[:] = True
    none = stored(Table.of(PickedRows(table, mask, are_left_out=True)), tmp_path / "none")
    assert (none.n_rows, none.columns) == (0, table.columns)


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_each_library_sees_the_same_rows(small_groups: None, tmp_path: Path, share: float, is_stored: bool) -> None:
    table = stored(FRAME, tmp_path / "all") if is_stored else Table.of(FRAME.lazy())
    mask = np.random.default_rng(3).random(100) < share
    picked = Table.of(PickedRows(table, mask, beside=pa.table({"why": ["x"] * int(mask.sum())})))
    wanted = FRAME.filter(mask).with_columns(why=pl.lit("x"))
    assert picked.polars().collect().equals(wanted)
    assert picked.n_rows == int(mask.sum())
    assert picked.columns == wanted.columns
    assert picked.arrow()["n"].to_pylist() == wanted["n"].to_list()
    assert stored(picked, tmp_path / "picked").polars().collect().equals(wanted)
    left = Table.of(PickedRows(table, mask, are_left_out=True))
    assert left.polars().collect().equals(FRAME.filter(~mask))
    pytest.importorskip("duckdb")
    assert [row[0] for row in left.duckdb().fetchall()] == FRAME.filter(~mask)["n"].to_list()


@given(st.lists(st.booleans(), min_size=100, max_size=100))
def test_rows_in_are_rows_kept_and_left_out(marks: list[bool]) -> None:
    mask = np.array(marks)
    table = Table.of(FRAME)
    kept = Table.of(PickedRows(table, mask)).polars().collect()["n"].to_list()
    others = Table.of(PickedRows(table, mask, are_left_out=True)).polars().collect()["n"].to_list()
    assert sorted([*kept, *others]) == list(range(100))


def test_a_table_that_gives_other_rows_the_second_time(small_groups: None, tmp_path: Path) -> None:
    table = stored(FRAME.head(90), tmp_path / "all")
    mask = np.zeros(100, bool)
    mask[[3, 95]] = True
    with pytest.raises(FormatError, match="2 rows were to be read, but there were 1"):
        stored(Table.of(PickedRows(table, mask)), tmp_path / "picked")
    with pytest.raises(FormatError, match="100 rows were to be read, but there were 90"):
        stored(Table.of(PickedRows(table, mask, are_left_out=True)), tmp_path / "left")
