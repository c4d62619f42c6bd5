"""Whether a run may begin now: one for a date at a time, no more at once than its pipeline allows, the past first.

By leases, which end with their process: a run that is killed gives its place free at once, on a bucket one of another
machine once its lease has expired. What runs there are of a date is told by records of their own, so that no others
need be looked at::

    dates/<pipeline>/<date>/<run>.json      a run for a date began; once it has ended, how
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from headrace.core.cron import Calendar
from headrace.core.dates import date_value, text_of, zone_named
from headrace.core.errors import RunError
from headrace.core.outcome import RunOutcome
from headrace.engine.records import RunRecord, dump
from headrace.engine.view import RUNNING, known_runs, run_state

if TYPE_CHECKING:
    from headrace.core.plan import Plan
    from headrace.stores.protocol import Store

POLL_SECONDS = 0.5
MOST_RUNS_LOOKED_AT = 50


@dataclass(frozen=True)
class Obstacle:
    """Why a run may not begin. ``passes``: whether waiting helps, since a run is under way that will end."""

    text: str
    hint: str
    passes: bool = True


def date_of(plan: Plan) -> date | None:
    """The date that a run of this plan is for; None where it is for none."""
    return next((date_value(item.value) for item in plan.parameters if item.name == plan.date), None)


def calendar_of(plan: Plan) -> Calendar:
    """The dates that runs of this plan's pipeline are for."""
    zone = zone_named(plan.timezone, f"pipeline {plan.pipeline!r}")
    return Calendar(plan.schedule, zone, isinstance(date_of(plan), datetime))


@contextmanager
def admitted(store: Store, plan: Plan, waits: Callable[[str], None] | None) -> Iterator[None]:
    """Hold a run's place while it is under way.

    With ``waits``, which is told once what for, wait for a place that a run under way will give free. Raises `RunError`
    where there is none, or waiting would not help.
    """
    day = date_of(plan)
    told = ""
    while True:
        with ExitStack() as places:
            obstacle = _obstacle(store, plan, day, places)
            if obstacle is None:
                yield
                return
        if waits is None or not obstacle.passes:
            raise RunError(obstacle.text, hint=obstacle.hint)
        if obstacle.text != told:
            told = obstacle.text
            waits(told)
        time.sleep(POLL_SECONDS)


def _obstacle(store: Store, plan: Plan, day: date | None, places: ExitStack) -> Obstacle | None:
    """Take the places that a run needs, which ``places`` gives back; or why there are none."""
    if day is not None:
        lease = places.enter_context(store.lease(f"{plan.pipeline}.date-{_part(text_of(day))}"))
        if not lease.acquired:
            return _same_date(store, plan.pipeline, text_of(day), lease.holder)
    if plan.max_active_runs is not None and not _has_slot(store, plan.pipeline, plan.max_active_runs, places):
        return _too_many(store, plan.pipeline, plan.max_active_runs)
    if plan.depends_on_past and day is not None:
        return _past(store, plan, day)
    return None


def _has_slot(store: Store, pipeline: str, most: int, places: ExitStack) -> bool:
    return any(places.enter_context(store.lease(f"{pipeline}.active-{number}")).acquired for number in range(most))


def _same_date(store: Store, pipeline: str, text: str, holder: str | None) -> Obstacle:
    running = [run_id for run_id in runs_of(store, pipeline, text) if _state(store, run_id) == RUNNING]
    which = f"run {running[-1]}" if running else holder or "another process"
    end = f", or end it: headrace cancel {running[-1]}" if running else ""
    problem = f"Pipeline {pipeline!r} is being run for {text} already, by {which}"
    return Obstacle(problem, f"wait for it with --wait{end}")


def _too_many(store: Store, pipeline: str, most: int) -> Obstacle:
    running = []
    for run_id in known_runs(store)[:MOST_RUNS_LOOKED_AT]:
        if _pipeline(store, run_id) == pipeline and _state(store, run_id) == RUNNING:
            running.append(run_id)
    which = f": {', '.join(running[:3])}" if running else ""
    are = "1 run is" if most == 1 else f"{most} runs are"
    text = f"{are} under way of pipeline {pipeline!r}, and no more may be (max_active_runs={most}){which}"
    return Obstacle(text, "wait for one to end with --wait, or end one: headrace cancel RUN")


