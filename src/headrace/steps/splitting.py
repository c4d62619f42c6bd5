"""Split: rows for training, for choosing, and for the final test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import Table, TableLike
from headrace.steps.rooms import with_key_share, with_values
from headrace.steps.tables import collect, need_columns, scan, table_of

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np

    Lazy = nw.LazyFrame[Any]

SIDE = "_side"
SIDES = ("train", "validation", "test")


class Split(NamedTuple):
    """What `split` gives: each row in exactly one part, in the rows' order."""

    train: Table
    """What the model is fitted on."""
    validation: Table
    """What the threshold, and any choice between models, is made on."""
    test: Table
    """What nothing is chosen by."""


@dataclass(frozen=True, slots=True)
class AtRandom:
    """Rows at random, each class of ``stratify`` in the same shares.

    Row number ``i`` (from 0) has the score ``splitmix64(seed + (i + 1) * 0x9E3779B97F4A7C15)``. Within each value of
    ``stratify`` (a missing one is a value), rows are ranked by score: the first ``round(test * n)`` are for the test,
    the next ``round(validation * n)`` for validation, the rest for training. The generator is that of Steele, Lea
    and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
    """

    seed: int = 0
    stratify: str | None = None


@dataclass(frozen=True, slots=True)
class ByKey:
    """All rows of a key on one side, and on the same side when rows are added later.

    A key's place is ``int(sha256(f"{seed}:{key}").hexdigest()[:13], 16) / 16**13``: below ``test`` it is for the
    test, below ``test + validation`` for validation, else for training. Parts have these shares of *keys* on average.
    Rows without a key go together, as one key.
    """

    column: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ByTime:
    """The past for training, then validation, the latest for the test: what a model will be up against.

    The test begins at the moment from which on the share of rows is nearest to ``test``, validation at the one nearest
    to ``test + validation`` (of two as near, the later). Rows of one moment stay together. Rows without a time are
    for training, as nothing says that they are late.
    """

    column: str


How: TypeAlias = AtRandom | ByKey | ByTime
"""The ways to split."""


