"""Many cases on both sides, and a record of them."""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commits import commit

from gx_differential import environment
from gx_differential.cases import MAKERS, Columns, Written, table_cases
from gx_differential.ours import judged

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "great_expectations.json"
ENGINES = ("polars", "duckdb")
PER_TABLE = 12
MOST_SHOWN = 20


@dataclass
class Beside:
    """A process of Great Expectations, which answers a table's expectations line by line."""

    process: subprocess.Popen[str] = field(init=False)
    versions: dict[str, str] = field(init=False)

    def __enter__(self) -> Beside:
        command = [str(environment.PYTHON), str(Path(__file__).with_name("beside.py"))]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.versions = json.loads(self.process.stdout.readline())
        return self

    def ask(self, columns: Columns, expectations: list[Written]) -> list[dict[str, Any]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"columns": columns, "expectations": expectations}) + "\n")
        self.process.stdin.flush()
        answered: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return answered

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()


# --- what is not compared -----------------------------------------------------------------------------------------

Case = tuple[Columns, Written]


def _crashed(case: Case, theirs: dict[str, Any]) -> bool:
    return "raised" in theirs or "refused" in theirs


RULES: dict[str, Callable[[Case, dict[str, Any]], bool]] = {
    "Great Expectations raised an error instead of judging": _crashed,
}
"""Cases that count as no case, by rule; docs/how-to/great-expectations.md lists them."""


def excluded(case: Case, theirs: dict[str, Any]) -> str | None:
    return next((rule for rule, holds in RULES.items() if holds(case, theirs)), None)


# --- comparison ---------------------------------------------------------------------------------------------------


def differences(theirs: dict[str, Any], mine: dict[str, Any]) -> Iterator[str]:
    """Say where two judgements differ."""
    if "success" not in mine:
        yield f"refused here: {mine.get('raised') or mine.get('refused')}"
        return
    if theirs["success"] != mine["success"]:
        yield f"success: {theirs['success']} there, {mine['success']} here"
    for name in ("unexpected_count", "unexpected_index_list", "element_count", "missing_count", "unexpected_percent"):
        one, other = theirs["result"].get(name), mine["result"].get(name)
        if name in theirs["result"] and not _same(one, other) and not (one in (0, None, []) and other in (0, None, [])):
            yield f"{name}: {one} there, {other} here"
    if "observed_value" in theirs["result"] and isinstance(mine["result"].get("observed_value"), int | float):
        one, other = theirs["result"]["observed_value"], mine["result"]["observed_value"]
        one = float(one) if one in ("inf", "-inf") else one
        if not _same(one, other):
            yield f"observed_value: {one} there, {other} here"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


@dataclass
class Tally:
    """What the cases came to."""

    cases: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    violated: Counter[str] = field(default_factory=Counter)
    looked_at: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    differing: list[dict[str, Any]] = field(default_factory=list)

    def add(self, seed: str, case: Case, theirs: dict[str, Any], ours: dict[str, dict[str, Any]]) -> None:
        written = case[1]
        name = written["type"]
        rule = excluded(case, theirs)
        if rule is not None:
            self.left_out[rule][name] += 1
            return
        self.cases[name] += 1
        self.met[name] += theirs["success"]
        result = theirs["result"]
        self.looked_at[name] += (result.get("element_count") or 0) - (result.get("missing_count") or 0)
        self.unexpected[name] += result.get("unexpected_count") or 0
        self.violated[name] += bool(result.get("unexpected_count")) or not theirs["success"]
        for engine, mine in ours.items():
            if found := list(differences(theirs, mine)):
                self.differing.append({"table": seed, "engine": engine, **written, "differences": found})
                print(json.dumps(self.differing[-1], ensure_ascii=False)[:1000], flush=True)

    def record(self) -> dict[str, Any]:
        names = sorted(self.cases)
        return {
            "n_cases": sum(self.cases.values()),
            "n_disagreements": len(self.differing),
            "disagreements": self.differing[:MOST_SHOWN],
            "left_out": {rule: dict(sorted(names.items())) for rule, names in sorted(self.left_out.items())},
            "expectations": {
                name: {
                    "cases": self.cases[name],
                    "met": self.met[name],
                    "with_violations": self.violated[name],
                    "rows_looked_at": self.looked_at[name],
                    "rows_unexpected": self.unexpected[name],
                }
                for name in names
            },
        }


def rounds(names: list[str], n_each: int) -> Iterator[list[str]]:
    """Deal out the expectations over tables, so that each comes up so many times."""
    dealt = [name for _ in range(n_each) for name in names]
    # A stride without a common divisor mixes them, so that no two tables have the same ones together.
    stride = next(step for step in (17, 19, 23, 29) if math.gcd(step, len(dealt)) == 1)
    mixed = [dealt[place * stride % len(dealt)] for place in range(len(dealt))]
    for start in range(0, len(mixed), PER_TABLE):
        yield mixed[start : start + PER_TABLE]


def compare(
    seed: int, n_each: int, names: list[str], engines: tuple[str, ...] = ENGINES
) -> tuple[Tally, dict[str, str]]:
    """Run so many cases of each expectation on both sides."""
    tally = Tally()
    with Beside() as beside:
        for number, dealt in enumerate(rounds(names, n_each)):
            columns, expectations = table_cases(seed, number, dealt)
            theirs = beside.ask(columns, expectations)
            ours = {engine: judged(columns, expectations, engine) for engine in engines}
            for place, written in enumerate(expectations):
                mine = {engine: ours[engine][place] for engine in engines}
                tally.add(f"{seed}:{number}", (columns, written), theirs[place], mine)
        return tally, beside.versions


def main(arguments: list[str] | None = None) -> int:
    """Compare, write the record, and exit with 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python tests/prove/gx_differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=60, help="of each expectation")
    parser.add_argument("--only", nargs="*", default=sorted(MAKERS), metavar="EXPECTATION")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    environment.set_up()
    only = "" if options.only == sorted(MAKERS) else f" --only {' '.join(options.only)}"
    started = time.monotonic()
    tally, versions = compare(options.seed, options.cases, options.only)
    record = {
        "command": f"python tests/prove/gx_differential --seed {options.seed} --cases {options.cases}{only}",
        "commit": commit("src/headrace", "tests/prove/gx_differential"),
        "python": platform.python_version(),
        "versions": versions,
        "engines": list(ENGINES),
        "seconds": round(time.monotonic() - started, 1),
        **tally.record(),
    }
    options.results.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print(
        json.dumps(
            {name: value for name, value in record.items() if name != "expectations"}, indent=2, ensure_ascii=False
        )
    )
    return 1 if tally.differing else 0
