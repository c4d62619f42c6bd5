"""A seeded slice of the mutation corpus; ``make prove`` makes every edit of it."""

from __future__ import annotations

import json
import subprocess
import sys

SEED = 7


def run_corpus(project_root, out, *options):
    words = [sys.executable, "-W", "ignore", "-m", "tests.prove.corpus", "--seed", str(SEED), "--out", str(out)]
    done = subprocess.run([*words, *options], cwd=project_root, capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    return done, json.loads(out.read_text())


def test_a_slice_of_the_corpus(project_root, tmp_path):
    done, result = run_corpus(project_root, tmp_path / "corpus.json", "--n", "30")
    scores = result["scores"]
    assert scores["headrace"]["stale"] == [], done.stdout
    assert scores["headrace"]["share_of_hits"] >= 0.95, done.stdout
    assert scores["headrace"]["counting"] >= 10
    assert scores["headrace"]["neutral"] >= 8
    for name in ("always-hit", "body-only"):
        assert scores[name]["stale"], f"{name} should fail the corpus"
    assert scores["whole-project"]["share_of_hits"] < 0.95
    assert set(result["known_leaks"].values()) == {"stale, as documented"}
    assert len(result["known_leaks"]) == 5
    assert done.returncode == 0
