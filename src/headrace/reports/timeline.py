"""When each attempt ran, as bars below each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.reports.html import Html, el
from headrace.reports.outcomes import style_of
from headrace.reports.texts import duration

if TYPE_CHECKING:
    from headrace.engine.records import NodeResult
    from headrace.engine.view import RunView

MOST_BARS = 80
MOST_TICKS = 6


def draw_timeline(view: RunView) -> Html | None:
    """Bars for what was executed, in the order of their begin; of very many, the longest. None where nothing was."""
    attempts = [item for tries in view.attempts.values() for item in tries if item.seconds and item.started]
    if not attempts:
        return None
    zero = datetime.fromisoformat(view.begin["started"])
    shown = sorted(attempts, key=lambda item: -item.seconds)[:MOST_BARS]
    shown.sort(key=lambda item: (item.started, item.node))
    end = max(_begin(item, zero) + item.seconds for item in shown)
    rows = [_row(item, zero, end) for item in shown]
    left_out = len(attempts) - len(shown)
    note = el("p", f"{left_out} shorter ones are left out.", class_="muted") if left_out else None
    return el("div", _axis(end), rows, note, class_="timeline")


def _begin(item: NodeResult, zero: datetime) -> float:
    return max(0.0, (datetime.fromisoformat(item.started) - zero).total_seconds())


def _row(item: NodeResult, zero: datetime, end: float) -> Html:
    begin = _begin(item, zero)
    left, width = 100 * begin / end, max(0.4, 100 * item.seconds / end)
    took = duration(item.seconds)
    again = f" · attempt {item.attempt}" if item.attempt > 1 else ""
    title = f"{item.node}: {item.outcome} after {took}, from {duration(begin)}{again}"
    side = "after" if left + width < 80 else "before" if left > 20 else "inside"
    label = el("span", took, class_=f"took {side}")
    bar = el(
        "span",
        label,
        class_=f"bar {style_of(item)}",
        style=f"left:{min(left, 99.6):.2f}%;width:{min(width, 100 - left):.2f}%",
        title=title,
    )
    return el("div", el("span", f"{item.node}{again}", class_="label"), el("span", bar, class_="track"), class_="row")


def _axis(end: float) -> Html:
    ticks = [
        el("span", _tick(second), style=f"left:{100 * second / end:.2f}%", class_="tick") for second in ticks_to(end)
    ]
    return el("div", el("span", class_="label"), el("span", ticks, class_="track"), class_="row axis")


def _tick(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:g} s"


def ticks_to(end: float) -> Sequence[float]:
    """Round times from 0 to below the end, at most six of them."""
    least = end / MOST_TICKS
    unit = 10.0 ** math.floor(math.log10(least))
    steps = [unit, 2 * unit, 5 * unit, 10 * unit] if end < 60 else [10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200]
    step = next((step for step in steps if step >= least), steps[-1])
    if step < least:
        step = 3600.0 * math.ceil(least / 3600)
    return [round(index * step, 9) for index in range(math.ceil(end / step))]
