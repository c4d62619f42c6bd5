from __future__ import annotations

import threading
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace.core.context import RunContext, current_run, entered, progress
from headrace.core.errors import RunError
from headrace.core.external import External, external_id


@dataclass(frozen=True)
class Champion(External):
    name: str


def context(reports: list[tuple[float, float | None, str]] | None = None, **pins: Any) -> RunContext:
    told = reports if reports is not None else []
    store: Any = None
    return RunContext("run-1", "train", 1, 7, store, Path("/project"), pins, lambda *report: told.append(report))


def test_there_is_no_run_in_a_plain_call() -> None:
    assert current_run() is None
    progress(1, 2, "folds")
    assert current_run() is None


def test_a_step_sees_its_run_and_only_while_it_lasts() -> None:
    outer, inner = context(), context()
    with entered(outer):
        with entered(inner):
            assert current_run() is inner
        assert current_run() is outer
    assert current_run() is None


def test_the_run_ends_with_the_step_that_fails() -> None:
    with pytest.raises(ValueError, match="no"), entered(context()):
        raise ValueError("no")
    assert current_run() is None


def test_a_thread_sees_the_run_where_it_is_handed_the_context() -> None:
    seen: list[object] = []
    with entered(context()):
        here = copy_context()
        thread = threading.Thread(target=lambda: seen.append(here.run(current_run)))
        thread.start()
        thread.join()
        assert seen == [current_run()]


def test_progress_is_told() -> None:
    reports: list[tuple[float, float | None, str]] = []
    with entered(context(reports)):
        progress(3, 10, "folds")
        progress(0.5)
    assert reports == [(3, 10, "folds"), (0.5, None, "")]


def test_a_pin_is_found_by_an_equal_external() -> None:
    run = context(**{external_id(Champion("a")): {"digest": "d"}})
    assert run.pin_of(Champion("a")) == {"digest": "d"}


def test_an_external_that_was_not_pinned_is_an_error() -> None:
    with pytest.raises(RunError) as caught:
        context().pin_of(Champion("b"))
    assert str(caught.value) == (
        "Champion(name='b') was not pinned by run 'run-1'.\nHint: take it as an argument of the step"
    )
