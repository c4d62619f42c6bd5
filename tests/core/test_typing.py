"""What a type checker says of steps and pipelines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not in this environment")

WRONG = """\
from headrace import Table, step

@step
def count(table: Table) -> int:
    return table.n_rows

count(5)
text: str = count(Table())
"""


def mypy(path: Path, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_samples_are_as_they_say(project_root: Path) -> None:
    """Each wrong line of them is marked with the error that it must give: an unused mark is an error."""
    folder = project_root / "tests" / "typing_samples"
    assert sum(path.read_text().count("# type: ignore[") for path in folder.glob("*.py")) >= 20
    done = mypy(folder, project_root)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_wrong_call_is_an_error(tmp_path: Path, project_root: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    done = mypy(tmp_path / "wrong.py", project_root)
    assert done.returncode == 1
    assert 'wrong.py:7: error: Argument 1 to "__call__" of "Step" has incompatible type "int"' in done.stdout
    assert "wrong.py:8: error: Incompatible types in assignment" in done.stdout
    assert done.stdout.count("error:") == 2
