"""What a task costs on an orchestrator, beside a task of the same engine that starts a Python which does nothing.

Usage: orchestrators.py ENGINE [--rounds N] [-o FILE]

The engines are those of the conformance tests (tests/conformance), each in an environment of its own and started for
real. Three chains of ten tasks take turns: that of ``headrace compile``, and two that a user of the engine would write
by hand (``noop/ENGINE/``: files as ``headrace compile`` would have written them, in which ``@PYTHON@`` stands for the
interpreter, and ``@CODE@`` for what it is given to do): one that does nothing, and one that sleeps for about as long as
a hit takes, which shows how much of the difference is the engine's own answer to tasks that take longer.

To add an engine, add that folder, and `spans` to its class: when each task began and ended, by the engine's own API.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "conformance"))

cases: Any = import_module("conftest")
Deployed: Any = import_module("engine").Deployed

N_TASKS = 10
SLEEP_SECONDS = 0.15
AIRFLOW_DEFAULTS = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30"}
"""The tests have it read each DAG file again every second, which takes a core from what is measured."""
FLOW = """
from headrace import pipeline, step

@step
def add(value: int) -> int:
    return value + 1

@pipeline
def chain(n: int = 0) -> int:
    for _ in range(10):
        n = add(n)
    return n
"""
Spans = Mapping[str, tuple[datetime, datetime]]
"""When each task of a run began and ended, by its node, or by its name."""


class Timed(Protocol):
    """An engine of the conformance tests that also says when its tasks ran, and which processes it consists of."""

    name: str
    services: list[Any]

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def compile_options(self) -> Sequence[str]: ...
    def deploy(self, deployed: Any) -> None: ...
    def trigger(self, deployed: Any, parameters: Mapping[str, Any]) -> str: ...
    def wait(self, deployed: Any, run: str) -> Any: ...
    def spans(self, deployed: Any, run: str) -> Spans:
        """When each task of a run began and ended."""


@dataclass(frozen=True)
class Chain:
    """A run of ten tasks, one after another."""

    a_task_seconds: float
    """From the begin of the first task to the end of the last, for each: what lies between them counts."""
    inside_seconds: float
    """From a task's begin to its end: the median."""
    whole_seconds: float
    """From the request to the API to the end of the run."""


