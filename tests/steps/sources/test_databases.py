"""Queries: a real PostgreSQL and SQLite by ADBC, another way by SQLAlchemy."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace import RunResult, Secret
from headrace.core.errors import DataError, ProjectError, TransientError
from headrace.steps import NewRows, Query, ingest, ingest_new
from headrace.steps.sources.source import fetched

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "conformance"))

from conftest_sources import failure, in_run, kept, outcomes  # isort: skip
from engines.postgres import POSTGRES, Postgres  # isort: skip

pytest.importorskip("adbc_driver_sqlite", reason="the extra sql is not installed")
PASSWORD = "s3cr3t/with:odd@signs"


def rows(query: Query, **options: Any) -> list[tuple[Any, ...]]:
    return ingest(query, **options).polars().collect().rows()


def schema(query: Query) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in ingest(query).polars().collect_schema().items()}


class TestSqlite:
    @pytest.fixture
    def shop(self, project: Path) -> Path:
        with sqlite3.connect(project / "shop.db") as database:
            database.execute("create table orders (id integer primary key, total real, city text, day text)")
            lines = [(i, None if i < 1500 else i / 4, f"C{i % 3}", "2026-01-31") for i in range(3000)]
            database.executemany("insert into orders values (?, ?, ?, ?)", lines)
        database.close()
        return project / "shop.db"

    def test_it_is_asked_in_each_run_and_what_follows_is_cut_off(
        self, shop: Path, run: Callable[..., RunResult]
    ) -> None:
        expression = 'ingest(Query("sqlite:///shop.db", "select id, city from orders where id < 2 order by id;"))'
        first = run(expression, inline=False)
        assert first.load() == [[0, "C0"], [1, "C1"]]
        assert outcomes(run(expression)) == ["succeeded", "cached"] or outcomes(run(expression)) == [
            "succeeded",
            "cached",
        ]
        with sqlite3.connect(shop) as database:
            database.execute("update orders set city = 'Rome' where id = 1")
        database.close()
        again = run(expression, inline=False)
        assert outcomes(again) == ["succeeded", "succeeded"]
        assert again.load() == [[0, "C0"], [1, "Rome"]]

    def test_a_columns_type_is_that_of_all_rows(self, shop: Path) -> None:
        url = f"sqlite:///{shop}"
        assert schema(Query(url, "select * from orders")) == {
            "id": "Int64",
            "total": "Float64",
            "city": "String",
            "day": "String",
        }
        found = rows(Query(url, "select total from orders order by id"))
        assert (found[0], found[1499], found[1500], found[2999]) == ((None,), (None,), (375.0,), (749.75,))

        odd = "select 1 as a, null as b, 2 as c, 'x' as d union all select 2.5, null, 'two', null"
        odd += " union all select 3, null, 3, null"
        assert rows(Query(url, odd)) == [(1.0, None, "2", "x"), (2.5, None, "two", None), (3.0, None, "3", None)]
        assert rows(Query(url, "select day from orders limit 1"), types={"day": "date"}) == [(date(2026, 1, 31),)]

    def test_the_order_is_the_querys(self, shop: Path) -> None:
        found = rows(Query(f"sqlite:///{shop}", "select id from orders order by city desc, id desc -- as asked"))
        expected = sorted(((f"C{i % 3}", i) for i in range(3000)), reverse=True)
        assert found == [(i,) for _, i in expected]

    def test_what_it_refuses(self, shop: Path) -> None:
        url = f"sqlite:///{shop}"
        with pytest.raises(DataError, match=r"SQLite refuses the query: .*no such table: none"):
            rows(Query(url, "select * from none"))
        with pytest.raises(DataError, match=r"There is no SQLite database '.*none.db'"):
            rows(Query("sqlite:///none.db", "select 1"))
        with pytest.raises(DataError, match="Column 'b' holds blobs"):
            rows(Query(url, "select x'00ff' as b"))
        with pytest.raises(DataError, match="SQLite refuses the query"):
            rows(Query(url, "delete from orders"))
        with pytest.raises(DataError, match="is no URL of a database"):
            Query("shop.db", "select 1")

    def test_a_query_without_rows(self, shop: Path) -> None:
        with pytest.raises(DataError, match=r"query\.parquet' has a header but no rows"):
            rows(Query(f"sqlite:///{shop}", "select * from orders where id < 0"))


class TestOthers:
    def test_by_sqlalchemy(self, project: Path) -> None:
        pytest.importorskip("sqlalchemy")
        with sqlite3.connect(project / "shop.db") as database:
            database.execute("create table t (id integer, n, text)")
            database.executemany("insert into t values (?, ?, ?)", [(1, 1, "a"), (2, 2.5, None), (3, None, "c")])
        database.close()
        query = Query(f"sqlite+pysqlite:///{project / 'shop.db'}", "select * from t order by id")
        assert rows(query) == [(1, 1.0, "a"), (2, 2.5, None), (3, None, "c")]
        assert schema(query) == {"id": "Int64", "n": "Float64", "text": "String"}
        with pytest.raises(DataError, match=r"The database refuses the query: .*no such table"):
            rows(Query(query.database, "select * from none"))

    def test_a_driver_that_is_not_installed(self) -> None:
        pytest.importorskip("sqlalchemy")
        with pytest.raises(DataError, match=r"SQLAlchemy can't open 'nosuch://host/x'"):
            rows(Query("nosuch://host/x", "select 1"))

    def test_without_sqlalchemy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sqlalchemy", None)
        with pytest.raises(ProjectError, match=r"pip install 'headrace\[sqlalchemy\]'"):
            rows(Query("mysql+pymysql://user@host/x", "select 1"))

    def test_without_the_driver(self, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
        monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
        with pytest.raises(ProjectError, match=r"pip install 'headrace\[sql\]'"):
            rows(Query("postgresql://user@host/x", "select 1"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    try:
        server.start()
        server.query(
            f"create role reader login password '{PASSWORD}'; create type mood as enum ('sad', 'ok');"
            "create table orders (id bigint primary key, total numeric(10, 2), city text);"
            "insert into orders select i, i / 4.0, 'C' || i % 3 from generate_series(1, 3000) i;"
            "grant select, insert on orders to reader"
        )
        hba = server.folder / "data" / "pg_hba.conf"
        hba.write_text("host all reader all scram-sha-256\nhost all airflow all trust\n")
        server.query("select pg_reload_conf()")
        yield server
    finally:
        server.stop()


@pytest.mark.skipif(not POSTGRES, reason="PostgreSQL is not installed here (Debian: postgresql)")
class TestPostgres:
    @pytest.fixture
    def url(self, server: Postgres) -> str:
        return f"postgresql://airflow@127.0.0.1:{server.port}/postgres"

    def test_a_password_is_in_no_record(
        self, server: Postgres, run: Callable[..., RunResult], project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
        url = f"postgresql://reader@127.0.0.1:{server.port}/postgres"
        sql = "select id, total, city from orders where id < 3 order by id"
        expression = f'ingest(Query("{url}", "{sql}", password=Secret("SHOP_PASSWORD")))'
        assert run(expression, inline=False).load() == [[1, 0.25, "C1"], [2, 0.5, "C2"]]
        assert outcomes(run(expression, inline=False)) == ["succeeded", "cached"]
        monkeypatch.setenv("SHOP_PASSWORD", f"wrong-{PASSWORD}")
        assert "lets nobody in so" in failure(run(expression, inline=False))
        for file in project.rglob("*"):
            assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file

    def test_the_six_kinds(self, url: str) -> None:
        sql = """select 1::smallint as a, 2::int as b, 3::bigint as c, 1.5::real as d, 2.5::float8 as e, true as f,
            '2026-01-31'::date as g, '2026-01-31 12:30:00.25'::timestamp as h,
            '2026-01-31 12:30:00+02'::timestamptz as i, 'x'::varchar as j, 'y'::char(3) as k,
            '12.345'::numeric as l, 'NaN'::float8 as m, '6b1f4a2e-0000-4000-8000-000000000001'::uuid as n,
            '{"a": [1, null]}'::jsonb as o, '{"b":2}'::json as p, array[1, null, 3] as q, array['u', 'v"w'] as r,
            '12:30:00'::time as s, 'sad'::mood as t, null::int as u, 'n'::name as v"""
        found = ingest(Query(url, sql)).polars().collect()
        assert found.row(0) == (
            1, 2, 3, 1.5, 2.5, True, date(2026, 1, 31), datetime(2026, 1, 31, 12, 30, 0, 250_000),
            datetime(2026, 1, 31, 10, 30), "x", "y", 12.345, None, "6b1f4a2e-0000-4000-8000-000000000001",
            '{"a": [1, null]}', '{"b":2}', "[1, null, 3]", '["u", "v\\"w"]', "12:30:00", "sad", None, "n",
        )  # fmt: skip
        kinds = {str(dtype) for dtype in found.schema.values()}
        assert kinds == {"Int64", "Float64", "Boolean", "Date", "Datetime(time_unit='us', time_zone=None)", "String"}

    @pytest.mark.parametrize("value", ["'\\x00ff'::bytea", "interval '1 day'"])
    def test_what_is_none_of_the_six_kinds(self, url: str, value: str) -> None:
        with pytest.raises(DataError, match="which is none of the six kinds"):
            rows(Query(url, f"select {value} as x"))

    def test_many_rows_come_in_batches(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from headrace.steps.sources import postgresql

        monkeypatch.setattr(postgresql, "BATCH_BYTES", 1 << 14)
        with Query(url, "select * from orders order by id").rows() as found:
            sizes = [batch.num_rows for batch in found.batches]
        assert sum(sizes) == 3000
        assert len(sizes) > 3

    def test_what_it_refuses(self, url: str) -> None:
        with pytest.raises(DataError, match=r'PostgreSQL refuses the query: .*relation "none" does not exist'):
            rows(Query(url, "select * from none"))
        with pytest.raises(DataError, match="A query only reads, but this one writes"):
            rows(Query(url, "insert into orders values (-1, 0, 'x') returning id"))
        with pytest.raises(TransientError, match="can't be reached"):
            rows(Query("postgresql://airflow@127.0.0.1:9/postgres", "select 1"))
        with pytest.raises(DataError, match="names no user, and there is a password"):
            fetched(Query("postgresql://127.0.0.1/postgres", "select 1", Secret("HOME")))

    def test_new_rows_alone_are_asked_for(self, url: str, server: Postgres, project: Path) -> None:
        server.query("create table log (id int, changed timestamptz)")
        server.query("insert into log values (1, '2026-01-01 10:00+00'), (2, '2026-01-01 11:00+00')")
        source = NewRows(Query(url, "select id, changed from log"), "changed")

        def taken() -> list[int]:
            with in_run(project, source) as store:
                return [row[0] for row in kept(ingest_new(source), store)[0]]

        assert taken() == taken() == [1, 2]
        server.query("insert into log values (3, '2026-01-01 11:00:00.000001+00'), (4, '2026-01-01 09:00+00')")
        assert taken() == [1, 2, 3]
