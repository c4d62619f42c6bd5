"""``headrace why``: each kind of cause, named from records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunOptions

RICH = """
import os
from dataclasses import dataclass
from pathlib import Path
from headrace import External, pipeline, step
from helpers import tidy

def beside(name):
    return Path(__file__).with_name(f"{name}.txt")  # a constant that names a file would count as code

@dataclass(frozen=True)
class Options:
    depth: int = 2
    names: tuple[str, ...] = ("a", "b")

@dataclass(frozen=True)
class Tide(External):
    place: str

    def pin(self, store):
        return beside("tide").read_text()

@step
def ingest(data: Path) -> list[str]:
    return data.read_text().split()

@step
def clean(names: list[str]) -> list[str]:
    return [tidy(name) for name in names]

@step
def rate(names: list[str]) -> float:
    return float(os.environ.get("RATE", "1")) + len(beside("rates").read_text())

@step
def train(names: list[str], options: Options, tide: Tide, extra: dict[str, int]) -> float:
    return len(names) * options.depth * 1.0

@step(cache=False)
def free(number: float) -> float:
    return number

@pipeline
def rich(data: Path = Path("names.txt"), depth: int = 2, word: str = "a", weight: int = 1):
    names = clean(ingest(data))
    rate(names)
    return free(train(names, Options(depth, (word, "b")), Tide("here"), {"weight": weight}))
