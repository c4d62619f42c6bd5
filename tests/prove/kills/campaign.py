"""Many trials, and a record of them."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from commits import commit

from kills.instants import Instant, choose
from kills.trial import Place, Undisturbed, WrongError, carry_out, undisturbed
from kills.trouble import trouble_trials

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "kills.json"


def try_instants(folder: Path, expected: Undisturbed, instants: list[Instant], seed: int) -> list[dict[str, Any]]:
    """Carry out each instant in a folder of its own. What went wrong is in the trial's ``wrong``; its folder stays."""
    trials = []
    for instant in instants:
        place = Place(folder / f"trial{instant.number}")
        try:
            trial = carry_out(place, instant, expected, seed)
        except (WrongError, AssertionError) as error:
            trial = {**instant.to_json(), "has_come": True, "wrong": str(error)}
            print(f"WRONG: seed {seed}, {instant}, in {place.folder}:\n{error}", flush=True)
        else:
            print(f"seed {seed}, {instant}: {trial}", flush=True)
            place.remove()
        trials.append(trial)
    return trials


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """What the trials show together."""
    came = [trial for trial in trials if trial["has_come"]]
    return {
        "n_instants": len(came),
        "n_at_fault_points": sum("point" in trial for trial in came),
        "n_wrong": sum("wrong" in trial for trial in trials),
        "n_not_reached": len(trials) - len(came),
        "by_victim": dict(sorted(Counter(trial["victim"] for trial in came).items())),
        "by_point": dict(sorted(Counter(trial["point"] for trial in came if "point" in trial).items())),
        "longest_death_seconds": max((trial.get("death_seconds", 0.0) for trial in came), default=0.0),
        "mean_hits": round(sum(trial.get("n_hits", 0) for trial in came) / max(1, len(came)), 2),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign, write its record, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python tests/prove/kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--instants", type=int, default=260)
    parser.add_argument("--only", type=int, help="the number of the one instant to try")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    expected = undisturbed(folder)
    instants = choose(options.seed, options.instants, expected.passed, expected.seconds)
    if options.only is not None:
        instants = [instants[options.only]]
    trials = try_instants(folder, expected, instants, options.seed)
    trouble = trouble_trials(folder, expected, options.seed) if options.only is None else []
    found = summary(trials)
    record = {
        "seed": options.seed,
        "commit": commit("src"),
        "command": f"python tests/prove/kills --seed {options.seed} --instants {options.instants}",
        "machine": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "seconds": round(time.perf_counter() - started, 1),
        "undisturbed_seconds": round(expected.seconds, 3),
        **found,
        "trouble": trouble,
        "trials": trials,
    }
    n_wrong = found["n_wrong"] + sum("wrong" in trial for trial in trouble)
    if not options.no_record and options.only is None:
        write_record(record)
    print(json.dumps({name: value for name, value in record.items() if name not in ("trials", "trouble")}, indent=1))
    return 1 if n_wrong else 0


def write_record(record: dict[str, Any]) -> None:
    """Write the results, one trial a line."""
    lists = {name: record.pop(name) for name in ("trouble", "trials")}
    text = json.dumps(record, indent=1)[:-2]
    for name, items in lists.items():
        text += f',\n "{name}": [\n  ' + ",\n  ".join(json.dumps(item) for item in items) + "\n ]"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text + "\n}\n")
    record.update(lists)


if __name__ == "__main__":
    sys.exit(main())
