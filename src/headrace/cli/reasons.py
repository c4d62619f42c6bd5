"""Why a step was executed, in a few words, while its run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.engine.events import NodeEnded, RunStarted

if TYPE_CHECKING:
    from headrace.engine.why import Explainer


class Reasons:
    """Looks up the causes of executed steps; for a run of many, says what the engine says."""

    def __init__(self, run: RunStarted, *, most_nodes: int) -> None:
        self._run = run
        self._looks_up = run.n_nodes <= most_nodes
        self._explainer: Explainer | None = None

    def why(self, event: NodeEnded) -> str:
        """Why the node was executed, was not, or ended so."""
        from headrace.engine.why import NOTHING_MADE

        if event.reason != NOTHING_MADE or not self._looks_up:
            return event.reason
        from headrace.core.errors import HeadraceError

        try:
            causes = self._explain().explain(event.node).causes
        except HeadraceError:
            return event.reason  # records that are gone or unreadable; the run itself says so where it matters
        if causes[0].kind == "first":
            return "first time"
        return causes[0].text + (f", and {len(causes) - 1} more" if len(causes) > 1 else "")

    def _explain(self) -> Explainer:
        if self._explainer is None:
            from headrace.engine.why import Explainer
            from headrace.stores.open import open_store

            self._explainer = Explainer(open_store(self._run.store), self._run.run_id)
        return self._explainer
