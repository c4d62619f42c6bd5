"""``headrace init`` as a user types it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "headrace.cli.main"]
ROWS = "age,plan,left\n" + "".join(
    f"{20 + i % 50},{'ab'[i % 2]},{'yes' if (i % 50 > 25) != (i % 17 == 0) else 'no'}\n" for i in range(400)
)


def headrace(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *shlex.split(words)], cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(ROWS)
    return tmp_path


@pytest.mark.prove
@pytest.mark.timeout(300)
def test_what_it_says_to_type_next_works(folder: Path) -> None:
    done = headrace(folder, "init churn --data people.csv --target left")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Next:\n  cd churn\n  headrace run\n")
    assert "  target  left             two labels: classification; a model gives the chance of 'yes'\n" in done.stdout
    ran = headrace(folder / "churn", "run -p estimator=linear")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "churn succeeded" in ran.stdout
    by_name = headrace(folder / "churn", "run churn -p estimator=linear")
    assert by_name.returncode == 0 and "9 hits" in by_name.stdout
    rejected = headrace(folder / "churn", "run churn -p estimator=linear -p min_skill=0.9999 -q")
    assert rejected.returncode == 3


@pytest.mark.timeout(300)
def test_without_a_table_it_is_two_steps(folder: Path) -> None:
    assert headrace(folder, "init hello").returncode == 0
    first, second = (headrace(folder / "hello", "run").stdout for _ in range(2))
    assert "2 executed, 0 hits" in first and "0 executed, 2 hits" in second


def test_this_folder(folder: Path) -> None:
    (folder / "here").mkdir()
    done = headrace(folder / "here", "init . --data ../people.csv --target left --time '' --key ''")
    assert done.stdout.endswith("Next:\n  headrace run\n")
    assert (folder / "here/here/pipeline.py").is_file() and (folder / "here/data/people.csv").is_file()
    again = headrace(folder / "here", "init .")
    assert again.returncode == 2
    assert again.stderr.startswith("headrace: Nothing is overwritten: .github/workflows/ci.yml, .gitignore, README.md")


def test_the_same_as_json(folder: Path) -> None:
    found = json.loads(headrace(folder, "init churn --data people.csv --target left --in-place --json").stdout)
    assert found["next"] == ["cd churn", "headrace run"]
    assert (found["template"], found["package"], found["positive"]) == ("classification", "churn", "yes")
    assert found["data"] == {
        "path": str(folder / "people.csv"),
        "copied": False,
        "why": "used where it is, as --in-place says",
    }
    assert found["columns"] == {"age": "integer", "plan": "text", "left": "text"}
    assert found["left_out"] == {}
    assert found["key"]["column"] is None and found["split"]["by"] == "random"
    assert set(found["files"]) >= {"README.md", "pyproject.toml", "churn/pipeline.py", "tests/test_pipeline.py"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("init", "headrace init: the following arguments are required: PROJECT"),
        ("init class", "headrace: 'class' is a word of Python's"),
        ("init churn --target left", "headrace init: --target goes with --data"),
        ("init churn --template regression", "headrace init: --template goes with --data"),
        ("init churn --data people.csv --template empty", "headrace init: --template empty takes no --data"),
        (
            "init churn --data people.csv",
            "headrace init: --data goes with --target, the column to predict.\nHint: one of 'age', 'plan', 'left'",
        ),
        ("init churn --data people.csv --target lft", "Hint: did you mean 'left'?"),
        ("init churn --data peeple.csv --target left", "Hint: did you mean 'people.csv'?"),
        ("init churn --data empty.csv --target left", "headrace: 'empty.csv' is empty"),
        ("init churn --data picture.csv --target left", "'picture.csv' is a PNG image, not CSV as its name says"),
        ("init churn --data head.csv --target left", "'head.csv' has a header but no rows"),
        ("init churn --tagret left", "Hint: did you mean '--target'?"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_made(folder: Path, words: str, message: str) -> None:
    (folder / "empty.csv").write_text("")
    (folder / "head.csv").write_text("age,left\n")
    (folder / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    done = headrace(folder, words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (folder / "churn").exists() and not (folder / "class").exists()
