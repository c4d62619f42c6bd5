"""Small projects, and the real command run in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "prove")]

COMMAND = [sys.executable, "-m", "headrace.cli.main"]

FLOW = """
from pathlib import Path
from typing import NamedTuple
from headrace import pipeline, step
from helpers import tidy

@step
def ingest(data: Path) -> list[str]:
    return data.read_text().split()

@step
def clean(names: list[str]) -> list[str]:
    print("cleaning", len(names), "names")
    return [tidy(name) for name in names]

@step
def count(names: list[str], least: int = 1) -> dict[str, int]:
    if least < 0:
        raise ValueError(f"0 <= least must hold, but got least={least}")
    return {"n": max(len(names), least)}

@pipeline
def flow(data: Path = Path("names.txt"), least: int = 1, share: float = 0.5):
    return count(clean(ingest(data)), least)
"""
HELPERS = """
SUFFIX = ""

def tidy(name):
    return name.strip().title() + SUFFIX
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def run_id(self) -> str:
        found = re.search(r"\d{8}-\d{6}-\d{3}-[0-9a-f]{4}", self.out)
        assert found is not None, self.out
        return found[0]


@dataclass(frozen=True)
class Project:
    """A folder with a project in it."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def environment(self, **variables: str) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "PYTEST_"))}
        plain.pop("PYTHONUNBUFFERED", None)
        return {**plain, "COLUMNS": "200", **variables}

    def headrace(self, *arguments: str, env: dict[str, str] | None = None) -> Done:
        """Run the command to its end."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without a pipeline; the current folder is in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "small"\n')
    monkeypatch.chdir(folder)
    return Project(folder)


@pytest.fixture
def project(bare: Project) -> Project:
    """A project with a pipeline of three steps."""
    bare.write("flow.py", FLOW)
    bare.write("helpers.py", HELPERS)
    bare.write("names.txt", "ann bob carl")
    return bare


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command, run in this very process: for words that only read."""
    from headrace.cli.main import main

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def bucket() -> Iterator[dict[str, str]]:
    """What the environment must say to reach a bucket on loopback, its place among it."""
    from bucket.server import BUCKET, environment, missing, serving

    if missing() is not None:
        pytest.skip(str(missing()))
    with serving() as url:
        yield {**environment(url), "HEADRACE_STORE": f"s3://{BUCKET}"}


def lines_of(done: Done) -> Sequence[str]:
    """What was printed, without empty lines."""
    return [line for line in done.out.splitlines() if line.strip()]
