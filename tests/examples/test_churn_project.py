"""The example is a project of its own, whose tests pass from its own folder."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "churn"


@pytest.mark.prove  # they are among the normal tests; this is how whoever copies the project runs them
@pytest.mark.timeout(600)
def test_its_own_tests_pass() -> None:
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"]
    done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.search(r"\b(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 15, done.stdout[-500:]


def test_the_pipeline_is_a_page() -> None:
    lines = (EXAMPLE / "churn" / "pipeline.py").read_text().splitlines()
    body = lines[next(i for i, line in enumerate(lines) if line.startswith("@pipeline")) :]
    assert len(body) < 80


def test_it_is_a_project_as_init_makes_it(tmp_path: Path) -> None:
    from headrace.templates.project import make_project

    made = make_project(tmp_path / "churn", None)
    theirs = {name for name in made.files if not name.startswith((".github/", "tests/"))}
    assert {name for name in theirs if not (EXAMPLE / name).is_file()} == {"churn/steps.py"}
    own, new = (tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (EXAMPLE, made.folder))
    for table in ("headrace", "hatch"):
        assert own["tool"][table] == new["tool"][table]
    assert own["build-system"] == new["build-system"]
    rules = (made.folder / ".gitignore").read_text().splitlines()
    assert set((EXAMPLE / ".gitignore").read_text().splitlines()) <= set(rules)
