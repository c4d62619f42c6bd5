"""A run's page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.engine.view import RunView


def write_run_page(view: RunView) -> Path:
    """Write the page into the run's folder, in place of the one that is there, and say where it is."""
    name = f"runs/{view.id}/report.html"
    path = view.store.stream_path(name)
    path.unlink(missing_ok=True)
    with view.store.open_stream(name) as stream:
        stream.write(b"")
    return path
