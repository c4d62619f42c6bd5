"""What is new of data that grows: the rest is neither read, nor hashed, nor stored again."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunOptions
from headrace.core import stamps
from headrace.core.errors import DataError
from headrace.core.sample import Sample
from headrace.engine.records import RunRecord
from headrace.steps import NewFiles, NewRows, Query, ingest_new, latest
from headrace.stores.local import LocalStore

from conftest_sources import Memory, in_run, kept, outcomes  # isort: skip

FILES = NewFiles("daily", "*.csv")
OPENED: list[list[str]] = []
"""While somebody watches, the files that are opened: an audit hook can't be removed, so there is one."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if OPENED and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        OPENED[-1].append(os.fsdecode(arguments[0]))


sys.addaudithook(_hook)


@contextmanager
def watching() -> Iterator[list[str]]:
    OPENED.append([])
    try:
        yield OPENED[-1]
    finally:
        OPENED.pop()


@pytest.fixture
def daily(project: Path) -> Path:
    folder = project / "daily"
    folder.mkdir()
    put(folder, "day-1", 1)
    put(folder, "day-2", 2)
    return folder


def put(folder: Path, name: str, number: int, n: int = 3) -> None:
    rows = "".join(f"{number * 1000 + i},{number}\n" for i in range(n))
    (folder / f"{name}.csv").write_text(f"id,day\n{rows}")


def taken(project: Path, source: Any = FILES, **options: Any) -> tuple[list[Any], list[str]]:
    """Take in in a run of its own: the first column of what came of it, and its parts."""
    run = {name: options.pop(name) for name in ("sample", "memory") if name in options}
    with in_run(project, source, **run) as store:
        rows, parts = kept(ingest_new(source, **options), store)
    return [row[0] for row in rows], parts


def test_files_that_were_taken_in_are_not_opened_again(
    daily: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "RACY_WINDOW_NS", -(10**12))  # what tests write is always young
    rows, first = taken(project)
    assert rows == [1000, 1001, 1002, 2000, 2001, 2002]
    assert len(first) == 2

    put(daily, "day-3", 3)
    added: list[Path] = []
    add_file = LocalStore.add_file
    monkeypatch.setattr(LocalStore, "add_file", lambda self, path: added.append(path) or add_file(self, path))
    with watching() as opened, in_run(project, FILES) as store:
        table = ingest_new(FILES)
        artifact = headrace.engine.exchange.save_value(table, headrace.Table, store)
    assert [file.digest for file in artifact.files][:2] == first
    assert {Path(name).name for name in opened if name.endswith(".csv")} == {"day-3.csv"}
    assert not [name for name in opened if Path(name).name in first]
    assert len(added) == 1
    assert taken(project)[0][-1] == 3002


def test_one_that_was_replaced_is_read_again_and_one_that_was_removed_is_gone(daily: Path, project: Path) -> None:
    _, first = taken(project)
    put(daily, "day-1", 9, n=2)
    rows, second = taken(project)
    assert rows[:3] == [9000, 9001, 2000]
    assert second[1] == first[1]
    (daily / "day-1.csv").unlink()
    assert taken(project)[0][0] == 2000


def test_what_is_forgotten_is_read_again(daily: Path, project: Path) -> None:
    _, first = taken(project)
    store = LocalStore(project / "store")
    for name in list(store.list_records("increments")):
        store.delete_record(name)
    assert taken(project)[1] == first
    store.drop_object(first[0])
    assert taken(project)[1] == first


def test_other_code_or_options_read_all_again(daily: Path, project: Path) -> None:
    rows, first = taken(project)
    memory = Memory()
    memory.code = "another"
    monkeyed = taken(project, memory=memory)
    assert monkeyed == (rows, first)
    assert taken(project, types={"id": "text"})[0][0] == "1000"


def test_all_files_have_the_columns_and_kinds_of_the_first(daily: Path, project: Path) -> None:
    taken(project)
    (daily / "day-3.csv").write_text("id,day\n3000,2.5\n")
    with pytest.raises(DataError, match=r"has '2.5' in 'day' isn't integer, as declared"):
        taken(project)
    assert taken(project, types={"day": "number"})[0][-1] == 3000
    (daily / "day-3.csv").write_text("id,day,week\n3000,1,2\n")
    with pytest.raises(DataError, match=r"'day-3.csv' hasn't the columns of what came first: it has 'week' more"):
        taken(project)


