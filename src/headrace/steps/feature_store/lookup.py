"""Looking features up where a model serves. Plain Python: SQLite needs the standard library, Redis its client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from headrace.core.errors import DataError, near_miss
from headrace.core.secret import Secret
from headrace.steps.feature_store.online import OnlineStore, ViewState, open_online
from headrace.steps.feature_store.rows import Row, key_of_entity, microseconds, moment_of, values_of

Status: TypeAlias = Literal["known", "expired", "unknown"]
"""Whether a view knows an entity, knew it once (its time to live has passed), or doesn't."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one view says of an entity."""

    values: dict[str, Any]
    """The features by name; each None unless the status is "known"."""
    status: Status
    timestamp: datetime | None
    """The moment that the features tell of, UTC; None for an unknown entity."""
    age_seconds: float | None
    """How long ago that was; None for an unknown entity."""


class FeatureLookup:
    """The last features of an entity, out of an online store.

    - A feature of an entity that the view doesn't know is None, and so is one that was missing.
    - Where the newest row's timestamp is more than the view's time to live ago, all its features are None: what has
      expired isn't served. `look` tells which of these it was, and how old a row is.
    - Values are as old as the last materialisation: `until` says of each view up to when rows are known.

    Threads may share one; a process that was forked off makes its own. What the store says of a view (its features and
    where its rows are) is read again every ``refresh_seconds``, and whenever a row isn't found.

    Parameters
    ----------
    store
        An online store's URL, such as ``sqlite:features.sqlite`` or ``redis://host:6379/0``, or an open one, which
        stays its owner's to close.
    views
        The views whose features are given, in this order; by default all of the store, by name.
    password
        Redis's, as a secret.
    refresh_seconds
        How long what was read of a view is relied on, 0 or more.
    now
        The clock, in seconds since 1970.

    Raises
    ------
    DataError
        The store has no such view; two views have a feature of one name; the URL is none.

    Examples
    --------
    ``FeatureLookup("sqlite:features.sqlite").get({"customer_id": "C7"})`` gives ``{"n_orders": 3, "spent": None}``.
    """

    def __init__(
        self,
        store: str | OnlineStore,
        views: Sequence[str] | None = None,
        *,
        password: Secret | None = None,
        root: Path | None = None,
        refresh_seconds: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._is_mine = isinstance(store, str)
        self._store = open_online(store, password=password, root=root) if isinstance(store, str) else store
        self._refresh_seconds = refresh_seconds
        self._now = now
        # Replaced as a whole, so that another thread sees the old one or the new one.
        self._known: dict[str, tuple[ViewState, float]] = {}
        self.views = tuple(self._store.views() if views is None else views)
        taken: dict[str, str] = {}
        for view in self.views:
            for name in self._state(view).features:
                if name in taken:
                    raise DataError(
                        f"Feature {name!r} is in the views {taken[name]!r} and {view!r}",
                        hint="look one of them up by itself, or give a view a prefix",
                    )
                taken[name] = view

    def get(self, entity: Mapping[str, object], *, at: datetime | None = None) -> dict[str, Any]:
        """Give all features of an entity by name, None where nothing is known.

        ``entity``: its columns' values; each view takes those that it is of. ``at``: the moment that ages are counted
        to, by default now. Values are the last that were materialised in any case. Raises DataError where a column is
        missing, or its value of another kind than the view's.
        """
        made: dict[str, Any] = {}
        for view in self.views:
            made.update(self._found(view, entity, at).values)
        return made

    def get_many(self, entities: Sequence[Mapping[str, object]], *, at: datetime | None = None) -> list[dict[str, Any]]:
        """Give the features of several entities, in their order; with one question to the store for each view."""
        made: list[dict[str, Any]] = [{} for _ in entities]
        for view in self.views:
            state, rows = self._rows(view, entities)
            for features, row in zip(made, rows, strict=True):
                features.update(self._judged(state, row, at).values)
        return made

    def look(self, entity: Mapping[str, object], *, at: datetime | None = None) -> dict[str, Found]:
        """Say what each view knows of an entity, of when, and how old it is."""
        return {view: self._found(view, entity, at) for view in self.views}

    def until(self) -> dict[str, datetime]:
        """Say up to which moment each view's rows are known: the store holds what was known then, and maybe more."""
        return {view: moment_of(self._state(view, max_age=0.0).until) for view in self.views}

    def close(self) -> None:
        """Give back the store's connections, if it was opened here."""
        if self._is_mine:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _found(self, view: str, entity: Mapping[str, object], at: datetime | None) -> Found:
        state, (row,) = self._rows(view, [entity])
        return self._judged(state, row, at)

    def _rows(self, view: str, entities: Sequence[Mapping[str, object]]) -> tuple[ViewState, list[Row | None]]:
        state = self._state(view)
        while True:
            keys = [key_of_entity(entity, state.entity, view) for entity in entities]
            rows = self._store.get(state.space, keys)
            if None not in rows:
                return state, rows
            # The rows may have moved to another space since the state was read.
            fresh = self._state(view, max_age=0.0)
            if fresh.space == state.space:
                return fresh, rows
            state = fresh

    def _judged(self, state: ViewState, row: Row | None, at: datetime | None) -> Found:
        if row is None:
            return Found(dict.fromkeys(state.features), "unknown", None, None)
        now = int(self._now() * 1e6) if at is None else microseconds(at)
        age = now - row.timestamp
        if state.ttl is not None and age > state.ttl:
            return Found(dict.fromkeys(state.features), "expired", moment_of(row.timestamp), age / 1e6)
        values = values_of(row.values, list(state.features.values()))
        return Found(dict(zip(state.features, values, strict=True)), "known", moment_of(row.timestamp), age / 1e6)

    def _state(self, view: str, *, max_age: float | None = None) -> ViewState:
        known = self._known.get(view)
        clock = time.monotonic()
        if known is not None and clock - known[1] < (self._refresh_seconds if max_age is None else max_age):
            return known[0]
        state = self._store.state(view)
        if state is None:
            raise DataError(
                f"The online store {self._store.url!r} has no view {view!r}",
                hint=near_miss(view, self._store.views()) or "headrace data features materialize",
            )
        self._known = {**self._known, view: (state, clock)}
        return state
