"""What Narwhals can't say: one small room for each engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import polars as pl

    Lazy = nw.LazyFrame[Any]


def with_row_number(frame: Lazy, name: str) -> Lazy:
    """Number the rows from 0, in their order."""
    import narwhals as nw

    return nw.from_native(_polars(frame, "the rows' order").with_row_index(name).with_columns(_int64(name)))


def with_repeats(frame: Lazy, columns: Sequence[str], name: str) -> Lazy:
    """Mark the rows whose key an earlier row has. A key with a missing part is nobody's repeat."""
    import narwhals as nw
    import polars as pl

    native = _polars(frame, "the rows' order")
    key = pl.struct(list(columns))
    whole = pl.all_horizontal(pl.col(list(columns)).is_not_null())
    return nw.from_native(native.with_columns((~key.is_first_distinct() & whole).alias(name)))


def with_key_share(frame: Lazy, column: str, name: str, *, seed: int) -> Lazy:
    """Add each key's place between 0 and 1: ``int(sha256(f"{seed}:{key}").hexdigest()[:13], 16) / 16**13``.

    The key is written as text (whole numbers in decimal digits); a missing one as nothing.
    """
    import narwhals as nw
    import polars as pl

    native = _polars(frame, "hashes")
    text = pl.col(column).cast(pl.String).fill_null("")
    share = text.map_batches(lambda keys: _shares(keys, seed), return_dtype=pl.Float64, is_elementwise=True)
    return nw.from_native(native.with_columns(share.alias(name)))


def with_values(frame: Lazy, name: str, values: np.ndarray[Any, Any]) -> Lazy:
    """Add a column of values that are in memory, one for each row in the rows' order."""
    import narwhals as nw
    import polars as pl

    native = _polars(frame, "the rows' order")
    beside = pl.Series(name, values).to_frame().lazy()
    return nw.from_native(pl.concat([native, beside], how="horizontal"))


def _shares(keys: pl.Series, seed: int) -> pl.Series:
    from hashlib import sha256

    import polars as pl

    start = sha256(f"{seed}:".encode())
    shares = []
    for key in keys:
        digest = start.copy()
        digest.update(key.encode())
        shares.append(int(digest.hexdigest()[:13], 16) / 16**13)
    return pl.Series(keys.name, shares, dtype=pl.Float64)


def _int64(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.Int64)


def _polars(frame: Lazy, what: str) -> pl.LazyFrame:
    import polars as pl

    native = frame.to_native()
    if not isinstance(native, pl.LazyFrame):
        raise DataError(
            f"The engine of this table ({type(native).__module__.partition('.')[0]}) doesn't give {what}",
            hint="open the table on Polars for this step",
        )
    return native
