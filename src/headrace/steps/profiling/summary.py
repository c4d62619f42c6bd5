"""A profile in figures for people: what the command line and the report show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from headrace.steps.profiling.column import MEASURED, NUMBERS, ColumnProfile
from headrace.steps.profiling.profiles import Profile

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
N_TOP = 10


def summary(profile: Profile) -> dict[str, Any]:
    """Give a profile's figures as plain JSON: what isn't finite as None, days and moments as ISO 8601."""
    columns = {name: column_summary(column) for name, column in profile.columns.items()}
    found: dict[str, Any] = {"n_rows": profile.n_rows, "target": profile.target, "columns": columns}
    if profile.slices:
        found["slices"] = {
            name: {value: part.n_rows for value, part in parts.items()} for name, parts in profile.slices.items()
        }
    return found


def column_summary(column: ColumnProfile) -> dict[str, Any]:
    """Give one column's figures."""
    found: dict[str, Any] = {
        "kind": column.kind,
        "type": column.type,
        "n_missing": column.n_missing,
        "missing_share": column.missing_share,
    }
    if column.kind == "other":
        return found
    found |= {"n_distinct": column.n_distinct, "is_exact": column.is_exact}
    if column.kind in NUMBERS:
        found |= {"n_zero": column.n_zero, "n_infinite": column.n_infinite, "n_negative": column.n_negative}
    if column.kind in MEASURED:
        found |= _measured(column)
    if column.texts is not None and column.n_present:
        texts = column.texts
        mean = texts.n_characters / column.n_present
        found["lengths"] = {"shortest": texts.shortest, "longest": texts.longest, "mean": mean}
        found["classes"] = texts.classes
    found["top"] = [{"value": _plain(value), "n_rows": count} for value, count in column.top[:N_TOP]]
    found["top_error"] = column.values.error
    if column.association is not None:
        found["correlation"] = _plain(column.association.correlation)
    return found


def _measured(column: ColumnProfile) -> dict[str, Any]:
    quantiles = [column.as_value(at) for at in column.quantiles(QUANTILES)]
    found = {"least": _plain(column.least), "greatest": _plain(column.greatest)}
    found["quantiles"] = {f"{share:g}": _plain(at) for share, at in zip(QUANTILES, quantiles, strict=True)}
    if column.kind in NUMBERS:
        found |= {"mean": _plain(column.mean), "std": _plain(column.std), "skew": _plain(column.skew)}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else value


def shown(value: Any) -> str:
    """A figure in few characters: four digits of a number, a moment to the second."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float):
        whole = f"{value:.4g}"
        return f"{value:,.0f}" if "e+" in whole and abs(value) < 1e9 else whole
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value.isoformat(" ", "seconds") if hasattr(value, "hour") else str(value)


def share(part: float) -> str:
    """A share as a percentage; nothing for none at all."""
    if not part:
        return ""
    return f"{part:.1%}" if part >= 0.001 else "<0.1%"


def distinct(column: ColumnProfile) -> str:
    """Distinct values, with ``~`` where estimated."""
    if column.kind == "other":
        return ""
    return f"{'' if column.is_exact else '~'}{column.n_distinct:,}"


def most_frequent(column: ColumnProfile, n_values: int = 3, width: int = 24) -> str:
    """The frequent values and their shares; none where every value is rare."""
    named = []
    for value, count in list(column.top)[:n_values]:
        part = count / max(1, column.n_present)
        if part < 0.005 and not column.is_exact:
            break
        text = shown(value)
        named.append(f"{text if len(text) <= width else text[: width - 1] + '…'} {share(part)}")
    return ", ".join(named)


def classes_of(classes: Mapping[str, int]) -> str:
    """The commonest make-up of a column's texts: ``lower+digit``."""
    return max(classes, key=lambda name: classes[name]) if classes else ""
