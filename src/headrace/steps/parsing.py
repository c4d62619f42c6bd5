"""Reading text as numbers, days and moments in Narwhals' expressions: what can't be read becomes missing.

Narwhals has no cast that forgives, so what can be read is found first, and the rest masked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from headrace.core.errors import DataError
from headrace.steps.kinds import Kind, kind_of

if TYPE_CHECKING:
    import narwhals as nw

NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INTEGER = r"^[+-]?[0-9]{1,18}(\.0*)?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"


def as_kind(column: str, dtype: nw.dtypes.DType, kind: Kind) -> nw.Expr:
    """Give a column as a kind, missing where it can't be read so. A NaN is missing.

    Raises DataError where a column of that type never can (a boolean as a day).
    """
    import narwhals as nw

    return _as_kind(nw.col(column), column, dtype, kind).alias(column)


def _as_kind(value: nw.Expr, column: str, dtype: nw.dtypes.DType, kind: Kind) -> nw.Expr:
    import narwhals as nw

    found = kind_of(dtype)
    if found == "text" and kind != "text" and dtype != nw.String:
        value = value.cast(nw.String)
    if found == kind:
        return value if kind != "number" else _without_nan(value, dtype).cast(nw.Float64)
    if found == "text":
        return _read_text(value, kind)
    if kind == "text" and found is not None:
        return value.cast(nw.String)
    if found == "integer" and kind == "number":
        return value.cast(nw.Float64)
    if found == "number" and kind == "integer":
        plain = _without_nan(value, dtype)
        whole = (plain == plain.round(0)) & (plain.abs() < 2.0**63)
        return nw.when(whole).then(plain).cast(nw.Int64)
    if found == "boolean" and kind in ("integer", "number"):
        return value.cast(nw.Int64) if kind == "integer" else value.cast(nw.Int64).cast(nw.Float64)
    if {found, kind} == {"date", "datetime"}:
        return value.cast(nw.Date) if kind == "date" else value.cast(nw.Datetime("us"))
    raise DataError(f"Column {column!r} is {dtype}, which can't be read as {kind}", hint="leave this check out")


def plain_value(column: str, dtype: nw.dtypes.DType) -> nw.Expr:
    """Give a column with NaN as missing."""
    import narwhals as nw

    return _without_nan(nw.col(column), dtype)


def _without_nan(value: nw.Expr, dtype: nw.dtypes.DType) -> nw.Expr:
    import narwhals as nw

    return nw.when(~value.is_nan()).then(value) if dtype.is_float() else value


def _read_text(value: nw.Expr, kind: Kind) -> nw.Expr:
    import narwhals as nw

    if kind == "boolean":
        low = value.str.to_lowercase()
        return nw.when(low == "true").then(nw.lit(True)).otherwise(nw.when(low == "false").then(nw.lit(False)))
    if kind == "number":
        return nw.when(value.str.contains(NUMBER)).then(value).cast(nw.Float64)
    if kind == "integer":
        # Through the digits before the point: a float would lose those past the fifteenth.
        return nw.when(value.str.contains(INTEGER)).then(value.str.replace_all(r"\..*$", "")).cast(nw.Int64)
    if kind == "date":
        return nw.when(_is_day(value, DAY)).then(value).str.to_datetime("%Y-%m-%d").cast(nw.Date)
    moment = nw.when(_is_day(value, MOMENT)).then(value.str.replace_all(" ", "T", literal=True))
    # Engines spell a fraction of a second in a format each in its own way: it is read by itself.
    seconds = moment.str.slice(0, 19).str.to_datetime("%Y-%m-%dT%H:%M:%S").cast(nw.Datetime("us"))
    digits = nw.concat_str([moment.str.slice(20, 6), nw.lit("000000")]).str.slice(0, 6)
    return (seconds + nw.lit(timedelta(microseconds=1)) * digits.cast(nw.Int64)).cast(nw.Datetime("us"))


def _is_day(value: nw.Expr, pattern: str) -> nw.Expr:
    """Say which texts begin with a day that is in the calendar."""
    import narwhals as nw

    looks = value.str.contains(pattern)
    year, month, day = (
        nw.when(looks).then(value.str.slice(start, length)).cast(nw.Int64) for start, length in ((0, 4), (5, 2), (8, 2))
    )
    is_leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    longest = (
        nw.when(month.is_in([4, 6, 9, 11]))
        .then(nw.lit(30))
        .otherwise(
            nw.when(month == 2).then(nw.when(is_leap).then(nw.lit(29)).otherwise(nw.lit(28))).otherwise(nw.lit(31))
        )
    )
    return looks & (month >= 1) & (month <= 12) & (day >= 1) & (day <= longest)
