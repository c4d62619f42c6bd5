"""Preprocess and features: declared changes of columns, the same before and after a split."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.step import step
from headrace.formats.table import Table, TableLike
from headrace.steps.rules import Rule, apply_rules
from headrace.steps.tables import scan, table_of


@step
def preprocess(table: TableLike, rules: Sequence[Rule] = ()) -> Table:
    """Clean a table by rules that need no statistic: drop, rename, spell, cast, limit, label.

    Each row is treated by itself, so nothing leaks from test rows into training. What has to be learned (medians,
    scales, categories) belongs in the model, where it is fitted on training rows alone. Rows keep their order; only
    `DropMissing` leaves rows out. Missing values stay missing unless a rule says otherwise. The table is scanned,
    never held.

    Parameters
    ----------
    rules
        Applied in this order, each on what the ones before made; see `headrace.steps.rules`.

    Raises
    ------
    DataError
        A rule names a column that isn't there (the nearest is named) or one of the wrong kind.

    Examples
    --------
    >>> import polars as pl
    >>> from headrace.steps.rules import Compare, Drop, Spell
    >>> trips = Table.of(pl.DataFrame({"fare": [10.0, 20.0], "tips": [3.0, 1.0], "paid": ["Card ", "CASH"]}))
    >>> rules = [Compare("tipped", "tips", ">", "fare", 0.2), Drop(("tips",)), Spell("paid")]
    >>> preprocess(trips, rules).polars().collect().rows()
    [(10.0, 'card', 'yes'), (20.0, 'cash', 'no')]
    """
    return table_of(apply_rules(scan(table), rules))


@step
def features(table: TableLike, rules: Sequence[Rule] = ()) -> Table:
    """Add columns that a model can use better than what they are made of: spans, ratios, parts of dates.

    As `preprocess`, a step of its own so that trying another feature doesn't clean the data again. What is made of a
    missing value is missing, but for `WasMissing`.

    Parameters
    ----------
    rules
        Applied in this order, each on what the ones before made; see `headrace.steps.rules`.

    Raises
    ------
    DataError
        A rule names a column that isn't there (the nearest is named) or one of the wrong kind.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> from headrace.steps.rules import DaysBetween
    >>> users = Table.of(pl.DataFrame({"joined": [date(2024, 1, 1)], "seen": [date(2024, 3, 1)]}))
    >>> features(users, [DaysBetween("days", "joined", "seen")]).polars().collect()["days"].to_list()
    [60]
    """
    return table_of(apply_rules(scan(table), rules))
