"""What differs between two runs, step by step; and how a step's key changed from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace.core.errors import RunError, StoreError, near_miss
from headrace.core.values import Json
from headrace.engine.readable import stored_json, text
from headrace.engine.records import NodeResult
from headrace.engine.view import RunView, known_runs
from headrace.engine.why import Cause, differences, read_causes

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

CATEGORIES = {
    "code": "code",
    "value": "values",
    "input": "data",
    "file": "data",
    "external": "data",
    "read": "data",
    "environment": "environment",
    "format": "environment",
}
"""What the kinds of causes are about, as a comparison groups them."""
MOST_ITEMS_COMPARED = 10
NOTABLE_RATIO = 1.5
NOTABLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pair:
    """Something by its name, as it is in one run and in the other; None where it is not."""

    name: str
    a: Any
    b: Any

    def to_json(self) -> dict[str, Json]:
        """The form for programs."""
        return {"name": self.name, "a": self.a, "b": self.b}


@dataclass(frozen=True)
class StepComparison:
    """A step in two runs; ``a`` and ``b`` are its results, None where it has none."""

    node: str
    a: NodeResult | None
    b: NodeResult | None
    causes: tuple[Cause, ...]
    metrics: tuple[Pair, ...]

    @property
    def outputs(self) -> tuple[Pair, ...]:
        """The outputs that differ, by their digests."""
        digests = [_digests(self.a), _digests(self.b)]
        return tuple(_unequal(*digests))

    @property
    def outcomes(self) -> Pair:
        """How it ended."""
        return Pair("outcome", *(str(item.outcome) if item else None for item in (self.a, self.b)))

    @property
    def has_other_outcome(self) -> bool:
        """Whether it ended otherwise; from the cache or executed is the same."""
        ends = [(item.outcome if not item.outcome.is_good else "good") if item else None for item in (self.a, self.b)]
        return ends[0] != ends[1]

    @property
    def seconds(self) -> Pair:
        """How long it took; None where it was not executed."""
        return Pair("seconds", *(item.seconds or None if item else None for item in (self.a, self.b)))

    @property
    def took_another_time(self) -> bool:
        """Whether the times are so far apart that chance alone seldom makes it."""
        times = sorted(seconds for seconds in (self.seconds.a, self.seconds.b) if seconds)
        return len(times) == 2 and times[1] > NOTABLE_RATIO * times[0] and times[1] - times[0] > NOTABLE_SECONDS

    @property
    def is_same(self) -> bool:
        """Whether nothing differs that counts."""
        return not (self.causes or self.metrics or self.outputs or self.has_other_outcome or self.took_another_time)

    def to_json(self) -> dict[str, Json]:
        """The form for programs."""
        return {
            "node": self.node,
            "is_same": self.is_same,
            "outcome": {"a": self.outcomes.a, "b": self.outcomes.b},
            "seconds": {"a": self.seconds.a, "b": self.seconds.b},
            "keys": {"a": self.a.key if self.a else None, "b": self.b.key if self.b else None},
            "causes": [
                {"about": CATEGORIES.get(cause.kind, cause.kind), "kind": cause.kind, "text": cause.text}
                for cause in self.causes
            ],
            "outputs": [pair.to_json() for pair in self.outputs],
            "metrics": [pair.to_json() for pair in self.metrics],
        }


class Comparison:
    """Two runs, side by side."""

    def __init__(self, store: Store, a: str, b: str) -> None:
        self.a = RunView.read(store, a)
        self.b = RunView.read(store, b)

    @cached_property
    def parameters(self) -> list[Pair]:
        """The pipeline's parameters that differ, as text."""
        texts = [{name: text(tree) for name, tree in view.parameters.items()} for view in (self.a, self.b)]
        return list(_unequal(*texts))

    @cached_property
    def facts(self) -> list[Pair]:
        """What else differs of the runs as a whole."""
        return list(_unequal(*(_facts(view) for view in (self.a, self.b))))

    @cached_property
    def steps(self) -> list[StepComparison]:
        """All steps of both, in the order of the second's plan, then those that only the first has."""
        names = dict.fromkeys([*(node.id for node in self.b.plan.nodes), *(node.id for node in self.a.plan.nodes)])
        return [self._step(name) for name in names]

    def step(self, node: str) -> StepComparison:
        """One step. Raises `RunError`, with the nearest name, for one that neither run has."""
        for found in self.steps:
            if found.node == node:
                return found
        names = [found.node for found in self.steps]
        raise RunError(f"Neither run {self.a.id!r} nor {self.b.id!r} has a step {node!r}", hint=near_miss(node, names))

    def _step(self, node: str) -> StepComparison:
        a, b = self.a.results.get(node), self.b.results.get(node)
        causes: tuple[Cause, ...] = ()
        planned = self.b.plan.by_id.get(node)
        if a and b and a.made_of is not None and b.made_of is not None and planned is not None:
            if a.key != b.key:
                causes = tuple(differences(a, self.a.codes, b, self.b.codes, planned))
            causes += tuple(read_causes(a.discovered, b.discovered))
        numbers = [_numbers(view, result) for view, result in ((self.a, a), (self.b, b))]
        metrics = tuple(_metrics(*numbers)) if a and b and a.outputs and b.outputs else ()
        return StepComparison(node, a, b, causes, metrics)

    def to_json(self) -> dict[str, Json]:
        """The form for programs."""
        return {
            "a": _run_json(self.a),
            "b": _run_json(self.b),
            "parameters": [pair.to_json() for pair in self.parameters],
            "facts": [pair.to_json() for pair in self.facts],
            "steps": [step.to_json() for step in self.steps],
        }


