"""Why a node was executed, or was not: from the records of its run and of the newest run before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.core.discovery import ABSENT, NAMES
from headrace.core.errors import RunError
from headrace.core.forms import TAG
from headrace.core.outcome import Outcome
from headrace.core.plan import Node, refs_in
from headrace.core.values import Json
from headrace.engine.item_view import item_of, node_of, same_item
from headrace.engine.readable import text
from headrace.engine.records import NodeResult, RunRecord
from headrace.engine.view import RunView, codes_of, known_runs

if TYPE_CHECKING:
    from headrace.core.step_code import StepCode
    from headrace.stores.protocol import Store

NOTHING_MADE = "nothing was made from these inputs yet"
MOST_CAUSES = 12
MOST_CHARACTERS = 60
MOST_STEPS_FOLLOWED = 50


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause, as a clause: ``clean_names in churn/text.py:12 changed``.

    ``kind`` is one of *code*, *value*, *input*, *file*, *external*, *environment*, *format*, *read* (a file or variable
    that the step was seen to read), *stored* (the result was there and could not be used), *policy* (the step is not
    cached), *asked* (by ``--from`` or ``--only``), *failed before*, *first* (nothing to compare with), *hit*,
    *upstream* (it was not executed because of others). ``made_by`` is the node that made a changed input.
    """

    kind: str
    text: str
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a node ended as it did. ``compared_with``: the run whose records were looked at, None where there is none."""

    node: str
    outcome: Outcome
    causes: tuple[Cause, ...]
    compared_with: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The form for programs."""
        return {
            "node": self.node,
            "outcome": self.outcome.value,
            "compared_with": self.compared_with,
            "causes": [{"kind": cause.kind, "text": cause.text, "made_by": cause.made_by} for cause in self.causes],
        }


class Explainer:
    """Explains the nodes of one run. Earlier runs are read when they are needed, once."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.view = RunView.read(store, run_id)
        self._store = store

    def explain(self, node: str) -> Explanation:
        """Explain how one node ended. Raises `RunError` when it has not, or is none of the run's."""
        now = self._result(node)
        if now.key is None:
            return Explanation(node, now.outcome, (Cause("upstream", now.reason),))
        if now.outcome is Outcome.CACHED:
            source = now.reason.removeprefix("made by run ")
            made = Cause("hit", f"it was {now.reason} from the same code and inputs")
            return Explanation(node, now.outcome, (made,), source if source != now.reason else None)
        if node_of(node) in self.view.forced:
            return Explanation(node, now.outcome, (Cause("asked", now.reason),))
        if self.view.plan.step_of(self.view.planned(node)).cache is False:
            return Explanation(node, now.outcome, (Cause("policy", now.reason),))
        return self._compared(node, now)

    def _result(self, node: str) -> NodeResult:
        """How the node ended: it may have since the run was read."""
        is_known = node in self.view.attempts or item_of(node) is not None
        found = None if is_known else RunRecord(self._store, self.view.id).result(node)
        return found or self.view.node_result(node)

    def chain(self, node: str) -> list[Explanation]:
        """Explain a node, then each node that made an input of it which changed, and so on up.

        A node whose result was taken from the cache is followed too: why its result is another than the one compared
        with. At most fifty are followed.
        """
        found = [self.explain(node)]
        waiting, seen = deque(found), {node}
        while waiting and len(found) < MOST_STEPS_FOLLOWED:
            for cause in waiting.popleft().causes:
                if cause.made_by is None or cause.made_by in seen or cause.made_by not in self.view.results:
                    continue
                seen.add(cause.made_by)
                explanation = self._of_changed_input(cause.made_by)
                found.append(explanation)
                waiting.append(explanation)
        return found

    def _of_changed_input(self, node: str) -> Explanation:
        now = self.view.results[node]
        if now.outcome is not Outcome.CACHED:
            return self.explain(node)
        compared = self._compared(node, now)
        return compared if compared.causes and compared.compared_with else self.explain(node)

    def _compared(self, node: str, now: NodeResult) -> Explanation:
        found = self._newest_past(node)
        if found is None:
            is_item = item_of(node) is not None
            what = "no earlier run has this item" if is_item else "it has not been run in this store before"
            return Explanation(node, now.outcome, (Cause("first", what),))
        past, before = found
        if before.key != now.key:
            causes = tuple(differences(before, past.codes, now, self.view.codes, self.view.planned(node)))
            return Explanation(node, now.outcome, causes, past.id)
        return Explanation(node, now.outcome, _of_same_key(before, now, past.id), past.id)

    def _item(self, name: str) -> Mapping[str, Json]:
        """What an item is, by parameter."""
        values = (self._result(name).made_of or {}).get("values", {})
        mapped = self.view.planned(name).map
        return {parameter: values[parameter] for parameter in (mapped.over if mapped else ()) if parameter in values}

    def _newest_past(self, node: str) -> tuple[_Past, NodeResult] | None:
        """The newest earlier run of this pipeline in which the node came so far as to have a key, and its result."""
        for past in self._pasts:
            if past.pipeline != self.view.begin["pipeline"]:
                continue
            result = past.result(node) if item_of(node) is None else past.item(node_of(node), self._item(node))
            if result is not None and result.key is not None and result.made_of is not None:
                return past, result
        return None

    @cached_property
    def _pasts(self) -> Sequence[_Past]:
        """The earlier runs, of this and other pipelines, the newest first."""
        ids = known_runs(self._store)
        return [_Past(self._store, run_id) for run_id in ids[ids.index(self.view.id) + 1 :]]


