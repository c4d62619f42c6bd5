"""What the operating system lets us say about processes: groups, deaths, memory, and a steady environment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


def steady_environment(cpus: int) -> dict[str, str]:
    """What every worker's environment is set to: hash seed, time zone, locale, and ``cpus`` threads."""
    fixed = {
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HEADRACE_CPUS": str(cpus),
    }
    return fixed | dict.fromkeys(THREAD_LIMITS, str(cpus))


def worker_environment(environment: Mapping[str, str], cpus: int) -> dict[str, str]:
    """A worker's environment: the engine's own, with what must be steady set."""
    return {**environment, **steady_environment(cpus)}


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Linux alone; elsewhere it does nothing."""
    end_with_parent(signal.SIGKILL)


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends. Linux alone; elsewhere it does nothing."""
    _prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of what this process's descendants leave behind. Linux alone."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def open_log(path: str) -> int:
    """Open a log for appending, its folder made if absent, and return the file descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)


def kill_group(group: int) -> None:
    """Kill a process group, if it is there."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def descendants(pid: int) -> Iterator[int]:
    """The processes below a process, as the kernel tells now; none where it does not tell."""
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(text) for text in listing.read_text().split()]
            except (OSError, ValueError):
                continue
            yield from children
            waiting.extend(children)


def kill_children(within_seconds: float = 10.0) -> None:
    """Kill everything below this process, and take note of each death.

    What a dying process leaves behind has no place in the tree for an instant, until this process has adopted it
    (`adopt_orphans`): so it looks again until nothing is left, or until ``within_seconds`` are over.
    """
    deadline = time.monotonic() + within_seconds
    while (below := list(descendants(os.getpid()))) and time.monotonic() < deadline:
        for pid in below:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        while _reap_one():
            pass
        time.sleep(0.001)


def _reap_one() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def kill_session(session: int) -> None:
    """Kill all processes of a session, whoever is their parent by now. Linux alone; elsewhere it does nothing."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # After the name in parentheses: state, parent, group, session.
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def count_out_of_memory_kills() -> int:
    """How often the kernel has killed for want of memory: this machine's count and the own control group's."""
    counts = [_counter(Path("/proc/vmstat"), "oom_kill")]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers == "":
                counts.append(_counter(Path(f"/sys/fs/cgroup{place}/memory.events"), "oom_kill"))
            elif controllers == "memory":
                counts.append(_counter(Path(f"/sys/fs/cgroup/memory{place}/memory.oom_control"), "oom_kill"))
    return sum(counts)


def _counter(file: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def n_threads() -> int:
    """How many threads this process has; 1 where the kernel does not tell."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 1


def memory_bytes() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
