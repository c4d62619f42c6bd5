"""Each broken file is refused with what, where and what to do, or its bad rows are set aside; never a bare error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from broken_files import BAD_FILES, BAD_ROWS, ODD_FILES, Broken, WithBadRows

from headrace.core.errors import HeadraceError
from headrace.steps import ingest, ingest_rows


def test_the_corpus_is_large() -> None:
    assert len(BAD_FILES) + len(BAD_ROWS) >= 60
    assert len({str(case) for case in [*BAD_FILES, *BAD_ROWS]}) == len(BAD_FILES) + len(BAD_ROWS)


@pytest.mark.parametrize("case", BAD_FILES, ids=str)
def test_a_bad_file(case: Broken, tmp_path: Path) -> None:
    path = case.make(tmp_path)
    with pytest.raises(HeadraceError, match=case.says) as caught:
        ingest(path, **case.options).polars().collect()
    assert caught.value.hint
    with pytest.raises(HeadraceError, match=case.says):
        ingest_rows(path, max_bad_rows=0.9, **case.options).table.polars().collect()


HEAVY = [pytest.mark.prove]


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=HEAVY if case.is_heavy else [], id=str(case)) for case in BAD_ROWS]
)
def test_bad_rows(case: WithBadRows, tmp_path: Path) -> None:
    path = case.make(tmp_path)
    with pytest.raises(HeadraceError, match=case.says) as caught:
        ingest(path, **case.options)
    assert "ingest_rows" in (caught.value.hint or "")

    table, quarantine = ingest_rows(path, max_bad_rows=100, **case.options)
    aside = quarantine.polars().collect()
    assert table.polars().collect().rows() == case.good
    assert aside["line"].to_list() == case.lines
    assert set(aside["file"]) == {path.name}
    assert aside.schema == {"file": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String}
    assert all(len(raw.encode()) <= 64 << 10 for raw in aside["raw"])

    if len(case.lines) > 1:
        with pytest.raises(HeadraceError, match="can't be read, more than max_bad_rows=1 allows"):
            ingest_rows(path, max_bad_rows=1, **case.options)


@pytest.mark.parametrize(
    ("name", "data", "options", "columns", "rows"), [pytest.param(*facts, id=what) for what, *facts in ODD_FILES]
)
def test_odd_but_sound(
    name: str, data: bytes | str, options: Any, columns: list[str], rows: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    table, quarantine = ingest_rows(path, **options)
    assert table.columns == columns
    assert table.polars().collect().rows() == rows
    assert quarantine.n_rows == 0
