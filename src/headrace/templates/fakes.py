"""Made-up rows for a project's tests, as the source that makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.templates.literals import call, literal
from headrace.templates.proposals import Proposal
from headrace.templates.survey import Column

MOST_COLUMNS = 40
MOST_CATEGORIES = 12


def cause_of(found: Proposal) -> Column:
    """Choose the feature that the made-up answer follows from: numbers, of most different values, before others."""
    return max(found.features, key=lambda column: (column.read_as in ("integer", "number"), column.n_unique))


def needs_dates(found: Proposal) -> bool:
    """Say whether a column holds dates."""
    return any(column.read_as in ("date", "datetime") for column in _columns(found))


def made_up_lines(found: Proposal) -> Iterator[str]:
    """Give an entry of a dict for each column."""
    cause = cause_of(found)
    for column in _columns(found):
        name = literal(column.name)
        if column.name == found.target:
            yield f"{name}: {_answer(found, column)},"
        elif column.name == found.key.column:
            each = "i" if found.is_key_unique else "i // 3"
            value = each if column.kind == "integer" else f'f"key {{{each}}}"'
            yield f"{name}: [{value} for i in range(n_rows)],"
        elif column.name == found.time.column:
            yield f"{name}: {_times(column, ordered=True)},"
        else:
            yield f"{name}: {_caused(column)}," if column is cause else _random(column, name)


def _columns(found: Proposal) -> list[Column]:
    """Give the columns to make up: what the project names, and of the features so many."""
    cause = cause_of(found).name
    named = {found.target, cause, *found.left_out, *[column.name for column in found.features[:MOST_COLUMNS]]}
    meant = {column.name for column in found.table.columns if column.meant}
    return [column for column in found.table.columns if column.name in named | meant and column.kind is not None]


def labels_block(found: Proposal) -> str:
    """Give the constant with the labels; nothing for numbers and booleans."""
    column = found.table[found.target]
    if found.task == "regression" or column.kind == "boolean":
        return ""
    labels: list[Any] = sorted(found.labels)
    if column.read_as in ("integer", "number"):
        labels = sorted(int(label) if label.lstrip("-").isdigit() else float(label) for label in labels)
    return f"\n{call('LABELS = ', [literal(label) for label in labels], indent=0, end='')}\n"


def _answer(found: Proposal, column: Column) -> str:
    if found.task == "regression":
        return f"({literal(column.low)} + {_width(column)} * answer).round(3)"
    if column.kind == "boolean":
        return "answer > 0.5"
    return "np.array(LABELS)[(answer * len(LABELS)).astype(int)]"


def _caused(column: Column) -> str:
    if column.read_as in ("integer", "number"):
        value = f"({literal(column.low)} + {_width(column)} * cause).round({0 if column.read_as == 'integer' else 3})"
        return f"{value}.astype(int)" if column.read_as == "integer" else value
    if column.read_as == "boolean":
        return "cause > 0.5"
    if column.read_as in ("date", "datetime"):
        return _times(column, by="3000 * cause[i]")
    values = ", ".join(literal(value) for value in _categories(column))
    return f"np.array([{values}])[(cause * {len(_categories(column))}).astype(int)]"


def _random(column: Column, name: str) -> str:
    kind = column.read_as
    if not column.n_present:
        return f"{name}: [None] * n_rows,"
    if kind == "boolean":
        return f"{name}: random.random(n_rows) < 0.5,"
    if kind in ("date", "datetime"):
        return f"{name}: {_times(column)},"
    if kind == "text":
        values = ["[", *[literal(value) for value in _categories(column)], "]"]
        return call(f"{name}: random.choice", [values, "n_rows"], indent=12)
    bounds = [literal(column.low), literal(column.high), "n_rows"]
    if kind == "integer":
        return call(f"{name}: random.integers", [*bounds, "endpoint=True"], indent=12)
    return call(f"{name}: random.uniform", bounds, indent=12, end=".round(3),")


def _categories(column: Column) -> tuple[str, ...]:
    """Give a column's categories; made-up ones where there are many, which may be names."""
    if 0 < len(column.values) <= MOST_CATEGORIES:
        return tuple(str(value) for value in column.values)
    return ("a", "b", "c", "d")


def _times(column: Column, *, ordered: bool = False, by: str = "") -> str:
    if column.kind == "integer":
        return f"[{column.low} + 3600 * i for i in range(n_rows)]"
    by = by or ("i" if ordered else "37 * i % 1000")
    first = f"datetime({column.low.year}, {column.low.month}, {column.low.day})"
    moment = f"{first} + timedelta(days={by})"
    return (
        f"[({moment}).date() for i in range(n_rows)]"
        if column.read_as == "date"
        else f"[{moment} for i in range(n_rows)]"
    )


def _width(column: Column) -> str:
    width = column.high - column.low
    return literal(round(width, 6) if isinstance(width, float) else width)
