"""What a column holds, in six words that mean the same on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from headrace.core.errors import DataError, near_miss

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

Kind = Literal["integer", "number", "text", "date", "datetime", "boolean"]
"""The kind of a column's values: whole numbers and floats of 64 bits, text, days, moments, true or false."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def check_kind(kind: str, *, column: str) -> Kind:
    """Give the kind of that name. Raises DataError when there is none."""
    if kind not in KINDS:
        raise DataError(
            f"Column {column!r} is declared as {kind!r}, which is no kind of column",
            hint=near_miss(kind, KINDS) or f"one of {', '.join(KINDS)}",
        )
    return kind


def polars_type(kind: Kind) -> pl.DataType:
    """Give the Polars type for a kind."""
    import polars as pl

    types: dict[Kind, pl.DataType] = {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "text": pl.String(),
        "date": pl.Date(),
        "datetime": pl.Datetime("us"),
        "boolean": pl.Boolean(),
    }
    return types[kind]


def kind_of(dtype: nw.dtypes.DType) -> Kind | None:
    """Give the kind of a Narwhals type; None for one that no model can take (a list, a struct, bytes)."""
    import narwhals as nw

    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    simple: dict[type[nw.dtypes.DType], Kind] = {
        nw.String: "text",
        nw.Categorical: "text",
        nw.Enum: "text",
        nw.Date: "date",
        nw.Datetime: "datetime",
        nw.Boolean: "boolean",
    }
    return next((kind for type_, kind in simple.items() if isinstance(dtype, type_)), None)