def test_a_plain_call_reads_all(daily: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert ingest_new(FILES).n_rows == 6


def test_folders_that_can_not_be(daily: Path, project: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder '.*/dayly'\.\nHint: did you mean 'daily'"):
        taken(project, NewFiles("dayly"))
    with pytest.raises(DataError, match=r"No file in 'daily' is named like '\*.tsv'"):
        taken(project, NewFiles("daily", "*.tsv"))


LOG = NewRows(Query("sqlite:///shop.db", "select * from log"), "changed")


class TestRows:
    @pytest.fixture
    def shop(self, project: Path) -> Callable[..., None]:
        pytest.importorskip("adbc_driver_sqlite")
        file = project / "shop.db"

        def execute(*statements: str) -> None:
            database = sqlite3.connect(file)
            with database:
                for statement in statements:
                    database.execute(statement)
            database.close()

        execute("create table log (id integer, changed integer)", "insert into log values (1, 1), (2, 2)")
        return execute

    def test_rows_above_the_watermark_are_added(self, shop: Callable[..., None], project: Path) -> None:
        rows, first = taken(project, LOG)
        assert rows == [1, 2]
        assert taken(project, LOG) == (rows, first)
        shop("insert into log values (3, 3), (1, 4)", "update log set id = 99 where id = 2")
        rows, second = taken(project, LOG)
        assert rows == [1, 2, 3, 1]
        assert second[:1] == first
        with in_run(project, LOG):
            table = latest(ingest_new(LOG), key=["id"], newer_by="changed")
            assert table.polars().collect().rows() == [(2, 2), (3, 3), (1, 4)]

    def test_a_run_that_is_tried_again_begins_from_where_it_did(self, shop: Callable[..., None], project: Path) -> None:
        taken(project, LOG)
        shop("insert into log values (3, 3)")
        with in_run(project, LOG) as store:
            first = kept(ingest_new(LOG), store)
            again = kept(ingest_new(LOG), store)  # its pin is still that of the run's begin
        assert first == again
        assert taken(project, LOG) == ([1, 2, 3], first[1])

    def test_two_runs_at_once(self, shop: Callable[..., None], project: Path) -> None:
        taken(project, LOG)
        with in_run(project, LOG) as store:
            shop("insert into log values (3, 3)")
            with in_run(project, LOG):
                shop("insert into log values (4, 4)")
                assert kept(ingest_new(LOG), store)[0] == [(1, 1), (2, 2), (3, 3), (4, 4)]
            assert kept(ingest_new(LOG), store)[0] == [(1, 1), (2, 2), (3, 3), (4, 4)]
        shop("insert into log values (5, 5)")
        assert taken(project, LOG)[0] == [1, 2, 3, 4, 5]

    def test_a_sample_is_taken_in_apart(self, shop: Callable[..., None], project: Path) -> None:
        shop(
            "insert into log select value, value from (select 3 as value union select 4 union select 5 union select 6)"
        )
        sampled, _ = taken(project, LOG, sample=Sample(0.5, ("id",)))
        assert 0 < len(sampled) < 6
        assert taken(project, LOG)[0] == [1, 2, 3, 4, 5, 6]
        assert len(list(LocalStore(project / "store").list_records("increments"))) == 2

    def test_rows_without_a_watermark(self, shop: Callable[..., None], project: Path) -> None:
        shop("insert into log values (3, null)")
        with pytest.raises(DataError, match="1 rows have no watermark 'changed'"):
            taken(project, LOG)
        with pytest.raises(DataError, match=r"no such column|no column 'changd'"):
            taken(project, NewRows(LOG.query, "changd"))


def test_a_resumed_run_does_not_ask_again(project: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    database = sqlite3.connect(project / "shop.db")
    with database:
        database.execute("create table log (id integer)")
        database.execute("insert into log values (1)")
    (project / "breaks.py").write_text(
        "from pathlib import Path\nfrom headrace import Table, pipeline, step\n"
        "from headrace.steps import Query, ingest\n"
        "@step\ndef use(table: Table) -> int:\n"
        "    if not Path('mended').exists():\n        raise ValueError('not yet')\n    return table.n_rows\n"
        "@pipeline\ndef flow():\n    return use(ingest(Query('sqlite:///shop.db', 'select * from log')))\n"
    )
    broken = headrace.run("breaks.py:flow", folder=project, options=RunOptions(inline=True))
    assert broken.outcome == "failed"
    (project / "mended").touch()
    with database:
        database.execute("insert into log values (2)")
    database.close()
    options = RunOptions(inline=True, resumes=RunRecord(broken.store, broken.run_id))
    resumed = headrace.run("breaks.py:flow", folder=project, options=options)
    assert outcomes(resumed) == ["cached", "succeeded"]
    assert resumed.load() == 1
    again = headrace.run("breaks.py:flow", folder=project, options=RunOptions(inline=True))
    assert outcomes(again) == ["succeeded", "succeeded"]
    assert again.load() == 2
