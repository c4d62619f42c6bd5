"""Is a node's result there already? Else: why not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headrace.core.errors import DamagedObjectError, HeadraceError
from headrace.core.outcome import Outcome
from headrace.core.plan import refs_in
from headrace.core.values import Json
from headrace.engine.launch import CancelledError
from headrace.engine.process import worker_environment
from headrace.engine.records import Action, NodeResult, RunRecord, action_names, attempt_name, now
from headrace.engine.request import Request
from headrace.engine.state import Run

if TYPE_CHECKING:
    from headrace.core.discovery import Discovered
    from headrace.stores.protocol import Store


MOST_RUNS_LOOKED_AT = 50


def find_result(run: Run, request: Request) -> NodeResult | str:
    """What was made of the same before, or why there is nothing to take."""
    spec, node_id = request.spec, request.node.id
    if node_id in run.forced:
        return _reused(run, request) or run.forced[node_id]
    if not spec.cache:
        found = _reused(run, request) or (_of_earlier_run(run, request) if node_id in run.taken else None)
        return found or "it is not cached (cache=False)"
    reason = "nothing was made from these inputs yet"
    for name in action_names(run.store, request.key):
        action = _read_action(run.store, name)
        if action is None:
            continue
        problem = _why_not(run, request, action)
        if problem is None:
            return _cached(request, action)
        reason = problem.text
        if problem.is_final:
            run.store.delete_record(name)
    return reason


def _cached(request: Request, action: Action) -> NodeResult:
    return NodeResult(
        request.node.id,
        Outcome.CACHED,
        outputs=action.outputs,
        key=request.key,
        made_of=request.parts.to_json(),
        discovered=action.discovered,
        reason=f"made by run {action.run_id}",
        started=now(),
    )


def _read_action(store: Store, name: str) -> Action | None:
    text = store.reuse_record(name)
    try:
        return None if text is None else Action.from_json(text)
    except (ValueError, KeyError, TypeError):
        store.delete_record(name)  # cut short by a power cut: a miss
        return None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an action is not a hit. A final one stays so: the action is removed, to be made again."""

    text: str
    is_final: bool


def _why_not(run: Run, request: Request, action: Action) -> Problem | None:
    expires = request.spec.expires_after_seconds
    if expires is not None:
        age = (datetime.now(UTC) - datetime.fromisoformat(action.created)).total_seconds()
        if abs(age) >= expires:  # a result from a time to come was made by a clock that was ahead
            when = f"is {age:.0f} seconds old" if age > 0 else f"was made {-age:.0f} seconds ahead of the clock"
            return Problem(f"the result {when}, and expires after {expires:g}", True)
    for name, artifact in action.outputs.items():
        for file in artifact.files:
            if run.store.object_size(file.digest) != file.n_bytes:
                return Problem(f"its stored output {name!r} is damaged or gone", True)
    if any(action.discovered.values()):
        environment = worker_environment(os.environ, run.cpus(request.spec))
        changes = _discovered(action.discovered).changes(
            run.workshop.project, run.workshop.stamps, run.store.salt, environment
        )
        if changes:
            return Problem("; ".join(changes[:3]), False)
    return None if request.spec.effect is None else _why_not_in_place(run, request, action)


def _discovered(data: Mapping[str, Json]) -> Discovered:
    from headrace.core.discovery import Discovered

    return Discovered.from_json(data)


def _why_not_in_place(run: Run, request: Request, action: Action) -> Problem | None:
    assert request.spec.effect is not None
    arguments = {name: tree for name, tree in request.node.arguments.items() if next(refs_in(tree), None) is None}
    outputs = {name: artifact.to_json() for name, artifact in action.outputs.items()}
    asked = {"effect": request.spec.effect, "arguments": arguments, "outputs": outputs, "node": request.node.id}
    asked |= {"run_id": run.id, "store": run.store.url, "root": str(run.workshop.project.root), "pins": run.pins}
    try:
        if run.asker.ask("effect_is_in_place", asked, request.spec.effect):
            return None
    except CancelledError:
        raise
    except DamagedObjectError:
        for artifact in action.outputs.values():
            for file in artifact.files:
                run.store.drop_object(file.digest)
        return Problem("its stored output is damaged or gone", True)
    except HeadraceError as error:
        return Problem(f"whether its effect is in place can't be said: {error.message}", True)
    return Problem("its effect is not in place any more", True)


def _reused(run: Run, request: Request) -> NodeResult | None:
    """For a step that is not cached: what the run that is resumed made of the same."""
    record = run.reuse
    while record is not None:
        found = _taken_from(record, request)
        if found is not None:
            return found
        earlier = record.begin().get("resumes")
        record = RunRecord(run.store, earlier) if earlier else None
    return None


def _of_earlier_run(run: Run, request: Request) -> NodeResult | None:
    """For a step that is not cached and may not be executed: what one of the newest runs made of the same."""
    from headrace.engine.view import known_runs

    for run_id in known_runs(run.store)[:MOST_RUNS_LOOKED_AT]:
        found = _taken_from(RunRecord(run.store, run_id), request)
        if found is not None:
            return found
    return None


def _taken_from(record: RunRecord, request: Request) -> NodeResult | None:
    """What a run made of the same, where it is still there."""
    result = record.result(request.node.id)
    if result is None or not result.outcome.is_good or result.key != request.key:
        return None
    if record.store.reuse_record(attempt_name(record.id, request.node.id, result.attempt)) is None:
        return None
    files = [file for artifact in result.outputs.values() for file in artifact.files]
    if any(record.store.object_size(file.digest) != file.n_bytes for file in files):
        return None
    return replace(result, outcome=Outcome.CACHED, attempt=1, reason=f"made by run {record.id}", seconds=0.0)
