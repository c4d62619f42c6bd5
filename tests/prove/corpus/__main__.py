"""Score Headrace, and three simpler ways to key code, on the corpus of edits.

``python -m tests.prove.corpus --seed 7`` makes every edit there is; ``--n 40`` a sample of 40 counting ones.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.prove.commits import commit
from tests.prove.corpus.corpus import UNREACHED, counting_edits, leak_edits, neutral_edits, sample, sources
from tests.prove.corpus.edits import Edit
from tests.prove.corpus.harness import FAILED, HERE, Values, Workplace
from tests.prove.corpus.strategies import STRATEGIES, keys_of, simulated


@dataclass
class Score:
    """How one way to key did."""

    n_counting: int = 0
    n_neutral: int = 0
    n_hits: int = 0
    stale: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def share_of_hits(self) -> float:
        """Neutral edits at which every step was a hit."""
        return self.n_hits / self.n_neutral if self.n_neutral else 0.0

    @property
    def passes(self) -> bool:
        """No stale output, and hits at 95 % of the neutral edits."""
        return not self.stale and self.share_of_hits >= 0.95

    def to_json(self) -> dict[str, Any]:
        """The form of the result file."""
        return {
            "counting": self.n_counting,
            "stale": self.stale,
            "neutral": self.n_neutral,
            "hits": self.n_hits,
            "share_of_hits": round(self.share_of_hits, 4),
            "missed": self.missed,
            "passes": self.passes,
        }


class Scorer:
    """Takes edits one after the other."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.scores = {name: Score() for name in ("headrace", *STRATEGIES)}
        self.leaks: dict[str, str] = {}
        self.skipped: Counter[str] = Counter()
        self.by_operator: Counter[str] = Counter()
        self.by_file: Counter[str] = Counter()
        self.n_failing = 0
        self.broken: list[str] = []
        self.n_neutral_in_reached = 0
        self._reached = {path for path in sources(place.root) if path not in UNREACHED}
        self._before = {name: keys_of(key, place.root) for name, key in STRATEGIES.items()}

    def take(self, edit: Edit) -> None:
        """Score one edit."""
        with self.place.edited(edit):
            truth = self.place.truth(edit)
            if truth is None:
                self.skipped["does not end"] += 1
                return
            changed = truth != self.place.base
            if changed == (edit.kind == "neutral"):
                self.skipped[f"{edit.kind}, but the output {'changed' if changed else 'did not'}"] += 1
                return
            if FAILED in truth.values():
                self._failing(edit, truth)
                return
            seen = self.place.run(edit)
            if seen.problem:
                self.broken.append(f"{edit}: {seen.problem}")
                return
            now = {name: keys_of(key, self.place.root) for name, key in STRATEGIES.items()}
        if edit.kind == "counting" and any(seen.values[name] == FAILED for name in seen.values):
            self._refused(edit, seen.values, truth)
            return
        self.by_operator[edit.operator] += 1
        self.by_file[edit.place.partition(":")[0]] += 1
        if edit.kind == "neutral":
            self.n_neutral_in_reached += edit.place.partition(":")[0] in self._reached
        if edit.kind == "leak":
            self.leaks[str(edit)] = "stale, as documented" if seen.values != truth else "seen"
            return
        self._score(self.scores["headrace"], edit, seen.values, seen.cached, truth)
        for name, key in STRATEGIES.items():
            values, hits = simulated(key, edit, self._before[name], now[name], self.place.base, truth)
            self._score(self.scores[name], edit, values, hits, truth)

    def _failing(self, edit: Edit, truth: Values) -> None:
        """An edit that makes a step fail is no counting one, but its old output mustn't be given."""
        self.n_failing += 1
        seen = self.place.run(edit)
        wrong = [name for name, value in seen.values.items() if value not in (truth[name], FAILED)]
        if wrong:
            self.scores["headrace"].stale.append(f"{edit}: {', '.join(wrong)} (should fail)")

    def _refused(self, edit: Edit, values: Values, truth: Values) -> None:
        """An output of another type than declared is refused when it is stored: no figure, but nothing old either."""
        self.skipped["the output is refused by its format"] += 1
        wrong = [name for name, value in values.items() if value not in (truth[name], FAILED)]
        if wrong:
            self.scores["headrace"].stale.append(f"{edit}: {', '.join(wrong)}")

    def _score(self, score: Score, edit: Edit, values: Values, hits: set[str], truth: Values) -> None:
        wrong = sorted(name for name in truth if values.get(name) != truth[name])
        if edit.kind == "counting":
            score.n_counting += 1
            if wrong:
                score.stale.append(f"{edit}: {', '.join(wrong)}")
            return
        score.n_neutral += 1
        if hits == set(truth):
            score.n_hits += 1
        else:
            score.missed.append(f"{edit}: {', '.join(sorted(set(truth) - hits))}")
        if wrong:
            score.stale.append(f"{edit}: {', '.join(wrong)}")


