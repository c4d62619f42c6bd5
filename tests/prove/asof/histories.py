"""Generated histories: late and corrected rows, ties, holes, edges, in columns of all types that may stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import polars as pl

from asof.oracle import Fact, Key, Label
from headrace.steps.feature_store import FeatureView

EPOCH = datetime(1970, 1, 1)
DAY = 86_400_000_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
TEXTS = ("", "a", "b", "Z", "ä", "é", "日", "a\0", "a\0b", "'", '"', "😀", "\uffff")
NUMBERS = (None, float("nan"), float("inf"), float("-inf"), 0.0, 1.5, -1.5, 1e300)
STEPS = (1, 1_000, 1_000_000, 3_600_000_000, DAY)
"""How far apart the moments are: in some histories microseconds, in others days."""


@dataclass(frozen=True)
class Side:
    """A view, its rows as a table and as plain values."""

    view: FeatureView
    facts: tuple[Fact, ...]
    table: pl.DataFrame


@dataclass(frozen=True)
class History:
    """Labels and views about the same entities."""

    entity: tuple[str, ...]
    labels: tuple[Label, ...]
    table: pl.DataFrame
    sides: tuple[Side, ...]


def generate(seed: int, *, around: datetime | None = None, with_zone: bool | None = None) -> History:
    """Make a history up. ``around``: the moment that all is near, by default one of several."""
    random = Random(seed)
    step = random.choice(STEPS)
    dates = step == DAY and random.random() < 0.5
    zoned = not dates and (random.random() < 0.4 if with_zone is None else with_zone)
    origin = around or random.choice(
        [datetime(1969, 12, 31, 22), datetime(2024, 3, 30), datetime(2024, 10, 26), datetime(2024, 2, 28)]
    )
    start = (origin.replace(tzinfo=None) - EPOCH) // timedelta(microseconds=1) // DAY * DAY
    kinds = random.choice([("text",), ("integer",), ("date",), ("text", "integer"), ("boolean", "text"), ("text",)])
    entity = tuple(f"id{place}" for place in range(len(kinds)))
    pools = [_pool(random, kind) for kind in kinds]
    grid = _Grid(random, start, step, dates=dates, zoned=zoned)
    labels = tuple(Label(_key(random, pools), grid.moment()) for _ in range(random.randrange(0, 30)))
    sides = tuple(_side(random, number, entity, kinds, pools, grid) for number in range(random.choice([1, 1, 2])))
    columns = {
        "row": pl.Series("row", range(len(labels)), pl.Int64),
        **_key_columns(random, entity, kinds, [label.key for label in labels]),
        "when": grid.column("when", [label.at for label in labels]),
    }
    return History(entity, labels, pl.DataFrame(columns), sides)


class _Grid:
    """Moments that often fall together, and columns of them."""

    def __init__(self, random: Random, start: int, step: int, *, dates: bool, zoned: bool) -> None:
        self._random, self._start, self._step = random, start, step
        self._dates, self._zoned = dates, zoned
        self.n_moments = random.choice([3, 8, 20])

    def moment(self, share_missing: float = 0.05) -> int | None:
        if self._random.random() < share_missing:
            return None
        return self._start + self._random.randrange(self.n_moments) * self._step

    def later(self, moment: int | None) -> int | None:
        """When a row is known: mostly at once, sometimes later, seldom before."""
        if moment is None or self._random.random() < 0.05:
            return None if self._random.random() < 0.5 else self.moment(0.0)
        return moment + self._random.choice([0, 0, 0, 1, 2, 5, -1]) * self._step

    def ttl(self) -> int | None:
        return self._random.choice([None, None, self._step, 2 * self._step, 4 * self._step])

    def column(self, name: str, moments: Sequence[int | None]) -> pl.Series:
        series = pl.Series(name, moments, pl.Int64)
        if self._dates and self._random.random() < 0.7:
            return (series // DAY).cast(pl.Int32).cast(pl.Date)
        units = ["us", "us"] + (["ms"] if self._step % 1000 == 0 else []) + ["ns"]
        unit: Any = self._random.choice(units)
        naive = series.cast(pl.Datetime("us"))
        if self._zoned:
            return (
                naive.dt.replace_time_zone("UTC")
                .dt.convert_time_zone(self._random.choice(ZONES))
                .dt.cast_time_unit(unit)
            )
        return naive.dt.cast_time_unit(unit)


def _pool(random: Random, kind: str) -> list[Any]:
    n = random.choice([1, 2, 4])
    if kind == "text":
        return random.sample(TEXTS, n)
    if kind == "integer":
        return random.sample([0, -1, 7, 2**31, -(2**62), 2**62], n)
    if kind == "date":
        return [date(1969, 12, 30) + timedelta(days=place) for place in range(n)]
    return [True, False][:n]


def _key(random: Random, pools: Sequence[Sequence[Any]]) -> Key:
    return tuple(None if random.random() < 0.05 else random.choice(pool) for pool in pools)


def _key_columns(
    random: Random, entity: Sequence[str], kinds: Sequence[str], keys: Sequence[Key]
) -> dict[str, pl.Series]:
    columns = {}
    for place, (name, kind) in enumerate(zip(entity, kinds, strict=True)):
        values = [key[place] for key in keys]
        types: dict[str, Any] = {"text": pl.String, "integer": pl.Int64, "date": pl.Date, "boolean": pl.Boolean}
        series = pl.Series(name, values, types[kind])
        if kind == "integer" and random.random() < 0.5 and all(value is None or 0 <= value < 100 for value in values):
            series = series.cast(pl.UInt8)
        if kind == "text" and random.random() < 0.3:
            series = series.cast(pl.Categorical)
        columns[name] = series
    return columns


def _side(
    random: Random,
    number: int,
    entity: tuple[str, ...],
    kinds: Sequence[str],
    pools: Sequence[Sequence[Any]],
    grid: _Grid,
) -> Side:
    has_created = random.random() < 0.7
    facts: list[Fact] = []
    for _ in range(random.choice([0, 1, 5, 20, 60])):
        timestamp = grid.moment()
        created = grid.later(timestamp) if has_created else timestamp
        facts.append(Fact(_key(random, pools), timestamp, created, _values(random)))
        if random.random() < 0.1:
            facts.append(facts[-1])
        if random.random() < 0.15 and created is not None:  # a correction, or a tie
            later = grid.later(created) if has_created else created
            facts.append(Fact(facts[-1].key, timestamp, later, _values(random)))
    random.shuffle(facts)
    columns = {
        **_key_columns(random, entity, kinds, [fact.key for fact in facts]),
        "day": grid.column("day", [fact.timestamp for fact in facts]),
        **({"loaded": grid.column("loaded", [fact.created for fact in facts])} if has_created else {}),
        "number": pl.Series("number", [fact.values[0] for fact in facts], pl.Float64),
        "text": pl.Series("text", [fact.values[1] for fact in facts], pl.String),
        "whole": pl.Series("whole", [fact.values[2] for fact in facts], pl.Int64),
        "flag": pl.Series("flag", [fact.values[3] for fact in facts], pl.Boolean),
        "on": pl.Series("on", [fact.values[4] for fact in facts], pl.Date),
        "since": pl.Series("since", [fact.values[5] for fact in facts], pl.Datetime("us")),
    }
    ttl = grid.ttl()
    view = FeatureView(
        f"view{number}",
        entity,
        "day",
        {"number": "number", "text": "text", "whole": "integer", "flag": "boolean", "on": "date", "since": "datetime"},
        created="loaded" if has_created else None,
        ttl=None if ttl is None else timedelta(microseconds=ttl),
        prefix="" if number == 0 else f"v{number}_",
    )
    return Side(view, tuple(facts), pl.DataFrame(columns))


def _values(random: Random) -> tuple[Any, ...]:
    return (
        random.choice(NUMBERS),
        random.choice([None, *TEXTS]),
        random.choice([None, 0, 1, -1, 2**62]),
        random.choice([None, True, False]),
        random.choice([None, date(2024, 2, 29), date(1969, 7, 20)]),
        random.choice([None, datetime(2024, 3, 31, 2, 30), datetime(1969, 7, 20, 20, 17, 40, 1)]),
    )


def utc(microseconds: int) -> datetime:
    """A moment of a history."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