@step
def split(table: TableLike, how: How = AtRandom(), *, validation: float = 0.15, test: float = 0.15) -> Split:
    """Split a table's rows in three. Each part keeps the rows' order, and no row is lost or doubled.

    The table is scanned, never held; `AtRandom` and `ByTime` read the one column that they need.

    Parameters
    ----------
    how
        `AtRandom`, `ByKey` or `ByTime`; each says its formula.
    validation, test
        Shares of the rows (for `ByKey`: of the keys), each between 0 and 1, together less than 1.

    Raises
    ------
    DataError
        A share isn't between 0 and 1; the column isn't there; a part would have no rows; the key is a float.

    Examples
    --------
    >>> import polars as pl
    >>> parts = split(Table.of(pl.DataFrame({"id": range(100)})), ByKey("id"), validation=0.2, test=0.2)
    >>> [part.n_rows for part in parts]
    [68, 15, 17]
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 < share < 1:
            raise DataError(f"0 < {name} < 1 must hold, but got {name}={share!r}", hint="give a share, such as 0.2")
    if not validation + test < 1:
        raise DataError(
            f"validation + test < 1 must hold, but got {validation!r} + {test!r}", hint="leave rows for training"
        )
    frame = scan(table, in_order=not isinstance(how, ByTime))
    marked = _marked(frame, how, validation, test)
    counts = _counts(marked)
    for side, n in zip(SIDES, counts, strict=True):
        if n == 0:
            raise _empty_part(side, how, sum(counts))
    return Split(*(table_of(_part(marked, number)) for number in range(3)))


def _part(marked: Lazy, number: int) -> Lazy:
    import narwhals as nw

    return marked.filter(nw.col(SIDE) == number).drop(SIDE)


def _marked(frame: Lazy, how: How, validation: float, test: float) -> Lazy:
    names = list(frame.collect_schema())
    if SIDE in names:
        raise DataError(f"The table has a column {SIDE!r}, which split needs", hint="rename it before")
    if isinstance(how, AtRandom):
        return _at_random(frame, names, how, validation, test)
    need_columns([how.column], names, what="split looks at")
    if isinstance(how, ByKey):
        return _by_key(frame, how, validation, test)
    return _by_time(frame, how, validation, test)


def _by_key(frame: Lazy, how: ByKey, validation: float, test: float) -> Lazy:
    import narwhals as nw

    dtype = frame.collect_schema()[how.column]
    if dtype.is_float():
        raise DataError(
            f"Column {how.column!r} is {dtype}, which is no key: equal numbers may be written differently",
            hint="make it a whole number or text first",
        )
    placed = with_key_share(frame, how.column, SIDE, seed=how.seed)
    return placed.with_columns(_side(nw.col(SIDE) < test, nw.col(SIDE) < test + validation))


def _by_time(frame: Lazy, how: ByTime, validation: float, test: float) -> Lazy:
    import narwhals as nw

    time = nw.col(how.column)
    times = frame.filter(~time.is_null()).select(time.alias("moment"))
    counts = collect(times.group_by("moment").agg(nw.len().alias("n")).sort("moment"))
    if len(counts) < 3:
        raise DataError(
            f"Column {how.column!r} has {len(counts)} moments, too few for three parts", hint="split another way"
        )
    moments, n_rows = counts["moment"], counts["n"]
    shares = (n_rows.reverse().cum_sum().reverse() / n_rows.sum()).to_list()
    last = _nearest(shares, test, range(2, len(shares)))
    middle = _nearest(shares, test + validation, range(1, last))
    return frame.with_columns(
        _side((time >= moments[last]).fill_null(False), (time >= moments[middle]).fill_null(False))
    )


def _nearest(shares: list[float], wanted: float, among: range) -> int:
    return min(reversed(among), key=lambda place: abs(shares[place] - wanted))


def _side(is_test: nw.Expr, is_later: nw.Expr) -> nw.Expr:
    import narwhals as nw

    return (
        nw.when(is_test).then(nw.lit(2)).otherwise(nw.when(is_later).then(nw.lit(1)).otherwise(nw.lit(0))).alias(SIDE)
    )


def _at_random(frame: Lazy, names: list[str], how: AtRandom, validation: float, test: float) -> Lazy:
    import narwhals as nw
    import numpy as np

    if how.stratify is None:
        n = int(collect(frame.select(nw.len())).item())
        strata = np.zeros(n, dtype=np.int64)
    else:
        need_columns([how.stratify], names, what="split looks at")
        values = collect(frame.select(how.stratify)).to_series()
        strata = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    return with_values(frame, SIDE, _sides(strata, how.seed, validation, test))


def _sides(strata: np.ndarray[Any, Any], seed: int, validation: float, test: float) -> np.ndarray[Any, Any]:
    """Give each row 0 (train), 1 (validation) or 2 (test), in the shares wanted within each stratum."""
    import numpy as np

    order = np.lexsort((splitmix64(len(strata), seed), strata))
    starts = np.flatnonzero(np.diff(strata[order], prepend=-1))
    sizes = np.diff(starts, append=len(strata))
    rank = np.arange(len(strata)) - np.repeat(starts, sizes)
    n_test = np.repeat(np.round(test * sizes), sizes)
    n_validation = np.repeat(np.round(validation * sizes), sizes)
    sides = np.empty(len(strata), dtype=np.int8)
    sides[order] = np.where(rank < n_test, 2, np.where(rank < n_test + n_validation, 1, 0))
    return sides


def splitmix64(n: int, seed: int) -> np.ndarray[Any, Any]:
    """Give the first ``n`` numbers of the SplitMix64 generator: whole ones below 2^64."""
    import numpy as np

    first = np.uint64(seed % 2**64)
    with np.errstate(over="ignore"):
        mixed = first + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _counts(marked: Lazy) -> tuple[int, ...]:
    import narwhals as nw

    side = nw.col(SIDE)
    sums = [(side == number).cast(nw.Int64).sum().alias(name) for number, name in enumerate(SIDES)]
    return tuple(int(n or 0) for n in collect(marked.select(*sums)).row(0))


def _empty_part(side: str, how: How, n_rows: int) -> DataError:
    return DataError(
        f"Splitting {n_rows} rows with {how!r} leaves none for {side}", hint="give larger shares, or more rows"
    )
