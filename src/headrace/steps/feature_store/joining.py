"""Point-in-time joins: to each label what was known at its moment, and nothing that was learnt later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import Table, TableLike
from headrace.steps.feature_store import known
from headrace.steps.feature_store.known import KNOWN, TIMESTAMP
from headrace.steps.feature_store.rooms import as_of, with_known_types, with_microseconds
from headrace.steps.feature_store.view import FeatureView
from headrace.steps.kinds import kind_of
from headrace.steps.rooms import with_row_number
from headrace.steps.tables import need_columns, table_of

if TYPE_CHECKING:
    import narwhals as nw

    Lazy = nw.LazyFrame[Any]

ROW, AT = "_row", "_at"


@step
def point_in_time(labels: TableLike, views: Sequence[FeatureView], *, at: str) -> Table:
    """Add to each row the features that were known of its entity at its moment.

    The rows stay as they are, in number and order; the views' features follow as further columns, view after view.
    What was known at a moment is told in `FeatureView`: corrections and late rows count from when they were created.
    Where nothing was known, or a row's key or moment is missing, the features are missing. NaN counts as missing.

    A view's rows are sorted and joined by the engine, Polars or DuckDB; DuckDB spills to disk what memory doesn't hold.

    Parameters
    ----------
    labels
        The rows, with each view's entity columns, under the same names.
    views
        The feature views, each with its table: ``activity.on(orders)``.
    at
        The column with each row's moment: a datetime or a date (the beginning of the day).

    Raises
    ------
    DataError
        A column isn't there, or its kind doesn't fit; a feature has the name of another column; a view has no table;
        times with a time zone meet times without.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> prices = pl.DataFrame(
    ...     {"plan": ["a", "a"], "day": [date(2024, 1, 1), date(2024, 2, 1)], "fee": [9.0, 12.0]}
    ... )
    >>> labels = pl.DataFrame({"plan": ["a", "a", "b"], "day": [date(2024, 2, 9), date(2024, 1, 31), date(2024, 1, 1)]})
    >>> fees = FeatureView("fees", "plan", "day", {"fee": "number"})
    >>> point_in_time(labels, [fees.on(prices)], at="day").polars().collect()["fee"].to_list()
    [12.0, 9.0, None]
    """
    frame = known.opened(labels)
    schema = with_known_types(frame).collect_schema()
    names = list(schema)
    need_columns([at], names, what="point_in_time looks at")
    has_zone = known.time_zone(at, schema[at], "of the labels")
    _refuse_clashes(names, views)
    frame = with_microseconds(with_row_number(frame, ROW), {AT: at})
    made: list[str] = []
    for number, view in enumerate(views):
        frame = _joined(frame, schema, view, number, has_zone=has_zone)
        made += view.names.values()
    return table_of(frame.sort(ROW).select(*names, *made))


def _joined(frame: Lazy, schema: known.Schema, view: FeatureView, number: int, *, has_zone: bool) -> Lazy:
    """Add one view's features to the labels."""
    import narwhals as nw

    if view.source is None:
        raise DataError(f"Feature view {view.name!r} has no table", hint=f"give it one: {view.name}.on(table)")
    _check_labels(schema, view, with_known_types(known.opened(view.source)).collect_schema(), has_zone=has_zone)
    rows = known.told_rows(view, known.rows_of(view, view.source))
    keys = known.key_names(view)
    for place, column in enumerate(view.keys):
        frame = frame.with_columns(known.key_of(column, schema[column], "of the labels").alias(keys[place]))
    joined = as_of(frame, rows, AT, KNOWN, keys)
    features = [nw.col(known.feature_name(place)) for place in range(len(view.features))]
    if view.ttl_microseconds is not None:
        holds = nw.col(AT) - nw.col(TIMESTAMP) <= view.ttl_microseconds
        features = [nw.when(holds).then(feature) for feature in features]
    named = [feature.alias(name) for feature, name in zip(features, view.names.values(), strict=True)]
    added = [
        *keys,
        *(known.feature_name(place) for place in range(len(view.features))),
        TIMESTAMP,
        known.CREATED,
        KNOWN,
    ]
    there = set(joined.collect_schema())
    return joined.with_columns(*named).drop(*(name for name in added if name in there))


def _refuse_clashes(names: Sequence[str], views: Sequence[FeatureView]) -> None:
    taken = dict.fromkeys(names, "a column of the labels")
    for view in views:
        for name in view.names.values():
            if name in taken:
                raise DataError(
                    f"Feature {name!r} of view {view.name!r} has the name of {taken[name]}",
                    hint=f"FeatureView(…, prefix='{view.name}_') puts something before its features' names",
                )
            taken[name] = f"a feature of view {view.name!r}"
    for name in taken:
        if name in (ROW, AT, TIMESTAMP, known.CREATED, KNOWN) or name.startswith(("_key_", "_feature_")):
            raise DataError(f"The name {name!r} is needed by point_in_time itself", hint="rename the column before")


def _check_labels(schema: known.Schema, view: FeatureView, rows: known.Schema, *, has_zone: bool) -> None:
    """Raise DataError where labels and a view can't be compared."""
    need_columns(view.keys, schema, what=f"Feature view {view.name!r} is of")
    need_columns([*view.keys, view.timestamp], rows, what=f"Feature view {view.name!r} names")
    for column in view.keys:
        one, other = kind_of(schema[column]), kind_of(rows[column])
        if one != other:
            raise DataError(
                f"Column {column!r} is {one} in the labels and {other} in feature view {view.name!r}",
                hint="make them of one kind first",
            )
    for column in filter(None, (view.timestamp, view.created)):
        if column in rows and known.time_zone(column, rows[column], f"of feature view {view.name!r}") != has_zone:
            with_zone = "the labels" if has_zone else f"column {column!r} of feature view {view.name!r}"
            without = f"column {column!r} of feature view {view.name!r}" if has_zone else "the labels"
            raise DataError(
                f"The times of {with_zone} have a time zone and those of {without} don't, so they can't be compared",
                hint="give both a time zone, or neither",
            )
