"""Small charts as inline SVG, for values whose shape says what they are: curves, calibration, intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.reports.html import Html, el
from headrace.reports.values import number

SIDE = 190.0
LEFT, TOP, RIGHT, BOTTOM = 46.0, 10.0, 10.0, 34.0

Json = Any
Point = tuple[float, float]


def charts_of(value: Mapping[str, Json]) -> tuple[list[Html], set[str]]:
    """The charts that an object's fields can be drawn as, and the names of the fields that they stand for."""
    charts: list[Html] = []
    drawn: set[str] = set()
    for name, item in value.items():
        if _has(item, "false_positive_rate", "recall", "precision"):
            charts.append(_plot("ROC curve", "false positive rate", "recall", _roc(item), diagonal=True))
            curve = [(row["recall"], row["precision"]) for row in item]
            charts.append(_plot("Precision by recall", "recall", "precision", curve))
            drawn.add(name)
        elif _has(item, "mean_score", "positive_rate"):
            curve = [(row["mean_score"], row["positive_rate"]) for row in item]
            charts.append(_plot("Calibration", "said", "was so", curve, diagonal=True, dots=True))
            drawn.add(name)
    return charts, drawn


def _has(rows: Json, *fields: str) -> bool:
    return (
        isinstance(rows, list)
        and len(rows) > 1
        and all(isinstance(row, Mapping) and all(_is_number(row.get(field)) for field in fields) for row in rows)
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _roc(rows: Sequence[Mapping[str, float]]) -> list[Point]:
    return [(0.0, 0.0), *((row["false_positive_rate"], row["recall"]) for row in rows)]


def _plot(
    title: str, x_name: str, y_name: str, points: Sequence[Point], *, diagonal: bool = False, dots: bool = False
) -> Html:
    """A curve in the unit square."""
    inside = [(_x(x), _y(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    line = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(inside))
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
    marks = []
    for share in (0.0, 0.5, 1.0):
        marks.append(el("line", x1=_x(share), y1=_y(0), x2=_x(share), y2=_y(1), class_="grid"))
        marks.append(el("line", x1=_x(0), y1=_y(share), x2=_x(1), y2=_y(share), class_="grid"))
        marks.append(el("text", f"{share:g}", x=_x(share), y=_y(0) + 14, class_="tick middle"))
        marks.append(el("text", f"{share:g}", x=_x(0) - 6, y=_y(share) + 4, class_="tick end"))
    svg = el(
        "svg",
        el("title", title),
        marks,
        el("line", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1), class_="diagonal") if diagonal else None,
        el("path", d=line, class_="curve"),
        [el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_="dot") for x, y in inside] if dots else None,
        el("text", x_name, x=_x(0.5), y=height - 5, class_="axis-name middle"),
        el("text", y_name, x=11, y=_y(0.5), class_="axis-name middle", transform=f"rotate(-90 11 {_y(0.5):.1f})"),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        class_="chart",
    )
    return el("figure", el("figcaption", title), svg)


def _x(share: float) -> float:
    return LEFT + SIDE * min(1.0, max(0.0, share))


def _y(share: float) -> float:
    return TOP + SIDE * (1 - min(1.0, max(0.0, share)))


def metrics_with_intervals(metrics: Json, intervals: Json) -> Html | None:
    """Numbers by name, with the interval of those that have one; None for other shapes."""
    if not isinstance(metrics, Mapping) or not metrics or not all(_is_number(item) for item in metrics.values()):
        return None
    known = intervals if isinstance(intervals, Mapping) else {}
    rows = []
    for name, value in metrics.items():
        pair = _pair(known.get(name))
        rows.append(
            el(
                "tr",
                el("th", name.replace("_", " "), scope="row"),
                el("td", el("span", number(float(value)), class_="number", title=repr(value)), class_="right"),
                el("td", f"{number(pair[0])} … {number(pair[1])}" if pair else "", class_="muted"),
                el("td", _range(float(value), pair) if pair else None),
            )
        )
    return el("div", el("table", el("tbody", rows), class_="metrics"), class_="scroll")


def _pair(item: Json) -> tuple[float, float] | None:
    is_pair = isinstance(item, list) and len(item) == 2 and all(_is_number(number) for number in item)
    return (float(item[0]), float(item[1])) if is_pair else None


def _range(value: float, pair: tuple[float, float]) -> Html | None:
    """Where value and interval stand between 0 and 1, as a bar; None where they don't."""
    low, high = pair
    if not all(math.isfinite(item) and 0 <= item <= 1 for item in (value, low, high)):
        return None
    bar = el("span", class_="interval", style=f"left:{100 * low:.1f}%;width:{max(1.0, 100 * (high - low)):.1f}%")
    return el("span", el("span", class_="mean", style=f"width:{100 * value:.1f}%"), bar, class_="scale")
