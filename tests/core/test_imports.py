"""What importing the core costs: `headrace.core` is imported by every worker and every command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    *("asyncio", "base64", "concurrent", "csv", "datetime", "decimal", "difflib", "email", "fractions", "graphlib"),
    *("http", "importlib.metadata", "logging", "multiprocessing", "numbers", "numpy", "pandas", "pickle", "platform"),
    *("polars", "pyarrow", "random", "rich", "secrets", "sklearn", "socket", "ssl", "subprocess", "tempfile", "uuid"),
    "zoneinfo",
}


def imported_by(code: str) -> set[str]:
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import headrace",
        "from headrace import Resources, Secret, External, TransientError, pipeline, step",
        "from headrace import current_run, progress",
        "import headrace.core.plan, headrace.core.key, headrace.core.artifact, headrace.core.outcome",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert not imported_by(code) & HEAVY


def test_the_facade_imports_nothing_of_headrace() -> None:
    assert {name for name in imported_by("import headrace") if name.startswith("headrace")} == {"headrace"}


def test_making_a_step_imports_nothing_more() -> None:
    code = """
from headrace import Resources, pipeline, step
before = set(sys.modules)
@step(retries=1, resources=Resources(cpus=2))
def double(n: int) -> int:
    return 2 * n
@pipeline
def flow(n: int = 1) -> int:
    return double(n)
assert flow(2) == 4
print(*(set(sys.modules) - before))
sys.exit()
"""
    assert imported_by(code) == set()


def test_an_unknown_name_of_the_facade_is_pythons_own_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        imported_by("import headrace; headrace.stpe")
    assert "AttributeError: module 'headrace' has no attribute 'stpe'" in caught.value.stderr
