"""Files, folders and patterns as rows: order, partitions, types over several blocks and files, counts, tables."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.core.errors import DataError, HeadraceError, TransientError
from headrace.formats.parquet import ParquetFormat
from headrace.formats.table import Table
from headrace.steps import ingest, ingest_rows
from headrace.steps.reading import blocks, keeping, lines
from headrace.steps.reading.rows import ReadOptions, open_rows

TEN = datetime(2024, 1, 1, 10)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rows(source: Path, **options: Any) -> list[tuple[Any, ...]]:
    return ingest(source, **options).polars().collect().rows()


def test_a_folder_is_its_files_in_order(tmp_path: Path) -> None:
    put(tmp_path / "b.csv", "id,name\n3,x\n")
    put(tmp_path / "a.csv", "id,name\n1,y\n2,z\n")
    put(tmp_path / "c" / "a.csv", "name,id\nw,4\n")  # in another order
    put(tmp_path / "_SUCCESS", "")
    put(tmp_path / ".hidden.csv", "other\n1\n")
    put(tmp_path / "_temporary" / "x.csv", "other\n1\n")
    assert rows(tmp_path) == [(1, "y"), (2, "z"), (3, "x"), (4, "w")]
    assert rows(tmp_path / "*.csv") == [(1, "y"), (2, "z"), (3, "x")]
    assert rows(tmp_path / "**" / "a.csv") == [(1, "y"), (2, "z"), (4, "w")]
    assert rows(tmp_path / "[a-b].csv") == [(1, "y"), (2, "z"), (3, "x")]


def test_a_pattern_that_names_nothing(tmp_path: Path) -> None:
    put(tmp_path / "orders.csv", "id\n1\n")
    with pytest.raises(DataError, match=r"'order\*.tsv' names no file in .*\nHint: did you mean 'orders.csv'"):
        ingest(tmp_path / "order*.tsv")
    with pytest.raises(DataError, match=r"There is no file '.*', nor a folder '.*nowhere'"):
        ingest(tmp_path / "nowhere" / "*.csv")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_folders_names_give_columns(tmp_path: Path, suffix: str) -> None:
    for year, region in ((2024, "north"), (2023, "a b")):
        folder = tmp_path / f"year={year}" / f"region={region.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"id": [year * 10]})
        {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](
            folder / f"x.{suffix}"
        )
    table = ingest(tmp_path)
    assert table.columns == ["id", "year", "region"]
    assert table.polars().collect().rows() == [(20230, 2023, "a b"), (20240, 2024, "north")]
    assert ingest(tmp_path / "year=*").n_rows == 2


def test_kinds_are_those_of_all_files(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "v,w\n1,\n2,\n")
    put(tmp_path / "b.csv", "v,w\n2.5,2024-01-01\n")
    assert rows(tmp_path) == [(1.0, None), (2.0, None), (2.5, date(2024, 1, 1))]
    put(tmp_path / "c.csv", "v,w\nx,1\n")
    assert rows(tmp_path) == [("1", None), ("2", None), ("2.5", "2024-01-01"), ("x", "1")]


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1", "2.5"], [1.0, 2.5]),
        (["+1", "x"], ["+1", "x"]),
        (["", "7"], [None, 7]),
        (["2024-01-01", "2024-01-01 10:00:00"], [datetime(2024, 1, 1), TEN]),
        (
            ["2024-01-01 10:00:00", "2024-01-01T10:00:00.5"],
            [datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, 0, 0, 500000)],
        ),
        (["2024-01-01 10:00", "2024-01-01T10:00:00Z"], [TEN] * 2),
        (["true", "1"], ["true", "1"]),
        (["1", "007"], ["1", "007"]),
        (["1", "nan"], [1.0, None]),
        (["2024-01-01", "3"], ["2024-01-01", "3"]),
    ],
)
def test_a_wider_kind_in_a_later_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[str], read: list[Any]
) -> None:
    """Each value in a block of its own gives what one block gives."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8)
    path = put(tmp_path / "x.csv", "k,v\n" + "".join(f'"row {i}",{value}\n' for i, value in enumerate(values)))
    assert [value for _, value in rows(path, missing=["NA"])] == read


def test_json_of_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"a": 1, "s": {"x": 1}}\n{"a": 2.5, "s": {"y": "b"}}\n{"a": null, "l": [1]}\n{"l": [1.5]}\n'
    path = put(tmp_path / "x.jsonl", text)
    whole = ingest(path).polars().collect()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8)
    apart = ingest(path).polars().collect()
    assert apart.to_dicts() == whole.to_dicts()
    assert apart["a"].to_list() == [1.0, 2.5, None, None]
    assert apart["l"].to_list() == [None, None, [1.0], [1.5]]


