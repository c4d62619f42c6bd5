"""Many plays, and a record of them."""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from commits import commit

from sweeps.play import LostError, Played, play

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "sweeps.json"
KINDS = ("folder", "bucket")


def play_many(seed: int, n_plays: int) -> tuple[list[Played], list[str]]:
    """Play so many interleavings in each kind of store. Also returns what went wrong."""
    played, wrong = [], []
    for number in range(n_plays):
        for kind in KINDS:
            with tempfile.TemporaryDirectory(prefix="sweeps-") as folder:
                try:
                    played.append(play(kind, Path(folder), seed + number))
                except (LostError, AssertionError) as error:
                    wrong.append(f"seed {seed + number}, {kind}: {error}")
                    print(wrong[-1], flush=True)
    return played, wrong


def summary(played: list[Played]) -> dict[str, Any]:
    """What the plays of one kind of store came to, together."""
    did: Counter[str] = Counter()
    for one in played:
        did.update(one.did)
    return {
        "n_interleavings": len(played),
        "n_turns": sum(one.n_turns for one in played),
        "n_killed": sum(one.n_killed for one in played),
        "n_collections": sum(one.n_collections for one in played),
        "n_objects_swept": sum(one.n_swept for one in played),
        "n_objects_left": sum(one.n_left for one in played),
        "days_passed": round(sum(one.hours for one in played) / 24),
        "writers": dict(sorted(did.items())),
    }


def main(arguments: list[str] | None = None) -> int:
    """Play, write the record, and exit with 1 if anything was lost or stayed."""
    parser = argparse.ArgumentParser(prog="python tests/prove/sweeps", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plays", type=int, default=200)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    started = time.monotonic()
    played, wrong = play_many(options.seed, options.plays)
    record = {
        "command": f"python tests/prove/sweeps --seed {options.seed} --plays {options.plays}",
        "commit": commit("src/headrace", "tests/prove/sweeps"),
        "python": platform.python_version(),
        "seconds": round(time.monotonic() - started, 1),
        "wrong": wrong,
        **{kind: summary([one for one in played if one.kind == kind]) for kind in KINDS},
    }
    options.results.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
    return 1 if wrong else 0
