"""What is refused when a pipeline is defined, by text and by the user's line, which is marked ``# !``."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from headrace import External, Pipeline, pipeline, step
from headrace.core.errors import DefinitionError
from headrace.core.pipeline import trace
from headrace.engine.lookup import FormatLookup


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


class Verdict(NamedTuple):
    passed: bool
    score: float


@dataclass
class Config:
    table: pl.DataFrame
    rows: int = 1


@dataclass(frozen=True)
class State(External):
    value: Any


class Gate(NamedTuple):
    __headrace_gate__ = "passed"
    score: float


class Stranger:
    pass


@step
def number() -> int:
    return 1


@step
def text() -> str:
    return "a"


@step
def table() -> pl.DataFrame:
    return pl.DataFrame()


@step
def split(table: pl.DataFrame) -> Split:
    return Split(table, table)


@step
def judge(score: float) -> Verdict:
    return Verdict(True, score)


@step
def add(a: int, b: int = 1, *, times: float = 1.0) -> int:
    return a + b


@step
def total(*numbers: int, **named: float) -> int:
    return 1


@step
def gather(items: list[int], by_name: dict[str, pl.DataFrame] | None = None) -> int:
    return 1


@step
def configured(config: Config) -> int:
    return 1


@step
def watch(state: State) -> int:
    return 1


@step(outputs=("left", "right"))
def two() -> tuple[int, str]:
    return 1, "a"


@step
def pair_of_texts(pair: tuple[str, str]) -> int:
    return 1


@step
def report(model: Any = None) -> None: ...


@step
def whole(parts: Split, at: Path | None = None) -> int:
    return 1


def traced(flow: Pipeline[..., Any], root: Path) -> None:
    trace(flow, {}, FormatLookup(), root)


def flow_of(body: Callable[[], object]) -> Pipeline[[], object]:
    return pipeline(name="flow")(body)


# Each case: what the pipeline does, the error's message, its hint (or how it begins).


def if_on_an_output() -> None:
    if number():  # !
        text()


def not_an_output() -> None:
    assert not number()  # !


def loop_over_an_output() -> None:
    for _ in table():  # !
        pass


def unpack_one_output() -> None:
    _train, _test = table()  # !


def operator_on_outputs() -> None:
    number() + 1  # !


def operator_from_the_right() -> None:
    _ = 1 - number()  # !


def matrix_product() -> None:
    _ = np.zeros(3) @ number()  # !


def comparison() -> None:
    _ = judge(0.5).score > 0.9  # !


def equality() -> None:
    _ = text() == "a"  # !


def f_string() -> None:
    _ = f"model of {number()}"  # !


def percent() -> None:
    _ = "model of %s" % number()  # noqa: UP031  # !


def as_a_path() -> None:
    _ = Path("out") / text()  # !


def as_an_index() -> None:
    _ = [1, 2][number()]  # !


def length() -> None:
    len(table())  # !


def membership() -> None:
    _ = 1 in gather([1])  # !


def an_index_of_an_output() -> None:
    table()["column"]  # !


def a_call_of_an_output() -> None:
    number()()  # !


def an_attribute_of_an_output() -> None:
    _ = table().columns  # !


def pickled() -> None:
    pickle.dumps(number())  # !


def part_that_is_not_there() -> None:
    _ = split(table()).trian  # !


def method_of_the_class_of_outputs() -> None:
    split(table())._asdict()  # !


def part_by_number_that_is_not_there() -> None:
    two()[2]  # !


def part_by_key() -> None:
    two()["left"]  # !


def part_of_nothing() -> None:
    _ = report().done  # !


def wrong_type() -> None:
    add(text())  # !


def wrong_value() -> None:
    add("1")  # !


def wrong_keyword_value() -> None:
    add(1, times="twice")  # !


def long_value() -> None:
    add("x" * 1000)  # !


def a_url_as_a_number() -> None:
    add("postgres://me:sesame@host")  # !


def table_for_a_number() -> None:
    add(table())  # !


def number_for_a_table() -> None:
    split(number())  # !


def missing_argument() -> None:
    add()  # !


def unknown_argument() -> None:
    add(1, time=2.0)  # !


def too_many_arguments() -> None:
    number(1)  # !


def two_values() -> None:
    add(1, a=2)  # !


def wrong_item_of_stars() -> None:
    total(1, text())  # !


def wrong_item_of_keywords() -> None:
    total(more=text())  # !


def wrong_item_of_a_list() -> None:
    gather([1, number(), text()])  # !


def wrong_item_of_a_dict() -> None:
    gather([], {"a": table(), "b": number()})  # !


def wrong_field() -> None:
    configured(Config(number()))  # !


def all_outputs_for_one() -> None:
    add(judge(0.5))  # !


def pair_that_does_not_fit() -> None:
    pair_of_texts(two())  # !


def nothing_as_an_argument() -> None:
    whole(report())  # !


def nothing_in_data() -> None:
    report([report()])  # !


def a_step_itself() -> None:
    add(number)  # !


def options_without_the_call() -> None:
    add(number.options(name="n"))  # !


def options_and_nothing_else() -> None:
    number()
    report.options(after="number")  # !


def a_pipeline_itself() -> None:
    add(INNER)  # !


def a_lambda() -> None:
    report(lambda row: row)  # !


def a_lambda_deep_inside() -> None:
    report({"rules": [1, lambda row: row]})  # !


def a_local_class() -> None:
    @dataclass
    class Local:
        n: int = 1

    report(Local())  # !


def an_object() -> None:
    report(Stranger())  # !


def a_password() -> None:
    report("https://me:sesame@host")  # !


def an_output_in_an_external() -> None:
    watch(State(number()))  # !


def when_is_no_bool() -> None:
    report.options(when=number())()  # !


def when_is_all_outputs() -> None:
    report.options(when=judge(0.5))()  # !


def when_is_known() -> None:
    report.options(when=True)()  # !


def when_is_a_text() -> None:
    report.options(when="number")()  # !


def after_a_number() -> None:
    report.options(after=[5])()  # !


def after_a_number_alone() -> None:
    report.options(after=5)()  # !


def after_a_name_that_is_not_there() -> None:
    number()
    report.options(after="nummber")()  # !


def one_name_twice() -> None:
    number.options(name="n")()
    text.options(name="n")()  # !


def a_bad_name() -> None:
    number.options(name="a/b")()  # !


def an_empty_name() -> None:
    number.options(name="")()  # !


def a_pipeline_with_wrong_arguments() -> None:
    INNER(rows=1)  # !


def a_pipeline_with_a_wrong_type() -> None:
    INNER(text())  # !


@pipeline
def inner(n: int) -> Any:
    return add(n)


INNER = inner

CONDITION = "for a condition let a step return a bool, and write step.options(when=that)(…)"
IN_A_STEP = "do it in a step that takes this output"
NO_VALUE = "has no value while the pipeline is traced, so it "
CALL = "of pipeline 'flow' cannot be called like this: "

CASES: list[tuple[Callable[[], object], str, str | None]] = [
    (if_on_an_output, f"output 'number' {NO_VALUE}cannot stand in an `if`, `while`, `and`, `or` or `not`", CONDITION),
    (not_an_output, f"output 'number' {NO_VALUE}cannot stand in an `if`, `while`, `and`, `or` or `not`", CONDITION),
    (loop_over_an_output, f"output 'table' {NO_VALUE}cannot be looped over or unpacked", "return a NamedTuple"),
    (unpack_one_output, f"output 'table' {NO_VALUE}cannot be looped over or unpacked", "return a NamedTuple"),
    (operator_on_outputs, f"output 'number' {NO_VALUE}cannot be calculated with", IN_A_STEP),
    (operator_from_the_right, f"output 'number' {NO_VALUE}cannot be calculated with", IN_A_STEP),
    (matrix_product, f"output 'number' {NO_VALUE}cannot be calculated with", IN_A_STEP),
    (comparison, f"output 'judge.score' {NO_VALUE}cannot be compared", CONDITION),
    (equality, f"output 'text' {NO_VALUE}cannot be compared", CONDITION),
    (f_string, f"output 'number' {NO_VALUE}cannot be put into a text", IN_A_STEP),
    (percent, f"output 'number' {NO_VALUE}cannot be put into a text", IN_A_STEP),
    (as_a_path, f"output 'text' {NO_VALUE}cannot be used as a path", "a step that declares a Path takes it as one"),
    (as_an_index, f"output 'number' {NO_VALUE}cannot become a number", IN_A_STEP),
    (length, f"output 'table' {NO_VALUE}has no length", IN_A_STEP),
    (membership, f"output 'gather' {NO_VALUE}cannot be searched with `in`", IN_A_STEP),
    (an_index_of_an_output, f"output 'table' {NO_VALUE}cannot be indexed", IN_A_STEP),
    (a_call_of_an_output, f"output 'number' {NO_VALUE}cannot be called", IN_A_STEP),
    (
        an_attribute_of_an_output,
        "output 'table' has no output 'columns': it is one polars.DataFrame",
        "return a NamedTuple from the step to get separate outputs, or take the part out in a step",
    ),
    (pickled, f"output 'number' {NO_VALUE}cannot be pickled", "pass it to a step as an argument"),
    (part_that_is_not_there, "Node 'split' has no output 'trian'", "did you mean 'train'?"),
    (method_of_the_class_of_outputs, "Node 'split' has no output '_asdict'", "there are 'test', 'train'"),
    (part_by_number_that_is_not_there, "Node 'two' has no output 2", "there are 'left', 'right'"),
    (part_by_key, "Node 'two' has no output 'left'", "did you mean 'left'?"),
    (part_of_nothing, "Node 'report' has no output 'done', since its step returns None", "annotate and return"),
    (wrong_type, "Step 'add' of pipeline 'flow' takes 'a' as int, but got output 'text', which is str", None),
    (wrong_value, "Step 'add' of pipeline 'flow' takes 'a' as int, but got '1', which is str", None),
    (wrong_keyword_value, "takes 'times' as float, but got 'twice', which is str", None),
    (long_value, "takes 'a' as int, but got 'xxxxxxx", None),
    (a_url_as_a_number, "takes 'a' as int, but got '***@host', which is str", None),
    (table_for_a_number, "takes 'a' as int, but got output 'table', which is polars.DataFrame", None),
    (
        number_for_a_table,
        "takes 'table' as polars.DataFrame, but got output 'number', which is int",
        None,
    ),
    (missing_argument, f"Step 'add' {CALL}missing a required argument: 'a'", "it takes (a, b=1, times=1.0)"),
    (unknown_argument, f"Step 'add' {CALL}got an unexpected keyword argument 'time'", "did you mean 'times'?"),
    (too_many_arguments, f"Step 'number' {CALL}too many positional arguments", "it takes ()"),
    (two_values, f"Step 'add' {CALL}multiple values for argument 'a'", "it takes (a, b=1, times=1.0)"),
    (wrong_item_of_stars, "takes '*numbers[1]' as int, but got output 'text', which is str", None),
    (wrong_item_of_keywords, "takes 'more' as float, but got output 'text', which is str", None),
    (
        wrong_item_of_a_list,
        "takes 'items' as list[int], but got [1, output 'number', output 'text'], "
        "in which stands output 'text', which is str",
        None,
    ),
    (
        wrong_item_of_a_dict,
        "takes 'by_name' as dict[str, polars.DataFrame] | None, but got "
        "{'a': output 'table', 'b': output 'number'}, in which stands output 'number', which is int",
        None,
    ),
    (wrong_field, "in which stands output 'number', which is int", None),
    (
        all_outputs_for_one,
        "takes 'a' as int, but got outputs of 'judge', which is ",
        "pass one of its outputs: passed, score",
    ),
    (
        pair_that_does_not_fit,
        "takes 'pair' as tuple[str, str], but got outputs of 'two', which is tuple[int, str]",
        "pass one of its outputs: left, right",
    ),
    (
        nothing_as_an_argument,
        "but got node 'report', which has no output",
        "return something from that step, or use .options(after=…)",
    ),
    (
        nothing_in_data,
        "Argument 'model' of node 'report-2': node 'report', which has no output, cannot be an argument, at [0]",
        "use .options(after=…)",
    ),
    (a_step_itself, "takes 'a' as int, but got <step 'number'>, which is", "call it, and pass what it gives"),
    (
        options_without_the_call,
        "takes 'a' as int, but got <step 'number' with options>, which is",
        ".options(…) is followed by the call itself: step.options(…)(argument)",
    ),
    (
        options_and_nothing_else,
        "<step 'report' with options> is not called, so pipeline 'flow' has no such node",
        ".options(…) is followed by the call itself: step.options(…)(argument)",
    ),
    (a_pipeline_itself, "takes 'a' as int, but got <pipeline 'inner'>, which is", "call it, and pass what it gives"),
    (a_lambda, "Argument 'model' of node 'report': A lambda cannot be a value in a plan (", "define a named function"),
    (a_lambda_deep_inside, "), at ['rules'][1]", "define a named function"),
    (a_local_class, "'a_local_class.<locals>.Local' is defined inside a function", "move it to the top of the module"),
    (an_object, "Stranger has no canonical form, so it cannot stand in a plan", "make its class a dataclass"),
    (
        a_password,
        "Argument 'model' of node 'report': A URL with a password in it cannot be a value",
        "keep the password",
    ),
    (
        an_output_in_an_external,
        "Argument 'state' of node 'watch': output 'number' cannot stand here",
        "pass it to a step as an argument of its own",
    ),
    (
        when_is_no_bool,
        "when= of node 'report' takes a step's output that is a bool, but got output 'number', which is int",
        "return a bool from a step and give that output",
    ),
    (when_is_all_outputs, "that is a bool, but got outputs of 'judge'", "give one of its outputs: passed"),
    (when_is_known, "that is a bool, but got True", "a value that is known now needs no condition: write `if`"),
    (when_is_a_text, "that is a bool, but got 'number'", "return a bool from a step and give that output"),
    (
        after_a_number,
        "after= of node 'report' takes outputs or nodes' names, but got 5",
        "as in after=[model, 'report']",
    ),
    (after_a_number_alone, "takes outputs or nodes' names, but got 5", "as in after=[model, 'report']"),
    (
        after_a_name_that_is_not_there,
        "after= of node 'report' names 'nummber', which is not in pipeline 'flow'",
        "did you mean 'number'?",
    ),
    (one_name_twice, "Pipeline 'flow' has two nodes named 'n'", "rename one"),
    (a_bad_name, "The name of a node must be letters, digits, '_' and '-', at most 100", "give name='…'"),
    (an_empty_name, "or '_', but got ''", "give name='…'"),
    (
        a_pipeline_with_wrong_arguments,
        "Pipeline 'inner' cannot be called like this: missing a required",
        "there are 'n'",
    ),
    (a_pipeline_with_a_wrong_type, "Pipeline 'inner' takes 'n' as int, but got output 'text', which is str", None),
]


def marked_line(body: Callable[[], object]) -> int:
    lines, first = inspect.getsourcelines(body)
    return first + next(index for index, line in enumerate(lines) if "# !" in line)


@pytest.mark.parametrize(("body", "message", "hint"), CASES, ids=[case[0].__name__ for case in CASES])
def test_it_is_refused_at_the_users_line(
    body: Callable[[], object], message: str, hint: str | None, project_root: Path
) -> None:
    with pytest.raises(DefinitionError) as caught:
        traced(flow_of(body), project_root)
    assert message in caught.value.message
    assert (caught.value.hint or "").startswith(hint or "")
    assert (hint is None) == (caught.value.hint is None)
    assert caught.value.where == f"tests/core/test_tracing_refusals.py:{marked_line(body)}"
    assert len(caught.value.message) < 600
    assert "sesame" not in str(caught.value)