def _past(store: Store, plan: Plan, day: date) -> Obstacle | None:
    """What speaks against a run that depends on the one of the date before; the first of all may begin."""
    before = calendar_of(plan).before(day)
    if before is None:
        return None
    this, previous = text_of(day), text_of(before)
    title = f"The run of pipeline {plan.pipeline!r} for {this} depends on the one for {previous}"
    newest = _newest(store, plan.pipeline, previous)
    if newest is None:
        earlier = [text for text in dates_of(store, plan.pipeline) if text < _part(this)]
        if not earlier:
            return None
        hint = f"run it for {previous} first, or for all: --dates {previous[:10]}..{this[:10]}"
        return Obstacle(f"{title}, and there is none", hint, passes=False)
    run_id, state = newest
    if state == RunOutcome.SUCCEEDED:
        return None
    if state == RUNNING:
        return Obstacle(f"{title}, which is under way: {run_id}", "wait for it with --wait")
    hint = f"mend that one first: headrace show {run_id}, headrace run --date {previous}"
    return Obstacle(f"{title}, and that one {_ended(state)} (run {run_id})", hint, passes=False)


def _ended(state: str) -> str:
    return f"was {state}" if state in (RunOutcome.CANCELLED, RunOutcome.REJECTED) else state


# The runs of a date


def note(store: Store, plan: Plan, begin: Mapping[str, Any], outcome: RunOutcome | None = None) -> None:
    """Note that a run for a date has begun, or how it has ended, so that it is found by its date."""
    day = date_of(plan)
    if day is None:
        return
    is_part = bool((begin["selection"] or {}).get("only")) or "sample" in begin
    noted = {"version": 1, "run": begin["id"], "began": begin["started"], "is_part": is_part, "outcome": outcome}
    store.write_record(_name(plan.pipeline, text_of(day), begin["id"]), dump(noted))


def runs_of(store: Store, pipeline: str, text: str) -> list[str]:
    """The runs of a date."""
    folder = f"dates/{pipeline}/{_part(text)}"
    return [name.rsplit("/", 1)[1].removesuffix(".json") for name in store.list_records(folder)]


def dates_of(store: Store, pipeline: str) -> list[str]:
    """The dates that there are runs of, as `_part` writes them, in order."""
    return sorted({name.split("/")[2] for name in store.list_records(f"dates/{pipeline}")})


def _newest(store: Store, pipeline: str, text: str) -> tuple[str, str] | None:
    """The newest run of a date and its state; None where there is none whose records are left."""
    noted = [_noted(store, _name(pipeline, text, run_id)) for run_id in runs_of(store, pipeline, text)]
    for item in sorted(noted, key=lambda item: str(item.get("began")), reverse=True):
        state = item.get("outcome") or _state(store, str(item.get("run")))
        if state is not None and not item.get("is_part"):  # a run of single steps, or of a sample, says nothing of it
            return str(item["run"]), str(state)
    return None


def _noted(store: Store, name: str) -> dict[str, Any]:
    try:
        noted = json.loads(store.read_record(name) or b"{}")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _state(store: Store, run_id: str) -> str | None:
    record = RunRecord(store, run_id)
    try:
        return run_state(store, run_id, record.begin(), record.end())
    except (RunError, ValueError):
        return None


def _pipeline(store: Store, run_id: str) -> str | None:
    try:
        return str(RunRecord(store, run_id).begin()["pipeline"])
    except (RunError, ValueError, KeyError):
        return None


def _name(pipeline: str, text: str, run_id: str) -> str:
    return f"dates/{pipeline}/{_part(text)}/{run_id}.json"


def _part(text: str) -> str:
    """A date as a part of a name, which has no colons."""
    return text.replace(":", ".")
