"""``cancel``: a run is ended from another process, whatever it is doing, and says so."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from cli_awaiting import await_end, await_file

import headrace
from headrace.engine.cancel import ask_to_end
from headrace.stores.open import open_store

STUCK = """
import os, time
from pathlib import Path
from headrace import pipeline, step

@step
def quick() -> int:
    return 1

@step
def stuck(folder: str, number: int) -> int:
    Path(folder, "pid.new").write_text(str(os.getpid()))
    Path(folder, "pid.new").rename(Path(folder, "pid"))
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass  # it can only be killed

@step
def later(number: int) -> int:
    return number

@pipeline(name="stuck")
def pipe(folder: str):
    return later(stuck(folder, quick()))
"""


@pytest.fixture
def stuck(bare: Any) -> Any:
    bare.write("stuck.py", STUCK)
    return bare


def newest(project: Any, *store: str) -> Any:
    return project.headrace("runs", "--json", *store).json[0]


def test_a_run_that_is_stuck_in_a_step_ends_as_by_an_interruption(stuck: Any) -> None:
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}") as process:
        worker = await_file(stuck.folder / "pid")
        done = stuck.headrace("cancel", "latest")
        out, err = process.communicate(timeout=30)

    run = newest(stuck)
    assert (done.code, done.out.splitlines()) == (
        0,
        [f"run {run['run']} is asked to end", f"run {run['run']} was cancelled"],
    )
    assert process.returncode == 130
    assert (run["outcome"], run["counts"]) == ("cancelled", {"succeeded": 1, "cancelled": 1})
    assert "stuck was cancelled after" in out
    assert "as " in out
    assert "asked for with headrace cancel" in out
    assert "Traceback" not in err
    await_end(int(worker))
    assert "cancelled by" in stuck.headrace("show").out


def test_what_succeeded_is_kept(stuck: Any) -> None:
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}") as process:
        await_file(stuck.folder / "pid")
        stuck.headrace("cancel", "latest")
        process.communicate(timeout=30)
    (stuck.folder / "pid").unlink()
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}") as process:
        await_file(stuck.folder / "pid")
        told = stuck.headrace("cancel", newest(stuck)["run"], "--json").json
        out, _ = process.communicate(timeout=30)

    assert "quick: cached" in out
    assert told["outcome"] == "cancelled"
    assert told["marked"] is None
    assert told["asked"]
    assert told["by"]


@pytest.mark.parametrize("ignored", [False, True])
def test_an_inline_run_is_ended_too(bare: Any, ignored: bool) -> None:
    """Also one that a script has started in the background, which has the shell ignore Ctrl-C for it."""
    bare.write("stuck.py", STUCK.replace("except BaseException:", "except ValueError:"))
    words = ["run", "stuck.py", "--inline", "-p", f"folder={bare.folder}"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None
    try:
        process = bare.start(*words)
    finally:
        if ignored:
            signal.signal(signal.SIGINT, before)
    with process:
        await_file(bare.folder / "pid")
        done = bare.headrace("cancel", "latest")
        process.communicate(timeout=30)

    assert done.code == 0
    assert process.returncode == 130
    assert newest(bare)["outcome"] == "cancelled"


def test_a_run_whose_engine_is_dead_is_marked_as_ended(stuck: Any) -> None:
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}") as process:
        await_file(stuck.folder / "pid")
        process.kill()
        process.communicate(timeout=30)
    before = newest(stuck)
    done = stuck.headrace("cancel", "latest")

    assert before["outcome"] == "ended without a word"
    assert done.code == 0
    assert f"run {before['run']} was marked as cancelled, since its engine was gone" in done.out
    assert newest(stuck)["outcome"] == "cancelled"
    assert newest(stuck)["counts"] == {"succeeded": 1}
    assert "marked as ended, since its engine was gone" in stuck.headrace("show").out


def test_twice_and_after_the_end(stuck: Any) -> None:
    """An engine that is stopped does not see the request; who asks again waits on."""
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}") as process:
        await_file(stuck.folder / "pid")
        process.send_signal(signal.SIGSTOP)
        first = stuck.headrace("cancel", "latest", "--wait", "0")
        process.send_signal(signal.SIGCONT)
        second = stuck.headrace("cancel", "latest")
        process.communicate(timeout=30)
    third = stuck.headrace("cancel", "latest")

    assert first.code == 1
    assert "has not ended within 0 s; the same command waits on" in first.out
    assert second.code in (0, 2), "the engine may have ended between the two"
    assert third.code == 2
    assert "has ended already: cancelled" in third.err
    assert newest(stuck)["outcome"] == "cancelled"


def test_a_run_that_is_not_named_or_not_there(project: Any) -> None:
    project.headrace("run", "flow.py")
    unnamed, unknown = project.headrace("cancel"), project.headrace("cancel", "x")
    ended = project.headrace("cancel", "latest")

    assert (unnamed.code, unknown.code, ended.code) == (2, 2, 2)
    assert "headrace cancel takes the run that is to end.\nHint: none is under way" in unnamed.err
    assert "There is no run 'x'" in unknown.err
    assert "has ended already: succeeded" in ended.err
    assert project.headrace("cancel", "latest", "--wait", "soon").code == 2


def test_a_run_of_which_each_node_has_a_process(stuck: Any) -> None:
    words = ["stuck.py", "--run", "r-1", "-p", f"folder={stuck.folder}"]
    assert stuck.headrace("exec", "quick", *words).code == 0
    with stuck.start("exec", "stuck", *words) as process:
        worker = await_file(stuck.folder / "pid")
        done = stuck.headrace("cancel", "r-1")
        out, _ = process.communicate(timeout=30)
    after = [stuck.headrace("exec", node, *words) for node in ("stuck", "later")]
    again = stuck.headrace("exec", "quick", *words)

    assert done.code == 0
    assert "run r-1 was marked as cancelled, since it has no engine" in done.out
    assert process.returncode == 130
    assert "stuck: cancelled" in out
    await_end(int(worker))
    assert [item.code for item in after] == [130, 130], "nothing further begins"
    assert "later: cancelled" in after[1].out
    assert again.code == 0, "what has ended well stays so"
    assert newest(stuck)["outcome"] == "cancelled"
    record = stuck.folder / ".headrace/runs/r-1/nodes/stuck.1.json"
    assert json.loads(record.read_text())["outcome"] == "cancelled"


def test_a_run_in_another_thread_ends_with_its_step(bare: Any) -> None:
    """Only the main thread can be interrupted: elsewhere the steps under way are killed, and no further one begins."""
    import threading

    bare.write("stuck.py", STUCK)
    found: list[Any] = []
    options = headrace.RunOptions(run_id="threaded", echo=False)
    thread = threading.Thread(
        target=lambda: found.append(
            headrace.run("stuck.py", {"folder": str(bare.folder)}, folder=bare.folder, options=options)
        )
    )
    thread.start()
    await_file(bare.folder / "pid")
    assert ask_to_end(open_store(str(bare.folder / ".headrace")), "threaded")
    thread.join(timeout=30)

    assert found[0].outcome == "cancelled"
    assert {name: str(node.outcome) for name, node in found[0].nodes.items()} == {
        "quick": "succeeded",
        "stuck": "cancelled",
        "later": "cancelled",
    }


# --- over a bucket


def test_a_run_on_a_bucket_is_ended_by_another_who_has_only_the_bucket(
    stuck: Any, bucket: dict[str, str], tmp_path: Path
) -> None:
    theirs = type(stuck)(tmp_path / "elsewhere")
    theirs.folder.mkdir()
    ours = {**bucket, "HEADRACE_STORE": f"{bucket['HEADRACE_STORE']}/cancel"}
    with stuck.start("run", "stuck.py", "-p", f"folder={stuck.folder}", env=ours) as process:
        await_file(stuck.folder / "pid")
        done = theirs.headrace("cancel", "latest", env={**ours, "XDG_CACHE_HOME": str(tmp_path / "their-cache")})
        process.communicate(timeout=60)

    assert done.code == 0, done.err
    assert "was cancelled" in done.out
    assert process.returncode == 130
