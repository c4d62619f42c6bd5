"""Other trouble than kills: a disk that is full, a store that can't be written, objects that are damaged or gone.

Full and read-only disks are a tmpfs over the store's folder, in a mount namespace of the trial's own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from headrace.core.errors import DamagedObjectError
from headrace.stores.local import LocalStore
from headrace.testing.stores import check_whole
from kills.instants import Instant
from kills.processes import marked, server_of, wait_till, workers_of
from kills.trial import (
    LONGEST_DEATH_SECONDS,
    LONGEST_RUN_SECONDS,
    Place,
    Undisturbed,
    WrongError,
    check_next_run,
    check_nothing_runs,
    finish,
    finished_steps,
    kill,
    strike,
)

Trial = dict[str, Any]
KINDS_OF_DAMAGE = ("altered", "cut short", "emptied", "removed")
VICTIMS = ("engine", "a worker", "both", "server")
LARGE = "size=64m,nr_inodes=0"


def trouble_trials(folder: Path, expected: Undisturbed, seed: int, n_each: int = 10) -> list[Trial]:
    """Trials of each kind, drawn from the seed. What went wrong is in a trial's ``wrong``."""
    rng = random.Random(f"trouble {seed}")
    mounts = can_mount(folder)
    trials = []
    for number in range(n_each):
        trials.append(damaged_objects(folder, expected, number, rng))
        if mounts:
            # Small files take a page each: small sizes fill up among the records, large ones in the big file.
            n_bytes = int(8192 * (expected.n_bytes / 8192) ** rng.random())
            limit = f"nr_inodes={rng.randint(8, 100)}" if number % 3 == 2 else f"size={n_bytes}"
            trials.append(on_own_mount("full disk", folder, expected, number, limit=limit))
            trials.append(on_own_mount("read-only", folder, expected, number, seconds=rng.uniform(0, expected.seconds)))
    if not mounts:
        trials.append({"kind": "full disk", "skipped": "mounting a tmpfs isn't permitted here"})
    trials += [started_process(folder, victim, own) for victim in VICTIMS for own in (False, True)]
    for trial in trials:
        print(("WRONG: " if "wrong" in trial else "") + f"seed {seed}, {trial}", flush=True)
    return trials


def started_process(folder: Path, victim: str, own_session: bool) -> Trial:
    """A step has started a process that goes on for two minutes, and somebody is killed: it must not be left behind.

    Known: when the fork server itself is killed, nobody can find a process any more that made a session of its own.
    """
    is_known_leak = victim == "server" and own_session
    place = Place(folder / f"started-{victim.replace(' ', '-')}-{own_session}")
    trial: Trial = {"kind": "started process", "victim": victim, "own_session": own_session}
    sign = place.folder / "sign"
    engine = place.start(target="starter.py:starter", sign=str(sign), own_session=own_session)
    try:
        if not wait_till(lambda: sign.exists() or engine.poll() is not None, LONGEST_RUN_SECONDS):
            raise WrongError("the step's process did not start")
        victims = {
            "engine": [engine.pid],
            "a worker": workers_of(engine.pid, place.name),
            "both": [engine.pid, *workers_of(engine.pid, place.name)],
            "server": server_of(engine.pid, place.name),
        }[victim]
        if not victims:
            raise WrongError("there was nobody to kill")
        kill(victims)
        ended = finish(engine)
        trial |= {"engine": ended.exit_code, "outcomes": ended.outcomes()}
        trial["death_seconds"] = round(check_nothing_runs(place, 1.0 if is_known_leak else LONGEST_DEATH_SECONDS), 3)
    except WrongError as error:
        return {**trial, "known leak" if is_known_leak else "wrong": str(error)}
    finally:
        engine.kill()
        kill(marked(place.name))
    place.remove()
    return trial


def can_mount(folder: Path) -> bool:
    """May we mount a tmpfs that nobody else sees?"""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def damaged_objects(folder: Path, expected: Undisturbed, number: int, rng: random.Random) -> Trial:
    """Damage some objects of a finished run and forget some of its steps: the next runs must make them again."""
    place = Place(folder / f"damaged{number}")
    trial: Trial = {"kind": "damaged objects", "number": number}
    try:
        _succeed(place, expected)
        store = LocalStore(place.store)
        objects = rng.sample(list(store.list_objects()), rng.randint(1, 6))
        damage = {digest: rng.choice(KINDS_OF_DAMAGE) for digest in objects}
        for digest, kind in damage.items():
            _damage(place.store / "objects" / digest[:2] / digest, kind)
        actions = list(store.list_records("actions"))
        forgotten = rng.sample(actions, rng.randint(1, len(actions)))
        for name in forgotten:
            store.delete_record(name)
        trial |= {"damage": sorted(damage.values()), "n_forgotten": len(forgotten)}
        _succeed(place, expected)
        trial["n_unread"] = _drop_what_nobody_read(store, damage)
        _succeed(place, expected)
        check_whole(LocalStore(place.store))
        check_nothing_runs(place)
    except (WrongError, AssertionError) as error:
        return {**trial, "wrong": str(error)}
    place.remove()
    return trial


