"""Late and corrected rows: the newest of each key, in a table that keeps its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.core.context import current_run
from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import KeptParts, Table, TableLike
from headrace.steps.rooms import with_values
from headrace.steps.tables import collect, need_columns, scan, table_of

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np

ROW, NEW, KEEP = "_row", "_new_row", "_keep"


@step
def latest(table: TableLike, *, key: Sequence[str], newer_by: str | None = None) -> Table:
    """Keep the newest row of each key; rows keep their order.

    Of rows as new as one another the last one stays. A row without a value in ``newer_by`` is older than any other,
    and one with a missing part in its key is nobody's double: it stays. The columns of the key and ``newer_by`` are
    held in memory, the rest is scanned.

    Parameters
    ----------
    key
        The columns that name what a row is about.
    newer_by
        A column that grows, such as when the row was changed; without it a row below is newer than one above.

    Raises
    ------
    DataError
        A column isn't there, or no key is named.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({"id": [1, 2, 1], "changed": [5, 5, 9], "city": ["Rome", "Oslo", "Bern"]})
    >>> latest(log, key=["id"], newer_by="changed").polars().collect().rows()
    [(2, 5, 'Oslo'), (1, 9, 'Bern')]
    """
    frame = scan(table, in_order=True)
    _check(frame.collect_schema(), key, newer_by)
    keep = _newest_rows(frame, key, newer_by)
    return table_of(with_values(frame, KEEP, keep).filter(_col(KEEP)).drop(KEEP))


@step
def merge(old: TableLike, new: TableLike, *, key: Sequence[str], newer_by: str | None = None) -> Table:
    """Put new and corrected rows into a table by their key.

    Where ``new`` has a row of the same key, it takes the place of the one in ``old``, unless that one is newer by
    ``newer_by``; of two as new as one another the new one stays. Rows of keys that ``old`` hasn't come below, in the
    order of ``new``, of which the newest of each key counts (see `latest`). A row with a missing part in its key comes
    below, too. ``old`` has a key once, as what `merge` gives; of a key that stands there twice, each is replaced.

    Of a stored table only the parts are written again that a row of is replaced in; the others stay the very objects
    that they are. ``new`` is held in memory, and one part of ``old`` at a time.

    Parameters
    ----------
    old, new
        Tables with the same columns.
    key
        The columns that name what a row is about.
    newer_by
        A column that grows, such as when the row was changed. A row without a value in it is older than any other.

    Raises
    ------
    DataError
        A column isn't there, no key is named, or the tables' columns differ.

    Examples
    --------
    >>> import polars as pl
    >>> people = pl.DataFrame({"id": [1, 2], "changed": [5, 5], "city": ["Rome", "Oslo"]})
    >>> seen = pl.DataFrame({"id": [3, 2, 1], "changed": [6, 6, 4], "city": ["Bern", "Kyiv", "Bonn"]})
    >>> merge(people, seen, key=["id"], newer_by="changed").polars().collect().rows()
    [(1, 5, 'Rome'), (2, 6, 'Kyiv'), (3, 6, 'Bern')]
    """
    import numpy as np

    schema = scan(old, in_order=True).collect_schema()
    _check(schema, key, newer_by)
    _refuse_other_columns(schema, scan(new, in_order=True).collect_schema())
    coming = _eager(latest(new, key=key, newer_by=newer_by)).select(*schema)
    is_placed = np.zeros(len(coming), dtype=bool)
    pieces = [_merged(piece, coming, key, newer_by, is_placed) for piece in _pieces(Table.of(old))]
    if not is_placed.all():
        pieces.append(_kept(coming.filter((~is_placed).tolist())))
    return Table.joined(pieces)


def _merged(
    piece: Table, coming: nw.DataFrame[Any], key: Sequence[str], newer_by: str | None, is_placed: np.ndarray[Any, Any]
) -> Table | KeptParts:
    """Give a piece with its rows replaced, or as it is where none is; and mark which of the new rows it has."""
    import narwhals as nw
    import numpy as np

    versions = [newer_by] if newer_by is not None else []
    there = _numbered(nw.from_native(collect(scan(piece, in_order=True).select(*key, *versions))), ROW)
    here = _numbered(coming.select(*key, *versions), NEW)
    both = there.join(here, on=list(key), how="inner", suffix="_new")
    if len(both) == 0:
        return piece
    rows, new_rows = both[ROW].to_numpy(), both[NEW].to_numpy()
    is_placed[new_rows] = True
    if newer_by is not None:
        before, after = nw.col(newer_by), nw.col(f"{newer_by}_new")
        is_newer = both.select(take=(before.is_null() | (after >= before)).fill_null(False))["take"].to_numpy()
        rows, new_rows = rows[is_newer], new_rows[is_newer]
    if len(rows) == 0:
        return piece
    whole = _eager(piece)
    order = np.arange(len(whole))
    order[rows] = len(whole) + new_rows
    return _kept(nw.concat([whole, coming])[order.tolist()])


def _pieces(table: Table) -> Iterator[Table]:
    if table.paths:
        yield from (Table([path]) for path in table.paths)
    else:
        yield table


def _kept(frame: nw.DataFrame[Any]) -> Table | KeptParts:
    """Store what was made in a run at once, so that it isn't held."""
    run = current_run()
    table = Table.of(frame.to_native())
    if run is None:
        return table
    from headrace.engine.exchange import save_value

    return KeptParts(run.store, save_value(table, Table, run.store).files)


def _newest_rows(frame: Any, key: Sequence[str], newer_by: str | None) -> np.ndarray[Any, Any]:
    """Mark the rows that are the newest of their key, and those without a whole key."""
    import narwhals as nw
    import numpy as np

    versions = [newer_by] if newer_by is not None else []
    held = _numbered(nw.from_native(collect(frame.select(*key, *versions))), ROW)
    keep = np.ones(len(held), dtype=bool)
    whole = held.filter(~nw.any_horizontal(*(nw.col(name).is_null() for name in key), ignore_nulls=False))
    keep[whole[ROW].to_numpy()] = False
    newest = whole.sort(*versions, ROW, nulls_last=False).unique(list(key), keep="last", maintain_order=True)
    keep[newest[ROW].to_numpy()] = True
    return keep


def _numbered(frame: nw.DataFrame[Any], name: str) -> nw.DataFrame[Any]:
    return frame.with_row_index(name)


def _eager(table: Table) -> nw.DataFrame[Any]:
    import narwhals as nw

    return nw.from_native(collect(scan(table, in_order=True)))


def _col(name: str) -> nw.Expr:
    import narwhals as nw

    return nw.col(name)


def _check(schema: nw.Schema, key: Sequence[str], newer_by: str | None) -> None:
    if not key or isinstance(key, str):
        raise DataError("Rows are told apart by a key, but none is named", hint="such as key=['customer_id']")
    need_columns([*key, *([newer_by] if newer_by is not None else [])], schema, what="rows are told apart by")
    for name in (ROW, NEW, KEEP):
        if name in schema:
            raise DataError(f"The table has a column {name!r}, which merging needs", hint="rename it before")


def _refuse_other_columns(old: nw.Schema, new: nw.Schema) -> None:
    unlike = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if unlike:
        shown = ", ".join(f"{name!r} ({old.get(name, 'absent')}, {new.get(name, 'absent')})" for name in unlike[:5])
        raise DataError(
            f"Tables that are merged have the same columns, but these differ (old, new): {shown}",
            hint="bring them to the same columns and types first",
        )
