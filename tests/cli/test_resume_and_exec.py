"""``resume`` reuses what is not cached; ``exec`` carries out single nodes of one run."""

from __future__ import annotations

import json
from typing import Any

import pytest

COSTLY = """
import os
from pathlib import Path
from headrace import External, pipeline, step
from dataclasses import dataclass

@dataclass(frozen=True)
class Clock(External):
    name: str

    def pin(self, store):
        return os.environ.get("CLOCK", "noon")

@step(cache=False)
def costly(n: int, clock: Clock) -> int:
    print("costly", n)
    return n

@step
def after(number: int, mood: str) -> int:
    if mood == "bad" and not Path(__file__).with_name("-".join(["all", "well"])).exists():
        raise ValueError("bad mood")
    return number + 1

@step
def gate_like(number: int) -> bool:
    return number > 100

@step
def skipped(number: int) -> int:
    return number

@pipeline
def flow(n: int = 5, mood: str = "bad"):
    number = costly(n, Clock("wall"))
    skipped.options(when=gate_like(number))(number)
    return after(number, mood)
"""


@pytest.fixture
def costly(bare: Any) -> Any:
    bare.write("costly.py", COSTLY)
    return bare


def begin_of(project: Any, run_id: str) -> Any:
    return json.loads((project.folder / ".headrace/runs" / run_id / "run.json").read_text())


def attempts_of(project: Any, run_id: str) -> list[str]:
    return sorted(path.name for path in (project.folder / ".headrace/runs" / run_id / "nodes").glob("*.json"))


# --- resume


def test_resume_reuses_what_is_not_cached(costly: Any) -> None:
    failed = costly.headrace("run", "costly.py", "-p", "n=7")
    (costly.folder / "all-well").write_text("")
    resumed = costly.headrace("resume")
    again = costly.headrace("run", "costly.py", "-p", "n=7")

    assert failed.code == 1
    assert f"or, to reuse what is not cached too ('costly'): headrace resume {failed.run_id}" in failed.out
    assert resumed.code == 0
    assert f"costly: cached (made by run {failed.run_id})" in resumed.out
    assert begin_of(costly, resumed.run_id)["resumes"] == failed.run_id
    assert begin_of(costly, resumed.run_id)["given"] == {"n": "7"}
    assert "costly: succeeded" in again.out, "running again executes it again"


def test_resume_by_id_and_from_another_folder(costly: Any) -> None:
    failed = costly.headrace("run", "costly.py")
    (costly.folder / "all-well").write_text("")
    (costly.folder / "deeper").mkdir()
    deeper = type(costly)(costly.folder / "deeper")

    assert deeper.headrace("resume", failed.run_id[-6:]).code == 0


def test_resume_does_not_reuse_what_changed(costly: Any) -> None:
    failed = costly.headrace("run", "costly.py")
    (costly.folder / "all-well").write_text("")
    (costly.folder / "costly.py").write_text(COSTLY.replace('"costly", n', '"more costly", n'))
    resumed = costly.headrace("resume", failed.run_id)

    assert resumed.code == 0
    assert "costly: succeeded" in resumed.out


def test_resume_of_nothing(costly: Any) -> None:
    costly.headrace("run", "costly.py")
    done = costly.headrace("resume", "20991231")

    assert done.code == 2
    assert "There is no run '20991231' in file://" in done.err


# --- exec


def test_exec_carries_out_one_node_after_the_other(costly: Any) -> None:
    codes = {}
    for node in ("costly", "gate_like", "skipped", "after"):
        codes[node] = costly.headrace("exec", node, "costly.py", "--run", "r-1", "-p", "mood=good").code

    assert codes == dict.fromkeys(codes, 0)
    assert attempts_of(costly, "r-1") == ["after.1.json", "costly.1.json", "gate_like.1.json", "skipped.1.json"]
    shown = costly.headrace("show", "r-1", "--json").json
    assert {name: node["outcome"] for name, node in shown["nodes"].items()} == {
        "costly": "succeeded",
        "gate_like": "succeeded",
        "skipped": "skipped",
        "after": "succeeded",
    }
    assert shown["outcome"] == "running"
    assert shown["outputs"]["output"]["value"] == 6


def test_the_runs_own_parameters_and_pins_win(costly: Any) -> None:
    costly.headrace("exec", "costly", "costly.py", "--run", "r-1", "-p", "n=9", "-p", "mood=good")
    arguments = ["exec", "after", "costly.py", "--run", "r-1", "-p", "n=1", "--json"]
    done = costly.headrace(*arguments, env={"CLOCK": "midnight"})

    assert done.code == 0
    assert done.json["node"] == "after"
    assert costly.headrace("show", "r-1", "--json").json["outputs"]["output"]["value"] == 10
    assert list(begin_of(costly, "r-1")["pins"].values()) == ["noon"]


def test_a_node_that_has_ended_well_is_not_executed_again(costly: Any) -> None:
    first = costly.headrace("exec", "costly", "costly.py", "--run", "r-1")
    second = costly.headrace("exec", "costly", "costly.py", "--run", "r-1")

    assert (first.code, second.code) == (0, 0)
    assert "costly: succeeded" in first.out
    assert second.out == "costly: has ended in this run already: succeeded\n"
    assert attempts_of(costly, "r-1") == ["costly.1.json"]


def test_a_node_that_failed_is_tried_again(costly: Any) -> None:
    costly.headrace("exec", "costly", "costly.py", "--run", "r-1")
    failed = costly.headrace("exec", "after", "costly.py", "--run", "r-1")
    (costly.folder / "all-well").write_text("")
    again = costly.headrace("exec", "after", "costly.py", "--run", "r-1")

    assert (failed.code, again.code) == (1, 0)
    assert "after: failed in" in failed.out
    assert attempts_of(costly, "r-1") == ["after.1.json", "after.2.json", "costly.1.json"]


def test_exec_refuses_other_code_than_the_run_began_with(costly: Any) -> None:
    costly.headrace("exec", "costly", "costly.py", "--run", "r-1")
    (costly.folder / "costly.py").write_text(COSTLY.replace("number + 1", "number + 2"))
    refused = costly.headrace("exec", "after", "costly.py", "--run", "r-1")
    neutral = costly.headrace("exec", "gate_like", "costly.py", "--run", "r-1")

    assert refused.code == 2
    assert "This environment holds other code than the run began with: after in costly.py:20 changed" in refused.err
    assert "Hint: use the environment that the run began in, or begin a new run" in refused.err
    assert neutral.code == 0, "its own code is as it was"


@pytest.mark.parametrize(
    ("node", "message", "hint"),
    [
        ("cosly", "Pipeline 'flow' has no node 'cosly'", "did you mean 'costly'?"),
        ("after", "Node 'costly' has not ended in run 'r-1'", "execute it before 'after'"),
    ],
)
def test_exec_of_a_node_that_is_not_there_or_not_ready(costly: Any, node: str, message: str, hint: str) -> None:
    done = costly.headrace("exec", node, "costly.py", "--run", "r-1")

    assert done.code == 2
    assert message in done.err
    assert f"Hint: {hint}" in done.err


def test_a_run_id_that_cannot_be_one(costly: Any) -> None:
    done = costly.headrace("exec", "costly", "costly.py", "--run", "../x")

    assert done.code == 2
    assert "cannot be a name in a store" in done.err
    assert not (costly.folder / "x").exists()
