"""The runbook (docs/how-to/operate.md), done: each situation is brought about, and what the page says carried out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from clocks import moved_by

from headrace.core.outcome import Outcome, RunOutcome

PAGE = Path(__file__).parents[2] / "docs/how-to/operate.md"

SHOP = """
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from headrace import pipeline, step


class Verdict(NamedTuple):
    __headrace_gate__ = "passed"

    passed: bool
    reasons: list[dict[str, object]]


@step
def read(data: Path) -> list[int]:
    return [int(word) for word in data.read_text().split()]


@step(timeout_seconds=1, retries=0)
def fit(rows: list[int], trouble: Path) -> float:
    what = trouble.read_text().strip()
    print("fitting", len(rows), "rows")
    if what == "error":
        raise ValueError("rows must be positive")
    if what == "hang":
        time.sleep(600)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return sum(rows) / len(rows)


@step
def gate(score: float, least: float) -> Verdict:
    passed = score >= least
    return Verdict(passed, [{"rule": f"score >= {least}", "passed": passed, "value": score}])


@step
def publish(score: float) -> str:
    return f"published {score}"


@pipeline
def shop(data: Path = Path("rows.txt"), trouble: Path = Path("trouble.txt"), least: float = 1.0):
    score = fit(read(data), trouble)
    verdict = gate(score, least)
    return publish.options(when=verdict.passed)(score)
"""


class Shop:
    """A pipeline that gets into trouble, and the page's commands."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.page = PAGE.read_text()
        project.write("shop.py", SHOP)
        project.write("rows.txt", "1 2 3\n")
        self.trouble("none")

    def trouble(self, what: str) -> None:
        self.project.write("trouble.txt", what)

    def do(self, command: str, *, env: dict[str, str] | None = None, **places: str) -> Any:
        """Carry out a command that the page names, its words in capitals replaced."""
        assert f"headrace {command}" in self.page, f"the page doesn't say {command!r}"
        words = [{"PIPELINE": "shop.py", **places}.get(word, word) for word in command.split()]
        return self.project.headrace(*words, env=env)

    def outcomes(self, run: str = "latest") -> dict[str, str]:
        shown = self.project.headrace("show", run, "--json").json
        return {name: node["outcome"] for name, node in shown["nodes"].items()}


@pytest.fixture
def shop(bare: Any) -> Shop:
    return Shop(bare)


def test_the_page_has_every_outcome() -> None:
    page = PAGE.read_text()
    rows = set(re.findall(r"^\| `([a-z ]+)` \|", page, re.MULTILINE))
    assert rows == {*map(str, Outcome), *map(str, RunOutcome), "ended without a word"}


def test_succeeded_and_cached(shop: Shop) -> None:
    assert shop.do("run PIPELINE").code == 0
    assert set(shop.outcomes().values()) == {"succeeded"}
    first = shop.do("runs").out.splitlines()[1].split()[0]
    assert shop.do("run PIPELINE").code == 0
    assert set(shop.outcomes().values()) == {"cached"}
    assert first in shop.do("why latest STEP", STEP="fit").out
    assert shop.do("run PIPELINE --from STEP", STEP="gate").code == 0
    assert shop.outcomes() == {"read": "cached", "fit": "cached", "gate": "succeeded", "publish": "succeeded"}


@pytest.mark.parametrize(
    ("trouble", "outcome", "words"),
    [
        ("error", "failed", "rows must be positive"),
        ("hang", "timed out", "The step took longer than its time limit of 1 second"),
        ("crash", "crashed", "The worker was killed by SIGSEGV"),
    ],
)
def test_failed_timed_out_crashed_and_upstream_failed(shop: Shop, trouble: str, outcome: str, words: str) -> None:
    shop.trouble(trouble)
    assert shop.do("run PIPELINE").code == 1
    assert shop.outcomes() == {
        "read": "succeeded", "fit": outcome, "gate": "upstream failed", "publish": "upstream failed"
    }  # fmt: skip
    assert "'fit'" in shop.do("show latest").out
    assert words in shop.do("show latest STEP", STEP="fit").out
    assert shop.do("logs latest STEP", STEP="fit").out.strip() == "fitting 3 rows"
    shop.trouble("none")
    assert shop.do("run PIPELINE").code == 0
    assert shop.outcomes() == {
        "read": "cached", "fit": "succeeded", "gate": "succeeded", "publish": "succeeded"
    }  # fmt: skip