def _run_json(view: RunView) -> dict[str, Json]:
    return {
        "run": view.id,
        "pipeline": view.begin["pipeline"],
        "outcome": view.state,
        "started": view.begin["started"],
        "seconds": view.end["seconds"] if view.end else None,
        "rejected_by": list(view.rejections()),
    }


def _facts(view: RunView) -> dict[str, str]:
    selection = view.begin.get("selection") or {}
    facts = {
        "pipeline": view.begin["pipeline"],
        "outcome": view.state,
        "rejected by": ", ".join(view.rejections()),
        "headrace": view.begin["headrace"],
        "mode": "inline" if view.begin["inline"] else "workers",
        "executed from": ", ".join(selection.get("from", ())),
        "executed only": ", ".join(selection.get("only", ())),
    }
    return {name: value for name, value in facts.items() if value}


def _digests(result: NodeResult | None) -> dict[str, str]:
    return {name: artifact.digest for name, artifact in result.outputs.items()} if result else {}


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Pair]:
    for name in dict.fromkeys([*b, *a]):
        if a.get(name) != b.get(name):
            yield Pair(name, a.get(name), b.get(name))


def _metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Pair]:
    """The numbers that differ; of lists of different lengths the length alone."""
    pairs = list(_unequal(a, b))
    lengths = [pair.name.removeprefix("len(").removesuffix(")") for pair in pairs if pair.name.startswith("len(")]
    begins = tuple(f"{'' if place == 'value' else place}[" for place in lengths)
    yield from (pair for pair in pairs if not pair.name.startswith(begins))


def _numbers(view: RunView, result: NodeResult | None) -> dict[str, float | bool]:
    """The numbers in a step's small JSON outputs, by their place: ``metrics.auc``."""
    found: dict[str, float | bool] = {}
    for name, artifact in result.outputs.items() if result else ():
        try:
            value = stored_json(view.store, artifact)
        except StoreError:
            continue
        waiting = [("" if name == "output" else name, value[0])] if value else []
        while waiting:
            place, item = waiting.pop()
            if isinstance(item, dict):
                waiting += [(f"{place}.{key}".lstrip("."), inner) for key, inner in reversed(item.items())]
            elif isinstance(item, list):
                found[f"len({place or 'value'})"] = len(item)
                if len(item) > MOST_ITEMS_COMPARED:
                    continue  # a series, and no metrics
                waiting += [(f"{place}[{index}]", inner) for index, inner in reversed([*enumerate(item)])]
            elif isinstance(item, int | float):
                found[place or "value"] = item
    return found


@dataclass(frozen=True)
class Moment:
    """A step in one of several runs: its result, and how its key came to differ from the run's before."""

    run_id: str
    started: str
    result: NodeResult
    causes: tuple[Cause, ...]
    compared_with: str | None

    def to_json(self) -> dict[str, Json]:
        """The form for programs."""
        return {
            "run": self.run_id,
            "started": self.started,
            "outcome": self.result.outcome.value,
            "key": self.result.key,
            "compared_with": self.compared_with,
            "causes": [{"kind": cause.kind, "text": cause.text} for cause in self.causes],
        }


def history(store: Store, node: str, newest: RunView, most: int) -> list[Moment]:
    """A step in a run and in those of its pipeline before it where it came so far as to have a key."""
    views = _views_with_key(store, node, newest)
    found: list[Moment] = []
    view = next(views, None)
    while view is not None and len(found) < most:
        before = next(views, None)
        now = view.results[node]
        causes: tuple[Cause, ...] = ()
        if before is not None:
            past = before.results[node]
            if past.key != now.key:
                causes = tuple(differences(past, before.codes, now, view.codes, view.plan.by_id[node]))
            causes += tuple(read_causes(past.discovered, now.discovered))
        found.append(Moment(view.id, view.begin["started"], now, causes, before.id if before else None))
        view = before
    return found


def _views_with_key(store: Store, node: str, newest: RunView) -> Iterator[RunView]:
    ids = known_runs(store)
    for run_id in ids[ids.index(newest.id) :]:
        try:
            view = RunView.read(store, run_id)
            result = view.results.get(node) if view.begin["pipeline"] == newest.begin["pipeline"] else None
        except (RunError, StoreError, ValueError):
            continue  # cut short, or removed since
        if result is not None and result.key is not None and result.made_of is not None:
            yield view
