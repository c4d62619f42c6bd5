"""The online store in a file: SQLite, from the standard library."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headrace.core.errors import StoreError, TransientError
from headrace.steps.feature_store.online import Finish, ViewState
from headrace.steps.feature_store.rows import Row

BATCH = 10_000
MOST_KEYS = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS views (view TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
    space TEXT NOT NULL, key TEXT NOT NULL, timestamp INTEGER NOT NULL, version BLOB NOT NULL, features TEXT NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
"""
_PUT = """
INSERT INTO entities VALUES (?, ?, ?, ?, ?) ON CONFLICT (space, key) DO UPDATE
SET timestamp = excluded.timestamp, version = excluded.version, features = excluded.features
WHERE excluded.version > entities.version
"""
_GET = "SELECT key, timestamp, version, features FROM entities WHERE space = ? AND key "


class SqliteOnlineStore:
    """An `OnlineStore` in one file, for one machine. A materialisation is one transaction: all of it, or nothing.

    Readers aren't held up by a writer and see what was before until it is done (write-ahead log); writers wait for one
    another, 30 seconds at most. Each thread has a connection of its own. The file is made when something is written.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.url = url
        self._path = path.absolute()
        self._mine = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def get(self, space: str, keys: Sequence[str]) -> list[Row | None]:
        """See `OnlineStore.get`."""
        connection = self._connected()
        if connection is None:
            return [None] * len(keys)
        if len(keys) == 1:
            found = self._read(connection, f"{_GET}= ?", (space, keys[0]))
            return [Row(*found[0]) if found else None]
        rows: dict[str, Row] = {}
        for start in range(0, len(keys), MOST_KEYS):
            part = keys[start : start + MOST_KEYS]
            marks = ", ".join("?" * len(part))
            rows |= {row[0]: Row(*row) for row in self._read(connection, f"{_GET}IN ({marks})", (space, *part))}
        return [rows.get(key) for key in keys]

    def write(
        self, view: str, space: str, rows: Iterable[Row], finish: Finish, *, ttl: int | None = None
    ) -> tuple[int, ViewState]:
        """See `OnlineStore.write`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connected(make=True)
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                before, before_changes = self._count(connection, space), connection.total_changes
                entries = ((space, row.key, row.timestamp, row.version, row.values) for row in rows)
                while batch := list(islice(entries, BATCH)):
                    connection.executemany(_PUT, batch)
                n_written = connection.total_changes - before_changes
                state = finish(self._state(connection, view), self._count(connection, space) - before)
                connection.execute("INSERT OR REPLACE INTO views VALUES (?, ?)", (view, state.to_json()))
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        return n_written, state

    def state(self, view: str) -> ViewState | None:
        """See `OnlineStore.state`."""
        connection = self._connected()
        try:
            return None if connection is None else self._state(connection, view)
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def views(self) -> list[str]:
        """See `OnlineStore.views`."""
        connection = self._connected()
        if connection is None:
            return []
        return [view for (view,) in self._read(connection, "SELECT view FROM views ORDER BY view", ())]

    def count(self, space: str) -> int | None:
        """See `OnlineStore.count`."""
        connection = self._connected()
        return 0 if connection is None else self._count(connection, space)

    def tidy(self, view: str, space: str) -> None:
        """See `OnlineStore.tidy`."""
        connection = self._connected()
        if connection is not None:
            self._read(connection, "DELETE FROM entities WHERE space >= ? AND space < ?", (f"{view}/", space))

    def close(self) -> None:
        """See `OnlineStore.close`."""
        with self._lock:
            connections, self._all = self._all, []
            self._mine = threading.local()
        for connection in connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self, *, make: bool = False) -> sqlite3.Connection | None:
        """This thread's connection; None where there is no file and none is to be made."""
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is not None and self._mine.process == os.getpid():
            return connection
        if not make and not self._path.exists():
            return None
        try:
            connection = sqlite3.connect(self._path, timeout=30.0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            connection.close()
            raise self._trouble(error) from error
        self._mine.connection, self._mine.process = connection, os.getpid()
        with self._lock:
            self._all.append(connection)
        return connection

    def _read(self, connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _state(self, connection: sqlite3.Connection, view: str) -> ViewState | None:
        found = connection.execute("SELECT state FROM views WHERE view = ?", (view,)).fetchone()
        return None if found is None else ViewState.from_json(found[0], self.url)

    def _count(self, connection: sqlite3.Connection, space: str) -> int:
        (n_rows,) = connection.execute("SELECT count(*) FROM entities WHERE space = ?", (space,)).fetchone()
        return int(n_rows)

    def _trouble(self, error: sqlite3.Error) -> StoreError | TransientError:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return TransientError(f"The online store {self.url!r} is being written by another process: {error}")
        return StoreError(
            f"The online store {self.url!r} can't be used: {error}",
            hint=f"look at {str(self._path)!r}; if it is damaged, remove it and materialize the views again",
        )
