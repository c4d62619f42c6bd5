"""What external state was when a run began: files and folders, and what else pins itself. Kept with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core.errors import DefinitionError, RunError, StoreError
from headrace.core.external import external_id, is_unfingerprinted
from headrace.core.forms import TAG
from headrace.core.plan import Node, Plan
from headrace.core.values import Json
from headrace.engine.ask import Asker
from headrace.engine.prepare import Workshop
from headrace.engine.records import RunRecord
from headrace.engine.request import path_pin

if TYPE_CHECKING:
    from headrace.core.sample import Sample
    from headrace.stores.protocol import Store

MOST_RUNS_LOOKED_AT = 50


@dataclass(frozen=True)
class Pinning:
    """Reads the pins of a run that begins.

    ``resumes`` is the run that it resumes. ``taken`` are the nodes whose results must be in the store already.
    """

    workshop: Workshop
    asker: Asker
    store: Store
    sample: Sample | None = None
    resumes: RunRecord | None = None
    taken: frozenset[str] = frozenset()

    def read(self, plan: Plan) -> dict[str, Json]:
        """The pins by name. Raises what an external raises."""
        pins: dict[str, Json] = {}
        for node in plan.nodes:
            for found in _pinned_in(node):
                name = path_pin(found["value"]) if found[TAG] == "path" else external_id(found)
                if name not in pins:
                    pins[name] = self._pin(found, name, is_taken=node.id in self.taken)
        return pins

    def _pin(self, found: dict[str, Json], name: str, *, is_taken: bool) -> Json:
        if found[TAG] == "path":
            return self.workshop.content(found["value"])
        asked = {
            "external": found,
            "store": self.store.url,
            "root": str(self.workshop.project.root),
            "sample": self.sample.to_json() if self.sample else None,
        }
        pin = self.asker.ask("pin", asked, found["type"])
        if is_unfingerprinted(pin):
            return self._earlier(name, is_taken) or pin
        return pin

    def _earlier(self, name: str, is_taken: bool) -> Json:
        """The pin that an earlier run had of what has no fingerprint, where what that run read counts here too."""
        record = self.resumes
        while record is not None:
            begin = record.begin()
            if name in begin["pins"]:
                return begin["pins"][name]
            record = RunRecord(self.store, begin["resumes"]) if begin.get("resumes") else None
        return self._of_newest_run(name) if is_taken else None

    def _of_newest_run(self, name: str) -> Json:
        from headrace.engine.view import known_runs

        for run_id in known_runs(self.store)[:MOST_RUNS_LOOKED_AT]:
            begin = _begin(self.store, run_id)
            if name in begin.get("pins", {}) and begin.get("sample") == (self.sample and self.sample.to_json()):
                return begin["pins"][name]
        return None


def _begin(store: Store, run_id: str) -> Mapping[str, Json]:
    try:
        return RunRecord(store, run_id).begin()
    except (RunError, StoreError, ValueError):
        return {}


def _pinned_in(node: Node) -> Iterator[dict[str, Json]]:
    """The trees in a node's arguments that stand for external state."""
    waiting = list(node.arguments.values())
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get(TAG) in ("external", "path"):
                yield item
            else:
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


SAMPLING = "headrace.core.sample:Sampling"


def refuse_unsampled(plan: Plan) -> None:
    """Raise `DefinitionError` where no step of a plan takes a sample: all would be done with all data."""
    for node in plan.nodes:
        if any(found.get("type") == SAMPLING for found in _pinned_in(node)):
            return
    raise DefinitionError(
        f"Pipeline {plan.pipeline!r} has no step that takes a sample, so --sample would change nothing",
        hint="take the data in with headrace.steps.ingest; a step of your own takes sampling: Sampling = SAMPLING "
        "and gives what it read to headrace.steps.sampled",
    )