class _Past:
    """An earlier run, read as far as it is asked for."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._results: dict[str, NodeResult | None] = {}

    @cached_property
    def _begin(self) -> Mapping[str, Json]:
        try:
            return RunRecord(self._store, self.id).begin()
        except (RunError, ValueError):
            return {}  # cut short, or removed since: there is nothing to compare with

    @property
    def pipeline(self) -> str | None:
        """The run's pipeline, None for a run without a readable begin."""
        return self._begin.get("pipeline")

    @cached_property
    def codes(self) -> Mapping[str, StepCode]:
        """The code of the run's steps."""
        return codes_of(self._store, self._begin)

    def item(self, node: str, item: Mapping[str, Json]) -> NodeResult | None:
        """How an item of this value ended then."""
        return same_item(self._store, self.id, node, item)

    def result(self, node: str) -> NodeResult | None:
        """How a node ended then."""
        if node not in self._results:
            self._results[node] = RunRecord(self._store, self.id).result(node)
        return self._results[node]


def _of_same_key(before: NodeResult, now: NodeResult, run_id: str) -> tuple[Cause, ...]:
    """Code and inputs are those of the run before: what the step read, or the recorded reason, says what was not."""
    if before.outcome.is_failure and (now.reason in ("", NOTHING_MADE) or now.items is not None):
        past = _past_tense(before.outcome)
        return (Cause("failed before", f"it {past} in run {run_id}, from the same code and inputs"),)
    if before.items is not None and (n_failed := len(before.items.get("failed", ()))):
        which = f"[{before.items['failed'][0]['index']}]" + (" and others" if n_failed > 1 else "")
        return (Cause("failed before", f"its item {which} failed in run {run_id}, from the same code and inputs"),)
    read = tuple(read_causes(before.discovered, now.discovered))
    if read:
        return read
    if now.reason and now.reason != NOTHING_MADE:
        is_read = any(word in now.reason for word in (" changed", " was added", " was removed"))
        return (Cause("read" if is_read else "stored", now.reason),)
    return (Cause("stored", f"what run {run_id} made of the same is not in the store any more"),)


