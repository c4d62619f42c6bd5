"""The live display: on a real pseudo-terminal, and its parts."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from typing import Any

import pytest

from headrace.engine.events import NodeEnded, NodeProgressed, NodeRetried, NodeStarted, RunStarted

SLOW = """
import time
from headrace import pipeline, progress, step

@step
def quick() -> int:
    return 1

@step
def slow(number: int) -> int:
    for done in range(4):
        progress(done + 1, 4, "folds")
        time.sleep(0.25)
    return number

@step
def bad(number: int) -> int:
    raise ValueError("no \\x1b[2J luck")

@pipeline
def flow():
    return bad(slow(quick()))
"""


def on_a_terminal(project: Any, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command on a terminal of its own, and give its exit code and all that it drew."""
    ours, theirs = pty.openpty()
    environment = {**project.environment(), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli.main", *arguments],
        cwd=project.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if ready:
            try:
                block = os.read(ours, 1 << 16)
            except OSError:
                break  # the other end was closed
            if not block:
                break
            drawn += block
    os.close(ours)
    return process.wait(timeout=30), drawn.decode()


def test_steps_that_run_are_drawn_and_finished_ones_stay(bare: Any) -> None:
    bare.write("slow.py", SLOW)

    code, drawn = on_a_terminal(bare, "run", "slow.py")

    assert code == 1
    assert re.search(r"\x1b\[32m✓\x1b\[0m quick +\x1b\[32msucceeded +0\.\d+ s", drawn)
    assert re.search(r"  slow +0\.\d s", drawn)
    assert "4 folds" in drawn
    assert "━━━━━ " in drawn
    assert "of 3 steps in" in drawn
    assert "\x1b[?25l" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "✗" in drawn
    assert "\x1b[2J" not in drawn, "what a step says does not steer the terminal"
    assert "go on with: headrace run slow.py" in drawn


def test_no_colour_where_none_is_wanted(bare: Any) -> None:
    bare.write("slow.py", SLOW)

    _, drawn = on_a_terminal(bare, "run", "slow.py", env={"NO_COLOR": "1"})

    assert "✓ quick" in drawn
    assert not re.search(r"\x1b\[[0-9;]*m", drawn)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_redraw_gets_lines(project: Any, environment: dict[str, str]) -> None:
    code, drawn = on_a_terminal(project, "run", "flow.py", env=environment)

    assert code == 0
    assert "clean: succeeded in" in drawn
    assert "\x1b" not in drawn


def test_hits_are_drawn_without_rich(project: Any) -> None:
    project.headrace("run", "flow.py")
    program = "import sys; from headrace.cli.main import main; main(['run', 'flow.py']); print('rich' in sys.modules)"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=project.folder,
        env={**project.environment(), "TERM": "xterm"},
        stdout=theirs,
    )
    process.wait(timeout=30)
    os.close(theirs)
    drawn = os.read(ours, 1 << 16).decode()
    os.close(ours)

    assert "\x1b[36m=\x1b[0m" in drawn
    assert drawn.splitlines()[-1] == "False"


class Terminal(io.StringIO):
    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True


def display_of(encoding: str = "utf-8", n_nodes: int = 2) -> tuple[Any, Terminal]:
    from headrace.cli.live import LiveDisplay

    terminal = Terminal(encoding)
    display = LiveDisplay(terminal)
    display(RunStarted("r1", "flow", n_nodes, "file:///nowhere"))
    return display, terminal


def test_a_terminal_without_these_letters_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    display, terminal = display_of("ascii")
    display(NodeEnded("a", "succeeded", 1, 0.5, reason="why"))
    display(NodeEnded("b", "cached", 1, 0.0, reason="made by run x"))
    display(NodeRetried("c", 1, "failed", "busy", 2.0))
    display(NodeEnded("c", "failed", 2, 0.5, message="broke", where="x.py:3"))

    lines = terminal.getvalue().splitlines()
    assert lines == [
        "flow  run r1, 2 steps",
        "+ a             succeeded    0.5 s  why",
        "= b             cached              made by run x",
        "~ c             attempt 1 failed, next in 2.0 s  busy",
        "x c             failed       0.5 s  x.py:3 broke",
    ]
    lines[0].encode("ascii")


def test_of_a_large_run_only_what_is_executed_or_went_wrong_is_drawn() -> None:
    display, terminal = display_of(n_nodes=1000)
    display(NodeEnded("a", "cached", 1, 0.0, reason="made by run x"))
    display(NodeEnded("b", "upstream failed", 1, 0.0))
    display(NodeEnded("c", "crashed", 1, 0.1, message="gone"))

    drawn = terminal.getvalue()
    assert " c  " in drawn
    assert " a  " not in drawn
    assert " b  " not in drawn


def test_many_running_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.cli.live.SHOWN_AFTER_SECONDS", -1.0)
    display, terminal = display_of(n_nodes=30)
    for number in range(25):
        display(NodeStarted(f"step-{number}", 1 + number % 2))
    display(NodeProgressed("step-0", 5.0, None, "rows"))
    display(NodeProgressed("step-1", 3.0, 0.0, "of nothing"))
    display.tick()
    drawn = terminal.getvalue()
    display.close()

    assert re.search(r"0 of 30 steps in \d+\.\d s, 15 more running", drawn)
    assert "5 rows" in drawn
    assert "(attempt 2)" in drawn
    assert "step-9 " in drawn
    assert "step-10" not in drawn


class Gone(Terminal):
    """A terminal whose window was closed."""

    n_tries = 0

    def write(self, text: str) -> int:
        self.n_tries += 1
        raise OSError("gone")


@pytest.mark.parametrize("kind", ["live", "plain"])
def test_a_terminal_that_is_gone_does_not_end_the_run(kind: str) -> None:
    from headrace.cli.live import LiveDisplay
    from headrace.cli.plain import PlainConsole

    terminal = Gone("utf-8")
    display = LiveDisplay(terminal) if kind == "live" else PlainConsole(terminal)
    display(RunStarted("r1", "flow", 2, "file:///nowhere"))
    display(NodeEnded("a", "succeeded", 1, 0.5, reason="why"))
    display.tick()
    display.close()

    assert terminal.n_tries == 1, "it is not tried again"
