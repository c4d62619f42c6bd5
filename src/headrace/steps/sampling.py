"""Taking a sample where data enters a run: the same keys in each table, and the same in each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError
from headrace.core.sample import SAMPLING, Sample, Sampling
from headrace.formats.table import Table, TableLike
from headrace.steps.kinds import kind_of
from headrace.steps.rooms import with_key_share, with_values
from headrace.steps.tables import collect, scan, table_of

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import polars as pl

    Lazy = nw.LazyFrame[Any]

PLACE = "_sample_place"
KEY_KINDS = ("integer", "text", "date")
OWN_SEED = 0x73616D706C65
"""Other places than those by which rows are split: else a sample would hold the rows of one side alone."""


def sampled(table: TableLike, sampling: Sampling = SAMPLING) -> Table:
    """Give what the run takes of a table: all of it, or its sample.

    For steps that read data themselves: they take ``sampling: Sampling = SAMPLING`` as an argument, which makes the
    sample a part of their key, and pass it on. In plain calls it gives the table.

    Raises
    ------
    DataError
        The sample's key is of a kind that isn't written alike everywhere (a float, a moment).
    """
    sample = sampling.sample
    return Table.of(table) if sample is None else take(table, sample)


def take(table: TableLike, sample: Sample) -> Table:
    """Give a sample of a table, its rows in their order.

    With a key, a key's place is ``int(sha256(f"sample {seed}:{key}").hexdigest()[:13], 16) / 16**13``, which has
    nothing to do with its place in a split `ByKey`; the rows are taken whose place is below the share. Keys without a
    value go together, as one key. A table that has none of the key's columns is taken whole. Without a key the place
    is the row's: ``splitmix64(seed + s + (i + 1) * 0x9E3779B97F4A7C15) / 2**64`` for row ``i`` from 0, where ``s`` is
    0x73616D706C65 ("sample"), by the generator of `AtRandom`.

    Stratified, of each value of the column the ``round(share * n)`` keys (or rows) with the lowest places are taken,
    one at least; a missing value is a value. A key that stands beside several values counts for the first of them by
    its order. The places of all keys (or rows) and their strata are held in memory then: some 20 bytes each.

    >>> import polars as pl
    >>> orders = pl.DataFrame({"customer": [1, 2, 3, 3, 4], "amount": [5, 6, 7, 8, 9]})
    >>> take(orders, Sample(0.5, key=("customer",))).polars().collect().rows()
    [(2, 6), (3, 7), (3, 8), (4, 9)]
    """
    frame = scan(table, in_order=True)
    schema = frame.collect_schema()
    if PLACE in schema:
        raise DataError(f"The table has a column {PLACE!r}, which sampling needs", hint="rename it before")
    key = next((name for name in sample.key if name in schema), None)
    if sample.key and key is None:
        return Table.of(table)
    strata = sample.stratify if sample.stratify in schema else None
    if key is None:
        return _rows(frame, strata, sample)
    _check_key(key, schema)
    placed = with_key_share(frame, key, PLACE, seed=f"sample {sample.seed}")
    if strata is None:
        return _below(placed, sample.share)
    return _stratified(placed, key, strata, sample)


def _check_key(key: str, schema: nw.Schema) -> None:
    kind = kind_of(schema[key])
    if kind not in KEY_KINDS:
        raise DataError(
            f"Column {key!r} is {schema[key]}, which is no key to sample by: equal values may be written differently",
            hint="declare it as text where it is taken in, or name another key",
        )


def _below(placed: Lazy, share: float) -> Table:
    import narwhals as nw

    return table_of(placed.filter(nw.col(PLACE) < share).drop(PLACE))


def _stratified(placed: Lazy, key: str, strata: str, sample: Sample) -> Table:
    """Find the places that are taken in memory, a place for each key; then take their rows in the rows' order."""
    import narwhals as nw

    keys = collect(placed.group_by(PLACE).agg(nw.col(strata).min().alias("stratum")))
    places = keys[PLACE].to_numpy()
    taken = places[_lowest(keys["stratum"], places, sample.share)]
    return table_of(placed.filter(nw.col(PLACE).is_in(taken.tolist())).drop(PLACE))


def _rows(frame: Lazy, strata: str | None, sample: Sample) -> Table:
    import narwhals as nw

    from headrace.steps.splitting import splitmix64

    values = collect(frame.select(strata if strata else nw.len()))
    n = len(values) if strata else int(values.item())
    places = splitmix64(n, sample.seed + OWN_SEED) / 2.0**64
    taken = places < sample.share if strata is None else _lowest(values.to_series(), places, sample.share)
    return table_of(with_values(frame, PLACE, taken).filter(nw.col(PLACE)).drop(PLACE))


def _lowest(values: pl.Series, places: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    """Say which places are among the lowest of their stratum."""
    import numpy as np

    strata = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    order = np.lexsort((places, strata))
    starts = np.flatnonzero(np.diff(strata[order], prepend=-1))
    sizes = np.diff(starts, append=len(strata))
    rank = np.arange(len(strata)) - np.repeat(starts, sizes)
    taken = np.zeros(len(strata), dtype=bool)
    taken[order] = rank < np.repeat(np.maximum(np.round(share * sizes), 1), sizes)
    return taken
