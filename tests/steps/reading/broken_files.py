# A line is a file here.
"""Files with something wrong, made by code: what each is, and what must be said of it.

`BAD_FILES` are refused as a whole, whoever reads them. `BAD_ROWS` have rows that can be set aside: `ingest` names the
first, `ingest_rows` puts them into quarantine. `ODD_FILES` look strange and are sound.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

SMALL = "id,name,n\n1,Ada,5\n2,Bob,6\n3,Eve,7\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def zst(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def parquet_bytes(n: int = 1000) -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"id": range(n), "name": [f"name {i}" for i in range(n)]}).write_parquet(out)
    return out.getvalue()


def arrow_bytes(n: int = 1000, *, is_file: bool = True) -> bytes:
    table = pa.table({"id": list(range(n)), "name": [f"name {i}" for i in range(n)]})
    out = io.BytesIO()
    make = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(n // 4, 1))
    return out.getvalue()


def many(n: int = 20_000) -> bytes:
    return ("id,square\n" + "".join(f"{i},{i * i}\n" for i in range(n))).encode()


@dataclass(frozen=True)
class Broken:
    """A file with something wrong."""

    what: str
    name: str
    data: bytes | str | Callable[[Path], None]
    says: str
    """What the error says, a regular expression."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, folder: Path) -> Path:
        path = folder / self.name
        if callable(self.data):
            self.data(path)
        else:
            path.write_bytes(self.data.encode() if isinstance(self.data, str) else self.data)
        return path

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class WithBadRows(Broken):
    """A file with rows that can't be read."""

    good: list[tuple[Any, ...]] = field(default_factory=list)
    """The rows that remain."""
    lines: list[int] = field(default_factory=list)
    """Where the others are."""
    is_heavy: bool = False


def _folder(path: Path) -> None:
    path.mkdir()


