"""Files that unpack to, or hold, far more than memory should: read within bounds, or refused with a clear error.

Each is read in a process of its own, whose peak is measured.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

pytestmark = [pytest.mark.prove, pytest.mark.timeout(900)]

MB = 1 << 20
LIMIT_MB = 700
READ = """
import json, resource, sys
from pathlib import Path
from headrace.core.errors import HeadraceError
from headrace.steps import ingest_rows
try:
    table, quarantine = ingest_rows(Path(sys.argv[1]), max_bad_rows=float(sys.argv[2]))
    said = [table.n_rows, quarantine.n_rows]
except HeadraceError as error:
    said = str(error)
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]))
"""


def read(path: Path, max_bad_rows: float = 0) -> tuple[object, int]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(max_bad_rows)], capture_output=True, text=True, check=True
    )
    said, peak_mb = json.loads(done.stdout)
    return said, peak_mb


def gzipped(path: Path, head: bytes, piece: bytes, n: int, end: bytes = b"") -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(n):
            file.write(piece)
        file.write(end)
    return path


def zstandard(path: Path, head: bytes, piece: bytes, n: int, end: bytes = b"") -> Path:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(head)
        for _ in range(n):
            file.write(piece)
        file.write(end)
    return path


@pytest.mark.parametrize(("pack", "suffix"), [(gzipped, ".gz"), (zstandard, ".zst")])
class TestBombs:
    def test_one_line(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        said, peak_mb = read(pack(tmp_path / f"x.csv{suffix}", b"", b"a" * MB, 4096))
        assert "The first line of 'x.csv" in str(said)
        assert "is longer than 16 MB" in str(said)
        assert peak_mb < LIMIT_MB

    def test_one_line_among_others(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        path = pack(tmp_path / f"x.csv{suffix}", b"a,b\n1,2\n", b"a" * MB, 2048, b"\n3,4\n")
        said, peak_mb = read(path)
        assert "Line 3 of 'x.csv" in str(said)
        assert peak_mb < LIMIT_MB
        said, peak_mb = read(path, 1)
        assert said == [2, 1]
        assert peak_mb < LIMIT_MB

    def test_an_open_quotation_mark(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        path = pack(tmp_path / f"x.csv{suffix}", b'a,b\n"1,2\n', b"3,4\n" * (MB // 4), 256)
        said, peak_mb = read(path, 1)
        assert said == [MB // 4 * 256, 1]
        assert peak_mb < LIMIT_MB

    def test_blank_lines(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        said, peak_mb = read(pack(tmp_path / f"x.csv{suffix}", b"a,b\n", b"\n" * MB, 512))
        assert "has a header but no rows" in str(said)
        assert peak_mb < LIMIT_MB

    def test_json(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        path = pack(tmp_path / f"x.jsonl{suffix}", b'{"a": 1}\n{"a": "', b"a" * MB, 2048, b'"}\n{"a": 2}\n')
        said, peak_mb = read(path, 1)
        assert said == [2, 1]
        assert peak_mb < LIMIT_MB

    def test_rows(self, tmp_path: Path, pack: Callable[..., Path], suffix: str) -> None:
        """A gigabyte of sound rows: ten million of them."""
        row = b"12345,some text here,2024-01-01,6.25,yes," + b"x" * 60 + b"\n"
        said, peak_mb = read(pack(tmp_path / f"x.csv{suffix}", b"a,b,c,d,e,f\n", row * 10_000, 1000))
        assert said == [10_000_000, 0]
        assert peak_mb < LIMIT_MB


def test_many_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n")
        for _ in range(100):
            file.write(b"1,2\n" * 10_000 + b"1,2,3\n" * 10_000)
    said, peak_mb = read(path, 0.6)
    assert said == [1_000_000, 1_000_000]
    assert peak_mb < LIMIT_MB
