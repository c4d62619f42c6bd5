"""A project whose pipeline takes one source in, run inline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunOptions, RunResult
from headrace.core.sample import Sample

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "prove")]

FLOW = """
from pathlib import Path
from headrace import Secret, Table, pipeline, step
from headrace.steps import *
from headrace.steps.sampling import sampled

@step
def rows(table: Table) -> list[list]:
    return [list(row) for row in table.polars().collect().rows()]

@pipeline
def flow({parameters}):
    return rows({expression})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "sources"\n')
    return tmp_path


@pytest.fixture
def run(project: Path) -> Callable[..., RunResult]:
    """Run a pipeline that gives the rows of the table that an expression is."""

    def run(
        expression: str, parameters: str = "", *, inline: bool = True, sample: Sample | None = None, **given: Any
    ) -> RunResult:
        name = f"flow_{abs(hash((expression, parameters)))}"
        (project / f"{name}.py").write_text(FLOW.format(expression=expression, parameters=parameters))
        options = RunOptions(inline=inline, sample=sample)
        return headrace.run(f"{name}.py:flow", given, folder=project, options=options)

    return run
