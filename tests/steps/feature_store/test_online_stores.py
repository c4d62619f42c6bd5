"""The online stores: what every one promises, and what becomes of them when a writer is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DataError, StoreError, TransientError
from headrace.core.secret import Secret
from headrace.steps.feature_store import OnlineStore, ViewState, open_online
from headrace.steps.feature_store.online import check_whole, online_settings
from headrace.steps.feature_store.rows import Row, key_of_entity, version_of
from headrace.testing.online_stores import OnlineStoreContract

CASES = 13


class TestSqlite(OnlineStoreContract):
    def make_store(self, folder: Path) -> OnlineStore:
        return open_online("sqlite:deep/features.sqlite", root=folder)


class TestRedis(OnlineStoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        import redis

        self.url = redis_url
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()

    def make_store(self, folder: Path) -> OnlineStore:
        return open_online(self.url)

    def test_what_has_expired_goes(self, tmp_path: Path) -> None:
        second, now = 1_000_000, int(time.time() * 1e6)
        rows = [Row(f"[{age}]", now - age * second, version_of(now - age * second, 0, ()), "[]") for age in (0, 500)]
        with self.make_store(tmp_path) as store:
            store.write("v", "v/1", rows, lambda state, n_new: _state(), ttl=100 * second)
            assert store.get("v/1", ["[0]", "[500]"]) == [rows[0], None]


def test_no_case_is_lost() -> None:
    assert len(OnlineStoreContract.cases()) == CASES
    assert set(OnlineStoreContract.cases()) <= set(TestSqlite.cases()) & set(TestRedis.cases())


def test_a_store_that_keeps_the_last_written_fails_the_contract(tmp_path: Path) -> None:
    class Last(TestSqlite):
        def make_store(self, folder: Path) -> OnlineStore:
            store: Any = super().make_store(folder)
            write = store.write
            numbers = iter(range(10**9))

            def later(view: str, space: str, rows: Any, finish: Any, *, ttl: int | None = None) -> Any:
                versions = (row._replace(version=b"%09d" % next(numbers)) for row in rows)
                return write(view, space, versions, finish, ttl=ttl)

            store.write = later
            return store  # type: ignore[no-any-return]

    with pytest.raises(AssertionError):
        Last().test_the_greater_version_wins_in_any_order(tmp_path)


_WRITER = """
import sys, time
from headrace.steps.feature_store.online import ViewState, open_online
from headrace.steps.feature_store.rows import Row, version_of

def rows(n):
    for key in range(5000):
        yield Row(f"[{key}]", n, version_of(n, 0, ()), f"[{n}]")
        if key % 1000 == 0:
            print(n, key, flush=True)

with open_online(sys.argv[1]) as store:
    for n in range(1, 1000):
        store.write("v", "v/1", rows(n), lambda state, n_new: ViewState("v", "d", "v/1", {}, {}, None, n, 5000))
