"""A plan's graph as inline SVG, each node in the colour of how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from headrace.reports.graph import Layout, lay_out
from headrace.reports.html import Html, el
from headrace.reports.outcomes import style_of
from headrace.reports.texts import duration

if TYPE_CHECKING:
    from headrace.core.plan import Node, Plan
    from headrace.engine.records import NodeResult

MOST_NODES = 60
NODE_HEIGHT = 42.0
LAYER_HEIGHT = 78.0
MARGIN = 8.0
CHARACTER_WIDTH = 7.4
LONGEST_NAME = 26


def draw_graph(plan: Plan, results: Mapping[str, NodeResult]) -> Html:
    """Draw the graph from top to bottom."""
    notes = {node.id: _note(results.get(node.id)) for node in plan.nodes}
    widths = {
        node.id: max(len(_name(node.id)), len(notes[node.id]) * 0.86, 7) * CHARACTER_WIDTH + 26 for node in plan.nodes
    }
    edges = _edges(plan)
    layout = lay_out(widths, edges)
    width, height = layout.width + 2 * MARGIN, (layout.n_layers - 1) * LAYER_HEIGHT + NODE_HEIGHT + 2 * MARGIN
    return el(
        "svg",
        el("title", f"The graph of {plan.pipeline}"),
        [_edge(layout, edge, kind) for edge, kind in edges.items()],
        [_node(layout, node, widths[node.id], results.get(node.id), notes[node.id]) for node in plan.nodes],
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        class_="graph",
    )


def kinds_of_edges(plan: Plan) -> set[str]:
    """Which kinds of edges there are: ``data``, ``when``, ``after``."""
    return set(_edges(plan).values())


def most_in_a_layer(plan: Plan) -> int:
    """How many nodes stand side by side at most."""
    layout = lay_out({node.id: 1.0 for node in plan.nodes}, _edges(plan))
    return max(Counter(layout.layers.values()).values(), default=0)


def _edges(plan: Plan) -> dict[tuple[str, str], str]:
    return {(upper, node.id): _kind(node, upper) for node in plan.nodes for upper in node.upstream()}


def _kind(node: Node, upper: str) -> str:
    if any(ref.node == upper for ref in node.refs()):
        return "data"
    return "when" if node.when is not None and node.when.node == upper else "after"


def _name(node_id: str) -> str:
    return node_id if len(node_id) <= LONGEST_NAME else f"{node_id[: LONGEST_NAME - 1]}…"


def _note(result: NodeResult | None) -> str:
    if result is None:
        return "not ended"
    if result.seconds:
        return f"{result.outcome} · {duration(result.seconds)}"
    return str(result.outcome)


def _top(layer: int) -> float:
    return MARGIN + layer * LAYER_HEIGHT


def _node(layout: Layout, node: Node, width: float, result: NodeResult | None, note: str) -> Html:
    x, y = layout.centres[node.id] + MARGIN, _top(layout.layers[node.id])
    box = el("rect", x=f"{x - width / 2:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=NODE_HEIGHT, rx=7)
    name = el("text", _name(node.id), x=f"{x:.1f}", y=f"{y + 18:.1f}", class_="name")
    below = el("text", note, x=f"{x:.1f}", y=f"{y + 33:.1f}", class_="note")
    title = el("title", f"{node.id}: {note}")
    return el("a", el("g", title, box, name, below, class_=style_of(result)), href=f"#step-{node.id}")


def _edge(layout: Layout, edge: tuple[str, str], kind: str) -> Html:
    points = list(_points(layout, edge))
    (x, y), rest = points[0], points[1:]
    parts = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        bend = (next_y - y) / 2
        parts.append(f"C{x:.1f} {y + bend:.1f} {next_x:.1f} {next_y - bend:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return el("path", d=" ".join(parts), class_=f"edge {kind}")


def _points(layout: Layout, edge: tuple[str, str]) -> Iterator[tuple[float, float]]:
    upper, lower = edge
    yield layout.centres[upper] + MARGIN, _top(layout.layers[upper]) + NODE_HEIGHT
    for x, layer in layout.bends[edge]:
        yield x + MARGIN, _top(layer)
        yield x + MARGIN, _top(layer) + NODE_HEIGHT
    yield layout.centres[lower] + MARGIN, _top(layout.layers[lower])
