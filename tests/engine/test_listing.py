"""Pipelines are found by their names, by reading source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import ProjectError
from headrace.engine.listing import named_pipelines, pipelines_in
from headrace.engine.target import locate

PIPELINE = "import headrace\nraise RuntimeError('not to be imported')\n\n@headrace.pipeline\ndef {}():\n    return 1\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    for name in ("churn/__init__.py", "tests/test_it.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / "churn/pipeline.py").write_text(PIPELINE.format("churn"))
    (tmp_path / "churn/other.py").write_text(
        "from headrace import pipeline\n@pipeline(name='nightly')\ndef f(): ...\n\n@pipeline()\ndef g(): ...\n"
    )
    (tmp_path / "tests/test_it.py").write_text(PIPELINE.format("churn"))
    (tmp_path / "broken.py").write_text("@pipeline\ndef f(:\n")
    return tmp_path


def test_pipelines_of_a_project(project: Path) -> None:
    assert sorted(named_pipelines(project)) == [
        ("churn", "churn.pipeline", "churn"),
        ("g", "churn.other", "g"),
        ("nightly", "churn.other", "f"),
    ]
    assert pipelines_in(project / "nowhere.py") == pipelines_in(project / "broken.py") == []


def test_a_pipeline_by_its_name(project: Path) -> None:
    assert locate("churn", project).text == "churn.pipeline:churn"
    assert locate("nightly", project / "churn").text == "churn.other:f"
    assert locate("churn.pipeline", project).text == "churn.pipeline"
    assert locate("churn:churn", project).text == "churn:churn"
    assert locate("unknown", project).text == "unknown"


def test_a_module_of_that_name_goes_before(project: Path) -> None:
    (project / "churn/__init__.py").write_text(PIPELINE.format("own"))
    assert locate("churn", project).text == "churn"


def test_below_src(project: Path) -> None:
    (project / "src").mkdir()
    (project / "churn").rename(project / "src/churn")
    assert locate("churn", project).text == "churn.pipeline:churn"


def test_two_of_one_name(project: Path) -> None:
    (project / "churn/second.py").write_text(PIPELINE.format("g"))
    with pytest.raises(ProjectError, match="2 modules have a pipeline 'g'"):
        locate("g", project)
