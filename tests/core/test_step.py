from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import math
import pickle
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest

from headrace import Resources, Step, TransientError, pipeline, step
from headrace.core.errors import DefinitionError
from headrace.core.step import RETRIED_BY_DEFAULT


@step
def double(n: int, *, times: float = 2.0) -> float:
    """Twice as much."""
    return n * times


@step(name="slow", retries=2)
async def later(n: int) -> int:
    return n + 1


@pipeline
def flow() -> float:
    return double(1)


class TestPlainCalls:
    def test_a_step_is_its_function(self) -> None:
        assert double(3) == 6.0
        assert double(3, times=3) == 9.0
        assert double.function(3) == 6.0

    def test_an_async_step_gives_a_coroutine(self) -> None:
        coroutine: Any = later(1)
        assert asyncio.run(coroutine) == 2

    def test_errors_of_the_call_are_pythons_own(self) -> None:
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'n'"):
            double()  # type: ignore[call-arg]

    def test_run_options_do_nothing_but_when(self) -> None:
        assert double.options(after=["x"], name="twice")(3) == 6.0
        assert double.options(when=True)(3) == 6.0
        skipped: Any = double.options(when=False)(3)
        assert skipped is None

    def test_it_looks_like_its_function(self) -> None:
        assert (double.__name__, double.__qualname__, double.__module__) == ("double", "double", __name__)
        assert double.__doc__ == "Twice as much."
        assert str(inspect.signature(double)) == "(n: 'int', *, times: 'float' = 2.0) -> 'float'"
        assert get_type_hints(double) == {"n": int, "times": float, "return": float}
        assert repr(double) == "<step 'double'>"
        assert repr(double.options(name="x")) == "<step 'double' with options>"

    def test_it_is_pickled_and_copied_by_name(self) -> None:
        assert pickle.loads(pickle.dumps([double])) == [double]
        assert copy.deepcopy({"step": double})["step"] is double
        assert pickle.loads(pickle.dumps(flow)) is flow

    def test_attributes_of_the_function_do_not_get_in_the_way(self) -> None:
        def counted(n: int) -> int:
            return n

        counted.function = "mine"  # type: ignore[attr-defined]
        counted.settings = "mine"  # type: ignore[attr-defined]
        assert step(counted)(5) == 5


