"""The pipelines that every engine carries out, each for one case."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from headrace import Resources, Secret, TransientError, pipeline, step


@dataclass(frozen=True)
class Verdict:
    """What a gate says."""

    __headrace_gate__: ClassVar[str] = "passed"
    passed: bool
    score: float


class Halves(NamedTuple):
    """Two outputs."""

    low: list[int]
    high: list[int]


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
def add(value: int, other: int = 1) -> int:
    return value + other


@step
def start(n: int) -> int:
    return n


@step
def total(values: Sequence[int]) -> int:
    return sum(values)


@pipeline
def chain(n: int = 1) -> int:
    return add(add(add(start(n))))


@pipeline
def diamond(n: int = 1) -> int:
    top = start(n)
    left = add.options(name="left")(top, 10)
    right = add.options(name="right")(top, 100)
    return add.options(name="bottom")(left, right)


@pipeline
def fan(n: int = 1, width: int = 12) -> int:
    top = start(n)
    return total([add(top, place) for place in range(width)])


@pipeline
def hundred(n: int = 1) -> int:
    top = start(n)
    return total([add(top, place) for place in range(98)])


# --- map


@step
def squared(value: int) -> int:
    return value * value


@step
def table_of(value: int) -> list[int]:
    return [value, value + 1]


@step
def row_total(values: list[int]) -> int:
    return sum(values)


@pipeline
def mapped(n: int = 7) -> int:
    return total(squared.options(max_tasks=3).map(numbers(n)))


@pipeline
def mapped_nothing() -> int:
    return total(squared.map(numbers(0)))


@pipeline
def nested_map(n: int = 5) -> int:
    rows = table_of.options(max_tasks=2).map(numbers(n))
    return total(row_total.options(max_tasks=3).map(rows))


# --- conditions, outputs, pipelines in pipelines


@step
def is_large(n: int) -> bool:
    return n > 10


@step
def halves(values: list[int]) -> Halves:
    middle = len(values) // 2
    return Halves(values[:middle], values[middle:])


@pipeline
def conditional(n: int = 1) -> int:
    first = start(n)
    large = is_large(first)
    kept = add.options(when=large, name="kept")(first)
    after = add.options(name="after")(kept)
    add.options(name="last")(after)
    return add.options(name="beside")(first, 7)


@pipeline
def several(n: int = 6) -> int:
    parts = halves(numbers(n))
    return add(total.options(name="low")(parts.low), total.options(name="high")(parts.high))


@pipeline
def part(value: int) -> int:
    return add(add(value))


@pipeline
def nested(n: int = 1) -> int:
    return add.options(name="end")(part(start(n)), part(start.options(name="other")(n + 10)))


# --- parameters


@step
def described(
    text: str,
    number: int,
    share: float,
    is_on: bool,
    words: list[str],
    weights: dict[str, float],
    kind: str,
    place: Path,
    limit: int | None,
) -> str:
    return repr((text, number, share, is_on, words, weights, kind, str(place), limit))


@pipeline
def parameters(
    text: str = "plain",
    number: int = 3,
    share: float = 0.1,
    is_on: bool = True,
    words: list[str] = ["a", "b"],  # noqa: B006 - a default of a pipeline is a value of its plan
    weights: dict[str, float] = {"x": 1.5},  # noqa: B006
    kind: Literal["one", "two"] = "one",
    place: Path = Path("data/rows.csv"),
    limit: int | None = None,
) -> str:
    return described(text, number, share, is_on, words, weights, kind, place, limit)


@step
def used(token: Secret) -> int:
    print("the token is", token.reveal())
    return len(token.reveal())


@pipeline
def secretive() -> int:
    return add(used(Secret("CONFORMANCE_TOKEN")))


# --- failures. What happened before is told by files in `place`.


def _times(place: str, name: str) -> int:
    """How often this was called, this time included."""
    with Path(place, name).open("a") as file:
        file.write("x")
    return Path(place, name).stat().st_size


@step(retries=2, backoff_seconds=0.05)
def flaky(value: int, place: str) -> int:
    if _times(place, "flaky") < 3:
        raise TransientError("not yet")
    return value


@step(retries=2, backoff_seconds=0.05)
def broken(value: int, place: str) -> int:
    _times(place, "broken")
    raise ValueError("never")


@step(timeout_seconds=1.0)
def endless(value: int, place: str) -> int:
    _times(place, "endless")
    time.sleep(600)
    return value


@step
def crashing(value: int, place: str) -> int:
    _times(place, "crashing")
    os.kill(os.getpid(), signal.SIGKILL)
    return value


@pipeline
def transient(place: str) -> int:
    return add(flaky(start(1), place))


@pipeline
def permanent(place: str) -> int:
    add.options(name="beside")(start(1))
    return add(broken(start.options(name="first")(2), place))


@pipeline
def too_long(place: str) -> int:
    return add(endless(start(1), place))


@pipeline
def crash(place: str) -> int:
    return add(crashing(start(1), place))


# --- caches and kills


@step
def counted(value: int, place: str) -> int:
    _times(place, "counted")
    return value


@step
def fresh(value: int, nonce: int) -> int:
    return value


@pipeline
def half_cached(place: str, nonce: int = 0) -> int:
    return add(fresh(counted(1, place), nonce))


@step
def waiting(value: int, place: str) -> int:
    """Hang the first time, so that it can be killed."""
    if _times(place, "waiting") == 1:
        time.sleep(600)
    return value


@pipeline
def killed(place: str) -> int:
    return add(waiting(counted(1, place), place))


# --- gates, sizes, resources, dates


@step
def judge(n: int) -> Verdict:
    return Verdict(n < 10, n / 10)


@pipeline
def gated(n: int = 1) -> int:
    first = start(n)
    verdict = judge(first)
    return add.options(name="register", when=verdict.passed)(first)


@step
def big(n_bytes: int) -> Path:
    path = Path(tempfile.mkdtemp(), "big.bin")
    with path.open("wb") as file:
        for place in range(n_bytes >> 20):
            file.write(place.to_bytes(4, "big") * (1 << 18))
    return path


@step
def size_of(path: Path) -> int:
    return path.stat().st_size


@pipeline
def large(n_bytes: int = 1 << 30) -> int:
    return size_of(big(n_bytes))


@step(resources=Resources(cpus=2, memory_bytes=64 << 20))
def heavy(value: int) -> int:
    return value + 1


@pipeline
def resources(n: int = 1) -> int:
    return heavy(start(n))


@step
def of_day(day: date) -> str:
    return day.isoformat()


@pipeline(schedule="@daily", date="day")
def daily(day: date, n: int = 1) -> str:
    return of_day(day)
