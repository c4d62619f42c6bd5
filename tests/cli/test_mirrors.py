"""Runs mirrored elsewhere because the project says so."""

from __future__ import annotations

from typing import Any


def test_a_tracker_that_cannot_be_reached_takes_no_run_with_it(project: Any) -> None:
    project.write("pyproject.toml", '[project]\nname = "small"\n[tool.headrace]\nmlflow_tracking_uri = "nowhere://x"\n')
    done = project.headrace("run", "flow.py", env={"HEADRACE_LISTENER_SECONDS": "50"})
    assert done.code == 0
    assert f"warning: mlflow: run {done.run_id} isn't mirrored to MLflow: " in done.out
    assert f"try again: python -m headrace.integrations.mlflow {done.run_id} --store " in done.out


def test_without_the_setting_nothing_is_mirrored(project: Any) -> None:
    assert project.headrace("run", "flow.py").err == ""
