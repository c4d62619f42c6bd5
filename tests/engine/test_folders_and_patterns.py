"""A folder or a pattern as a step's input counts by the content of all that it stands for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.core.stamps import Stamps
from headrace.engine.prepare import path_digest

FLOW = """
    from headrace import Table
    from headrace.steps import ingest

    @pipeline
    def flow(source: Path) -> Table:
        return ingest(source)
"""


@pytest.fixture(params=["data", "data/*.csv", "data/**/*.csv"])
def outcome(request: pytest.FixtureRequest, project: Any) -> Callable[[], str]:
    """Makes two files and runs a pipeline that reads them: says how the step ended."""
    project.write(FLOW)
    (project.folder / "data").mkdir()
    for name in ("a", "b"):
        (project.folder / "data" / f"{name}.csv").write_text(f"id,name\n1,{name}\n")

    def run() -> str:
        result = project.run({"source": request.param}, inline=True)
        assert result.nodes["ingest"].failure is None, result.nodes["ingest"].failure
        return str(result.nodes["ingest"].outcome)

    return run


def test_a_file_that_comes_changes_or_goes_is_a_miss(outcome: Callable[[], str], project: Any) -> None:
    data: Path = project.folder / "data"
    assert (outcome(), outcome()) == ("succeeded", "cached")
    (data / "c.csv").write_text("id,name\n2,c\n")
    assert (outcome(), outcome()) == ("succeeded", "cached")
    (data / "a.csv").write_text("id,name\n3,a\n")
    assert (outcome(), outcome()) == ("succeeded", "cached")
    (data / "b.csv").unlink()
    assert (outcome(), outcome()) == ("succeeded", "cached")
    (data / "b.csv").write_text("id,name\n1,b\n")
    (data / "a.csv").write_text("id,name\n1,a\n")
    (data / "c.csv").unlink()
    assert outcome() == "cached"  # all is as it was at first


def test_what_a_pattern_does_not_name_is_no_miss(project: Any, mode: dict[str, bool]) -> None:
    project.write(FLOW)
    (project.folder / "data").mkdir()
    (project.folder / "data" / "a.csv").write_text("id\n1\n")
    first = project.run({"source": "data/*.csv"}, **mode)
    (project.folder / "data" / "notes.txt").write_text("nothing")
    again = project.run({"source": "data/*.csv"}, **mode)
    assert (project.outcomes(first), project.outcomes(again)) == ({"ingest": "succeeded"}, {"ingest": "cached"})


def test_a_file_of_a_pattern_changes_under_the_step(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step(retries=0)
        def read(path: Path) -> int:
            Path("data/new.csv").write_text("id\\n2\\n")
            return 1

        @pipeline
        def flow(path: Path) -> int:
            return read(path)
        """
    )
    (project.folder / "data").mkdir()
    (project.folder / "data" / "a.csv").write_text("id\n1\n")
    result = project.run({"path": "data/*.csv"}, **mode)
    assert "'data/*.csv' changed while step 'read' read it" in result.nodes["read"].failure.message


def test_what_cannot_be_read_is_for_the_step_to_say(tmp_path: Path) -> None:
    """A fingerprint neither fails nor waits for what nobody writes."""
    stamps = Stamps()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("x")
    assert path_digest(tmp_path / "pipe", stamps) == "neither file nor folder"
    assert path_digest(tmp_path / "loop", stamps) == f"unreadable: {os.strerror(errno.ELOOP)}"
    assert path_digest(tmp_path / "file" / "below", stamps) == f"unreadable: {os.strerror(errno.ENOTDIR)}"
    assert path_digest(tmp_path / "absent", stamps) is None
