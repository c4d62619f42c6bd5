"""Many processes on one plan and one bucket, some of them killed; and how long a killed holder's lease lasts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bucket.faults import WrongError
from bucket.proxy import Trouble, troubling
from bucket.server import BUCKET, environment, surroundings
from headrace.stores.bucket_client import BucketSettings
from headrace.stores.bucket_lease import _BEATS_IN_A_LEASE, _GRAIN_SECONDS

FLOW = """
import time
from headrace import pipeline, step

@step
def begin(seed: int) -> list[int]:
    time.sleep(0.05)
    return [seed * n for n in range(50)]

@step
def branch(numbers: list[int], number: int) -> list[int]:
    time.sleep(0.1)
    return [n + number for n in numbers]

@step
def join(left: list[int], right: list[int]) -> list[int]:
    time.sleep(0.05)
    return [a * b for a, b in zip(left, right)]

@pipeline
def flow(seed: int = 3):
    first = begin(seed)
    branches = [branch(first, number) for number in range(6)]
    while len(branches) > 1:
        branches = [join(branches[i], branches[i + 1]) for i in range(0, len(branches) - 1, 2)] + (
            branches[-1:] if len(branches) % 2 else []
        )
    return branches[0]
"""
N_STEPS = 12

_RUN = """
import json, sys
from pathlib import Path
import headrace
sys.stdin.readline()
folder, store, is_inline = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "inline"
result = headrace.run("flow.py:flow", folder=folder, store=store, inline=is_inline, workers=1)
nodes = {
    name: [str(node.outcome), {output: artifact.digest for output, artifact in node.outputs.items()}]
    for name, node in result.nodes.items()
}
print(json.dumps({"outcome": str(result.outcome), "nodes": nodes, "value": result.load()}))
"""

_HOLD = """
import sys
from headrace.stores import bucket_lease
from headrace.stores.bucket import BucketStore
from headrace.stores.bucket_client import BucketSettings
if sys.argv[3] == "elsewhere":
    bucket_lease.system_tag = lambda: "ffffffff"  # as if on another machine, where nobody can look for the process
store = BucketStore(sys.argv[1], cache=sys.argv[2], settings=BucketSettings(lease_seconds=float(sys.argv[4])))
lease = store.lease("held")
print(lease.acquired, flush=True)
sys.stdin.readline()
"""


def write_together(
    server: str, folder: Path, seed: int, n_writers: int, n_kills: int, *, inline: bool = True
) -> dict[str, Any]:
    """Have so many processes, each with a checkout and a cache of its own, run one plan at once, and kill some."""
    chance = random.Random(seed)
    trouble = Trouble(seed)
    url = f"s3://{BUCKET}/writers-{seed}-{n_kills}"
    with troubling(server, trouble) as endpoint:
        writers = [_start(folder / f"writer{number}", url, endpoint, inline) for number in range(n_writers)]
        started = time.monotonic()
        for writer in writers:
            _say(writer)
        doomed = chance.sample(range(n_writers), n_kills)
        for number in doomed:
            time.sleep(chance.uniform(0.2, 1.5))
            writers[number].kill()
        ends = [writer.communicate(timeout=180) for writer in writers]
        seconds = time.monotonic() - started
    results = [
        json.loads(out)
        for number, (out, _) in enumerate(ends)
        if number not in doomed or writers[number].returncode == 0
    ]
    if len(results) < n_writers - n_kills:
        raise WrongError(f"a writer failed: {[err for _, err in ends if err][:1]}")
    return _judge(results, trouble, seconds, n_writers, n_kills)


def _judge(
    results: list[dict[str, Any]], trouble: Trouble, seconds: float, n_writers: int, n_kills: int
) -> dict[str, Any]:
    digests = {
        json.dumps({name: node[1] for name, node in result["nodes"].items()}, sort_keys=True) for result in results
    }
    puts = Counter(passed.path for passed in trouble.passed if passed.method == "PUT" and passed.status == 200)
    stored = {path: n for path, n in puts.items() if "/objects/" in path or "/actions/" in path}
    executed = Counter(name for result in results for name, node in result["nodes"].items() if node[0] == "succeeded")
    found = {
        "n_writers": n_writers,
        "n_killed": n_kills,
        "n_ended": len(results),
        "n_different_digests": len(digests),
        "n_actions": sum("/actions/" in path for path in stored),
        "n_objects": sum("/objects/" in path for path in stored),
        "most_puts_of_a_key": max(stored.values()),
        "n_executed": sum(executed.values()),
        "most_executions_of_a_step": max(executed.values(), default=0),
        "seconds": round(seconds, 2),
    }
    if len(digests) != 1 or {result["outcome"] for result in results} != {"succeeded"}:
        raise WrongError(f"the writers made different things: {found}")
    if found["most_puts_of_a_key"] != 1 or found["n_actions"] != N_STEPS:
        raise WrongError(f"a key was stored more than once, or one is missing: {found}")
    return found


def _start(folder: Path, url: str, endpoint: str, inline: bool) -> subprocess.Popen[str]:
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    (checkout / "flow.py").write_text(FLOW)
    (checkout / "pyproject.toml").write_text('[project]\nname = "flow"\nversion = "1"\n')
    own = {**os.environ, **environment(endpoint), "HEADRACE_CACHE": str(folder / "cache")}
    own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _RUN, str(checkout), url, "inline" if inline else "workers"]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=own, text=True, cwd=checkout)


def _say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def kill_a_holder(server: str, folder: Path, lease_seconds: float, *, elsewhere: bool) -> dict[str, Any]:
    """Have a process hold a lease past its time, which nobody else gets, and kill it: how long until another has it."""
    from headrace.stores.bucket import BucketStore

    url = f"s3://{BUCKET}/lease-{'far' if elsewhere else 'near'}-{lease_seconds}"
    own = {**os.environ, **environment(server)}
    own["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    pipe = subprocess.PIPE
    place = "elsewhere" if elsewhere else "here"
    command = [sys.executable, "-c", _HOLD, url, str(folder / "holder"), place, str(lease_seconds)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=own, text=True) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "True\n":
            raise WrongError("the holder did not get its lease")
        with surroundings(server):
            store = BucketStore(url, cache=folder / "waiter", settings=BucketSettings(lease_seconds=lease_seconds))
        with store.lease("held", wait_seconds=lease_seconds + _GRAIN_SECONDS + 1.5) as lease:
            if lease.acquired:
                raise WrongError("a lease was taken from a holder that lives")
        holder.kill()
        holder.wait()
    killed = time.monotonic()
    with store.lease("held", wait_seconds=60) as lease:
        took = time.monotonic() - killed
        limit = (lease_seconds + _GRAIN_SECONDS + 1.5) if elsewhere else 1.5
        if not lease.acquired or took > limit:
            raise WrongError(f"the lease of a killed holder lasted {took:.1f} seconds, more than {limit:.1f}")
    return {
        "where": place,
        "lease_seconds": lease_seconds,
        "renewed_every_seconds": lease_seconds / _BEATS_IN_A_LEASE,
        "free_after_seconds": round(took, 2),
    }
