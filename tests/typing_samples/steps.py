"""What a type checker says of steps and pipelines: checked by mypy --strict, with unused ignores being errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, assert_type

import polars as pl

from headrace import Pipeline, Plan, Resources, RunResult, Secret, Step, Table, pipeline, run, step, trace


class Split(NamedTuple):
    train: Table
    test: Table


class Verdict(NamedTuple):
    passed: bool
    score: float


@step
def ingest(path: Path, rows: int = 10) -> Table:
    return Table.of(pl.DataFrame({"path": [str(path)] * rows}))


@step(retries=3, resources=Resources(cpus=2), timeout_seconds=60)
def split(table: Table, *, share: float = 0.2) -> Split:
    return Split(table, table)


@step
def count(frame: pl.DataFrame) -> int:
    return frame.height


@step
def judge(n_rows: int) -> Verdict:
    return Verdict(n_rows > 0, 1.0)


@step
async def fetch(url: str, token: Secret) -> bytes:
    return url.encode() + token.reveal().encode()


@step(name="fetched", cache=False)
async def fetch_again(url: str) -> bytes:
    return url.encode()


@step(outputs=("low", "high"))
def bounds(frame: pl.DataFrame) -> tuple[float, float]:
    return 0.0, 1.0


@step
def report(*scores: float, title: str = "") -> None: ...


@pipeline
def churn(data: Path, rows: int = 100) -> Table:
    table = ingest(data, rows=rows)
    assert_type(table, Table)
    parts = split(table, share=0.5)
    assert_type(parts, Split)
    assert_type(parts.train, Table)
    n_rows = count(parts.train)  # a Table goes where any table is declared
    assert_type(n_rows, int)
    verdict = judge(n_rows)
    assert_type(verdict.passed, bool)
    report.options(when=verdict.passed, after=[parts, "count"], name="told")(verdict.score, title="t")
    low, high = bounds(parts.test)
    assert_type(low, float)
    assert_type(high, float)
    page = fetch("https://host", Secret("TOKEN"))
    assert_type(page, bytes)  # in a pipeline an async step gives what it will have made
    assert_type(fetch_again("https://host"), bytes)
    assert_type(split.options(name="again")(table), Split)
    return parts.test


@pipeline(name="nightly", schedule="0 3 * * *")
def nightly(data: Path) -> None:
    assert_type(churn(data, rows=5), Table)
    churn(rows=5)  # type: ignore[call-arg]
    churn(data, rows="5")  # type: ignore[arg-type]


def made(rate: float) -> Step[[int], float]:
    @step(name=f"times-{rate}")
    def times(n: int) -> float:
        return n * rate

    return times


times_ten = made(10.0)


def mapped(tables: list[Table]) -> None:
    assert_type(split.map(tables, share=0.5), list[Split])
    assert_type(times_ten.map([1, 2]), list[float])
    assert_type(times_ten.map(n=[1, 2]), list[float])
    times_ten.map([1], 2)  # type: ignore[call-overload]
    split.options(max_tasks="x")  # type: ignore[arg-type]
    split.options(on_failure="go on")  # type: ignore[arg-type]
    ingest.options(over=["path", "rows"], max_tasks=5, on_failure="continue").map([Path("a")], [1])


def misuse(table: Table, verdict: Verdict) -> None:
    ingest("data.csv")  # type: ignore[arg-type]
    ingest(Path("a"), row=5)  # type: ignore[call-arg]
    ingest()  # type: ignore[call-arg]
    split(table, 0.5)  # type: ignore[call-arg]
    split(table, share="half")  # type: ignore[arg-type]
    split.options(name="x")(table, share="half")  # type: ignore[arg-type]
    split.options(nam="x")(table)  # type: ignore[call-arg]
    split.options(name=5)(table)  # type: ignore[arg-type]
    split.options(when=verdict)(table)  # type: ignore[arg-type]
    split.options(when=verdict.score)(table)  # type: ignore[arg-type]
    count(judge(1))  # type: ignore[arg-type]
    judge(verdict.passed).pased  # type: ignore[attr-defined] # noqa: B018
    report("high")  # type: ignore[arg-type]
    step(retries="3")  # type: ignore[call-overload]
    step(retires=3)  # type: ignore[call-overload]
    step(5)  # type: ignore[call-overload]
    pipeline(5)  # type: ignore[call-overload]
    Resources(cpu=2)  # type: ignore[call-arg]


assert_type(made(0.5)(3), float)
kept: Callable[[Table], Split] = split.options(name="kept")
signature: Step[[pl.DataFrame], int] = count
flows: list[Pipeline[..., Any]] = [churn, nightly]


def use() -> None:
    result = run(churn, {"data": "a.csv"}, workers=2)
    assert_type(result, RunResult)
    assert_type(trace(churn, {"data": "a.csv"}), Plan)
