"""Files written aside: how they are named after their process, and swept once it is gone.

A name in ``scratch/`` is ``PID-START-SYSTEM-TAG-NUMBER``. The start time of the process tells it from a later one with
the same id, and ``SYSTEM`` (a hash of the boot and the pid namespace) tells this system's processes from those of
another machine or container that share the folder: of these nobody can say here whether they live, and their files
are left.
"""

# ruff: noqa: PTH106, PTH108, PTH112, PTH208
from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path


def system_tag() -> str:
    """Eight characters that stand for this boot of this machine and this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux: the host's name has to do
        boot, namespace = os.uname().nodename.encode(), 0
    return sha256(boot + str(namespace).encode()).hexdigest()[:8]


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since the boot. None if it has ended, "?" if that can't be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "?" if _is_there(pid) else None
    # A zombie writes no more, and stays for long where nobody reaps it.
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # there, and another user's
        return True
    return True


def owner_name(pid: int, system: str) -> str:
    """The beginning of the names of what the process ``pid`` writes aside."""
    return f"{pid}-{start_time(pid) or '?'}-{system}"


def sweep(folder: str, system: str) -> None:
    """Remove what processes of this system wrote aside and left when they died. What can't be removed stays."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    left_by_dead: dict[str, bool] = {}
    for entry in entries:
        owner = entry.name.rsplit("-", 2)[0]
        if owner not in left_by_dead:
            left_by_dead[owner] = _is_dead(owner, system)
        if left_by_dead[owner]:
            remove(entry.path)


def _is_dead(owner: str, system: str) -> bool:
    pid, _, rest = owner.partition("-")
    started, _, owner_system = rest.partition("-")
    if owner_system != system or not pid.isdecimal():
        return False
    now = start_time(int(pid))
    return now is None or (now != started and "?" not in (now, started))


def remove(path: str) -> None:
    """Remove a file or a folder with what is in it. What can't be removed stays."""
    try:
        os.unlink(path)
    except IsADirectoryError:
        remove_folder(path)
    except OSError:
        if os.path.isdir(path):  # some systems say EPERM for a folder
            remove_folder(path)


def remove_folder(path: str) -> None:
    """Remove a folder with what is in it. What can't be removed stays."""
    try:
        os.rmdir(path)
    except OSError:
        _remove_what_is_in(path)


def _remove_what_is_in(path: str) -> None:
    try:
        # Mostly there are empty folders, from which the files were taken over: ten times faster than rmtree.
        for name in os.listdir(path):
            os.rmdir(f"{path}/{name}")
        os.rmdir(path)
    except OSError:
        import shutil

        shutil.rmtree(path, ignore_errors=True)
