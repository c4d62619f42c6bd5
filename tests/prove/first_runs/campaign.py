"""A project for each real file, run as it was made, without an edit."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commits import commit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATA = ROOT.parent / "shared" / "data"
RESULT = HERE.parent / "results" / "init.json"
HEADRACE = [sys.executable, "-m", "headrace.cli.main"]


@dataclass(frozen=True)
class Case:
    """A file, what is to be predicted, and what must be proposed for it."""

    name: str
    file: str
    target: str
    task: str
    split: str
    left_out: frozenset[str] = frozenset()
    least: float = 0.05
    """What ``skill`` or ``r2`` must at least come to: well below what is known to be reachable."""


CASES = (
    Case("telco", "telco_churn.csv", "Churn", "binary", "key", frozenset({"customerID"}), 0.2),
    Case("taxi", "chicago_taxi.csv", "tips", "regression", "time", frozenset({"trip_start_timestamp"}), 0.3),
    Case("adult", "adult_train.csv.gz", "income", "binary", "random", least=0.4),
    Case("adult_test", "adult_test.csv.gz", "income", "binary", "random", least=0.4),
    Case("housing", "california_housing.csv", "median_house_value", "regression", "random", least=0.7),
    Case("hours", "bike_sharing_hour.csv", "cnt", "regression", "time", least=0.6,
         left_out=frozenset({"instant", "dteday", "casual", "registered"})),
    Case("days", "bike_sharing_day.csv", "cnt", "regression", "time", least=0.05,
         left_out=frozenset({"instant", "dteday", "casual", "registered"})),
    Case("penguins", "penguins.csv", "species", "multiclass", "random", least=0.8),
    Case("scaled_penguins", "penguins_processed_tfx.csv", "species", "multiclass", "random", least=0.8),
)  # fmt: skip
NOT_TABLES = {"README.md", "bike_sharing_Readme.txt"}


def headrace(folder: Path, *words: str) -> dict[str, Any]:
    """Carry out a command and give its JSON, or what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    done = subprocess.run(
        [*HEADRACE, *words, "--json"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        found = {"said": (done.stdout + done.stderr)[-2000:]}
    return found | {"exit": done.returncode}


def try_case(case: Case, folder: Path) -> dict[str, Any]:
    """Make a project, run it twice, and give what came of it."""
    start = time.monotonic()
    made = headrace(folder, "init", case.name, "--data", str(DATA / case.file), "--target", case.target)
    init_seconds = time.monotonic() - start
    if made["exit"]:
        return {"name": case.name, "wrong": f"init: {made}"}
    project = folder / case.name
    first = headrace(project, "run")
    again = headrace(project, "run")
    metrics = headrace(project, "show", "evaluate").get("metrics") or metrics_of(project, first)
    return {
        "name": case.name,
        "file": case.file,
        "target": case.target,
        "task": made["target"]["task"],
        "split": made["split"]["by"],
        "left_out": sorted(made["left_out"]),
        "init_seconds": round(init_seconds, 1),
        "run_seconds": round(first.get("seconds") or 0, 1),
        "outcome": first.get("outcome"),
        "counts": first.get("counts"),
        "counts_again": again.get("counts"),
        "metrics": {name: round(value, 4) for name, value in metrics.items() if isinstance(value, float)},
        **({"wrong": wrong} if (wrong := what_is_wrong(case, made, first, again, metrics)) else {}),
    }


def metrics_of(project: Path, run: dict[str, Any]) -> dict[str, float]:
    """Read a run's evaluation out of its store."""
    code = (
        "import json, sys; from headrace.steps.evaluation import Evaluation; from headrace.formats.json_value import "
        "JsonFormat; from pathlib import Path; "
        "print(json.dumps(JsonFormat().load({'value.json': Path(sys.argv[1])}, Evaluation).metrics))"
    )
    place = project / "evaluation.json"
    saved = subprocess.run(
        [*HEADRACE, "show", str(run.get("run")), "--save", "evaluation", str(place)],
        cwd=project,
        capture_output=True,
        check=False,
    )
    if saved.returncode:
        return {}
    done = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=False)
    found: dict[str, float] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def what_is_wrong(
    case: Case, made: dict[str, Any], first: dict[str, Any], again: dict[str, Any], metrics: dict[str, float]
) -> str:
    """Say what isn't as it must be; nothing where all is well."""
    found = (made["target"]["task"], made["split"]["by"], frozenset(made["left_out"]))
    if found != (case.task, case.split, case.left_out):
        return f"proposed {found}"
    if first["exit"] or first.get("outcome") != "succeeded" or first["counts"] != {"succeeded": 9}:
        return f"the first run: {first}"
    if again.get("counts") != {"cached": 9}:
        return f"the second run: {again.get('counts')}"
    value = metrics.get("r2" if case.task == "regression" else "skill", -1.0)
    return "" if value >= case.least else f"{value:.4f} is less than {case.least}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all files, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headrace-init-") as folder:
        found = [try_case(case, Path(folder)) for case in CASES]
    result = {
        "commit": commit("src", "tests/prove/first_runs"),
        "command": "python tests/prove/first_runs",
        "machine": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "seconds": round(time.monotonic() - start, 1),
        "n_files": len(found),
        "n_wrong": sum("wrong" in trial for trial in found),
        "files": found,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 1 if result["n_wrong"] else 0
