"""How each outcome looks: a class of the style sheet, and a mark, since colour alone isn't seen by all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace.core.outcome import Outcome
from headrace.reports.html import Html, el

if TYPE_CHECKING:
    from headrace.engine.records import NodeResult

STYLES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.SUCCEEDED: ("good", "✓"),
    Outcome.CACHED: ("hit", "="),
    Outcome.SKIPPED: ("calm", "–"),
    Outcome.FAILED: ("bad", "✗"),
    Outcome.TIMED_OUT: ("bad", "✗"),
    Outcome.CRASHED: ("bad", "✗"),
    Outcome.OUT_OF_MEMORY: ("bad", "✗"),
    Outcome.CANCELLED: ("warn", "■"),
    Outcome.UPSTREAM_FAILED: ("none", "·"),
}
RUN_STYLES = {"succeeded": "good", "failed": "bad", "rejected": "warn", "cancelled": "warn", "running": "hit"}


def style_of(result: NodeResult | None) -> str:
    """The class of a node's colour."""
    return STYLES[result.outcome][0] if result is not None else "none"


def badge(result: NodeResult | None) -> Html:
    """A node's outcome as a coloured word."""
    if result is None:
        return el("span", "not ended", class_="badge none")
    style, mark = STYLES[result.outcome]
    return el("span", f"{mark} {result.outcome}", class_=f"badge {style}")


def run_badge(state: str) -> Html:
    """A run's outcome as a coloured word."""
    return el("span", state, class_=f"badge big {RUN_STYLES.get(state, 'bad')}")
