"""A step mapped over a list: which items are computed, what the list holds, and how it ends when items fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from headrace import Outcome, RunOutcome
from headrace.engine.item_records import items_folder, newest_rows

MARKS = """
import time
def note(place: str, text: str) -> None:
    Path(place, f"{time.time_ns()} {text}").touch()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def noted(place: Path) -> list[str]:
    """What was noted since the last time, sorted: items run side by side."""
    files = list(place.iterdir())
    for file in files:
        file.unlink()
    return sorted(file.name.split()[1] for file in files)


def rows(result: Any, node: str) -> dict[int, Any]:
    return newest_rows(result.store, items_folder(result.run_id, node, result.nodes[node].attempt))


SQUARES = (
    MARKS
    + """
@step
def numbers(values: list[int]) -> list[int]:
    return values
@step
def square(x: int, place: str, power: int = 2) -> int:
    note(place, str(x))
    return x**power
@step
def total(xs: list[int]) -> int:
    return sum(xs)
@pipeline
def flow(values: list[int], place: str, power: int = 2):
    squares = square.map(numbers(values), place, power=power)
    return {"squares": squares, "total": total(squares)}
"""
)


def test_an_item_that_is_new_is_computed_alone(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(SQUARES)

    def run(values: list[int]) -> Any:
        result = project.run({"values": values, "place": str(place)}, **mode)
        assert result.outcome is RunOutcome.SUCCEEDED
        assert result.load("squares") == [value**2 for value in values]
        assert result.load("total") == sum(value**2 for value in values)
        return result

    first = run([3, 1, 2])
    assert noted(place) == ["1", "2", "3"]
    assert first.nodes["square"].items == {"n": 3, "counts": {"succeeded": 3}, "failed": []}
    grown = run([3, 1, 2, 5])
    assert noted(place) == ["5"]
    assert grown.nodes["square"].items["counts"] == {"cached": 3, "succeeded": 1}
    turned = run([5, 2, 2, 1])
    assert noted(place) == []
    assert turned.nodes["square"].outcome is Outcome.CACHED
    again = run([3, 1, 2, 5])
    assert set(project.outcomes(again).values()) == {"cached"}
    assert again.nodes["square"].outputs == grown.nodes["square"].outputs
    changed = project.run({"values": [3, 1], "place": str(place), "power": 3}, **mode)
    assert changed.load("squares") == [27, 1]
    assert noted(place) == ["1", "3"]
    assert rows(changed, "square")[0].key != rows(first, "square")[0].key


def test_an_empty_list(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(SQUARES)
    result = project.run({"values": [], "place": str(place)}, **mode)
    assert project.outcomes(result) == {"numbers": "succeeded", "square": "succeeded", "total": "succeeded"}
    assert result.load("squares") == []
    assert result.load("total") == 0


def test_an_item_has_the_key_and_the_seed_of_the_same_call_alone(project: Any, place: Path) -> None:
    project.write(
        """
        import random
        @step
        def draw(name: str, n: int = 1) -> list[float]:
            return [random.random() for _ in range(n)]
        @pipeline
        def mapped(names: list[str]):
            return draw.map(names)
        @pipeline
        def flow(name: str):
            return draw(name)
        """
    )
    listed = project.run({"names": ["a", "b"]}, pipeline="mapped", inline=True)
    other = project.run({"names": ["x", "b", "a"]}, pipeline="mapped", store=project.folder / "other")
    alone = project.run({"name": "b"}, inline=True)
    assert listed.load()[1] == other.load()[1] == alone.load()
    assert listed.load()[0] == other.load()[2]
    assert project.outcomes(alone) == {"draw": "cached"}


@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_items_that_fail(project: Any, mode: dict[str, bool], on_failure: str, place: Path) -> None:
    project.write(
        MARKS
        + f"""
@step
def check(x: int, place: str) -> int:
    note(place, str(x))
    if x in (2, 5) and not Path(place + ".go").exists():
        raise ValueError(f"no {{x}}")
    return 10 * x
@step
def total(xs: list[int]) -> int:
    return sum(xs)
@pipeline
def flow(place: str, n: int = 8):
    found = check.options(max_tasks=1, on_failure={on_failure!r}).map(list(range(n)), place)
    return {{"found": found, "total": total(found)}}
"""
    )
    first = project.run({"place": str(place)}, **mode)
    node = first.nodes["check"]
    if on_failure == "stop":
        assert noted(place) == ["0", "1", "2"]
        assert project.outcomes(first) == {"check": "failed", "total": "upstream failed"}
        assert node.failure is not None
        assert node.failure.message == "1 of 8 items failed (5 were not started): [2] 2: ValueError: no 2"
        assert node.failure.where.startswith(f"{project.module}.py:")
        assert 'raise ValueError(f"no {x}")' in node.failure.traceback
    else:
        assert len(noted(place)) == 8
        assert project.outcomes(first) == {"check": "succeeded", "total": "succeeded"}
        assert first.load("found") == [0, 10, 30, 40, 60, 70]
        assert first.load("total") == 210
        assert node.reason == "8 items: 6 computed, 0 hits; 2 failed and left out"
        assert node.items is not None
        assert node.items["failed"][1] == {
            "index": 5,
            "item": "5",
            "outcome": "failed",
            "message": "ValueError: no 5",
        }
    Path(f"{place}.go").touch()
    second = project.run({"place": str(place)}, **mode)
    assert noted(place) == (["2", "3", "4", "5", "6", "7"] if on_failure == "stop" else ["2", "5"])
    assert second.load("found") == [10 * x for x in range(8)]


def test_where_all_items_fail_so_does_the_node(project: Any) -> None:
    project.write(
        """
        @step
        def bad(x: int) -> int:
            raise ValueError("no")
        @pipeline
        def flow():
            return bad.options(on_failure="continue").map([1, 2, 3])
        """
    )
    result = project.run()
    assert result.outcome is RunOutcome.FAILED
    failure = result.nodes["bad"].failure
    assert failure is not None
    assert failure.message == (
        "3 of 3 items failed: [0] 1: ValueError: no; [1] 2: ValueError: no; [2] 3: ValueError: no"
    )


def test_maps_of_maps_and_lists_of_lists(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
from collections.abc import Iterator, Sequence
from typing import NamedTuple
import polars as pl
class Halves(NamedTuple):
    low: pl.DataFrame
    n: int
@step
def parts(sizes: list[int]) -> list[pl.DataFrame]:
    return [pl.DataFrame({"x": list(range(size))}) for size in sizes]
@step
def halve(part: pl.DataFrame, place: str) -> Halves:
    note(place, f"halve{part.height}")
    return Halves(part.head(part.height // 2), part.height)
@step
def values(part: pl.DataFrame, place: str) -> list[int]:
    note(place, f"values{part.height}")
    return part["x"].to_list()
@step
def add(row: list[int], n: int, place: str) -> int:
    note(place, f"add{n}")
    return sum(row) + n
@step
def most(found: Sequence[int]) -> int:
    return max(found)
@step
def heights(halves: list[Halves]) -> list[tuple[int, int]]:
    return [(half.low.height, half.n) for half in halves]
@step
def rows(tables: Iterator[pl.DataFrame]) -> int:
    return sum(table.height for table in tables)
@pipeline
def inner(tables, place: str):
    return values.map(tables, place)
@pipeline
def flow(sizes: list[int], place: str):
    halves = halve.map(parts(sizes), place)
    listed = inner(halves.low, place)
    sums = add.options(over=("row", "n")).map(listed, halves.n, place)
    return {"listed": listed, "sums": sums, "most": most(sums), "rows": rows(halves.low),
            "heights": heights(halves)}
"""
    )
    result = project.run({"sizes": [4, 6], "place": str(place)}, **mode)
    assert project.outcomes(result) == dict.fromkeys(
        ["parts", "halve", "inner.values", "add", "most", "rows", "heights"], "succeeded"
    )
    assert result.load("heights") == [(2, 4), (3, 6)]
    assert result.load("listed") == [[0, 1], [0, 1, 2]]
    assert result.load("sums") == [5, 9]
    assert result.load("most") == 9
    assert result.load("rows") == 5
    assert noted(place) == sorted(["halve4", "halve6", "values2", "values3", "add4", "add6"])
    project.run({"sizes": [6, 4, 8], "place": str(place)}, **mode)
    assert noted(place) == ["add8", "halve8", "values4"]


def test_a_literal_list_of_outputs_and_values(project: Any) -> None:
    project.write(
        """
        from dataclasses import dataclass
        @dataclass
        class Setting:
            depth: int
        @step
        def one() -> float:
            return 1.0
        @step
        def use(x: float, setting: Setting) -> float:
            return x * setting.depth
        @step
        def deep(setting: Setting) -> int:
            return setting.depth
        @step
        def settings() -> tuple[Setting, ...]:
            return (Setting(7), Setting(8))
        @pipeline
        def flow():
            found = use.map([one(), 2.0, 3], Setting(10))
            return {"found": found, "deep": deep.map((Setting(4), Setting(5))), "more": deep.map(settings())}
        """
    )
    result = project.run()
    assert result.load("found") == [10.0, 20.0, 30]
    assert result.load("deep") == [4, 5]
    assert result.load("more") == [7, 8]


def test_more_items_than_tasks_share_workers(project: Any) -> None:
    project.write(
        """
        import os
        @step
        def process(x: int) -> int:
            print("item", x)
            return os.getpid()
        @pipeline
        def flow(n: int = 10):
            return process.options(max_tasks=3).map(list(range(n)))
        """
    )
    result = project.run()
    pids = result.load()
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]
    found = rows(result, "process")
    name, first, last = found[5].log
    assert result.store.stream_path(name).read_bytes()[first:last] == b"item 5\n"
    assert not [event for event in project.events if getattr(event, "node", "").startswith("process[")]


def test_progress_is_told_a_bounded_number_of_times(project: Any) -> None:
    project.write(
        """
        @step
        def same(x: int) -> int:
            return x
        @pipeline
        def flow(n: int = 1500):
            return same.map(list(range(n)))
        """
    )
    result = project.run(inline=True)
    assert result.load() == list(range(1500))
    told = [event for event in project.events if type(event).__name__ == "NodeProgressed"]
    assert 1 <= len(told) <= 202
    assert (told[-1].done, told[-1].total) == (1500, 1500)
    assert [type(event).__name__ for event in project.events].count("NodeStarted") == 1
    records = list(result.store.list_records(f"runs/{result.run_id}"))
    assert len(records) < 110


def test_retries_are_an_items_own(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
@step(retries=2, backoff_seconds=0.01)
def shaky(x: int, place: str) -> int:
    note(place, str(x))
    if x == 1 and sum(file.name.endswith(" 1") for file in Path(place).iterdir()) < 3:
        raise TransientError("again")
    return x
@pipeline
def flow(place: str):
    return shaky.options(max_tasks=1).map([0, 1, 2], place)
"""
    )
    result = project.run({"place": str(place)}, **mode)
    assert result.load() == [0, 1, 2]
    assert noted(place) == ["0", "1", "1", "1", "2"]
    assert [row.attempt for row in rows(result, "shaky").values()] == [1, 3, 1]


def test_a_crash_names_its_item_and_the_others_stand(project: Any, place: Path) -> None:
    project.write(
        MARKS
        + """
import os
@step
def risky(x: int, place: str) -> int:
    note(place, str(x))
    if x == 2 and not Path(place + ".go").exists():
        os._exit(7)
    return x
@pipeline
def flow(place: str, on_failure: str = "stop"):
    return risky.options(max_tasks=1, on_failure=on_failure).map([0, 1, 2, 3], place)
"""
    )
    result = project.run({"place": str(place)})
    assert project.outcomes(result) == {"risky": "failed"}
    assert [str(row.outcome) for row in rows(result, "risky").values()] == ["succeeded", "succeeded", "crashed"]
    assert noted(place) == ["0", "1", "2"]
    going_on = project.run({"place": str(place), "on_failure": "continue"})
    assert going_on.load() == [0, 1, 3]
    assert noted(place) == ["2", "3"]
    Path(f"{place}.go").touch()
    assert project.run({"place": str(place)}).load() == [0, 1, 2, 3]
    assert noted(place) == ["2"]


def test_a_time_limit_is_an_items_own(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        import time
        @step(timeout_seconds=2)
        def slow(x: int) -> int:
            if x == 1:
                time.sleep(60)
            return x
        @pipeline
        def flow():
            return slow.options(max_tasks=1, on_failure="continue").map([0, 1, 2])
        """
    )
    result = project.run(**mode)
    assert result.load() == [0, 2]
    assert str(rows(result, "slow")[1].outcome) == "timed out"


def test_what_an_item_reads_counts_for_it_alone(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
@step
def size(name: str, place: str) -> int:
    note(place, name)
    return len((Path(__file__).parent / f"{name}.dat").read_text())
@pipeline
def flow(names: list[str], place: str):
    return size.options(max_tasks=1).map(names, place)
"""
    )
    for name in "abc":
        (project.folder / f"{name}.dat").write_text(name)
    parameters = {"names": ["a", "b", "c"], "place": str(place)}
    assert project.run(parameters, **mode).load() == [1, 1, 1]
    assert noted(place) == ["a", "b", "c"]
    (project.folder / "b.dat").write_text("bb")
    assert project.run(parameters, **mode).load() == [1, 2, 1]
    assert noted(place) == ["b"]


def test_a_damaged_item_is_made_again(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
@step
def square(x: int, place: str) -> int:
    note(place, f"square{x}")
    return x * x
@step
def add(x: int, place: str, more: int) -> int:
    note(place, f"add{x}")
    return x + more
@pipeline
def flow(place: str, more: int = 1):
    return add.map(square.map([2, 3, 4], place), place, more)
"""
    )
    first = project.run({"place": str(place)}, **mode)
    noted(place)
    damaged = rows(first, "square")[1].outputs["output"].files[0].digest
    target = first.store.open_object(damaged)
    target.chmod(0o644)
    target.write_bytes(b"other\n"[: target.stat().st_size])
    again = project.run({"place": str(place), "more": 2}, **mode)
    assert again.load() == [6, 11, 18]
    assert [mark for mark in noted(place) if mark.startswith("square")] == ["square3"]


def test_effects_are_asked_for_each_item(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        """
        def is_there(arguments, output) -> bool:
            return Path(arguments["folder"], str(arguments["x"])).exists()
        @step(effect=is_there)
        def publish(x: int, folder: str) -> int:
            Path(folder, str(x)).touch()
            return x
        @pipeline
        def flow(folder: str):
            return publish.map([1, 2], folder)
        """
    )
    parameters = {"folder": str(place)}
    project.run(parameters, **mode)
    (place / "2").unlink()
    second = project.run(parameters, **mode)
    assert second.nodes["publish"].items["counts"] == {"cached": 1, "succeeded": 1}
    assert (place / "2").exists()
    assert project.run(parameters, **mode).nodes["publish"].outcome is Outcome.CACHED


def test_lists_of_different_lengths(project: Any) -> None:
    project.write(
        """
        @step
        def numbers(n: int) -> list[int]:
            return list(range(n))
        @step
        def add(x: int, y: int) -> int:
            return x + y
        @pipeline
        def flow():
            return add.options(over=["x", "y"]).map(numbers(2), numbers(3))
        """
    )
    failure = project.run().nodes["add"].failure
    assert failure is not None
    assert "Step 'add' maps over lists of different lengths: x has 2, y has 3" in failure.message


def test_what_turns_out_to_be_no_list(project: Any) -> None:
    project.write(
        """
        from typing import Any
        @step
        def anything() -> int | list[int]:
            return 3
        @step
        def use(x: int) -> int:
            return x
        @pipeline
        def flow(items: Any = None):
            return use.map(anything())
        """
    )
    with pytest.raises(Exception, match="maps over 'x', which takes a list, but got output 'anything'"):
        project.run()


def test_steps_without_output_and_without_cache(project: Any, mode: dict[str, bool], place: Path) -> None:
    project.write(
        MARKS
        + """
@step
def tell(x: int, place: str) -> None:
    note(place, f"tell{x}")
@step(cache=False)
def again(x: int, place: str) -> int:
    note(place, f"again{x}")
    return x
@step
def last(xs: list[int]) -> int:
    return len(xs)
@pipeline
def flow(place: str):
    told = tell.map([1, 2], place)
    return last.options(after=told)(again.map([3, 4], place))
"""
    )
    for _ in range(2):
        assert project.run({"place": str(place)}, **mode).load() == 2
    assert noted(place) == ["again3", "again3", "again4", "again4", "tell1", "tell2"]


def test_resuming_reuses_the_items_of_a_step_without_cache(project: Any, mode: dict[str, bool], place: Path) -> None:
    from headrace.engine.records import RunRecord

    project.write(
        MARKS
        + """
@step(cache=False)
def take(x: int, place: str) -> int:
    note(place, str(x))
    if x == 3 and not Path(place + ".go").exists():
        raise ValueError("not yet")
    return x
@pipeline
def flow(place: str):
    return take.options(max_tasks=1).map([1, 2, 3, 4], place)
"""
    )
    first = project.run({"place": str(place)}, **mode)
    assert noted(place) == ["1", "2", "3"]
    Path(f"{place}.go").touch()
    record = RunRecord(first.store, first.run_id)
    assert project.run({"place": str(place)}, resumes=record, **mode).load() == [1, 2, 3, 4]
    assert noted(place) == ["3", "4"]


def test_secrets_are_taken_out_of_items_logs(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "open sesame")
    project.write(
        """
        @step
        def use(x: int, password: Secret) -> int:
            print("item", x, password.reveal())
            if x == 2:
                raise ValueError(password.reveal())
            return x
        @pipeline
        def flow():
            return use.options(max_tasks=1, on_failure="continue").map([1, 2, 3], Secret("PASSWORD"))
        """
    )
    result = project.run()
    found = rows(result, "use")
    assert result.load() == [1, 3]
    assert found[1].failure.message == "ValueError: ***"
    for row in found.values():
        name, first, last = row.log
        printed = result.store.stream_path(name).read_bytes()[first:last]
        assert printed == f"item {row.index + 1} ***\n".encode()


def test_an_interrupted_map_does_not_lock_out_the_next(project: Any, place: Path) -> None:
    project.write(
        MARKS
        + """
import os, signal
@step
def slow(x: int, place: str, engine: int) -> int:
    note(place, str(x))
    if x == 2 and not Path(place + ".go").exists():
        Path(place + ".go").touch()
        os.kill(engine, signal.SIGINT)
        time.sleep(30)
    return x
@pipeline
def flow(place: str, engine: int):
    return slow.options(max_tasks=1).map([0, 1, 2, 3], place, engine)
"""
    )
    parameters = {"place": str(place), "engine": os.getpid()}
    assert project.run(parameters, inline=True).outcome is RunOutcome.CANCELLED
    assert noted(place) == ["0", "1", "2"]
    assert project.run(parameters, inline=True).load() == [0, 1, 2, 3]
    assert noted(place) == ["2", "3"]