"""


def _kill_a_writer(url: str, n_lines: int) -> None:
    """Kill it when it has said so many lines: in the midst of a write, as likely as not."""
    child = subprocess.Popen([sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(n_lines):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    child.wait()


@pytest.mark.parametrize("n_lines", [3, 7, 11])
def test_killed_in_sqlite_all_or_nothing_is_there(n_lines: int, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/f.sqlite"
    _kill_a_writer(url, n_lines)
    with open_online(url) as store:
        state = store.state("v")
        found = [row and row.timestamp for row in store.get("v/1", [f"[{key}]" for key in range(5000)])]
    assert set(found) == {None if state is None else state.until}


def test_killed_in_redis_each_row_is_whole_and_the_state_not_ahead(redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    _kill_a_writer(redis_url, 13)
    with open_online(redis_url) as store:
        state = store.state("v")
        rows = store.get("v/1", [f"[{key}]" for key in range(5000)])
    assert state is not None and state.until >= 1
    for row in rows:
        assert row is not None and row.timestamp >= state.until and row.values == f"[{row.timestamp}]"


def test_a_writer_waits_for_another(tmp_path: Path) -> None:
    store = open_online("sqlite:f.sqlite", root=tmp_path)
    store.write("v", "v/1", [], lambda state, n_new: _state())
    with sqlite3.connect(tmp_path / "f.sqlite", isolation_level=None, check_same_thread=False) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
        assert store.write("v", "v/1", [Row("[1]", 1, b"1", "[]")], lambda state, n_new: _state())[0] == 1
    other.close()
    store.close()


def test_an_instance_is_made_new_after_a_fork(tmp_path: Path) -> None:
    store: Any = open_online("sqlite:f.sqlite", root=tmp_path)
    store.write("v", "v/1", [Row("[1]", 1, b"1", "[]")], lambda state, n_new: _state())
    before = store._mine.connection
    store._mine.process = os.getpid() + 1  # as it looks in a child
    assert store.get("v/1", ["[1]"]) == [Row("[1]", 1, b"1", "[]")]
    assert store._mine.connection is not before
    store.close()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with open_online("sqlite:f.sqlite", root=tmp_path) as store:
        assert store.views() == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "f.sqlite").write_text("This is a text, and a long one at that, so no database. " * 20)
    with open_online("sqlite:f.sqlite", root=tmp_path) as store, pytest.raises(StoreError) as caught:
        store.views()
    assert caught.value.message == "The online store 'sqlite:f.sqlite' can't be used: file is not a database"
    assert caught.value.hint is not None and "remove it and materialize the views again" in caught.value.hint


def test_a_state_of_another_kind(tmp_path: Path) -> None:
    with open_online("sqlite:f.sqlite", root=tmp_path) as store:
        store.write("v", "v/1", [], lambda state, n_new: _state())
        with sqlite3.connect(tmp_path / "f.sqlite") as other:
            other.execute("UPDATE views SET state = '[]'")
        other.close()
        with pytest.raises(StoreError, match=r"What the online store 'sqlite:f.sqlite' says of a view can't be read"):
            store.state("v")


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("redis")
    with open_online("redis://127.0.0.1:1/0") as store, pytest.raises(TransientError) as caught:
        store.views()
    assert caught.value.message.startswith("The online store 'redis://127.0.0.1:1/0' can't be reached: ")


def test_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from asof.servers import redis_server, why_no_redis

    if (why := why_no_redis()) is not None:
        pytest.skip(why)
    monkeypatch.setenv("FEATURES_PASSWORD", "open sesame")
    with redis_server("--requirepass", "open sesame") as url:
        assert url is not None
        with open_online(url, password=Secret("FEATURES_PASSWORD")) as store:
            assert store.views() == []
        with open_online(url) as store, pytest.raises(StoreError) as caught:
            store.views()
    assert "lets nobody in" in caught.value.message
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("features.sqlite", "'features.sqlite' is no online store"),
        ("sqlite:", "'sqlite:' is no online store"),
        ("redis:", "'redis:' is no online store"),
        ("http://host", "'http://host' is no online store"),
        ("redis://:secret@host:6379/0", "The online store's URL holds a password"),
        ("redis://me:secret@host:6379/0", "The online store's URL holds a password"),
    ],
)
def test_urls_that_are_none(url: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        open_online(url)
    assert caught.value.message == message
    assert "secret" not in str(caught.value).lower() or "Secret('FEATURE_STORE_PASSWORD')" in str(caught.value)
    assert ":secret@" not in str(caught.value)


def test_a_path_is_relative_to_its_root_or_absolute(tmp_path: Path) -> None:
    for url in ("sqlite:a/f.sqlite", f"sqlite:{tmp_path}/a/f.sqlite", f"sqlite://{tmp_path}/a/f.sqlite"):
        with open_online(url, root=tmp_path) as store:
            store.write("v", "v/1", [], lambda state, n_new: _state())
    assert [path.name for path in tmp_path.rglob("*.sqlite")] == ["f.sqlite"]


def test_the_projects_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_FEATURE_STORE", raising=False)
    assert online_settings(tmp_path) == ("sqlite:features.sqlite", None)
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.headrace.feature_store]\nonline = "redis://host:6379/1"\npassword = "REDIS_PASSWORD"\n')
    assert online_settings(tmp_path) == ("redis://host:6379/1", Secret("REDIS_PASSWORD"))
    monkeypatch.setenv("HEADRACE_FEATURE_STORE", "sqlite:other.sqlite")
    assert online_settings(tmp_path)[0] == "sqlite:other.sqlite"
    file.write_text('[tool.headrace.feature_store]\nurl = "redis://host"\n')
    with pytest.raises(DataError, match=r"\[tool.headrace.feature_store\] holds online \(a URL\) and password"):
        online_settings(tmp_path)


def test_what_is_missing_of_a_store_is_seen(tmp_path: Path) -> None:
    rows = [Row(f"[{key}]", key, version_of(key, 0, ()), "[]") for key in range(3)]
    state = _state(n_rows=3, samples={row.key: row.timestamp for row in rows})
    with open_online("sqlite:f.sqlite", root=tmp_path) as store:
        store.write("v", "v/1", rows, lambda _, n_new: state)
        assert check_whole(store, state, 10) is None
        with sqlite3.connect(tmp_path / "f.sqlite", isolation_level=None) as other:
            other.execute("UPDATE entities SET timestamp = 0 WHERE key = '[2]'")
            assert check_whole(store, state, 10) == "the row of [2] is an older one"
            other.execute("UPDATE entities SET key = '[9]' WHERE key = '[1]'")
            assert check_whole(store, state, 10) == "the row of [1] is gone"
            other.execute("DELETE FROM entities WHERE key = '[0]'")
            assert check_whole(store, state, 10) == "it has 2 rows in place of 3"
        other.close()


def test_versions_compare_as_their_values() -> None:
    values: list[tuple[Any, ...]] = [
        (None, None), (None, ""), (None, "\0"), (None, "a"), (None, "a\0"), (None, "a\0b"), (None, "ab"), (None, "é"),
        (None, "\uffff"), (None, "😀"), (float("-inf"), None), (-1e300, None), (-1.5, None), (0.0, None), (1.5, None),
        (float("inf"), None),
    ]  # fmt: skip
    versions = [version_of(0, 0, item) for item in values]
    assert all(one < other for one, other in pairwise(versions))
    assert version_of(0, 0, (-0.0,)) == version_of(0, 0, (0.0,))
    numbers = [-(2**63), -1, 0, 1, 2**63 - 1]
    assert all(one < other for one, other in pairwise([version_of(0, 0, (n,)) for n in numbers]))
    assert version_of(-1, 9, ()) < version_of(0, 0, ()) < version_of(0, 1, ())
    assert version_of(0, 0, (False,)) < version_of(0, 0, (True,))


def test_entities_that_are_asked_for() -> None:
    kinds = {"id": "integer", "plan": "text"}
    assert key_of_entity({"plan": "é", "id": 7, "more": 1}, kinds, "v") == '[7,"é"]'
    for entity, message in (
        ({"id": 7}, "Feature view 'v' is of an entity with 'plan', but got ['id']"),
        ({"id": "7", "plan": "a"}, "'id' of feature view 'v' is integer, but got '7'"),
        ({"id": True, "plan": "a"}, "'id' of feature view 'v' is integer, but got True"),
        ({"id": 7.0, "plan": "a"}, "'id' of feature view 'v' is integer, but got 7.0"),
        ({"id": None, "plan": "a"}, "'id' of feature view 'v' is integer, but got None"),
        ({"id": 7, "plan": 8}, "'plan' of feature view 'v' is text, but got 8"),
    ):
        with pytest.raises(DataError) as caught:
            key_of_entity(entity, kinds, "v")
        assert caught.value.message == message


def _state(*, n_rows: int = 0, samples: dict[str, int] | None = None) -> ViewState:
    return ViewState("v", "d", "v/1", {}, {}, None, 0, n_rows, samples or {})