"""


@pytest.fixture
def rich(project: Any) -> Any:
    project.write("shop.py", RICH)
    project.write("tide.txt", "low")
    project.write("rates.txt", "123")
    return project


def run(project: Any, parameters: dict[str, Any] | None = None, **options: Any) -> headrace.RunResult:
    return headrace.run("shop.py", parameters, folder=project.folder, options=RunOptions(**options))


def causes(here: Any, step: str) -> list[tuple[str, str]]:
    said = here("why", step, "--json").json
    return [(cause["kind"], cause["text"]) for cause in said["steps"][0]["causes"]]


def test_the_first_run_and_a_hit(rich: Any, here: Any) -> None:
    first = run(rich)
    assert causes(here, "clean") == [("first", "it has not been run in this store before")]
    assert here("why", "clean").out == "clean ran because it has not been run in this store before\n"

    run(rich)
    assert here("why", "clean").out == (
        f"clean was a hit: it was made by run {first.run_id} from the same code and inputs\n"
    )
    assert here("why").out.splitlines() == [
        "free ran because it is not cached (cache=False)",
        "the others: 4 from the cache",
    ]


def test_code_that_changed_is_named_with_its_line(rich: Any, here: Any) -> None:
    first = run(rich)
    helpers = rich.folder / "helpers.py"
    helpers.write_text("# a comment\n" + helpers.read_text().replace("title()", "upper()"))
    run(rich)

    assert causes(here, "clean") == [("code", "tidy in helpers.py:5 changed")]
    assert here("why", "clean").out.splitlines() == [
        "clean ran because tidy in helpers.py:5 changed",
        f"compared with run {first.run_id}",
    ]


def test_a_changed_input_is_followed_to_what_changed_it(rich: Any, here: Any) -> None:
    first = run(rich)
    (rich.folder / "names.txt").write_text("ann")
    run(rich)

    assert here("why", "train").out.splitlines() == [
        "train ran because input names changed, which is made by 'clean'",
        "  clean ran because input names changed, which is made by 'ingest'",
        "    ingest ran because data: the content of names.txt changed",
        f"compared with run {first.run_id}",
    ]
    said = here("why", "train", "--json").json
    assert [step["node"] for step in said["steps"]] == ["train", "clean", "ingest"]
    assert said["steps"][0]["causes"][0]["made_by"] == "clean"


def test_an_input_from_a_hit_is_followed_too(rich: Any, here: Any) -> None:
    run(rich)
    (rich.folder / "names.txt").write_text("ann")
    run(rich)
    (rich.folder / "names.txt").write_text("ann bob carl")
    run(rich, {"depth": 9})

    assert here("why", "train").out.splitlines()[:4] == [
        "train ran because",
        "  - input names changed, which is made by 'clean'",
        "  - options.depth changed: 2 → 9",
        "  clean was a hit of another result than then, because input names changed, which is made by 'ingest'",
    ]
    assert "    ingest was a hit of another result than then, because data: the content" in here("why", "train").out


def test_values_are_named_by_their_place(rich: Any, here: Any) -> None:
    run(rich)
    run(rich, {"depth": 3, "word": "x" * 100, "weight": 5})

    shown = "'" + "x" * 39 + " … " + "x" * 14 + "'"
    assert causes(here, "train") == [
        ("value", "options.depth changed: 2 → 3"),
        ("value", "extra['weight'] changed: 1 → 5"),
        ("value", f"options.names[0] changed: 'a' → {shown}"),
    ]
    assert here("why").out.splitlines()[0] == (
        "train ran because options.depth changed: 2 → 3 (and 2 more: headrace why … train)"
    )


def test_a_pin_that_changed(rich: Any, here: Any) -> None:
    run(rich)
    (rich.folder / "tide.txt").write_text("high")
    run(rich)

    assert causes(here, "train") == [
        ("external", "tide: Tide(place='here') was pinned to other than before: 'low' → 'high'")
    ]


def test_what_a_step_was_seen_to_read(rich: Any, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(rich)
    (rich.folder / "rates.txt").write_text("4567")
    run(rich)
    assert causes(here, "rate") == [("read", "rates.txt, which it reads, changed")]
    assert here("why", "rate").out.endswith(f"compared with run {first.run_id}\n")

    monkeypatch.setenv("RATE", "7.8125")
    run(rich)
    assert causes(here, "rate") == [("read", "environment variable RATE, which it reads, was added")]
    monkeypatch.setenv("RATE", "8.8125")
    run(rich)
    assert causes(here, "rate") == [("read", "environment variable RATE, which it reads, changed")]
    records = [path.read_text() for path in (rich.folder / ".headrace/runs").rglob("*.json")]
    assert not any(".8125" in record for record in records)


def test_a_stored_output_that_is_gone(rich: Any, here: Any) -> None:
    first = run(rich)
    output = first.nodes["clean"].outputs["output"].files[0]
    first.store.drop_object(output.digest)
    run(rich)

    assert causes(here, "clean") == [("stored", "its stored output 'output' is damaged or gone")]


def test_a_result_that_was_collected(rich: Any, here: Any) -> None:
    first = run(rich)
    for name in list(first.store.list_records("actions")):
        first.store.delete_record(name)
    run(rich)

    assert causes(here, "clean") == [
        ("stored", f"what run {first.run_id} made of the same is not in the store any more")
    ]


def test_it_failed_before(bare: Any, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bare.write("shop.py", MOODY)
    first = run(bare, {"mark": "none"})
    assert here("why", "after").out == "after upstream failed: 'moody' failed\n"
    monkeypatch.setenv("MOOD", "good")
    run(bare, {"mark": "none"})

    assert causes(here, "moody") == [
        ("failed before", f"it failed in run {first.run_id}, from the same code and inputs")
    ]
    assert causes(here, "after") == [("first", "it has not been run in this store before")]


def test_a_text_that_comes_to_name_a_file(bare: Any, here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bare.write("shop.py", MOODY)
    monkeypatch.setenv("MOOD", "good")
    run(bare, {"mark": "mark.txt"})
    bare.write("mark.txt", "")
    run(bare, {"mark": "mark.txt"})
    assert causes(here, "moody") == [("file", "mark: the content of mark.txt was added")]

    (bare.folder / "mark.txt").unlink()
    run(bare, {"mark": "mark.txt"}, run_id="29991231-000000-000-last")
    run(bare, {"mark": "other.txt"}, run_id="29991231-000001-000-last")
    assert causes(here, "moody") == [("value", "mark changed: 'mark.txt' → 'other.txt'")]


MOODY = """
import os
from headrace import pipeline, step

@step
def moody(mark: str) -> int:
    if os.environ.get("MOOD") != "good":
        raise ValueError("not now")
    return 1

