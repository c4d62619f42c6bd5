"""Single items of a node that maps, by the name ``score[17]``, as the records of a run tell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.core.errors import RunError
from headrace.core.outcome import Outcome
from headrace.core.values import Json
from headrace.engine.item_records import ItemResult, item_id, items_folder, read_rows
from headrace.engine.records import NodeResult, RunRecord

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

_ITEM = re.compile(r"(?P<node>.+)\[(?P<index>\d{1,12})\]")
_MADE_BY = "made by run "


def item_of(name: str) -> tuple[str, int] | None:
    """The node and the index that ``score[17]`` names; None for what names no item."""
    found = _ITEM.fullmatch(name)
    return None if found is None else (found["node"], int(found["index"]))


def node_of(name: str) -> str:
    """The node that a name is of: its own, or that of its items."""
    found = item_of(name)
    return name if found is None else found[0]


def rows_of(store: Store, run_id: str, node: str) -> dict[int, ItemResult]:
    """How the items of a node ended in a run, by index; the newest of each, or the one that ended well."""
    found: dict[int, ItemResult] = {}
    attempts = max(1, len(RunRecord(store, run_id).attempts(node)) + 1)
    for number in range(1, attempts + 1):
        for row in read_rows(store, items_folder(run_id, node, number)):
            known = found.get(row.index)
            if known is None or not known.outcome.is_good:
                found[row.index] = row
    return dict(sorted(found.items()))


def item_result(store: Store, run_id: str, name: str) -> NodeResult:
    """How one item ended, as if it were a node of its own.

    Raises `RunError` when there is no such item, or it has not ended.
    """
    node, index = _parsed(name)
    row, whole = find_row(store, run_id, node, index), RunRecord(store, run_id).result(node)
    if row is None:
        n_items = whole.items.get("n") if whole is not None and whole.items else None
        hint = f"it has {n_items} items" if n_items is not None else f"see headrace show {run_id} {node}"
        raise RunError(f"There is no record of item {name!r} in run {run_id!r}", hint=hint)
    made_of = dict(whole.made_of) if whole is not None and whole.made_of else None
    return _as_node(name, row, made_of)


def _parsed(name: str) -> tuple[str, int]:
    found = item_of(name)
    assert found is not None
    return found


def find_row(store: Store, run_id: str, node: str, index: int) -> ItemResult | None:
    """The row of an item; of lists that were taken whole, from the run that made them."""
    row = rows_of(store, run_id, node).get(index)
    if row is not None:
        return row
    whole = RunRecord(store, run_id).result(node)
    source = source_of(whole) if whole is not None else None
    if source is None or source == run_id:
        return None
    made = find_row(store, source, node, index)
    if made is None or not made.outcome.is_good:
        return None
    if made.outcome is Outcome.CACHED:
        return made  # which says the run that made it
    return replace(made, outcome=Outcome.CACHED, reason=f"{_MADE_BY}{source}", seconds=0.0, log=None)


def source_of(result: NodeResult | ItemResult) -> str | None:
    """The run that made what was a hit."""
    is_hit = result.outcome is Outcome.CACHED and result.reason.startswith(_MADE_BY)
    return result.reason.removeprefix(_MADE_BY) if is_hit else None


def executed_row(store: Store, run_id: str, name: str) -> tuple[str, ItemResult] | None:
    """Where an item was executed: the run, and its row there."""
    node, index = _parsed(name)
    row = find_row(store, run_id, node, index)
    source = None if row is None else source_of(row)
    if row is None or source is None:
        return None if row is None else (run_id, row)
    made = (found for found in rows_of(store, source, node).values() if found.key == row.key)
    first = next(made, None)
    return None if first is None else (source, first)


def same_item(store: Store, run_id: str, node: str, item: Mapping[str, Json]) -> NodeResult | None:
    """How an item of this value ended in another run, wherever in the list it stood."""
    for index, row in rows_of(store, run_id, node).items():
        if row.item == item:
            return item_result(store, run_id, item_id(node, index))
    return None


def _as_node(name: str, row: ItemResult, made_of: dict[str, Any] | None) -> NodeResult:
    if made_of is not None:
        made_of["values"] = {**made_of["values"], **row.item}
        made_of["formats"] = {}
    return NodeResult(
        name,
        row.outcome,
        attempt=row.attempt,
        outputs=row.outputs,
        key=row.key,
        made_of=made_of,
        discovered=row.discovered,
        failure=row.failure,
        reason=row.reason,
        started=row.started,
        seconds=row.seconds,
    )