class TestOptions:
    def test_defaults(self) -> None:
        settings = double.settings
        assert (settings.name, settings.retries, settings.cache) == ("double", 0, True)
        assert settings.retry_on == RETRIED_BY_DEFAULT == (TransientError, ConnectionError, TimeoutError)
        assert settings.resources == Resources(cpus=1, memory_bytes=None)
        assert later.settings.name == "slow"

    def test_sequences_are_frozen(self) -> None:
        made = step(retry_on=[OSError], outputs=["a", "b"])(double.function)
        assert (made.settings.retry_on, made.settings.outputs) == ((OSError,), ("a", "b"))
        alone = step(retry_on=OSError)(double.function)  # type: ignore[arg-type]
        assert alone.settings.retry_on == (OSError,)
        given = {"output": "pickle"}
        named = step(outputs=MappingProxyType(given))(double.function)
        given["output"] = "json"
        assert named.settings.outputs == {"output": "pickle"}

    @pytest.mark.parametrize(
        ("options", "message", "hint"),
        [
            ({"retries": -1}, "retries >= 0 must hold, but got retries=-1", "give a whole number, such as 3"),
            ({"retries": 1.5}, "retries >= 0 must hold, but got retries=1.5", "give a whole number"),
            ({"retries": True}, "retries >= 0 must hold, but got retries=True", "give a whole number"),
            ({"retries": "3"}, "retries >= 0 must hold, but got retries='3'", "give a whole number"),
            ({"backoff_seconds": -0.1}, "backoff_seconds >= 0 must hold", "give a number of seconds, such as 60"),
            ({"backoff_seconds": math.nan}, "but got backoff_seconds=nan", "give a number of seconds, such as 60"),
            ({"backoff_seconds": math.inf}, "but got backoff_seconds=inf", "give a number of seconds, such as 60"),
            (
                {"timeout_seconds": 0},
                "timeout_seconds > 0 must hold, but got timeout_seconds=0",
                "or None for no limit",
            ),
            ({"timeout_seconds": "60"}, "but got timeout_seconds='60'", "or None for no limit"),
            ({"timeout_seconds": True}, "but got timeout_seconds=True", "or None for no limit"),
            ({"expires_after_seconds": 0}, "expires_after_seconds > 0 must hold", "or None for never"),
            ({"cache": "no"}, "cache is True or False, but got cache='no'", "to compute each time: cache=False"),
            ({"cache": None}, "cache is True or False, but got cache=None", "to compute each time: cache=False"),
            ({"resources": 4}, "resources takes a Resources, but got resources=4", "Resources(cpus=2)"),
            ({"retry_on": ["x"]}, "retry_on takes exception classes, but got retry_on=('x',)", "as in retry_on="),
            ({"retry_on": "OSError"}, "retry_on takes exception classes, but got retry_on=('OSError',)", "as in"),
            ({"retry_on": int}, "retry_on takes exception classes", "as in retry_on="),
            (
                {"effect": "deployed"},
                "effect takes a function, but got effect='deployed'",
                "one of the plain arguments",
            ),
            ({"outputs": ()}, "outputs names each output once, but got ()", "as in outputs=('train', 'test')"),
            ({"outputs": ("a", "a")}, "outputs names each output once, but got ('a', 'a')", "as in outputs="),
            ({"outputs": ("_a", "b")}, "outputs names each output once, but got ('_a', 'b')", "as in outputs="),
            ({"outputs": ("a", "b c")}, "The name of a step's output must be", "give name='…'"),
            ({"outputs": (1, 2)}, "The name of a step's output must be letters", "give name='…'"),
            ({"outputs": "ab"}, "outputs takes several names, but got 'ab'", "give outputs=('ab',)"),
            ({"outputs": {"output": 5}}, "outputs maps an output to a format by name, but got 5", "as in outputs="),
            ({"name": "a b"}, "The name of a step must be letters, digits", "give name='…'"),
            ({"name": ""}, "or '_', but got ''", "give name='…'"),
            ({"name": "7up"}, "and begin with a letter or '_', but got '7up'", "give name='…'"),
            ({"name": "größe"}, "but got 'größe'", "give name='…'"),
            ({"name": "x" * 101}, "at most 100", "give name='…'"),
            ({"name": 5}, "but got 5", "give name='…'"),
        ],
        ids=lambda item: str(item)[:40],
    )
    def test_bad_values_are_refused(self, options: dict[str, Any], message: str, hint: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            step(**options)(double.function)
        assert message in caught.value.message
        assert hint in (caught.value.hint or "")
        assert caught.value.where in (None, "step 'double'")

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"cpus": 0}, "cpus >= 1 must hold, but got cpus=0"),
            ({"cpus": 0.5}, "cpus >= 1 must hold, but got cpus=0.5"),
            ({"cpus": True}, "cpus >= 1 must hold, but got cpus=True"),
            ({"memory_bytes": 0}, "memory_bytes > 0 must hold, but got memory_bytes=0"),
            ({"memory_bytes": 1e9}, "memory_bytes > 0 must hold, but got memory_bytes=1000000000.0"),
            ({"memory_bytes": "1GB"}, "memory_bytes > 0 must hold, but got memory_bytes='1GB'"),
        ],
    )
    def test_bad_resources_are_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            Resources(**values)
        assert caught.value.message == message
        assert (caught.value.hint or "").startswith("give ")

    def test_an_unknown_option_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(TypeError, match=r"^step\(\) has no option 'retires': did you mean 'retries'\?$"):
            step(retires=3)  # type: ignore[call-overload]


class TestWhatCannotBeAStep:
    def test_a_step(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            step(double)
        assert str(caught.value) == "<step 'double'> is a step already.\nHint: use @step once"

    def test_a_pipeline(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            step(flow)
        assert str(caught.value) == (
            "<pipeline 'flow'> is a pipeline already.\nHint: a pipeline cannot be a step too: write another function"
        )

    @pytest.mark.parametrize(
        "thing",
        [
            int,
            5,
            "text",
            functools.partial(double.function),
            functools.lru_cache(double.function),
            staticmethod(double.function),
            classmethod(double.function),
            [].append,
            len,
        ],
        ids=lambda thing: type(thing).__name__,
    )
    def test_what_is_no_function(self, thing: Any) -> None:
        with pytest.raises(DefinitionError) as caught:
            step(thing)
        assert "is not a plain function, so it cannot be a step" in caught.value.message
        assert caught.value.hint == "use @step on a def, above other decorators that give functions"

    def test_a_lambda_without_a_name(self) -> None:
        with pytest.raises(DefinitionError, match="but got '<lambda>'"):
            step(lambda: 1)

    def test_a_method(self) -> None:
        with pytest.raises(DefinitionError) as caught:

            class Model:
                @step
                def train(self) -> int:
                    return 1

        assert "'train' is defined inside class 'TestWhatCannotBeAStep.test_a_method.<locals>.Model'" in str(
            caught.value
        )
        assert caught.value.hint == "a step is a plain function: define it at the top of a module"
        assert "test_step.py:" in str(caught.value.where)

    def test_a_static_method(self) -> None:
        with pytest.raises(DefinitionError, match="is defined inside class"):

            class Model:
                @staticmethod
                @step
                def train() -> int:
                    return 1

    def test_a_step_may_be_kept_in_a_class(self) -> None:
        class Steps:
            twice = double

        assert Steps.twice is double
        assert Steps().twice(2) == 4.0

    def test_a_decorated_function_may_be_a_step(self) -> None:
        def plus_one(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs) + 1

            return wrapper

        @step
        @plus_one
        def three() -> int:
            return 3

        assert isinstance(three, Step)
        assert three() == 4
