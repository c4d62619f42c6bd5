"""A run's page: one HTML file that needs nothing else, made from the run's records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.reports import sections
from headrace.reports.html import Html, el

if TYPE_CHECKING:
    from headrace.engine.view import RunView

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_run_page(view: RunView) -> Path:
    """Write the page into the run's folder, in place of the one that is there, and say where it is.

    Raises `StoreError` when it can't be written.
    """
    name = f"runs/{view.id}/report.html"
    page = render_run_page(view).encode()
    path = view.store.stream_path(name)
    path.unlink(missing_ok=True)
    with view.store.open_stream(name) as stream:
        stream.write(page)
    return path


def render_run_page(view: RunView) -> Html:
    """The page as text. All that comes from the run is escaped; scripts and loading from elsewhere are forbidden."""
    style = Html((Path(__file__).parent / "run_page.css").read_text(encoding="utf-8"))
    graph, timeline = sections.graph(view), sections.timeline(view)
    body = [
        sections.header(view),
        sections.trouble(view),
        sections.outputs(view),
        el("div", graph, timeline, class_="pair beside" if sections.is_narrow(view) else "pair"),
        sections.values(view),
        sections.steps(view, sections.explained(view)),
        sections.inputs(view),
        sections.environment(view),
        el("footer", f"Made by Headrace {view.begin['headrace']} from the records of run {view.id}."),
    ]
    head = [
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{view.begin['pipeline']}: {view.state} ({view.id})"),
        el("style", style),
    ]
    return Html("<!DOCTYPE html>\n" + el("html", el("head", head), el("body", el("main", body)), lang="en") + "\n")
