"""Small JSON values as HTML: numbers, lists, tables, matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.reports.html import Child, Html, el, join, table

MOST_ROWS = 60
MOST_COLUMNS = 16
MOST_ITEMS = 200
MOST_IN_A_CELL = 8
MOST_CHARACTERS = 2000
DEEPEST = 6

Json = Any


def show_value(value: Json, depth: int = 0) -> Html:
    """A value of any shape; of what is large, the beginning and how much more there is."""
    if isinstance(value, Mapping):
        return _show_object(value, depth)
    if isinstance(value, list):
        return _show_list(value, depth)
    return show_scalar(value)


def show_scalar(value: Json) -> Html:
    """A number to six digits, its exact form on hovering; other things as they are."""
    if value is None:
        return el("span", "none", class_="muted")
    if isinstance(value, bool):
        return el("span", "yes" if value else "no", class_="yes" if value else "no")
    if isinstance(value, float):
        return el("span", number(value), class_="number", title=repr(value))
    if isinstance(value, int):
        return el("span", f"{value:,}".replace(",", "\u202f"), class_="number")
    text = str(value)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
    return el("span", text, class_="text")


def number(value: float) -> str:
    """A float to six significant digits."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:.6g}".replace("-", "−")


def _show_object(value: Mapping[str, Json], depth: int) -> Html:
    if not value:
        return el("span", "empty", class_="muted")
    if depth >= DEEPEST:
        return el("span", f"{len(value)} entries", class_="muted")
    if _is_confusion(value):
        return _confusion(value)
    if is_table(list(value.values())) and len(value) > 1:
        return _table(list(value.values()), [*value])
    items = list(value.items())[:MOST_ITEMS]
    small = [(key, item) for key, item in items if _is_small(item)]
    rows = [el("tr", el("th", _words(key), scope="row"), el("td", show_value(item))) for key, item in small]
    facts = el("table", el("tbody", rows), class_="facts") if rows else None
    parts = [
        el("div", el("h4", _words(key)), show_value(item, depth + 1), class_="part")
        for key, item in items
        if not _is_small(item)
    ]
    return join(facts, parts, _more(len(value) - len(items), "entries"))


def _is_small(item: Json) -> bool:
    """Whether it stands beside its name; else it stands below."""
    return item == {} or _is_small_list(item)


def _show_list(value: Sequence[Json], depth: int) -> Html:
    if not value:
        return el("span", "empty", class_="muted")
    if depth >= DEEPEST:
        return el("span", f"{len(value)} items", class_="muted")
    if is_table(value):
        return _table(value)
    if is_matrix(value):
        return _matrix(value)
    if all(not isinstance(item, Mapping | list) for item in value):
        parts = [show_scalar(item) for item in value[:MOST_ITEMS]]
        listed = join(*(join(part, ", " if index < len(parts) - 1 else "") for index, part in enumerate(parts)))
        return join(listed, _more(len(value) - MOST_ITEMS, "items"))
    items = el("ol", [el("li", show_value(item, depth + 1)) for item in value[:MOST_ROWS]], class_="items")
    return join(items, _more(len(value) - MOST_ROWS, "items"))


def _more(number_left: int, what: str) -> Html | None:
    return el("p", f"… and {number_left} more {what}", class_="muted") if number_left > 0 else None


def is_table(rows: Sequence[Json]) -> bool:
    """Whether these are objects with the same keys, whose values are plain, short lists or objects of plain values."""
    if not rows or not all(isinstance(row, Mapping) and row for row in rows):
        return False
    keys = list(rows[0])
    return len(keys) <= MOST_COLUMNS and all(list(row) == keys and _is_flat(row) for row in rows)


def _is_flat(row: Mapping[str, Json]) -> bool:
    return all(_is_small_list(item) or _is_flat_object(item) for item in row.values())


def _is_small_list(item: Json) -> bool:
    """Whether it is plain, or a few plain values, that stand in one cell."""
    if isinstance(item, list):
        return len(item) <= MOST_IN_A_CELL and all(not isinstance(inner, Mapping | list) for inner in item)
    return not isinstance(item, Mapping)


def _is_flat_object(item: Json) -> bool:
    return isinstance(item, Mapping) and all(not isinstance(inner, Mapping | list) for inner in item.values())


def _table(rows: Sequence[Mapping[str, Json]], labels: Sequence[str] | None = None) -> Html:
    flat = [_flattened(row) for row in rows[:MOST_ROWS]]
    keys = list(dict.fromkeys(key for row in flat for key in row))[:MOST_COLUMNS]
    heads = [el("th", _words(key), scope="col", class_=_side(flat[0].get(key))) for key in keys]
    head: list[Child] = [*([""] if labels else []), *heads]
    body = [
        [*([el("th", labels[index], scope="row")] if labels else []), *(_cell(row.get(key)) for key in keys)]
        for index, row in enumerate(flat)
    ]
    return join(table(head, body, class_="data"), _more(len(rows) - MOST_ROWS, "rows"))


def _flattened(row: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, item in row.items():
        if isinstance(item, Mapping):
            found.update({f"{inner}": value for inner, value in item.items()})
        else:
            found[key] = item
    return found


def _words(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: Json) -> Html:
    return el("td", show_value(value) if value != [] else None, class_=_side(value))


def _side(value: Json) -> str | None:
    return "right" if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_matrix(rows: Sequence[Json]) -> bool:
    """Whether these are lists of numbers, equally long, more than one."""
    if len(rows) < 2 or not all(isinstance(row, list) and row for row in rows):
        return False
    width = len(rows[0])
    return width <= MOST_COLUMNS and all(
        len(row) == width and all(isinstance(item, int | float) and not isinstance(item, bool) for item in row)
        for row in rows
    )


def _matrix(rows: Sequence[Sequence[float]]) -> Html:
    """A matrix, its cells shaded by their size."""
    most = max((abs(item) for row in rows for item in row if math.isfinite(item)), default=0.0) or 1.0
    body = [
        el("tr", [_shaded(item, abs(item) / most if math.isfinite(item) else 0.0) for item in row])
        for row in rows[:MOST_ROWS]
    ]
    return join(
        el("div", el("table", el("tbody", body), class_="matrix"), class_="scroll"),
        _more(len(rows) - MOST_ROWS, "rows"),
    )


def _shaded(value: float, share: float) -> Html:
    return el("td", show_scalar(value), class_="right shaded", style=f"--share:{share:.3f}")


_CONFUSION = ("true_positives", "false_positives", "false_negatives", "true_negatives")


def _is_confusion(value: Mapping[str, Json]) -> bool:
    return set(value) == set(_CONFUSION) and all(isinstance(item, int | float) for item in value.values())


def _confusion(value: Mapping[str, float]) -> Html:
    """A confusion matrix: what was so in rows, what was said in columns; shaded within each row."""

    def cells(*names: str) -> list[Html]:
        total = sum(value[name] for name in names) or 1
        return [_shaded(value[name], value[name] / total) for name in names]

    head = el("tr", el("td"), el("th", "said yes", scope="col"), el("th", "said no", scope="col"))
    so = el("tr", el("th", "was yes", scope="row"), cells("true_positives", "false_negatives"))
    not_so = el("tr", el("th", "was no", scope="row"), cells("false_positives", "true_negatives"))
    return el("div", el("table", el("tbody", head, so, not_so), class_="matrix"), class_="scroll")
