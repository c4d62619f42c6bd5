"""Files written aside: how they are named after their process, and swept once it is gone.

A name in ``scratch/`` is ``PID-START-SYSTEM-TAG-NUMBER``. The start time of the process tells it from a later one with
the same id, and ``SYSTEM`` (a hash of the boot and the pid namespace) tells this system's processes from those of
another machine or container that share the folder: of these nobody can say here whether they live, and their files
are left.

Folders are used again, under the names ``free-USER-TAG-NUMBER`` meanwhile: ext4 looks through all inodes that were
freed in the last minutes before it gives one out, so that after some thousand folders made and removed each takes
milliseconds.
"""

# ruff: noqa: PTH104, PTH108, PTH208
from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

FREE = "free"
"""How the names of folders begin that wait to be used again."""


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
    return _is_ours(owner, system) and not _lives(owner)


def belongs_to_the_living(name: str, system: str) -> bool:
    """Is this something of a process of this system that lives?"""
    owner = name.rsplit("-", 2)[0]
    return _is_ours(owner, system) and _lives(owner)


def _is_ours(owner: str, system: str) -> bool:
    pid, _, rest = owner.partition("-")
    return rest.partition("-")[2] == system and pid.isdecimal()


def _lives(owner: str) -> bool:
    pid, started = owner.split("-")[:2]
    now = start_time(int(pid))
    return now is not None and (now == started or "?" in (now, started))


def claim(folder: str, free: str) -> bool:
    """Make a free folder, one whose path begins with ``free``, our own as ``folder``. Says whether there was one."""
    scratch, _, beginning = free.rpartition("/")
    try:
        names = os.listdir(scratch)
    except FileNotFoundError:
        return False
    for name in names:
        if name.startswith(beginning):
            try:
                os.rename(f"{scratch}/{name}", folder)
            except FileNotFoundError:
                continue  # another was faster
            _empty(folder)
            return True
    return False


def give_back(folder: str, free: str) -> None:
    """Empty a folder and leave it for whoever needs one next. One that can't be emptied stays for the sweep."""
    try:
        _empty(folder)
        os.rename(folder, free)
    except OSError:
        return


def _empty(folder: str) -> None:
    if os.listdir(folder):
        for entry in list(os.scandir(folder)):
            remove(entry.path)


def remove(path: str) -> None:
    """Remove a file or a folder with what is in it. What can't be removed stays."""
    try:
        os.unlink(path)
    except OSError:
        _remove_folder(path)


def _remove_folder(path: str) -> None:
    # shutil.rmtree opens names relative to a folder's descriptor, which an audit hook takes for files of the project.
    for folder, folders, files in os.walk(path, topdown=False):
        # What is in a folder comes before it. A link to a folder is among the folders, and not gone into.
        for name in (*files, *folders):
            _try(os.unlink, f"{folder}/{name}")
        _try(os.rmdir, folder)


def _try(how: Callable[[str], None], path: str) -> None:
    try:
        how(path)
    except OSError:
        return
