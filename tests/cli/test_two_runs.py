"""``show A B``, ``why A B`` and ``why STEP --last N``: what differs between runs, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest

import headrace

SHOP = """
import os, time
from pathlib import Path
from headrace import pipeline, step
from helpers import tidy

RATE = 1

@step
def read(data: Path) -> list[float]:
    return [float(line) for line in data.read_text().split()]

@step
def fit(prices: list[float], depth: int) -> dict[str, float]:
    return tidy(prices, depth)

@step
def score(model: dict[str, float], least: float) -> dict[str, float]:
    if model["mean"] < least:
        raise ValueError(f"mean {model['mean']} is below {least}")
    return {"auc": model["mean"] / 100, "n": 3}

@step
def aside(n: int) -> int:
    return n

@step
def tail(n: int) -> int:
    return n

@pipeline
def shop(data: Path = Path("prices.txt"), depth: int = 1, least: float = 0.0, with_tail: bool = False):
    aside(1)
    if with_tail:
        tail(1)
    return score(fit(read(data), depth), least)
"""
HELPERS = """
def tidy(prices, depth):
    return {"mean": sum(prices) / len(prices) + depth}
"""


class Shop:
    def __init__(self, project: Any) -> None:
        self.project = project
        project.write("shop.py", SHOP)
        project.write("helpers.py", HELPERS)
        project.write("prices.txt", "10 20 30")

    def run(self, **parameters: Any) -> str:
        return headrace.run("shop.py", parameters, folder=self.project.folder).run_id


@pytest.fixture
def shop(bare: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("COLUMNS", "80")
    return Shop(bare)


def test_what_differs_is_grouped_by_step(shop: Shop, here: Any) -> None:
    a = shop.run()
    shop.project.write("helpers.py", HELPERS.replace("+ depth", "+ 2 * depth"))
    shop.project.write("prices.txt", "10 20 60")
    b = shop.run(depth=4, with_tail=True)
    done = here("show", a, b)

    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    text = re.sub(r"[0-9a-f]{8} → [0-9a-f]{8}", "OLD → NEW", done.out)
    blocks = text.split("\n\n")
    assert [line.split()[:3] for line in blocks[0].splitlines()] == [["A", a, "succeeded"], ["B", b, "succeeded"]]
    assert blocks[1].splitlines() == ["parameters", "  depth      1 → 4", "  with_tail  False → True"]
    assert blocks[2].splitlines()[:3] == [
        "read",
        "  data        data: the content of prices.txt changed",
        "  output      OLD → NEW",
    ]
    assert blocks[2].splitlines()[3] == "  metrics     [2] 30 → 60 (+30)"
    fit = blocks[3].splitlines()
    assert fit[:3] == ["fit", "  code        tidy in helpers.py:2 changed", "  values      depth changed: 1 → 4"]
    assert fit[3] == "  data        input prices changed, which is made by 'read'"
    assert "  metrics     mean 21 → 38 (+17)" in fit
    assert "  metrics     auc 0.21 → 0.38 (+0.17)" in blocks[4].splitlines()
    assert blocks[5].splitlines() == ["the same: 1 step (aside)", "ended in B alone: 1 step (tail)"]


def test_another_outcome(shop: Shop, here: Any) -> None:
    a, b = shop.run(), shop.run(least=50.0)
    told = here("show", a, b, "--json").json
    shown = here("show", a, b).out

    score = next(step for step in told["steps"] if step["node"] == "score")
    assert score["outcome"] == {"a": "succeeded", "b": "failed"}
    assert score["causes"] == [{"about": "values", "kind": "value", "text": "least changed: 0.0 → 50.0"}]
    assert not score["is_same"]
    assert [step["is_same"] for step in told["steps"] if step["node"] != "score"] == [True] * 3
    assert told["facts"] == [{"name": "outcome", "a": "succeeded", "b": "failed"}]
    assert told["parameters"] == [{"name": "least", "a": "0.0", "b": "50.0"}]
    assert "  outcome     succeeded → failed: ValueError: mean 21.0 is below 50.0" in shown
    assert "the same: 3 steps (aside, read, fit)" in shown


def test_runs_that_do_not_differ(shop: Shop, here: Any) -> None:
    a, b = shop.run(), shop.run()

    assert here("show", a, b).out.splitlines()[2:] == ["", "the same: 4 steps (aside, read, fit, score)"]
    assert (
        here("why", a, b).out
        == f"every step that both came to has the same code and inputs in run {a} and in run {b}\n"
    )
    assert here("why", a, b, "fit").out == "fit has the same code and inputs in both\n"


def test_why_of_two_runs(shop: Shop, here: Any) -> None:
    a = shop.run()
    shop.run(depth=3)
    shop.project.write("prices.txt", "10 20 60")
    b = shop.run(depth=4)
    shop.run(depth=4)

    assert here("why", a[-4:], b[-4:], "fit").out.splitlines() == [
        "fit differs, because",
        "  - input prices changed, which is made by 'read'",
        "  - depth changed: 1 → 4",
    ]
    lines = here("why", a, b).out.splitlines()
    assert [line for line in lines if line.endswith("because")] == [
        f"{name} differs, because" for name in ("read", "fit", "score")
    ]
    told = here("why", a, b, "fit", "--json").json
    assert told["steps"][0]["keys"]["a"] != told["steps"][0]["keys"]["b"]
    assert [cause["kind"] for cause in told["steps"][0]["causes"]] == ["input", "value"]
    assert here("why", a, b, "tail").code == 2


def test_a_step_that_one_run_did_not_come_to(shop: Shop, here: Any) -> None:
    a, b = shop.run(), shop.run(with_tail=True)

    assert here("why", a, b, "tail").out == f"tail did not come so far as to have a key in run {a}\n"


def test_how_a_key_changed_over_the_last_runs(shop: Shop, here: Any) -> None:
    ids = [shop.run(), shop.run(), shop.run(depth=2), shop.run(depth=1)]
    told = here("why", "fit", "--last", "3")

    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == ids[:0:-1]
    assert [line.split()[1] for line in lines[::2]] == ["cached", "succeeded", "cached"]
    assert lines[1::2] == [
        "    - depth changed: 2 → 1",
        "    - depth changed: 1 → 2",
        "    - the same code and inputs as in the run before",
    ]
    keys = [line.split()[2] for line in lines[::2]]
    assert keys[0] == keys[2] != keys[1]
    whole = here("why", "fit", "--last", "9", "--json").json
    assert [item["run"] for item in whole["runs"]] == ids[::-1]
    assert whole["runs"][-1]["compared_with"] is None
    assert here("why", ids[1], "fit", "--last", "9").out.splitlines()[-1] == "    - the first"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["show", "latest", "fitt"], "has no step 'fitt', and there is no run of that name", "did you mean 'fit'?"),
        (["show", "latest", "latest", "--plan"], "--plan, --report and --save are about one run", "name one run"),
        (
            ["why", "latest", "fit", "score"],
            "headrace why takes one run and a step, or two runs",
            "headrace why --help",
        ),
        (["why", "latest", "latest", "--last", "2"], "headrace why takes one run and a step, or two runs", "--help"),
        (["why", "--last", "2"], "--last is about one step", "headrace why STEP --last 5"),
        (["why", "fit", "--last", "0"], "a whole number of 1 or more is needed", "--help"),
        (["why", "latest", "latest", "fitt"], "has a step 'fitt'", "did you mean 'fit'?"),
    ],
)
def test_what_cannot_be_meant(
    shop: Shop, here: Any, capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    shop.run()
    done = here(*words)

    assert done.code == 2
    assert message in done.err
    assert hint in done.err


def test_a_long_list_counts_by_its_length(shop: Shop, here: Any) -> None:
    a = shop.run()
    shop.project.write("prices.txt", " ".join(["20"] * 40))
    read = next(step for step in here("show", a, shop.run(), "--json").json["steps"] if step["node"] == "read")

    assert read["metrics"] == [{"name": "len(value)", "a": 3, "b": 40}]
