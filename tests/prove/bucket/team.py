"""Two of a team, with a checkout, a home and a cache each, and one bucket: who comes second computes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bucket.faults import WrongError
from bucket.server import BUCKET, environment, surroundings
from headrace.engine.records import RunRecord
from headrace.stores.bucket import BucketStore

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "churn"


def share_a_cache(server: str, folder: Path) -> dict[str, Any]:
    """Run the example in two checkouts, one after the other. Raises `WrongError` where the second isn't all hits."""
    url = f"s3://{BUCKET}/team"
    first = _run(server, folder / "ann" / "projects" / "churn", "ann", url, make_data=True)
    second = _run(
        server, folder / "b" / "src" / "a checkout of mine", "bob", url, data=folder / "ann/projects/churn/data"
    )
    with surroundings(server):
        store = BucketStore(url, cache=folder / "cache")
        results = [RunRecord(store, run["run"]).results() for run in (first, second)]
    outcomes = [Counter(str(result.outcome) for result in found.values()) for found in results]
    made = [
        {name: (r.key, {output: a.digest for output, a in r.outputs.items()}) for name, r in found.items()}
        for found in results
    ]
    computed = {name: r.reason for name, r in results[1].items() if r.outcome.value not in ("cached", "skipped")}
    if computed or made[0] != made[1]:
        raise WrongError(f"the second of a team computed: {computed}, keys and digests equal: {made[0] == made[1]}")
    return {
        "n_steps": len(made[1]),
        "first": dict(outcomes[0]),
        "second": dict(outcomes[1]),
        "n_equal_keys": len({key for key, _ in made[1].values() if key}),
        "n_equal_digests": sum(len(outputs) for _, outputs in made[1].values()),
    }


def _run(
    server: str, checkout: Path, user: str, url: str, *, make_data: bool = False, data: Path | None = None
) -> dict[str, Any]:
    shutil.copytree(EXAMPLE, checkout, ignore=shutil.ignore_patterns(".headrace", "__pycache__", "data"))
    home = checkout.parent.parent
    own = {**os.environ, **environment(server), "HOME": str(home), "USER": user, "LOGNAME": user}
    own |= {"HEADRACE_CACHE": str(home / ".cache"), "TMPDIR": str(_made(home / "tmp"))}
    own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path and "churn" not in path)
    if make_data:
        subprocess.run([sys.executable, "-m", "churn.generate"], cwd=checkout, env=own, check=True, capture_output=True)
    elif data is not None:
        shutil.copytree(data, checkout / "data")
    words = ["run", "churn/pipeline.py:churn", "--store", url, "--json"]
    command = [sys.executable, "-m", "headrace.cli.main", *words]
    done = subprocess.run(command, cwd=checkout, env=own, capture_output=True, text=True)
    if done.returncode != 0:
        raise WrongError(f"{user}'s run ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
