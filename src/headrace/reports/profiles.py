"""A table's profile and its drift as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.reports.html import Child, Html, el, join, table
from headrace.reports.values import number

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.steps.profiling import ColumnProfile
    from headrace.stores.protocol import Store

FORMAT = "headrace.steps.profiling.profile_format:ProfileFormat"
MOST_BYTES = 20_000_000
MOST_COLUMNS = 200
N_BARS = 24
WIDTH, HEIGHT = 132.0, 26.0
TRIM = 0.005
DRIFT = frozenset({"n_reference", "n_rows", "columns", "lost_columns", "new_columns"})


def show_profile(store: Store, artifact: Artifact) -> Html | None:
    """A profile as a table of its columns; None where it is too large or can't be read."""
    from headrace.core.errors import HeadraceError
    from headrace.steps.profiling import Profile

    if artifact.n_bytes > MOST_BYTES or len(artifact.files) != 1:
        return None
    try:
        profile = Profile.from_json(store.read_object(artifact.files[0].digest))
    except HeadraceError:
        return None
    shown = list(profile.columns.items())[:MOST_COLUMNS]
    rows = [_row(name, column, profile.target) for name, column in shown]
    head: list[Child] = ["column", "", *(_right(name) for name in ("missing", "distinct", "least", "median"))]
    head += [_right("greatest"), _right("mean ± std")]
    if profile.target is not None:
        head.append(_right(f"with {profile.target}"))
    more = len(profile.columns) - len(shown)
    return join(
        el("p", f"{profile.n_rows:,} rows, {len(profile.columns)} columns. ~ is an estimate.", class_="muted"),
        table(head, rows, class_="data profile"),
        el("p", f"… and {more} more columns", class_="muted") if more else None,
    )


def _right(name: str) -> Html:
    return el("th", name, scope="col", class_="right")


def _row(name: str, column: ColumnProfile, target: str | None) -> list[Child]:
    from headrace.steps.profiling.column import MEASURED, NUMBERS
    from headrace.steps.profiling.summary import distinct, share, shown

    is_measured = column.kind in MEASURED
    ends = [column.least, column.as_value(column.quantile(0.5)), column.greatest] if is_measured else ["", "", ""]
    figures = [share(column.missing_share), distinct(column), *map(shown, ends)]
    figures.append(f"{shown(column.mean)} ± {shown(column.std)}" if column.kind in NUMBERS else "")
    if target is not None:
        figures.append(shown(column.association.correlation) if column.association else "")
    kind = column.kind if column.kind != "other" else column.type
    return [
        el("th", name, el("span", kind, class_="where"), scope="row"),
        el("td", _bars(column) if is_measured else _values(column)),
        *(el("td", figure, class_="right") for figure in figures),
    ]


def _bars(column: ColumnProfile) -> Html | None:
    """A histogram without the outermost half per cents, which would squeeze the rest."""
    bars = column.histogram(N_BARS, trim=TRIM)
    if len(bars) < 2:
        return None
    most = max(bar.count for bar in bars) or 1.0
    step = WIDTH / len(bars)
    drawn = [
        el(
            "rect",
            x=f"{place * step:.1f}",
            y=f"{HEIGHT * (1 - bar.count / most):.1f}",
            width=f"{step - 0.8:.1f}",
            height=f"{HEIGHT * bar.count / most:.1f}",
        )
        for place, bar in enumerate(bars)
    ]
    low, high = column.as_value(bars[0].low), column.as_value(bars[-1].high)
    title = el("title", f"{low} to {high}")
    size = {"width": f"{WIDTH:.0f}", "height": f"{HEIGHT:.0f}", "viewBox": f"0 0 {WIDTH:.0f} {HEIGHT:.0f}"}
    return el("svg", title, drawn, role="img", class_="bars", **size)


def _values(column: ColumnProfile) -> Html | None:
    """The frequent values in a line."""
    from headrace.steps.profiling.summary import most_frequent

    text = most_frequent(column)
    return el("span", text, class_="muted") if text else None


def is_drift(value: Mapping[str, Any]) -> bool:
    """Whether an object is what `drift` gives."""
    return set(value) == DRIFT and isinstance(value["columns"], list)


def show_drift(value: Mapping[str, Any]) -> Html:
    """What drifts, and by how much; the rest behind a click."""
    drifting = [change for change in value["columns"] if change["reasons"]]
    calm = [change for change in value["columns"] if not change["reasons"]]
    against = f"{value['n_rows']:,} rows against {value['n_reference']:,}: "
    n_columns = len({change["column"] for change in drifting})
    told = f"{n_columns} of {len({change['column'] for change in value['columns']})} columns drift"
    lost = [("lost", value["lost_columns"]), ("new", value["new_columns"])]
    return join(
        el("p", against, told if drifting else "nothing drifts", ".", class_="muted"),
        [el("p", f"{word} columns: {', '.join(names)}") for word, names in lost if names],
        _drift_table(drifting) if drifting else None,
        el("details", el("summary", f"{len(calm)} comparisons without drift"), _drift_table(calm)) if calm else None,
    )


def _drift_table(changes: list[Mapping[str, Any]]) -> Html:
    figures = ("effect", "psi", "jensen_shannon", "p_value", "missing_reference", "missing_share")
    names = ("effect", "PSI", "Jensen–Shannon", "p", "missing before", "missing")
    rows = [
        [
            el("th", change["column"], el("span", change["slice"], class_="where"), scope="row"),
            *(el("td", _figure(change[name]), class_="right") for name in figures),
            "; ".join(change["reasons"]),
        ]
        for change in changes[:MOST_COLUMNS]
    ]
    return table(["column", *map(_right, names), "why"], rows, class_="data")


def _figure(value: float) -> str:
    return number(round(value, 4) if abs(value) >= 1e-3 else value)
