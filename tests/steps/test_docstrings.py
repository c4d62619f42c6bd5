"""The examples in the steps' docstrings run, and each step has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import headrace.steps
from headrace import Step

MODULES = sorted(m.name for m in pkgutil.walk_packages(headrace.steps.__path__, "headrace.steps."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


@pytest.mark.parametrize("name", [n for n in headrace.steps.__all__ if isinstance(getattr(headrace.steps, n), Step)])
def test_each_step_tells_what_it_does(name: str) -> None:
    text = getattr(headrace.steps, name).__doc__
    for section in ("Raises\n", "Examples\n"):
        assert section in text
    assert "issing" in text or name in ("register", "package", "publish", "gate", "split")


def test_the_steps_are_found() -> None:
    steps = [name for name in headrace.steps.__all__ if isinstance(getattr(headrace.steps, name), Step)]
    assert len(steps) >= 13
