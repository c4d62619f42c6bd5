"""The example is a project of its own, whose tests pass from its own folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "churn"


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
