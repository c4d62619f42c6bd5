from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from headrace import Pipeline, pipeline, step
from headrace.core.errors import DefinitionError, ParameterError
from headrace.core.pipeline import trace
from headrace.engine.lookup import FormatLookup


@step
def add(a: int, b: int) -> int:
    return a + b


@pipeline
def flow(a: int, /, b: int = 2, *, c: int = 3) -> int:
    """Adds."""
    return add(add(a, b), c)


def test_a_list_that_the_function_changes_is_kept_as_it_was_given(project_root: Path) -> None:
    @pipeline
    def growing(items: Any = [1]) -> Any:  # noqa: B006
        items.append(2)
        return add(*items[:2])

    given = [5]
    plan = trace(growing, {"items": given}, FormatLookup(), project_root).plan
    assert plan.parameters[0].value == [5]


def test_called_plainly_it_is_plain_python() -> None:
    assert flow(1) == 6
    assert flow(1, 1, c=1) == 3


def test_it_looks_like_its_function() -> None:
    assert (flow.name, flow.__name__, flow.__doc__, flow.schedule) == ("flow", "flow", "Adds.", None)
    assert list(inspect.signature(flow).parameters) == ["a", "b", "c"]
    assert repr(flow) == "<pipeline 'flow'>"


def test_all_kinds_of_parameters_are_given_by_name(project_root: Path) -> None:
    plan = trace(flow, {"a": "5", "c": 7}, FormatLookup(), project_root).plan
    assert [node.arguments for node in plan.nodes] == [
        {"a": 5, "b": 2},
        {"a": {"$": "ref", "node": "add", "output": "output"}, "b": 7},
    ]
    assert plan.target == f"{__name__}:flow"


def test_parameters_are_checked_at_the_pipelines_line(project_root: Path) -> None:
    line = inspect.getsourcelines(flow.function)[1]
    with pytest.raises(ParameterError) as caught:
        trace(flow, {"a": "x"}, FormatLookup(), project_root)
    assert str(caught.value) == (
        f"Parameter 'a' must be int, but got 'x' (tests/core/test_pipeline.py:{line}).\n"
        "Hint: give a whole number, such as 100"
    )


def test_what_the_users_code_raises_goes_through(project_root: Path) -> None:
    @pipeline
    def broken() -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match=r"^mine$"):
        trace(broken, {}, FormatLookup(), project_root)


def test_a_name_and_a_schedule() -> None:
    made = pipeline(name="nightly-run", schedule="*/15 0-6,12 1 jan mon-fri")(flow.function)
    assert (made.name, made.schedule) == ("nightly-run", "*/15 0-6,12 1 jan mon-fri")
    assert isinstance(made, Pipeline)


NAMELESS = lambda: 1  # noqa: E731


async def later() -> None: ...


def several() -> Any:
    yield 1


class TestWhatCannotBeAPipeline:
    @pytest.mark.parametrize(
        ("thing", "message"),
        [
            (flow, "<pipeline 'flow'> is a pipeline already"),
            (add, "<step 'add'> is a step already"),
            (len, "<built-in function len> is not a plain function, so it cannot be a pipeline"),
            (Pipeline, "is not a plain function, so it cannot be a pipeline"),
            (NAMELESS, "The name of a pipeline must be letters, digits"),
            (
                later,
                "A pipeline's function is called once to see its steps, so it can be neither async",
            ),
            (several, "so it can be neither async nor a generator"),
        ],
        ids=["pipeline", "step", "builtin", "class", "lambda", "async", "generator"],
    )
    def test_it_is_refused(self, thing: Any, message: str) -> None:
        with pytest.raises(DefinitionError) as caught:
            pipeline(thing)
        assert message in caught.value.message
        assert caught.value.hint

    def test_a_method(self) -> None:
        with pytest.raises(DefinitionError, match="is defined inside class") as caught:

            class Flows:
                @pipeline
                def flow(self) -> None: ...

        assert caught.value.hint == "a pipeline is a plain function: define it at the top of a module"

    @pytest.mark.parametrize("name", ["", "a b", "a.b", "-a", 5])
    def test_a_bad_name(self, name: Any) -> None:
        with pytest.raises(DefinitionError, match="The name of a pipeline must be letters"):
            pipeline(name=name)(flow.function)


@pytest.mark.parametrize(
    "line",
    [
        "* * * * *",
        "0 3 * * *",
        "*/5 */2 */10 */3 */2",
        "0,30 8-18 1,15 1-6 1-5",
        "0-30/10 0 * JAN,dec Sun",
        "59 23 31 12 6",
        "  0   3 * * 0 ",
    ],
)
def test_a_cron_line_passes(line: str) -> None:
    assert pipeline(schedule=line)(flow.function).schedule == line


@pytest.mark.parametrize(
    ("line", "written_out"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
    ],
)
def test_a_short_cron_line_is_written_out(line: str, written_out: str) -> None:
    assert pipeline(schedule=line)(flow.function).schedule == written_out


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 3 * *", "it has 4 fields"),
        ("0 3 * * * *", "it has 6 fields"),
        ("", "it has 0 fields"),
        ("@reboot", "it has 1 field"),
        ("60 3 * * *", "'60' is no minute (0 to 59)"),
        ("0 24 * * *", "'24' is no hour (0 to 23)"),
        ("0 3 0 * *", "'0' is no day of the month (1 to 31)"),
        ("0 3 * 13 *", "'13' is no month (1 to 12)"),
        ("0 3 * * 7", "'7' is no day of the week (0 to 6)"),
        ("0 3 * * mo", "'mo' is no day of the week (0 to 6)"),
        ("0 3 * monday *", "'monday' is no month (1 to 12)"),
        ("a 3 * * *", "'a' is no minute (0 to 59)"),
        ("0 3,x * * *", "'x' is no hour (0 to 23)"),
        ("0 9-5 * * *", "'9-5' is no hour (0 to 23)"),
        ("*/0 * * * *", "'*/0' is no minute (0 to 59)"),
        ("5/10 * * * *", "'5/10' is no minute (0 to 59)"),
        ("*/ * * * *", "'*/' is no minute (0 to 59)"),
        ("1, * * * *", "'' is no minute (0 to 59)"),
        ("0 3 L * *", "'L' is no day of the month (1 to 31)"),
        ("٣ * * * *", "'٣' is no minute (0 to 59)"),
        (5, "it is no text"),
    ],
)
def test_a_bad_cron_line_is_refused(line: Any, problem: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        pipeline(schedule=line)(flow.function)
    assert str(caught.value) == (
        f"A schedule is a cron line, but got {line!r}: {problem} (pipeline 'flow').\n"
        "Hint: five fields: minute, hour, day, month, weekday; "
        'for every day at three, "0 3 * * *"; for midnight, "@daily"'
    )
