"""Runs of small pipelines, in workers and inline: what each node ends as, and what the next run makes of it."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace import RunOutcome
from headrace.core.errors import DefinitionError, ParameterError, ProjectError, RunError
from headrace.engine.records import RunRecord


def test_a_run_and_the_same_again(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        from typing import NamedTuple
        class Parts(NamedTuple):
            first: int
            rest: list[int]
        @step
        def numbers(n: int) -> list[int]:
            print("making", n)
            return list(range(n))
        @step
        def split(items: list[int]) -> Parts:
            return Parts(items[0], items[1:])
        @step
        async def total(items: list[int], start: float = 0.5) -> float:
            return sum(items) + start
        @pipeline
        def flow(n: int = 4):
            parts = split(numbers(n))
            return total(parts.rest)
        """
    )
    first = project.run(**mode)
    assert first.outcome is RunOutcome.SUCCEEDED
    assert project.outcomes(first) == {"numbers": "succeeded", "split": "succeeded", "total": "succeeded"}
    assert first.load() == 6.5
    assert first.load("split.first") == 0
    second = project.run(**mode)
    assert project.outcomes(second) == {"numbers": "cached", "split": "cached", "total": "cached"}
    assert second.load() == 6.5
    assert {n: r.key for n, r in second.nodes.items()} == {n: r.key for n, r in first.nodes.items()}
    third = project.run({"n": "5"}, **mode)
    assert project.outcomes(third)["numbers"] == "succeeded"
    assert third.load() == 10.5
    log = first.store.stream_path(f"runs/{first.run_id}/nodes/numbers.1.log")
    assert log.read_text() == "making 4\n"
    assert type(project.events[0]).__name__ == "RunStarted"
    lines = first.store.stream_path(f"runs/{first.run_id}/events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "RunEnded"


def test_equal_digests_in_workers_and_inline(project: Any) -> None:
    project.write(
        """
        import random
        @step
        def names() -> set[str]:
            return {f"name {i}" for i in range(50)}
        @step
        def order(items: set[str]) -> list[str]:
            return list(items)[:5]
        @step
        def chance() -> list[float]:
            return [random.random() for _ in range(3)]
        @pipeline
        def flow():
            order(names()); return chance()
        """
    )
    results = [project.run(store=project.folder / f"store{i}", inline=i == 2) for i in range(3)]
    digests = [{n: r.outputs["output"].digest for n, r in result.nodes.items()} for result in results]
    assert digests[0] == digests[1]
    # An inline run in a process that is already there keeps that process's hash seed: the command line starts afresh.
    assert digests[0]["names"] == digests[2]["names"]
    assert digests[0]["chance"] == digests[2]["chance"]


def test_a_failure_stops_only_what_hangs_on_it(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step
        def bad() -> int:
            raise ValueError("no good")
        @step
        def after(x: int) -> int:
            return x
        @step
        def other() -> int:
            return 7
        @step
        def more(x: int) -> int:
            return x + 1
        @pipeline
        def flow():
            after(bad())
            return more(other())
        """
    )
    result = project.run(**mode)
    assert result.outcome is RunOutcome.FAILED
    assert project.outcomes(result) == {
        "bad": "failed",
        "after": "upstream failed",
        "other": "succeeded",
        "more": "succeeded",
    }
    failure = result.nodes["bad"].failure
    assert failure is not None
    assert failure.message == "ValueError: no good"
    assert failure.where.startswith(f"{project.module}.py:")
    assert 'raise ValueError("no good")' in failure.traceback
    assert "headrace/engine" not in failure.traceback
    assert result.load("more") == 8
    with pytest.raises(RunError, match="since node 'bad' failed"):
        result.load("bad")


def test_conditions_skip_what_hangs_on_them(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step
        def is_big(n: int) -> bool:
            return n > 10
        @step
        def big(n: int) -> int:
            return n
        @step
        def twice(n: int) -> int:
            return 2 * n
        @step
        def always() -> int:
            return 1
        @pipeline
        def flow(n: int = 3):
            check = is_big(n)
            twice(big.options(when=check)(n))
            always.options(after=[check])()
        """
    )
    result = project.run(**mode)
    assert project.outcomes(result) == {
        "is_big": "succeeded",
        "big": "skipped",
        "twice": "skipped",
        "always": "succeeded",
    }
    assert result.nodes["big"].reason == "'is_big' is false"
    assert result.outcome is RunOutcome.SUCCEEDED
    assert project.outcomes(project.run({"n": 30}, **mode))["twice"] == "succeeded"


def test_a_gate_that_says_no_rejects_the_run(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        from dataclasses import dataclass
        from typing import ClassVar
        @dataclass
        class Verdict:
            __headrace_gate__: ClassVar[str] = "passed"
            passed: bool
            why: str
        @step
        def gate(score: float) -> Verdict:
            return Verdict(score > 0.5, f"score {score}")
        @step
        def publish(why: str) -> str:
            return why
        @pipeline
        def flow(score: float = 0.4):
            verdict = gate(score)
            publish.options(when=verdict.passed)(verdict.why)
        """
    )
    assert project.run(**mode).outcome is RunOutcome.REJECTED
    assert project.run({"score": 0.6}, **mode).outcome is RunOutcome.SUCCEEDED


def test_retries_and_what_is_worth_one(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step(retries=3, backoff_seconds=0.01)
        def shaky(marks: str) -> int:
            file = Path(marks)
            n = len(list(file.parent.glob("mark*")))
            Path(f"{marks}{n}").touch()
            if n < 2:
                raise TransientError(f"not yet ({n})")
            return n
        @step(retries=3, backoff_seconds=0.01)
        def hopeless() -> int:
            raise KeyError("never")
        @step(retries=1, retry_on=[KeyError], backoff_seconds=0.01)
        def listed() -> int:
            raise KeyError("listed")
        @pipeline
        def flow(marks: str):
            shaky(marks); hopeless(); listed()
        """
    )
    result = project.run({"marks": str(project.folder.parent / "mark")}, **mode)
    assert (result.nodes["shaky"].outcome, result.nodes["shaky"].attempt) == ("succeeded", 3)
    assert (result.nodes["hopeless"].outcome, result.nodes["hopeless"].attempt) == ("failed", 1)
    assert (result.nodes["listed"].outcome, result.nodes["listed"].attempt) == ("failed", 2)
    attempts = RunRecord(result.store, result.run_id).attempts("shaky")
    assert [str(attempt.outcome) for attempt in attempts] == ["failed", "failed", "succeeded"]


def test_files_and_variables_that_a_step_reads_are_seen(
    project: Any, mode: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "rates.csv").write_text("1\n2\n")
    monkeypatch.setenv("SMALL_FACTOR", "2")
    project.write(
        """
        import os
        @step
        def total(name: str) -> float:
            rows = (Path(__file__).parent / f"{name}.csv").read_text().split()
            return sum(map(float, rows)) * float(os.environ["SMALL_FACTOR"])
        @pipeline
        def flow():
            return total("rates")
        """
    )
    assert project.run(**mode).load() == 6.0
    assert project.outcomes(project.run(**mode)) == {"total": "cached"}
    (project.folder / "rates.csv").write_text("1\n2\n3\n")
    changed = project.run(**mode)
    assert changed.load() == 12.0
    assert changed.nodes["total"].reason == "rates.csv changed"
    monkeypatch.setenv("SMALL_FACTOR", "3")
    assert project.run(**mode).load() == 18.0
    monkeypatch.setenv("SMALL_FACTOR", "2")
    back = project.run(**mode)
    assert (back.load(), project.outcomes(back)) == (12.0, {"total": "cached"})


def test_a_path_counts_by_content(project: Any, mode: dict[str, bool]) -> None:
    data = project.folder / "data.txt"
    data.write_text("one")
    project.write(
        """
        @step
        def read(path: Path) -> str:
            return path.read_text()
        @step
        def read_named(path: str) -> str:
            return Path(path).read_text()
        @pipeline
        def flow(path: Path = Path("data.txt")):
            read_named("data.txt")
            return read(path)
        """
    )
    assert project.run(**mode).load() == "one"
    assert set(project.outcomes(project.run(**mode)).values()) == {"cached"}
    data.write_text("two")
    result = project.run(**mode)
    assert project.outcomes(result) == {"read": "succeeded", "read_named": "succeeded"}
    assert result.load() == "two"


def test_code_that_is_reached_counts_and_comments_do_not(project: Any, mode: dict[str, bool]) -> None:
    if mode["inline"]:
        pytest.skip("an inline run in one process keeps the modules that it has imported")
    project.write("def inc(x):\n    return x + 1\n", name="helper.py")
    project.write(
        """
        import helper
        @step
        def one(x: int) -> int:
            return helper.inc(x)
        @pipeline
        def flow():
            return one(1)
        """
    )
    assert project.run().load() == 2
    project.write(
        "# a comment\ndef inc(x):\n    '''A docstring.'''\n    return (x + 1)\ndef unused(): return 3\n",
        name="helper.py",
    )
    assert project.outcomes(project.run()) == {"one": "cached"}
    project.write("def inc(x):\n    return x + 2\n", name="helper.py")
    assert project.run().load() == 3


def test_steps_made_in_a_loop_and_nested_pipelines(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        def make(k: int):
            @step(name=f"times_{k}")
            def times(x: int) -> int:
                return x * k
            return times
        @pipeline
        def inner(x: int):
            return make(2)(x)
        @pipeline
        def flow(x: int = 1):
            for k in (3, 5):
                x = make(k)(x)
            return inner(inner(x))
        """
    )
    result = project.run(**mode)
    assert result.load() == 60
    assert set(result.nodes) == {"times_3", "times_5", "inner.times_2", "inner-2.times_2"}
    assert set(project.outcomes(project.run(**mode)).values()) == {"cached"}


def test_results_expire(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step(expires_after_seconds=3600)
        def now() -> int:
            return 1
        @pipeline
        def flow():
            return now()
        """
    )
    first = project.run(**mode)
    assert project.outcomes(project.run(**mode)) == {"now": "cached"}
    for hours, said in ((-1, "is 360. seconds old"), (2, "was made 7... seconds ahead of the clock")):
        (name,) = first.store.list_records("actions")
        action = json.loads(first.store.read_record(name))
        then = datetime.fromisoformat(action["created"]) + timedelta(hours=hours)
        first.store.write_record(name, json.dumps(action | {"created": then.isoformat()}).encode())

        result = project.run(**mode)
        assert project.outcomes(result) == {"now": "succeeded"}
        assert re.fullmatch(f"the result {said}, and expires after 3600", result.nodes["now"].reason)
        assert project.outcomes(project.run(**mode)) == {"now": "cached"}


def test_an_effect_is_applied_again_when_it_is_gone(project: Any, mode: dict[str, bool]) -> None:
    place = project.folder.parent / "published"
    project.write(
        """
        def is_there(arguments, output):
            return Path(output).exists()
        @step(effect=is_there)
        def publish(place: str) -> str:
            Path(place).write_text("x")
            return place
        @pipeline
        def flow(place: str):
            return publish(place)
        """
    )
    parameters = {"place": str(place)}
    project.run(parameters, **mode)
    place.unlink()
    result = project.run(parameters, **mode)
    assert result.nodes["publish"].reason == "its effect is not in place any more"
    assert place.exists()


LOOKS = """
def is_there(arguments, output):
    if Path(arguments["place"], "down").exists():
        raise ConnectionError("no answer")
    return Path(arguments["place"], "x").read_text() == output
@step(effect=is_there)
def publish(place: str) -> str:
    Path(place, "x").write_text("new")
    return "new"
@pipeline
def flow(place: str):
    return publish(place)
"""


def test_an_effect_that_cannot_be_looked_at_is_applied_again(
    project: Any, mode: dict[str, bool], tmp_path: Path
) -> None:
    project.write(LOOKS)
    place = tmp_path / "place"
    place.mkdir()
    parameters = {"place": str(place)}
    project.run(parameters, **mode)
    (place / "down").touch()
    again = project.run(parameters, **mode)
    assert project.outcomes(again) == {"publish": "succeeded"}
    said = r"whether its effect is in place can't be said: 'flow\w*:is_there' raised: ConnectionError: no answer"
    assert re.fullmatch(said, again.nodes["publish"].reason)
    (place / "down").unlink()
    assert project.outcomes(project.run(parameters, **mode)) == {"publish": "cached"}


def test_an_effect_whose_output_is_damaged_is_applied_again(
    project: Any, mode: dict[str, bool], tmp_path: Path
) -> None:
    project.write(LOOKS)
    parameters = {"place": str(tmp_path)}
    first = project.run(parameters, **mode)
    (file,) = first.nodes["publish"].outputs["output"].files
    (damaged,) = [path for path in project.folder.rglob("*") if path.is_file() and file.digest.endswith(path.name)]
    damaged.chmod(0o600)
    damaged.write_bytes(b"x" * file.n_bytes)
    again = project.run(parameters, **mode)
    assert again.nodes["publish"].reason == "its stored output is damaged or gone"
    assert project.outcomes(project.run(parameters, **mode)) == {"publish": "cached"}


def test_uncached_steps_and_resuming(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step(cache=False)
        def draw() -> list[int]:
            import os
            return list(os.urandom(4))
        @step
        def use(numbers: list[int], flag: Path) -> int:
            if flag.read_text() == "bad":
                raise ValueError("bad")
            return sum(numbers)
        @pipeline
        def flow(flag: Path = Path("flag.txt")):
            return use(draw(), flag)
        """
    )
    flag = project.folder / "flag.txt"
    flag.write_text("bad")
    first = project.run(**mode)
    assert first.outcome is RunOutcome.FAILED
    flag.write_text("good")
    record = RunRecord(first.store, first.run_id)
    resumed = project.run(resumes=record, **mode)
    assert project.outcomes(resumed) == {"draw": "cached", "use": "succeeded"}
    assert resumed.nodes["draw"].outputs == first.nodes["draw"].outputs
    again = project.run(resumes=RunRecord(first.store, resumed.run_id), **mode)
    assert project.outcomes(again) == {"draw": "cached", "use": "cached"}
    assert project.outcomes(project.run(**mode))["draw"] == "succeeded"


def test_a_damaged_object_is_made_again_at_the_read(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step
        def one() -> list[int]:
            return [1, 2, 3]
        @step
        def two(x: list[int]) -> list[int]:
            return [i + 1 for i in x]
        @step
        def three(x: list[int], n: int) -> int:
            return sum(x) + n
        @pipeline
        def flow(n: int = 0):
            return three(two(one()), n)
        """
    )
    first = project.run(**mode)
    for name, damage in (("two", b"[9,9,9]\n"), ("one", b"")):
        digest = first.nodes[name].outputs["output"].files[0].digest
        path = next((project.folder / ".headrace" / "objects").rglob(digest))
        size = path.stat().st_size
        path.chmod(0o644)
        path.write_bytes(damage.ljust(size)[:size])
    result = project.run({"n": 1}, **mode)
    assert result.load() == 10, result.nodes
    assert project.outcomes(result) == {"one": "succeeded", "two": "succeeded", "three": "succeeded"}
    assert {n: r.outputs for n, r in result.nodes.items() if n != "three"} == {
        n: r.outputs for n, r in first.nodes.items() if n != "three"
    }


def test_a_file_that_changes_under_the_step_is_not_stored(project: Any, mode: dict[str, bool]) -> None:
    (project.folder / "data.txt").write_text("one")
    project.write(
        """
        @step
        def read(path: Path) -> str:
            text = path.read_text()
            path.write_text(text + "!")
            return text
        @pipeline
        def flow(path: Path = Path("data.txt")):
            return read(path)
        """
    )
    result = project.run(**mode)
    failure = result.nodes["read"].failure
    assert failure is not None
    assert "'data.txt' changed while step 'read' read it" in failure.message
    assert not list((project.folder / ".headrace" / "actions").rglob("*.json"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(x: int) -> int: ...", "Step 'f' must return"),
    ],
)
def test_outputs_that_are_not_what_was_declared(project: Any, source: str, message: str) -> None:
    project.write(
        """
        @step
        def wrong() -> int:
            return "three"
        @step
        def nothing() -> None:
            return 3
        @pipeline
        def flow():
            wrong(); nothing()
        """
    )
    result = project.run()
    wrong, nothing = result.nodes["wrong"].failure, result.nodes["nothing"].failure
    assert wrong is not None and nothing is not None
    assert "Output 'output' of step 'wrong'" in wrong.message
    assert "is annotated `-> None`" in nothing.message


def test_what_is_wrong_before_the_first_step(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step
        def one(x: int) -> int:
            return x
        @pipeline
        def flow(n: int):
            return one(n)
        @pipeline
        def other():
            return one("x")
        """
    )
    with pytest.raises(ParameterError, match="needs parameter 'n'"):
        project.run(**mode)
    with pytest.raises(ParameterError, match="Parameter 'n' must be int, but got 'x'"):
        project.run({"n": "x"}, **mode)
    with pytest.raises(ParameterError, match=r"has no parameter 'm'[^$]*did you mean|there are 'n'"):
        project.run({"m": 1}, **mode)
    with pytest.raises(DefinitionError, match="takes 'x' as int, but got 'x', which is str"):
        project.run(pipeline="other", **mode)
    with pytest.raises(ProjectError, match=r"has no pipeline 'flwo'.*\n.*did you mean 'flow'"):
        project.run(pipeline="flwo", **mode)


def test_a_module_that_does_not_import(project: Any, mode: dict[str, bool]) -> None:
    project.write("import not_there_at_all\n")
    with pytest.raises(ProjectError, match="ModuleNotFoundError: No module named 'not_there_at_all'") as caught:
        project.run(**mode)
    assert "import not_there_at_all" in caught.value.traceback  # type: ignore[attr-defined]


def test_deep_and_wide_graphs(project: Any) -> None:
    project.write(
        """
        @step
        def add(x: int) -> int:
            return x + 1
        @step
        def total(items: list[int]) -> int:
            return sum(items)
        @pipeline
        def flow(n: int):
            x = add(0)
            for _ in range(n - 1):
                x = add(x)
            return x
        @pipeline
        def wide(n: int):
            return total([add(i) for i in range(n)])
        """
    )
    assert project.run({"n": 2000}, inline=True).load() == 2000
    assert project.run({"n": 2000}, inline=True, pipeline="wide").load() == 2001000
    assert set(project.outcomes(project.run({"n": 2000}, pipeline="wide")).values()) == {"cached"}


def test_a_script_can_run_its_own_pipeline(project: Any) -> None:
    import subprocess
    import sys

    project.write(
        """
        import headrace
        @step
        def one() -> int:
            return 1
        @pipeline
        def flow():
            return one()
        if __name__ == "__main__":
            print(headrace.run(flow).load(), headrace.run(flow, inline=True).load())
        """
    )
    script = project.folder / f"{project.module}.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=project.folder, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1 1\n"), done.stderr


def test_the_engine_imports_no_user_module(project: Any) -> None:
    import sys

    project.write("@step\ndef one() -> int:\n    return 1\n@pipeline\ndef flow():\n    return one()\n")
    project.run()
    project.run()
    assert project.module not in sys.modules
    assert Path.cwd() != project.folder
    assert os.environ.get("PYTHONHASHSEED") != "0" or "PYTHONHASHSEED" in os.environ


def test_a_change_in_the_ready_made_steps_is_seen(project: Any, tmp_path: Path) -> None:
    """They are code like the project's own, though they come with Headrace: here in a copy of it."""
    import shutil
    import subprocess
    import sys

    import headrace

    copy = tmp_path / "site" / "headrace"
    shutil.copytree(Path(headrace.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    ready_made = copy / "steps" / "ready.py"
    ready_made.write_text("from headrace import step\n@step\ndef ready() -> int:\n    return 1\n")
    project.write("from headrace.steps.ready import ready\n@pipeline\ndef flow():\n    return ready()\n")
    program = f"import headrace; print(headrace.run('{project.module}.py').load(), headrace.__file__)"
    outputs = []
    for result in (1, 1, 2):
        ready_made.write_text(ready_made.read_text().replace("return 1", f"return {result}"))
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": str(copy.parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout.split())
    assert outputs == [[str(n), str(copy / "__init__.py")] for n in (1, 1, 2)]


def test_numpy_is_seeded_though_it_loads_its_generators_late(project: Any) -> None:
    project.write(
        """
        import numpy
        @step
        def draw() -> list[float]:
            return list(numpy.random.random(3))
        @pipeline
        def flow():
            return draw()
        """
    )
    first, second = (project.run(store=project.folder / name).load() for name in ("one", "other"))
    assert first == second


def test_a_file_artifact_is_a_copy_that_goes_with_the_step(project: Any, mode: dict[str, bool], tmp_path: Path) -> None:
    project.write(
        """
        import tempfile
        @step
        def make() -> Path:
            folder = Path(tempfile.mkdtemp())
            (folder / "a.txt").write_text("a"); (folder / "b.txt").write_text("b")
            return folder
        @step
        def use(folder: Path, n: int) -> str:
            names = sorted(path.name for path in folder.iterdir())
            text = (folder / "a.txt").read_text()
            (folder / "a.txt").write_text("changed")
            return f"{names} {text} {folder}"
        @pipeline
        def flow(n: int = 0):
            return use(make(), n)
        """
    )
    first = project.run(**mode)
    said, folder = first.load().rsplit(" ", 1)
    assert said == "['a.txt', 'b.txt'] a"
    assert not Path(folder).exists()
    assert not any(first.nodes["use"].discovered.values())
    assert set(project.outcomes(project.run(**mode)).values()) == {"cached"}
    assert project.run({"n": 1}, **mode).load().startswith(said)


def test_code_that_is_imported_late_and_edited_meanwhile_is_not_stored(project: Any) -> None:
    project.write("def rate():\n    return 1\n", name="late.py")
    project.write(
        """
        @step
        def slow(place: Path) -> int:
            place.write_text("def rate():\\n    return 2\\n")
            import late
            return late.rate()
        @pipeline
        def flow(place: str = "late.py"):
            return slow(Path(place).resolve())
        """
    )
    failure = project.run({"place": str(project.folder / "late.py")}).nodes["slow"].failure
    assert failure is not None
    assert "This environment holds other code than the plan: late.py" in failure.message


def test_the_class_of_a_pickled_input_counts(project: Any) -> None:
    project.write("class Box:\n    def open(self):\n        return self.n\n", name="boxes.py")
    project.write(
        """
        from typing import Annotated, Any
        import boxes
        from headrace import Pickle
        @step
        def make() -> Annotated[boxes.Box, Pickle]:
            box = boxes.Box()
            box.n = 1
            return box
        @step
        def use(box: Any) -> int:
            return box.open()
        @pipeline
        def flow():
            return use(make())
        """
    )
    assert project.run().load() == 1
    assert set(project.outcomes(project.run()).values()) == {"cached"}
    project.write("class Box:\n    def open(self):\n        return self.n + 1\n", name="boxes.py")
    assert project.run().load() == 2


TYPED = """
from dataclasses import dataclass
from typing import NamedTuple

@dataclass(frozen=True)
class Reason:
    rule: str
    passed: bool

class Verdict(NamedTuple):
    passed: bool
    reasons: tuple[Reason, ...]
    note: str | None

@step
def judge(n: int) -> Verdict:
    return Verdict(True, (Reason("n > 0", True),), None)

@step(outputs=("low", "high"))
def parts(n: int) -> tuple[list[Reason], int]:
    return [Reason("low", False)], n

@pipeline
def flow(n: int = 1):
    judge(n)
    parts(n)
"""


def test_an_output_is_loaded_as_its_step_declares_it(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(TYPED)
    result = project.run()
    monkeypatch.syspath_prepend(str(project.folder))

    assert [reason.rule for reason in result.load("judge.reasons")] == ["n > 0"]
    assert result.load("judge.passed") is True
    assert result.load("judge.note") is None
    assert [reason.rule for reason in result.load("parts.low")] == ["low"]
    assert result.load("parts.high") == 1


def test_an_output_whose_type_must_be_said(project: Any) -> None:
    project.write(TYPED)
    result = project.run()

    with pytest.raises(RunError) as caught:
        result.load("judge.reasons")
    assert "Output 'judge.reasons' of run" in str(caught.value)
    assert "cannot be loaded without its type: The stored value holds a" in str(caught.value)
    assert (
        f"give the type that its step declares, as in load('judge.reasons', tuple[{project.module}.Reason, ...])"
        in str(caught.value)
    )
    with pytest.raises(
        RunError, match=r"has no output 'judge'.*\n.*gave \['judge.note', 'judge.passed', 'judge.reasons'\]"
    ):
        result.load("judge")
