"""Profile: one pass over a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

from headrace.core.errors import DataError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.profiling.association import TargetBlock
from headrace.steps.profiling.blocks import open_blocks
from headrace.steps.profiling.column import ColumnKind
from headrace.steps.profiling.counting import Counter, arrow_kind, counter_for, numbers_in
from headrace.steps.profiling.profiles import Profile
from headrace.steps.tables import need_columns

if TYPE_CHECKING:
    import pyarrow as pa

N_THREADS = 2
MOST_SLICES = 50
MISSING = "(missing)"

MakeCounter: TypeAlias = Callable[[str, ColumnKind, str], Counter]
"""What makes the counter for a column, of its name, kind and type."""


@step
def profile(
    table: TableLike,
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    slices: Sequence[str] = (),
) -> Profile:
    """Learn in one pass what each column holds.

    Of every column: type, rows, missing values (NaN is missing), distinct values, frequent values. Of numbers, days and
    moments also zero, negative and infinite ones, smallest and largest, mean, standard deviation, skew, quantiles and
    a histogram, all of the finite ones; of text the lengths and the classes of characters. The profile of an empty
    table has no values in it.

    Exact: all counts, smallest and largest, and distinct and frequent values up to a thousand distinct ones. Past that
    distinct values are estimated with a standard error of 1.6 %, and frequent values have a count that may be short by
    what ``values.error`` says. A quantile is within 0.78 % of itself, mostly nearer. Equal tables give equal bytes,
    whichever engine reads them; profiles of parts add up to that of the whole (`Profile.merge`).

    Parameters
    ----------
    target
        The column that is to be predicted: others say then how they go with it.
    columns
        The columns to look at; all by default.
    slices
        Columns of at most fifty values (text, whole numbers or booleans): for each value the rows that have it are
        profiled by themselves too, which takes about as long again for each such column.

    Raises
    ------
    DataError
        A column isn't there; the target is neither numbers nor text nor booleans; a column of ``slices`` has too many
        values.

    Examples
    --------
    >>> import polars as pl
    >>> people = pl.DataFrame({"age": [36.0, 41.0, None, 150.0], "plan": ["a", "b", "a", "a"]})
    >>> found = profile(people)
    >>> age, plan = found["age"], found["plan"]
    >>> age.n_missing, age.least, age.greatest, round(age.mean, 2), plan.n_distinct, plan.top
    (1, 36.0, 150.0, 75.67, 2, [('a', 3), ('b', 1)])
    """
    return scan_columns(
        table, columns, make=lambda name, kind, type_name: counter_for(kind, type_name), target=target, slices=slices
    )


def scan_columns(
    table: object,
    columns: Sequence[str] | None,
    *,
    make: MakeCounter,
    target: str | None = None,
    slices: Sequence[str] = (),
) -> Profile:
    """Count columns in one pass, by counters of the caller's."""
    extra = [*([target] if target else []), *slices]
    chosen = None if columns is None else list(dict.fromkeys([*columns, *extra]))
    schema, blocks = open_blocks(table, chosen)
    need_columns(extra, schema.names, what="The profile's target= or slices= names")
    kinds = {field.name: (arrow_kind(field.type), str(field.type)) for field in schema}
    counted = [name for name in kinds if columns is None or name in columns or name == target]
    with ThreadPoolExecutor(N_THREADS) as pool:
        groups = _Groups(pool, lambda: {name: make(name, *kinds[name]) for name in counted}, target)
        for block in blocks:
            whole = {name: _whole(block, name) for name in kinds}
            groups.add(None, whole, block.num_rows)
            for name in slices:
                for value, rows in _rows_by_value(whole[name], name):
                    part = {other: array.filter(rows) for other, array in whole.items()}
                    groups.add((name, value), part, len(part[name]))
    return groups.freeze(slices)


class _Groups:
    """Counters of all rows, and of those of each slice."""

    def __init__(self, pool: ThreadPoolExecutor, make: Callable[[], dict[str, Counter]], target: str | None) -> None:
        self._pool = pool
        self._make = make
        self._target = target
        self._counters: dict[tuple[str, str] | None, dict[str, Counter]] = {None: make()}
        self._n_rows: dict[tuple[str, str] | None, int] = {None: 0}

    def add(self, group: tuple[str, str] | None, arrays: Mapping[str, pa.Array], n_rows: int) -> None:
        """Take rows of a group in, the columns side by side."""
        if group not in self._counters:
            self._counters[group] = self._make()
            self._n_rows[group] = 0
            _refuse_many(group, self._counters)
        self._n_rows[group] += n_rows
        target = self._target
        said = None if target is None else _target_of(arrays[target], target)
        work = [
            self._pool.submit(counter.add, arrays[name], None if name == target else said)
            for name, counter in self._counters[group].items()
        ]
        for done in work:
            done.result()

    def freeze(self, slices: Sequence[str]) -> Profile:
        """Give what was counted."""
        made = {
            group: Profile(
                self._n_rows[group], {name: counter.freeze() for name, counter in counters.items()}, self._target
            )
            for group, counters in self._counters.items()
        }
        found: dict[str, dict[str, Profile]] = {name: {} for name in slices}
        for group in sorted(group for group in made if group is not None):
            found[group[0]][group[1]] = made[group]
        whole = made[None]
        return Profile(whole.n_rows, whole.columns, self._target, found)


def _refuse_many(group: tuple[str, str] | None, groups: Collection[tuple[str, str] | None]) -> None:
    if group is not None and sum(other is not None and other[0] == group[0] for other in groups) > MOST_SLICES:
        raise DataError(
            f"Column {group[0]!r} has more than {MOST_SLICES} values, too many for slices",
            hint="name a column of few values",
        )


def _rows_by_value(array: pa.Array, name: str) -> Iterator[tuple[str, pa.Array]]:
    """Give each value of a column as text, and the mask of the rows that have it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if arrow_kind(array.type) not in ("text", "integer", "boolean"):
        raise DataError(
            f"Column {name!r} is of type {str(array.type)!r}, which makes no slices",
            hint="name a column of text, whole numbers or booleans",
        )
    encoded = array.cast(pa.string()).fill_null(MISSING).dictionary_encode()
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        yield value, pc.equal(encoded.indices, code)


def _whole(block: pa.Table, name: str) -> pa.Array:
    """Give a block's column as one array of values."""
    import pyarrow as pa

    column = block.column(name)
    array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _target_of(array: pa.Array, name: str) -> TargetBlock:
    import numpy as np
    import pyarrow as pa

    kind = arrow_kind(array.type)
    if kind in ("integer", "number", "boolean"):
        is_there = array.is_valid().to_numpy(zero_copy_only=False)
        numbers = np.full(len(array), np.nan)
        numbers[is_there] = numbers_in(array.drop_null())
        return TargetBlock(numbers)
    if kind != "text":
        raise DataError(f"The target {name!r} is of type {str(array.type)!r}", hint="name numbers, text or booleans")
    if pa.types.is_null(array.type):
        return TargetBlock(None, (), np.full(len(array), -1))
    encoded = array.dictionary_encode()
    labels: tuple[Any, ...] = tuple(encoded.dictionary.to_pylist())
    return TargetBlock(None, labels, encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False))