def main() -> int:
    """Run the corpus; exit 1 where Headrace fails it, or another way to key passes."""
    options = _options()
    import headrace.engine.run  # noqa: F401 - before the forks

    started = time.monotonic()
    root = HERE / "project"
    n_neutral = max(options.n // 3, 8) if options.n else options.most_neutral
    edits = sample(counting_edits(root), options.seed, options.n)
    neutral = sample(neutral_edits(root), options.seed, n_neutral)
    folder = Path(tempfile.mkdtemp(prefix="corpus-"))
    try:
        scorer = Scorer(Workplace(folder, mode=options.mode))
        everything = [edit for edit in (*edits, *neutral, *leak_edits()) if options.only in str(edit)]
        for number, edit in enumerate(everything, 1):
            scorer.take(edit)
            if number % 100 == 0:
                print(
                    f"{number}/{len(everything)} edits, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True
                )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = _result(options, scorer, time.monotonic() - started)
    _print(result)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    others = any(score.passes for name, score in scorer.scores.items() if name != "headrace")
    return 0 if scorer.scores["headrace"].passes and not others and not scorer.broken else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.corpus", description=__doc__)
    parser.add_argument("--seed", type=int, default=20_260, help="for the order and the sample")
    parser.add_argument("--n", type=int, default=0, help="how many edits to try (0: all); a third as many neutral ones")
    parser.add_argument("--most-neutral", type=int, default=0, help="with --n 0: so many neutral edits (0: all)")
    parser.add_argument("--only", default="", help="only edits whose name has this in it")
    parser.add_argument("--mode", choices=["inline", "default"], default="inline", help="how Headrace runs")
    parser.add_argument("--out", type=Path, help="where to write the result")
    return parser.parse_args()


def _result(options: argparse.Namespace, scorer: Scorer, seconds: float) -> dict[str, Any]:
    words = ["python", "-m", "tests.prove.corpus", *sys.argv[1:]]
    return {
        "command": " ".join(words),
        "seed": options.seed,
        "commit": commit("src", "tests/prove/corpus"),
        "python": platform.python_version(),
        "mode": options.mode,
        "seconds": round(seconds, 1),
        "scores": {
            name: score.to_json() if name == "headrace" else _capped(score.to_json())
            for name, score in scorer.scores.items()
        },
        "neutral_edits_in_reached_files": scorer.n_neutral_in_reached,
        "failing_edits": scorer.n_failing,
        "broken_runs": scorer.broken,
        "known_leaks": scorer.leaks,
        "skipped": dict(scorer.skipped),
        "by_operator": dict(sorted(scorer.by_operator.items())),
        "by_file": dict(sorted(scorer.by_file.items())),
    }


def _capped(score: dict[str, Any]) -> dict[str, Any]:
    """Keep the number of edits that another way to key gets wrong, and twenty of them."""
    return {
        **score,
        "n_stale": len(score["stale"]),
        "stale": score["stale"][:20],
        "n_missed": len(score["missed"]),
        "missed": score["missed"][:20],
    }


def _print(result: dict[str, Any]) -> None:
    print(f"seed {result['seed']}, {result['mode']}, Python {result['python']}, {result['seconds']} s")
    for name, score in result["scores"].items():
        share = f"{100 * score['share_of_hits']:.1f} %"
        verdict = "passes" if score["passes"] else "fails"
        print(
            f"{name}: {score['counting']} counting edits, {score.get('n_stale', len(score['stale']))} stale; "
            f"{score['neutral']} neutral edits, hits at {share}: {verdict}"
        )
    headrace = result["scores"]["headrace"]
    for edit in headrace["stale"]:
        print(f"  stale: {edit}")
    for edit in headrace["missed"]:
        print(f"  missed: {edit}")
    for edit in result["broken_runs"]:
        print(f"  broken run: {edit}")
    for edit, verdict in result["known_leaks"].items():
        print(f"  known leak: {edit}: {verdict}")
    print(f"  edits that make a step fail: {result['failing_edits']}; skipped: {result['skipped']}")


if __name__ == "__main__":
    raise SystemExit(main())
