"""Runs that stand in one another's way: for one date, too many at once, before the past is done. Real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_awaiting import await_file, await_that

FLOW = """
import os, time
from datetime import date
from pathlib import Path
from headrace import pipeline, step

@step(cache=False)
def work(day: date, folder: str, n: int) -> str:
    place = Path(folder)
    (place / f"began-{day}-{n}").write_text("")
    while (place / f"hold-{day}-{n}").exists():
        time.sleep(0.02)
    if (place / f"break-{day}").exists():
        raise ValueError(f"a bad day: {day}")
    return f"{day}"

@pipeline(date="day")
def daily(day: date, folder: str, n: int = 0):
    return work(day, folder, n)

@pipeline(max_active_runs=2)
def few(day: date, folder: str, n: int = 0):
    return work(day, folder, n)

@pipeline(depends_on_past=True, max_active_runs=1)
def past(day: date, folder: str, n: int = 0):
    return work(day, folder, n)
"""


class Days:
    """A project whose runs last for as long as they are held, on a folder or on a bucket."""

    def __init__(self, project: Any, env: dict[str, str]) -> None:
        self.project = project
        self.env = env
        self.folder = project.folder.parent / "work"
        self.folder.mkdir()
        project.write("days.py", FLOW)

    def words(self, pipeline: str, day: str, n: int = 0) -> list[str]:
        return ["run", f"days.py:{pipeline}", "-p", f"folder={self.folder}", "-p", f"n={n}", "--date", day]

    def run(self, pipeline: str, day: str, *more: str, n: int = 0) -> Any:
        return self.project.headrace(*self.words(pipeline, day, n), *more, env=self.env)

    def headrace(self, *words: str) -> Any:
        return self.project.headrace(*words, env=self.env)

    @contextmanager
    def held(self, pipeline: str, day: str, n: int = 0) -> Iterator[Any]:
        """A run that is under way, until `free` or its death."""
        (self.folder / f"hold-{day}-{n}").write_text("")
        with self.project.start(*self.words(pipeline, day, n), env=self.env) as process:
            try:
                self.await_file(f"began-{day}-{n}")
                yield process
            finally:
                self.free(day, n)
                process.communicate(timeout=60)

    def free(self, day: str, n: int = 0) -> None:
        (self.folder / f"hold-{day}-{n}").unlink(missing_ok=True)

    def await_file(self, name: str) -> None:
        await_file(self.folder / name)


@pytest.fixture
def days(bare: Any) -> Days:
    return Days(bare, {})


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, bare: Any, tmp_path: Path) -> Days:
    if request.param == "folder":
        return Days(bare, {})
    bucket = request.getfixturevalue("bucket")
    return Days(bare, {**bucket, "HEADRACE_STORE": f"{bucket['HEADRACE_STORE']}/{tmp_path.name}"})


def await_text(path: Path, text: str) -> None:
    await_that(lambda: text in path.read_text(), f"{text!r} in {path}")


def test_one_run_for_a_date(anywhere: Days) -> None:
    days = anywhere
    with days.held("daily", "2026-01-31"):
        refused = days.run("daily", "2026-01-31", n=1)
        other = days.run("daily", "2026-01-30", n=1)
        running = days.headrace("runs", "--json").json[-1]["run"]
    after = days.run("daily", "2026-01-31", n=1)

    assert refused.code == 2
    assert f"Pipeline 'daily' is being run for 2026-01-31 already, by run {running}" in refused.err
    assert f"Hint: wait for it with --wait, or end it: headrace cancel {running}" in refused.err
    assert not (days.folder / "began-2026-01-31-1").exists() or after.code == 0
    assert (other.code, after.code) == (0, 0)


def test_who_waits_comes_next_and_a_dead_holder_frees_its_place(anywhere: Days) -> None:
    days = anywhere
    with days.held("daily", "2026-01-31") as first:
        told = days.folder / "told"
        with told.open("w") as err:
            words = [sys.executable, "-m", "headrace.cli.main", *days.words("daily", "2026-01-31", 1), "--wait"]
            env = days.project.environment(**days.env)
            waiting = subprocess.Popen(words, cwd=days.project.folder, env=env, stdout=subprocess.DEVNULL, stderr=err)
        with waiting:
            await_text(told, "headrace: waiting: Pipeline 'daily' is being run for 2026-01-31 already")
            assert not (days.folder / "began-2026-01-31-1").exists()
            first.kill()
            waiting.wait(timeout=60)

    assert waiting.returncode == 0
    assert (days.folder / "began-2026-01-31-1").exists()


def test_no_more_at_once_than_the_pipeline_allows(anywhere: Days) -> None:
    days = anywhere
    with days.held("few", "2026-01-01") as first, days.held("few", "2026-01-02"):
        refused = days.run("few", "2026-01-03")
        free = days.run("daily", "2026-01-03", n=1)
        first.kill()
        first.wait(timeout=30)
        admitted = days.run("few", "2026-01-03")

    assert refused.code == 2
    assert "2 runs are under way of pipeline 'few', and no more may be (max_active_runs=2): 2" in refused.err
    assert "Hint: wait for one to end with --wait, or end one: headrace cancel RUN" in refused.err
    assert free.code == 0, "of another pipeline"
    assert admitted.code == 0, "a dead one has no place"


def test_a_run_depends_on_the_one_of_the_date_before(days: Days) -> None:
    (days.folder / "break-2026-01-02").write_text("")
    assert days.run("past", "2026-01-01").code == 0, "the first of all"
    gap = days.run("past", "2026-01-03")
    assert gap.code == 2
    assert (
        "The run of pipeline 'past' for 2026-01-03 depends on the one for 2026-01-02, and there is none.\n"
        "Hint: run it for 2026-01-02 first, or for all: --dates 2026-01-02..2026-01-03"
    ) in gap.err
    assert days.run("past", "2026-01-02").code == 1
    after_failure = days.run("past", "2026-01-03", "--wait")
    assert after_failure.code == 2, "waiting would not help"
    assert "depends on the one for 2026-01-02, and that one failed (run 2" in after_failure.err
    (days.folder / "break-2026-01-02").unlink()
    assert days.run("past", "2026-01-02", "--only", "work").code == 0
    assert days.run("past", "2026-01-03").code == 2, "a step alone is not the run"
    assert days.run("past", "2026-01-02").code == 0
    assert days.run("past", "2026-01-03").code == 0
    assert days.run("past", "2025-12-31").code == 0, "nothing is before it"


def test_a_run_waits_for_the_date_before_while_that_is_under_way(days: Days) -> None:
    assert days.run("past", "2026-01-01").code == 0
    with days.held("past", "2026-01-02", n=1):
        refused = days.run("past", "2026-01-03")
        with days.project.start(*days.words("past", "2026-01-03"), "--wait", env=days.env) as waiting:
            assert not (days.folder / "began-2026-01-03-0").exists()
            days.free("2026-01-02", 1)
            _, err = waiting.communicate(timeout=60)

    assert refused.code == 2
    assert waiting.returncode == 0, err
    assert "1 run is under way of pipeline 'past', and no more may be (max_active_runs=1)" in refused.err


def test_a_run_whose_engine_was_killed_has_not_succeeded(days: Days) -> None:
    assert days.run("past", "2026-01-01").code == 0
    with days.held("past", "2026-01-02") as process:
        process.kill()
        process.wait(timeout=30)
        refused = days.run("past", "2026-01-03")
    again = days.run("past", "2026-01-02", n=1)

    assert refused.code == 2
    assert "and that one ended without a word (run 2" in refused.err
    assert again.code == 0
    assert days.run("past", "2026-01-03").code == 0


# --- several dates


def test_a_back_fill_goes_on_after_a_failure_and_again_where_it_failed(days: Days) -> None:
    (days.folder / "break-2026-01-02").write_text("")
    words = [*days.words("daily", "x")[:-2], "--dates", "2026-01-01..2026-01-03"]
    first = days.headrace(*words)
    (days.folder / "break-2026-01-02").unlink()
    second = days.headrace(*words, "--json")

    assert first.code == 1
    table = first.out.split("\ndate ")[1].splitlines()
    assert [line.split()[:2] for line in table[1:4]] == [
        ["2026-01-01", "succeeded"],
        ["2026-01-02", "failed"],
        ["2026-01-03", "succeeded"],
    ]
    assert table[4] == "daily has run for 2 of 3 dates"
    assert table[5].startswith("what succeeded is kept; go on with: headrace run days.py:daily")
    assert "ValueError: a bad day: 2026-01-02" in first.out
    assert second.code == 0
    assert second.json["outcome"] == "succeeded"
    assert [(day["date"], day["outcome"]) for day in second.json["dates"]] == [
        ("2026-01-01", "succeeded"),
        ("2026-01-02", "succeeded"),
        ("2026-01-03", "succeeded"),
    ]


def test_a_back_fill_that_was_killed_goes_on(days: Days) -> None:
    days.project.write("days.py", FLOW.replace("@step(cache=False)", "@step"))
    words = [*days.words("past", "x")[:-2], "--dates", "2026-01-01..2026-01-03"]
    (days.folder / "hold-2026-01-02-0").write_text("")
    with days.project.start(*words, env=days.env) as process:
        days.await_file("began-2026-01-02-0")
        process.kill()
        process.communicate(timeout=60)
    days.free("2026-01-02")
    done = days.headrace(*words, "--json")

    assert done.code == 0
    assert [(day["outcome"], day["counts"]) for day in done.json["dates"]] == [
        ("succeeded", {"cached": 1}),
        ("succeeded", {"succeeded": 1}),
        ("succeeded", {"succeeded": 1}),
    ]
    table = days.headrace("runs").out.splitlines()
    assert re.split(r" {2,}", table[0])[:3] == ["run", "pipeline", "date"]
    assert [re.split(r" {2,}", line)[2] for line in table[1:4]] == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert table[-1] == "what ended without a word was killed, or its machine: headrace cancel RUN marks it as ended"


def test_a_date_stays_with_its_run(days: Days) -> None:
    """A run that is resumed, and the nodes of a run that are executed one by one, are for the date that was given."""
    (days.folder / "break-2026-01-02").write_text("")
    assert days.run("daily", "2026-01-02").code == 1
    (days.folder / "break-2026-01-02").unlink()
    resumed = days.headrace("resume", "--json")
    words = ["days.py:daily", "-p", f"folder={days.folder}", "--run", "r-1", "--date", "2026-01-05"]
    executed = days.headrace("exec", "work", *words)

    assert resumed.code == 0
    assert days.headrace("show", resumed.json["run"], "--json").json["date"] == "2026-01-02"
    assert executed.code == 0
    assert days.headrace("show", "r-1", "--json").json["date"] == "2026-01-05"
    assert (days.folder / "began-2026-01-05-0").exists()


def test_a_back_fill_stops_where_the_rest_depends_on_it(days: Days) -> None:
    (days.folder / "break-2026-01-02").write_text("")
    words = [*days.words("past", "x")[:-2], "--dates", "2026-01-01..2026-01-04", "--json"]
    done = days.headrace(*words)

    assert done.code == 1
    assert [day["outcome"] for day in done.json["dates"]] == ["succeeded", "failed", "not run", "not run"]
    assert not (days.folder / "began-2026-01-03-0").exists()


def test_a_date_that_somebody_else_runs_for_is_told_and_left_out(days: Days) -> None:
    with days.held("daily", "2026-01-02", n=1):
        done = days.headrace(*days.words("daily", "x")[:-2], "--dates", "2026-01-01..2026-01-03", "--json")

    assert done.code == 1
    assert [day["outcome"] for day in done.json["dates"]] == ["succeeded", "not run", "succeeded"]
    assert "is being run for 2026-01-02 already" in done.json["dates"][1]["message"]


def test_a_cancelled_run_ends_the_back_fill(days: Days) -> None:
    (days.folder / "hold-2026-01-02-0").write_text("")
    words = [*days.words("daily", "x")[:-2], "--dates", "2026-01-01..2026-01-03", "--json"]
    with days.project.start(*words, env=days.env) as process:
        days.await_file("began-2026-01-02-0")
        cancelled = days.headrace("cancel", "latest")
        out, _ = process.communicate(timeout=60)

    assert cancelled.code == 0
    assert process.returncode == 130
    told = json.loads(out)
    assert told["outcome"] == "cancelled"
    assert [day["outcome"] for day in told["dates"]] == ["succeeded", "cancelled", "not run"]


def test_a_long_back_fill_and_what_cannot_be_one(bare: Any) -> None:
    bare.write("days.py", FLOW.replace('@pipeline(date="day")', '@pipeline(schedule="0 3 * * mon-fri")'))
    folder = bare.folder.parent / "work"
    folder.mkdir()
    words = ["run", "days.py:daily", "-p", f"folder={folder}", "--inline"]
    long = bare.headrace(*words, "--dates", "2026-01-01..2026-03-31")
    none = bare.headrace(*words, "--dates", "2026-01-31..2026-02-01")
    both = bare.headrace(*words, "--dates", "2026-01-31..2026-02-01", "--date", "2026-01-31")
    bad = bare.headrace(*words, "--dates", "2026-01-01..2026-01-31", "-p", "n=x", "--json")

    assert long.code == 0
    assert "2026-03-31 (64 of 64)" in long.out
    assert long.out.splitlines()[-2:] == ["and 64 dates that succeeded", "daily succeeded for 64 of 64 dates"]
    assert none.code == 2
    assert "Pipeline 'daily' has no run in 2026-01-31..2026-02-01: its schedule is '0 3 * * mon-fri'" in none.err
    assert both.code == 2
    assert "argument --date: not allowed with argument --dates" in both.err
    assert bad.code == 2
    assert "Parameter 'n' must be int" in bad.json["error"]["message"]


def test_of_many_who_come_at_once_one_runs_for_a_date(anywhere: Days) -> None:
    """They all begin at the same moment; who is admitted holds its place until all others have been told."""
    days = anywhere
    begun = [days.folder / f"began-2026-01-31-{n}" for n in range(4)]
    for n in range(4):
        (days.folder / f"hold-2026-01-31-{n}").write_text("")
    processes = [days.project.start(*days.words("daily", "2026-01-31", n), env=days.env) for n in range(4)]
    try:
        deadline = time.monotonic() + 60
        while sum(process.poll() is not None for process in processes) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        n_begun = sum(path.exists() for path in begun)
    finally:
        for n in range(4):
            days.free("2026-01-31", n)
        told = [process.communicate(timeout=60) for process in processes]

    assert sorted(process.returncode for process in processes) == [0, 2, 2, 2], told
    assert n_begun <= 1
    assert sum(path.exists() for path in begun) == 1
