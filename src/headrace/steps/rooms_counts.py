"""What is counted of columns in one scan, in the engine's own words: a room for each engine, as `headrace.steps.rooms`.

Narwhals can't look into moments as whole numbers, nor count several columns' values in one aggregate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import narwhals as nw
    import polars as pl

    Lazy = nw.LazyFrame[Any]

Label = str | bool


@dataclass(frozen=True, slots=True)
class Below:
    """Of a column of numbers: how many values lie below each threshold, and what isn't finite."""

    n_null: int
    n_nan: int
    n_infinite: int
    n_low: int
    """How many are -inf: these lie below every threshold."""
    below: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Of a column of categories: how many rows hold each of those asked for."""

    n_null: int
    counts: dict[Label, int]


def count_once(
    frame: Lazy, thresholds: Mapping[str, Sequence[float]], labels: Mapping[str, Sequence[Label]]
) -> tuple[int, dict[str, Below], dict[str, Held]]:
    """Count rows, values below thresholds, and rows with labels, in one scan that holds nothing.

    Days count as days, moments as microseconds since 1970.
    """
    import polars as pl

    native = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        found = _on_polars(native, thresholds, labels)
    else:
        found = _on_duckdb(native, thresholds, labels)
    below = {name: _below(found, name, len(cuts)) for name, cuts in thresholds.items()}
    held = {}
    for name, names in labels.items():
        counts = {label: int(found[f"{name}:={place}"] or 0) for place, label in enumerate(names)}
        held[name] = Held(int(found[f"{name}:null"] or 0), counts)
    return int(found["rows"]), below, held


def _below(found: Mapping[str, Any], name: str, n_cuts: int) -> Below:
    null, nan, high, low = (int(found.get(f"{name}:{what}") or 0) for what in ("null", "nan", "high", "low"))
    counts = tuple(int(found[f"{name}:<{place}"] or 0) - low for place in range(n_cuts))
    return Below(null, nan, high + low, low, counts)


def _on_polars(
    frame: pl.LazyFrame, thresholds: Mapping[str, Sequence[float]], labels: Mapping[str, Sequence[Label]]
) -> dict[str, Any]:
    import polars as pl

    schema = frame.collect_schema()
    asked = [pl.len().alias("rows")]
    for name, cuts in thresholds.items():
        value, is_float = _polars_number(name, schema[name])
        asked.append(value.null_count().alias(f"{name}:null"))
        if is_float:
            asked.append(value.is_nan().sum().alias(f"{name}:nan"))
            asked.append((value == math.inf).sum().alias(f"{name}:high"))
            asked.append((value == -math.inf).sum().alias(f"{name}:low"))
        asked += [
            (value < (cut if is_float else _whole(cut))).sum().alias(f"{name}:<{n}") for n, cut in enumerate(cuts)
        ]
    for name, names in labels.items():
        asked.append(pl.col(name).null_count().alias(f"{name}:null"))
        value = pl.col(name) if schema[name] == pl.Boolean else pl.col(name).cast(pl.String)
        if len(names) > 1 and schema[name] != pl.Boolean:
            places = value.replace_strict(list(names), range(len(names)), default=-1, return_dtype=pl.Int16)
            asked.append(places.value_counts().implode().alias(f"{name}:counts"))
        else:
            asked += [(value == label).sum().alias(f"{name}:={n}") for n, label in enumerate(names)]
    row = frame.select(asked).collect(engine="streaming").row(0, named=True)
    for name, names in labels.items():
        listed = row.pop(f"{name}:counts", None)
        if listed is not None:
            counts = {entry[name]: entry["count"] for entry in listed}
            row |= {f"{name}:={place}": counts.get(place, 0) for place in range(len(names))}
    return row


def _polars_number(name: str, kind: pl.DataType) -> tuple[pl.Expr, bool]:
    import polars as pl

    value = pl.col(name)
    if kind == pl.Date:
        return value.to_physical(), False
    if isinstance(kind, pl.Datetime):
        return value.dt.cast_time_unit("us").to_physical(), False
    if kind.is_integer() and kind != pl.UInt64:
        return value.cast(pl.Int64), False
    return value.cast(pl.Float64), True


def _on_duckdb(
    relation: duckdb.DuckDBPyRelation, thresholds: Mapping[str, Sequence[float]], labels: Mapping[str, Sequence[Label]]
) -> dict[str, Any]:
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    asked = [("rows", "count(*)")]
    for name, cuts in thresholds.items():
        asked += _duckdb_number(name, kinds[name], cuts)
    for name, names in labels.items():
        column = _quoted(name) if kinds[name] == "BOOLEAN" else f"{_quoted(name)}::VARCHAR"
        asked.append((f"{name}:null", f"count_if({_quoted(name)} IS NULL)"))
        asked += [(f"{name}:={n}", f"count_if({column} = {_literal(label)})") for n, label in enumerate(names)]
    values = relation.aggregate(", ".join(expression for _, expression in asked)).fetchall()[0]
    return dict(zip((name for name, _ in asked), values, strict=True))


def _duckdb_number(name: str, kind: str, cuts: Sequence[float]) -> Iterator[tuple[str, str]]:
    column = _quoted(name)
    yield f"{name}:null", f"count_if({column} IS NULL)"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        value = f"({column} - DATE '1970-01-01')" if kind == "DATE" else f"epoch_us({column})"
        is_float = False
    else:
        is_float = kind in ("DOUBLE", "FLOAT", "UBIGINT", "HUGEINT") or kind.startswith("DECIMAL")
        value = f"{column}::DOUBLE" if is_float else column
    if is_float:
        yield f"{name}:nan", f"count_if(isnan({value}))"
        yield f"{name}:high", f"count_if({value} = 'inf'::DOUBLE)"
        yield f"{name}:low", f"count_if({value} = '-inf'::DOUBLE)"
    for place, cut in enumerate(cuts):
        bound = f"'{cut!r}'::DOUBLE" if is_float else str(_whole(cut))
        yield f"{name}:<{place}", f"count_if({value} < {bound})"


def _whole(cut: float) -> int:
    """The whole number below which the same whole numbers lie."""
    return max(-(1 << 63), min((1 << 63) - 1, math.ceil(cut)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(label: Label) -> str:
    return str(label) if isinstance(label, bool) else "'" + label.replace("'", "''") + "'"
