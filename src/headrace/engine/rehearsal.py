"""Looking, before a run begins, whether what it may not execute is in the store."""

from __future__ import annotations

from dataclasses import fields

from headrace.core.errors import RunError
from headrace.core.outcome import Outcome
from headrace.engine.execute import examine
from headrace.engine.records import NodeResult
from headrace.engine.state import Run

MOST_NAMED = 5


class _Rehearsal(Run):
    """A run that keeps its results to itself."""

    def record(self, result: NodeResult) -> NodeResult:
        """Keep a node's result here alone."""
        self.results[result.node] = result
        return result

    def tell(self, result: NodeResult) -> None:
        """Tell nobody."""


def refuse_missing(run: Run) -> None:
    """Raise `RunError` where something that the run is to take is not in the store, before anything is executed.

    Looks at what comes before all that is executed; ``run`` is changed in nothing.
    """
    rehearsal = _Rehearsal(**{item.name: getattr(run, item.name) for item in fields(Run)})
    rehearsal.results = {}
    missing = []
    for node in run.prepared.plan.nodes:
        if node.id in run.taken and all(name in rehearsal.results for name in node.upstream()):
            ended = examine(rehearsal, node)
            if isinstance(ended, NodeResult) and ended.outcome is Outcome.FAILED:
                missing.append(ended)
    if not missing:
        return
    names = ", ".join(repr(item.node) for item in missing[:MOST_NAMED])
    n_more = len(missing) - MOST_NAMED
    what = f"{names} and {n_more} more have" if n_more > 0 else f"{names} have" if len(missing) > 1 else f"{names} has"
    raise RunError(
        f"--only executes {', '.join(map(repr, run.forced))} alone, but {what} not been made from the code and inputs "
        f"as they are now: {missing[0].reason}",
        hint=f"leave out --only, or begin further up: headrace run --from {missing[0].node}",
    )