def test_in_one_process_for_a_debugger(shop: Shop) -> None:
    shop.trouble("error")
    assert shop.do("run PIPELINE --inline").code == 1
    assert shop.outcomes()["fit"] == "failed"


def test_rejected_and_skipped(shop: Shop) -> None:
    rejected = shop.project.headrace("run", "shop.py", "-p", "least=9")
    assert rejected.code == 3
    assert shop.outcomes() == {
        "read": "succeeded", "fit": "succeeded", "gate": "succeeded", "publish": "skipped"
    }  # fmt: skip
    assert "'gate.passed' is false" in shop.do("show latest").out
    assert "score >= 9.0" in shop.do("show latest GATE", GATE="gate").out
    assert shop.do("run PIPELINE").code == 0
    assert shop.outcomes() == {"read": "cached", "fit": "cached", "gate": "succeeded", "publish": "succeeded"}


def fitting(shop: Shop) -> Any:
    """The command, up to where a step hangs."""
    shop.project.write("shop.py", SHOP.replace("timeout_seconds=1", "timeout_seconds=600"))
    shop.trouble("hang")
    process = shop.project.start("run", "shop.py")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("fit: started"):
            return process
    raise AssertionError("the step never began")


def ended(process: Any) -> int:
    process.communicate(timeout=60)
    return int(process.returncode)


def test_cancelled_by_a_signal(shop: Shop) -> None:
    process = fitting(shop)
    process.send_signal(signal.SIGINT)
    assert ended(process) == 130
    assert shop.outcomes()["read"] == "succeeded" and shop.outcomes()["fit"] == "cancelled"
    shop.trouble("none")
    assert shop.do("run PIPELINE").code == 0 and shop.outcomes()["read"] == "cached"


def test_cancelled_from_elsewhere(shop: Shop) -> None:
    process = fitting(shop)
    assert shop.do("cancel RUN", RUN="latest").code == 0
    assert ended(process) == 130
    assert shop.outcomes()["fit"] == "cancelled"


def test_the_engine_was_killed(shop: Shop) -> None:
    process = fitting(shop)
    assert " running " in shop.do("runs").out
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL
    assert "ended without a word" in shop.do("runs").out
    assert shop.do("cancel RUN", RUN="latest").code == 0
    assert "ended without a word" not in shop.do("runs").out
    shop.trouble("none")
    assert shop.do("run PIPELINE").code == 0
    assert shop.outcomes() == {
        "read": "cached", "fit": "succeeded", "gate": "succeeded", "publish": "succeeded"
    }  # fmt: skip


@pytest.mark.parametrize(("passage", "code"), [("1+", 2), ("4+", 1), ("5", 1)])
def test_a_full_disk(shop: Shop, passage: str, code: int) -> None:
    full = shop.do("run PIPELINE", env={"HEADRACE_FAULT": f"store.record.before_write:enospc:{passage}"})
    assert full.code == code
    said = full.err.splitlines()[-2:]
    assert said[0].startswith("headrace: No space is left to ")
    assert said[1] in shop.page
    assert shop.do("run PIPELINE").code == 0
    assert shop.do("store gc --dry-run").code == 0
    assert shop.do("run PIPELINE").code == 0 and set(shop.outcomes().values()) == {"cached"}


def digests(shop: Shop) -> Any:
    return shop.project.headrace("run", "shop.py", "--json").json["outputs"]["output"]["digest"]


