"""Tables of every library: equal ones give equal bytes, and each arrives as any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.formats import Table
from headrace.formats.parquet import ParquetFormat
from headrace.formats.parquet_writer import GROUPS_PER_PART, row_group_rows, write_parts
from headrace.testing.formats import FormatContract, digests_of, format_error, stored

# pandas 3.1 deprecates what pyarrow 26 asks of columns with a time zone.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning an ndarray:DeprecationWarning")

BERLIN = ZoneInfo("Europe/Berlin")

COLUMNS: dict[str, pa.Array] = {
    "text": pa.array(["a", None, "é", ""]),
    "large_text": pa.array(["a", None, "é", ""], pa.large_string()),
    "text_view": pa.array(["a", None, "é", ""], pa.string_view()),
    "bytes": pa.array([b"a", None, b"", b"\xff"], pa.large_binary()),
    "int8": pa.array([1, None, -128, 127], pa.int8()),
    "uint64": pa.array([1, None, 2**64 - 1, 0], pa.uint64()),
    "float": pa.array([1.5, None, -0.0, math.inf]),
    "nan": pa.array([math.nan, None, -math.nan, 1.0]),
    "bool": pa.array([True, None, False, True]),
    "date": pa.array([date(2026, 1, 1), None, date(1900, 1, 1), date(9999, 12, 31)]),
    "time": pa.array([time(1, 2, 3, 4), None, time(0), time(23, 59)], pa.time64("us")),
    "naive": pa.array([datetime(2026, 1, 1, 1, 2, 3, 4), None, datetime(1900, 1, 1), datetime(2200, 1, 1)]),
    "utc": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None, None, None], pa.timestamp("us", "UTC")),
    "berlin": pa.array([datetime(2026, 7, 1, tzinfo=BERLIN), None, None, None], pa.timestamp("us", "Europe/Berlin")),
    "nanos": pa.array([1, None, 3, 4], pa.timestamp("ns")),
    "millis": pa.array([1, None, 3, 4], pa.timestamp("ms")),
    "duration": pa.array([timedelta(days=1, microseconds=5), None, timedelta(0), -timedelta(1)], pa.duration("us")),
    "decimal": pa.array([Decimal("1.50"), None, Decimal("-2.25"), Decimal("0.00")], pa.decimal128(12, 2)),
    "nothing": pa.nulls(4),
    "list": pa.array([[1, 2], None, [], [None]], pa.list_(pa.int64())),
    "list_of_text": pa.array([["a"], None, [], [None]], pa.large_list(pa.large_string())),
    "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": None}, {"x": 2, "y": ""}]),
    "nested": pa.array([[{"x": [1.0]}], None, [], [{"x": None}]]),
    "array": pa.array([[1, 2], None, [3, 4], [5, None]], pa.list_(pa.int64(), 2)),
}

PANDAS_LOSES = {
    "time",
    "date",
    "decimal",
    "list",
    "list_of_text",
    "struct",
    "nested",
    "array",
    "bytes",
    "nothing",
    "nan",
}
"""Types that pandas holds as objects, which become other Arrow types or can't be compared."""


def arrow() -> pa.Table:
    return pa.table(COLUMNS)


def save_digests(value: object) -> dict[str, str]:
    return digests_of(ParquetFormat(), value, type(value))


def arrive(value: object, declared: object) -> Any:
    with stored(ParquetFormat(), value, type(value)) as files:
        loaded = ParquetFormat().load(files, declared)
        if isinstance(loaded, pl.LazyFrame | nw.LazyFrame):
            return loaded.collect()
        if isinstance(loaded, duckdb.DuckDBPyRelation):
            return loaded.to_arrow_table()
        return loaded.arrow() if isinstance(loaded, Table) else loaded


def refused(value: object, tmp_path: Path) -> Any:
    folder = tmp_path / "refused"
    folder.mkdir()
    return format_error(lambda: ParquetFormat().save(value, folder, type(value)))


class TestParquetContract(FormatContract):
    format = ParquetFormat()
    wrong = ([1], pl.DataFrame, "A table is declared, but got a builtins.list")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        frame = pl.from_arrow(arrow())
        assert isinstance(frame, pl.DataFrame)
        many = pl.DataFrame({"x": range(5000)}).with_columns(key=(pl.col("x") * 7919 % 83).cast(pl.String))
        return [
            (arrow(), pa.Table),
            (frame, pl.DataFrame),
            (frame.lazy(), pl.LazyFrame),
            (many.lazy().group_by("key", maintain_order=True).agg(pl.col("x").sum()), pl.LazyFrame),
            (frame.select("text", "float", "berlin", "bool").to_pandas(), pd.DataFrame),
            (
                duckdb.sql("select range i, range % 3 k, (range * 0.5)::double d from range(70000)"),
                duckdb.DuckDBPyRelation,
            ),
            (Table.of(frame), Table),
            (nw.from_native(frame), nw.DataFrame),
            (nw.from_native(frame.lazy()), nw.LazyFrame),
            (pl.DataFrame({"e": pl.Series(["b", None], dtype=pl.Enum(["c", "b"]))}), pl.DataFrame),
            (pl.DataFrame({"c": pl.Series(["b", None, "a"], dtype=pl.Categorical)}), pl.DataFrame),
            (pd.DataFrame({"c": pd.Categorical(["b", None], ["z", "b"], ordered=True)}), pd.DataFrame),
            (pl.DataFrame({"x": []}, schema={"x": pl.Int64}), pl.DataFrame),
            (pl.DataFrame(), pl.DataFrame),
        ]

    def equal(self, one: Any, other: Any) -> bool:
        return type(one) is type(other) and _comparable(one).equals(_comparable(other))


