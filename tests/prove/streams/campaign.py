"""Kills at random instants while Kafka and Redis are read, and a record of them."""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from commits import commit

from headrace.testing.brokers import missing_kafka, missing_redis, mock_kafka, redis_server
from streams.place import BarePlace, Place, Sender, WrongError

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "streams.json"
POINTS = ("streams.before_landing", "streams.landed", "streams.committed", "engine.before_action")
SHARE_UNDISTURBED = 0.1
SHARE_AT_POINTS = 0.1
SHARE_CLEANED = 0.1
MOST_TRIES = 4


def campaign(place: Place, sender: Sender, seed: int, n_kills: int, most_seconds: float = math.inf) -> dict[str, Any]:
    """Kill so many runs, let others through, and look at the end whether each message has landed once.

    With ``most_seconds`` no further run is killed once they have passed.
    """
    chance = random.Random(seed)
    sender.send(50)
    place.run()
    started = time.perf_counter()
    place.run()
    seconds = time.perf_counter() - started
    counts = dict.fromkeys(("n_kills", "n_too_late", "n_undisturbed", "n_workers_killed", "n_cleaned"), 0)
    with sender.sending():
        for _ in range(MOST_TRIES * n_kills):
            if counts["n_kills"] >= n_kills or time.perf_counter() - started > most_seconds:
                break
            draw = chance.random()
            if draw < SHARE_UNDISTURBED:
                place.run()
                counts["n_undisturbed"] += 1
            elif draw < SHARE_UNDISTURBED + SHARE_AT_POINTS and not isinstance(place, BarePlace):
                # A worker dies there, once; the engine lives, and tries the step again.
                counter = place.folder / f"passages-{counts['n_workers_killed']}"
                place.run(f"{chance.choice(POINTS)}:kill:1:{counter}")
                counts["n_workers_killed"] += 1
            else:
                is_alive = place.kill(chance.uniform(0.0, 1.1 * seconds))
                counts["n_kills" if is_alive else "n_too_late"] += 1
                if counts["n_kills"] % 10 == 0:
                    print(f"seed {seed}: {counts}, {sender.n_sent} messages", flush=True)
            if chance.random() < SHARE_CLEANED:
                place.clean_up()
                counts["n_cleaned"] += 1
    for _ in range(2):
        place.run()
    return {**counts, "n_messages": sender.n_sent, "run_seconds": round(seconds, 3), **place.check(sender.n_sent)}


def carry_out(folder: Path, seed: int, n_kills: int, most_seconds: float = math.inf) -> dict[str, Any]:
    """One campaign with brokers of its own. Raises `WrongError`."""
    with mock_kafka() as cluster, redis_server() as redis:
        place = Place(folder, cluster, redis)
        return campaign(place, Sender(cluster, redis, seed), seed, n_kills, most_seconds)


def carry_out_bare(folder: Path, seed: int, n_kills: int) -> dict[str, Any]:
    """The same with runs that have no engine, whose every instant is one of reading or landing. Raises `WrongError`."""
    with mock_kafka() as cluster, redis_server() as redis:
        place = BarePlace(folder, cluster, redis)
        with closing(place):
            return campaign(place, Sender(cluster, redis, seed), seed, n_kills)


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign, write its record, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python tests/prove/streams", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--bare", type=int, default=400, help="how many runs without an engine to kill as well")
    parser.add_argument("--seconds", type=float, default=math.inf, help="kill no further run after these")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args(arguments)
    if reason := missing_kafka() or missing_redis():
        parser.error(reason)
    started = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="streams-"))
    wrong = ""
    found: dict[str, Any] = {}
    bare: dict[str, Any] = {}
    try:
        if options.bare:
            bare = carry_out_bare(folder / "bare", options.seed, options.bare)
        if options.kills:
            found = carry_out(folder / "project", options.seed, options.kills, options.seconds)
    except (WrongError, AssertionError) as error:
        wrong = str(error)
        print(f"WRONG: seed {options.seed}, in {folder}:\n{error}", flush=True)
    record = {
        "seed": options.seed,
        "commit": commit("src"),
        "command": f"python tests/prove/streams --seed {options.seed} --kills {options.kills} --bare {options.bare}",
        "machine": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "seconds": round(time.perf_counter() - started, 1),
        **found,
        "without_engine": bare,
        "n_lost": None if wrong else 0,
        "n_twice": None if wrong else 0,
        "wrong": wrong,
    }
    if not options.no_record:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