def test_a_lost_store_and_a_part_of_one(shop: Shop) -> None:
    before = digests(shop)
    store = shop.project.folder / ".headrace"
    store.rename(shop.project.folder / "copy")
    assert digests(shop) == before and set(shop.outcomes().values()) == {"succeeded"}
    shutil.rmtree(store)
    (shop.project.folder / "copy").rename(store)
    for number, file in enumerate(sorted((store / "objects").rglob("*"))):
        if file.is_file() and number % 2:
            file.unlink()
    assert digests(shop) == before
    assert shop.do("run PIPELINE").code == 0 and set(shop.outcomes().values()) == {"cached"}


def test_damaged_objects(shop: Shop) -> None:
    before = digests(shop)
    for file in (shop.project.folder / ".headrace/objects").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"x")
    assert shop.do("store check").code == 1
    again = shop.do("run PIPELINE")
    assert again.code == 0 and "is damaged or gone" in again.out
    assert digests(shop) == before


def test_a_store_out_of_reach(shop: Shop) -> None:
    file = shop.project.write("file", "")
    assert shop.project.headrace("run", "shop.py", "--store", f"{file}/store").code == 2


def test_stamps_of_a_wrong_clock(shop: Shop) -> None:
    rows = shop.project.folder / "rows.txt"
    before = digests(shop)
    stamp = rows.stat()
    rows.write_text("4 5 6\n")
    os.utime(rows, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    changed = digests(shop)
    assert changed != before
    future = time.time_ns() + 10**18
    rows.write_text("1 2 3\n")
    os.utime(rows, ns=(future, future))
    assert digests(shop) == before
    rows.write_text("4 5 6\n")
    os.utime(rows, ns=(future, future))
    assert digests(shop) == changed


@pytest.mark.parametrize("n_days", [2000, -2000])
def test_a_run_at_a_wrong_clock(shop: Shop, n_days: int) -> None:
    """Begun at the right time and gone on with at a wrong one, and the other way round."""
    wrong = moved_by(n_days)
    shop.project.write("shop.py", SHOP.replace("@step\ndef read", "@step(cache=False)\ndef read"))
    shop.trouble("error")
    assert shop.do("run PIPELINE").code == 1
    (begun,) = listed(shop)
    shop.trouble("none")
    assert shop.project.headrace("resume", begun, env=wrong).code == 0
    resumed = next(run for run in listed(shop) if run != begun)
    assert (resumed > begun) == (n_days > 0)
    assert shop.outcomes(resumed) == {
        "read": "cached", "fit": "succeeded", "gate": "succeeded", "publish": "succeeded"
    }  # fmt: skip
    assert begun in shop.do("why RUN STEP", RUN=resumed, STEP="read").out

    shop.project.write("shop.py", SHOP)
    for clock in (wrong, {}, wrong):
        before = {*listed(shop)}
        assert shop.do("run PIPELINE", env=clock).code == 0
        (run,) = {*listed(shop)} - before
        assert shop.outcomes(run)["fit"] == "cached"
    shop.project.write("rows.txt", "3 2 1\n")
    before = {*listed(shop)}
    assert shop.do("run PIPELINE", env=wrong).code == 0
    (run,) = {*listed(shop)} - before
    assert shop.outcomes(run)["read"] == "succeeded"


def listed(shop: Shop) -> list[str]:
    return [line.split()[0] for line in shop.do("runs").out.splitlines()[1:]]


def test_a_run_from_a_time_to_come_takes_no_result_away(shop: Shop) -> None:
    """A clock that was a year ahead: its run is listed first, and its results are used all the same."""
    first = digests(shop)
    (newest,) = (shop.project.folder / ".headrace/runs").iterdir()
    ahead = newest.with_name(re.sub(r"^\d{4}", "2099", newest.name))
    shutil.copytree(newest, ahead)
    for record in ahead.rglob("*.json"):
        record.write_text(record.read_text().replace(newest.name, ahead.name))
    assert digests(shop) == first and set(shop.outcomes(ahead.name).values()) == {"succeeded"}
    runs = listed(shop)
    assert runs[0] == ahead.name and len(runs) == 3
    assert set(shop.outcomes(runs[1]).values()) == {"cached"}
