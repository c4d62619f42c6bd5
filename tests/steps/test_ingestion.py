"""Files of rows become typed tables."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps import ingest
from headrace.steps.reading import blocks


def put(folder: Path, text: str | bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    return ingest(path, **options).polars().collect().to_dicts()


def kinds(path: Path, **options: Any) -> dict[str, Any]:
    return dict(ingest(path, **options).polars().collect_schema())


def test_values_are_stripped_and_missing_where_spelled_so(tmp_path: Path) -> None:
    path = put(tmp_path, 'a,b\n x , ?\n"", NA \n" y",n/a\n')
    assert rows(path, missing=["?", "NA", "n/a"]) == [
        {"a": "x", "b": None},
        {"a": None, "b": None},
        {"a": "y", "b": None},
    ]
    assert rows(path, missing=[])[1] == {"a": None, "b": "NA"}


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["1", "-2", "+3"], pl.Int64, [1, -2, 3]),
        (["1", "2.5", "1e3"], pl.Float64, [1.0, 2.5, 1000.0]),
        (["1.5", "inf", "-inf"], pl.Float64, [1.5, float("inf"), float("-inf")]),
        (["1.5", "nan", ""], pl.Float64, [1.5, None, None]),
        (["0", "0.5", "-0.25"], pl.Float64, [0.0, 0.5, -0.25]),
        (["00501", "10001"], pl.String, ["00501", "10001"]),
        (["1234567890123456", "2"], pl.String, ["1234567890123456", "2"]),
        (["true", "FALSE", "True"], pl.Boolean, [True, False, True]),
        (["2024-02-29", "2023-12-31"], pl.Date, [date(2024, 2, 29), date(2023, 12, 31)]),
        (["2023-02-29", "2023-12-31"], pl.String, ["2023-02-29", "2023-12-31"]),
        (
            ["2024-01-01T10:00:00Z", "2024-01-01 12:30:00.25", "2024-01-01T01:00:00+02:00", "2024-01-02"],
            pl.Datetime("us"),
            [
                datetime(2024, 1, 1, 10),
                datetime(2024, 1, 1, 12, 30, 0, 250000),
                datetime(2023, 12, 31, 23),
                datetime(2024, 1, 2),
            ],
        ),
        (["1", "x"], pl.String, ["1", "x"]),
        (["1,5", "2"], pl.String, ["1,5", "2"]),
        (["", "NA"], pl.String, [None, None]),
    ],
)
def test_a_columns_kind_fits_all_its_values(tmp_path: Path, values: list[str], kind: Any, read: list[Any]) -> None:
    text = "k,v\n" + "".join(f'r,"{value}"\n' for value in values)
    path = put(tmp_path, text)
    assert kinds(path)["v"] == kind
    assert [row["v"] for row in rows(path)] == read


def test_one_value_far_down_decides(tmp_path: Path) -> None:
    """Kinds are inferred on all rows: a sample of the first thousands would say integer."""
    path = put(tmp_path, "v\n" + "1\n" * 50_000 + "x\n")
    assert kinds(path) == {"v": pl.String}


def test_kinds_do_not_depend_on_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "id,v\n" + "".join(f"{i},{i / 4}\n" for i in range(1_000)))
    whole = ingest(path).polars().collect()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1_000)
    assert ingest(path).polars().collect().equals(whole)


@pytest.mark.parametrize(
    ("text", "separator"), [("a;b\n1,5;2\n", ";"), ("a|b\n1|2\n", "|"), ("a\tb\n1\t2\n", "\t"), ("a\n1\n", ",")]
)
def test_the_separator_is_found_in_the_header(tmp_path: Path, text: str, separator: str) -> None:
    found = list(rows(put(tmp_path, text))[0])
    assert found == text.splitlines()[0].split(separator)


def test_a_separator_can_be_given(tmp_path: Path) -> None:
    assert rows(put(tmp_path, "a,b:c\n1,2:3\n"), separator=":") == [{"a,b": "1,2", "c": 3}]
    with pytest.raises(DataError, match=r"A separator is one ASCII character, but got '::'"):
        rows(put(tmp_path, "a\n1\n"), separator="::")


def test_awkward_but_sound_text(tmp_path: Path) -> None:
    path = put(tmp_path, b'\xef\xbb\xbfname , note\r\n"A, B","two\nlines"\r\n\r\nC,5" pipe\r\n')
    assert rows(path) == [{"name": "A, B", "note": "two\nlines"}, {"name": "C", "note": '5" pipe'}]


def test_names_of_columns(tmp_path: Path) -> None:
    assert list(rows(put(tmp_path, ",a,\n1,2,3\n"))[0]) == ["column_1", "a", "column_3"]
    assert rows(put(tmp_path, "1,x\n2,y\n"), columns=["n", "s"]) == [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]
    with pytest.raises(DataError, match=r"'x.csv' has 1 column names twice: 'a'"):
        rows(put(tmp_path, "a,b,a\n1,2,3\n"))


def test_another_encoding(tmp_path: Path) -> None:
    path = put(tmp_path, "name\nJosé\n".encode("cp1252"))
    assert rows(path, encoding="cp1252") == [{"name": "José"}]
    with pytest.raises(DataError, match=r"Line 2 of 'x.csv' isn't utf-8: byte b'\\xe9' after 'Jos' .*\nHint: give its"):
        rows(path)
    with pytest.raises(DataError, match=r"There is no encoding 'utf-9'"):
        rows(path, encoding="utf-9")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", "Line 3 of 'x.csv' has 3 fields, but the header has 2 "),
        ("a,b\n1,2\n1\n4,5\n7\n", "Line 3 of 'x.csv' has 1 fields, but the header has 2; bad rows are in lines 3, 5 "),
        ('a,b\n"x\ny",2\n1\n', "Line 4 of 'x.csv' has 1 fields"),
        ("a,b\n" + "1\n" * 9, "in lines 2, 3, 4, 5, 6 and 4 more"),
    ],
)
def test_ragged_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        rows(put(tmp_path, text))
    assert "is the separator right?" in str(caught.value)


def test_a_header_alone_is_no_table(tmp_path: Path) -> None:
    for text in ("a,b\n", "a,b", "a,b\n\n\n"):
        with pytest.raises(DataError, match=r"'x.csv' has a header but no rows .*\nHint: was it cut short"):
            rows(put(tmp_path, text))


def test_gzip_cut_short(tmp_path: Path) -> None:
    whole = gzip.compress(("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(20_000))).encode())
    path = put(tmp_path, whole[: len(whole) // 2], "x.csv.gz")
    with pytest.raises(DataError, match=r"'x.csv.gz' is cut short or damaged"):
        rows(path)
    assert len(rows(put(tmp_path, whole, "y.csv.gz"))) == 20_000


def test_declared_kinds(tmp_path: Path) -> None:
    path = put(tmp_path, "zip,n\n00501,1\n10001,2\n")
    assert kinds(path, types={"zip": "integer", "n": "number"}) == {"zip": pl.Int64, "n": pl.Float64}
    bad = put(tmp_path, "n\n1\nx\n2\ny\n", "bad.csv")
    with pytest.raises(
        DataError, match=r"Line 3 of 'bad.csv' has 'x' in 'n' isn't integer, as declared; bad rows are in lines 3, 5 "
    ):
        rows(bad, types={"n": "integer"})
    with pytest.raises(DataError, match=r"Line 2 of 'x.csv' has 'x' in 'row' isn't integer, as declared"):
        rows(put(tmp_path, "row\nx\n2\n"), types={"row": "integer"})
    with pytest.raises(DataError, match=r"types= names column 'm', which the table doesn't have.\nHint: there are 'n'"):
        rows(bad, types={"m": "integer"})
    with pytest.raises(
        DataError, match=r"Column 'n' is declared as 'float', which is no kind of column.\nHint: there are"
    ):
        rows(bad, types={"n": "float"})  # type: ignore[dict-item]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    frame = pl.DataFrame({"a": [1, 2], "s": [" x ", "NA"], "f": [1.5, None]})
    frame.write_parquet(path)
    assert rows(path) == [{"a": 1, "s": "x", "f": 1.5}, {"a": 2, "s": None, "f": None}]
    assert kinds(path, types={"a": "number"})["a"] == pl.Float64
    frame.clear().write_parquet(path)
    with pytest.raises(DataError, match=r"'x.parquet' has a header but no rows"):
        rows(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    put(tmp_path, path.read_bytes()[:-100], "x.parquet")
    with pytest.raises(DataError, match=r"'x.parquet' can't be read as parquet: .*\nHint: it is damaged or cut short"):
        rows(path)


def test_json_lines(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": 1, "s": " x"}\n{"a": 2.5, "s": null}\n', "x.jsonl")
    assert rows(path) == [{"a": 1.0, "s": "x"}, {"a": 2.5, "s": None}]
    with pytest.raises(DataError, match=r"Line 2 of 'y.jsonl' isn't JSON: Expecting value"):
        rows(put(tmp_path, '{"a": 1}\n{"a": \n', "y.jsonl"))


def test_columns_are_picked_before_they_are_read(tmp_path: Path) -> None:
    path = put(tmp_path, "a,b,c\n" + "".join(f"{i},{i * 2},x\n" for i in range(10)))
    frame = ingest(path).polars()
    assert frame.select("b").filter(pl.col("b") > 15).collect().to_series().to_list() == [16, 18]
    assert frame.head(3).select("a").collect().to_series().to_list() == [0, 1, 2]


BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""Unicode's White_Space; Python's strip() takes four control characters more."""

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20))
def test_whatever_a_csv_writer_wrote_is_read_back(tmp_path_factory: pytest.TempPathFactory, cells: list[Any]) -> None:
    """Text survives as Python's csv module wrote it, apart from stripping; no row is lost or made."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(cells)
    path = put(tmp_path_factory.mktemp("csv"), written.getvalue())
    found = ingest(path, missing=[], types={"a": "text", "b": "text"}).polars().collect().rows()
    assert found == [tuple(cell.strip(BLANKS) or None for cell in row) for row in cells]
