"""Parts of a step that are kept: each is made once, whatever kills the step in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace import RunOutcome, load_checkpoint, memo, save_checkpoint

MARKS = """
import time
def note(place: str, text: str) -> None:
    Path(place, f"{time.time_ns()} {text}").touch()
"""


def clear(place: Path) -> None:
    for file in place.iterdir():
        file.unlink()


def lines(place: Path) -> list[str]:
    """What was noted, in order."""
    return [file.name.split()[1] for file in sorted(place.iterdir())]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_a_part_is_made_once_though_the_step_fails(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
from headrace import memo
def fold(i: int, place: str) -> list[int]:
    note(place, f"fold{i}")
    if i == 2 and not Path(place + ".go").exists():
        raise ValueError("not yet")
    return [i, i * i]
@step
def train(n: int, place: str) -> int:
    return sum(sum(memo(fold, i, place=place)) for i in range(n))
@pipeline
def flow(place: str, n: int = 4):
    return train(n, place)
"""
    )
    parameters = {"place": str(place)}
    assert project.run(parameters, **mode).outcome is RunOutcome.FAILED
    assert lines(place) == ["fold0", "fold1", "fold2"]
    Path(f"{place}.go").touch()
    assert project.run(parameters, **mode).load() == 20
    assert lines(place) == ["fold0", "fold1", "fold2", "fold2", "fold3"]
    assert project.run(parameters | {"n": 5}, **mode).load() == 40
    assert lines(place)[5:] == ["fold4"]


def test_arrays_tables_estimators_and_files_count_by_content(project: Any, place: Path) -> None:
    project.write(
        MARKS
        + """
import numpy as np
import polars as pl
from sklearn.linear_model import LinearRegression
from headrace import memo
def look(place: str, *things: object) -> pl.DataFrame:
    note(place, type(things[0]).__name__)
    return pl.DataFrame({"n": [len(things)]})
@step
def all_of_them(place: str, data: Path, shift: float) -> int:
    x = np.arange(10.0).reshape(-1, 1)
    fitted = LinearRegression().fit(x, x[:, 0] + shift * x[:, 0])
    n = 0
    nested = [x, {"a": pl.Series("a", [1]).to_frame()}]
    for thing in (x + shift, pl.DataFrame({"a": [1.0 + shift]}), fitted, Path(data), nested):
        n += memo(look, place, thing)["n"][0]
    return int(n)
@pipeline
def flow(place: str, data: Path = Path("data.txt"), shift: float = 0.0, turn: int = 0):
    return all_of_them(place, data, shift)
"""
    )
    (project.folder / "data.txt").write_text("one")
    parameters = {"place": str(place)}
    assert project.run(parameters).load() == 5
    assert sorted(lines(place)) == ["DataFrame", "LinearRegression", "PosixPath", "list", "ndarray"]
    clear(place)
    project.run(parameters | {"shift": 1.0})
    assert sorted(lines(place)) == ["DataFrame", "LinearRegression", "ndarray"]
    clear(place)
    (project.folder / "data.txt").write_text("two")
    project.run(parameters)
    assert lines(place) == ["PosixPath"]


def test_code_and_what_a_part_reads_count(project: Any) -> None:
    source = """
from headrace import memo
def read(name: str) -> int:
    return FACTOR * len((Path(__file__).parent / name).read_text())
@step
def total(n: int) -> int:
    return memo(read, "notes" + ".txt") + n
@pipeline
def flow(n: int = 0):
    return total(n)
"""
    notes = project.folder / "notes.txt"
    notes.write_text("abc")
    project.write("FACTOR = 2\n" + source)
    assert project.run().load() == 6
    assert project.run({"n": 1}).load() == 7  # the part is a hit, and what it read is known of the step too
    notes.write_text("abcd")
    assert project.run({"n": 1}).load() == 9
    project.write("FACTOR = 3\n" + source)
    assert project.run({"n": 1}).load() == 13


def test_random_numbers_do_not_depend_on_what_was_a_hit(project: Any) -> None:
    project.write(
        """
        import random
        import numpy
        from headrace import memo
        def draw(i: int) -> list[float]:
            return [random.random(), float(numpy.random.random())]
        @step
        def both(order: list[int]) -> list[list[float]]:
            found = {i: memo(draw, i) for i in order}
            return [found[i] for i in sorted(found)]
        @pipeline
        def flow(order: list[int]):
            return both(order)
        """
    )
    first = project.run({"order": [1, 2]}, store=project.folder / "one").load()
    project.run({"order": [2]}, store=project.folder / "other")
    assert project.run({"order": [1, 2]}, store=project.folder / "other").load() == first
    assert first[0] != first[1]


@pytest.mark.parametrize("saves", [1, 4])
def test_a_checkpoint_survives_a_kill_and_ends_with_the_step(project: Any, saves: int, place: Path) -> None:
    project.write(
        MARKS
        + """
import os, signal
import numpy as np
from headrace import load_checkpoint, save_checkpoint
@step(retries=1, backoff_seconds=0.01)
def train(place: str, last: int) -> float:
    weights = load_checkpoint(np.zeros(3), name="weights")
    first = load_checkpoint(0)
    for epoch in range(first, 6):
        note(place, str(epoch))
        weights = weights + epoch
        save_checkpoint(weights, name="weights")
        save_checkpoint(epoch + 1)
        if epoch == last and first == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return float(weights.sum())
@pipeline
def flow(place: str, last: int):
    return train(place, last)
"""
    )
    result = project.run({"place": str(place), "last": saves})
    assert result.load() == 45.0
    assert lines(place) == [str(epoch) for epoch in range(6)]
    assert result.nodes["train"].attempt == 2
    assert not list(result.store.list_records("checkpoints"))


def test_plain_calls_only_call() -> None:
    assert memo(sorted, [2, 1]) == [1, 2]
    save_checkpoint(3)
    assert load_checkpoint(7) == 7


def test_a_part_of_a_type_without_a_format(project: Any) -> None:
    project.write(
        """
        from headrace import memo
        class Odd:
            pass
        def make() -> Odd:
            return Odd()
        @step
        def use() -> int:
            memo(make)
            return 1
        @pipeline
        def flow():
            use()
        """
    )
    failure = project.run().nodes["use"].failure
    assert failure is not None
    assert "No format stores a value of type" in failure.message
