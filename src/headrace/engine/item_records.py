"""How the items of a node that maps ended, as the store keeps it: some hundred a record, so that a bucket lists few."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headrace.core.artifact import Artifact
from headrace.core.outcome import Outcome
from headrace.core.values import Json
from headrace.engine.records import Failure, dump, run_folder

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

ROWS_A_RECORD = 500
MOST_CHARACTERS_OF_A_TRACEBACK = 6000


@dataclass(frozen=True, slots=True)
class ItemResult:
    """How one item ended.

    ``item`` is what it is, by parameter; ``log`` the name of the log that it shares with others, and the bytes in it
    that are its own.
    """

    index: int
    outcome: Outcome
    item: Mapping[str, Json]
    key: str
    attempt: int = 1
    outputs: Mapping[str, Artifact] = field(default_factory=dict)
    discovered: Mapping[str, Json] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str = ""
    started: str = ""
    seconds: float = 0.0
    log: tuple[str, int, int] | None = None

    def to_json(self) -> dict[str, Json]:
        """The row of a record."""
        row: dict[str, Json] = {"index": self.index, "outcome": self.outcome.value, "item": dict(self.item)}
        row |= {"key": self.key, "attempt": self.attempt, "seconds": round(self.seconds, 6), "reason": self.reason}
        row |= {"started": self.started, "log": list(self.log) if self.log else None}
        row["outputs"] = {name: artifact.to_json() for name, artifact in self.outputs.items()}
        if any(self.discovered.values()):
            row["discovered"] = self.discovered
        if self.failure is not None:
            row["failure"] = _cut(self.failure).to_json()
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ItemResult:
        """Read the row."""
        return cls(
            index=row["index"],
            outcome=Outcome(row["outcome"]),
            item=row["item"],
            key=row["key"],
            attempt=row["attempt"],
            outputs={name: Artifact.from_json(item) for name, item in row["outputs"].items()},
            discovered=row.get("discovered", {}),
            failure=Failure.from_json(row.get("failure")),
            reason=row["reason"],
            started=row["started"],
            seconds=row["seconds"],
            log=tuple(row["log"]) if row["log"] else None,
        )


def _cut(failure: Failure) -> Failure:
    """A failure whose texts are bounded: thousands of items may fail alike."""
    most = MOST_CHARACTERS_OF_A_TRACEBACK
    if len(failure.traceback) <= most and len(failure.message) <= most:
        return failure
    return replace(failure, message=failure.message[:most], traceback=failure.traceback[-most:])


def item_id(node_id: str, index: int) -> str:
    """What an item's call is named: ``score[17]``."""
    return f"{node_id}[{index}]"


def items_folder(run_id: str, node: str, attempt: int) -> str:
    """Where the records and logs of a node's items are."""
    return f"{run_folder(run_id)}/items/{node}/{attempt}"


def write_rows(store: Store, folder: str, name: str, rows: Sequence[ItemResult]) -> None:
    """Write one record."""
    if rows:
        store.write_record(f"{folder}/{name}.json", dump({"version": 1, "items": [row.to_json() for row in rows]}))


def read_rows(store: Store, folder: str) -> Iterator[ItemResult]:
    """All rows that there are, in no order. One item may have several: of tasks that were done again."""
    for name in store.list_records(folder):
        text = store.read_record(name)
        if text:
            for row in json.loads(text)["items"]:
                yield ItemResult.from_json(row)


def newest_rows(store: Store, folder: str) -> dict[int, ItemResult]:
    """One row an item, by index: the one that ended well, where there is one."""
    found: dict[int, ItemResult] = {}
    for row in read_rows(store, folder):
        known = found.get(row.index)
        if known is None or not known.outcome.is_good:
            found[row.index] = row
    return dict(sorted(found.items()))
