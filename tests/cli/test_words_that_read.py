"""``runs``, ``show`` and ``logs``: what is recorded, told again."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from cli_awaiting import await_file

import headrace
from headrace import RunOptions

MAKER = """
import json
from pathlib import Path
from typing import NamedTuple
from headrace import TransientError, pipeline, step

class Parts(NamedTuple):
    small: dict[str, int]
    page: Path

@step
def make(n: int, folder: str) -> Parts:
    print("making", n)
    print("\\x1b[1mbold\\x1b[0m \\a bell")
    place = Path(folder, "site")
    (place / "deep").mkdir(parents=True, exist_ok=True)
    (place / "index.html").write_text("<h1>hi</h1>")
    (place / "deep/x.txt").write_text("x")
    return Parts({"n": n}, place)

@step
def note(small: dict[str, int], folder: str) -> Path:
    target = Path(folder, "note.txt")
    target.write_text(json.dumps(small))
    return target

@step(retries=1, backoff_seconds=0.01)
def shy(folder: str) -> int:
    print("trying")
    mark = Path(folder, "mark")
    if not mark.exists():
        mark.write_text("")
        raise TransientError("busy")
    return 1

class Out(NamedTuple):
    page: Path
    note: Path

@pipeline
def maker(folder: str, n: int = 3) -> Out:
    parts = make(n, folder)
    shy(folder)
    return Out(parts.page, note(parts.small, folder))
"""


class Made:
    """A project with one run in its store."""

    def __init__(self, project: Any, result: headrace.RunResult) -> None:
        self.project = project
        self.folder = project.folder
        self.id = result.run_id
        self.result = result


@pytest.fixture
def made(bare: Any) -> Made:
    bare.write("maker.py", MAKER)
    work = bare.folder.parent / "work"
    work.mkdir()
    result = headrace.run("maker.py", {"folder": str(work)}, folder=bare.folder)
    assert result.outcome == "succeeded"
    return Made(bare, result)


# --- runs


def test_runs_are_listed_the_newest_first(made: Made, here: Any) -> None:
    headrace.run("maker.py", {"folder": "nowhere\0"}, folder=made.folder, options=RunOptions(run_id="from-an-engine"))
    lines = here("runs").out.splitlines()

    assert re.split(r" {2,}", lines[0]) == ["run", "pipeline", "outcome", "started (UTC)", "took", "steps"]
    assert lines[1].startswith("from-an-engine")
    assert re.split(r" {2,}", lines[1])[1:3] == ["maker", "failed"]
    assert lines[2].startswith(made.id)
    assert lines[2].endswith("3 succeeded")


def test_runs_as_json_and_some_only(made: Made, here: Any) -> None:
    for _ in range(2):
        headrace.run("maker.py", {"folder": str(made.folder.parent / "work")}, folder=made.folder)

    said = here("runs", "--json").json
    assert [item["outcome"] for item in said] == ["succeeded"] * 3
    assert said[0]["counts"] == {"cached": 3}
    assert said[2]["run"] == made.id
    assert said[2]["seconds"] > 0
    few = here("runs", "--limit", "1").out.splitlines()
    assert len(few) == 3
    assert few[2] == "and 2 older: --limit 3"


def test_a_run_under_way_and_one_that_was_killed(bare: Any, here: Any) -> None:
    bare.write("slow.py", SLEEPER)
    with bare.start("run", "slow.py", "-p", f"folder={bare.folder}") as process:
        await_file(bare.folder / "pid")
        running = here("runs").out.splitlines()[1]
        shown = here("show").out
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    killed = here("runs", "--json").json[0]

    assert re.split(r" {2,}", running)[2] == "running"
    assert "slow  not ended" in shown
    assert killed["outcome"] == "ended without a word"
    assert killed["seconds"] is None
    assert here("runs", "--json").json[0]["outcome"] == "ended without a word", "looking does not change it"


SLEEPER = """
import os, sys, time
from pathlib import Path
from headrace import pipeline, step

@step
def slow(folder: str) -> int:
    print("first", flush=True)
    Path(folder, "pid.new").write_text(str(os.getpid()))
    Path(folder, "pid.new").rename(Path(folder, "pid"))
    while not Path(folder, "go").exists():
        time.sleep(0.02)
    print("last")
    return 1

