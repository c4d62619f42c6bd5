"""The command itself: words, help, exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from headrace import __version__
from headrace.cli.main import WORDS

LISTED = [name for name, (_, _, group) in WORDS.items() if group]


def test_help_lists_each_word_once_and_hides_exec(here: Any) -> None:
    done = here("--help")

    assert done.code == 0
    named = [line.split()[0] for line in done.out.splitlines() if line.startswith("  ")]
    assert named == ["init", "run", "resume", "cancel", "compile", "runs", "show", "why", "logs", "data", "store"]
    assert "exec " not in done.out
    assert "2 usage or configuration, 3 rejected by a gate, 130 interrupted" in done.out


def test_no_word_is_wrong_usage(here: Any) -> None:
    assert here().code == 2


def test_version(here: Any) -> None:
    assert here("--version").out == f"headrace {__version__}\n"


@pytest.mark.parametrize("word", [*WORDS])
def test_each_word_has_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    from headrace.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: headrace {word}")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["rnu"], "headrace has no word 'rnu'.", "did you mean 'run'?"),
        (
            ["exce"],
            "headrace has no word 'exce'.",
            "there are 'cancel', 'compile', 'data', 'init', 'logs', 'resume', 'run', 'runs' and 3 more",
        ),
        (["--josn"], "headrace has no option '--josn'.", "there are 'cancel'"),
        (["run", "--worker", "2"], "headrace run has no option '--worker'.", "did you mean '--workers'?"),
        (["run", "a", "b"], "headrace run: there is no place for 'b'.", "headrace run --help"),
        (["run", "--workers", "0"], "a whole number of 1 or more is needed, but got '0'", "headrace run --help"),
        (["runs", "--limit", "x"], "a whole number of 1 or more is needed, but got 'x'", "headrace runs --help"),
        (["run", "-p", "least"], "-p takes KEY=VALUE, but got 'least'.", "as in -p least=100"),
        (["run", "-p", "=3"], "-p takes KEY=VALUE, but got '=3'.", "as in -p rows=100"),
        (["store", "chek"], "headrace store has no word 'chek'.", "did you mean 'check'?"),
        (["store", "--store", "x", "gc"], "headrace store: its word comes first.", "headrace store --help"),
        (["store"], "the following arguments are required: WORD", "headrace store --help"),
        (["store", "gc", "--keep", "x"], "a number, a time such as 7d, or a run's id is needed", "headrace store gc"),
        (["store", "gc", "--grace", "5"], "a time such as 36h or 7d is needed, but got '5'", "headrace store gc"),
        (["exec", "clean"], "the following arguments are required: --run", "headrace exec --help"),
    ],
)
def test_wrong_usage_names_what_was_meant(here: Any, arguments: list[str], message: str, hint: str) -> None:
    done = here(*arguments)

    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert f"\nHint: {hint}" in done.err
    assert done.err.count("headrace: headrace") == 0


@pytest.mark.parametrize("word", ["runs", "show", "why", "logs", "resume"])
@pytest.mark.parametrize("named", [False, True])
def test_where_there_is_no_store_none_is_made(project: Any, here: Any, word: str, named: bool) -> None:
    place = project.folder / ".headrace"
    url = place.as_uri()
    done = here(word, "--store", url) if named else here(word)

    assert done.code == 2
    assert f"There is no store at '{url if named else place}'" in done.err
    assert not place.exists()


def test_help_imports_next_to_nothing() -> None:
    program = "import sys; from headrace.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"rich", "numpy", "polars", "pyarrow", "argparse", "dataclasses", "json", "asyncio", "inspect"}


def test_a_run_that_is_told_in_lines_loads_no_rich_and_no_user_module(project: Any) -> None:
    project.headrace("run", "flow.py")
    program = (
        "import sys; from headrace.cli.main import main; main(['run', 'flow.py']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=project.folder
    )

    assert "0 executed, 3 hits" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"rich", "numpy", "polars", "pyarrow", "flow", "helpers", "asyncio"}


def test_a_reader_who_goes_away_is_no_error_to_shout_about(project: Any) -> None:
    project.headrace("run", "flow.py")
    with project.start("show", "--json") as process:
        assert process.stdout is not None
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=30)

    assert "Traceback" not in err
    assert "BrokenPipeError" not in err
