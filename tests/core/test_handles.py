from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace import Pipeline, pipeline, step
from headrace.core.errors import DefinitionError
from headrace.core.pipeline import trace
from headrace.engine.lookup import FormatLookup


@dataclass
class Config:
    value: int


@step
def number() -> int:
    return 1


@step
def add(a: int, b: int = 1) -> int:
    return a + b


@step
def gather(items: list[int]) -> int:
    return 1


@step
def report(model: Any = None) -> None: ...


@pipeline
def inner(n: int) -> Any:
    return add(n)


def traced(flow: Pipeline[..., Any], root: Path) -> None:
    trace(flow, {}, FormatLookup(), root)


def flow_of(body: Callable[[], object]) -> Pipeline[[], object]:
    return pipeline(name="flow")(body)


OPERATORS = [
    *(getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")),
    *(getattr(operator, name) for name in ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow")),
    *(getattr(operator, name) for name in ("lshift", "rshift", "and_", "or_", "xor", "contains", "getitem")),
    divmod,
    operator.iadd,
]


@pytest.mark.parametrize("operate", OPERATORS, ids=lambda operate: operate.__name__)
@pytest.mark.parametrize("other", [1, 1.5, "a"], ids=["int", "float", "str"])
def test_each_operator_is_refused_from_both_sides(operate: Any, other: object, project_root: Path) -> None:
    def left() -> None:
        operate(number(), other)

    def right() -> None:
        operate(other, number())

    with pytest.raises(DefinitionError, match="has no value while the pipeline is traced"):
        traced(flow_of(left), project_root)
    if operate.__name__ not in ("contains",) and not (operate.__name__ == "mod" and other == "a"):
        with pytest.raises((DefinitionError, TypeError), match=r"has no value while|not subscriptable"):
            traced(flow_of(right), project_root)


@pytest.mark.parametrize(
    "ask",
    [
        operator.neg,
        operator.pos,
        abs,
        operator.invert,
        int,
        float,
        complex,
        round,
        iter,
        next,
        reversed,
        str,
        hash,
        repr,
    ],
    ids=lambda ask: ask.__name__,
)
def test_only_hash_and_repr_say_something(ask: Any, project_root: Path) -> None:
    def body() -> None:
        ask(number())

    if ask in (hash, repr):
        traced(flow_of(body), project_root)
    else:
        with pytest.raises(DefinitionError, match="has no value while the pipeline is traced"):
            traced(flow_of(body), project_root)


def test_a_handle_is_copied_as_itself(project_root: Path) -> None:
    @pipeline
    def flow() -> Any:
        handle: Any = number()
        assert copy.copy(handle) is handle
        assert copy.deepcopy([handle])[0] is handle
        assert not hasattr(handle, "_repr_html_")
        return add(copy.deepcopy({"a": handle})["a"])

    assert trace(flow, {}, FormatLookup(), project_root).plan.nodes[1].arguments["a"]["node"] == "number"


class TestForeignHandles:
    """A handle of another pipeline, or of an earlier trace of the same one, is refused though its name fits."""

    kept: list[Any]

    def use(self, how: Callable[[Any], object], project_root: Path) -> DefinitionError:
        kept: list[Any] = []

        @pipeline
        def flow() -> Any:
            kept.append(number())
            if len(kept) == 1:
                return kept[0]
            return how(kept[0])

        traced(flow, project_root)
        with pytest.raises(DefinitionError) as caught:
            traced(flow, project_root)
        return caught.value

    @pytest.mark.parametrize(
        "how",
        [
            add,
            lambda handle: add(b=handle, a=1),
            lambda handle: gather([handle]),
            lambda handle: report(Config(handle)),
            lambda handle: report.options(when=handle)(),
            lambda handle: report.options(after=[handle])(),
            lambda handle: report.options(after=handle)(),
            inner,
        ],
        ids=["argument", "keyword", "list", "dataclass", "when", "after", "after alone", "nested"],
    )
    def test_as_an_argument(self, how: Callable[[Any], object], project_root: Path) -> None:
        error = self.use(how, project_root)
        assert "output 'number' is of another pipeline, or of an earlier trace" in error.message
        assert error.hint == "call that step, or that pipeline, inside this one"

    def test_as_what_the_pipeline_returns(self, project_root: Path) -> None:
        error = self.use(lambda handle: handle, project_root)
        assert error.message == "Pipeline 'flow' returns output 'number', which no step of it made"
