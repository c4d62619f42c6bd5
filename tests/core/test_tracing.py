"""Which plan comes of which pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from headrace import External, Pipeline, Resources, Secret, Table, pipeline, step
from headrace.core.pipeline import Trace, trace
from headrace.core.plan import Node, Ref
from headrace.core.tracing import current_tracer
from headrace.core.values import encode
from headrace.engine.lookup import FormatLookup


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


@dataclass
class Fitted:
    model: dict[str, float]
    score: float


class Verdict(NamedTuple):
    __headrace_gate__ = "passed"
    passed: bool
    why: str


@dataclass(frozen=True)
class Champion(External):
    name: str


@dataclass
class Config:
    table: pl.DataFrame
    rates: list[float]


@step
def ingest(path: Path, rows: int = 10) -> pl.DataFrame:
    return pl.DataFrame({"x": list(range(rows))})


@step
def split(table: pl.DataFrame, *, share: float = 0.2) -> Split:
    return Split(table, table)


@step
def fit(train: Table, rate: float = 0.1) -> Fitted:
    return Fitted({"a": rate}, rate)


@step(outputs=("low", "high"))
def bounds(table: pl.DataFrame) -> tuple[float, float]:
    return 0.0, 1.0


@step
def judge(score: float, champion: Champion) -> Verdict:
    return Verdict(True, "good")


@step
def register(model: dict[str, float], token: Secret | None = None) -> None: ...


@step
def whole(parts: Split) -> int:
    return 1


@step
def both(pair: tuple[float, float]) -> float:
    return 1.0


@step
def total(first: int, /, *rest: int, scale: float = 1.0, **named: float) -> float:
    return 1.0


@step
def one() -> int:
    return 1


@step
async def later(n: int) -> int:
    return n


@step
def anything(value: Any) -> int:
    return 1


def helper(x: int) -> int:
    return x


def of(flow: Any, root: Path, /, **parameters: object) -> Trace:
    return trace(flow, parameters, FormatLookup(), root)


def nodes(flow: Any, root: Path, /, **parameters: object) -> dict[str, Node]:
    return dict(of(flow, root, **parameters).plan.by_id)


def made(body: Callable[[], object]) -> Pipeline[[], object]:
    return pipeline(name="flow")(body)


def ref(node: str, output: str = "output") -> dict[str, str]:
    return {"$": "ref", "node": node, "output": output}


@pipeline(schedule="0 3 * * *")
def churn(data: Path, rows: int = 100, *, share: float = 0.2) -> Any:
    parts = split(ingest(data, rows=rows), share=share)
    fitted = fit(parts.train)
    verdict = judge(fitted.score, Champion("churn"))
    register.options(when=verdict.passed, after=[parts], name="publish")(fitted.model, Secret("TOKEN"))
    return fitted


class TestChurn:
    def test_nodes_arguments_and_conditions(self, project_root: Path) -> None:
        found = nodes(churn, project_root, data="data.csv", rows="7")
        assert list(found) == ["ingest", "split", "fit", "judge", "publish"]
        assert found["ingest"].arguments == {"path": {"$": "path", "value": "data.csv"}, "rows": 7}
        assert found["split"].arguments == {"table": ref("ingest"), "share": 0.2}
        assert found["fit"].arguments == {"train": ref("split", "train"), "rate": 0.1}
        assert found["judge"].arguments["score"] == ref("fit", "score")
        assert found["judge"].arguments["champion"]["$"] == "external"
        assert found["judge"].arguments["champion"]["fields"] == {"name": "churn"}
        assert found["publish"].arguments == {"model": ref("fit", "model"), "token": {"$": "secret", "name": "TOKEN"}}
        assert found["publish"].when == Ref("judge", "passed")
        assert found["publish"].after == ("split",)
        assert found["publish"].upstream() == ("fit", "judge", "split")

    def test_steps(self, project_root: Path) -> None:
        plan = of(churn, project_root, data="data.csv").plan
        specs = {spec.name: spec for spec in plan.steps}
        assert list(specs) == ["ingest", "split", "fit", "judge", "register"]
        assert [(item.name, item.format) for item in specs["split"].outputs] == [
            ("train", "parquet"),
            ("test", "parquet"),
        ]
        assert [(item.name, item.type) for item in specs["fit"].outputs] == [
            ("model", "dict[str, float]"),
            ("score", "float"),
        ]
        assert {name: spec.returns for name, spec in specs.items()} == {
            "ingest": "value",
            "split": "fields",
            "fit": "fields",
            "judge": "fields",
            "register": "nothing",
        }
        assert {name: spec.takes_table for name, spec in specs.items()} == {
            "ingest": False,
            "split": False,
            "fit": True,
            "judge": False,
            "register": False,
        }
        assert specs["judge"].gate == "passed"
        assert specs["fit"].gate is None
        assert specs["ingest"].file == "tests/core/test_tracing.py"
        assert specs["ingest"].where.startswith("tests/core/test_tracing.py:")

    def test_parameters_outputs_and_schedule(self, project_root: Path) -> None:
        plan = of(churn, project_root, data="data.csv", rows="7").plan
        assert [(item.name, item.type, item.value, item.has_default, item.default) for item in plan.parameters] == [
            ("data", "pathlib.Path", {"$": "path", "value": "data.csv"}, False, None),
            ("rows", "int", 7, True, 100),
            ("share", "float", 0.2, True, 0.2),
        ]
        assert plan.outputs == {"model": Ref("fit", "model"), "score": Ref("fit", "score")}
        assert (plan.pipeline, plan.schedule) == ("churn", "0 3 * * *")

    def test_the_steps_are_found_by_id(self, project_root: Path) -> None:
        traced = of(churn, project_root, data="data.csv")
        by_name = {item.spec.name: item.step.function for item in traced.steps.values()}
        assert by_name["ingest"] is ingest.function
        assert {node.step for node in traced.plan.nodes} == set(traced.steps)

    def test_plain_calls_are_plain_python(self, tmp_path: Path) -> None:
        @pipeline
        def flow(rows: int) -> float:
            fitted = fit(Table.of(ingest(tmp_path, rows)), 0.5)
            return fitted.score

        assert flow(3) == 0.5
        assert current_tracer() is None


class TestOutputs:
    def test_unpacked_indexed_and_named(self, project_root: Path) -> None:
        @pipeline
        def flow() -> Any:
            parts = split(ingest(Path("a")))
            train, test = parts
            low, _high = bounds(train)
            anything([low, parts[1], parts[-1], len(parts)])
            return test

        found = nodes(flow, project_root)
        assert found["bounds"].arguments["table"] == ref("split", "train")
        assert found["anything"].arguments["value"] == [
            ref("bounds", "low"),
            ref("split", "test"),
            ref("split", "test"),
            2,
        ]

    def test_passed_whole(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            parts = split(ingest(Path("a")))
            whole(parts)
            both(bounds(parts.train))
            anything({"parts": [parts]})

        found = nodes(flow, project_root)
        tree = found["whole"].arguments["parts"]
        assert tree["$"] == "namedtuple"
        assert tree["type"].endswith(":Split")
        assert tree["fields"] == {"train": ref("split", "train"), "test": ref("split", "test")}
        assert found["both"].arguments["pair"] == {"$": "tuple", "items": [ref("bounds", "low"), ref("bounds", "high")]}
        assert found["anything"].arguments["value"] == {"parts": [tree]}

    def test_a_dataclass_passed_whole(self, project_root: Path) -> None:
        @step
        def take(fitted: Fitted) -> int:
            return 1

        @pipeline
        def flow() -> None:
            take(fit(ingest(Path("a"))))

        tree = nodes(flow, project_root)["take"].arguments["fitted"]
        assert tree["$"] == "dataclass"
        assert tree["fields"] == {"model": ref("fit", "model"), "score": ref("fit", "score")}

    def test_inside_data(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            table, n = ingest(Path("a")), one()
            anything(Config(table, [0.5]))
            anything({"a": (n, {n})})
            anything(partial(helper, x=n))

        found = nodes(flow, project_root)
        assert found["anything"].arguments["value"]["fields"] == {"table": ref("ingest"), "rates": [0.5]}
        assert found["anything-2"].arguments["value"] == {
            "a": {"$": "tuple", "items": [ref("one"), {"$": "set", "items": [ref("one")]}]}
        }
        assert found["anything-3"].arguments["value"]["kwargs"] == {"x": ref("one")}
        assert list(found["anything-2"].refs()) == [Ref("one", "output"), Ref("one", "output")]

    def test_a_format_by_name(self, project_root: Path) -> None:
        @step(outputs={"output": "pickle"})
        def odd() -> object:
            return object()

        spec = of(made(lambda: odd()), project_root).plan.steps[0].outputs[0]
        assert (spec.name, spec.format, spec.is_named) == ("output", "pickle", True)

    @pytest.mark.parametrize(
        ("returned", "outputs"),
        [
            (lambda: None, {}),
            (one, {"output": Ref("one", "output")}),
            (lambda: [one(), one()], {"0": Ref("one", "output"), "1": Ref("one-2", "output")}),
            (lambda: {"a": one(), "b": bounds(ingest(Path("a")))}, ["a", "b.low", "b.high"]),
            (lambda: (one(), fit(ingest(Path("a")))), ["0", "1.model", "1.score"]),
            (lambda: split(ingest(Path("a"))), {"train": Ref("split", "train"), "test": Ref("split", "test")}),
            (lambda: Config(ingest(Path("a")), one()), ["table", "rates"]),  # type: ignore[arg-type]
        ],
    )
    def test_what_the_pipeline_returns(self, returned: Callable[[], object], outputs: Any, project_root: Path) -> None:
        def body() -> object:
            one.options(name="first")()
            return returned()

        found = of(made(body), project_root).plan.outputs
        assert found == outputs if isinstance(outputs, dict) else list(found) == outputs


class TestArguments:
    def test_positional_only_stars_and_keywords(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            n = one()
            total(1, n, 3, scale=2, more=n, less=0.5)

        assert nodes(flow, project_root)["total"].arguments == {
            "first": 1,
            "rest": {"$": "tuple", "items": [ref("one"), 3]},
            "scale": 2,
            "named": {"more": ref("one"), "less": 0.5},
        }

    def test_defaults_are_written_down(self, project_root: Path) -> None:
        found = nodes(made(lambda: total(1)), project_root)["total"]
        assert found.arguments == {"first": 1, "rest": {"$": "tuple", "items": []}, "scale": 1.0, "named": {}}

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (Path("data/a.csv"), "data/a.csv"),
            (Path("./data/../data/a.csv"), "data/../data/a.csv"),
            (Path("/elsewhere/a.csv"), "/elsewhere/a.csv"),
            (Path("../a.csv"), "../a.csv"),
        ],
    )
    def test_paths_are_relative_to_the_project(self, path: Path, text: str, project_root: Path) -> None:
        assert nodes(made(lambda: ingest(path)), project_root)["ingest"].arguments["path"]["value"] == text
        inside = nodes(made(lambda: ingest(project_root / "x" / "a")), project_root)["ingest"].arguments["path"]
        assert inside == {"$": "path", "value": "x/a"}

    def test_a_text_parameter_is_relative_to_the_folder(self, project_root: Path) -> None:
        plan = trace(churn, {"data": "a.csv"}, FormatLookup(), project_root, project_root / "deep").plan
        assert plan.parameters[0].value == {"$": "path", "value": "deep/a.csv"}

    def test_a_table_passes_where_any_table_is_declared(self, project_root: Path) -> None:
        @step
        def give() -> Table:
            raise NotImplementedError

        @pipeline
        def flow() -> None:
            split(give())
            fit(ingest(Path("a")))

        assert list(nodes(flow, project_root)) == ["give", "split", "ingest", "fit"]

    def test_anything_arrives_as_a_path(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            ingest(one())  # type: ignore[arg-type]

        assert nodes(flow, project_root)["ingest"].arguments["path"] == ref("one")

    def test_an_async_step_is_a_node_like_any_other(self, project_root: Path) -> None:
        found = nodes(made(lambda: total(later(1))), project_root)
        assert found["total"].arguments["first"] == ref("later")

    def test_steps_as_values(self, project_root: Path) -> None:
        assert nodes(made(lambda: anything(one)), project_root)["anything"].arguments["value"] == encode(one)


class TestNames:
    def test_one_step_called_often_is_counted(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            one.options(name="one-2")()
            for _ in range(3):
                one()

        assert list(nodes(flow, project_root)) == ["one-2", "one", "one-3", "one-4"]

    def test_nested_pipelines_have_namespaces(self, project_root: Path) -> None:
        @pipeline
        def inner(n: int) -> Any:
            first = anything(n)
            anything.options(after="anything")(first)
            return first

        @pipeline
        def outer(n: int) -> Any:
            inner(n)
            return inner(inner(anything(n)))

        found = nodes(outer, project_root, n=1)
        assert list(found) == [
            "inner.anything",
            "inner.anything-2",
            "anything",
            "inner-2.anything",
            "inner-2.anything-2",
            "inner-3.anything",
            "inner-3.anything-2",
        ]
        assert found["inner-2.anything"].arguments["value"] == ref("anything")
        assert found["inner-3.anything"].arguments["value"] == ref("inner-2.anything")
        assert found["inner-3.anything-2"].after == ("inner-3.anything",)

    def test_two_levels(self, project_root: Path) -> None:
        @pipeline
        def innermost() -> Any:
            return one()

        @pipeline(name="middle-one")
        def middle() -> Any:
            return innermost(), innermost()

        @pipeline
        def outer() -> Any:
            one()
            both_ = middle()
            anything.options(after=["middle-one.innermost.one"])(both_)
            return both_

        plan = of(outer, project_root).plan
        assert list(plan.by_id) == ["one", "middle-one.innermost.one", "middle-one.innermost-2.one", "anything"]
        assert plan.by_id["anything"].after == ("middle-one.innermost.one",)
        assert plan.outputs == {
            "0": Ref("middle-one.innermost.one", "output"),
            "1": Ref("middle-one.innermost-2.one", "output"),
        }

    def test_a_namespace_ends_with_its_pipeline_even_when_it_fails(self, project_root: Path) -> None:
        @pipeline
        def broken() -> None:
            one()
            raise ValueError("no")

        @pipeline
        def outer() -> None:
            with pytest.raises(ValueError, match="no"):
                broken()
            one()

        assert list(nodes(outer, project_root)) == ["broken.one", "one"]

    def test_options_may_be_kept_and_used_often(self, project_root: Path) -> None:
        kept = anything.options(after="one")

        @pipeline
        def flow() -> None:
            first = one.options()
            slow = anything.options(after=first())
            slow(1)
            slow(2)
            kept(3)

        assert list(nodes(flow, project_root)) == ["one", "anything", "anything-2", "anything-3"]

    def test_after_takes_what_there_is(self, project_root: Path) -> None:
        @pipeline
        def flow() -> None:
            parts = split(ingest(Path("a")))
            done = register({})
            n = one()
            anything.options(after=[parts, parts.train, done, n, "one", "late"])(0)
            anything.options(after=n)(0)
            anything.options(after="one")(0)
            anything.options(after=parts)(0)
            anything.options(after=())(0)
            one.options(name="late")()

        found = nodes(flow, project_root)
        assert found["anything"].after == ("split", "register", "one", "late")
        assert [found[f"anything-{number}"].after for number in (2, 3, 4, 5)] == [("one",), ("one",), ("split",), ()]
        assert list(found).index("late") < list(found).index("anything")


class TestMadeSteps:
    """Steps and pipelines that are made by functions, in loops."""

    @staticmethod
    def make(rate: float, **options: Any) -> Any:
        @step(name="trained", **options)
        def train(n: int) -> float:
            return rate * n

        return train

    def test_each_is_a_step_of_its_own(self, project_root: Path) -> None:
        trains = [self.make(rate) for rate in (0.1, 0.2, 0.3)]

        @pipeline
        def flow() -> None:
            for train in trains:
                train(1)
            trains[0](2)

        traced = of(flow, project_root)
        ids = [spec.id for spec in traced.plan.steps]
        assert ids[1:] == [f"{ids[0]}#2", f"{ids[0]}#3"]
        assert [node.step for node in traced.plan.nodes] == [ids[0], ids[1], ids[2], ids[0]]
        assert [traced.steps[spec_id].step.function(10) for spec_id in ids] == [1.0, 2.0, 3.0]
        assert {spec.target for spec in traced.plan.steps} == {None}

    def test_one_function_with_two_sets_of_options_is_two_steps(self, project_root: Path) -> None:
        often, seldom, again = step(retries=3)(helper), step(retries=1)(helper), step(retries=3)(helper)

        @pipeline
        def flow() -> None:
            for each in (often, seldom, often, again):
                each(1)

        traced = of(flow, project_root)
        assert [spec.retries for spec in traced.plan.steps] == [3, 1]
        retries = [traced.plan.step_of(node).retries for node in traced.plan.nodes]
        assert retries == [3, 1, 3, 3]

    def test_pipelines_made_in_a_loop(self, project_root: Path) -> None:
        def make(name: str, rate: float) -> Pipeline[..., Any]:
            @pipeline(name=name)
            def flow(n: int = 1) -> Any:
                return self.make(rate)(n)

            return flow

        plans = [of(make(f"flow-{number}", number / 10), project_root).plan for number in range(3)]
        assert [plan.pipeline for plan in plans] == ["flow-0", "flow-1", "flow-2"]
        assert {plan.target for plan in plans} == {None}

    def test_a_trace_made_again_is_equal(self, project_root: Path) -> None:
        first, second = (of(churn, project_root, data="data.csv").plan for _ in range(2))
        assert first == second
        assert first.digest == second.digest

    def test_all_options_are_in_the_plan(self, project_root: Path) -> None:
        @step(
            retries=2,
            retry_on=(OSError,),
            backoff_seconds=0,
            timeout_seconds=1.5,
            cache=False,
            expires_after_seconds=60,
            resources=Resources(cpus=2, memory_bytes=1024),
            effect=is_there,
        )
        def deploy() -> int:
            return 1

        (spec,) = of(made(lambda: deploy()), project_root).plan.steps
        assert (spec.retries, spec.retry_on, spec.backoff_seconds) == (2, ("builtins:OSError",), 0)
        assert (spec.timeout_seconds, spec.cache, spec.expires_after_seconds) == (1.5, False, 60)
        assert (spec.cpus, spec.memory_bytes) == (2, 1024)
        assert spec.effect == f"{__name__}:is_there"


def is_there(arguments: Any, stored: object) -> bool:
    return True


def test_threads_that_trace_do_not_meet(project_root: Path) -> None:
    found: dict[str, list[str]] = {}

    def work(name: str) -> None:
        @pipeline(name=name)
        def flow() -> None:
            for _ in range(200):
                one.options(name=None)()

        found[name] = list(nodes(flow, project_root))

    threads = [threading.Thread(target=work, args=(f"flow-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(map(tuple, found.values())) == {("one", *(f"one-{number}" for number in range(2, 201)))}
