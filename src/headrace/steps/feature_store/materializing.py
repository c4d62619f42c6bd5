"""Materialize: the last features of each entity, where they are served from."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.core.context import current_run, progress
from headrace.core.discovery_hub import unseen
from headrace.core.errors import DataError, TransientError
from headrace.core.secret import Secret
from headrace.core.step import step
from headrace.formats.table import Table
from headrace.steps.feature_store import known
from headrace.steps.feature_store.known import CREATED, KNOWN, TIMESTAMP
from headrace.steps.feature_store.online import (
    N_SAMPLES,
    OnlineStore,
    ViewState,
    check_whole,
    new_space,
    online_settings,
    open_online,
)
from headrace.steps.feature_store.rows import Row, key_text, microseconds, moment_of, values_text, version_of
from headrace.steps.feature_store.view import FeatureView
from headrace.steps.kinds import kind_of
from headrace.steps.tables import collect

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Materialized:
    """What is in an online store, by `materialize`."""

    __headrace_one_value__: ClassVar[bool] = True

    view: str
    online: str
    """The store's URL."""
    password: str | None
    """The environment variable that holds its password."""
    definition: str
    """The digest of what the view declares."""
    until: datetime
    """What was known at this moment is in."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a materialisation did."""

    state: ViewState
    n_read: int
    """Entities that were read from the table."""
    n_written: int
    """Of these the ones that were new or newer than what was there."""
    why_anew: str | None
    """Why all rows were written into a new space; None where what was there was built on."""


def is_materialized(arguments: Mapping[str, object], output: object) -> bool:
    """Say whether the online store still holds a view as declared, up to that moment or later, and is whole."""
    if not isinstance(output, Materialized):
        return False
    secret = None if output.password is None else Secret(output.password)
    with open_online(output.online, password=secret, root=_root()) as store:
        state = store.state(output.view)
        if state is None or state.definition != output.definition or state.until < microseconds(output.until):
            return False
        return check_whole(store, state, _now()) is None


@step(effect=is_materialized)
def materialize(
    view: FeatureView,
    *,
    at: datetime | date | None = None,
    to: str | None = None,
    password: Secret | None = None,
    overlap_seconds: float = DAY_SECONDS,
    full: bool = False,
) -> Materialized:
    """Put what is known of each entity at a moment into an online store, for `FeatureLookup`.

    Afterwards the store gives for each entity what `point_in_time` gives at that moment. Done again it changes nothing,
    and only rows are read that became known since the last time, less the overlap. Newer rows win, in whichever order
    they come: doing it for an earlier moment than before takes nothing away. All is written anew, beside what is there
    and then in its place, where the view's declaration has changed, where the store isn't whole (rows were removed or
    put back), and with ``full``, which is for a table whose past was rewritten.

    In a pipeline the store is looked at in every run: where it was wiped, damaged or isn't as new, this is done again.

    Parameters
    ----------
    view
        The view with its table: ``activity.on(orders)``.
    at
        The moment; by default the last at which something in the table became known. Without a zone it is UTC.
    to, password
        The online store (see `open_online`), and Redis's password as a secret; by default what
        ``[tool.headrace.feature_store]`` says, else the file ``features.sqlite`` in the project.
    overlap_seconds
        How late a row may come into the table after its timestamp and creation, to be found without ``full``.
    full
        Whether to write everything anew.

    Raises
    ------
    DataError
        The view has no table, or a column isn't there or of another kind; the store's URL is none.
    TransientError
        The store can't be reached, or somebody else wrote the view anew at the same time: try again.

    Examples
    --------
    In a pipeline: ``materialize(activity.on(orders), at=day)``.
    """
    root = _root()
    url, secret = (to, password) if to is not None else online_settings(root)
    # What is written is no input, though SQLite's file may be in the project.
    with unseen(), open_online(url, password=secret, root=root) as store:
        written = write_online(view, store, at=at, overlap_seconds=overlap_seconds, full=full)
    state = written.state
    until = moment_of(state.until if at is None else microseconds(at))
    return Materialized(view.name, url, None if secret is None else secret.name, state.definition, until)


