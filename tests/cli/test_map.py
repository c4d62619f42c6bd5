"""A map on the command line: one line with counts, single items by their name, and its tasks under an orchestrator."""

from __future__ import annotations

import json
from typing import Any

import pytest

MAPPED = """
from headrace import pipeline, step

@step
def numbers(n: int) -> list[int]:
    return list(range(n))

@step
def double(x: int, bad: int) -> int:
    print("doubling", x)
    if x == bad:
        raise ValueError(f"no {x}")
    return 2 * x

@step
def total(xs: list[int]) -> int:
    return sum(xs)

@pipeline
def flow(n: int = 7, bad: int = -1):
    return total(double.options(max_tasks=3).map(numbers(n), bad))
"""


@pytest.fixture
def mapped(bare: Any) -> Any:
    bare.write("mapped.py", MAPPED)
    return bare


def test_a_map_is_one_line_and_its_items_have_names(mapped: Any) -> None:
    failed = mapped.headrace("run", "mapped.py", "-p", "bad=6", "--workers", "1")
    step = mapped.headrace("show", "double")
    item = mapped.headrace("show", "double[6]")
    printed = mapped.headrace("logs", failed.run_id, "double[5]")

    assert failed.code == 1
    assert "double: failed in" in failed.out
    assert "1 of 7 items failed: [6] 6: ValueError: no 6" in failed.out
    assert f"all about the first: headrace show {failed.run_id} 'double[6]'" in failed.out
    assert len([line for line in failed.out.splitlines() if line.startswith("double")]) == 2
    assert "items: 7\n    1  failed\n    6  succeeded" in step.out
    assert "double[6]  6  failed  ValueError: no 6" in step.out
    assert item.out.startswith(f"step 'double[6]' of run {failed.run_id}: failed\n")
    assert 'raise ValueError(f"no {x}")' in item.out
    assert printed.out == "doubling 5\n"


def test_why_an_item_was_computed(mapped: Any) -> None:
    mapped.headrace("run", "mapped.py", "-q")
    grown = mapped.headrace("run", "mapped.py", "-p", "n=8")
    new = mapped.headrace("why", "double[7]")
    old = mapped.headrace("why", "double[0]")
    logs = mapped.headrace("logs", "double[0]")
    mapped.headrace("run", "mapped.py", "-p", "n=8", "-q")
    whole = mapped.headrace("logs", "double[1]")
    mapped.write("mapped.py", MAPPED.replace("2 * x", "x + x"))
    mapped.headrace("run", "mapped.py", "-p", "n=9", "-q")
    changed = mapped.headrace("why", "double[2]", "--json")
    again = mapped.headrace("run", "mapped.py", "-p", "n=9")
    shown = mapped.headrace("show", again.run_id, "double[8]", "--json")

    assert "double: succeeded in" in grown.out
    assert "(8 items: 1 computed, 7 hits)" in grown.out
    assert new.out == "double[7] ran because no earlier run has this item\n"
    assert old.out.startswith("double[0] was a hit: it was made by run")
    assert logs.out == "doubling 0\n"
    assert "'double[0]' was a hit; this is from run" in logs.err
    assert whole.out == "doubling 1\n", (
        "the list was found whole, and the item in it was found by the run that made the list"
    )
    assert json.loads(changed.out)["steps"][0]["causes"][0]["text"].startswith("double in mapped.py:")
    assert json.loads(shown.out)["attempts"][0]["outcome"] == "cached"
    assert json.loads(shown.out)["attempts"][0]["outputs"]["output"]["files"][0][2] == 3


def test_items_that_there_are_not(mapped: Any) -> None:
    mapped.headrace("run", "mapped.py", "-q")
    beyond = mapped.headrace("show", "double[7]")
    other = mapped.headrace("logs", "total[0]")
    misspelt = mapped.headrace("why", "duble[0]")

    assert beyond.code == other.code == misspelt.code == 2
    assert "There is no record of item 'double[7]'" in beyond.err
    assert "it has 7 items" in beyond.err
    assert "There is no record of item 'total[0]'" in other.err
    assert "did you mean 'double'?" in misspelt.err


def test_the_tasks_of_a_map_under_an_orchestrator(mapped: Any) -> None:
    def call(node: str, *options: str) -> Any:
        return mapped.headrace("exec", node, "mapped.py", "--run", "R1", *options)

    early = call("double", "--slices")
    call("numbers")
    slices = call("double", "--slices")
    middle = call("double", "--items", "3:6")
    missing = call("double", "--collect")
    rest = [call("double", "--items", items) for items in ("6:7", "0:3", "3:6")]
    beyond = call("double", "--items", "5:9")
    ended = call("double", "--collect")
    after = call("double", "--slices")
    total = call("total")

    assert early.code == 2
    assert json.loads(slices.out) == ["0:3", "3:6", "6:7"]
    assert middle.code == 0
    assert "double: 3 items: 3 computed, 0 hits" in middle.out
    assert missing.code == 1
    assert "4 of 7 items have not been carried out, the first is [0]" in missing.out
    assert [done.code for done in rest] == [0, 0, 0]
    assert "double: 3 items: 0 computed, 3 hits" in rest[2].out
    assert beyond.code == 2
    assert "Node 'double' has 7 items, so there are no items 5:9" in beyond.err
    assert "(7 items: 7 computed, 0 hits)" in ended.out, "what a task that was done again found there is of this run"
    assert json.loads(after.out) == []
    assert total.code == 0
    assert mapped.headrace("show", "R1", "--json").json["outputs"]["output"]["value"] == 42


def test_a_task_with_an_item_that_fails(mapped: Any) -> None:
    def call(node: str, *options: str) -> Any:
        return mapped.headrace("exec", node, "mapped.py", "--run", "R2", "-p", "bad=1", *options)

    call("numbers")
    first = call("double", "--items", "0:3")
    second = call("double", "--items", "3:7", "--json")
    ended = call("double", "--collect")
    wrong = call("double", "--items", "3-7")
    no_map = call("total", "--slices")

    assert first.code == ended.code == 1
    assert second.code == 0
    assert json.loads(second.out)["items"] == {"n": 7, "counts": {"succeeded": 4}, "failed": []}
    assert "1 of 7 items failed (1 were not started): [1] 1: ValueError: no 1" in ended.out
    assert wrong.code == 2
    assert "'3-7' names no items" in wrong.err
    assert no_map.code == 2


def test_the_plan_and_the_report_tell_of_a_map(mapped: Any) -> None:
    mapped.write("mapped.py", MAPPED.replace("max_tasks=3", "max_tasks=3, on_failure='continue'"))
    done = mapped.headrace("run", "mapped.py", "-p", "bad=2")
    plan = mapped.headrace("show", "--plan")
    page = (mapped.folder / ".headrace/runs" / done.run_id / "report.html").read_text()

    assert done.code == 0
    assert "(7 items: 6 computed, 0 hits; 1 failed and left out)" in done.out
    assert "double = double(x=each of numbers, bad=2) in at most 3 tasks, on failure continue" in plan.out
    assert "7 items: 1 failed, 6 succeeded" in page
    assert "<code>[2] 2</code> failed: ValueError: no 2" in page
