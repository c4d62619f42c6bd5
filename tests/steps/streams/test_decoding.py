"""Messages as rows: what is read how, and what is set aside with which words."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.steps.streams.decoding import Decoder
from headrace.steps.streams.protocol import Message
from headrace.testing.streams import LineStream

STREAM = LineStream("folder/orders")


def decoder(decode: Any = "json", columns: Any = None, with_positions: bool = False) -> Decoder:
    return Decoder(STREAM, decode, columns, with_positions=with_positions)


def message(value: bytes | None, offset: int = 0, partition: str = "0", key: bytes | None = None) -> Message:
    return Message(partition, offset, offset + 1, value, key, 1_000)


def read(kind: str, value: object) -> Any:
    made = decoder(columns={"x": kind})
    made.take([message(json.dumps({"x": value}).encode())])
    return made.table()["x"].to_pylist()[0] if made.n_bad == 0 else made.reasons()[0]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 7, 7),
        ("integer", 7.0, 7),
        ("integer", " 12 ", 12),
        ("integer", "12.0", 12),
        ("integer", (1 << 63) - 1, (1 << 63) - 1),
        ("integer", 1 << 63, "column 'x': 9223372036854775808 isn't integer"),
        ("integer", 7.5, "column 'x': 7.5 isn't integer"),
        ("integer", True, "column 'x': True isn't integer"),
        ("integer", [1], "column 'x': [1] isn't integer"),
        ("number", 7, 7.0),
        ("number", "1e3", 1000.0),
        ("number", float("inf"), float("inf")),
        ("number", float("nan"), None),
        ("number", "NaN", None),
        ("number", "seven", "column 'x': 'seven' isn't number"),
        ("number", 10**400, f"column 'x': {str(10**400)[:79]}… isn't number"),
        ("number", False, "column 'x': False isn't number"),
        ("text", " ann ", "ann"),
        ("text", "", None),
        ("text", "  ", None),
        ("text", 5, "5"),
        ("text", {"b": [1, "ż"]}, '{"b":[1,"ż"]}'),
        ("text", "\ud800", "column 'x': '\\ud800' isn't text"),
        ("boolean", True, True),
        ("boolean", "FALSE", False),
        ("boolean", 1, "column 'x': 1 isn't boolean"),
        ("date", "2026-02-28", date(2026, 2, 28)),
        ("date", "2026-02-30", "column 'x': '2026-02-30' isn't date"),
        ("date", 20260228, "column 'x': 20260228 isn't date"),
        ("datetime", "2026-02-28T10:00:00+02:00", datetime(2026, 2, 28, 8)),
        ("datetime", "2026-02-28 10:00", datetime(2026, 2, 28, 10)),
        ("datetime", "2026-02-28T10:00:00.123456Z", datetime(2026, 2, 28, 10, 0, 0, 123456)),
        ("datetime", "2026-02-28", datetime(2026, 2, 28)),
        ("datetime", 1_700_000_000, "column 'x': 1700000000 isn't datetime"),
        ("datetime", "0001-01-01T00:00:00+14:00", "column 'x': '0001-01-01T00:00:00+14:00' isn't datetime"),
        *((kind, None, None) for kind in ("integer", "number", "text", "boolean", "date", "datetime")),
    ],
)
def test_values(kind: str, value: object, expected: object) -> None:
    assert read(kind, value) == expected


@pytest.mark.parametrize(
    ("value", "raw", "encoding", "reason"),
    [
        (b"\xff\x00", "/wA=", "base64", "isn't UTF-8: byte 0 is 0xff"),
        (b"{", "{", "text", "isn't JSON: Expecting property name enclosed in double quotes (character 2)"),
        (b"", "", "text", "isn't JSON: Expecting value (character 1)"),
        (b"[1]", "[1]", "text", "is no JSON object, but [1]"),
        (None, None, None, "has no value (a tombstone of key 'ann')"),
        (b"[" * 100_000, "[" * 100_000, "text", "isn't JSON that can be read: "),
        (b'{"x": ' + b"1" * 5000 + b"}", '{"x": ' + "1" * 5000 + "}", "text", "isn't JSON that can be read: Exceeds"),
        (b'{"x": "a", "y": "b"}', '{"x": "a", "y": "b"}', "text", "column 'x': 'a' isn't integer; column 'y': "),
    ],
    ids=range(8),
)
def test_what_is_set_aside_is_kept_whole(value: bytes | None, raw: str, encoding: str, reason: str) -> None:
    made = decoder(columns={"x": "integer", "y": "number"})
    made.take([message(b'{"x": 1}'), message(value, 41, key=b"ann"), message(b'{"x": 2, "z": 3}')])
    (row,) = made.quarantine().to_pylist()
    assert row.pop("reason").startswith(reason)
    assert row == {"source": "orders/0", "position": "41", "raw": raw, "encoding": encoding}
    assert made.table()["x"].to_pylist() == [1, 2]
    assert made.n_bad == 1


def test_rows_are_by_partition_then_as_sent() -> None:
    made = decoder("text", with_positions=True)
    made.take([message(b"10:0", 0, "10", b"\xff"), message(b"10:1", 1, "10")])
    made.take([message(b"2:0", 0, "2")])
    made.take([message(b"10:2", 2, "10", b"k")])
    assert made.table().to_pydict() == {
        "value": ["2:0", "10:0", "10:1", "10:2"],
        "_partition": [2, 10, 10, 10],
        "_offset": [0, 0, 1, 2],
        "_timestamp": [datetime(1970, 1, 1, 0, 0, 1)] * 4,
        "_key": [None, "/w==", None, "k"],
    }


def test_nothing_is_a_table_with_the_declared_columns() -> None:
    made = decoder(columns={"a": "text", "b": "date"})
    assert [str(field.type) for field in made.table().schema] == ["string", "date32[day]"]
    assert made.table().num_rows == made.quarantine().num_rows == 0
    assert made.quarantine().column_names == ["source", "position", "raw", "encoding", "reason"]


@given(value=st.binary(max_size=40) | st.text(max_size=20).map(lambda text: json.dumps({"x": text}).encode()))
def test_any_bytes_are_a_row_or_set_aside(value: bytes) -> None:
    made = decoder(columns={"x": "text"})
    made.take([message(value)])
    assert made.table().num_rows + made.quarantine().num_rows == 1 == made.table().num_rows + made.n_bad


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decode": "avro", "columns": {"x": "text"}}, "Messages can't be read as 'avro'"),
        ({}, "The columns of a stream of JSON must be declared"),
        ({"decode": "text", "columns": {"x": "text"}}, "columns= is for decode='json'"),
        ({"columns": {"x": "int"}}, "Column 'x' is declared as 'int', which is no kind of column"),
        ({"columns": {"_key": "text"}, "with_positions": True}, "A column is declared as '_key'"),
    ],
)
def test_settings_that_are_wrong(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        decoder(**options)
