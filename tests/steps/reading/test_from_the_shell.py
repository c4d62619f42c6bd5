"""From the shell a broken file is an exit code of 1 and a message: what, where, what to do. No traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from broken_files import BAD_FILES, BAD_ROWS, Broken

from headrace.cli.main import main

PIPELINE = """
from pathlib import Path
from headrace import Table, pipeline
from headrace.steps import ingest

@pipeline
def flow(source: Path) -> Table:
    return ingest(source)
"""
PLAIN = [case for case in (*BAD_FILES, *BAD_ROWS) if not case.options and not getattr(case, "is_heavy", False)]
SLICE = [case for case in PLAIN if case.what == "too many fields"]
"""A run takes its seconds on a busy machine: `make prove` does all."""


def project(folder: Path, case: Broken) -> Path:
    (folder / "pyproject.toml").write_text('[project]\nname = "small"\n')
    (folder / "flow.py").write_text(PIPELINE)
    return case.make(folder)


@pytest.mark.parametrize("case", SLICE, ids=str)
def test_in_one_process(
    case: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = project(tmp_path, case)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "flow", None)
    monkeypatch.delitem(sys.modules, "flow")
    assert main(["run", "flow.py", "-p", f"source={path.name}", "--inline"]) == 1
    said = "".join(capfd.readouterr())
    assert "Hint: " in said
    assert "Traceback" not in said


@pytest.mark.prove
@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_from_the_shell(case: Broken, tmp_path: Path) -> None:
    path = project(tmp_path, case)
    headrace = Path(sys.executable).with_name("headrace")
    done = subprocess.run(
        [headrace, "run", "flow.py", "-p", f"source={path.name}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Hint: " in said
    assert "Traceback" not in said
