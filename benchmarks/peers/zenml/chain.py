"""ZenML: the local stack (SQLite), cache on, its server, analytics and rich output off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import worker

os.environ.update(
    AUTO_OPEN_DASHBOARD="false",
    ZENML_ANALYTICS_OPT_IN="false",
    ZENML_CONFIG_PATH=str(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve() / "config"),
    ZENML_ENABLE_RICH_TRACEBACK="false",
    ZENML_LOGGING_VERBOSITY="ERROR",
)
from zenml import pipeline, step


@step
def add_one(x: int) -> int:
    return x + 1


@pipeline(enable_cache=True)
def chain(start: int, n_steps: int) -> None:
    x = start
    for i in range(n_steps):
        x = add_one(x, id=f"s{i}")


def prepare(n_steps: int, scratch: Path) -> worker.Run:
    subprocess.run(["git", "init", "--quiet"], cwd=scratch, check=True)  # else it looks for one at each run

    def run(start: int) -> int:
        done = chain(start, n_steps)
        return done.steps[f"s{n_steps - 1}"].output.load()

    return run


if __name__ == "__main__":
    worker.main(prepare)
