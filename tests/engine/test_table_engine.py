"""The setting ``table_engine`` reaches the steps, and counts in their keys."""

from __future__ import annotations

import os
from typing import Any

import pytest


def test_the_setting_opens_the_steps_tables(project: Any, mode: dict[str, bool]) -> None:
    pytest.importorskip("duckdb")
    project.write("""
        from headrace import Table
        import polars as pl

        @step
        def rows() -> Table:
            return Table.of(pl.DataFrame({"a": [1, 2]}))

        @step
        def library(rows: Table) -> str:
            return type(rows.scan().to_native()).__module__.lstrip("_").partition(".")[0]

        @pipeline
        def flow() -> str:
            return library(rows())
    """)
    before = os.environ.get("HEADRACE_TABLE_ENGINE")
    assert project.run(**mode).load() == "polars"
    settings = '[project]\nname = "small"\n[tool.headrace]\ntable_engine = "duckdb"\n'
    (project.folder / "pyproject.toml").write_text(settings)
    again = project.run(**mode)
    assert again.load() == "duckdb"
    assert project.outcomes(again) == {"rows": "cached", "library": "succeeded"}
    assert os.environ.get("HEADRACE_TABLE_ENGINE") == before