def note(text: str) -> None:
    """Say how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def compiled(engine: Timed, folder: Path) -> Any:
    """The chain as Headrace compiles it."""
    project, out = folder / "project", folder / "chain"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "bench"\nversion = "1"\n')
    (project / "flows.py").write_text(FLOW)
    store = folder / "store"
    words = ["compile", engine.name, "flows.py:chain", "-o", str(out), "--store", str(store), "--json"]
    command = [sys.executable, "-m", "headrace", *words, *engine.compile_options()]
    answer = json.loads(subprocess.run(command, cwd=project, capture_output=True, check=True, text=True).stdout)
    return Deployed("chain", out, project, store, tuple(answer["nodes"]))


def by_hand(engine: Timed, folder: Path, name: str, code: str) -> Any:
    """A chain of tasks that start a Python with some code."""
    out = folder / name
    out.mkdir()
    for path in (HERE / "noop" / engine.name).iterdir():
        text = path.read_text().replace("@PYTHON@", sys.executable).replace("@CODE@", code).replace("noop", name)
        (out / path.name.replace("noop", name)).write_text(text)
    return Deployed(name, out, folder, folder, tuple(f"task-{number}" for number in range(N_TASKS)))


def timed(engine: Timed, deployed: Any, parameters: Mapping[str, int]) -> Chain:
    """Run a chain once."""
    began = time.monotonic()
    run = engine.trigger(deployed, parameters)
    ended = engine.wait(deployed, run)
    whole = time.monotonic() - began
    assert ended.state == "succeeded", ended
    spans = engine.spans(deployed, run)
    mine = [spans[node] for node in deployed.nodes]
    span = max(end for _, end in mine) - min(begin for begin, _ in mine)
    inside = statistics.median((end - begin).total_seconds() for begin, end in mine)
    return Chain(span.total_seconds() / N_TASKS, inside, whole)


def pss_bytes(pid: int) -> int:
    """The memory of a process and of those below it, what is shared counted in shares."""
    total = 0
    for each in [pid, *_below(pid)]:
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def _below(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _below(child)


def cold_exec_ms(deployed: Any, n_times: int = 9) -> float:
    """``headrace exec`` of a hit, by itself: milliseconds, the median."""
    times = []
    for number in range(n_times):
        run = f"20260101-000000-000-{number:08x}"
        words = ["exec", "flows.py:chain", "--begin", "--run", run, "--store", str(deployed.store), "-p", "n=1"]
        subprocess.run(
            [sys.executable, "-m", "headrace", *words], cwd=deployed.project, check=True, capture_output=True
        )
        words = ["exec", deployed.nodes[0], "flows.py:chain", "--run", run, "--store", str(deployed.store), "--json"]
        began = time.monotonic()
        command = [sys.executable, "-m", "headrace", *words]
        done = subprocess.run(command, cwd=deployed.project, check=True, capture_output=True, text=True)
        times.append(time.monotonic() - began)
        assert json.loads(done.stdout)["outcome"] == "cached", done.stdout
    return round(statistics.median(times) * 1000, 1)


def measured(name: str, n_rounds: int, folder: Path) -> dict[str, Any]:
    """All figures of an engine."""
    (folder / "engine").mkdir()
    engine: Any = cases.made(name, folder / "engine")
    if name.startswith("airflow"):
        engine.pace = {**engine.pace, **AIRFLOW_DEFAULTS}
    note(f"starting {name}")
    began = time.monotonic()
    try:
        engine.start()
        start_seconds = time.monotonic() - began
        chain, noop = compiled(engine, folder), by_hand(engine, folder, "noop", "pass")
        sleep = by_hand(engine, folder, "sleep", f"import time; time.sleep({SLEEP_SECONDS})")
        for deployed in (chain, noop, sleep):
            engine.deploy(deployed)
        timed(engine, noop, {})
        timed(engine, sleep, {})
        timed(engine, chain, {"n": 1})
        runs: dict[str, list[Chain]] = {"noop": [], "sleep": [], "computed": [], "hits": []}
        for number in range(n_rounds):
            turn: list[tuple[str, Any, dict[str, int]]] = [
                ("noop", noop, {}),
                ("sleep", sleep, {}),
                ("computed", chain, {"n": 1000 * (number + 1)}),
                ("hits", chain, {"n": 1}),
            ]
            for kind, deployed, parameters in turn[number % 4 :] + turn[: number % 4]:
                runs[kind].append(timed(engine, deployed, parameters))
            told = {kind: round(done[-1].a_task_seconds * 1000) for kind, done in runs.items()}
            note(f"round {number + 1} of {n_rounds}, load {os.getloadavg()[0]:.1f}: {told}")
        memory = sum(pss_bytes(service.process.pid) for service in engine.services)
        exec_ms = cold_exec_ms(chain)
    finally:
        engine.stop()
    return {
        "engine": name,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": round(os.getloadavg()[1], 1),
        "n_rounds": n_rounds,
        "first_start_seconds": round(start_seconds, 1),
        "idle_pss_mib": round(memory / (1 << 20)),
        "exec_of_a_hit_ms": exec_ms,
        **{kind: figures(chains) for kind, chains in runs.items()},
        "sleep_ms": round(SLEEP_SECONDS * 1000),
        "more_than_noop_ms": more(runs, "a_task_ms"),
        "more_inside_ms": more(runs, "inside_ms"),
    }


def more(runs: Mapping[str, list[Chain]], what: str) -> dict[str, int]:
    """By how much a figure is above that of the chain that does nothing."""
    return {kind: figures(runs[kind])[what] - figures(runs["noop"])[what] for kind in ("sleep", "computed", "hits")}


def figures(chains: list[Chain]) -> dict[str, int]:
    """The medians over the rounds, in milliseconds."""
    return {
        "a_task_ms": round(statistics.median(chain.a_task_seconds for chain in chains) * 1000),
        "inside_ms": round(statistics.median(chain.inside_seconds for chain in chains) * 1000),
        "whole_run_ms": round(statistics.median(chain.whole_seconds for chain in chains) * 1000),
    }


def main() -> None:
    """Measure an engine, and write down what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=sorted(cases.ENGINES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", dest="output", type=Path, help="else orchestrators/ENGINE.json here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(arguments.engine, arguments.rounds, Path(folder))
    output: Path = arguments.output or HERE / "orchestrators" / f"{arguments.engine}.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
