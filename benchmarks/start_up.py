"""Commands whose whole time counts: from the shell's call to the end of the process."""

from __future__ import annotations

import sys
from pathlib import Path

from contenders import PEERS
from environments import HERE

CHURN = HERE.parent / "examples" / "churn"
PIPELINE = """
from headrace import pipeline, step


@step
def add_one(x: int) -> int:
    return x + 1


@pipeline
def one(start: int = 1) -> int:
    return add_one(start)
"""


def commands_to_time(scratch: Path) -> list[tuple[str, list[str], Path]]:
    """Name, command and working folder of each."""
    headrace = str(Path(sys.executable).parent / "headrace")
    project = scratch / "one"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "one"\nversion = "1"\n')
    (project / "one.py").write_text(PIPELINE)
    churn_store = str(scratch / "churn-store")
    fresh = f"{headrace} run one:one --store $(mktemp -d -p {scratch})"
    return [
        ("`python -c pass`", [sys.executable, "-c", "pass"], scratch),
        ("`python -c 'import headrace'`", [sys.executable, "-c", "import headrace"], scratch),
        ("`headrace --help`", [headrace, "--help"], scratch),
        ("Headrace, one step, empty store", ["bash", "-c", fresh], project),
        ("Headrace, one step, inline, empty store", ["bash", "-c", f"{fresh} --inline"], project),
        ("Headrace, one step, a hit", [headrace, "run", "one:one"], project),
        ("Headrace, the churn example, all hits", [headrace, "run", "--store", churn_store], CHURN),
        *(
            (f"{peer.name}, one step", [*peer.command(scratch / peer.name), "--once", "1", "5"], scratch)
            for peer in PEERS
        ),
    ]