def read_causes(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[Cause]:
    """What both were seen to read, and was another then. Of variables only the names are known."""
    words = {"files": "{}", "listings": "the list of files in {}", "environment": "environment variable {}"}
    for kind, form in words.items():
        before, after = old.get(kind, {}), new.get(kind, {})
        for name in sorted(before.keys() & after.keys()):
            if before[name] != after[name]:
                what = "the set of environment variables" if name == NAMES else form.format(name)
                how = "was added" if before[name] == ABSENT else "was removed" if after[name] == ABSENT else "changed"
                yield Cause("read", f"{what}, which it reads, {'changed' if name == NAMES else how}")


def _past_tense(outcome: Outcome) -> str:
    was = outcome in (Outcome.CANCELLED, Outcome.OUT_OF_MEMORY)
    return f"was {outcome}" if was else str(outcome)


def differences(
    before: NodeResult,
    old_codes: Mapping[str, StepCode],
    now: NodeResult,
    new_codes: Mapping[str, StepCode],
    planned: Node,
) -> Iterator[Cause]:
    """All that is different between what two keys of a node were made of. ``planned``: the node as it is now."""
    old, new = before.made_of or {}, now.made_of or {}
    found = [
        *_code_causes(old.get("code", {}), new.get("code", {}), old_codes, new_codes),
        *_value_causes(old.get("values", {}), new.get("values", {}), planned),
        *_named_causes("environment", "", old.get("environment", {}), new.get("environment", {})),
        *_named_causes("format", "the format of ", old.get("formats", {}), new.get("formats", {})),
    ]
    yield from found[:MOST_CAUSES]
    if len(found) > MOST_CAUSES:
        yield Cause("code", f"{len(found) - MOST_CAUSES} more things changed")
    if not found:
        yield Cause("code", "the way in which Headrace makes keys changed")


def _code_causes(
    old: Mapping[str, str], new: Mapping[str, str], old_codes: Mapping[str, StepCode], new_codes: Mapping[str, StepCode]
) -> Iterator[Cause]:
    """What of the code changed, each piece once, however many of the step's values reach it."""
    seen: set[str] = set()
    for name in sorted(old.keys() & new.keys()):
        if old[name] == new[name]:
            continue
        before, after = old_codes.get(name), new_codes.get(name)
        differences = before.differences(after) if before and after else []
        for difference in differences or [f"the code of {name} changed"]:
            if difference not in seen:
                seen.add(difference)
                yield Cause("code", difference)
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    if len(gone) == len(come) == 1:
        yield Cause("code", f"it uses {come[0]} now, before {gone[0]}")
        return
    for names, words in ((come, "uses {} now"), (gone, "does not use {} any more")):
        for name in names:
            yield Cause("code", f"it {words.format(name)}")


def _named_causes(kind: str, prefix: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[Cause]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Cause(kind, f"{prefix}{name} was {_version(old.get(name))}, is {_version(new.get(name))}")


def _version(value: Json) -> str:
    """A setting as text; of an installed distribution, its version without the digest of its files."""
    return "not there" if value is None else bounded(str(value).partition("@")[0])


@dataclass(frozen=True, slots=True)
class _Pair:
    """A place in an argument: its name, what stood there and stands there, and what the plan has there."""

    name: str
    old: Json
    new: Json
    planned: Json


_ABSENT = object()


def _value_causes(old: Mapping[str, Json], new: Mapping[str, Json], node: Node) -> Iterator[Cause]:
    """What of the arguments changed, at the innermost places."""
    waiting = deque(
        _Pair(name, old.get(name, _ABSENT), new.get(name, _ABSENT), node.arguments.get(name))
        for name in dict.fromkeys([*new, *old])
    )
    while waiting:
        pair = waiting.popleft()
        if pair.old is not _ABSENT and pair.new is not _ABSENT and _same(pair.old, pair.new):
            continue
        inner = _inner(pair)
        if inner is None:
            yield _cause_of(pair)
        else:
            waiting.extend(inner)


def _same(old: Json, new: Json) -> bool:
    return type(old) is type(new) and bool(old == new) and text(old) == text(new)


def _inner(pair: _Pair) -> list[_Pair] | None:
    """The places inside, where both are of one kind; None where the place itself is to be compared."""
    old, new, planned = pair.old, pair.new, pair.planned
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        names = [f"{pair.name}[{index}]" for index in range(len(new))]
        inside = planned if isinstance(planned, list) and len(planned) == len(new) else [None] * len(new)
        return [_Pair(*parts) for parts in zip(names, old, new, inside, strict=True)]
    if not isinstance(old, dict) or not isinstance(new, dict) or old.get(TAG) != new.get(TAG):
        return None
    kind = new.get(TAG)
    within = planned if isinstance(planned, dict) else {}
    if kind in ("tuple", "set", "frozenset"):
        return _inner(_Pair(pair.name, old["items"], new["items"], within.get("items")))
    if kind is None:
        return _named_places(pair.name, old, new, within, "[{!r}]")
    if "fields" in new and old.get("type") == new.get("type") and kind != "external":
        return _named_places(pair.name, old["fields"], new["fields"], within.get("fields") or {}, ".{}")
    return None


def _named_places(
    name: str, old: Mapping[str, Json], new: Mapping[str, Json], planned: Mapping[str, Json], form: str
) -> list[_Pair] | None:
    if list(old) != list(new):
        return None
    return [_Pair(name + form.format(key), old[key], new[key], planned.get(key)) for key in new]


def _cause_of(pair: _Pair) -> Cause:
    kind = pair.new.get(TAG) if isinstance(pair.new, dict) else None
    is_of_one_kind = isinstance(pair.old, dict) and pair.old.get(TAG) == kind
    if kind == "artifact":
        return _input_cause(pair)
    if (file := _same_file(pair)) is not None:
        return Cause("file", f"{pair.name}: the content of {file} {_verb(pair)}")
    if kind == "external" and is_of_one_kind and pair.old.get("fields") == pair.new.get("fields"):
        pins = f"{bounded(text(pair.old.get('pin')))} → {bounded(text(pair.new.get('pin')))}"
        return Cause("external", f"{pair.name}: {bounded(text(pair.new))} was pinned to other than before: {pins}")
    return Cause("value", f"{pair.name} changed: {_shown(pair.old)} → {_shown(pair.new)}")


def _input_cause(pair: _Pair) -> Cause:
    ref = next(iter(refs_in(pair.planned)), None)
    if ref is None:
        return Cause("input", f"input {pair.name} changed")
    source = f"output {ref.output!r} of {ref.node!r}" if ref.output != "output" else f"{ref.node!r}"
    return Cause("input", f"input {pair.name} changed, which is made by {source}", made_by=ref.node)


def _same_file(pair: _Pair) -> str | None:
    """The file that both name; a text that named none before is plain text in the key."""
    names = [item["value"] if _is_file(item) else item for item in (pair.old, pair.new)]
    has_file = _is_file(pair.old) or _is_file(pair.new)
    return names[0] if has_file and isinstance(names[0], str) and names[0] == names[1] else None


def _is_file(tree: Json) -> bool:
    return isinstance(tree, dict) and tree.get(TAG) in ("path", "text")


def _verb(pair: _Pair) -> str:
    before, after = (item.get("digest") if _is_file(item) else None for item in (pair.old, pair.new))
    return "was added" if before is None else "was removed" if after is None else "changed"


def _shown(value: Json) -> str:
    return "nothing" if value is _ABSENT else bounded(text(value))


def bounded(shown: str) -> str:
    """A text of at most sixty characters: the two ends of a longer one."""
    if len(shown) <= MOST_CHARACTERS:
        return shown
    return f"{shown[:40]} … {shown[-15:]}"
