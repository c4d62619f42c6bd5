"""Profiles and drift on a run's page."""

from __future__ import annotations

from pathlib import Path

import headrace
from headrace.engine.view import RunView
from headrace.reports.run_page import render_run_page

FLOW = """
from typing import NamedTuple
import polars as pl
from headrace import pipeline, step
from headrace.steps import Drift, Profile, drift, profile

class Out(NamedTuple):
    known: Profile
    moved: Drift
    calm: Drift

@step
def rows(n: int, by: float) -> pl.DataFrame:
    # A name and a value that a page must not take for its own.
    return pl.DataFrame({
        "fee<b>": [float(i % 100) + by for i in range(n)],
        "plan": ["<script>", "plus"] * (n // 2),
        "odd": [None if i % 4 else 3 for i in range(n)],
        "left": ["no", "yes"] * (n // 2),
    })

@pipeline
def look() -> Out:
    known = profile(rows(2000, 0.0), target="left")
    return Out(known, drift(known, rows(2000, 30.0)), drift(known, rows(3000, 0.0)))
"""


def test_a_profile_and_drift_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "look"\n')
    (tmp_path / "look.py").write_text(FLOW)
    made = headrace.run("look.py:look", folder=tmp_path)
    assert made.outcome == "succeeded", [node.failure for node in made.nodes.values()]
    page = render_run_page(RunView.read(made.store, made.run_id))
    assert "2,000 rows, 4 columns" in page and page.count('class="bars"') == 1
    assert "fee&lt;b&gt;" in page and "&lt;script&gt; 50.0%, plus 50.0%" in page and "<script>" not in page
    assert "75.0%" in page and "with left" in page and "49.5 ± 28.87" in page
    assert "2,000 rows against 2,000: 1 of 3 columns drift" in page and "effect 0.3" in page
    assert "3,000 rows against 2,000: nothing drifts" in page