def _folder_of_two(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("id,name\n1,x\n")
    (path / "b.csv").write_text("id,title\n1,x\n")


def _folder_of_two_kinds(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("id\n1\n")
    (path / "b.parquet").write_bytes(parquet_bytes())


def _folder_parted_in_two_ways(path: Path) -> None:
    (path / "year=2024").mkdir(parents=True)
    (path / "year=2024" / "a.csv").write_text("id\n1\n")
    (path / "b.csv").write_text("id\n1\n")


def _folder_parted_by_a_column(path: Path) -> None:
    (path / "id=2024").mkdir(parents=True)
    (path / "id=2024" / "a.csv").write_text("id\n1\n")


def _folder_of_two_types(path: Path) -> None:
    path.mkdir()
    pl.DataFrame({"id": [1]}).write_parquet(path / "a.parquet")
    pl.DataFrame({"id": ["x"]}).write_parquet(path / "b.parquet")


def _folder_with_a_bad_one(path: Path) -> None:
    path.mkdir()
    (path / "a.csv").write_text("id,name\n1,x\n")
    (path / "b.csv").write_bytes(b"")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.csv")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.fspath(path))


def _absent(path: Path) -> None:
    path.with_name("x2.csv").write_text("id\n1\n")


BAD_FILES = [
    Broken("empty", "x.csv", b"", r"'x.csv' is empty .*\nHint: was it cut short"),
    Broken("blank lines only", "x.csv", b"\n \r\n\n", "'x.csv' is empty"),
    Broken("a byte order mark only", "x.csv", b"\xef\xbb\xbf", "'x.csv' is empty"),
    Broken("header only", "x.csv", "id,name\n", "'x.csv' has a header but no rows"),
    Broken("header and blank lines", "x.csv", "id,name\n\n\n", "'x.csv' has a header but no rows"),
    Broken("header only, no line end", "x.csv", "id,name", "'x.csv' has a header but no rows"),
    Broken("nothing within gzip", "x.csv.gz", gzip.compress(b""), "'x.csv.gz' is empty"),
    Broken("nothing within zstd", "x.csv.zst", zst(b""), "'x.csv.zst' is (empty|cut short)"),
    Broken("columns named alike", "x.csv", "id,n,id\n1,2,3\n", r"'x.csv' has 1 column names twice: 'id'"),
    Broken("columns alike but for blanks", "x.csv", "id,n, id\n1,2,3\n", r"'x.csv' has 1 column names twice: 'id'"),
    Broken("an open header", "x.csv", '"id,n\n1,2\n', "The header of 'x.csv' opens a quotation mark"),
    Broken("UTF-16 with a mark", "x.csv", SMALL.encode("utf-16"), r"is text in UTF-16.*\nHint: give encoding='utf-16'"),
    Broken("UTF-16 without", "x.csv", SMALL.encode("utf-16-le"), "is text in UTF-16"),
    Broken(
        "UTF-16 cut in a character",
        "x.csv",
        (SMALL * 9000).encode("utf-16")[:-1],
        "isn't utf-16, truncated data, near byte",
        {"encoding": "utf-16"},
    ),
    Broken("an encoding that isn't", "x.csv", SMALL, "There is no encoding 'utf-9'", {"encoding": "utf-9"}),
    Broken("binary", "x.csv", bytes(range(256)) * 4, "is binary data of an unknown kind, not CSV"),
    Broken("PNG named CSV", "x.csv", PNG, "is a PNG image, not CSV as its name says"),
    Broken("PDF", "x.csv", b"%PDF-1.7\n1 0 obj\n", "is a PDF document, not CSV"),
    Broken("Excel", "x.csv", b"PK\x03\x04\x00" + bytes(30), "an Excel workbook, not CSV .*\nHint: unpack it, or save"),
    Broken("old Excel", "x.xls", b"\xd0\xcf\x11\xe0\x00" + bytes(30), "an old Excel workbook, which can't be read"),
    Broken("a web page", "x.csv", "<!DOCTYPE html><html>Log in</html>", "is a web page, not CSV .*\nHint: .*login"),
    Broken("XML", "x.csv", "<?xml version='1.0'?><a/>", "is XML, not CSV"),
    Broken(
        "a JSON array", "x.jsonl", '[{"id": 1}]', "is a JSON array, not JSON lines .*\nHint: write one object a line"
    ),
    Broken("JSON lines named CSV", "x.csv", '{"id": 1}\n', "is JSON lines, not CSV .*\nHint: rename it to .jsonl"),
    Broken("CSV named Parquet", "x.parquet", SMALL, "is separated text, not Parquet as its name says"),
    Broken("CSV named Arrow", "x.arrow", SMALL, "is separated text, not Arrow as its name says"),
    Broken("Parquet named CSV", "x.csv", parquet_bytes(), "is Parquet, not CSV .*\nHint: rename it to .parquet"),
    Broken("Arrow named Parquet", "x.parquet", arrow_bytes(), "is Arrow, not Parquet .*\nHint: rename it to .arrow"),
    Broken("gzip named CSV", "x.csv", gzip.compress(many()), "is gzip, not what its name says .*\nHint: rename it"),
    Broken("CSV named gzip", "x.csv.gz", SMALL, r"isn't gzip, though its name says so .*\nHint: rename it to 'x.csv'"),
    Broken(
        "zstd named gzip", "x.csv.gz", zst(many()), r"is zstd, not what its name .*\nHint: rename it to 'x.csv.zst'"
    ),
    Broken(
        "Parquet within gzip", "x.parquet.gz", gzip.compress(parquet_bytes()), "is Parquet within gzip .*\nHint: unpack"
    ),
    Broken("gzip cut short", "x.csv.gz", gzip.compress(many())[:20_000], "'x.csv.gz' is cut short or damaged"),
    Broken("gzip without its end", "x.csv.gz", gzip.compress(many())[:-4], "'x.csv.gz' is cut short or damaged"),
    Broken(
        "gzip, a byte changed", "x.csv.gz", lambda path: _flip(path, gzip.compress(many())), "is cut short or damaged"
    ),
    Broken("gzip, a head alone", "x.csv.gz", b"\x1f\x8b\x08\x00garbage!!", "is cut short or damaged"),
    Broken("zstd cut short", "x.csv.zst", zst(many())[:20_000], "'x.csv.zst' is cut short or damaged"),
    Broken("zstd, a head alone", "x.csv.zst", b"\x28\xb5\x2f\xfdgarbage!!", "is cut short or damaged"),
    Broken(
        "Parquet cut short", "x.parquet", parquet_bytes()[:-100], "can't be read as parquet: .*\nHint: it is damaged"
    ),
    Broken("Parquet, a head alone", "x.parquet", b"PAR1\x00", "can't be read as parquet"),
    Broken("Parquet with a false end", "x.parquet", parquet_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1", "can't be read as"),
    Broken("Parquet without rows", "x.parquet", parquet_bytes(0), "has a header but no rows"),
    Broken("Arrow cut short", "x.arrow", arrow_bytes()[:-200], "can't be read as arrow"),
    Broken("Arrow, a head alone", "x.arrow", b"ARROW1\x00\x00", "can't be read as arrow"),
    Broken("Arrow stream cut short", "x.arrows", arrow_bytes(is_file=False)[:-3000], "can't be read as arrow"),
    Broken("Arrow without rows", "x.arrow", arrow_bytes(0), "has a header but no rows"),
    Broken(
        "Feather's first version", "x.feather", b"FEA1\x00\x00\x00\x00", "is Feather of the first version, not Arrow"
    ),
    Broken("not there", "x.csv", _absent, r"There is no file 'x.csv' in .*\nHint: did you mean 'x2.csv'"),
    Broken("an empty folder", "x", _folder, "The folder '.*x' has no files"),
    Broken(
        "a folder of two schemas", "x", _folder_of_two, "'b.csv' has other columns than 'a.csv': it lacks 'name' and"
    ),
    Broken("a folder of two kinds", "x", _folder_of_two_kinds, "'b.parquet' is parquet, but 'a.csv' is csv"),
    Broken(
        "a folder of two types", "x", _folder_of_two_types, "Column 'id' is String in 'b.parquet', but Int64 in 'a.pa"
    ),
    Broken("a folder parted in two ways", "x", _folder_parted_in_two_ways, "aren't parted alike"),
    Broken("a folder named as a column", "x", _folder_parted_by_a_column, "'id' is a column of 'id=2024/a.csv' and"),
    Broken("a folder with an empty file", "x", _folder_with_a_bad_one, "'b.csv' is empty"),
    Broken("a link to nothing", "x.csv", _dangling, r"'.*x.csv' is a link to 'nowhere.csv', which isn't there"),
    Broken("a link to itself", "x.csv", _loop, "x.csv' can't be read: "),
    Broken("a pipe", "x.csv", _pipe, "x.csv' is a pipe or a device, not a file"),
    Broken("a socket", "x.csv", _socket, "x.csv' is a pipe or a device, not a file"),
    Broken("a declared column that isn't", "x.csv", SMALL, "types= names column 'm'", {"types": {"m": "integer"}}),
    Broken("a long separator", "x.csv", SMALL, "A separator is one ASCII character", {"separator": "::"}),
    Broken("one line of 40 MB", "x.csv", b"a" * (40 << 20), "The first line of 'x.csv' is longer than 16 MB"),
]


def _flip(path: Path, data: bytes) -> None:
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])


def _lines_of(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


BAD_ROWS = [
    WithBadRows(
        "too many fields",
        "x.csv",
        "a,b\n1,2\n1,2,3\n4,5\n",
        "Line 3 of 'x.csv' has 3 fields, but the header has 2",
        good=[(1, 2), (4, 5)],
        lines=[3],
    ),
    WithBadRows(
        "too few fields",
        "x.csv",
        "a,b\n1,2\n1\n4,5\n7\n",
        "Line 3 .* has 1 fields.*; bad rows are in lines 3, 5",
        good=[(1, 2), (4, 5)],
        lines=[3, 5],
    ),
    WithBadRows(
        "ragged behind a value of two lines",
        "x.csv",
        'a,b\n"x\ny",2\n1\n',
        "Line 4 of 'x.csv' has 1 fields",
        good=[("x\ny", 2)],
        lines=[4],
    ),
    WithBadRows(
        "a quotation mark left open",
        "x.csv",
        'a,b\n"1,2\n3,4\n',
        "Line 2 of 'x.csv' opens a quotation mark",
        good=[(3, 4)],
        lines=[2],
    ),
    WithBadRows(
        "one left open in the last column",
        "x.csv",
        'a,b\n1,"x\n3,y\n',
        "Line 2 of 'x.csv' opens a quotation mark",
        good=[(3, "y")],
        lines=[2],
    ),
    WithBadRows(
        "one left open, closed by the next",
        "x.csv",
        'a,b\n1,"x\n2,"y"\n3,z\n',
        "Line 2 .* opens a quotation mark",
        good=[(2, "y"), (3, "z")],
        lines=[2],
    ),
    WithBadRows(
        "Windows' letters as UTF-8",
        "x.csv",
        "n,v\nJosé,1\nAda,2\n".encode("cp1252"),
        r"Line 2 of 'x.csv' isn't utf-8: byte b'\\xe9' after 'Jos'",
        good=[("Ada", 2)],
        lines=[2],
    ),
    WithBadRows(
        "a byte that Windows doesn't have",
        "x.csv",
        b"n,v\n\x81,1\nAda,2\n",
        "Line 2 of 'x.csv' isn't cp1252",
        {"encoding": "cp1252"},
        good=[("Ada", 2)],
        lines=[2],
    ),
    WithBadRows(
        "half a character",
        "x.csv",
        b"n,v\nAda,2\nJos\xc3,1\n",
        "Line 3 of 'x.csv' isn't utf-8",
        good=[("Ada", 2)],
        lines=[3],
    ),
    WithBadRows(
        "UTF-16 within UTF-8",
        "x.csv",
        b"n,v\n" + b"Ada,2\n" * 100 + "x,1\n".encode("utf-16-le"),
        "Line 102 of 'x.csv' has a NUL byte",
        good=[("Ada", 2)] * 100,
        lines=[102, 103],
    ),
    WithBadRows(
        "a NUL byte",
        "x.csv",
        b"n,v\n" + b"Ada,2\n" * 100 + b"B\0b,3\nEve,2\n",
        "Line 102 of 'x.csv' has a NUL byte",
        good=[("Ada", 2)] * 100 + [("Eve", 2)],
        lines=[102],
    ),
    WithBadRows(
        "text in a column of numbers",
        "x.csv",
        "n\n1\nx\n2\ny\n",
        "Line 3 of 'x.csv' has 'x' in 'n' isn't integer, as declared; bad rows are in lines 3, 5",
        {"types": {"n": "integer"}},
        good=[(1,), (2,)],
        lines=[3, 5],
    ),
    WithBadRows(
        "a number beyond 64 bits",
        "x.csv",
        "n\n9223372036854775807\n9223372036854775808\n",
        "Line 3 .* has '9223372036854775808' in 'n' isn't integer",
        {"types": {"n": "integer"}},
        good=[(9223372036854775807,)],
        lines=[3],
    ),
    WithBadRows(
        "a day that isn't",
        "x.csv",
        "d\n2024-02-29\n2023-02-29\n2024-13-01\n",
        "Line 3 .* has '2023-02-29' in 'd' isn't date",
        {"types": {"d": "date"}},
        good=[(date(2024, 2, 29),)],
        lines=[3, 4],
    ),
    WithBadRows(
        "two values wrong in a row",
        "x.csv",
        "a,b\n1,2\nx,y\n",
        "has 'x' in 'a' isn't integer, 'y' in 'b' isn't number",
        {"types": {"a": "integer", "b": "number"}},
        good=[(1, 2.0)],
        lines=[3],
    ),
    WithBadRows(
        "a yes that is no boolean",
        "x.csv",
        "b\ntrue\nyes\nFALSE\n",
        "Line 3 .* has 'yes' in 'b' isn't boolean",
        {"types": {"b": "boolean"}},
        good=[(True,), (False,)],
        lines=[3],
    ),
    WithBadRows(
        "a line of 20 MB",
        "x.csv",
        b"a,b\n1,2\n" + b"x" * (20 << 20) + b"\n3,4\n",
        "Line 3 of 'x.csv' is longer than 16 MB",
        good=[(1, 2), (3, 4)],
        lines=[3],
        is_heavy=True,
    ),
    WithBadRows(
        "an open mark and 20 MB behind it",
        "x.csv",
        b'a,b\n"1,2\n' + b"3,4\n" * (5 << 20),
        "Line 2 of 'x.csv' opens a quotation mark",
        good=[(3, 4)] * (5 << 20),
        lines=[2],
        is_heavy=True,
    ),
    WithBadRows(
        "JSON cut short",
        "x.jsonl",
        '{"a": 1}\n{"a": \n{"a": 2}\n',
        "Line 2 of 'x.jsonl' isn't JSON",
        good=[(1,), (2,)],
        lines=[2],
    ),
    WithBadRows(
        "JSON that is no object",
        "x.jsonl",
        _lines_of({"a": 1}, [1, 2], 5, {"a": 2}),
        "Line 2 of 'x.jsonl' isn't a JSON object, but list",
        good=[(1,), (2,)],
        lines=[2, 3],
    ),
    WithBadRows(
        "JSON with NaN",
        "x.jsonl",
        '{"a": 1.5}\n{"a": NaN}\n',
        "Line 2 of 'x.jsonl' isn't JSON: NaN is no value",
        good=[(1.5,)],
        lines=[2],
    ),
    WithBadRows(
        "JSON in depths",
        "x.jsonl",
        '{"a": 1}\n' + '{"a":' * 5000 + "1" + "}" * 5000 + "\n",
        "Line 2 of 'x.jsonl' (isn't JSON|can't be read)",  # Python 3.13 reads it, Polars doesn't
        good=[(1,)],
        lines=[2],
    ),
    WithBadRows(
        "text in a column of JSON numbers",
        "x.jsonl",
        _lines_of({"a": 1}, {"a": "x"}, {"a": "3"}),
        "Line 2 .* has 'x' in 'a' isn't integer",
        {"types": {"a": "integer"}},
        good=[(1,), (3,)],
        lines=[2],
    ),
    WithBadRows(
        "text in a column of Parquet",
        "x.parquet",
        lambda path: pl.DataFrame({"a": ["1", "x"]}).write_parquet(path),
        "Line 2 of 'x.parquet' has 'x' in 'a' isn't integer",
        {"types": {"a": "integer"}},
        good=[(1,)],
        lines=[2],
    ),
    WithBadRows(
        "halves in a column of Arrow",
        "x.arrow",
        lambda path: pl.DataFrame({"a": [1.0, 2.5]}).write_ipc(path),
        "Line 2 of 'x.arrow' has 2.5 in 'a' isn't integer",
        {"types": {"a": "integer"}},
        good=[(1,)],
        lines=[2],
    ),
]

ODD_FILES = [
    ("a byte order mark", "x.csv", b"\xef\xbb\xbfa,b\n1,2\n", {}, ["a", "b"], [(1, 2)]),
    ("UTF-16, said so", "x.csv", "a,b\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}, ["a", "b"], [(1, "é")]),
    ("UTF-16 BE, said so", "x.csv", "a\né\n".encode("utf-16-be"), {"encoding": "utf-16-be"}, ["a"], [("é",)]),
    ("UTF-32, said so", "x.csv", "a\né\n".encode("utf-32"), {"encoding": "utf-32"}, ["a"], [("é",)]),
    ("Shift JIS", "x.csv", "名,値\n表,1\n".encode("shift_jis"), {"encoding": "shift_jis"}, ["名", "値"], [("表", 1)]),
    ("Mac line ends", "x.csv", b"a,b\r1,2\r3,4\r", {}, ["a", "b"], [(1, 2), (3, 4)]),
    ("mixed line ends", "x.csv", b"a,b\r\n1,2\n3,4\r5,6\r\n", {}, ["a", "b"], [(1, 2), (3, 4), (5, 6)]),
    ("no final line end", "x.csv", b"a,b\n1,2\n3,4", {}, ["a", "b"], [(1, 2), (3, 4)]),
    ("blank lines between", "x.csv", b"\n\na,b\n\n1,2\n\n\n3,4\n\n", {}, ["a", "b"], [(1, 2), (3, 4)]),
    ("names in odd scripts", "x.csv", "имя,数,🐙,ا\n1,2,3,4\n", {}, ["имя", "数", "🐙", "ا"], [(1, 2, 3, 4)]),
    ("a file's name in an odd script", "данные 🐙.csv", "a\n1\n", {}, ["a"], [(1,)]),
    ("a name with wildcards", "x[1]*.csv", "a\n1\n", {}, ["a"], [(1,)]),
    ("mixed kinds", "x.csv", "a\n1\nx\n2024-01-01\n", {}, ["a"], [("1",), ("x",), ("2024-01-01",)]),
    ("beyond int64", "x.csv", "a\n9223372036854775808\n1\n", {}, ["a"], [("9223372036854775808",), ("1",)]),
    ("a day that isn't", "x.csv", "a\n2023-02-30\n", {}, ["a"], [("2023-02-30",)]),
    ("a value of 2 MB", "x.csv", "a,b\n1," + "x" * (2 << 20) + "\n", {}, ["a", "b"], [(1, "x" * (2 << 20))]),
    (
        "marks within values",
        "x.csv",
        'a,b\n5" pipe,1\n"say ""hi""",2\n',
        {},
        ["a", "b"],
        [('5" pipe', 1), ('say "hi"', 2)],
    ),
    ("two gzip members", "x.csv.gz", gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"), {}, ["a"], [(1,), (2,)]),
    ("two zstd frames", "x.csv.zst", zst(b"a\n1\n") + zst(b"2\n"), {}, ["a"], [(1,), (2,)]),
    ("an Arrow stream", "x.arrows", arrow_bytes(1, is_file=False), {}, ["id", "name"], [(0, "name 0")]),
    ("keys that come later", "x.jsonl", '{"a": 1}\n{"b": 2.5}\n', {}, ["a", "b"], [(1, None), (None, 2.5)]),
    ("JSON within zstd", "x.jsonl.zst", zst(b'{"a": 1}\n'), {}, ["a"], [(1,)]),
]
