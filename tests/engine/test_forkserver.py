"""The fork server: what it may load ahead, what it does with what it may not, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.engine.launch import (
    PRELOADABLE,
    CallTimedOutError,
    CancelledError,
    ForkServer,
    ForkServers,
    WorkerDiedError,
)
from headrace.engine.starting import started_ahead

WORK = {
    "numpy": "import numpy\nanswer = float((numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum())",
    "pyarrow": "import pyarrow\nanswer = pyarrow.table({'a': list(range(1000))}).group_by('a').aggregate([]).num_rows",
    "polars": """
        import polars
        table = polars.DataFrame({"a": range(1000), "b": ["x", "y"] * 500}).lazy()
        answer = table.group_by("b").agg(polars.col("a").median()).collect(engine="streaming")["a"].sum()
    """,
    "narwhals": "import narwhals, polars\nanswer = narwhals.from_native(polars.DataFrame({'a': [1]})).shape[0]",
    "pandas": "import pandas\nanswer = int(pandas.DataFrame({'a': range(1000)}).groupby('a').size().sum())",
    "scikit-learn": """
        import numpy
        from sklearn.ensemble import HistGradientBoostingClassifier
        x = numpy.random.default_rng(0).normal(size=(500, 3))
        answer = int(HistGradientBoostingClassifier(max_iter=3).fit(x, x[:, 0] > 0).predict(x).sum())
    """,
}


def do(source: str) -> Any:
    scope: dict[str, Any] = {}
    exec(source, scope)
    return scope["answer"]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ForkServer]]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    started: list[ForkServer] = []
    yield started
    for server in started:
        server.close()


def start(servers: list[ForkServer], cpus: int = 1, modules: tuple[str, ...] = ()) -> ForkServer:
    servers.append(ForkServer(cpus, modules))
    return servers[-1]


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("name", list(PRELOADABLE))
def test_what_is_preloaded_survives_a_fork(servers: list[ForkServer], name: str, cpus: int) -> None:
    """Each library works in workers forked one after the other, and was really there before the fork."""
    if importlib.util.find_spec(PRELOADABLE[name][0].partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    server = start(servers, cpus, PRELOADABLE[name])
    loaded = f"import sys\nanswer = {PRELOADABLE[name][-1]!r} in sys.modules"
    assert server.call("test_forkserver:do", loaded, timeout_seconds=60) is True
    source = textwrap.dedent(WORK[name])
    assert len({server.call("test_forkserver:do", source, timeout_seconds=60) for _ in range(5)}) == 1


def test_a_library_that_starts_a_thread_is_not_preloaded(
    servers: list[ForkServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parent}")
    server = start(servers, 1, ("threaded", "broken", "colorsys"))
    look = "import sys\nanswer = [name in sys.modules for name in ('threaded', 'broken', 'colorsys')]"
    assert server.call("test_forkserver:do", look, timeout_seconds=20) == [False, False, True]
    threads = "import threading\nanswer = threading.active_count()"
    assert server.call("test_forkserver:do", threads, timeout_seconds=20) == 1


def test_a_worker_that_dies_or_takes_too_long(servers: list[ForkServer]) -> None:
    server = start(servers)
    with pytest.raises(WorkerDiedError, match="exit code 3"):
        server.call("test_forkserver:do", "import os; os._exit(3)")
    with pytest.raises(WorkerDiedError, match="exit code 1"):
        server.call("test_forkserver:do", "1 / 0")
    with pytest.raises(CallTimedOutError):
        server.call("test_forkserver:do", "import time; time.sleep(60)", timeout_seconds=0.2)
    assert server.call("test_forkserver:do", "answer = 'fine'") == "fine"


def test_large_requests_and_answers(servers: list[ForkServer]) -> None:
    text = "x" * 3_000_000
    assert start(servers).call("test_forkserver:do", f"answer = {text!r}") == text


def test_a_server_that_was_started_ahead_is_used_or_ended(servers: list[ForkServer]) -> None:
    where = "import os\nanswer = os.getppid()"
    with started_ahead() as ahead:
        process = ahead._started.process if ahead._started else None
        many = ForkServers(ahead)
        servers += [many.get(1), many.get(2)]
        pids = [server.call("test_forkserver:do", where) for server in servers]
    assert process is not None
    assert pids[0] == process.pid != pids[1]
    assert servers[0].call("test_forkserver:do", where) == process.pid, "another call is made all the same"
    with started_ahead() as ahead:
        assert ahead._started is not None
        unused = ahead._started.process
    assert unused.returncode == -signal.SIGKILL


def test_a_dead_server_is_an_error_not_a_hang(servers: list[ForkServer]) -> None:
    server = start(servers)
    server.call("test_forkserver:do", "answer = 1")
    os.kill(server._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError):
        server.call("test_forkserver:do", "answer = 1")


def test_the_engine_s_imports_stay_light(tmp_path: Path) -> None:
    """A run that finds all in the cache must import neither a heavy library nor a user's module."""
    (tmp_path / "small.py").write_text(
        "from headrace import pipeline, step\nimport numpy\n"
        "@step\ndef one() -> int:\n    return 1\n@pipeline\ndef flow():\n    return one()\n"
    )
    program = (
        "import sys, headrace\n"
        "headrace.run('small.py')\n"
        "print(*sorted(n for n in ('small', 'numpy', 'polars', 'pyarrow', 'sklearn', 'rich', 'asyncio') "
        "if n in sys.modules))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_worker_that_is_killed_while_it_stands_by_is_replaced(servers: list[ForkServer]) -> None:
    from headrace.engine.process import descendants

    server = start(servers)
    server.call("test_forkserver:do", "answer = 1")
    for turn in range(5):
        for pid in descendants(server._process.pid):
            os.kill(pid, signal.SIGKILL)
        assert server.call("test_forkserver:do", f"answer = {turn}") == turn


LEAVERS = """
import os, signal, subprocess, sys
from headrace.engine.process import adopt_orphans, descendants, kill_children
adopt_orphans()
sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
for _ in range(40):
    read, write = os.pipe()
    workers = []
    for _ in range(3):
        if (pid := os.fork()) == 0:
            subprocess.Popen(sleeper, start_new_session=True)
            os.write(write, b".")
            signal.pause()
        workers.append(pid)
    for _ in workers:
        os.read(read, 1)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    kill_children()  # while they die, each with a process in a session of its own
    assert not list(descendants(os.getpid()))
"""


def test_what_a_dying_process_leaves_behind_is_found() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVERS], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_after_a_cancellation_no_call_begins(servers: list[ForkServer], tmp_path: Path) -> None:
    server = start(servers)
    server.call("test_forkserver:do", "answer = 1")
    server.cancel()
    with pytest.raises(CancelledError, match="The run was cancelled"):
        server.call("test_forkserver:do", f"open({str(tmp_path / 'begun')!r}, 'w')\nanswer = 1")
    server.close()
    assert not (tmp_path / "begun").exists()


def test_a_worker_stands_by_for_one_place(servers: list[ForkServer], tmp_path: Path) -> None:
    """Its folder and its import path are those of the call that it gets, not of the call before."""
    server = start(servers)
    look = "import os, sys\nanswer = [os.getcwd(), sys.path[0]]"
    for name in ("one", "one", "other", "other", "one"):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        target = {"root": str(root), "paths": [f"{root}/src"], "module": "pipeline", "attribute": None}
        found = server.call("test_forkserver:do", look, place=[target, f"{tmp_path}/store"])
        assert found == [f"{root}", f"{root}/src"]


def test_each_call_has_a_process_of_its_own(servers: list[ForkServer]) -> None:
    server = start(servers)
    pids = [server.call("test_forkserver:do", "import os\nanswer = os.getpid()") for _ in range(20)]
    assert len(set(pids)) == 20
