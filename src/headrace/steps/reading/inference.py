"""What text columns hold: decided on the whole file, so that the answer depends on no sample and no block.

Kinds stand in an order: what reads as an integer reads as a number, what reads as a date reads as a datetime, and all
is text. So blocks can be looked at apart: the kind of the whole is the least one that is no less than each block's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.steps.kinds import Kind, polars_type

if TYPE_CHECKING:
    import polars as pl

CANDIDATES: tuple[Kind, ...] = ("integer", "number", "boolean", "date", "datetime")
"""In the order in which they are preferred; text is what is left."""

_WIDER: dict[Kind, tuple[Kind, ...]] = {
    "integer": ("integer", "number"),
    "number": ("number",),
    "boolean": ("boolean",),
    "date": ("date", "datetime"),
    "datetime": ("datetime",),
    "text": (),
}

_CODE = r"^[+-]?(0\d|\d{16,}$)"
LONG_CODE = 16


def joined(left: Kind | None, right: Kind | None) -> Kind | None:
    """The least kind that values of both can be read as; None is a column without any value."""
    if left is None or right is None:
        return left or right
    return next((kind for kind in _WIDER[left] if kind in _WIDER[right]), "text")


def guessed(values: pl.Series, least: Kind | None) -> tuple[Kind | None, pl.Series]:
    """Read text as the first kind, from ``least`` on, that all values can be read as.

    Numbers with leading zeros and whole numbers too long for a float are identifiers, not numbers. None, and the text
    as it is, where there is no value.
    """
    if values.null_count() == len(values):
        return least, values
    for kind in CANDIDATES if least is None else _WIDER[least]:
        found = _all_read(values, kind)
        if found is not None:
            return kind, found
    return "text", values


def _all_read(values: pl.Series, kind: Kind) -> pl.Series | None:
    found, n_missing = _read(values, kind), values.null_count()
    if found.null_count() != n_missing or (kind in ("integer", "number") and _has_code(values)):
        return None
    return found.fill_nan(None) if kind == "number" else found


def _has_code(values: pl.Series) -> bool:
    return bool(values.str.contains(_CODE).any())


def read(values: pl.Series, kind: Kind) -> tuple[pl.Series, pl.Series]:
    """Read text as a declared kind: what can't be read is missing. Also say which values that are."""
    found = _read(values, kind)
    misfits = found.is_null() & values.is_not_null()
    return found.fill_nan(None) if kind == "number" else found, misfits


def _read(values: pl.Series, kind: Kind) -> pl.Series:
    """Read text; a NaN stays one here."""
    if kind == "text":
        return values
    if kind == "boolean":
        return _booleans(values)
    if kind == "date":
        return values.str.to_date("%Y-%m-%d", strict=False)
    if kind == "datetime":
        return _moments(values)
    return values.cast(polars_type(kind), strict=False)


def _booleans(values: pl.Series) -> pl.Series:
    import polars as pl

    low = values.str.to_lowercase()
    word = pl.when(low == "true").then(True).when(low == "false").then(False)
    return pl.select(word.alias(values.name)).to_series()


def _moments(text: pl.Series) -> pl.Series:
    """Read ISO 8601 moments. One with an offset is turned into UTC; one without is taken as it stands."""
    import polars as pl

    first = next((value for value in text.head(100) if value is not None), "")
    # Without fractions Polars reads five times as fast.
    form = f"%Y-%m-%d{' ' if first[10:11] == ' ' else 'T'}%H:%M:%S{'' if len(first) == 19 else '%.f'}"
    found = text.str.to_datetime(form, time_unit="us", strict=False)
    if found.null_count() == text.null_count():
        return found
    iso = text.str.replace(" ", "T", literal=True)
    found = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    others = [
        iso.str.to_datetime("%Y-%m-%dT%H:%M", time_unit="us", strict=False),
        iso.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None),
        text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
    ]
    return pl.select(pl.coalesce(found, *others).alias(text.name)).to_series()