def test_many_rows_are_stored_parts_of_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "x.csv", "id,v\n" + "".join(f"{i},{i / 4}\n" for i in range(3000)))
    held = ingest(path)
    monkeypatch.setattr(keeping, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    written = ingest(path)
    assert (held.paths, len(written.paths)) == ((), 1)
    for name, table in (("held", held), ("written", written)):
        (tmp_path / name).mkdir()
        ParquetFormat().save(table, tmp_path / name, Table)
    part = "part-00000.parquet"
    assert (tmp_path / "held" / part).read_bytes() == (tmp_path / "written" / part).read_bytes()


@pytest.mark.parametrize(
    ("bad", "allowed", "is_fine"),
    [(2, 2, True), (3, 2, False), (2, 0.02, True), (3, 0.02, False), (1, 0, False), (1, 0.0, False), (2, 2.0, True)],
)
def test_how_many_rows_may_be_bad(tmp_path: Path, bad: int, allowed: float, is_fine: bool) -> None:
    lines = ["1,2"] * (100 - bad) + ["1,2,3"] * bad
    path = put(tmp_path / "x.csv", "a,b\n" + "\n".join(lines))
    if is_fine:
        table, quarantine = ingest_rows(path, max_bad_rows=allowed)
        assert (table.n_rows, quarantine.n_rows) == (100 - bad, bad)
    else:
        with pytest.raises(DataError, match=f"Line {102 - bad} of 'x.csv' has 3 fields"):
            ingest_rows(path, max_bad_rows=allowed)


def test_the_share_of_bad_rows_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", "a,b\n1,2\n1\n1\n")
    with pytest.raises(DataError, match=r"2 rows of 3 \(66.67%\) can't be read, more than max_bad_rows=0.5 allows"):
        ingest_rows(path, max_bad_rows=0.5)
    for wrong in (-1, 1.5, True, "1"):
        with pytest.raises(DataError, match="max_bad_rows is a whole number of rows, or a share below 1"):
            ingest_rows(path, max_bad_rows=wrong)  # type: ignore[arg-type]


def test_quarantine_of_several_files_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    for name in ("a", "b"):
        put(tmp_path / "d" / f"{name}.csv", "i,v\n" + "".join(f"{i},{'x' * (i % 7 == 0) or i}\n" for i in range(40)))
    table, quarantine = ingest_rows(tmp_path / "d", types={"v": "integer"}, max_bad_rows=0.5)
    aside = quarantine.polars().collect()
    expected = [(name, i + 2, f"{i},x") for name in ("a.csv", "b.csv") for i in range(0, 40, 7)]
    assert aside.select("file", "line", "raw").rows() == expected
    assert table.n_rows + len(aside) == 80


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    path = put(tmp_path / "x.csv", "i\n" + "1\n" * 500)
    real, seen = lines._Run._typed, []

    def typed(self: Any, *args: Any) -> Any:
        if not seen:
            seen.append(1)
            with path.open("a") as file:
                file.write("2\n")
        return real(self, *args)

    monkeypatch.setattr(lines._Run, "_typed", typed)
    with pytest.raises(TransientError, match=r"'x.csv' changed while it was read"):
        ingest(path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "x.csv", "i\n1\n")
    real = Path.open

    def refused(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == path:
            raise PermissionError(13, os.strerror(13), str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DataError, match=r"x.csv' can't be read: Permission denied.\nHint: check its permissions"):
        ingest(path)


PEOPLE = {"name": [" Ada", "NA"], "age": ["36", "x"]}


@pytest.mark.parametrize("make", [pl.DataFrame, lambda d: pl.DataFrame(d).lazy(), pd.DataFrame, pa.table])
def test_a_table_in_memory(make: Any) -> None:
    frame = make(PEOPLE)
    assert ingest(frame).polars().collect().rows() == [("Ada", "36"), (None, "x")]
    table, quarantine = ingest_rows(Table.of(frame), types={"age": "integer"}, max_bad_rows=1)
    assert table.polars().collect().rows() == [("Ada", 36)]
    assert quarantine.polars().collect()["line"].to_list() == [2]


def test_what_is_no_file() -> None:
    with pytest.raises(DataError, match=r"A file is read, but got 5 \(int\)"):
        ingest(5)  # type: ignore[arg-type]


def test_open_rows(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", "a,b\n1,2\n1\n")
    found = open_rows(path, ReadOptions.checked(max_bad_rows=1))
    assert found.schema.names == ["a", "b"]
    assert [batch.to_pylist() for batch in found.batches()] == [[{"a": 1, "b": 2}]]
    assert (found.n_quarantined, found.quarantine.n_rows) == (1, 1)
    with pytest.raises(HeadraceError, match="Line 3"):
        open_rows(path)
