"""What is said at the end of a run: how it ended, what it made, where to look, how to go on."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headrace.cli.texts import clean, count, duration, one_line, size, table
from headrace.core.outcome import Outcome, RunOutcome

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.engine.records import NodeResult
    from headrace.engine.run import RunResult
    from headrace.stores.protocol import Store

MOST_FAILURES = 3
LOG_LINES = 20
LOG_BYTES = 64_000


def show_end(result: RunResult, arguments: argparse.Namespace, again: Sequence[str]) -> None:
    """Print how a run ended."""
    if arguments.json:
        print(json.dumps(as_json(result), indent=2))  # noqa: T201
        return
    if arguments.quiet and result.outcome is RunOutcome.SUCCEEDED:
        return
    for line in end_lines(result, again):
        print(line)  # noqa: T201
    with suppress(OSError):
        sys.stdout.flush()


def end_lines(result: RunResult, again: Sequence[str]) -> Iterator[str]:
    """All lines that tell a run's end."""
    for node, failed in own_failures(result.nodes)[:MOST_FAILURES]:
        yield ""
        yield from failure_lines(result, node, failed)
    yield ""
    yield headline(result)
    made = list(output_rows(result))
    if made:
        yield ""
        yield from table(made, indent="  ")
    if result.outcome in (RunOutcome.FAILED, RunOutcome.CANCELLED):
        yield ""
        yield f"go on with: {shlex.join(again)}"


def own_failures(nodes: Mapping[str, NodeResult]) -> list[tuple[str, NodeResult]]:
    """The nodes that failed by themselves."""
    return [(name, result) for name, result in nodes.items() if result.failure is not None]


def headline(result: RunResult) -> str:
    """The one line that says how it went."""
    outcomes = [node.outcome for node in result.nodes.values()]
    n_hits, n_skipped = outcomes.count(Outcome.CACHED), outcomes.count(Outcome.SKIPPED)
    n_failed = sum(outcome.is_failure for outcome in outcomes)
    parts = [f"{outcomes.count(Outcome.SUCCEEDED)} executed", count(n_hits, "hit")]
    parts += [f"{n_skipped} skipped"] if n_skipped else []
    parts += [f"{n_failed} failed or not reached"] if n_failed else []
    return f"run {result.run_id} {result.outcome}: {', '.join(parts)}"


def output_rows(result: RunResult) -> Iterator[Sequence[str]]:
    """The pipeline's outputs: name, format, size, and a short value."""
    for name, ref in result.outputs.items():
        node = result.nodes.get(ref.node)
        artifact = node.outputs.get(ref.output) if node else None
        if artifact is not None:
            yield name, artifact.format, size(artifact.n_bytes), short_value(result.store, artifact)


def short_value(store: Store, artifact: Artifact) -> str:
    """A small JSON value as text."""
    if artifact.format != "json" or artifact.n_bytes > 2000:
        return ""
    return one_line(store.read_object(artifact.files[0].digest).decode(), 100)


def failure_lines(result: RunResult, node: str, failed: NodeResult) -> Iterator[str]:
    """What is known of a failure: place, message, the end of its log."""
    from headrace.engine.records import attempt_name

    failure = failed.failure
    assert failure is not None
    where = f" ({failure.where})" if failure.where else ""
    yield f"step {node!r} {failed.outcome} after {duration(failed.seconds)}{where}"
    yield from (f"  {line}" for line in clean(failure.traceback or failure.message).strip().split("\n")[-LOG_LINES:])
    log = result.store.stream_path(attempt_name(result.run_id, node, failed.attempt, "log"))
    lines = last_lines(log)
    if lines:
        yield f"the end of its log, {log}:"
        yield from (f"  {line}" for line in lines)


def last_lines(log: Any) -> list[str]:
    """The last lines of a log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - LOG_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return clean(text).rstrip("\n").split("\n")[-LOG_LINES:] if text.strip() else []


def as_json(result: RunResult) -> dict[str, Any]:
    """How a run ended, for programs."""
    return {
        "run": result.run_id,
        "outcome": result.outcome.value,
        "nodes": {name: {"outcome": node.outcome.value} for name, node in result.nodes.items()},
    }
