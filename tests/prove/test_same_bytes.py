"""The churn run elsewhere: other hash seeds, numbers of threads, days, folders. Every artifact has the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clocks import FAKETIME, moved_by

NOT_COMPARED: dict[str, str] = {}
"""Artifacts that may differ, each with its reason: none does."""

RUN = """
import json, sys
import headrace
from headrace.engine import process
seed, threads, store, *clock = sys.argv[1:]
clock = dict(part.split("=", 1) for part in clock)
steady = process.steady_environment

def elsewhere(cpus):
    limits = dict.fromkeys(process.THREAD_LIMITS, threads)
    return {**steady(cpus), **limits, "PYTHONHASHSEED": seed, "HEADRACE_CPUS": threads, **clock}

process.steady_environment = elsewhere
result = headrace.run("churn.pipeline:churn", store=store)
assert result.outcome == "succeeded", [r.failure.message for r in result.nodes.values() if r.failure]
print(json.dumps({f"{n}.{o}": a.digest for n, r in result.nodes.items() for o, a in r.outputs.items()}))
"""


def run_churn(project: Path, store: Path, seed: str, threads: str, n_days: int) -> dict[str, str]:
    clock = [f"{name}={value}" for name, value in moved_by(n_days).items()] if n_days else []
    done = subprocess.run(
        [sys.executable, "-c", RUN, seed, threads, str(store), *clock],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.prove
@pytest.mark.parametrize("rows", [3000, 100_000])
def test_the_churn_run_has_the_same_bytes_everywhere(project_root: Path, tmp_path: Path, rows: int) -> None:
    digests: dict[str, dict[str, str]] = {}
    other_day = 400 if FAKETIME.exists() else 0
    variants: dict[str, tuple[str, str, int]] = {
        "here": ("0", "1", 0),
        "two threads, a random hash seed, another day": ("random", "2", other_day),
    }
    if rows > 3000:
        variants |= {
            "two threads": ("0", "2", 0),
            "another seed": ("1234", "1", 0),
            "later": ("0", "1", other_day),
        }
    for name, variant in variants.items():
        project = tmp_path / name.replace(" ", "_").replace(",", "") / "churn"
        shutil.copytree(
            project_root / "examples" / "churn", project, ignore=shutil.ignore_patterns(".headrace", "data")
        )
        make = [sys.executable, "-m", "churn.generate", "--rows", str(rows)]
        subprocess.run(make, cwd=project, check=True, capture_output=True)
        digests[name] = run_churn(project, project.parent / "store", *variant)
    here = digests.pop("here")
    assert len({name.partition(".")[0] for name in here}) == 10
    for name, found in digests.items():
        different = {output for output in here if found.get(output) != here[output]} - set(NOT_COMPARED)
        assert not different, (name, sorted(different))


def test_the_clock_was_really_moved() -> None:
    environment = {**os.environ, **moved_by(400)}
    program = "import time; print(int(time.time()))"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    import time

    assert int(done.stdout) - time.time() > 390 * 86400
