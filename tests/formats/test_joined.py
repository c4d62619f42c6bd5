"""Tables that are joined of pieces: what is stored is not written again."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.core.artifact import Artifact
from headrace.core.errors import FormatError
from headrace.engine.exchange import load_artifact, save_value
from headrace.formats.table import KeptParts, Table
from headrace.stores.local import LocalStore

ONE, TWO = pl.DataFrame({"n": [1, 2], "t": ["a", None]}), pl.DataFrame({"n": [3], "t": ["c"]})
WHOLE = [(1, "a"), (2, None), (3, "c")]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def saved(table: Table, store: LocalStore) -> Artifact:
    return save_value(table, Table, store)


def loaded(artifact: Artifact, store: LocalStore) -> Table:
    table = load_artifact(artifact, Table, store)
    assert isinstance(table, Table)
    return table


def test_a_joined_table_reads_like_one() -> None:
    table = Table.joined([Table.of(ONE), Table.joined([Table.of(TWO), Table.of(TWO)])])
    assert table.polars().collect().rows() == [*WHOLE, (3, "c")]
    assert table.duckdb().fetchall() == [*WHOLE, (3, "c")]
    assert table.n_rows == 4
    assert table.columns == ["n", "t"]
    assert [row for batch in table.batches(1) for row in batch.to_pylist()][2] == {"n": 3, "t": "c"}
    assert table.pandas()["n"].tolist() == table.arrow()["n"].to_pylist() == [1, 2, 3, 3]
    assert pickle.loads(pickle.dumps(table)).n_rows == 4
    assert repr(table) == "Table.joined(2 pieces)"
    assert Table.joined([Table.of(ONE)]).source is ONE


def test_stored_parts_are_the_objects_that_they_were(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = saved(Table.of(ONE), store)
    before = loaded(first, store)
    added: list[Any] = []
    add_file = store.add_file
    monkeypatch.setattr(store, "add_file", lambda path: added.append(path) or add_file(path))

    whole = saved(Table.joined([before, Table.of(TWO)]), store)
    assert [file.path for file in whole.files] == ["part-00000.parquet", "part-00001.parquet"]
    assert whole.files[0].digest == first.files[0].digest
    assert len(added) == 1
    assert loaded(whole, store).polars().collect().rows() == WHOLE
    assert saved(before, store).digest == first.digest
    assert len(added) == 1


def test_kept_parts_are_not_even_opened(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptParts(store, saved(Table.of(ONE), store).files)
    monkeypatch.setattr(store, "open_object", lambda *args, **kwargs: pytest.fail("was opened"))
    whole = saved(Table.joined([kept, Table.of(TWO)]), store)
    monkeypatch.undo()
    assert loaded(whole, store).polars().collect().rows() == WHOLE
    assert Table.joined([kept]).n_rows == 2


def test_parts_of_another_store_are_copied(store: LocalStore, tmp_path: Path) -> None:
    other = LocalStore(tmp_path / "other")
    there = loaded(saved(Table.of(ONE), other), other)
    artifact = saved(Table.joined([there, Table.of(TWO)]), store)
    assert loaded(artifact, store).polars().collect().rows() == WHOLE
    assert there.polars().collect().rows() == WHOLE[:2]


def test_other_columns_are_refused(store: LocalStore) -> None:
    other = Table.of(pl.DataFrame({"n": [1.5], "u": ["x"]}))
    with pytest.raises(FormatError, match=r"these differ: 'n' \(int64, double\), 't' \(string, absent\), 'u'"):
        saved(Table.joined([Table.of(ONE), other]), store)
