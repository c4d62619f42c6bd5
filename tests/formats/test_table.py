"""The handle `Table`, and what tables are refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.core.errors import DefinitionError, FormatError
from headrace.formats import Table, save_artifact
from headrace.formats.parquet import ParquetFormat
from headrace.testing.formats import digests_of, format_error, stored

FRAME = pl.DataFrame({"plan": ["basic", "plus", None], "fee": [9.5, None, 1.0]})
ENUM = pl.Enum(["low", "high"])


@pytest.fixture
def on_disk() -> Iterator[Table]:
    with stored(ParquetFormat(), FRAME, pl.DataFrame) as files:
        loaded = ParquetFormat().load(files, Table)
        assert isinstance(loaded, Table)
        yield loaded


@pytest.fixture(params=["stored", "polars", "lazy", "arrow", "pandas", "duckdb", "narwhals"])
def table(request: pytest.FixtureRequest, on_disk: Table) -> Table:
    made: dict[str, Any] = {
        "stored": lambda: on_disk,
        "polars": lambda: FRAME,
        "lazy": FRAME.lazy,
        "arrow": FRAME.to_arrow,
        "pandas": FRAME.to_pandas,
        "duckdb": lambda: duckdb.from_arrow(FRAME.to_arrow()),
        "narwhals": lambda: nw.from_native(FRAME),
    }
    return Table.of(made[request.param]())


def test_every_library_sees_the_same_rows(table: Table) -> None:
    assert table.polars().collect().equals(FRAME)
    assert table.arrow().to_pylist() == FRAME.to_dicts()
    assert table.duckdb().to_arrow_table().to_pylist() == FRAME.to_dicts()
    assert table.pandas()["fee"].isna().tolist() == [False, True, False]
    assert table.pandas()["plan"].tolist()[:2] == ["basic", "plus"]
    assert [batch.to_pylist() for batch in table.batches(2)] == [FRAME.to_dicts()[:2], FRAME.to_dicts()[2:]]


def test_it_knows_its_columns_types_and_rows(table: Table) -> None:
    assert table.columns == ["plan", "fee"]
    assert table.schema.types == [pa.string(), pa.float64()]
    assert table.n_rows == 3


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_one_expression_runs_on_both_engines(table: Table, engine: Any) -> None:
    found = table.scan(engine)
    assert isinstance(found, nw.LazyFrame)
    assert found.implementation is nw.Implementation.from_string(engine)
    kept = found.filter(nw.col("fee") > 2).select("plan", double=nw.col("fee") * 2).collect()
    assert kept.rows() == [("basic", 19.0)]


def test_the_engine_is_the_arguments_then_the_environments_then_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table.of(FRAME)
    assert table.scan().implementation is nw.Implementation.POLARS
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", "duckdb")
    assert table.scan().implementation is nw.Implementation.DUCKDB
    assert table.scan("polars").implementation is nw.Implementation.POLARS
    monkeypatch.setenv("HEADRACE_TABLE_ENGINE", "duckbd")
    with pytest.raises(DefinitionError, match="There is no table engine 'duckbd'") as caught:
        table.scan()
    assert caught.value.hint == "did you mean 'duckdb'?"


def test_a_table_of_a_table_is_that_table(table: Table) -> None:
    assert Table.of(table) is table


def test_anything_else_is_no_table() -> None:
    with pytest.raises(FormatError, match=r"A table is declared, but got a builtins\.list") as caught:
        Table.of([1, 2])
    assert caught.value.hint == "return a pyarrow, Polars, pandas or DuckDB table"


def test_a_stored_table_is_pickled_by_its_paths(on_disk: Table) -> None:
    again = pickle.loads(pickle.dumps(on_disk))
    assert again.paths == on_disk.paths
    assert again.arrow().equals(on_disk.arrow())
    assert copy.copy(on_disk).paths == on_disk.paths
    assert repr(on_disk) == "Table(1 stored part)"
    assert repr(pickle.loads(pickle.dumps(Table.of(FRAME.lazy())))) == "Table.of(polars LazyFrame)"


def test_a_table_given_back_as_it_is_keeps_its_bytes(on_disk: Table) -> None:
    assert digests_of(ParquetFormat(), on_disk, Table) == digests_of(ParquetFormat(), FRAME, pl.DataFrame)


def test_relations_of_two_tables_can_be_joined(on_disk: Table) -> None:
    fees = on_disk.duckdb()
    plans = on_disk.duckdb().project("plan as name, fee as other")
    assert len(fees.join(plans, "plan = name").fetchall()) == 2


def test_parts_in_an_odd_folder_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "a [b] *c? 'd'"
    folder.mkdir()
    save_artifact(FRAME, pl.DataFrame, folder)
    table = Table([folder / "part-00000.parquet"])
    assert table.polars().collect().equals(FRAME)
    assert table.duckdb().fetchall() == FRAME.rows()


def arrive(value: object, declared: Any) -> Any:
    with stored(ParquetFormat(), value, type(value)) as files:
        loaded = ParquetFormat().load(files, declared)
        return loaded.collect() if isinstance(loaded, pl.LazyFrame) else loaded


def test_an_enum_arrives_as_declared_categories_everywhere() -> None:
    frame = pl.DataFrame({"level": pl.Series(["high", None], dtype=ENUM)})
    assert arrive(frame, pl.DataFrame).equals(frame)
    assert arrive(frame, pl.LazyFrame).schema["level"] == ENUM
    column = arrive(frame, pa.Table)["level"].combine_chunks()
    assert column.type == pa.dictionary(pa.int32(), pa.string(), ordered=True)
    assert column.dictionary.to_pylist() == ["low", "high"]
    series = arrive(frame, pd.DataFrame)["level"]
    assert series.cat.categories.tolist() == ["low", "high"]
    assert series.cat.ordered
    assert series.cat.codes.tolist() == [1, -1]
    with stored(ParquetFormat(), frame, pl.DataFrame) as files:
        loaded: Any = ParquetFormat().load(files, duckdb.DuckDBPyRelation)
        assert loaded.fetchall() == [("high",), (None,)]


def test_pandas_categories_arrive_as_they_were() -> None:
    frame = pd.DataFrame({"c": pd.Categorical([3, 1, None], [3, 2, 1]), "t": pd.Categorical(["a", "b", "a"])})
    pd.testing.assert_frame_equal(arrive(frame, pd.DataFrame), frame)
    assert arrive(frame, pl.DataFrame).to_dict(as_series=False) == {"c": [3, 1, None], "t": ["a", "b", "a"]}
    assert arrive(frame, pl.DataFrame).schema["t"] == pl.Enum(["a", "b"])


def test_a_categorical_without_a_list_is_what_its_values_are() -> None:
    frame = pl.DataFrame({"c": pl.Series(["b", "a", None], dtype=pl.Categorical)})
    assert arrive(frame, pl.DataFrame).schema["c"] == pl.Categorical()
    assert arrive(frame, pd.DataFrame)["c"].cat.categories.tolist() == ["a", "b"]
    assert arrive(frame, pa.Table)["c"].to_pylist() == ["b", "a", None]
    table = pa.table({"c": pa.DictionaryArray.from_arrays([1, 0, None], ["a", "b"])})
    assert digests_of(ParquetFormat(), table, pa.Table) == digests_of(ParquetFormat(), frame, pl.DataFrame)


def test_whole_numbers_with_gaps_arrive_in_pandas_unrounded() -> None:
    frame = arrive(pl.DataFrame({"n": [2**53 + 1, None], "ok": [True, None], "full": [1, 2]}), pd.DataFrame)
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean", "int64"]
    assert frame["n"][0] == 2**53 + 1
    small = arrive(pl.DataFrame({"n": [1, None]}, schema={"n": pl.UInt8}), pd.DataFrame)
    assert str(small["n"].dtype) == "UInt8"


def test_durations_arrive_in_duckdb_as_intervals() -> None:
    frame = pl.DataFrame({"took": [timedelta(seconds=90), None]})
    for unit in ("ms", "us", "ns"):
        with stored(ParquetFormat(), frame.cast(pl.Duration(unit)), pl.DataFrame) as files:  # type: ignore[arg-type]
            relation: Any = ParquetFormat().load(files, duckdb.DuckDBPyRelation)
            assert relation.fetchall() == [(timedelta(seconds=90),), (None,)]


@pytest.mark.parametrize("query", ["select interval 1 month as a from range(9)", "select {'a b': 1} as a, 1 as a"])
def test_a_relation_that_is_refused_leaves_the_connection_free(query: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        ParquetFormat().save(duckdb.sql(query), tmp_path, duckdb.DuckDBPyRelation)
    assert duckdb.sql("select 42").fetchall() == [(42,)]
    assert caught.value.__traceback__ is not None  # which holds what was open


def test_a_relation_that_fails_half_way_leaves_the_connection_free(tmp_path: Path) -> None:
    relation = duckdb.sql("select error('no') as a from range(9) where range > 7")
    with pytest.raises(Exception, match="no") as caught:
        ParquetFormat().save(relation, tmp_path, duckdb.DuckDBPyRelation)
    assert duckdb.sql("select 42").fetchall() == [(42,)]
    assert caught.value.__traceback__ is not None


def test_arrays_keep_their_size() -> None:
    frame = pl.DataFrame({"v": [[[1.0, 2.0]], None]}, schema={"v": pl.Array(pl.Float64, (1, 2))})
    assert arrive(frame, pl.DataFrame).equals(frame)
    assert arrive(frame, pa.Table).schema.field("v").type == pa.list_(pa.list_(pa.float64(), 2), 1)


def test_a_table_without_columns_or_rows() -> None:
    assert arrive(pl.DataFrame(), pl.DataFrame).shape == (0, 0)
    assert arrive(pd.DataFrame(), pa.Table).shape == (0, 0)
    empty = pl.DataFrame(schema={"a": pl.Int64, "b": ENUM})
    for declared in (pl.DataFrame, pl.LazyFrame):
        assert arrive(empty, declared).equals(empty)
    assert arrive(empty, pa.Table).num_rows == 0
    assert arrive(empty, pd.DataFrame).dtypes.astype(str).tolist() == ["int64", "category"]
    assert arrive(empty.lazy(), pl.LazyFrame).columns == ["a", "b"]
    with stored(ParquetFormat(), pl.DataFrame(), pl.DataFrame) as files:
        error = format_error(lambda: ParquetFormat().load(files, duckdb.DuckDBPyRelation))
    assert error.message == "A table without columns can't be opened with DuckDB"


def test_a_path_gets_a_folder_of_parts_to_keep() -> None:
    folder = arrive(FRAME, Path)
    assert [part.name for part in folder.iterdir()] == ["part-00000.parquet"]
    assert pl.read_parquet(folder).equals(FRAME)


def named(name: str | None) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name=name))


REFUSED: dict[str, tuple[Any, str, str]] = {
    "index": (
        named("key"),
        "A pandas table with an index named 'key' can't be stored, as other libraries' tables have none",
        "frame.reset_index() keeps it as a column, frame.reset_index(drop=True) leaves it out",
    ),
    "index without name": (
        named(None),
        "A pandas table with an index of type Index can't be stored, as other libraries' tables have none",
        "frame.reset_index() keeps",
    ),
    "filtered": (
        pd.DataFrame({"a": [1, 2]}).iloc[1:],
        "A pandas table with an index of type RangeIndex can't be stored",
        "frame.reset_index() keeps",
    ),
    "mixed objects": (
        pd.DataFrame({"a": [1, "x"]}),
        "A pandas table can't be stored: Could not convert 'x' with type str: tried to convert to int64; "
        "Conversion failed for column a with type object",
        "give the column one type, such as frame['x'].astype('string')",
    ),
    "column names": (
        pd.DataFrame({0: [1]}),
        "A stored table's column names are text, but a pandas table has 0 (int)",
        "frame.columns = [str(name) for name in frame.columns]",
    ),
    "duplicate in pandas": (
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "A table has more than one column named 'a'",
        "rename them: a stored table's column names are unique",
    ),
    "duplicate in arrow": (
        pa.table([[1], [2], [3]], names=["a", "b", "a"]),
        "A table has more than one column named 'a'",
        "rename them",
    ),
    "duplicate in duckdb": (
        lambda: duckdb.sql("select 1 as a").join(duckdb.sql("select 1 as b, 2 as c"), "a = b").project("a, b as a"),
        "A table has more than one column named 'a'",
        "rename them",
    ),
    "interval categories": (
        pd.DataFrame({"a": pd.cut([1, 5], [0, 3, 6])}),
        "Column 'a' has categories of type 'Interval', which can't be stored",
        "make them text: column.astype(str).astype('category')",
    ),
    "period": (
        pd.DataFrame({"a": pd.period_range("2026", periods=2, freq="D")}),
        "The type 'extension<pandas.period<ArrowPeriodType>>' of column 'a' can't be stored in a table",
        "cast it to text, a number, a time or a list of these",
    ),
    "interval": (
        lambda: duckdb.sql("select interval 1 month as a"),
        "The type 'month_day_nano_interval' of column 'a' can't be stored in a table",
        "turn it into a duration or a number",
    ),
    "union": (
        pa.table({"a": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
        "The type 'sparse_union<0: int64=0>' of column 'a' can't be stored in a table",
        "split it into one column a type",
    ),
    "empty struct": (
        pa.table({"a": pa.array([{}], pa.struct([]))}),
        "The type 'struct<>' of column 'a' can't be stored in a table",
        "leave out the column: a struct needs a field",
    ),
    "int128": (
        pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}),
        "The type 'Int128' of column 'a' can't be stored in a table",
        "cast the column to a type that Arrow has",
    ),
    "object": (
        pl.DataFrame({"ok": [1], "a": pl.Series([object()], dtype=pl.Object)}),
        "The type 'Object' of column 'a' can't be stored in a table",
        "cast the column to a type that Arrow has",
    ),
    "rows without columns": (
        pl.DataFrame(height=3),
        "A table with 3 rows and no column can't be stored",
        "keep a column, or return the number of rows",
    ),
    "rows without columns in pandas": (
        pd.DataFrame(index=range(2)),
        "A table with 2 rows and no column can't be stored",
        "keep a column",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_store_can_keep_is_refused(name: str, tmp_path: Path) -> None:
    value, message, hint = REFUSED[name]
    value = value() if callable(value) else value
    folder = tmp_path / "artifact"
    folder.mkdir()
    error = format_error(lambda: ParquetFormat().save(value, folder, type(value)))
    assert error.message.startswith(message)
    assert str(error.hint).startswith(hint)


def test_an_error_in_a_lazy_frame_is_the_users_own(tmp_path: Path) -> None:
    broken = FRAME.lazy().with_columns(pl.col("plan").cast(pl.Int64))
    with pytest.raises(pl.exceptions.InvalidOperationError):
        ParquetFormat().save(broken, tmp_path, pl.LazyFrame)


def test_damage_in_a_later_part_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    save_artifact(FRAME, pl.DataFrame, tmp_path)
    bad = tmp_path / "bad"
    bad.write_bytes(b"PAR1 and no more")
    table = Table([tmp_path / "part-00000.parquet", bad])
    for read in (table.arrow, lambda: table.n_rows, lambda: list(table.batches())):
        error = format_error(read)
        assert error.message.startswith(f"A table's part ({bad}) can't be read (ArrowInvalid")
        assert str(error.hint).startswith("the file is damaged")


def test_an_artifact_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    error = format_error(lambda: ParquetFormat().load({"x": tmp_path / "x"}, Table))
    assert error.message == "An artifact of format 'parquet' must hold parts only"
    with stored(ParquetFormat(), FRAME, pl.DataFrame) as files:
        error = format_error(lambda: ParquetFormat().load(files, dict))
    assert error.message == "A stored table can't arrive as 'dict'"


def test_dates_stay_dates_in_pandas() -> None:
    assert arrive(pl.DataFrame({"d": [date(2026, 1, 2)]}), pd.DataFrame)["d"].tolist() == [date(2026, 1, 2)]
