"""What a shell is told that can come next: taken from the parsers, tried in a real bash."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from headrace.cli import completion
from headrace.cli.main import WORDS, main
from headrace.cli.parser import UsageError, parser_of

BIN = str(Path(sys.executable).parent)
PIPELINE = """
from headrace import pipeline, step

@step
def load_rows(n: int) -> int:
    return n

@step
def look(n: int) -> int:
    return n

@pipeline
def flow(n_rows: int = 3, share: float = 0.5) -> int:
    return look(load_rows(n_rows))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.headrace]\npipeline = 'work:flow'\n")
    (tmp_path / "work.py").write_text(PIPELINE)
    (tmp_path / "some file.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(*words: str) -> list[str]:
    return [value for value, _ in completion.candidates(list(words))]


def test_words(project: Path) -> None:
    listed = [word for word, (_, _, group) in WORDS.items() if group]
    assert offered("") == [*listed, "--help", "--version", "--completion"]
    assert offered("ru") == ["run", "runs"]
    assert offered("nothing", "") == [] == offered("--help", "")
    assert offered("--completion", "") == ["bash", "zsh", "fish"]


def leaves(words: Mapping[str, tuple[str, ...]], *before: str) -> Iterator[tuple[str, ...]]:
    """Every word that is done, with the group that it is in."""
    for word, (module, *_) in words.items():
        inner = getattr(import_module(module), "WORDS", None)
        yield from leaves(inner, *before, word) if inner else [(*before, word)]


@pytest.mark.parametrize("words", list(leaves(WORDS)), ids=" ".join)
def test_every_option_of_every_word_is_offered(words: tuple[str, ...]) -> None:
    module = import_module(WORDS[words[0]][0])
    for depth, word in enumerate(words[1:], 1):
        assert set(offered(*words[:depth], "")) == {*module.WORDS, "--help"}
        module = import_module(module.WORDS[word][0])
    parser = parser_of(module.main)
    said = parser.format_help()
    found = offered(*words, "-")
    assert set(found) == {action.option_strings[-1] for action in parser._actions if action.option_strings}
    assert {"--help"} < set(found) and all(option in said for option in found)


def test_words_of_a_group() -> None:
    assert offered("store", "") == ["gc", "check", "doctor", "--help"]
    assert offered("store", "gc", "--dry") == ["--dry-run"]
    assert "--repair" in offered("store", "check", "-")


def test_options_that_are_there_are_not_offered_again(project: Path) -> None:
    assert "--json" not in offered("show", "--json", "--")
    assert {"--report", "--save", "--plan"} & set(offered("show", "--plan", "--")) == set()
    assert "-p" in offered("run", "-p", "n_rows=1", "-")
    assert offered("init", "x", "--template", "re") == ["regression"]
    assert offered("init", "x", "--template=cl") == ["classification"] == offered("init", "x", "--template", "=", "cl")


def test_pipelines_parameters_and_files(project: Path) -> None:
    assert offered("run", "") == ["flow"]
    assert offered("run", "./") == [completion.FILES] == offered("init", "x", "--data", "")
    assert offered("run", "-p", "") == ["n_rows=", "share="] == offered("run", "work.py", "-p", "")
    assert offered("run", "-p", "share=") == ["share="]
    assert offered("run", "--workers", "") == []
    assert offered("run", "flow", "") == []


def test_runs_steps_and_outputs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--complete", "show", ""]) == 1, "there is no store yet"
    assert capsys.readouterr() == ("", "")
    assert main(["run", "-q"]) == 0
    (run,) = [word for word in offered("cancel", "") if word != "latest"]
    assert offered("show", "") == ["latest", "load_rows", "look", run]
    assert offered("resume", "") == ["latest", run]
    assert offered("why", "lo") == ["load_rows", "look"]
    assert offered("show", "latest", "") == ["load_rows", "look", "latest", run]
    assert offered("logs", run, "") == ["load_rows", "look"] == offered("logs", "--follow", "latest", "")
    assert offered("show", run[:4]) == [run]
    assert offered("show", "--save", "") == ["output"]
    assert offered("show", "--save", "output", "") == [completion.FILES]
    assert offered("run", "--from", "loo") == ["look"]
    (project / "elsewhere").mkdir()
    os.chdir(project / "elsewhere")
    assert offered("show", f"--store={project}/.headrace", "lo") == ["load_rows", "look"]
    assert offered("show", "--store", f"{project}/.headrace", "lo") == ["load_rows", "look"]


def test_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in completion.SHELLS:
        assert main(["--completion", shell]) == 0
        assert "headrace --completion" in capsys.readouterr().out
    assert main(["--completion", "zhs"]) == 2
    assert "takes a shell: bash, zsh, fish.\nHint: did you mean 'zsh'?" in capsys.readouterr().err
    with pytest.raises(UsageError):
        completion.main([])


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not on this machine")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["headrace", "re"], ["resume"]),
        (["headrace", "run", "fl"], ["flow"]),
        (["headrace", "run", "-p", "sh"], ["share="]),
        (["headrace", "init", "x", "--template", "=", "e"], ["empty"]),
        (["headrace", "init", "x", "--data", "so"], []),
        (["headrace", "why", "*"], []),
    ],
)
def test_in_a_real_bash(project: Path, words: list[str], expected: list[str]) -> None:
    listed = " ".join(f"'{word}'" for word in words)
    script = (
        f'set -u; eval "$(headrace --completion bash)"; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; '
        'compopt() { echo "compopt $*"; }; _headrace headrace; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=project,
        env=shell_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line]
    assert [line for line in lines if not line.startswith("compopt")] == expected
    hints = [line for line in lines if line.startswith("compopt")]
    assert hints == (["compopt -o default"] if "--data" in words else ["compopt -o nospace"] if "-p" in words else [])


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not on this machine")
def test_in_a_real_fish(project: Path) -> None:
    script = "headrace --completion fish | source; complete -C 'headrace re'; complete -C 'headrace run fl'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], cwd=project, env=shell_environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["resume", "flow"]


@pytest.mark.parametrize(
    ("command", "set_up"),
    [
        (["bash", "--norc", "--noprofile", "-i"], 'eval "$(headrace --completion bash)"'),
        (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(headrace --completion zsh)"'),
    ],
    ids=["bash", "zsh"],
)
def test_tab_in_a_terminal(project: Path, command: list[str], set_up: str) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not on this machine")
    main_end, end = pty.openpty()
    shell = subprocess.Popen(
        command, stdin=end, stdout=end, stderr=end, cwd=project, env=shell_environment(), start_new_session=True
    )
    os.close(end)
    try:
        os.write(main_end, f'{set_up}; echo rea""dy\n'.encode())
        read_until(main_end, b"ready\r")
        os.write(main_end, b'headrace run fl\t\b; echo en""d\n')
        assert b"headrace run flow" in read_until(main_end, b"end\r")
    finally:
        shell.kill()
        shell.wait()
        os.close(main_end)


def shell_environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ "}


def read_until(end: int, words: bytes) -> bytes:
    """Read a terminal until something is there; a minute at most."""
    found, last = b"", time.monotonic() + 60
    while words not in found and time.monotonic() < last:
        if select.select([end], [], [], 1.0)[0]:
            found += os.read(end, 4096)
    assert words in found, found
    return found


def test_completion_is_light() -> None:
    code = "from headrace.cli.completion import candidates; list(candidates(['run', '--']))"
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "polars", "pyarrow", "rich", "sklearn"} & set(done.stdout.split())