def _comparable(value: Any) -> pa.Table:
    """Give Arrow's view, dictionaries as the values they stand for, NaN as text."""
    if isinstance(value, nw.DataFrame | nw.LazyFrame):
        value = value.to_native()
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    if isinstance(value, duckdb.DuckDBPyRelation):
        value = value.to_arrow_table()
    if isinstance(value, Table):
        value = value.arrow()
    if isinstance(value, pd.DataFrame):
        value = pl.from_pandas(value)
    if isinstance(value, pa.Table):
        value = pl.from_arrow(value)
    value = value.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return value.with_columns(pl.col(pl.Float64).fill_nan(-999.0)).to_arrow()


LIBRARIES: dict[str, Callable[[pa.Table], Any]] = {
    "pyarrow": lambda table: table,
    "pyarrow in chunks": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1)]),
    "polars": pl.from_arrow,
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),  # type: ignore[union-attr]
    "duckdb": duckdb.from_arrow,
    "Table": Table.of,
    "narwhals": lambda table: nw.from_native(pl.from_arrow(table)),
    "narwhals on duckdb": lambda table: nw.from_native(duckdb.from_arrow(table)),
    "pandas": lambda table: table.to_pandas(),
    "pandas on arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}

DUCKDB_CHANGES = {"nothing", "duration", "nanos", "millis", "array", "berlin", "uint64"}
"""Types that DuckDB turns into others of its own when it takes them."""


DIFFERS: dict[str, set[str]] = {
    # DuckDB has no such type, or another unit.
    "duckdb": DUCKDB_CHANGES,
    "narwhals on duckdb": DUCKDB_CHANGES,
    # pandas has no such type with missing values.
    "pandas": PANDAS_LOSES | {"int8", "uint64"},
    "pandas on arrow": {"nothing"},
    # Polars has times in nanoseconds only.
    "polars": {"time"},
    "polars lazy": {"time"},
    "narwhals": {"time"},
}
PAIRS = [(column, library) for library in LIBRARIES for column in COLUMNS if column not in DIFFERS.get(library, set())]


@pytest.mark.parametrize(("column", "library"), PAIRS)
def test_one_table_has_the_same_bytes_from_every_library(column: str, library: str) -> None:
    table = arrow().select([column])
    assert save_digests(LIBRARIES[library](table)) == save_digests(table)


ARRIVALS: tuple[Any, ...] = (
    pa.Table, pl.DataFrame, pl.LazyFrame, Table, nw.DataFrame, nw.LazyFrame, pd.DataFrame, duckdb.DuckDBPyRelation
)  # fmt: skip


@pytest.mark.parametrize("declared", ARRIVALS)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_keeps_its_values_wherever_it_arrives(column: str, declared: Any) -> None:
    table = arrow().select([column])
    expected = table[column].to_pylist()
    found = arrive(table, declared)
    if isinstance(found, nw.DataFrame):
        found = found.to_native()
    if isinstance(found, pd.DataFrame):
        found = pa.Table.from_pandas(found, preserve_index=False)
        if column in ("nan", "nothing"):
            return
    if isinstance(found, pl.DataFrame):
        found = found.to_arrow()
    if declared is duckdb.DuckDBPyRelation and column in ("nanos", "duration"):
        found = found.cast(pa.schema([(column, table.schema.field(column).type)])) if column == "nanos" else found
    values = found[column].to_pylist()
    if column == "duration" and declared is duckdb.DuckDBPyRelation:
        values = [
            None if item is None else timedelta(days=item.days, microseconds=item.nanoseconds / 1e3) for item in values
        ]
    if declared is pd.DataFrame and column in ("list", "struct", "array"):
        assert values == expected, "whole numbers inside lists become floats where one is missing"
        return
    assert [_show(item) for item in values] == [_show(item) for item in expected]


