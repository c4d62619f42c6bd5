"""Online stores: the last row of each entity, for serving. Plain Python; the contract of all of them."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from headrace.core.errors import DataError, StoreError
from headrace.core.secret import Secret
from headrace.core.values import PASSWORD_IN_URL
from headrace.steps.feature_store.rows import Row

N_SAMPLES = 64
DEFAULT = "sqlite:features.sqlite"


@dataclass(frozen=True)
class ViewState:
    """What an online store says of a view: how to read its rows, and up to when they are known."""

    view: str
    definition: str
    """The digest of what the view declares."""
    space: str
    """Where its rows are; another one as soon as they are made from scratch."""
    entity: dict[str, str]
    """The entity's columns and their kinds."""
    features: dict[str, str]
    """The features' names, as they come out, and their kinds."""
    ttl: int | None
    """The time to live in microseconds."""
    until: int
    """What was known at this moment (in microseconds) is in; later rows may be."""
    n_rows: int = 0
    """The rows that were written since the space began, each entity once."""
    samples: dict[str, int] = field(default_factory=dict)
    """Some entities and the timestamps of their rows: what is looked at to see whether the store is whole."""

    def to_json(self) -> str:
        """The form in a store."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes, url: str) -> ViewState:
        """Read the form in a store. Raises StoreError for something else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"What the online store {url!r} says of a view can't be read: {error}",
                hint="it was changed by hand or written by a newer Headrace: materialize the view with --full",
            ) from error

    def with_samples(self, rows: Sequence[tuple[str, int]]) -> ViewState:
        """Take note of rows that were written: of all, those with the least digests are looked at later."""
        from hashlib import sha256

        found = dict(self.samples)
        for key, timestamp in rows:
            found[key] = max(timestamp, found.get(key, timestamp))
        kept = sorted(found, key=lambda key: sha256(key.encode()).digest())[:N_SAMPLES]
        return replace(self, samples={key: found[key] for key in sorted(kept)})


Finish = Callable[["ViewState | None", int], "ViewState"]
"""Given what the store says of the view now, and how many rows were new, what it is to say."""


class OnlineStore(Protocol):
    """Keeps one row for each entity, in spaces, and beside them what each view's state is.

    Rows are only ever replaced by ones of a greater version: it doesn't matter in which order, how often or by how many
    at once they are written. A reader sees each row whole, the one before or the one after. What was written before a
    process is killed may stay, and no view's state says more than is there: a state is written after its rows.

    Stores may be used by several threads and processes at once. An instance isn't used on after a fork; the child opens
    its own.
    """

    url: str
    """Where it is, without a password."""

    def get(self, space: str, keys: Sequence[str]) -> list[Row | None]:
        """Give the rows of these entities, in their order; None for one that has none."""

    def write(
        self, view: str, space: str, rows: Iterable[Row], finish: Finish, *, ttl: int | None = None
    ) -> tuple[int, ViewState]:
        """Write the rows that are newer than what is there, and then the view's state.

        ``rows`` may be long and is read once; ``finish`` may be called more than once. A row may go by itself when it
        is older than ``ttl`` microseconds. Returns how many rows were written, new or in place of older ones, and the
        state. What ``finish`` raises goes through, and the state stays as it was.
        """

    def state(self, view: str) -> ViewState | None:
        """Say what there is of a view; None where nothing was written."""

    def views(self) -> list[str]:
        """List the views that have a state, sorted."""

    def count(self, space: str) -> int | None:
        """Count the rows in a space; None where that would mean to read all of it."""

    def tidy(self, view: str, space: str) -> None:
        """Remove the rows of the view's spaces that were begun before this one (see `new_space`)."""

    def close(self) -> None:
        """Give back connections. May be called more than once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def new_space(view: str, definition: str) -> str:
    """Name a space for a view's rows. Names that are made later sort later."""
    return f"{view}/{time.time_ns():016x}-{secrets.token_hex(2)}-{definition[:8]}"


def open_online(url: str, *, password: Secret | None = None, root: Path | None = None) -> OnlineStore:
    """Open an online store: ``sqlite:PATH`` (relative to ``root``, by default the current folder) or ``redis://…``.

    ``password`` is Redis's, as a secret; a URL that holds one is refused. Raises DataError for another URL.
    """
    if PASSWORD_IN_URL.search(url):
        raise DataError(
            "The online store's URL holds a password",
            hint="leave it out, and name the environment variable that holds it: Secret('FEATURE_STORE_PASSWORD')",
        )
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from headrace.steps.feature_store.sqlite import SqliteOnlineStore

        path = re.sub(r"^//(?=/)", "", rest)
        return SqliteOnlineStore(Path(root or Path.cwd(), path), url)
    if scheme in ("redis", "rediss", "unix") and (urlsplit(url).hostname or urlsplit(url).path):
        from headrace.steps.feature_store.redis import RedisOnlineStore

        return RedisOnlineStore(url, password)
    raise DataError(
        f"{url!r} is no online store",
        hint="sqlite:features.sqlite, sqlite:///srv/features.sqlite or redis://host:6379/0",
    )


def check_whole(store: OnlineStore, state: ViewState, now: int) -> str | None:
    """Say what is missing of a view in a store, as far as its count and samples tell; None where nothing is.

    ``now``: rows that have expired by then may be gone.
    """
    n_rows = store.count(state.space)
    if n_rows is not None and n_rows != state.n_rows:
        return f"it has {n_rows} rows in place of {state.n_rows}"
    for row, (key, timestamp) in zip(store.get(state.space, list(state.samples)), state.samples.items(), strict=True):
        has_expired = state.ttl is not None and now - timestamp > state.ttl
        if (row is None or row.timestamp < timestamp) and not has_expired:
            return f"the row of {key} is gone" if row is None else f"the row of {key} is an older one"
    return None


def online_settings(root: Path) -> tuple[str, Secret | None]:
    """The project's online store, and its password: ``[tool.headrace.feature_store]``, else ``features.sqlite``.

    The variable HEADRACE_FEATURE_STORE, where it is set, is the URL.
    """
    from headrace.engine.settings import read_settings

    table: Any = read_settings(root).get("feature_store", {})
    known = {"online", "password"}
    if not isinstance(table, dict) or set(table) - known or not all(isinstance(item, str) for item in table.values()):
        raise DataError(
            f"[tool.headrace.feature_store] holds online (a URL) and password (the name of the environment variable "
            f"that holds it), but got {table!r}",
            where=str(root / "pyproject.toml"),
        )
    url = os.environ.get("HEADRACE_FEATURE_STORE") or table.get("online", DEFAULT)
    return url, Secret(table["password"]) if "password" in table else None
