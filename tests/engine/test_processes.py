"""What becomes of processes: time limits, crashes, want of memory, cancellation, and the death of the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from headrace import RunOutcome
from headrace.engine.events import NodeEnded, NodeProgressed, NodeStarted
from headrace.engine.records import RunRecord, run_ids
from headrace.stores.open import open_store

MARK = "HEADRACE_TEST_MARK"


def marked(mark: str) -> set[int]:
    """The processes that carry a mark in their environment."""
    found = set()
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.add(int(place.name))
    return found


def test_a_time_limit_kills_the_step_and_what_it_started(
    project: Any, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]
) -> None:
    monkeypatch.setenv(MARK, project.module)
    project.write(
        """
        import subprocess, time
        @step(timeout_seconds=0.5)
        def slow() -> int:
            print("started", flush=True)
            subprocess.Popen(["sleep", "60"])
            time.sleep(60)
            return 1
        @step
        def quick() -> int:
            return 1
        @pipeline
        def flow():
            slow(); quick()
        """
    )
    result = project.run()
    assert project.outcomes(result) == {"slow": "timed out", "quick": "succeeded"}
    failure = result.nodes["slow"].failure
    assert failure is not None
    assert failure.message == "The step took longer than its time limit of 0.5 seconds, and was killed"
    assert result.store.stream_path(f"runs/{result.run_id}/nodes/slow.1.log").read_text() == "started\n"
    wait_for(lambda: not marked(project.module) - {os.getpid()})


def test_a_time_limit_inline(project: Any) -> None:
    project.write(
        """
        import time
        @step(timeout_seconds=0.2)
        def slow() -> int:
            time.sleep(60)
            return 1
        @pipeline
        def flow():
            slow()
        """
    )
    result = project.run(inline=True)
    assert project.outcomes(result) == {"slow": "timed out"}


@pytest.mark.parametrize(
    ("death", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "The worker was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "The worker was killed by SIGSEGV"),
        ("os._exit(7)", "The worker ended with exit code 7 before the step was done"),
    ],
)
def test_a_crash_is_an_outcome_and_is_tried_again(project: Any, death: str, message: str) -> None:
    project.write(
        f"""
        import os, signal
        @step(retries=1, backoff_seconds=0.01)
        def bad() -> int:
            {death}
            return 1
        @step(retries=1, backoff_seconds=0.01)
        def once(mark: str) -> int:
            if not os.path.exists(mark):
                Path(mark).touch()
                {death}
            return 1
        @pipeline
        def flow(mark: str):
            bad(); once(mark)
        """
    )
    result = project.run({"mark": str(project.folder.parent / "mark")})
    assert project.outcomes(result) == {"bad": "crashed", "once": "succeeded"}
    assert result.nodes["bad"].attempt == 2
    failure = result.nodes["bad"].failure
    assert failure is not None
    assert failure.message == message


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A control group with a memory limit."""
    name = f"headrace-test-{os.getpid()}"
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / name
        try:
            group.mkdir()
            (group / limit).write_text(str(limit_bytes))
            with suppress(OSError):
                (group / "memory.swap.max").write_text("0")
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield group
        finally:
            for _ in range(100):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
        return
    pytest.skip("this machine lets us make no control group with a memory limit")


