"""What a file is, told by its bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from headrace.core.errors import DataError
from headrace.steps.reading.sniffing import MAGIC, sniff

CSV = b"a,b\n1,2\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parquet_bytes(folder: Path) -> bytes:
    path = folder / "made.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "kind", "packing"),
    [
        ("x.csv", CSV, "csv", None),
        ("x.CSV", CSV, "csv", None),
        ("x.csv.gz", gzip.compress(CSV), "csv", "gzip"),
        ("x.tsv", b"a\tb\n1\t2\n", "tsv", None),
        ("x.jsonl", b'{"a": 1}\n', "jsonl", None),
        ("x.ndjson.gz", gzip.compress(b'{"a": 1}\n'), "jsonl", "gzip"),
        ("x.data", CSV, "csv", None),
        ("x", b'\xef\xbb\xbf{"a": 1}\n', "jsonl", None),
        ("object-without-suffix", gzip.compress(CSV), "csv", "gzip"),
        ("orc.csv", b"ORCHARD,PAR1\n1,2\n", "csv", None),
        ("par1.csv", b"PAR1,b\n1,2\n", "csv", None),
    ],
)
def test_what_a_file_is(tmp_path: Path, name: str, data: bytes, kind: str, packing: str | None) -> None:
    found = sniff(put(tmp_path, name, data))
    assert (found.kind, found.packing) == (kind, packing)


def test_parquet_is_known_by_its_bytes(tmp_path: Path) -> None:
    data = parquet_bytes(tmp_path)
    assert sniff(put(tmp_path, "x.parquet", data)).kind == "parquet"
    assert sniff(put(tmp_path, "x", data)).kind == "parquet"


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("x.csv", b"", r"'x.csv' is empty \(.*\)\.\nHint: was it cut short"),
        ("x.csv", b" \n\r\n", "'x.csv' is empty"),
        ("x.csv", PNG, r"'x.csv' is a PNG image, not CSV as its name says \(.*\)\.\nHint: open it and see what it is"),
        ("x.csv", b"<!DOCTYPE html><html>", "'x.csv' is a web page, not CSV as its name says"),
        ("x.csv", gzip.compress(CSV), r"'x.csv' is gzip, not what its name says .*\nHint: rename it to 'x.csv.gz'"),
        ("x.csv.gz", CSV, r"'x.csv.gz' isn't gzip, though its name says so .*\nHint: rename it to 'x.csv'"),
        ("x.csv.gz", gzip.compress(PNG), "'x.csv.gz' is a PNG image, not CSV as its name says"),
        ("x.parquet", CSV, "'x.parquet' is separated text, not Parquet as its name says"),
        ("x.jsonl", b'[{"a": 1}]', "'x.jsonl' is a JSON array, not JSON lines .*\nHint: write one object a line"),
        ("x.csv", b"\xff\xfea\x00,\x00", "'x.csv' is text in UTF-16, not CSV .*\nHint: .*save it as UTF-8"),
        ("x.csv", b"PK\x03\x04\x00", "an Excel workbook, not CSV .*\nHint: unpack it, or save the sheet as CSV"),
        ("x", PNG, "'x' is a PNG image, which can't be read .*\nHint: give CSV, TSV, Parquet, Arrow or JSON lines"),
        ("x", b"a\x00b", "'x' is binary data of an unknown kind, which can't be read"),
        ("x.csv.gz", b"\x1f\x8b\x08\x00garbage!!", "'x.csv.gz' is cut short or damaged"),
    ],
)
def test_what_a_file_is_not(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    with pytest.raises(DataError, match=text):
        sniff(put(tmp_path, name, data))


def test_parquet_named_csv(tmp_path: Path) -> None:
    path = put(tmp_path, "x.csv", parquet_bytes(tmp_path))
    with pytest.raises(
        DataError, match=r"'x.csv' is Parquet, not CSV as its name says .*\nHint: rename it to .parquet"
    ):
        sniff(path)


def test_a_declared_kind_stands_for_the_name(tmp_path: Path) -> None:
    assert sniff(put(tmp_path, "x.parquet", CSV), declared="csv").kind == "csv"
    assert sniff(put(tmp_path, "x.csv", gzip.compress(CSV)), declared="csv").packing == "gzip"
    with pytest.raises(DataError, match=r"'x.txt' is separated text, not Parquet as kind='parquet' says"):
        sniff(put(tmp_path, "x.txt", CSV), declared="parquet")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    put(tmp_path, "customers.csv", CSV)
    with pytest.raises(DataError, match=r"There is no file 'custmers.csv' in .*\nHint: did you mean 'customers.csv'\?"):
        sniff(tmp_path / "custmers.csv")
    with pytest.raises(DataError, match=r"There is no file '.*x.csv', nor a folder '.*nowhere'"):
        sniff(tmp_path / "nowhere" / "x.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"There is no file 'x.csv' in .*\nHint: it has no files"):
        sniff(tmp_path / "empty" / "x.csv")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    put(tmp_path, "part.csv", CSV)
    with pytest.raises(DataError, match=r"is a folder, not a file.\nHint: there are 'part.csv'"):
        sniff(tmp_path)


def test_no_mark_hides_another() -> None:
    marks = [magic for magic, _ in MAGIC]
    assert not [(a, b) for i, a in enumerate(marks) for b in marks[i + 1 :] if b.startswith(a)]
