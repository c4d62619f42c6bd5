"""What starts ``headrace exec`` from an orchestrator's process: as it stands in the files, in a bare interpreter."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.backends.launcher import IMPORTS, Headrace, Lost, Refused, launcher_source

FLOW = """
import os
import time
from pathlib import Path
from headrace import Secret, pipeline, step

@step
def read(n: int, name: str, key: Secret) -> str:
    print("read", n)
    return f"{name} {len(key.reveal())}"

@step
def each(n: int) -> int:
    return n + 1

@step
def listed(n: int) -> list[int]:
    return list(range(n))

@step
def wait(n: int) -> int:
    if n == 99:
        Path("waiting").write_text(str(os.getppid()))
        time.sleep(600)
    if n == 98:
        raise ValueError("no " * 2000)
    return n

@pipeline
def flow(n: int = 3, name: str = "x"):
    read(n, name, Secret("KEY"))
    each.options(max_tasks=2).map(listed(n))
    return wait(n)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


@pytest.fixture
def headrace(project: Path) -> Headrace:
    from headrace.engine.run import trace

    program = "import json; from headrace.engine.run import trace; print(trace('flow:flow').shape)"
    shape = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert trace is not None
    command = [sys.executable, "-m", "headrace"]
    return Headrace(command, str(project), "flow:flow", str(project / ".headrace"), shape.stdout.strip(), "test")


def test_a_run_by_its_tasks(headrace: Headrace, project: Path) -> None:
    name = "'\"$(touch hacked) {{ 1 }}\n\u00fc" + "x" * 200_000
    run = headrace.run_id(datetime(2026, 11, 22, 9, 30, 15, 123000, tzinfo=UTC), "manual__1")
    log: list[str] = []
    begun = headrace.begin(run, "manual__1", {"n": 4, "name": name}, log=log.append)
    read = headrace.execute(run, "read", log=log.append, secrets={"KEY": "hush"})
    headrace.execute(run, "listed", log=log.append)
    slices = headrace.slices(run, "each", log=log.append)
    for items in slices:
        headrace.execute(run, "each", "--items", items, log=log.append)
    collected = headrace.execute(run, "each", "--collect", log=log.append)
    headrace.execute(run, "wait", log=log.append)
    end = headrace.finish(run, log=log.append)

    assert run == "20261122-093015-123-" + run[-8:]
    assert (begun["run"], begun["nodes"]) == (run, 4)
    assert read["outcome"] == "succeeded"
    assert {key: read["outputs"]["output"][key] for key in ("format", "n_bytes")} == {
        "format": "json",
        "n_bytes": 200_039,
    }
    assert slices == ["0:2", "2:4"]
    assert collected["outcome"] == "succeeded"
    assert end["outcome"] == "succeeded"
    assert "read 4" in log
    assert not (project / "hacked").exists()
    made = subprocess.run(
        [sys.executable, "-m", "headrace", "show", run, "--json"], cwd=project, capture_output=True, check=True
    )
    assert json.loads(made.stdout)["outcome"] == "succeeded"
    record = json.loads((project / f".headrace/runs/{run}/run.json").read_text())
    assert record["given"]["name"] == name
    assert record["engine"] == {"name": "test", "run": "manual__1"}


def test_a_failure_returns_and_a_refusal_and_a_loss_raise(headrace: Headrace, project: Path) -> None:
    headrace.begin("r-1", "x", {"n": 98}, log=str)
    failed = headrace.execute("r-1", "wait", log=str)
    end = headrace.finish("r-1", log=str)

    assert failed["outcome"] == "failed"
    assert len(failed["message"]) == 2000
    assert end["outcome"] == "failed"
    with pytest.raises(Refused, match=r"has no node 'wiat'.*did you mean 'wait'"):
        headrace.execute("r-1", "wiat", log=str)
    headrace.shape = "0" * 64
    with pytest.raises(Refused, match="has other steps, or connects them otherwise"):
        headrace.begin("r-2", "x", {}, log=str)
    headrace.command = ["sh", "-c", "kill -9 $$", "sh"]
    with pytest.raises(Lost, match="was killed by signal 9"):
        headrace.execute("r-1", "wait", log=str)
    headrace.command = ["sh", "-c", "exit 1", "sh"]
    with pytest.raises(Lost, match="ended with exit code 1 before it could say how"):
        headrace.execute("r-1", "wait", log=str)


def test_the_orchestrators_own_paths_are_not_the_steps(headrace: Headrace, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/orchestrator")
    monkeypatch.setenv("VIRTUAL_ENV", "/of/the/orchestrator")
    headrace.command = ["sh", "-c", 'echo "{\\"node\\": \\"$PYTHONPATH$VIRTUAL_ENV\\"}"', "sh"]

    assert headrace.execute("r-1", "x", log=str)["node"] == ""


def test_it_stands_in_a_file_of_its_own(headrace: Headrace, project: Path) -> None:
    """In an interpreter without site-packages; and what it started goes with it when it is killed."""
    program = "\n".join(["from __future__ import annotations", *IMPORTS, launcher_source()])
    made_of = (headrace.command, headrace.project, "flow:flow", headrace.store, headrace.shape, "x")
    program += f"""
headrace = Headrace(*{made_of!r})
headrace.begin("r-1", "x", {{"n": 99}})
headrace.execute("r-1", "wait")
"""
    process = subprocess.Popen([sys.executable, "-S", "-I", "-c", program], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (project / "waiting").exists() or not (project / "waiting").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server = int((project / "waiting").read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    while Path(f"/proc/{server}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "headrace" not in program.split("class Headrace")[0].replace("headrace exec", "")
    assert (project / ".headrace/runs/r-1/run.json").exists()
