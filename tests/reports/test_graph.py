"""Laws of the layout: nothing overlaps, edges go down, order and distance hold; straight lines stay straight."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.reports.graph import GAP, _spread, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, float], list[tuple[str, str]]]:
    n_nodes = draw(st.integers(1, 14))
    nodes = {f"n{index}": float(draw(st.integers(40, 200))) for index in range(n_nodes)}
    pairs = list(itertools.combinations(nodes, 2))
    edges = draw(st.lists(st.sampled_from(pairs), max_size=24)) if pairs else []
    return nodes, edges


@given(graphs())
def test_nodes_do_not_overlap_and_edges_go_down(graph: tuple[dict[str, float], list[tuple[str, str]]]) -> None:
    widths, edges = graph
    layout = lay_out(widths, edges)

    assert set(layout.centres) == set(widths)
    for first, second in itertools.combinations(widths, 2):
        if layout.layers[first] == layout.layers[second]:
            apart = abs(layout.centres[first] - layout.centres[second])
            assert apart >= (widths[first] + widths[second]) / 2 + GAP - 1e-6
    for upper, lower in edges:
        assert layout.layers[upper] < layout.layers[lower]
        between = range(layout.layers[upper] + 1, layout.layers[lower])
        assert [layer for _, layer in layout.bends[upper, lower]] == list(between)
    for node, centre in layout.centres.items():
        assert centre - widths[node] / 2 >= -1e-6
        assert centre + widths[node] / 2 <= layout.width + 1e-6


@given(graphs())
def test_no_edge_goes_through_a_node(graph: tuple[dict[str, float], list[tuple[str, str]]]) -> None:
    widths, edges = graph
    layout = lay_out(widths, edges)

    for bends in layout.bends.values():
        for x, layer in bends:
            for node, centre in layout.centres.items():
                assert layout.layers[node] != layer or abs(centre - x) >= widths[node] / 2


@given(graphs())
def test_the_same_graph_is_laid_out_the_same(graph: tuple[dict[str, float], list[tuple[str, str]]]) -> None:
    assert lay_out(*graph) == lay_out(*graph)


def test_a_chain_is_a_straight_line() -> None:
    widths = {"a": 50.0, "b": 150.0, "c": 80.0}
    layout = lay_out(widths, [("a", "b"), ("b", "c")])

    assert layout.layers == {"a": 0, "b": 1, "c": 2}
    assert set(layout.centres.values()) == {75.0}
    assert layout.width == 150.0


def test_a_source_stands_above_what_takes_from_it() -> None:
    layout = lay_out(dict.fromkeys("abcxd", 50.0), [("a", "b"), ("b", "c"), ("c", "d"), ("x", "d")])

    assert layout.layers["x"] == 2


def test_crossings_are_taken_out() -> None:
    """Two chains whose second nodes come in the other order: drawn in the order of the plan they would cross."""
    layout = lay_out(dict.fromkeys(["a", "b", "d", "c"], 50.0), [("a", "c"), ("b", "d")])

    assert (layout.centres["a"] < layout.centres["b"]) == (layout.centres["c"] < layout.centres["d"])


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8))
def test_places_are_the_nearest_that_keep_the_distance(wanted: list[float]) -> None:
    """Held against a quadratic programme solved by another method: projection by Dykstra's algorithm."""
    offsets = [10.0 * index for index in range(len(wanted))]
    found = _spread(wanted, offsets)

    assert found == pytest.approx(dykstra(wanted, 10.0), abs=1e-3)


def dykstra(wanted: list[float], distance: float) -> list[float]:
    """Project a point on {x: x[i + 1] - x[i] >= distance}: cyclic projections with corrections."""
    x = list(wanted)
    corrections = [(0.0, 0.0)] * max(0, len(x) - 1)
    for _ in range(4000):
        moved = 0.0
        for i in range(len(x) - 1):
            left, right = x[i] + corrections[i][0], x[i + 1] + corrections[i][1]
            short = max(0.0, distance - (right - left)) / 2
            new_left, new_right = left - short, right + short
            corrections[i] = (left - new_left, right - new_right)
            moved = max(moved, abs(new_left - x[i]), abs(new_right - x[i + 1]))
            x[i], x[i + 1] = new_left, new_right
        if moved < 1e-9:
            break
    return x


def test_an_empty_graph_and_a_long_one() -> None:
    assert lay_out({}, []).n_layers == 0
    names = [f"n{index}" for index in range(3000)]
    assert lay_out(dict.fromkeys(names, 10.0), list(itertools.pairwise(names))).n_layers == 3000
