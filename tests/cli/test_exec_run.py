"""``exec --begin`` and ``exec --finish``: the two ends of a run that an orchestrator carries out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.engine.view import RunView
from headrace.stores.open import open_store

FLOW = """
import time
from pathlib import Path
from dataclasses import dataclass
from typing import ClassVar
from headrace import pipeline, step

@dataclass(frozen=True)
class Verdict:
    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool

@step
def read(n: int) -> int:
    print("read", n)
    return n

@step
def double(n: int) -> int:
    if n == 13:
        raise ValueError("unlucky")
    return 2 * n

@step
def wait(n: int) -> int:
    if n == 60:
        Path("waiting").write_text("")
        time.sleep(600)
    return n

@step
def judge(n: int) -> Verdict:
    return Verdict(n < 100)

@step
def keep(n: int) -> int:
    return n

@step
def last(n: int) -> int:
    return n

@pipeline
def flow(n: int = 5, wide: bool = False):
    one = read(n)
    two = double(one)
    waited = wait(one)
    verdict = judge(two)
    if wide:
        last.options(name="more")(waited)
    return last(keep.options(when=verdict.passed)(two))
"""
NODES = ("read", "double", "wait", "judge", "keep", "last")


@pytest.fixture
def flow(bare: Any) -> Any:
    bare.write("flow.py", FLOW)
    return bare


def begin(project: Any, *more: str) -> Any:
    return project.headrace("exec", "--begin", "flow.py", "--run", "r-1", "--json", *more)


def execute(project: Any, *nodes: str) -> list[int]:
    return [project.headrace("exec", node, "flow.py", "--run", "r-1").code for node in nodes]


def finish(project: Any) -> Any:
    return project.headrace("exec", "--finish", "flow.py", "--run", "r-1", "--json")


def outcomes(done: Any) -> dict[str, str]:
    return {name: node["outcome"] for name, node in done.json["nodes"].items()}


def record(project: Any, name: str) -> Any:
    return json.loads((project.folder / ".headrace/runs/r-1" / name).read_text())


def test_a_run_from_begin_to_finish(flow: Any) -> None:
    begun = begin(flow, "-p", "n=9", "--engine", "airflow", "--engine-run", "manual__1")
    codes = execute(flow, *NODES)
    done = finish(flow)

    assert begun.code == 0
    assert {name: begun.json[name] for name in ("run", "pipeline", "nodes")} == {
        "run": "r-1",
        "pipeline": "flow",
        "nodes": 6,
    }
    assert codes == [0] * 6
    assert done.code == 0
    assert done.json["outcome"] == "succeeded"
    assert done.json["counts"] == {"succeeded": 6}
    assert record(flow, "end.json")["outcome"] == "succeeded"
    assert record(flow, "run.json")["engine"] == {"name": "airflow", "run": "manual__1"}
    shown = flow.headrace("show", "r-1", "--json").json
    assert (shown["outcome"], shown["outputs"]["output"]["value"]) == ("succeeded", 18)


def test_begin_is_done_once(flow: Any) -> None:
    begin(flow, "-p", "n=9")
    first = record(flow, "run.json")
    again = begin(flow, "-p", "n=1")

    assert again.code == 0
    assert record(flow, "run.json") == first


def test_parameters_from_standard_input(flow: Any) -> None:
    command = [sys.executable, "-m", "headrace", "exec", "--begin", "flow.py", "--run", "r-1", "--params", "-"]
    done = subprocess.run(command, cwd=flow.folder, input=b'{"n": 7}', capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert record(flow, "run.json")["given"] == {"n": 7}


def test_another_graph_than_was_compiled_is_refused(flow: Any) -> None:
    local = flow.headrace("run", "flow.py")
    expected = RunView.read(open_store(str(flow.folder / ".headrace")), local.run_id).plan.shape
    same = begin(flow, "-p", "n=8", "--shape", expected)
    other = flow.headrace("exec", "--begin", "flow.py", "--run", "r-2", "-p", "wide=true", "--shape", expected)

    assert same.code == 0, "other values are the same graph"
    assert other.code == 2
    assert "Pipeline 'flow' has other steps, or connects them otherwise, than what the orchestrator was given" in (
        other.err
    )
    assert not (flow.folder / ".headrace/runs/r-2").exists()


def test_once_leaves_a_failure_alone(flow: Any) -> None:
    """For an engine that tries again whatever failed: only what was lost is executed again."""
    begin(flow, "-p", "n=13")
    execute(flow, "read", "double")
    attempts = [
        flow.headrace("exec", "double", "flow.py", "--run", "r-1", "--json", *how).json["attempt"]
        for how in (("--once",), (), ("--once",))
    ]
    codes = [flow.headrace("exec", name, "flow.py", "--run", "r-1", "--once").code for name in ("double", "wait")]

    assert attempts == [1, 2, 2], "a failed node is executed again unless it is to be once"
    assert codes == [1, 0]


def test_a_failure_is_finished_as_one(flow: Any) -> None:
    begin(flow, "-p", "n=13")
    codes = execute(flow, "read", "double", "wait")
    failed = finish(flow)
    again = finish(flow)

    assert codes == [0, 1, 0]
    assert failed.code == 1
    assert failed.json["failed"] == {"double": "ValueError: unlucky"}
    assert outcomes(failed) == {
        "read": "succeeded",
        "double": "failed",
        "wait": "succeeded",
        "judge": "upstream failed",
        "keep": "upstream failed",
        "last": "upstream failed",
    }
    assert again.json["counts"] == failed.json["counts"]
    assert again.json["nodes"]["last"]["attempt"] == 1, "looking again writes nothing"


def test_a_rejection_is_told_by_the_finish_alone(flow: Any) -> None:
    begin(flow, "-p", "n=70")
    codes = execute(flow, *NODES)
    done = finish(flow)

    assert codes == [0] * 6
    assert done.code == 3
    assert done.json["outcome"] == "rejected"
    assert done.json["rejected_by"] == ["judge"]
    assert outcomes(done)["last"] == "skipped"


def test_what_the_engine_skipped_without_asking_is_skipped(flow: Any) -> None:
    begin(flow, "-p", "n=70")
    execute(flow, "read", "double", "wait", "judge")
    done = finish(flow)

    assert done.code == 3
    assert (outcomes(done)["keep"], outcomes(done)["last"]) == ("skipped", "skipped")


def test_what_was_never_started_is_cancelled(flow: Any) -> None:
    begin(flow)
    execute(flow, "read")
    done = finish(flow)

    assert done.code == 130
    assert done.json["nodes"]["double"]["reason"] == "the orchestrator did not start it"
    execute(flow, *NODES)
    assert finish(flow).json["outcome"] == "succeeded", "its nodes were started after all"
    assert record(flow, "end.json")["counts"] == {"succeeded": 6}


def test_a_task_that_was_killed_crashed_and_goes_with_its_parent(flow: Any) -> None:
    begin(flow, "-p", "n=60")
    execute(flow, "read", "double")
    command = [sys.executable, "-m", "headrace", "exec", "wait", "flow.py", "--run", "r-1", "--with-parent"]
    program = f"import os, subprocess, time; subprocess.Popen([*{command!r}, str(os.getpid())]); time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=flow.folder, start_new_session=True)
    until(lambda: (flow.folder / "waiting").exists())
    children = below(parent.pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in children))
    execute(flow, "judge", "keep", "last")
    done = finish(flow)

    assert len(children) > 1, "the command, and the worker below it"
    assert done.code == 1
    assert outcomes(done)["wait"] == "crashed"
    assert done.json["failed"] == {"wait": "The task that executed it ended without a word"}


def below(pid: int) -> list[int]:
    from headrace.engine.process import descendants

    return list(descendants(pid))


def until(is_so: Any) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_step_prints_is_printed(flow: Any) -> None:
    begin(flow)
    done = flow.headrace("exec", "read", "flow.py", "--run", "r-1", "--json")

    assert "\nread 5\n" in done.err
    assert done.json["outcome"] == "succeeded"


def test_finish_of_a_run_that_has_not_begun(flow: Any) -> None:
    begin(flow)
    done = flow.headrace("exec", "--finish", "flow.py", "--run", "r-2")

    assert done.code == 2
    assert "Run 'r-2' has no record of its begin" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--begin", "read", "flow.py"), "there is no place for 'flow.py'"),
        ((), "headrace exec needs a NODE"),
    ],
)
def test_wrong_usage(flow: Any, arguments: tuple[str, ...], message: str) -> None:
    done = flow.headrace("exec", *arguments, "--run", "r-1")

    assert done.code == 2
    assert message in done.err


def test_an_engine_that_reads_files_is_left_some(flow: Any) -> None:
    begin(flow)
    execute(flow, "read")
    flow.headrace("exec", "double", "flow.py", "--run", "r-1", "--leave", "left/node")
    flow.headrace("exec", "--finish", "flow.py", "--run", "r-1", "--leave", "left/run")

    node, run = flow.folder / "left/node", flow.folder / "left/run"
    made = flow.headrace("show", "r-1", "--json").json["nodes"]["double"]["outputs"]["output"]
    assert (node / "outcome").read_text() == "succeeded"
    assert json.loads((node / "outputs.json").read_text()) == {
        "output": {"digest": made["digest"], "format": "json", "n_bytes": 3}
    }
    assert ((run / "outcome").read_text(), (run / "outputs.json").read_text()) == ("cancelled", "{}")


def test_a_small_value_is_told_to_who_asks(flow: Any) -> None:
    begin(flow)
    execute(flow, "read", "double")
    command = ("exec", "judge", "flow.py", "--run", "r-1", "--json", "--value", "passed")

    assert flow.headrace(*command, "--value", "nothing").json["values"] == {"passed": True}
    assert flow.headrace("exec", "read", "flow.py", "--run", "r-1", "--json").json["values"] == {}