@pipeline
def flow(folder: str):
    return slow(folder)
"""


# --- show


def test_show_tells_how_each_step_ended(made: Made, here: Any) -> None:
    lines = here("show").out.splitlines()

    assert re.fullmatch(rf"run {made.id} of 'maker': succeeded in .* s", lines[0])
    assert f"  parameters  folder='{made.folder.parent}/work', n=3" in lines
    rows = {line.split()[0]: re.split(r" {2,}", line.strip()) for line in lines if line.startswith("  ")}
    assert rows["step"] == ["step", "ended", "took", "size", "why"]
    assert rows["shy"][1] == "succeeded (attempt 2)"
    assert rows["make"][1] == "succeeded"
    assert rows["output"] == ["output", "format", "size", "digest", "value"]
    assert rows["page"][1] == "path"
    assert rows["page"][4] == "3 files"
    assert here("show", made.id[-4:]).out.splitlines() == lines


def test_show_as_json(made: Made, here: Any) -> None:
    said = here("show", "--json").json

    assert said["run"] == made.id
    assert said["parameters"]["n"] == 3
    assert said["nodes"]["make"]["outputs"]["small"]["format"] == "json"
    assert said["nodes"]["shy"]["attempt"] == 2
    assert set(said["outputs"]) == {"page", "note"}
    assert said["rejected_by"] == []


def test_show_tells_what_the_run_warned_of(project: Any) -> None:
    warned = project.headrace("run", "flow.py", env={"HEADRACE_LISTENERS": "nobody"})
    (line,) = [line for line in warned.out.splitlines() if line.startswith("warning: ")]
    with (project.folder / ".headrace/runs" / warned.run_id / "events.jsonl").open("a") as log:
        log.write('{"event": "War')

    assert f"  {line}" in project.headrace("show").out.splitlines()
    (said,) = project.headrace("show", "--json").json["warnings"]
    assert f"warning: {said['source']}: {said['message']}".replace("\n", " ") == line
    project.headrace("run", "flow.py")
    assert "warning" not in project.headrace("show").out
    assert project.headrace("show", "--json").json["warnings"] == []


def test_show_one_step(made: Made, here: Any) -> None:
    out = here("show", "shy").out
    assert f"step 'shy' of run {made.id}: succeeded" in out
    assert "attempts  1 failed, 2 succeeded" in out
    assert "defined   maker.py:" in out
    said = here("show", made.id, "shy", "--json").json
    assert [attempt["outcome"] for attempt in said["attempts"]] == ["failed", "succeeded"]
    assert said["attempts"][0]["failure"]["kind"] == "TransientError"


def test_show_the_plan(made: Made, here: Any) -> None:
    from headrace import Plan

    lines = here("show", "--plan").out.splitlines()
    assert f"  make = make(n=3, folder='{made.folder.parent}/work')" in lines
    assert f"  note = note(small=make.small, folder='{made.folder.parent}/work')" in lines
    assert "  → page: make.page" in lines
    assert Plan.from_json(here("show", "--plan", "--json").out).pipeline == "maker"


def test_show_writes_the_report_again(made: Made, here: Any) -> None:
    first = Path(here("show", "--report").out.strip())
    text = first.read_text()
    second = Path(here("show", "--report").out.strip())

    assert first == second == made.folder / f".headrace/runs/{made.id}/report.html"
    assert second.read_text() == text
    assert text.startswith("<!DOCTYPE html>")


def test_outputs_are_taken_out_of_the_store(made: Made, here: Any, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()

    assert here("show", "--save", "page", str(tmp_path / "site")).out == f"{tmp_path}/site\n"
    assert here("show", "--save", "note", str(into)).out == f"{into}/note.txt\n"
    assert here("show", made.id, "--save", "make.small", str(tmp_path / "a/b.json")).code == 0
    assert here("show", "--save", "shy", str(tmp_path / "one.json")).code == 0

    assert (tmp_path / "site/deep/x.txt").read_text() == "x"
    assert json.loads((into / "note.txt").read_text()) == {"n": 3}
    assert json.loads((tmp_path / "a/b.json").read_text()) == {"n": 3}
    (into / "note.txt").write_text("changed")  # a copy: the store is not harmed
    assert here("show", "--save", "note", str(tmp_path / "again.txt")).code == 0
    assert json.loads((tmp_path / "again.txt").read_text()) == {"n": 3}


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("pgae", "has no output 'pgae'.", "did you mean 'page'?"),
        ("make.smal", "has no output 'smal' of step 'make'.", "it gave ['page', 'small']"),
        ("make", "has no output 'output' of step 'make'.", "it gave ['page', 'small']"),
    ],
)
def test_outputs_that_are_not_there(made: Made, here: Any, name: str, message: str, hint: str) -> None:
    done = here("show", "--save", name, "place")

    assert done.code == 2
    assert message in done.err
    assert f"Hint: {hint}" in done.err
    assert not (made.folder / "place").exists()


def test_nothing_is_overwritten(made: Made, here: Any, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("mine")
    done = here("show", "--save", "note", str(tmp_path / "x.txt"))

    assert done.code == 2
    assert f"There is something at '{tmp_path}/x.txt' already." in done.err
    assert (tmp_path / "x.txt").read_text() == "mine"


@pytest.mark.parametrize("word", ["show", "why", "logs"])
def test_a_run_that_is_not_there(made: Made, here: Any, word: str) -> None:
    near = f"{made.id[:-1]}{'0' if made.id[-1] != '0' else '1'}"
    done = here(word, near)

    assert done.code == 2
    assert f"{near!r} is neither a run of this store nor a step of the newest run, {made.id}" in done.err
    assert f"Hint: did you mean '{made.id}'?" in done.err


def test_an_id_that_fits_several_runs(made: Made, here: Any) -> None:
    headrace.run("maker.py", {"folder": str(made.folder.parent / "work")}, folder=made.folder)
    done = here("show", "20")

    assert done.code == 2
    assert "2 runs match '20', such as " in done.err


# --- logs


def test_logs_of_a_run_of_a_step_and_of_an_attempt(made: Made, here: Any) -> None:
    assert here("logs", "make").out == "making 3\n\x1b[1mbold\x1b[0m \a bell\n", "a file gets it as it is"
    assert here("logs").out == "--- make\nmaking 3\n\x1b[1mbold\x1b[0m \a bell\n--- shy\ntrying\n"
    assert here("logs", made.id, "shy", "--attempt", "1").out == "trying\n"
    assert here("logs", "shy", "--attempt", "2").out == "trying\n"


def test_logs_of_a_hit_are_those_of_the_run_that_made_it(made: Made, here: Any) -> None:
    headrace.run("maker.py", {"folder": str(made.folder.parent / "work")}, folder=made.folder)
    done = here("logs", "shy")

    assert done.out == "trying\n"
    assert done.err == f"headrace: 'shy' was a hit; this is from run {made.id}, which made it\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["shy", "--attempt", "3"], "Step 'shy' of run '{id}' has no attempt 3.", "its last is 2"),
        (["{id}", "shi"], "Run '{id}' has no step 'shi'.", "did you mean 'shy'?"),
        (["--follow"], "--follow and --attempt are about one step.", "headrace logs {id} STEP --follow"),
    ],
)
def test_logs_that_are_not_there(made: Made, here: Any, arguments: list[str], message: str, hint: str) -> None:
    done = here("logs", *[argument.format(id=made.id) for argument in arguments])

    assert done.code == 2
    assert message.format(id=made.id) in done.err
    assert f"Hint: {hint.format(id=made.id)}" in done.err


def test_logs_are_followed_to_the_steps_end(bare: Any) -> None:
    bare.write("slow.py", SLEEPER)
    with bare.start("run", "slow.py", "-p", f"folder={bare.folder}") as runner:
        await_file(bare.folder / "pid")
        with bare.start("logs", "slow", "--follow") as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == "first\n"
            (bare.folder / "go").write_text("")
            out, _ = follower.communicate(timeout=30)
        assert out == "last\n"
        assert follower.returncode == 0
        runner.communicate(timeout=30)
    assert runner.returncode == 0
