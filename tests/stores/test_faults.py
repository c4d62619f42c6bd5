from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core.faults import Fault, fault_point, from_environment
from headrace.testing.faults import check_point, fault_here, passages


def struck(fault: Fault, n_times: int, point: str = "store.record.before_link") -> list[int]:
    at = []
    for number in range(1, n_times + 1):
        try:
            fault.pass_by(point)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert str(error) == f"[Errno 28] No space left on device (a fault at {point})"
            at.append(number)
    return at


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("store.record.before_link:enospc", [1]),
        ("store.record.before_link:enospc:3", [3]),
        ("store.record.before_link:enospc:3+", [3, 4, 5]),
        ("*:enospc:2", [2]),
        ("*:enospc:0", []),
        ("store.record.after_link:enospc", []),
    ],
)
def test_a_fault_strikes_at_its_passage(spec: str, expected: list[int]) -> None:
    assert struck(Fault(spec), 5) == expected


def test_a_counter_file_counts_for_all(tmp_path: Path) -> None:
    assert passages(tmp_path / "absent") == []
    counter = tmp_path / "counter: with colons"
    spec = f"store.record.before_link:enospc:4:{counter}"
    one, other = Fault(spec), Fault(spec)
    assert (struck(one, 2), struck(other, 3), struck(one, 2)) == ([], [2], [])
    assert passages(counter) == [(os.getpid(), "store.record.before_link")] * 7


def test_a_forked_process_counts_on(tmp_path: Path) -> None:
    code = (
        "import os; from headrace.core.faults import fault_point\n"
        "if os.fork() == 0: fault_point('here'); fault_point('here'); os._exit(0)\n"
        "os.wait(); fault_point('here'); fault_point('here')"
    )
    counter = tmp_path / "counter"
    spec = f"here:kill:4:{counter}"
    environment = {**os.environ, "HEADRACE_FAULT": spec, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -9
    pids = [pid for pid, _ in passages(counter)]
    assert len(pids) == 4
    assert pids[0] == pids[1] != pids[2] == pids[3]


@pytest.mark.parametrize("spec", ["x", "x:", "x:nothing", ":", "x:killed:2"])
def test_a_spec_that_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"HEADRACE_FAULT='.*' must be POINT:ACTION\[:PASSAGE\[:COUNTER\]\]"):
        Fault(spec)


def test_without_a_spec_nothing_is_armed() -> None:
    assert from_environment(None) is None
    assert from_environment("") is None


def test_a_fault_of_this_process_ends_with_its_block() -> None:
    with fault_here("store.record.before_link", "eio"), pytest.raises(OSError, match="a fault at"):
        fault_point("store.record.before_link")
    fault_point("store.record.before_link")


@pytest.mark.parametrize(("action", "status"), [("kill", -9), ("eio", 1)])
def test_the_environment_arms_a_process(action: str, status: int) -> None:
    code = "from headrace.core.faults import fault_point; fault_point('a'); fault_point('b')"
    environment = {**os.environ, "HEADRACE_FAULT": f"b:{action}", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == status
    assert ("a fault at b" in done.stderr) is (action == "eio")


def test_a_stopped_process_waits_where_it_is() -> None:
    code = "from headrace.core.faults import fault_point; print('before', flush=True); fault_point('b'); print('after')"
    environment = {**os.environ, "HEADRACE_FAULT": "b:stop", "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    child.send_signal(18)
    assert child.communicate()[0] == b"before\nafter\n"


def test_known_points_pass() -> None:
    check_point("*")
    check_point("store.object.half_written")
    with pytest.raises(ValueError, match="There is no fault point 'store'"):
        check_point("store")
