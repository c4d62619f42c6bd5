"""Which run and which step a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.core.errors import RunError, near_miss
from headrace.engine.item_view import node_of
from headrace.engine.records import RunRecord
from headrace.engine.view import RunView, find_run

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


def pick_two_runs(store: Store, first: str | None, second: str | None) -> tuple[str, str] | None:
    """The two runs that two words name; None where the second is a step of the first's, or there are no two words.

    Raises `RunError`, naming what is near, when the second is neither.
    """
    if first is None or second is None:
        return None
    view = RunView.read(store, find_run(store, first))
    if node_of(second) in view.plan.by_id or second in view.attempts:
        return None
    try:
        return view.id, find_run(store, second)
    except RunError as error:
        if "match" in error.message:
            raise
        hint = near_miss(second, view.plan.by_id)
        raise RunError(f"Run {view.id!r} has no step {second!r}, and there is no run of that name", hint=hint) from None


def pick_run_and_step(store: Store, first: str | None, second: str | None) -> tuple[str, str | None]:
    """The run and the step that one or two words name; a single word may be a step of the newest run.

    Raises `RunError`, naming what is near, when a word names neither.
    """
    if first is None or second is not None:
        return find_run(store, first), second
    newest = RunView.read(store, find_run(store, None))
    if node_of(first) in newest.plan.by_id or first in newest.attempts:
        return newest.id, first
    try:
        return RunRecord.find(store, first).id, None
    except RunError as error:
        if "match" in error.message:
            raise
        hint = near_miss(first, newest.plan.by_id)
        raise RunError(
            f"{first!r} is neither a run of this store nor a step of the newest run, {newest.id}",
            hint=hint if hint and hint.startswith("did you mean") else error.hint or hint,
        ) from None
