"""A project with a pipeline that uses what backends have to carry out, and a backend of another package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Helpers of these tests are found by this folder.
sys.path.insert(0, str(Path(__file__).resolve().parent))

FLOW = '''
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal

from headrace import Resources, Secret, pipeline, step


@dataclass(frozen=True)
class Verdict:
    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool
    score: float


@step
def numbers(n: int, token: Secret) -> list[int]:
    return list(range(n))


@step(retries=2, timeout_seconds=60, resources=Resources(cpus=2))
def double(n: int) -> int:
    return 2 * n


@step
def judge(values: list[int]) -> Verdict:
    return Verdict(len(values) < 100, 0.5)


@step
def keep(values: list[int], name: str) -> str:
    return name


@pipeline
def inner(values: list[int], name: str):
    return keep(values, name)


@pipeline(schedule="0 3 * * *", timezone="Europe/Zurich", date="day")
def flow(
    day: date,
    n: int = 3,
    share: float = 0.5,
    name: str = "plain",
    words: tuple[str, ...] = ("a", "b"),
    kind: Literal["one", "two"] = "one",
    data: Path = Path("data/rows.csv"),
    limit: int | None = None,
    weights: dict[str, float] | None = None,
    odd: complex = 1j,
    is_on: bool = True,
):
    """Double numbers.

    And more.
    """
    doubled = double.map(numbers(n, Secret("TOKEN")))
    verdict = judge(doubled)
    keep.options(when=verdict.passed)(doubled, name)
    return inner(doubled, name)
'''


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Project:
    """A folder to compile in."""

    folder: Path

    def headrace(self, *arguments: str, env: dict[str, str] | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "headrace", *arguments],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made_project(tmp_path / "project")


@pytest.fixture(scope="module")
def one_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all tests of a file that change nothing in it."""
    return made_project(tmp_path_factory.mktemp("one") / "project")


def made_project(folder: Path) -> Project:
    folder.mkdir()
    found = Project(folder)
    found.write("pyproject.toml", '[project]\nname = "flows"\nversion = "1"\n')
    found.write("flow.py", FLOW)
    return found


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, str]:
    """The environment in which another package brings the backend ``plain``."""
    package = tmp_path / "package"
    info = package / "plain_package-1.dist-info"
    info.mkdir(parents=True)
    (package / "plain_package.py").write_text(Path(__file__).with_name("plain_package.py").read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[headrace.backends]\nplain = plain_package:Plain\n")
    return {"PYTHONPATH": str(package)}