def write_online(
    view: FeatureView,
    store: OnlineStore,
    *,
    at: datetime | date | None = None,
    overlap_seconds: float = DAY_SECONDS,
    full: bool = False,
) -> Written:
    """Do what `materialize` says, with an open store."""
    if view.source is None:
        raise DataError(f"Feature view {view.name!r} has no table", hint=f"give it one: {view.name}.on(table)")
    if overlap_seconds < 0:
        raise DataError(f"overlap_seconds >= 0 must hold, but got overlap_seconds={overlap_seconds!r}")
    rows = known.rows_of(view, view.source)
    schema = known.opened(view.source).collect_schema()
    entity = {column: str(kind_of(schema[column])) for column in view.keys}
    definition = _definition(view, entity)
    before = store.state(view.name)
    why_anew = _why_anew(before, definition, store, full=full)
    until = _last(rows) if at is None else microseconds(at)
    space = new_space(view.name, definition) if before is None or why_anew is not None else before.space
    rows = _between(view, rows, None if why_anew else before, until, int(overlap_seconds * 1e6))
    sampler = _Sampler()

    def finish(current: ViewState | None, n_new: int) -> ViewState:
        if (current and current.space) != (before and before.space):
            raise TransientError(f"Feature view {view.name!r} was written anew by somebody else at the same time")
        base = None if why_anew else current
        state = ViewState(
            view=view.name,
            definition=definition,
            space=space,
            entity=entity,
            features=dict(zip(view.names.values(), view.features.values(), strict=True)),
            ttl=view.ttl_microseconds,
            until=max(until, base.until) if base else until,
            n_rows=(base.n_rows if base else 0) + n_new,
            samples=base.samples if base else {},
        )
        return state.with_samples(sampler.samples())

    n_written, state = store.write(
        view.name, space, _online_rows(view, rows, sampler), finish, ttl=view.ttl_microseconds
    )
    store.tidy(view.name, state.space)
    return Written(state, sampler.n_seen, n_written, why_anew)


def _why_anew(before: ViewState | None, definition: str, store: OnlineStore, *, full: bool) -> str | None:
    if before is None:
        return "it wasn't there"
    if full:
        return "asked for"
    if before.definition != definition:
        return "the view's declaration has changed"
    return check_whole(store, before, _now())


def _definition(view: FeatureView, entity: Mapping[str, str]) -> str:
    declared = [entity, view.timestamp, view.created, view.names, view.features, view.ttl_microseconds]
    return sha256(json.dumps(declared).encode()).hexdigest()


def _last(rows: Lazy) -> int:
    import narwhals as nw

    found = collect(rows.select(nw.col(KNOWN).max())).item()
    return 0 if found is None else int(found)


def _between(view: FeatureView, rows: Lazy, before: ViewState | None, until: int, overlap: int) -> Lazy:
    """Of each entity the row that tells, of those that became known since the last time and tell at the moment."""
    import narwhals as nw

    chosen = nw.col(KNOWN) <= until
    if before is not None:
        chosen &= nw.col(KNOWN) > before.until - overlap
    if view.ttl_microseconds is not None:
        chosen &= nw.col(TIMESTAMP) >= until - view.ttl_microseconds
    return known.newest(view, rows.filter(chosen), known.key_names(view))


def _online_rows(view: FeatureView, rows: Lazy, sampler: _Sampler) -> Iterator[Row]:
    keys = known.key_names(view)
    features = [known.feature_name(number) for number in range(len(view.features))]
    for batch in Table.of(rows.select(*keys, TIMESTAMP, CREATED, *features)).batches():
        columns = [column.to_pylist() for column in batch.columns]
        entities = zip(*columns[: len(keys)], strict=True)
        timestamps, created = columns[len(keys) : len(keys) + 2]
        for entity, timestamp, known_since, values in zip(
            entities, timestamps, created, zip(*columns[len(keys) + 2 :], strict=True), strict=True
        ):
            row = Row(key_text(entity), timestamp, version_of(timestamp, known_since, values), values_text(values))
            sampler.see(row)
            yield row
        progress(sampler.n_seen, None, "entities")


class _Sampler:
    """Keeps the rows whose entities have the least digests, and counts all."""

    def __init__(self) -> None:
        self.n_seen = 0
        self._heap: list[tuple[int, str, int]] = []

    def see(self, row: Row) -> None:
        """Look at a row."""
        self.n_seen += 1
        place = -int.from_bytes(sha256(row.key.encode()).digest())
        if len(self._heap) < N_SAMPLES:
            heapq.heappush(self._heap, (place, row.key, row.timestamp))
        elif place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, row.key, row.timestamp))

    def samples(self) -> list[tuple[str, int]]:
        """The entities that were kept, and their timestamps."""
        return [(key, timestamp) for _, key, timestamp in self._heap]


def _root() -> Path:
    run = current_run()
    return run.project_root if run is not None else Path.cwd()


def _now() -> int:
    return time.time_ns() // 1000
