"""A feature view: what is known of an entity, since when, and for how long it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from headrace.core.errors import DataError
from headrace.formats.table import TableLike
from headrace.steps.kinds import Kind, check_kind

NAME = re.compile(r"[A-Za-z_][\w-]*")
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class FeatureView:
    """Features of an entity, each row known from a moment on.

    A row says: at ``timestamp`` the features of this entity were these, and since ``created`` we know it. A correction
    is a row of the same timestamp that was created later. What is known of an entity at a moment *t* is told by the
    rows with ``timestamp <= t`` and ``created <= t``: of these by the one with the newest timestamp; of several with
    that, by the one created last; of several with both, by the one with the greatest values (compared feature by
    feature in the order in which they stand here; a missing value is the least, text is compared by its code points).
    So the answer hangs neither on the order of the rows nor on how they are stored. If that row's timestamp is more
    than ``ttl`` before *t*, nothing is known.

    Rows without a timestamp, creation time or key are not looked at: nothing says when, or of whom, they tell. Times
    count to the microsecond; a date is the beginning of its day; times without a zone are taken as they are, and may
    not be compared with ones that have a zone.

    Parameters
    ----------
    name
        Letters, digits, ``_`` and ``-``; it is the view's name in an online store.
    entity
        The columns that say whom a row is about: whole numbers, text, dates or booleans; a text for a single one.
    timestamp
        The column with the moment that a row tells of: a datetime or a date.
    features
        The features' columns and their kinds.
    created
        The column with the moment from which on a row is known. Without one, a row is known from its timestamp on.
    ttl
        How long after its timestamp a row holds, inclusive; None for always.
    prefix
        Is put before the features' names, where two views have features of one name.
    source
        The table that holds the rows: a step's output, or in plain calls any table; see `on`.

    Raises
    ------
    DataError
        A name, a kind, or the time to live isn't as said; a column has two roles.

    Examples
    --------
    >>> FeatureView("activity", "customer_id", "day", {"n_orders": "integer"}, created="loaded_at").entity
    ('customer_id',)
    """

    name: str
    entity: tuple[str, ...] | str
    timestamp: str
    features: Mapping[str, Kind]
    created: str | None = None
    ttl: timedelta | None = None
    prefix: str = ""
    source: TableLike | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entity", (self.entity,) if isinstance(self.entity, str) else tuple(self.entity))
        where = f"feature view {self.name!r}"
        if not NAME.fullmatch(self.name):
            raise DataError(f"{self.name!r} is no name of a feature view", hint="letters, digits, _ and -")
        if not self.entity or not self.features:
            raise DataError("A feature view needs an entity's column, and a feature", where=where)
        for name, kind in self.features.items():
            check_kind(kind, column=name)
        columns = [*self.entity, *self.features]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise DataError(f"Column {twice[0]!r} is named twice", where=where)
        if self.ttl is not None and self.ttl <= timedelta():
            raise DataError(
                f"ttl > 0 must hold, but got ttl={self.ttl!r}", where=where, hint="leave it out for features that stay"
            )

    def on(self, source: TableLike) -> FeatureView:
        """Give the same view, with its rows from this table: ``activity.on(clean(orders))``."""
        return replace(self, source=source)

    @property
    def keys(self) -> tuple[str, ...]:
        """The entity's columns."""
        assert not isinstance(self.entity, str)
        return self.entity

    @property
    def names(self) -> dict[str, str]:
        """The features' names as they come out, by column."""
        return {column: f"{self.prefix}{column}" for column in self.features}

    @property
    def ttl_microseconds(self) -> int | None:
        """The time to live in microseconds."""
        return None if self.ttl is None else self.ttl // MICROSECOND
