"""A small project in a folder of its own, and a way to run its pipelines."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunOptions, RunResult

HEAD = """\
from __future__ import annotations
from pathlib import Path
from headrace import External, Resources, Secret, TransientError, current_run, pipeline, progress, step
"""
NUMBERS = itertools.count(1)


class Project:
    """A project folder. Modules get names of their own, since inline runs import them into this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = f"flow_{os.getpid()}_{next(NUMBERS)}"
        self.events: list[Any] = []
        (folder / "pyproject.toml").write_text('[project]\nname = "small"\n')

    def write(self, source: str, name: str | None = None) -> None:
        path = self.folder / (name or f"{self.module}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "" if name else HEAD
        path.write_text(head + textwrap.dedent(source))

    def run(self, parameters: dict[str, Any] | None = None, **options: Any) -> RunResult:
        name = options.pop("pipeline", "flow")
        store = options.pop("store", self.folder / ".headrace")
        self.events.clear()
        chosen = RunOptions(display=self.events.append, echo=False, **options)
        return headrace.run(f"{self.module}.py:{name}", parameters, store=store, folder=self.folder, options=chosen)

    @staticmethod
    def outcomes(result: RunResult) -> dict[str, str]:
        return {name: str(node.outcome) for name, node in result.nodes.items()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


@pytest.fixture(params=["worker", "inline"])
def mode(request: pytest.FixtureRequest) -> dict[str, bool]:
    return {"inline": request.param == "inline"}


@pytest.fixture
def wait_for() -> Callable[..., None]:
    import time

    def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """No test leaves a process behind."""
    from headrace.engine.process import descendants

    before = set(descendants(os.getpid()))
    yield
    import time

    deadline = time.monotonic() + 5
    while (left := set(descendants(os.getpid())) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"processes left behind: {left}"
