"""All of it: a team's cache, faults over thousands of operations, many writers, killed holders; and a record of it."""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from commits import commit

from bucket.faults import carry_out
from bucket.server import missing, serving
from bucket.team import share_a_cache
from bucket.writers import kill_a_holder, write_together

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "prove" / "results" / "bucket.json"
SHARE = 0.2
N_LEASES = 5


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign, write its record, and exit with 1 if an operation was wrong.

    Raises `WrongError` when writers or leases are.
    """
    parser = argparse.ArgumentParser(prog="python tests/prove/bucket", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if reason := missing():
        parser.error(f"an S3 server can't be started: {reason}. Hint: pip install 'headrace[s3]' 'moto[server]'")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        found = prove(Path(name), options.seed, options.operations, options.writers)
    record: dict[str, Any] = {
        "command": f"python tests/prove/bucket --seed {options.seed} --operations {options.operations} "
        f"--writers {options.writers}",
        "commit": commit("src/headrace/stores", "tests/prove/bucket"),
        "python": platform.python_version(),
        "seconds": round(time.monotonic() - started, 1),
        **found,
    }
    options.results.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
    return 1 if record["faults"]["wrong"] else 0


def prove(folder: Path, seed: int, n_operations: int, n_writers: int) -> dict[str, Any]:
    """Everything, against a fresh server for each part."""
    with serving() as server:
        faults = carry_out(server, folder / "faults", seed, n_operations, SHARE)
    with serving() as server:
        team = share_a_cache(server, folder / "team")
    with serving() as server:
        writers = [
            write_together(server, folder / "inline", seed, n_writers, 0),
            write_together(server, folder / "killed", seed, n_writers, n_writers // 4),
            write_together(server, folder / "workers", seed + 1, n_writers // 2, n_writers // 8, inline=False),
        ]
        leases = [
            kill_a_holder(server, folder / f"lease{number}-{elsewhere}", 2.0 + number, elsewhere=elsewhere)
            for number in range(N_LEASES)
            for elsewhere in (False, True)
        ]
    return {"team": team, "faults": faults, "writers": writers, "leases": leases}
