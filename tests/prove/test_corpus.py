"""A seeded slice of the mutation corpus; ``make prove`` makes every edit of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SEED = 7
N_NEUTRAL = 400


def run_corpus(project_root, out, *options):
    words = [sys.executable, "-W", "ignore", "-m", "tests.prove.corpus", "--seed", str(SEED), "--out", str(out)]
    done = subprocess.run([*words, *options], cwd=project_root, capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    return done, json.loads(out.read_text())


def test_a_slice_of_the_corpus(project_root, tmp_path):
    done, result = run_corpus(project_root, tmp_path / "corpus.json", "--n", "24")
    scores = result["scores"]
    assert scores["headrace"]["stale"] == [], done.stdout
    assert scores["headrace"]["share_of_hits"] >= 0.95, done.stdout
    assert scores["headrace"]["counting"] >= 8
    assert scores["headrace"]["neutral"] >= 8
    for name in ("always-hit", "body-only"):
        assert scores[name]["stale"], f"{name} should fail the corpus"
    assert scores["whole-project"]["share_of_hits"] < 0.95
    assert set(result["known_leaks"].values()) == {"stale, as documented"}
    assert len(result["known_leaks"]) == 5
    assert done.returncode == 0


@pytest.mark.prove
@pytest.mark.timeout(5_400)
def test_the_whole_corpus(project_root):
    """Every edit there is, and the result file that is committed."""
    out = project_root / "tests" / "prove" / "results" / "corpus.json"
    done, result = run_corpus(project_root, out, "--most-neutral", str(N_NEUTRAL))
    headrace = result["scores"]["headrace"]
    assert headrace["stale"] == [], done.stdout
    assert headrace["counting"] >= 300
    assert headrace["neutral"] >= 100
    assert headrace["share_of_hits"] >= 0.95, done.stdout
    assert not any(score["passes"] for name, score in result["scores"].items() if name != "headrace")
    assert done.returncode == 0
