"""Mapping a step over a list, as the plan tells it, and what is refused when the pipeline is defined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from headrace import pipeline, step
from headrace.core.errors import DefinitionError
from headrace.core.pipeline import Trace, trace
from headrace.core.plan import MapSpec, Plan
from headrace.engine.lookup import FormatLookup


class Parts(NamedTuple):
    names: list[str]
    n: int


class Verdict(NamedTuple):
    __headrace_gate__ = "passed"
    passed: bool


@step
def parts(n: int) -> list[str]:
    return [f"part {index}" for index in range(n)]


@step
def several() -> Parts:
    return Parts([], 0)


@step
def one() -> str:
    return "one"


@step
def tables() -> list[pl.DataFrame]:
    return []


@step
def score(part: str, model: float = 1.0, *, note: str = "") -> int:
    return len(part)


@step
def look(frame: pl.DataFrame) -> Parts:
    return Parts([], frame.height)


@step
def total(scores: list[int]) -> int:
    return sum(scores)


@step
def judge(part: str) -> Verdict:
    return Verdict(bool(part))


@step
def rest(*parts: str) -> int:
    return len(parts)


@step
def nothing() -> int:
    return 0


@step
def texts(names: list[list[str]]) -> int:
    return len(names)


@step
def as_iterator(scores: Iterator[int]) -> int:
    return sum(scores)


@step
def flat(names: list[list[str]]) -> list[str]:
    return [name for row in names for name in row]


@step
def count(frames: Sequence[pl.DataFrame]) -> int:
    return len(frames)


@step
def wants_texts(names: Sequence[str]) -> int:
    return len(names)


@step
def array() -> np.ndarray:
    return np.zeros(3)


def traced(function: Callable[..., Any], root: Path, **parameters: Any) -> Trace:
    return trace(pipeline(name="flow")(function), parameters, FormatLookup(), root)


def refused(call: Callable[[], Any], root: Path) -> str:
    def flow() -> None:
        call()

    with pytest.raises(DefinitionError) as caught:
        traced(flow, root)
    return f"{caught.value.message}\n{caught.value.hint}"


def test_a_map_in_the_plan(tmp_path: Path) -> None:
    def flow(n: int = 3) -> Any:
        scores = score.map(parts(n), 2.0, note="x")
        more = score.options(name="more", max_tasks=7, on_failure="continue").map(["a", "b"])
        shared = score.options(over=["part", "model"], name="zipped").map(parts(1), [1.0])
        return {"total": total(scores), "more": more, "zipped": shared}

    plan = traced(flow, tmp_path).plan
    assert plan.by_id["score"].map == MapSpec(("part",), 100, "stop")
    assert plan.by_id["score"].arguments["part"] == {"$": "ref", "node": "parts", "output": "output"}
    assert plan.by_id["more"].map == MapSpec(("part",), 7, "continue")
    assert plan.by_id["zipped"].map == MapSpec(("part", "model"), 100, "stop")
    assert plan.by_id["total"].map is None
    assert Plan.from_json(plan.to_json()) == plan
    assert '"map":{"over":["part"],"max_tasks":7,"on_failure":"continue"}' in plan.to_json()


@pytest.mark.parametrize(
    ("n_items", "max_tasks", "slices"),
    [
        (0, 3, []),
        (2, 3, [(0, 1), (1, 2)]),
        (7, 3, [(0, 3), (3, 6), (6, 7)]),
        (4, 1, [(0, 4)]),
        (10_000, 100, [(first, first + 100) for first in range(0, 10_000, 100)]),
    ],
)
def test_the_tasks_of_a_map(n_items: int, max_tasks: int, slices: list[tuple[int, int]]) -> None:
    assert MapSpec(("x",), max_tasks).slices(n_items) == slices


def test_what_may_be_mapped_over_and_who_takes_the_list(tmp_path: Path) -> None:
    def flow(names: tuple[str, ...] = ("a",)) -> Any:
        field = score.map(several().names)
        parameter = score.map(names)
        mixed = score.map([one(), "b"])
        looked = look.map(tables())
        texts(looked.names)
        as_iterator(field)
        as_iterator(score.map([]))
        total(parameter)
        count(tables())
        return {"mixed": mixed, "again": score.map(flat(looked.names)), "n": looked.n}

    plan = traced(flow, tmp_path).plan
    assert set(plan.outputs) == {"mixed", "again", "n"}


def test_what_is_refused(tmp_path: Path) -> None:
    place = "Step 'score' of pipeline 'flow'"
    cases: list[tuple[Callable[[], Any], str]] = [
        (
            lambda: score.map(one()),
            f"{place} maps over 'part', which takes a list, but got output 'one', which is str\n"
            "give a list, or the output of a step that returns one",
        ),
        (
            lambda: score.map("abc"),
            f"{place} maps over 'part', which takes a list, but got 'abc'\n"
            "give a list, or the output of a step that returns one: [this]",
        ),
        (
            lambda: score.map({"a", "b"} - {"b"}),
            f"{place} maps over 'part', which takes a list, but got {{'a'}}\n"
            "give a list, or the output of a step that returns one: list(…)",
        ),
        (
            lambda: score.map(array()),  # type: ignore[arg-type]
            f"{place} maps over 'part', which takes a list, but got output 'array', which is numpy.ndarray\n"
            "give a list, or the output of a step that returns one",
        ),
        (
            lambda: score.map(several()),
            f"{place} maps over 'part', which takes a list, but got outputs of 'several'\n"
            "give a list, or the output of a step that returns one",
        ),
        (
            lambda: look.map(parts(3)),  # type: ignore[arg-type]
            "Step 'look' of pipeline 'flow' maps over 'frame', whose items are to be polars.DataFrame, but got output "
            "'parts', which is list[str]\neach item is given to the step by itself: declare what one item is",
        ),
        (lambda: score.map(["a", 3]), f"{place} takes 'part[1]' as str, but got 3, which is int\nNone"),  # type: ignore[list-item]
        (
            lambda: wants_texts(score.map(["a"])),  # type: ignore[arg-type]
            "Step 'wants_texts' of pipeline 'flow' takes 'names' as collections.abc.Sequence[str], but got output "
            "'score', which is list[int]\nNone",
        ),
        (lambda: nothing.map([1]), "Step 'nothing' of pipeline 'flow' cannot be called like this: "),  # type: ignore[call-overload]
        (
            lambda: rest.map(["a"]),  # type: ignore[call-overload]
            "Step 'rest' of pipeline 'flow' cannot be mapped over '*parts: 'str'', which takes any number of arguments",
        ),
        (
            lambda: score.options(over="prt").map(["a"]),
            f"{place} has no parameter 'prt' to map over\ndid you mean 'part'?",
        ),
        (
            lambda: score.options(over="model").map("a"),
            f"{place} maps over 'model', which is not given\n"
            "give a list for it, or name the mapped parameter: step.options(over='…').map(…)",
        ),
        (
            lambda: score.options(over=("part", "model")).map(["a", "b"], [1.0]),
            f"{place} maps over lists of different lengths: part has 2, model has 1\n"
            "one item of each makes a call: give lists of one length",
        ),
        (
            lambda: judge.map(["a"]),
            "Step 'judge' of pipeline 'flow' is a gate, which decides once for a run and cannot be mapped\n"
            "map a step that judges each item, and give its list to the gate",
        ),
        (
            lambda: score.options(max_tasks=0).map(["a"]),
            "max_tasks >= 1 must hold, but got max_tasks=0\ngive the most tasks that the items may become, such as 50",
        ),
        (
            lambda: score.options(on_failure="ignore").map(["a"]),  # type: ignore[arg-type]
            "on_failure is 'stop' or 'continue', but got on_failure='ignore'\n"
            "'continue' leaves failing items out of the list",
        ),
        (
            lambda: score.options(max_tasks=3)("a"),
            "max_tasks= of step 'score' is for a map\n"
            "call it for each item of a list: step.options(max_tasks=…).map(items)",
        ),
    ]
    for call, text in cases:
        assert refused(call, tmp_path).startswith(text)


def test_outside_a_pipeline_it_is_a_loop() -> None:
    assert score.map(["a", "bcd"], 2.0) == [1, 3]
    assert score.options(over=["part", "model"]).map(part=["a", "b"], model=[1.0, 2.0]) == [1, 1]
    assert score.map(part=["ab"]) == [2]
    assert score.options(when=False).map(["a"]) is None

    @step
    def invert(x: int) -> float:
        return 1 / x

    assert invert.options(on_failure="continue").map([0, 2]) == [0.5]
    for options in ({}, {"on_failure": "continue"}):
        with pytest.raises(ZeroDivisionError):
            invert.options(**options).map([0])  # type: ignore[arg-type]