def _show(value: Any) -> str:
    """Tell -0.0 from 0.0 and NaN from null; instants in UTC."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return repr(value)


def test_types_come_back() -> None:
    schema = arrive(arrow(), pa.Table).schema
    assert schema.field("berlin").type == pa.timestamp("us", "Europe/Berlin")
    assert schema.field("duration").type == pa.duration("us")
    assert schema.field("array").type == pa.list_(pa.int64(), 2)
    assert schema.field("large_text").type == pa.string()
    assert schema.field("nothing").type == pa.null()
    assert schema.field("decimal").type == pa.decimal128(12, 2)
    assert schema.metadata is None
    assert arrive(arrow(), pl.LazyFrame).schema["berlin"] == pl.Datetime("us", "Europe/Berlin")


def test_what_is_normalised() -> None:
    table = pa.table(
        {
            "seconds": pa.array([1], pa.timestamp("s", "Etc/UTC")),
            "date64": pa.array([86_400_000], pa.date64()),
            "decimal32": pa.array([Decimal("1.5")], pa.decimal32(5, 1)),
            "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["a"])),
            "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())),
        }
    )
    with stored(ParquetFormat(), table, pa.Table) as files:
        loaded = ParquetFormat().load(files, pa.Table)
    assert isinstance(loaded, pa.Table)
    assert [str(kind) for kind in loaded.schema.types] == [
        "timestamp[ms, tz=UTC]", "date32[day]", "decimal128(5, 1)", "string", "bool"
    ]  # fmt: skip
    assert loaded.to_pylist() == [
        {
            "seconds": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            "date64": date(1970, 1, 2),
            "decimal32": Decimal("1.5"),
            "runs": "a",
            "bool8": True,
        }
    ]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(0, 400))
def test_chunks_leave_no_trace(lengths: Sequence[int], offset: int) -> None:
    n_rows = sum(lengths)
    whole = pa.table(
        {"x": [f"{number * 7919 % 101}" for number in range(n_rows)], "y": [[number] for number in range(n_rows)]}
    )
    whole = whole.cast(pa.schema([("x", pa.string()), ("y", pa.list_(pa.int64()))]))
    pieces, start = [], 0
    for length in lengths:
        pieces.append(whole.slice(start, length))
        start += length
    padded = pa.concat_tables([whole.slice(0, offset % (n_rows + 1)), whole]).slice(offset % (n_rows + 1))
    expected = save_digests(whole)
    assert save_digests(pa.concat_tables(pieces)) == expected
    assert save_digests(padded) == expected
    assert save_digests(pl.from_arrow(pa.concat_tables(pieces), rechunk=False)) == expected


def test_what_lies_under_missing_values_leaves_no_trace() -> None:
    one = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 2]).buffers()[1]])
    other = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 3]).buffers()[1]])
    assert save_digests(pa.table({"x": one})) == save_digests(pa.table({"x": other}))


def test_every_nan_is_one_in_nested_columns_too() -> None:
    negative = pa.array([-math.nan, 1.0])
    for shape in (
        lambda values: values,
        lambda values: pa.ListArray.from_arrays([0, 1, 2], values),
        lambda values: pa.StructArray.from_arrays([values], ["x"]),
        lambda values: pa.FixedSizeListArray.from_arrays(values, 1),
    ):
        one, other = shape(negative), shape(pa.array([math.nan, 1.0]))
        assert save_digests(pa.table({"x": one})) == save_digests(pa.table({"x": other}))
        sliced = pa.table({"x": pa.concat_arrays([other, one])}).slice(2)
        assert save_digests(sliced) == save_digests(pa.table({"x": other}))


def test_a_zero_keeps_its_sign() -> None:
    assert save_digests(pa.table({"x": [0.0]})) != save_digests(pa.table({"x": [-0.0]}))


def test_parts_and_row_groups_hold_a_fixed_number_of_rows(tmp_path: Path) -> None:
    schema = pa.schema([(f"c{number}", pa.int64()) for number in range(1 << 14)])
    assert row_group_rows(schema) == 1 << 10
    assert row_group_rows(pa.schema([("x", pa.int64())])) == 1 << 17
    rows = (1 << 17) * GROUPS_PER_PART + 5
    narrow = pl.DataFrame({"x": range(rows)})
    with stored(ParquetFormat(), narrow.lazy(), pl.LazyFrame) as files:
        assert sorted(files) == ["part-00000.parquet", "part-00001.parquet"]
        footer = parquet.read_metadata(files["part-00000.parquet"])
        assert [footer.row_group(number).num_rows for number in range(footer.num_row_groups)] == [1 << 17] * 8
        table = ParquetFormat().load(files, Table)
        assert isinstance(table, Table)
        assert table.n_rows == rows
        assert table.polars().collect().equals(narrow)
        assert table.duckdb().to_arrow_table()["x"].to_pylist()[-3:] == [rows - 3, rows - 2, rows - 1]
        assert [batch.num_rows for batch in table.batches(400_000)][:2] == [400_000, 400_000]
    assert save_digests(narrow) == save_digests(narrow.lazy()) == save_digests(narrow.to_arrow())


def test_writing_holds_one_row_group_at_most(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    alive = 0
    most = 0

    def batches() -> Any:
        nonlocal most
        for start in range(0, 40 * 65_536, 65_536):
            yield pa.table({"x": pa.array(range(start, start + 65_536))}, schema=schema)
            most = max(most, pa.total_allocated_bytes() - alive)

    alive = pa.total_allocated_bytes()
    assert write_parts(schema, batches(), tmp_path) == 40 * 65_536
    assert most < 8 * (1 << 17) * 6, "more than a few row groups were held"
