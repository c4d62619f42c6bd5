"""``run --from`` and ``run --only``: which steps are executed, what the others are taken from, what is recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

CHAIN = """
import os, time
from pathlib import Path
from headrace import memo, pipeline, step

def noted(name: str) -> None:
    Path(os.environ["NOTES"], f"{name}.{time.monotonic_ns()}").write_text("")

def part(n: int) -> int:
    noted("part")
    return n

@step
def read(n: int) -> int:
    noted("read")
    return n

@step(cache=False)
def look(n: int) -> int:
    noted("look")
    return n

@step
def add(n: int, m: int) -> int:
    noted("add")
    if Path(os.environ["NOTES"], "broken").exists():
        raise ValueError("broken")
    return memo(part, n) + m

@step
def is_large(n: int) -> bool:
    noted("is_large")
    return n > 3

@step
def send(n: int) -> int:
    noted("send")
    return n * 2

@step
def other(n: int) -> int:
    noted("other")
    return n

@pipeline
def chain(n: int = 1):
    total = add(read(n), look(n))
    other(n)
    return send.options(when=is_large(total), after=["other"])(total)
"""


class Chain:
    def __init__(self, project: Any) -> None:
        self.project = project
        self.notes = project.folder.parent / "notes"
        self.notes.mkdir()
        project.write("chain.py", CHAIN)

    def __call__(self, *words: str) -> Any:
        """Run the command; ``noted`` is what was executed, in order of names."""
        before = set(self.notes.iterdir())
        done = self.project.headrace(*words, env={"NOTES": str(self.notes)})
        self.noted = sorted(path.stem for path in set(self.notes.iterdir()) - before)
        return done

    def begin(self, run_id: str) -> Any:
        return json.loads((self.project.folder / ".headrace/runs" / run_id / "run.json").read_text())


@pytest.fixture
def chain(bare: Any) -> Chain:
    return Chain(bare)


def test_from_executes_a_step_and_what_depends_on_it(chain: Chain) -> None:
    first = chain("run", "chain.py", "-p", "n=2")
    assert first.code == 0
    assert chain.noted == ["add", "is_large", "look", "other", "part", "read", "send"]
    again = chain("run", "chain.py", "-p", "n=2", "--from", "add")

    assert again.code == 0
    assert chain.noted == ["add", "is_large", "look", "part", "send"], "what it keeps within itself is made again too"
    assert "add: succeeded" in again.out
    assert "(it was asked for by --from)" in again.out
    assert "(it depends on 'add', and --from asks for that again)" in again.out
    assert "read: cached" in again.out
    selection = chain.begin(again.run_id)["selection"]
    assert (selection["from"], selection["only"]) == (["add"], [])
    assert chain("why", "add").out == "add ran because it was asked for by --from\n"
    assert "asked for   --from add" in chain("show").out
    assert chain("run", "chain.py", "-p", "n=2").code == 0
    assert chain.noted == ["look"], "what was made again is what is kept"


def test_from_several_and_upstream_that_was_never_made(chain: Chain) -> None:
    done = chain("run", "chain.py", "-p", "n=2", "--from", "is_large", "--from", "other")

    assert done.code == 0
    assert chain.noted == ["add", "is_large", "look", "other", "part", "read", "send"]


def test_only_takes_its_inputs_from_the_cache(chain: Chain) -> None:
    made = chain("run", "chain.py", "-p", "n=2")
    done = chain("run", "chain.py", "-p", "n=2", "--only", "add")

    assert done.code == 0
    assert chain.noted == ["add", "part"]
    assert f"look: cached (made by run {made.run_id})" in done.out, "of a step that is not cached: what a run made"
    assert "3 steps" in done.out, "nothing after it, and nothing that it takes nothing from"
    shown = chain("show", "--json").json
    assert set(shown["nodes"]) == {"read", "look", "add"}
    assert shown["selection"]["only"] == ["add"]


def test_only_for_a_condition_and_with_what_it_merely_comes_after(chain: Chain) -> None:
    chain("run", "chain.py", "-p", "n=1")
    skipped = chain("run", "chain.py", "-p", "n=1", "--only", "send")
    assert skipped.code == 0
    assert chain.noted == []
    assert "send: skipped ('is_large' is false)" in skipped.out

    chain("run", "chain.py", "-p", "n=2")
    chain.project.write("chain.py", CHAIN.replace('noted("other")', 'noted("another")'))
    done = chain("run", "chain.py", "-p", "n=2", "--only", "send")
    assert done.code == 0
    assert chain.noted == ["send"], "'other' has changed, but 'send' takes nothing from it"


def test_only_names_what_was_never_made_and_leaves_no_run(chain: Chain) -> None:
    done = chain("run", "chain.py", "--only", "add")

    assert done.code == 2
    assert (
        "--only executes 'add' alone, but 'read', 'look' have not been made from the code and inputs as they are now: "
        "nothing was made from these inputs yet.\n"
        "Hint: leave out --only, or begin further up: headrace run --from read"
    ) in done.err
    assert chain.noted == []
    assert chain("runs", "--json").json == []
    assert not (chain.project.folder / ".headrace/runs").exists()

    chain("run", "chain.py", "-p", "n=1")
    other = chain("run", "chain.py", "-p", "n=5", "--only", "send", "--json")
    assert other.code == 2
    assert "--only executes 'send' alone, but 'read', 'look' have not" in other.json["error"]["message"]


def test_only_several_with_something_between_that_does_not_fit_any_more(chain: Chain) -> None:
    chain("run", "chain.py", "-p", "n=2")
    both = chain("run", "chain.py", "-p", "n=2", "--only", "add", "--only", "send")
    assert both.code == 0
    assert chain.noted == ["add", "part", "send"]

    chain.project.write("chain.py", CHAIN.replace("memo(part, n) + m", "memo(part, n) + m + 1"))
    done = chain("run", "chain.py", "-p", "n=2", "--only", "add", "--only", "send")
    assert done.code == 1
    assert chain.noted == ["add", "part"]
    assert "'is_large' has not been made, and this run executes 'add', 'send' alone: nothing was made" in done.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--from", "ad"], "Pipeline 'chain' has no node 'ad'", "did you mean 'add'?"),
        (["--only", "sent"], "Pipeline 'chain' has no node 'sent'", "did you mean 'send'?"),
        (["--only", "add", "--from", "add"], "argument --from: not allowed with argument --only", "run --help"),
    ],
)
def test_what_cannot_be_meant(chain: Chain, words: list[str], message: str, hint: str) -> None:
    done = chain("run", "chain.py", *words)

    assert done.code == 2
    assert message in done.err
    assert hint in done.err


def test_resume_goes_on_with_the_same_part(chain: Chain) -> None:
    chain("run", "chain.py", "-p", "n=2")
    broken = chain.notes / "broken"
    broken.write_text("")
    failed = chain("run", "chain.py", "-p", "n=2", "--from", "read")
    assert failed.code == 1
    assert chain.noted == ["add", "look", "read"]
    assert f"what succeeded is kept; go on with: headrace resume {failed.run_id}" in failed.out
    broken.unlink()
    resumed = chain("resume")

    assert resumed.code == 0
    assert chain.noted == ["add", "is_large", "part", "send"], "'read' was executed by the run that is resumed"
    assert f"read: cached (made by run {failed.run_id})" in resumed.out
    begun = chain.begin(resumed.run_id)
    assert begun["selection"] == chain.begin(failed.run_id)["selection"]
    assert begun["resumes"] == failed.run_id


def test_an_effect_is_applied_again(bare: Any) -> None:
    bare.write(
        "effect.py",
        """
        import os, time
        from pathlib import Path
        from headrace import pipeline, step

        def is_there(arguments, output) -> bool:
            return True

        @step(effect=is_there)
        def publish(n: int) -> int:
            Path(os.environ["NOTES"], str(time.monotonic_ns())).write_text("")
            return n

        @pipeline
        def flow(n: int = 1):
            return publish(n)
        """,
    )
    notes = bare.folder.parent / "notes"
    notes.mkdir()
    for words in ([], [], ["--only", "publish"], ["--from", "publish"]):
        assert bare.headrace("run", "effect.py", *words, env={"NOTES": str(notes)}).code == 0

    assert len(list(notes.iterdir())) == 3