def test_want_of_memory_is_told_from_a_crash(project: Any) -> None:
    project.write(
        """
        @step
        def big() -> int:
            return len(bytearray(600 * 1024 * 1024).replace(b"\\0", b"1"))
        @pipeline
        def flow():
            big()
        """
    )
    with memory_group(300 * 1024 * 1024) as group:
        program = f"""
            import os
            open({str(group / "cgroup.procs")!r}, "w").write(str(os.getpid()))
            import headrace
            result = headrace.run("{project.module}.py", store="store")
            print(result.nodes["big"].outcome, "|", result.nodes["big"].failure.message)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            cwd=project.folder,
            check=False,
        )
    assert done.stdout == "out of memory | The kernel killed the worker for want of memory\n", done.stderr


def test_resources_are_set_aside(project: Any) -> None:
    cpus = os.cpu_count() or 1
    project.write(
        f"""
        import time
        @step(resources=Resources(cpus={cpus}))
        def whole(i: int) -> int:
            time.sleep(0.15)
            return i
        @step(resources=Resources(cpus={cpus + 5}))
        def more_than_there_is(i: int) -> int:
            import os
            assert os.environ["OMP_NUM_THREADS"] == "{cpus + 5}"
            time.sleep(0.15)
            return i
        @pipeline
        def flow():
            for i in range(2):
                whole(i); more_than_there_is(i)
        """
    )
    result = project.run(workers=4)
    assert result.outcome is RunOutcome.SUCCEEDED
    n_running = most = 0
    for event in project.events:
        n_running += isinstance(event, NodeStarted) - isinstance(event, NodeEnded)
        most = max(most, n_running)
    assert most == 1


def test_small_steps_run_side_by_side(project: Any) -> None:
    project.write(
        """
        import time
        @step
        def wait(i: int, place: str) -> int:
            Path(place, str(i)).touch()
            deadline = time.monotonic() + 20
            while len(list(Path(place).iterdir())) < 2:
                assert time.monotonic() < deadline, "alone"
                time.sleep(0.01)
            return i
        @pipeline
        def flow(place: str):
            wait(0, place); wait(1, place)
        """
    )
    place = project.folder.parent / "place"
    place.mkdir()
    assert project.run({"place": str(place)}, workers=2).outcome is RunOutcome.SUCCEEDED


def test_progress_is_told(project: Any, mode: dict[str, bool]) -> None:
    project.write(
        """
        @step
        def slow() -> int:
            progress(1, 2, "halves")
            return 1
        @pipeline
        def flow():
            slow()
        """
    )
    project.run(**mode)
    (event,) = [event for event in project.events if isinstance(event, NodeProgressed)]
    assert (event.node, event.done, event.total, event.message) == ("slow", 1, 2, "halves")


def test_native_output_is_captured(project: Any) -> None:
    project.write(
        """
        import os
        @step
        def loud() -> int:
            os.write(1, b"from below\\n"); os.system("echo from a child")
            assert os.read(0, 1) == b""
            return 1
        @pipeline
        def flow():
            loud()
        """
    )
    result = project.run()
    assert result.outcome is RunOutcome.SUCCEEDED
    log = result.store.stream_path(f"runs/{result.run_id}/nodes/loud.1.log").read_text()
    assert log == "from below\nfrom a child\n"


def test_the_worker_s_environment_is_steady(project: Any) -> None:
    project.write(
        """
        import os, time, random
        @step(resources=Resources(cpus=2))
        def look() -> dict[str, str]:
            names = ("PYTHONHASHSEED", "TZ", "LC_ALL", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")
            return {name: os.environ[name] for name in names} | {"zone": time.tzname[0], "hash": str(hash("a"))}
        @pipeline
        def flow():
            return look()
        """
    )
    seen = project.run().load()
    assert seen.pop("hash")
    assert seen == {
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "2",
        "POLARS_MAX_THREADS": "2",
        "zone": "UTC",
    }


SLOW = """
import os, subprocess, time
@step
def first() -> int:
    return 1
@step
def slow(x: int, mark: str) -> int:
    subprocess.Popen(["sleep", "300"])
    Path(f"{mark}.new").write_text(str(os.getpid()))
    Path(f"{mark}.new").rename(mark)
    time.sleep(300)
    return x
@pipeline
def flow(mark: str):
    slow(first(), mark)
"""


def start(project: Any, mark: Path) -> subprocess.Popen[str]:
    program = f"""
        import headrace, sys
        from headrace.core.outcome import RunOutcome
        result = headrace.run("{project.module}.py", {{"mark": {str(mark)!r}}}, store="store")
        sys.exit(result.outcome.exit_code)
    """
    environment = {**os.environ, MARK: project.module}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=project.folder,
        env=environment,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("victim", ["engine", "server", "worker"])
def test_nothing_is_left_running_after_a_kill(project: Any, victim: str, wait_for: Callable[..., None]) -> None:
    project.write(SLOW)
    mark = project.folder.parent / "mark"
    with start(project, mark) as engine:
        wait_for(mark.exists)
        worker = int(mark.read_text())
        server = _parent(worker)
        assert _parent(server) == engine.pid
        os.kill({"engine": engine.pid, "server": server, "worker": worker}[victim], signal.SIGKILL)
        status = engine.wait(timeout=20)
        assert status == (-signal.SIGKILL if victim == "engine" else 1)
        if victim == "server":
            # What a step started itself is the server's to kill; with the server gone only the workers are sure to end.
            for pid in marked(project.module):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"):
                    os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not marked(project.module))


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_an_interruption_cancels_the_run(project: Any, wait_for: Callable[..., None]) -> None:
    project.write(SLOW)
    mark = project.folder.parent / "mark"
    with start(project, mark) as engine:
        wait_for(mark.exists)
        engine.send_signal(signal.SIGINT)
        assert engine.wait(timeout=20) == 130
        wait_for(lambda: not marked(project.module))
    store = open_store(project.folder / "store")
    record = RunRecord(store, run_ids(store)[-1])
    end = record.end()
    assert end is not None
    assert (end["outcome"], end["counts"]) == ("cancelled", {"succeeded": 1, "cancelled": 1})


def test_a_secret_is_in_no_file(project: Any, mode: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s3cr3t/Pass word+1"
    monkeypatch.setenv("SMALL_SECRET", secret)
    project.write(
        """
        import base64, urllib.parse
        @step
        def use(password: Secret, fails: bool) -> int:
            value = password.reveal()
            print("the password is", value, urllib.parse.quote(value), base64.b64encode(value.encode()).decode())
            if fails:
                raise ValueError(f"cannot log in with {value}")
            return len(value)
        @pipeline
        def flow():
            use(Secret("SMALL_SECRET"), False); use(Secret("SMALL_SECRET"), True)
        """
    )
    result = project.run(**mode)
    assert project.outcomes(result) == {"use": "succeeded", "use-2": "failed"}
    log = result.store.stream_path(f"runs/{result.run_id}/nodes/use.1.log").read_text()
    assert log == "the password is *** *** ***\n"
    failure = result.nodes["use-2"].failure
    assert failure is not None
    assert failure.message == "ValueError: cannot log in with ***"
    for path in (project.folder / ".headrace").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_eight_at_once_adopt_the_winner(project: Any) -> None:
    project.write(
        """
        import os
        @step
        def one(i: int) -> list[int]:
            return [i, os.getpid()]
        @step
        def total(items: list[list[int]]) -> list[list[int]]:
            return items
        @pipeline
        def flow():
            return total([one(i) for i in range(6)])
        """
    )
    program = f"""
        import headrace, json
        for _ in range(2):
            result = headrace.run("{project.module}.py", store="store", inline=True)
            assert result.outcome == "succeeded", result.nodes
            print(json.dumps({{n: r.outputs["output"].digest for n, r in sorted(result.nodes.items())}}))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    running = [
        subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    seen = set()
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        seen.update(out.splitlines())
    assert len(seen) == 1
    assert len(json.loads(seen.pop())) == 7
    assert len(list((project.folder / "store" / "actions").rglob("*.json"))) == 7


def test_the_engine_may_be_used_from_a_thread(project: Any) -> None:
    project.write("@step\ndef one() -> int:\n    return 1\n@pipeline\ndef flow():\n    return one()\n")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(project.run().load()))
    thread.start()
    thread.join()
    assert found == [1]
