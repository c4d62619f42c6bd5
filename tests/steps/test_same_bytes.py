"""Equal inputs give equal bytes: on one thread and two, with other hash seeds, in another time zone; on DuckDB equal
values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, json, sys, tempfile
from pathlib import Path
import numpy as np, polars as pl
from headrace.formats.registry import save_artifact
from headrace.formats.table import Table
from headrace.steps import *
from headrace.steps.checks import *
from headrace.steps.rules import *
from headrace.steps.model_format import ModelFormat

data = Path(sys.argv[1])
raw = ingest(data, missing=["?"])
good, aside, findings = validate(raw, [InRange("age", 0, 90), Unique(("id",)), NotMissing("left")], max_bad_share=0.9)
clean = features(preprocess(good, [Spell("plan")]), [WasMissing("age_missing", "age"), Ratio("r", "age", "fee")])
made = {"raw": (raw, Table), "good": (good, Table), "aside": (aside, Table), "findings": (findings, Findings)}
made["clean"] = (clean, Table)
for how in (AtRandom(1, "left"), ByKey("id"), ByTime("day")):
    parts = split(clean, how)
    made |= {f"{type(how).__name__} {name}": (part, Table) for name, part in parts._asdict().items()}
model = None
for estimator in ("linear", "boosting"):
    model = train(parts.train, parts.validation, target="left", positive="yes", estimator=estimator, exclude=["id"])
    made[f"model {estimator}"] = (model, Model)
    made[f"evaluation {estimator}"] = (evaluate(model, parts.test, slices=["plan", "fee"]), Evaluation)
made["package"] = (package(model, ModelVersion("m", 1, "0" * 64), parts.test), Path)
digests = {}
for name, (value, declared) in made.items():
    with tempfile.TemporaryDirectory() as folder:
        save_artifact(value, declared, Path(folder), ModelFormat.name if declared is Model else None)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        digests[name] = [[str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest()] for p in files]
print(json.dumps(digests))
"""


def run(data: Path, threads: int, hash_seed: int, zone: str, folder: Path) -> dict[str, object]:
    settings = {"POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    settings |= {"PYTHONHASHSEED": hash_seed}
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}, "TZ": zone}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(data)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.prove
@pytest.mark.timeout(300)
def test_on_one_thread_and_on_two(tmp_path: Path) -> None:
    import numpy as np
    import polars as pl

    n = 60_000
    random = np.random.default_rng(5)
    age = random.normal(40, 25, n).round(2)
    left = random.random(n) < 1 / (1 + np.exp(-(age - 40) / 10))
    frame = pl.DataFrame(
        {
            "id": random.integers(0, n * 5, n),
            "day": pl.Series(random.integers(0, 400, n)).cast(pl.Date),
            "age": age,
            "fee": random.gamma(2.0, 10.0, n),
            "plan": random.choice(["a", " A", "b", "?", "c"], n),
            "left": np.where(left, "yes", "no"),
        }
    )
    frame.write_csv(tmp_path / "data.csv")
    one = run(tmp_path / "data.csv", 1, 1, "UTC", tmp_path)
    two = run(tmp_path / "data.csv", 2, 2, "Asia/Tokyo", tmp_path)
    assert len(one) == 19
    assert {name for name in one if one[name] != two[name]} == set()
