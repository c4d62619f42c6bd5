"""Where the nodes of a layered graph are drawn: layers by longest path, few crossings, straight long edges.

After Sugiyama, Tagawa and Toda (1981), in small: an edge over several layers goes through places of its own; layers are
ordered by the mean position of their neighbours, sweeping down and up; then each layer's places are moved as near to
their neighbours as order and distance allow (least squares, by pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP = 26.0
EDGE_WIDTH = 12.0
N_SWEEPS = 24
N_MOVES = 12

Place = tuple[str, str, int]
"""A node ``(id, "", 0)``, or a bend of the edge ``(from, to, layer)``."""


@dataclass(frozen=True)
class Layout:
    """Each node's centre and layer, the points that each edge goes through on its way, and the width of it all."""

    centres: Mapping[str, float]
    layers: Mapping[str, int]
    bends: Mapping[tuple[str, str], Sequence[tuple[float, int]]]
    width: float

    @property
    def n_layers(self) -> int:
        """How many layers there are."""
        return max(self.layers.values(), default=-1) + 1


def lay_out(widths: Mapping[str, float], edges: Iterable[tuple[str, str]]) -> Layout:
    """Lay out a graph from top to bottom. ``widths``: of each node, in an order that no edge goes against."""
    known = list(dict.fromkeys(edges))
    layers = _layers(list(widths), known)
    rows, links = _rows(layers, known)
    rows = _ordered(rows, links)
    centres = _centred(rows, links, widths)
    left = min((centre - _width(place, widths) / 2 for place, centre in centres.items()), default=0.0)
    right = max((centre + _width(place, widths) / 2 for place, centre in centres.items()), default=0.0)
    bends: dict[tuple[str, str], list[tuple[float, int]]] = {edge: [] for edge in known}
    for number, row in enumerate(rows):
        for place in row:
            if place[1]:
                bends[place[0], place[1]].append((centres[place] - left, number))
    found = {place[0]: centre - left for place, centre in centres.items() if not place[1]}
    return Layout(found, layers, bends, right - left)


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest path from a source; a source itself stands right above the first that takes from it."""
    before: dict[str, list[str]] = {node: [] for node in nodes}
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for upper, lower in edges:
        before[lower].append(upper)
        after[upper].append(lower)
    layers: dict[str, int] = {}
    for node in nodes:
        layers[node] = max((layers[upper] + 1 for upper in before[node]), default=0)
    for node in nodes:
        if not before[node] and after[node]:
            layers[node] = min(layers[lower] for lower in after[node]) - 1
    return layers


Links = dict[Place, list[Place]]


def _rows(layers: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> tuple[list[list[Place]], tuple[Links, Links]]:
    """Each layer's places, and each place's neighbours above and below."""
    rows: list[list[Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for node, layer in layers.items():
        rows[layer].append((node, "", 0))
    above: Links = {}
    below: Links = {}
    for upper, lower in edges:
        path: list[Place] = [(upper, "", 0)]
        for layer in range(layers[upper] + 1, layers[lower]):
            place = (upper, lower, layer)
            rows[layer].append(place)
            path.append(place)
        path.append((lower, "", 0))
        for first, second in pairwise(path):
            below.setdefault(first, []).append(second)
            above.setdefault(second, []).append(first)
    return rows, (above, below)


def _ordered(rows: list[list[Place]], links: tuple[Links, Links]) -> list[list[Place]]:
    """Sweep down and up, and keep the order with the fewest crossings."""
    above, below = links
    best, fewest = [list(row) for row in rows], _n_crossings(rows, below)
    for sweep in range(N_SWEEPS):
        if not fewest:
            break
        is_down = sweep % 2 == 0
        for number in range(len(rows)) if is_down else reversed(range(len(rows))):
            other = number - 1 if is_down else number + 1
            if 0 <= other < len(rows):
                position = {place: index for index, place in enumerate(rows[other])}
                rows[number] = _by_mean(rows[number], above if is_down else below, position)
        n_crossings = _n_crossings(rows, below)
        if n_crossings < fewest:
            best, fewest = [list(row) for row in rows], n_crossings
    return best


def _by_mean(row: list[Place], links: Links, position: Mapping[Place, int]) -> list[Place]:
    def mean(item: tuple[int, Place]) -> float:
        index, place = item
        near = [position[other] for other in links.get(place, ())]
        return sum(near) / len(near) if near else float(index)

    return [place for _, place in sorted(enumerate(row), key=mean)]


def _n_crossings(rows: list[list[Place]], below: Links) -> int:
    total = 0
    for row, next_row in pairwise(rows):
        position = {place: index for index, place in enumerate(next_row)}
        ends = [sorted(position[other] for other in below.get(place, ())) for place in row]
        flat = [end for group in ends for end in group]
        total += sum(1 for i, first in enumerate(flat) for second in flat[i + 1 :] if first > second)
    return total


def _width(place: Place, widths: Mapping[str, float]) -> float:
    return EDGE_WIDTH if place[1] else widths[place[0]]


def _centred(rows: list[list[Place]], links: tuple[Links, Links], widths: Mapping[str, float]) -> dict[Place, float]:
    centres: dict[Place, float] = {}
    for row in rows:
        offsets = _offsets(row, widths)
        middle = offsets[-1] / 2 if offsets else 0.0
        centres.update({place: offset - middle for place, offset in zip(row, offsets, strict=True)})
    above, below = links
    for move in range(N_MOVES):
        is_down = move % 2 == 0
        near = above if is_down else below
        for row in rows if is_down else reversed(rows):
            wanted = [_wanted(place, near, centres) for place in row]
            centres.update(zip(row, _spread(wanted, _offsets(row, widths)), strict=True))
    return centres


def _wanted(place: Place, near: Links, centres: Mapping[Place, float]) -> float:
    others = near.get(place)
    return sum(centres[other] for other in others) / len(others) if others else centres[place]


def _offsets(row: Sequence[Place], widths: Mapping[str, float]) -> list[float]:
    """How far the centres of a row are from the first one's, packed."""
    offsets: list[float] = []
    for index, place in enumerate(row):
        if not index:
            offsets.append(0.0)
        else:
            between = (_width(row[index - 1], widths) + _width(place, widths)) / 2
            offsets.append(offsets[-1] + between + GAP)
    return offsets


def _spread(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to those wanted (least squares) that keep the order and the distances."""
    pools: list[tuple[float, int]] = []  # mean and number
    for want, offset in zip(wanted, offsets, strict=True):
        mean, number = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, n_other = pools.pop()
            mean, number = (mean * number + other * n_other) / (number + n_other), number + n_other
        pools.append((mean, number))
    flat = [mean for mean, number in pools for _ in range(number)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
