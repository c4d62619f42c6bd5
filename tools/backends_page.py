"""Writes docs/reference/backends.md (what each backend can do, as its code declares it, and what was run), and what was
measured into docs/explanation/which-orchestrator.md.

    backends_page.py            write them
    backends_page.py --check    fail where they are not what would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headrace.backends.capabilities import Feature, Kind, Support
from headrace.backends.compiling import backend_names, find_backend
from headrace.core.outcome import Outcome

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "backends.md"
CHOICE = ROOT / "docs" / "explanation" / "which-orchestrator.md"
MEASURED = ROOT / "benchmarks" / "orchestrators"
MARKS = "<!-- measured -->\n", "<!-- /measured -->\n"
RESULTS = ROOT / "tests" / "conformance" / "results"
TITLES = {
    "airflow": "Airflow",
    "kubeflow": "Kubeflow",
    "argo": "Argo",
    "prefect": "Prefect",
    "dagster": "Dagster",
}
SIGNS = {Kind.NATIVE: "native", Kind.INSIDE: "inside", Kind.REFUSED: "refused"}
HEAD = """\
# Backends

What `headrace compile` can do for each orchestrator. This page is written by `python tools/backends_page.py` from what
each backend declares in its `capabilities.py` and from the results of the conformance cases; nobody edits it.

- **native**: the orchestrator itself does it, and shows it.
- **inside**: Headrace does it, inside a task or beside the orchestrator, with the same result; the orchestrator doesn't
  show it.
- **refused**: a plan that uses it is refused when it is compiled, naming step and feature.
- **\\***: written and checked, but not run on the real engine by our tests. **Argo is linted, not executed**: no Argo
  controller has run what is written for it.
"""
EXEC = {
    Outcome.SUCCEEDED: ("0", "nobody"),
    Outcome.CACHED: ("0", "nobody"),
    Outcome.SKIPPED: ("0", "nobody"),
    Outcome.FAILED: ("1", "`exec`, as the step's `retries` and `retry_on` say"),
    Outcome.TIMED_OUT: ("1", "`exec`, as `retries` says"),
    Outcome.CRASHED: ("1", "`exec`, as `retries` says"),
    Outcome.OUT_OF_MEMORY: ("1", "`exec`, as `retries` says"),
    Outcome.CANCELLED: ("130", "nobody"),
    Outcome.UPSTREAM_FAILED: ("not called", "nobody"),
}
"""Of each outcome of a node: the exit code of ``headrace exec``, and who tries again."""


def names() -> list[str]:
    """The backends, in the order in which the page has them."""
    known = backend_names()
    return [name for name in TITLES if name in known]


def results() -> Mapping[str, Any]:
    """The results of the conformance cases, by engine."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def page() -> str:
    """The whole page."""
    parts = [HEAD, *_features(), *_outcomes(), *_runs(), *_details()]
    return "\n".join(parts).rstrip("\n") + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mark(support: Support) -> str:
    return SIGNS[support.kind] + ("" if support.is_verified or support.kind is Kind.REFUSED else "\\*")


def _features() -> Iterator[str]:
    backends = [find_backend(name) for name in names()]
    yield "## Features\n"
    yield _row(["", *(TITLES[backend.name] for backend in backends)])
    yield "|---" * (len(backends) + 1) + "|"
    for feature in Feature:
        yield _row([str(feature), *(_mark(backend.capabilities[feature]) for backend in backends)])
    yield ""


def _outcomes() -> Iterator[str]:
    found = {name: document["words"] for name, document in results().items() if name in TITLES}
    shown = [name for name in names() if name in found]
    yield "## Outcomes\n"
    yield (
        "How each outcome of a step is shown, in the engine's own words, as its API told it in the conformance cases\n"
        "(—: not met in them), what `headrace exec` exits with, and who tries again. A task whose *process* is lost\n"
        "(killed from outside, its machine gone) has no outcome: the engine tries it again where it can, and what it\n"
        "had finished is found.\n"
    )
    yield _row(["outcome", "exit code", "tried again by", *(TITLES[name] for name in shown)])
    yield "|---" * (len(shown) + 3) + "|"
    for outcome, (code, retried) in EXEC.items():
        yield _row([str(outcome), code, retried, *(_words(found[name], str(outcome)) for name in shown)])
    for run, code in (("run succeeded", "0"), ("run rejected", "3"), ("run failed", "1")):
        words = [_words(found[name], run) for name in shown]
        yield _row([f"{run} (the finishing task)", code, "nobody", *words])
    yield ""


def _words(words: Mapping[str, list[str]], outcome: str) -> str:
    return ", ".join(f"`{word}`" for word in words.get(outcome, [])) or "—"


def _runs() -> Iterator[str]:
    yield "## What was run\n"
    yield (
        "Each case holds a run on the real engine against one of `headrace run`: the same outcomes, and sha256 of all\n"
        "artifacts equal.\n"
    )
    yield _row(["engine", "versions", "cases passed", "not passed", "date", "commit"])
    yield "|---" * 6 + "|"
    for name, document in results().items():
        left = [f"{case} ({document['cases'][case].get('why') or 'failed'})" for case in document["not_passed"]]
        yield _row(
            [
                name,
                ", ".join(document["versions"]).replace("==", " "),
                str(document["passed"]),
                "; ".join(left) or "none",
                document["date"],
                document["commit"][:7],
            ]
        )
    yield ""


def _details() -> Iterator[str]:
    for name in names():
        backend = find_backend(name)
        yield f"## {TITLES[name]}\n"
        for feature in Feature:
            support = backend.capabilities[feature]
            yield f"- *{feature}* — {_mark(support)}: {support.how}"
        yield ""


def choice() -> str:
    """The page on choosing, with the figures that there are."""
    before, _, rest = CHOICE.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return before + MARKS[0] + "\n".join(_figures()) + "\n" + MARKS[1] + after


def _figures() -> Iterator[str]:
    yield _row(
        [
            "",
            "start, s",
            "memory, MiB",
            "nothing, ms",
            "150 ms of sleep, more",
            "computed, more",
            "a hit, more",
            "computed, more inside",
            "a hit, more inside",
            "date, load",
        ]
    )
    yield "|---" * 10 + "|"
    for name in ("airflow", "airflow-postgres", "kubeflow", "prefect", "dagster"):
        file = MEASURED / f"{name}.json"
        if file.is_file():
            found = json.loads(file.read_text())
            cells = [found["first_start_seconds"], found["idle_pss_mib"]]
            more, inside = found["more_than_noop_ms"], found["more_inside_ms"]
            cells += [found["noop"]["a_task_ms"], more["sleep"], more["computed"], more["hits"]]
            cells += [inside["computed"], inside["hits"], f"{found['date']}, {found['load']}"]
            yield _row([name, *map(str, cells)])


if __name__ == "__main__":
    written = {PAGE: page(), CHOICE: choice()}
    if "--check" in sys.argv[1:]:
        for path, text in written.items():
            if not path.is_file() or path.read_text() != text:
                sys.exit(f"{path.relative_to(ROOT)} isn't what would be written: python tools/backends_page.py")
        print("backends: the pages hold")
    else:
        for path, text in written.items():
            path.write_text(text)
