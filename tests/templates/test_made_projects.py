"""Projects that are made: their code is as a careful engineer writes it, and does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from templates_tables import days, made, written

import headrace
from headrace.core.errors import ProjectError
from headrace.templates import project as making
from headrace.templates.naming import package_name
from headrace.templates.project import Project, make_project
from headrace.templates.proposals import propose
from headrace.templates.survey import survey

ROOT = Path(headrace.__file__).resolve().parents[2]


def make(folder: Path, frame: pl.DataFrame | None = None, target: str = "sold", name: str = "homes") -> Project:
    proposal = None if frame is None else propose(survey(written(folder, frame)), target)
    return make_project(folder / name, proposal)


def ran(folder: Path, *arguments: str) -> str:
    """Carry out a Python module in a project, as its user does."""
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src"), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


ODD = 'a "quoted" \'one\' \\ $name {x} `y` """'

TABLES: dict[str, tuple[pl.DataFrame | None, str]] = {
    "empty": (None, ""),
    "binary": (made(customerID=pl.int_range(300).cast(pl.String) + pl.lit(" x"), moment=days(300)), "sold"),
    "boolean": (made().with_columns(sold=pl.col("sold") == "yes", plan=pl.lit(None, pl.String)), "sold"),
    "several": (made(household_id=pl.int_range(300) // 2 + 7), "quarter"),
    "numbers": (made(at=pl.int_range(300) * 3600 + 1_400_000_000).with_columns(timestamp="at"), "price"),
    "odd": (made().rename({"rooms": ODD, "sold": f"{ODD}?", "quarter": "n_missing"}), f"{ODD}?"),
    "texts": (
        made().select(
            pl.when(pl.int_range(300) % 9 > 0).then(pl.col("quarter") == "port").otherwise(False).alias("sold"),
            town=pl.lit("a ' \" c ") + pl.col("quarter"),
        ),
        "sold",
    ),
    "dirty": (
        made(day=days(300)).with_columns(
            rooms=pl.when(pl.int_range(300) < 4)
            .then(pl.lit("many ") + pl.col("quarter"))
            .otherwise(pl.col("rooms").cast(pl.String)),
            sold=pl.when(pl.int_range(300) % 3 == 0).then(pl.col("sold").str.to_uppercase()).otherwise("sold"),
            quarter=pl.when(pl.int_range(300) % 7 == 0).then(pl.lit("?")).otherwise("quarter"),
        ),
        "sold",
    ),
    "unanswered": (made().with_columns(sold=pl.when(pl.int_range(300) % 3 > 0).then("sold")), "sold"),
    "long": (
        made().with_columns(
            quarter=pl.lit("a category whose name is as long as a sentence, number ")
            + (pl.int_range(300) % 9).cast(pl.String)
        ),
        "sold",
    ),
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("projects")
    found = {}
    for name, (frame, target) in TABLES.items():
        (folder / name).mkdir()
        found[name] = make(folder / name, frame, target, name=f"{name}_homes").folder
    return found


@pytest.mark.parametrize("name", TABLES)
def test_the_formatter_and_the_linter_have_nothing_to_say(projects: dict[str, Path], name: str) -> None:
    rules = ("--extend-select", "D1,UP,B,C4,SIM,RUF,N,RET", "--ignore", "D103")
    assert ran(projects[name], "ruff", "check", "--no-cache", *rules) == "All checks passed!\n"
    assert "reformat" not in ran(projects[name], "ruff", "format", "--no-cache", "--check")


@pytest.mark.parametrize("name", ["empty", "binary", "odd"])
def test_types_hold(projects: dict[str, Path], name: str) -> None:
    assert "Success" in ran(projects[name], "mypy", "--cache-dir", str(ROOT / ".mypy_cache"))


RUN_HERE = ("dirty",)
"""The others are run by `make prove`, or by tests of their own."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", [name if name in RUN_HERE else pytest.param(name, marks=pytest.mark.prove) for name in TABLES]
)
def test_the_first_run_ends_well(projects: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = f"{name}_homes"
    monkeypatch.chdir(projects[name])
    monkeypatch.syspath_prepend(str(projects[name]))
    parameters = {"estimator": "linear"} if name != "empty" else {}
    result = headrace.run(f"{package}.pipeline:{package}", parameters, inline=True)
    failures = [node.failure.message for node in result.nodes.values() if node.failure is not None]
    assert (result.outcome, failures) == ("succeeded", [])
    if name == "dirty":
        assert result.load("quarantine").n_rows == 4


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["empty", *(pytest.param(name, marks=pytest.mark.prove) for name in ("several", "dirty"))]
)
def test_its_own_tests_pass(projects: dict[str, Path], name: str) -> None:
    found = ran(projects[name], "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    assert ("2 passed" if name == "empty" else "4 passed") in found


def test_the_workflow_is_yaml_and_the_project_a_package(projects: dict[str, Path]) -> None:
    import tomllib

    import yaml

    for name, folder in projects.items():
        workflow = yaml.safe_load((folder / ".github/workflows/ci.yml").read_text())
        steps = [step.get("run", "") for step in workflow["jobs"]["test"]["steps"]]
        assert steps[-1] == "python -m pytest"
        settings = tomllib.loads((folder / "pyproject.toml").read_text())
        package = f"{name}_homes"
        assert settings["tool"]["headrace"]["pipeline"] == f"{package}.pipeline:{package}"
        assert settings["project"]["name"] == f"{name}-homes"
        assert ".headrace/" in (folder / ".gitignore").read_text().splitlines()


def test_nothing_of_this_machine_is_written(projects: dict[str, Path]) -> None:
    for folder in projects.values():
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix in (".py", ".md", ".toml", ".yml"):
                text = path.read_text()
                assert str(folder.parent) not in text and str(ROOT) not in text, path


def test_rows_are_copied_or_used_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def data_of(project: Project) -> str:
        text = (project.folder / project.package / "pipeline.py").read_text()
        return text.partition("data: Path = Path(")[2].partition("),")[0].strip('"')

    path = written(tmp_path, made())
    copied = make_project(tmp_path / "one", propose(survey(path), "sold"))
    assert data_of(copied) == "data/homes.csv"
    assert (copied.folder / "data/homes.csv").read_bytes() == path.read_bytes()
    outside = make_project(tmp_path / "two", propose(survey(path), "sold"), in_place=True)
    assert data_of(outside) == str(path) and not (outside.folder / "data").exists()
    monkeypatch.setattr(making, "MOST_COPIED_BYTES", 100)
    large = make_project(tmp_path / "three", propose(survey(path), "sold"))
    assert data_of(large) == str(path)
    assert large.data is not None and large.data.why == "used where it is, 0 MB are too many to copy"
    (tmp_path / "four").mkdir()
    inside = make_project(tmp_path / "four", propose(survey(written(tmp_path / "four", made())), "sold"))
    assert data_of(inside) == "homes.csv"
    assert "/homes.csv" in (inside.folder / ".gitignore").read_text().splitlines()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = make(tmp_path, made())
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    with pytest.raises(ProjectError, match=r"Nothing is overwritten: .github/workflows/ci.yml, .* more are there"):
        make(tmp_path, made(seed=1))
    assert before == {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("mine")
    with pytest.raises(ProjectError, match=r"Nothing is overwritten: README.md is there already"):
        make(tmp_path, None, name="other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["README.md"]
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "tests").write_text("")
    with pytest.raises(ProjectError, match=r"blocked/tests' is a file, where a folder is needed"):
        make(tmp_path, None, name="blocked")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match=r"file' is a file, where a folder is needed"):
        make(tmp_path, None, name="file")


@pytest.mark.parametrize(
    ("name", "package"),
    [("churn", "churn"), ("my-churn", "my_churn"), ("My Churn", "my_churn"), ("v2.churn", "v2_churn")],
)
def test_the_package_is_named_after_the_project(name: str, package: str) -> None:
    assert package_name(name) == package


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2024-churn", r"'2024-churn' can't be the name of a package.\nHint: did you mean 'churn_2024'\?"),
        ("2024", r"did you mean 'model_2024'\?"),
        ("chürn!", r"did you mean 'chrn'\?"),
        ("???", "letters, digits and '_', a letter first, such as 'churn'"),
        ("class", r"'class' is a word of Python's.\nHint: did you mean 'class_model'\?"),
        ("polars", r"'polars' is the name of a module that is installed here, which the project's would hide"),
        ("random", "'random' is the name of a module that is installed here"),
        ("tests", "'tests' is a name that the project uses itself"),
        ("headrace", "'headrace' is a name that the project uses itself"),
    ],
)
def test_names_that_will_not_do(name: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        package_name(name)


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making.shutil, "copyfile", refuse)
    with pytest.raises(ProjectError, match="The project can't be written: No space left on device"):
        make(tmp_path, made())
    assert [path for path in (tmp_path / "homes").rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert make(tmp_path, made()).files, "what was begun is not in the way"


def test_many_rows_without_an_answer_may_be_set_aside(tmp_path: Path) -> None:
    third = pl.when(pl.int_range(300) % 3 > 0).then("sold")
    project = make(tmp_path, made().with_columns(sold=third))
    text = (project.folder / "homes/pipeline.py").read_text()
    assert "validate(raw, CHECKS, max_bad_share=0.6)" in text, "a third, half as much again, and a little"
    assert "max_bad_share" not in (make(tmp_path, made(), name="whole").folder / "whole/pipeline.py").read_text()
