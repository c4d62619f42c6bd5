"""Long chains and wide fans: nothing walks a graph by calling itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace import pipeline, step
from headrace.core.pipeline import Trace, trace
from headrace.core.plan import Plan
from headrace.engine.lookup import FormatLookup


@step
def one() -> int:
    return 1


@step
def anything(value: Any) -> int:
    return 1


def of(flow: Any, root: Path) -> Trace:
    traced = trace(flow, {}, FormatLookup(), root)
    assert Plan.from_json(traced.plan.to_json()) == traced.plan
    return traced


@pytest.mark.parametrize("n", [5000])
class TestLarge:
    """No recursion over graphs."""

    def test_a_chain(self, n: int, project_root: Path) -> None:
        @pipeline
        def flow() -> Any:
            value: Any = one()
            for _ in range(n - 1):
                value = anything(value)
            return value

        plan = of(flow, project_root).plan
        assert len(plan.nodes) == n
        assert plan.outputs["output"].node == f"anything-{n - 1}"

    def test_a_fan(self, n: int, project_root: Path) -> None:
        @pipeline
        def flow() -> Any:
            value = one()
            return anything([anything(value) for _ in range(n)])

        plan = of(flow, project_root).plan
        assert len(plan.nodes[-1].upstream()) == n

    def test_a_chain_by_names_given_backwards(self, n: int, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            for index in range(n):
                one.options(name=f"n{index}", after=[f"n{index + 1}"] if index < n - 1 else [])()

        assert [node.id for node in of(flow, project_root).plan.nodes] == [f"n{index}" for index in reversed(range(n))]
