"""What the items of a node that maps came to: its lists, or why there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

from headrace.core.artifact import Artifact
from headrace.core.discovery import Discovered
from headrace.core.outcome import Outcome
from headrace.engine.item_records import ItemResult, read_rows
from headrace.engine.lists import Member, list_of
from headrace.engine.readable import text
from headrace.engine.records import Action, Failure, NodeResult, now
from headrace.engine.request import Request
from headrace.engine.state import Run
from headrace.formats.item_list import Kind

MOST_FAILURES_NAMED = 10
MOST_CHARACTERS_OF_AN_ITEM = 60


class Collected:
    """What the records say of a node's items, read one by one."""

    def __init__(
        self, run: Run, request: Request, folders: Sequence[str], n_items: int, indices: Set[int] | None = None
    ) -> None:
        self._run = run
        self._request = request
        self._n_items = n_items
        self._outcomes: dict[int, Outcome] = {}
        self._members: dict[int, tuple[Member, ...]] = {}  # for each output what the item made
        self._kinds: dict[Kind, Kind] = {}
        self._failures: dict[int, ItemResult] = {}
        self._discovered = Discovered()
        for folder in folders:
            for row in read_rows(run.store, folder):
                if row.index < n_items and (indices is None or row.index in indices):
                    self._add(row)

    def _add(self, row: ItemResult) -> None:
        known = self._outcomes.get(row.index)
        if known is not None and known.is_good:
            return
        self._outcomes[row.index] = row.outcome
        self._failures.pop(row.index, None)
        if row.outcome.is_good:
            made = (row.outputs[output.name] for output in self._request.spec.outputs)
            self._members[row.index] = tuple((self._kind(artifact), artifact.files) for artifact in made)
            if any(row.discovered.values()):
                self._discovered = self._discovered.merge(Discovered.from_json(row.discovered))
        else:
            self._failures[row.index] = row
            if len(self._failures) > 2 * MOST_FAILURES_NAMED:  # their tracebacks are as many as there are items
                self._failures = {
                    index: self._failures[index] for index in sorted(self._failures)[:MOST_FAILURES_NAMED]
                }

    def _kind(self, artifact: Artifact) -> Kind:
        kind = artifact.format, artifact.version, artifact.type
        return self._kinds.setdefault(kind, kind)

    def result(self, attempt: int, reason: str, started: str, seconds: float, *, is_part: bool = False) -> NodeResult:
        """How the node ended, or ``is_part`` of its items, of which no list is made."""
        outcome, failure = self._outcome(is_part)
        is_whole = outcome.is_good and not is_part
        outputs = self._lists() if is_whole else {}
        discovered = self._discovered.to_json() if self._discovered else {}
        if is_whole:
            self._keep(outputs, discovered, seconds)
        n_failed = self._n_failed()
        if outcome.is_good:
            n_hits = Counter(self._outcomes.values())[Outcome.CACHED]
            left_out = f"; {n_failed} failed and left out" if n_failed else ""
            n_ended = len(self._outcomes)
            reason = f"{_n(n_ended)}: {n_ended - n_hits - n_failed} computed, {_n(n_hits, 'hit')}{left_out}"
        return NodeResult(
            self._request.node.id,
            outcome,
            attempt=attempt,
            outputs=outputs,
            key=self._request.key,
            made_of=self._request.parts.to_json(),
            discovered=discovered,
            failure=failure,
            reason=reason,
            started=started,
            seconds=seconds,
            items=self._summary(),
        )

    def _outcome(self, is_part: bool) -> tuple[Outcome, Failure | None]:
        assert self._request.node.map is not None
        n_failed = self._n_failed()
        if self._run.cancelled.is_set():
            return Outcome.CANCELLED, Failure("Cancelled", "The run was cancelled")
        n_ended = len(self._outcomes)
        if n_failed and (self._request.node.map.on_failure == "stop" or not (self._members or is_part)):
            return Outcome.FAILED, self._failure(n_failed)
        if n_ended < self._n_items and not is_part:
            missing = next(index for index in range(self._n_items) if index not in self._outcomes)
            rest = (
                f"{self._n_items - n_ended} of {_n(self._n_items)} have not been carried out, the first is [{missing}]"
            )
            return Outcome.FAILED, Failure("ItemsMissing", rest)
        is_all_hits = bool(self._outcomes) and set(self._outcomes.values()) == {Outcome.CACHED}
        return (Outcome.CACHED if is_all_hits else Outcome.SUCCEEDED), None

    def _n_failed(self) -> int:
        ends = (Outcome.CACHED, Outcome.SUCCEEDED, Outcome.CANCELLED)
        return sum(outcome not in ends for outcome in self._outcomes.values())

    def _failure(self, n_failed: int) -> Failure:
        rows = [self._failures[index] for index in sorted(self._failures)]
        rows = [row for row in rows if row.outcome is not Outcome.CANCELLED]
        named = [f"[{row.index}] {shown_item(row)}: {_message(row)}" for row in rows[:MOST_FAILURES_NAMED]]
        more = f"; and {n_failed - len(named)} more" if n_failed > len(named) else ""
        n_unstarted = self._n_items - len(self._outcomes)
        rest = f" ({n_unstarted} were not started)" if n_unstarted else ""
        message = f"{n_failed} of {_n(self._n_items)} failed{rest}: {'; '.join(named)}{more}"
        first = rows[0].failure
        return Failure("ItemsFailed", message, first.traceback if first else "", first.where if first else "")

    def _summary(self) -> dict[str, Any]:
        counts = Counter(outcome.value for outcome in self._outcomes.values())
        failed = [self._failures[index] for index in sorted(self._failures)[:MOST_FAILURES_NAMED]]
        return {
            "n": self._n_items,
            "counts": dict(sorted(counts.items())),
            "failed": [
                {"index": row.index, "item": shown_item(row), "outcome": row.outcome.value, "message": _message(row)}
                for row in failed
            ],
        }

    def _lists(self) -> dict[str, Artifact]:
        """For each output a list of what the items made, in their order."""
        indices = sorted(self._members)
        return {
            output.name: list_of([self._members[index][place] for index in indices], self._run.store)
            for place, output in enumerate(self._request.spec.outputs)
        }

    def _keep(self, outputs: Mapping[str, Artifact], discovered: Mapping[str, Any], seconds: float) -> None:
        """Keep the lists as made from the whole input, where each item's own check need not be made again."""
        spec = self._request.spec
        needs_each = spec.effect is not None or spec.expires_after_seconds is not None or not spec.outputs
        if not spec.cache or needs_each or self._n_failed():
            return
        action = Action(self._request.key, outputs, discovered, now(), seconds, self._run.id, self._request.node.id)
        self._run.store.write_record(action.name, action.to_json())


def shown_item(row: ItemResult) -> str:
    """What an item is, in a few words."""
    shown = ", ".join(text(tree) for tree in row.item.values())
    return shown if len(shown) <= MOST_CHARACTERS_OF_AN_ITEM else f"{shown[: MOST_CHARACTERS_OF_AN_ITEM - 1]}…"


def _message(row: ItemResult) -> str:
    message = row.failure.message if row.failure else str(row.outcome)
    line = message.split("\n", 1)[0]
    return line if len(line) <= 200 else f"{line[:199]}…"


def _n(number: int, what: str = "item") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
