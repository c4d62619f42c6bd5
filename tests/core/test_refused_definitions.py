"""What is wrong with a step's signature or a pipeline itself is said when the pipeline is traced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest

from headrace import pipeline, step
from headrace.core.errors import DefinitionError
from headrace.core.pipeline import trace
from headrace.engine.lookup import FormatLookup


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


class Gate(NamedTuple):
    __headrace_gate__ = "passed"
    score: float


class Stranger:
    pass


@step
def number() -> int:
    return 1


@step
def table() -> pl.DataFrame:
    return pl.DataFrame()


@step
def report(model: Any = None) -> None: ...


def traced(flow: Any, root: Path) -> None:
    trace(flow, {}, FormatLookup(), root)


class TestSignatures:
    """What is wrong with a step's own signature or options is said at the step's line."""

    def refusal(self, made: Any, project_root: Path) -> DefinitionError:
        with pytest.raises(DefinitionError) as caught:
            traced(pipeline(name="flow")(lambda: made()), project_root)
        assert str(caught.value.where).startswith("tests/core/test_refused_definitions.py:")
        return caught.value

    def test_no_return_annotation(self, project_root: Path) -> None:
        @step
        def train(rows: int): ...  # type: ignore[no-untyped-def]

        error = self.refusal(train, project_root)
        assert error.message == "Step 'train' does not say what it returns"
        assert (error.hint or "").startswith("annotate it, as in `-> polars.DataFrame` or `-> None`")

    def test_an_annotation_that_does_not_evaluate(self, project_root: Path) -> None:
        @step
        def train(rows: Nowhere) -> int:  # type: ignore[name-defined] # noqa: F821
            return 1

        error = self.refusal(train, project_root)
        assert error.message.startswith("An annotation of 'train' does not evaluate: NameError: name 'Nowhere'")

    def test_a_type_that_no_format_stores(self, project_root: Path) -> None:
        @step
        def train() -> Stranger:
            return Stranger()

        error = self.refusal(train, project_root)
        assert error.message.startswith("Output 'output' of step 'train': No format stores a value of type ")
        assert "Annotated[Stranger, Pickle]" in (error.hint or "")

    def test_a_tuple_whose_parts_have_no_names(self, project_root: Path) -> None:
        @step
        def train() -> tuple[pl.DataFrame, pl.DataFrame]:
            raise NotImplementedError

        error = self.refusal(train, project_root)
        assert error.hint == "name its parts, as in @step(outputs=('train', 'test')), or return a NamedTuple"

    def test_more_names_than_parts(self, project_root: Path) -> None:
        @step(outputs=("a", "b", "c"))
        def train() -> tuple[int, int]:
            return 1, 2

        error = self.refusal(train, project_root)
        assert error.message == "Step 'train' names 3 outputs, but returns tuple[int, int]"
        assert error.hint == "return a tuple with one type an output, as in `-> tuple[Table, Table]`"

    def test_names_for_nothing(self, project_root: Path) -> None:
        @step(outputs=("a",))
        def train() -> None: ...

        assert self.refusal(train, project_root).message == "Step 'train' names 1 outputs, but returns None"

    def test_names_beside_fields(self, project_root: Path) -> None:
        @step(outputs=("a", "b"))
        def train() -> Split:
            raise NotImplementedError

        error = self.refusal(train, project_root)
        assert "names its outputs twice: in outputs= and by the fields of" in error.message
        assert error.hint == "leave out outputs="

    def test_a_format_for_no_output(self, project_root: Path) -> None:
        @step(outputs={"outptu": "pickle"})
        def train() -> int:
            return 1

        error = self.refusal(train, project_root)
        assert error.message == "Step 'train' has no output 'outptu'"
        assert error.hint == "did you mean 'output'?"

    def test_a_format_for_nothing(self, project_root: Path) -> None:
        @step(outputs={"output": "pickle"})
        def train() -> None: ...

        assert self.refusal(train, project_root).hint == "it returns None"

    def test_a_format_that_is_not_there(self, project_root: Path) -> None:
        @step(outputs={"output": "pikcle"})
        def train() -> int:
            return 1

        error = self.refusal(train, project_root)
        assert error.message == "Output 'output' of step 'train': There is no format named 'pikcle'"
        assert error.hint == "did you mean 'pickle'?"

    def test_an_effect_that_is_a_lambda(self, project_root: Path) -> None:
        @step(effect=lambda arguments, stored: True)
        def deploy() -> int:
            return 1

        error = self.refusal(deploy, project_root)
        assert error.message.startswith("effect= of step 'deploy': A lambda cannot be a value in a plan")

    def test_an_effect_that_is_something_else_by_its_name(self, project_root: Path) -> None:
        def effect(arguments: object, stored: object) -> bool:
            return True

        effect.__qualname__ = "Stranger"

        @step(effect=effect)
        def deploy() -> int:
            return 1

        error = self.refusal(deploy, project_root)
        assert error.message.startswith("effect= of step 'deploy': '")
        assert error.message.endswith(":Stranger' is not what importing it gives")
        assert error.hint == "give it a name of its own at the top of its module"

    def test_an_exception_of_a_function(self, project_root: Path) -> None:
        class Mine(Exception):
            pass

        @step(retry_on=(Mine,))
        def fetch() -> int:
            return 1

        error = self.refusal(fetch, project_root)
        assert error.message.startswith("retry_on= of step 'fetch': ")
        assert "is defined inside a function" in error.message

    def test_a_gate_that_is_no_bool(self, project_root: Path) -> None:
        @step
        def decide() -> Gate:
            return Gate(1.0)

        error = self.refusal(decide, project_root)
        assert "whose gate 'passed' is no bool of its fields" in error.message
        assert error.hint == "__headrace_gate__ names a field that is declared bool"

    def test_outputs_without_names(self, project_root: Path) -> None:
        @dataclass
        class Empty:
            pass

        @step
        def train() -> Any: ...

        train.function.__annotations__["return"] = Empty
        error = self.refusal(train, project_root)
        assert "which has no fields" in error.message

    def test_a_field_that_hides(self, project_root: Path) -> None:
        @dataclass
        class Hidden:
            _model: int

        @step
        def train() -> Any: ...

        train.function.__annotations__["return"] = Hidden
        assert "which has a field whose name begins with '_'" in self.refusal(train, project_root).message

    def test_a_default_that_does_not_fit(self, project_root: Path) -> None:
        @step
        def train(rows: int = None) -> int:  # type: ignore[assignment] # noqa: RUF013
            return 1

        error = self.refusal(train, project_root)
        assert error.message.endswith("takes 'rows' as int, but got None, which is None")


class TestPipelines:
    def refusal(self, flow: Any, root: Path, parameters: dict[str, object] | None = None) -> DefinitionError:
        with pytest.raises(DefinitionError) as caught:
            trace(flow, parameters or {}, FormatLookup(), root)
        assert str(caught.value.where).startswith("tests/core/test_refused_definitions.py:")
        return caught.value

    def test_no_step(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None: ...

        error = self.refusal(flow, project_root)
        assert error.message == "Pipeline 'flow' calls no step"
        assert error.hint == "call functions that are decorated with @step"

    def test_a_circle(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            number.options(name="a", after=["c"])()
            number.options(name="b", after=["a"])()
            number.options(name="c", after=["b"])()

        error = self.refusal(flow, project_root)
        first, *rest = error.message.removeprefix("Pipeline 'flow' goes round in a circle: ").split(" → ")
        assert rest[-1] == first
        assert sorted(rest) == ["a", "b", "c"]
        follows = {"a": "c", "b": "a", "c": "b"}
        assert all(follows[after] == before for before, after in zip([first, *rest], rest, strict=False))
        assert error.hint == "take one of these out of after="

    def test_a_node_after_itself(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            number.options(name="a", after="a")()

        assert self.refusal(flow, project_root).message == "Pipeline 'flow' goes round in a circle: a → a"

    def test_a_long_circle_is_shown_in_short(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            for index in range(5000):
                number.options(name=f"n{index}", after=f"n{(index + 1) % 5000}")()

        assert len(self.refusal(flow, project_root).message) < 200

    def test_it_returns_what_no_step_made(self, project_root: Path) -> None:
        @pipeline
        def flow() -> Any:
            return {"a": number(), "b": 5}

        error = self.refusal(flow, project_root)
        assert error.message == "Pipeline 'flow' returns 5, which no step of it made"
        assert (error.hint or "").startswith("return steps' outputs")

    def test_it_returns_nothing_of_a_step(self, project_root: Path) -> None:
        @pipeline
        def flow() -> Any:
            return report()

        assert "returns node 'report', which has no output, which no step" in self.refusal(flow, project_root).message

    def test_a_parameter_that_no_plan_holds(self, project_root: Path) -> None:
        @pipeline
        def flow(rule: Any) -> Any:
            return number()

        error = self.refusal(flow, project_root, {"rule": Stranger()})
        assert error.message.startswith("Parameter 'rule' of pipeline 'flow': A value of type ")

    def test_a_pipeline_that_calls_itself(self, project_root: Path) -> None:
        @pipeline
        def flow(n: int = 0) -> Any:
            return flow(n + 1)

        error = self.refusal(flow, project_root)
        assert error.message == "Pipeline 'flow' stands in 20 others"
        assert error.hint == "does a pipeline call itself?"

    def test_names_too_long_for_a_file(self, project_root: Path) -> None:
        long = pipeline(name="x" * 90)(lambda: number())
        longer = pipeline(name="y" * 90)(lambda: long())
        flow = pipeline(name="flow")(lambda: pipeline(name="z" * 90)(lambda: longer())())
        error = self.refusal(flow, project_root)
        assert "characters, and the most is 200" in error.message
        assert (error.hint or "").startswith("give shorter names to the pipelines that it stands in")

    def test_tables_of_other_libraries_fit_and_other_types_do_not(self, project_root: Path) -> None:
        @step
        def to_pandas(frame: pd.DataFrame) -> int:
            return 1

        @step
        def to_array(array: np.ndarray[Any, Any]) -> int:
            return 1

        @step
        def annotated(frame: Annotated[pl.LazyFrame, "lazy"] | None) -> int:
            return 1

        @pipeline
        def flow() -> Any:
            return to_pandas(table()), annotated(table())

        assert len(trace(flow, {}, FormatLookup(), project_root).plan.nodes) == 4
        error = self.refusal(pipeline(name="flow")(lambda: to_array(table())), project_root)
        assert "takes 'array' as numpy.ndarray" in error.message
