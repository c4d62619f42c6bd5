"""The examples in the core's docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("headrace.core.step", 2),
        ("headrace.core.pipeline", 3),
        ("headrace.core.context", 2),
        ("headrace.core.secret", 1),
    ],
)
def test_examples_run(name: str, least: int) -> None:
    done = doctest.testmod(importlib.import_module(name))
    assert done.failed == 0
    assert done.attempted >= least
