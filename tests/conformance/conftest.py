"""The engines that the cases are tried on: all that there are, or those that HEADRACE_ENGINES names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import environments  # noqa: E402
from engine import Engine  # noqa: E402
from harness import Bench  # noqa: E402

ENGINES = {
    "airflow": ("airflow", {}),
    "airflow-postgres": ("airflow", {"database": "postgres"}),
    "dagster": ("dagster", {}),
    "dagster-assets": ("dagster", {"by": "asset"}),
    "kubeflow": ("kubeflow", {}),
    "prefect": ("prefect", {}),
}
"""The engines by the names that they are chosen by: the module and class, and how it is made."""
CHOSEN = os.environ.get("HEADRACE_ENGINES", ",".join(ENGINES)).split(",")
_RESULTS: dict[str, dict[str, Any]] = {}
_WORDS: dict[str, dict[str, set[str]]] = {}
OUT = os.environ.get("HEADRACE_CONFORMANCE_OUT")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bench" in metafunc.fixturenames:
        metafunc.parametrize("bench", CHOSEN, indirect=True, scope="session")


def made(name: str, folder: Path) -> Engine:
    """The engine of that name, with its environment, not started yet."""
    module, how = ENGINES[name]
    environments.set_up(module)
    kind = getattr(import_module(f"engines.{module}"), f"{module.capitalize()}Engine")
    engine: Engine = kind(folder, **how)
    return engine


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An engine that has been started, for all cases."""
    folder = tmp_path_factory.mktemp(request.param)
    engine = made(request.param, folder / "engine")
    (folder / "engine").mkdir()
    try:
        engine.start()
        found = Bench(engine, folder)
        _WORDS[request.param] = found.words
        yield found
    finally:
        engine.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    is_of_another = report.skipped and "it is about" in str(report.longrepr)
    if "bench" in parameters and (report.when == "call" or not report.passed) and not is_of_another:
        name = item.name.replace(f"[{parameters['bench']}]", "").replace(f"[{parameters['bench']}-", "[")
        why = str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else ""
        found = {"outcome": report.outcome, "seconds": round(report.duration, 1), **({"why": why} if why else {})}
        _RESULTS.setdefault(parameters["bench"], {})[name] = found
    return report


def pytest_sessionfinish() -> None:
    if not OUT or not _RESULTS:
        return
    folder = Path(OUT)
    folder.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    for name, cases in _RESULTS.items():
        pins = (HERE / "engines" / f"{ENGINES[name][0]}.txt").read_text().splitlines()
        wanted = ("apache-airflow==", "apache-airflow-task-sdk==", "dagster==", "kfp==", "prefect==")
        document = {
            "engine": name,
            "versions": [line.split(" ")[0] for line in pins if line.startswith(wanted)],
            "python": sys.version.split()[0],
            "commit": commit.stdout.strip(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "command": "HEADRACE_ENGINES=" + name + " make conformance",
            "passed": sum(case["outcome"] == "passed" for case in cases.values()),
            "not_passed": sorted(case for case, found in cases.items() if found["outcome"] != "passed"),
            "words": {outcome: sorted(words) for outcome, words in sorted(_WORDS.get(name, {}).items())},
            "cases": dict(sorted(cases.items())),
        }
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