def _damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    if kind == "removed":
        path.unlink()
    elif kind == "altered":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        path.write_bytes(data[: len(data) // 2] if kind == "cut short" else b"")


def _drop_what_nobody_read(store: LocalStore, damage: dict[str, str]) -> int:
    """An altered object keeps its size, so it may still be there if nobody had to read it; nothing else may."""
    n_dropped = 0
    for digest in store.list_objects():
        try:
            store.open_object(digest)
        except DamagedObjectError as error:
            if damage.get(digest) != "altered":
                raise WrongError(f"damage was left that its size shows: {error}") from error
            store.drop_object(digest)
            n_dropped += 1
    return n_dropped


def _succeed(place: Place, expected: Undisturbed) -> None:
    ended = place.run()
    if ended.exit_code != 0 or ended.digests() != expected.digests:
        raise WrongError(f"the run ended with {ended.exit_code}: {ended.outcomes()}\n{ended.errors[-3000:]}")


def on_own_mount(kind: str, folder: Path, expected: Undisturbed, number: int, **options: object) -> Trial:
    """Carry out a trial in a process that has mounts of its own."""
    place = Place(folder / f"{kind.replace(' ', '-')}{number}")
    request = {"kind": kind, "folder": str(place.folder), "options": options}
    command = ["unshare", "-m", sys.executable, __file__, json.dumps({**request, "expected": asdict(expected)})]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    trial: Trial = {"kind": kind, "number": number, **options}
    if done.returncode != 0:
        return {**trial, "wrong": done.stderr[-4000:]}
    place.remove()
    return {**trial, **json.loads(done.stdout.splitlines()[-1])}


def full_disk(place: Place, expected: Undisturbed, limit: str) -> Trial:
    """The disk fills up during a run: it fails and says so, the store is whole, and with more space all goes on."""
    _mount(place, limit)
    ended = place.run()
    check_nothing_runs(place)
    if ended.exit_code == 0:
        return {"has_come": False}
    texts = ended.errors + "".join(node["message"] for node in (ended.report or {"nodes": {}})["nodes"].values())
    if ended.exit_code != 1 or "No space is left to " not in texts:
        raise WrongError(f"a full disk isn't said to be the reason, exit code {ended.exit_code}:\n{texts[-3000:]}")
    if (place.store / "store.json").exists():
        check_whole(LocalStore(place.store))
    _mount(place, f"remount,{LARGE}")
    return {"has_come": True, "n_hits": check_next_run(place, expected), "is_reported": ended.report is not None}


def read_only(place: Place, expected: Undisturbed, seconds: float) -> Trial:
    """A store turns read-only after a run that was killed: runs say so, and what is there can be read."""
    _mount(place, LARGE)
    has_come, _ = strike(place, Instant(0, "engine", seconds=seconds), random.Random(0))
    check_nothing_runs(place)
    is_there = (place.store / "store.json").exists()
    finished = finished_steps(LocalStore(place.store)) if is_there else set()
    _mount(place, "remount,ro")
    ended = place.run()
    if ended.exit_code != 1 or "Read-only file system" not in ended.errors or "StoreReadOnlyError" not in ended.errors:
        raise WrongError(f"a read-only store isn't said to be the reason:\n{ended.errors[-3000:]}")
    check_nothing_runs(place)
    if is_there:
        check_whole(LocalStore(place.store))
        if finished_steps(LocalStore(place.store)) != finished:
            raise WrongError("a read-only store holds something else than before")
    _mount(place, "remount,rw")
    return {"has_come": has_come, "n_hits": check_next_run(place, expected)}


def _mount(place: Place, options: str) -> None:
    place.store.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.store)], check=True)


def main(request: dict[str, Any]) -> None:
    """Carry out a trial in this process, which has mounts of its own."""
    trials: dict[str, Callable[..., Trial]] = {"full disk": full_disk, "read-only": read_only}
    place = Place(Path(request["folder"]))
    expected = Undisturbed(**request["expected"])
    print("\n" + json.dumps(trials[request["kind"]](place, expected, **request["options"])))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