@step
def after(number: int) -> int:
    return number

@pipeline
def flow(mark: str):
    return after(moody(mark))
"""


EXPIRING = """
import time
from headrace import Resources, pipeline, step

EXISTS = []

def is_there(arguments, output):
    from pathlib import Path
    return Path(output).exists()

@step(expires_after_seconds=0.05)
def fresh() -> int:
    return 1

@step(effect=is_there)
def effect(place: str) -> str:
    from pathlib import Path
    Path(place).write_text("here")
    return place

@step(resources=Resources(cpus=CPUS))
def wide() -> RETURNS:
    return 1

@pipeline
def flow(place: str):
    fresh()
    effect(place)
    wide()
"""


def test_expiry_effect_and_environment(bare: Any, here: Any) -> None:
    place = str(bare.folder.parent / "place")
    bare.write("shop.py", EXPIRING.replace("CPUS", "1").replace("RETURNS", "int"))
    run(bare, {"place": place})
    Path(place).unlink()
    bare.write("shop.py", EXPIRING.replace("CPUS", "2").replace("RETURNS", "int"))
    run(bare, {"place": place})

    ((kind, text),) = causes(here, "fresh")
    assert kind == "stored"
    assert re.fullmatch(r"the result is \d+ seconds old, and expires after 0.05", text)
    assert causes(here, "effect") == [("stored", "its effect is not in place any more")]
    assert ("environment", "threads was 1, is 2") in causes(here, "wide")


def test_a_format_and_a_step_that_are_others(bare: Any, here: Any) -> None:
    source = """
    from headrace import pipeline, step
    from headrace.formats.text import Text

    @step(name="make")
    def one() -> {}:
        return {}("1")

    @pipeline
    def flow():
        return one()
    """
    bare.write("shop.py", source.format("str", "str"))
    run(bare)
    bare.write("shop.py", source.format("Text", "Text").replace("one()", "other()").replace("def one", "def other"))
    run(bare)

    found = causes(here, "make")
    assert ("format", "the format of output was json, is text") in found
    assert any(kind == "code" for kind, _ in found)


def test_runs_of_other_pipelines_are_not_compared_with(rich: Any, here: Any) -> None:
    first = run(rich)
    rich.write("other.py", RICH.replace("def rich(", "def other("))
    headrace.run("other.py", {"depth": 8}, folder=rich.folder)
    run(rich, {"depth": 3})

    out = here("why", "train").out
    assert "options.depth changed: 2 → 3" in out
    assert out.endswith(f"compared with run {first.run_id}\n")


def test_why_of_an_older_run_compares_with_what_came_before_it(rich: Any, here: Any) -> None:
    run(rich)
    second = run(rich, {"depth": 3})
    run(rich, {"depth": 4})

    assert "options.depth changed: 2 → 3" in here("why", second.run_id, "train").out
    assert "options.depth changed: 3 → 4" in here("why", "latest", "train").out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["trian"], "'trian' is neither a run of this store nor a step of the newest run", "did you mean 'train'?"),
        (["latest", "trian"], "has no step 'trian'", "did you mean 'train'?"),
        (["20991122"], "'20991122' is neither a run", ""),
    ],
)
def test_wrong_names(rich: Any, here: Any, arguments: list[str], message: str, hint: str) -> None:
    run(rich)
    done = here("why", *arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert f"Hint: {hint}" in done.err


def test_a_long_chain_is_followed_without_recursion(bare: Any, here: Any) -> None:
    bare.write(
        "shop.py",
        """
        from headrace import pipeline, step

        @step
        def add(number: int) -> int:
            return number + 1

        @pipeline
        def flow(first: int):
            for _ in range(1500):
                first = add(first)
            return first
        """,
    )
    run(bare, {"first": 1}, inline=True)
    run(bare, {"first": 2}, inline=True)

    done = here("why", "add-1500", "--json")
    assert done.code == 0
    assert len(done.json["steps"]) == 50
    assert json.loads(done.out)["steps"][49]["causes"][0]["made_by"] == "add-1450"
