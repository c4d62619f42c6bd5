"""Text cut into blocks: no row is lost, cut in two, or made of two, wherever blocks end."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.steps.reading import blocks
from headrace.steps.reading.blocks import Block, cut, n_rows_of, split_row, walk

TEXT = st.text(st.sampled_from('ab,"\n\r '), max_size=60).map(str.encode)
CELL = st.text(st.sampled_from('ab,"\n\r é'), max_size=6)
TABLE = st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=12)


def written(rows: list[list[str]], line_end: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()


def small(monkeypatch: pytest.MonkeyPatch, block: int, row: int = 1 << 20) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    monkeypatch.setattr(blocks, "ROW_BYTES", row)


@pytest.mark.parametrize("n_bytes", [1, 7, 64])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@given(rows=TABLE)
def test_blocks_hold_whole_rows(rows: list[list[str]], n_bytes: int, line_end: str) -> None:
    data = written(rows, line_end)
    with pytest.MonkeyPatch.context() as patch:
        small(patch, n_bytes)
        found = list(cut(io.BytesIO(data), separator=b","))
    assert b"".join(block.data for block in found) == data
    assert not any(block.is_open or block.is_overlong for block in found)
    assert sum(n_rows_of(block.data, b",") or 0 for block in found) == len(rows)
    again = [
        split_row(block.data[row.start : row.end].decode(), ",") for block in found for row in walk(block.data, b",")
    ]
    assert again == rows
    first_lines = [1 + blocks.n_lines(data[: data.index(block.data)]) for block in found[:1]]
    assert [block.first_line for block in found[:1]] == first_lines


@given(data=TEXT)
def test_any_text_is_cut_without_loss(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small(patch, 5)
        found = list(cut(io.BytesIO(data), separator=b","))
    assert b"".join(block.data for block in found) == data
    line = 1
    for block in found:
        assert block.first_line == line
        line += blocks.n_lines(block.data)


@given(data=TEXT)
def test_rows_are_walked_as_pythons_reader_does(data: bytes) -> None:
    rows = [row for row in csv.reader(io.StringIO(data.decode(), newline="")) if row]
    found = list(walk(data, b","))
    assert [row.n_values for row in found] == [len(row) for row in rows]
    assert [split_row(data[row.start : row.end].decode(), ",") for row in found if not row.is_open] == [
        values for row, values in zip(found, rows, strict=True) if not row.is_open
    ]
    counted = n_rows_of(data, b",")
    assert counted in (None, len(rows))


def test_a_row_without_end_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, 10, 40)
    data = b"a,b\n" + b"x" * 500 + b"\n1,2\n"
    found = list(cut(io.BytesIO(data), separator=b","))
    assert found == [Block(b"a,b\n", 1), Block(b"x" * 40, 2, is_overlong=True), Block(b"1,2\n", 3)]


def test_an_open_quotation_mark_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, 10, 40)
    data = b'a,b\n"1,2\n' + b"3,4\n" * 30
    found = list(cut(io.BytesIO(data), separator=b","))
    assert found[1] == Block(b'"1,2\n', 2, is_open=True)
    assert b"".join(block.data for block in found) == data
    assert next(block.first_line for block in found if block.data.startswith(b"3")) == 3
