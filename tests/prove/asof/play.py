"""One history held against the oracle: the offline join, and what an online store then serves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from asof.histories import History, Side, utc
from asof.oracle import Fact, Label, known, same
from headrace.formats.parquet import ParquetFormat
from headrace.formats.table import ENGINE_VARIABLE, Table
from headrace.steps.feature_store import FeatureLookup, OnlineStore, point_in_time
from headrace.steps.feature_store.materializing import write_online

ENGINES = ("polars", "duckdb")


class WrongError(AssertionError):
    """The feature store said something else than the oracle."""


@contextmanager
def engine_of(name: str) -> Iterator[None]:
    """Open tables with an engine."""
    before = os.environ.get(ENGINE_VARIABLE)
    os.environ[ENGINE_VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENGINE_VARIABLE]
        else:
            os.environ[ENGINE_VARIABLE] = before


def stored(frame: pl.DataFrame, folder: Path) -> Table:
    """A table as a step gets it: from stored parts."""
    folder.mkdir(parents=True)
    ParquetFormat().save(Table.of(frame), folder, Table)
    found = ParquetFormat().load({path.name: path for path in sorted(folder.iterdir())}, Table)
    assert isinstance(found, Table)
    return found


def play_offline(history: History, engine: str, *, folder: Path | None = None) -> int:
    """Join on an engine, and compare each label with the oracle. Returns how many features were compared."""
    given: Callable[[pl.DataFrame, str], Any] = lambda frame, name: (  # noqa: E731
        Table.of(frame) if folder is None else stored(frame, folder / engine / name)
    )
    with engine_of(engine):
        views = [side.view.on(given(side.table, side.view.name)) for side in history.sides]
        joined = point_in_time(given(history.table, "labels"), views, at="when")
        found = joined.polars().collect()
    if found["row"].to_list() != list(range(len(history.labels))):
        raise WrongError(f"the labels' rows are {found['row'].to_list()}")
    n_compared = 0
    for label, row in zip(history.labels, found.iter_rows(named=True), strict=True):
        for side in history.sides:
            names = list(side.view.names.values())
            expected = known(side.facts, label, side.view.ttl_microseconds, len(names))
            for name, wanted in zip(names, expected, strict=True):
                if not same(row[name], wanted):
                    raise WrongError(f"{name} of {label} on {engine} is {row[name]!r} in place of {wanted!r}")
                n_compared += 1
    return n_compared


def play_online(history: History, store: OnlineStore, engine: str, seed: int, *, at: int | None = None) -> int:
    """Materialise a history as it comes to be known, some of it late, and compare what is served with the oracle.

    ``at``: the last moment, by default one of the history's. Returns how many entities were compared.
    """
    random = Random(seed)
    n_compared = 0
    for side in history.sides:
        moments = sorted({fact.timestamp for fact in side.facts if fact.timestamp is not None})
        if not moments:
            continue
        last = at if at is not None else random.choice(moments) + random.choice([0, 0, 1, 3_600_000_000])
        with engine_of(engine):
            _materialise(side, store, random, moments, last)
        n_compared += _compare(side, store, last)
    return n_compared


def _materialise(side: Side, store: OnlineStore, random: Random, moments: list[int], last: int) -> None:
    """At some moments up to the last, in any order, with what had come by then; late rows come within the overlap."""
    overlap = random.choice([0, 10**9, 10**14])
    earlier = [random.choice(moments) for _ in range(random.randrange(3))]
    steps = [moment for moment in earlier if moment <= last]
    if random.random() < 0.7:
        steps.sort()
    for moment in [*steps, last, *([last] if random.random() < 0.3 else [])]:
        late = random.random() < 0.5 and overlap == 10**14 and moment != last
        has_come = [
            _is_known_by(fact, moment) if overlap == 0 else not late or random.random() < 0.6 for fact in side.facts
        ]
        if moment == last:
            has_come = [True] * len(side.facts)
        table = side.table.filter(pl.Series(has_come, dtype=pl.Boolean)).sample(
            fraction=1.0, shuffle=True, seed=random.randrange(2**32)
        )
        write_online(
            side.view.on(table),
            store,
            at=utc(moment),
            overlap_seconds=overlap,
            full=random.random() < 0.1,
        )


def _is_known_by(fact: Fact, moment: int) -> bool:
    return max(fact.timestamp or 0, fact.created or 0) <= moment


def _compare(side: Side, store: OnlineStore, last: int) -> int:
    pools: Any = [sorted({fact.key[place] for fact in side.facts} - {None}) for place in range(len(side.view.keys))]
    keys = list(product(*pools))
    names = list(side.view.names.values())
    with FeatureLookup(store, [side.view.name]) as lookup:
        entities = [dict(zip(side.view.keys, key, strict=True)) for key in keys]
        served = [lookup.get(entity, at=utc(last)) for entity in entities]
        if lookup.get_many(entities, at=utc(last)) != served:
            raise WrongError("get_many says something else than get")
    for key, features in zip(keys, served, strict=True):
        expected = known(side.facts, Label(key, last), side.view.ttl_microseconds, len(names))
        for name, wanted in zip(names, expected, strict=True):
            if not same(features[name], wanted):
                raise WrongError(f"{name} of {key} at {last} in {store.url} is {features[name]!r}, not {wanted!r}")
    return len(keys)


def without_correction(history: History) -> History:
    """The same, with creation times forgotten by the views: what would leak."""
    return replace(history, sides=tuple(replace(side, view=replace(side.view, created=None)) for side in history.sides))
