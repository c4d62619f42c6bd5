"""``headrace show A B`` and ``headrace why A B``: two runs, side by side."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.cli.columns import table
from headrace.reports.texts import clean, count, duration, moment, one_line

if TYPE_CHECKING:
    from headrace.engine.compare import Comparison, Moment, Pair, StepComparison
    from headrace.engine.view import RunView
    from headrace.stores.protocol import Store

LABEL_CHARACTERS = 12
MOST_METRICS = 20
MOST_NAMED = 8
WIDTH = 80


def show_two(store: Store, a: str, b: str, *, as_json: bool) -> int:
    """Show what differs between two runs."""
    from headrace.engine.compare import Comparison

    comparison = Comparison(store, a, b)
    if as_json:
        print(json.dumps(comparison.to_json(), indent=2))  # noqa: T201
        return 0
    for line in _lines(comparison):
        print(clean(line))  # noqa: T201
    return 0


def why_two(store: Store, a: str, b: str, step: str | None, *, as_json: bool) -> int:
    """Say why the keys of steps, or of one step, differ between two runs."""
    from headrace.engine.compare import Comparison

    comparison = Comparison(store, a, b)
    found = [comparison.step(step)] if step else comparison.steps
    if as_json:
        print(json.dumps({"a": a, "b": b, "steps": [item.to_json() for item in found]}, indent=2))  # noqa: T201
        return 0
    lines = [line for item in found for line in _why_lines(item, comparison, is_told=bool(step))]
    for line in lines or [f"every step that both came to has the same code and inputs in run {a} and in run {b}"]:
        print(clean(line))  # noqa: T201
    return 0


def _why_lines(item: StepComparison, comparison: Comparison, *, is_told: bool) -> Iterator[str]:
    pairs = (comparison.a, item.a), (comparison.b, item.b)
    missing = [view.id for view, result in pairs if result is None or result.key is None]
    if missing:
        if is_told:
            yield f"{item.node} did not come so far as to have a key in run {' nor in run '.join(missing)}"
    elif item.causes:
        yield f"{item.node} differs, because"
        for cause in item.causes:
            yield from _wrapped("  -", cause.text, 4)
    elif is_told:
        yield f"{item.node} has the same code and inputs in both"


def why_last(store: Store, view: RunView, step: str, most: int, *, as_json: bool) -> int:
    """Say how a step's key changed in the newest runs of a pipeline."""
    from headrace.engine.compare import history

    view.node_result(step)
    found = history(store, step, view, most)
    if as_json:
        print(json.dumps({"step": step, "runs": [item.to_json() for item in found]}, indent=2))  # noqa: T201
        return 0
    rows = [(item.run_id, str(item.result.outcome), (item.result.key or "")[:8]) for item in found]
    for line, item in zip(table(rows, ("run", "ended", "key"))[1:], found, strict=True):
        print(clean(line))  # noqa: T201
        for text in _changes(item):
            print("\n".join(_wrapped("    -", clean(text), 6)))  # noqa: T201
    if not found:
        print(f"{step} has no key in any run")  # noqa: T201
    return 0


def _changes(item: Moment) -> Sequence[str]:
    if item.compared_with is None:
        return ["the first"]
    return [cause.text for cause in item.causes] or ["the same code and inputs as in the run before"]


def _lines(comparison: Comparison) -> Iterator[str]:
    views = {"A": comparison.a, "B": comparison.b}
    yield from table([_head(name, view) for name, view in views.items()])
    for title, pairs in (("run", comparison.facts), ("parameters", comparison.parameters)):
        if pairs:
            yield from ("", title)
            width = max(len(pair.name) for pair in pairs) + 2
            for pair in pairs:
                yield from _wrapped(f"  {pair.name:<{width - 2}}", f"{_shown(pair.a)} → {_shown(pair.b)}", width + 2)
    both = [item for item in comparison.steps if item.a is not None and item.b is not None]
    for item in both:
        if not item.is_same:
            yield from ("", item.node)
            yield from _step_lines(item)
    same = [item.node for item in both if item.is_same]
    yield ""
    if same:
        yield from _wrapped("the same:", _named(same), 10)
    for name in "AB":
        only = [item.node for item in comparison.steps if _is_only(item, name)]
        if only:
            yield from _wrapped(f"ended in {name} alone:", _named(only), 18)
    if not same and not both:
        yield "the runs have no step in common"


def _is_only(item: StepComparison, name: str) -> bool:
    return (item.a is not None, item.b is not None) == (name == "A", name == "B")


def _head(name: str, view: RunView) -> Sequence[str]:
    took = duration(view.end["seconds"]) if view.end else ""
    return name, view.id, view.state, moment(view.begin["started"]), took


def _step_lines(item: StepComparison) -> Iterator[str]:
    from headrace.engine.compare import CATEGORIES

    for category in dict.fromkeys(CATEGORIES.values()):
        for cause in item.causes:
            if CATEGORIES.get(cause.kind) == category:
                yield from _labelled(category, cause.text)
    for pair in item.outputs:
        name = "" if pair.name == "output" else f"{pair.name} "
        yield from _labelled("output", f"{name}{(pair.a or 'none')[:8]} → {(pair.b or 'none')[:8]}")
    for pair in item.metrics[:MOST_METRICS]:
        yield from _labelled("metrics", _metric(pair))
    if len(item.metrics) > MOST_METRICS:
        yield from _labelled("metrics", f"and {len(item.metrics) - MOST_METRICS} more: --json")
    if item.has_other_outcome:
        message = item.b.failure.message if item.b and item.b.failure else ""
        ended = f"{item.outcomes.a} → {item.outcomes.b}"
        yield from _labelled("outcome", f"{ended}: {one_line(message)}" if message else ended)
    if item.seconds.a and item.seconds.b:
        yield from _labelled("took", f"{duration(item.seconds.a)} → {duration(item.seconds.b)}")


def _metric(pair: Pair) -> str:
    change = ""
    if all(type(value) in (int, float) for value in (pair.a, pair.b)):
        change = f" ({pair.b - pair.a:+.4g})"
    return f"{pair.name} {_number(pair.a)} → {_number(pair.b)}{change}"


def _number(value: Any) -> str:
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _shown(value: Any) -> str:
    return "none" if value is None else one_line(str(value), 200)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{count(len(names), 'step')} ({', '.join(names[:MOST_NAMED])}{more})"


def _labelled(label: str, text: str) -> Iterator[str]:
    return _wrapped(f"  {label:<{LABEL_CHARACTERS - 1}}", text, LABEL_CHARACTERS + 2)


def _wrapped(label: str, text: str, indent: int) -> Iterator[str]:
    """A label and a text, in lines that are no longer than the terminal."""
    width = max(40, min(shutil.get_terminal_size((WIDTH, 24)).columns, 120))
    lines = textwrap.wrap(text, width - indent, break_long_words=True, break_on_hyphens=False) or [""]
    yield f"{label:<{indent - 1}} {lines[0]}".rstrip()
    yield from (" " * indent + line for line in lines[1:])
