"""Columns that say the answer: found on the rows, before a model finds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from headrace.steps.targets import as_labels
from headrace.templates.survey import Column, Survey

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

TOO_GOOD = 0.999
"""A rank correlation or AUC above this by one column alone is taken for the answer itself."""

MOST_GROUPS = 50
MOST_SUMMANDS = 60
LEAST_ROWS = 30


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A column that probably says the answer, and what shows it."""

    column: str
    why: str


def find_leaks(table: Survey, target: str, *, is_number: bool, known: set[str]) -> Iterator[Suspicion]:
    """Find columns that equal the target, fix it by themselves, number the rows, or add up to it.

    ``known`` are columns that aren't looked at.
    """
    import polars as pl

    rows = table.rows.filter(pl.col(target).is_not_null())
    found = set(known)
    for column in table.columns:
        if column.name in found or column.kind is None or column.n_unique < 2:
            continue
        why = _says_answer(rows, column, target, is_number=is_number) or _numbers_rows(table, column)
        if why:
            found.add(column.name)
            yield Suspicion(column.name, why)
    if is_number:
        yield from _summands(rows, target, [column for column in table.columns if column.name not in found])


def _says_answer(rows: pl.DataFrame, column: Column, target: str, *, is_number: bool) -> str:
    if (as_labels(rows[column.name]).eq_missing(as_labels(rows[target]))).all():
        return f"equals {target} in every row"
    present = rows.select(column.name, target).drop_nulls()
    if len(present) < max(LEAST_ROWS, 0.5 * len(rows)):
        return ""
    if column.read_as in ("integer", "number"):
        return _ranks_alike(present, column.name, target, is_number=is_number)
    is_grouping = not is_number and 2 <= column.n_unique <= MOST_GROUPS
    if is_grouping and len(present.unique()) == present[column.name].n_unique():
        return f"each of its values goes with one {target}"
    return ""


def _ranks_alike(present: pl.DataFrame, column: str, target: str, *, is_number: bool) -> str:
    """Compare by rank: Spearman's correlation for numbers, the area under the ROC curve for two labels."""
    import numpy as np

    values = present[column].rank("average").to_numpy()
    if is_number:
        answers = present[target].rank("average").to_numpy()
        if present[target].n_unique() < MOST_GROUPS:
            return ""
        r = float(np.corrcoef(values, answers)[0, 1])
        return f"orders the rows as {target} does (rank correlation {r:.4f})" if abs(r) > TOO_GOOD else ""
    labels = as_labels(present[target])
    unique = labels.unique().sort().to_list()
    if len(unique) != 2:
        return ""
    is_one = (labels == unique[0]).to_numpy()
    n, n_one = len(labels), int(is_one.sum())
    area = (values[is_one].sum() - n_one * (n_one + 1) / 2) / (n_one * (n - n_one))
    return f"tells {unique[0]} from {unique[1]} by itself" if max(area, 1 - area) > TOO_GOOD else ""


def _numbers_rows(table: Survey, column: Column) -> str:
    """Say that a column counts the rows: 1, 2, 3, …"""
    import numpy as np

    if column.kind != "integer" or column.n_present < len(table.rows) or column.n_unique < len(table.rows):
        return ""
    steps = np.diff(table.rows[column.name].to_numpy())
    return "counts the rows" if len(steps) and (steps == steps[0]).all() and steps[0] > 0 else ""


def _summands(rows: pl.DataFrame, target: str, columns: list[Column]) -> Iterator[Suspicion]:
    """Find two columns whose sum or difference is the target."""
    import numpy as np

    numbers = [column.name for column in columns if column.read_as in ("integer", "number") and column.name != target]
    answers = rows[target].to_numpy()
    values = {name: rows[name].to_numpy() for name in numbers[:MOST_SUMMANDS]}
    scale = float(np.abs(answers).max()) * 1e-9
    for one, other in combinations(values, 2):
        for sign, words in ((1, f"{one} + {other}"), (-1, f"{one} - {other}")):
            left, right = values[one][:1000].astype(float), values[other][:1000].astype(float)
            if not np.allclose(left + sign * right, answers[:1000], atol=scale):
                continue
            if np.allclose(values[one] + sign * values[other], answers, atol=scale):
                yield from (Suspicion(name, f"{words} = {target}") for name in (one, other))
                return
