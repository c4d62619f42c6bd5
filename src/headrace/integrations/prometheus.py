"""A file of metrics for Prometheus' node_exporter, whose textfile collector reads the folder that it is in.

Written when a run has ended, as a whole or not at all: ``headrace_<project>_<pipeline>.prom``. Gauges tell of that run,
counters of all runs since the file was begun. Labels are bounded: the project, the pipeline, its steps (not the nodes
of a map), outcomes.
"""

from __future__ import annotations

import fcntl
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ProjectError
from headrace.core.outcome import Outcome, RunOutcome
from headrace.engine.events import Event, RunEnded
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.settings import setting
from headrace.engine.view import RunView

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MOST_STEPS = 200
"""Steps of a pipeline that have a label of their own; the rest are told together, as ``other``."""
EXECUTED = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY)
Known = Mapping[tuple[str, ...], float]
"""A metric's values by those of its labels that come after project and pipeline."""
Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
"""By name, the samples of a file: labels and value."""


class TextFile(Listener):
    """Writes a file of metrics when a run has ended."""

    def __init__(self, info: RunInfo) -> None:
        import prometheus_client  # noqa: F401 - that it is missing is told when the run begins

        self._info = info
        self._folder = Path(info.folder, str(setting("prometheus_directory", None, info.settings)))

    def __call__(self, event: Event) -> None:
        """Write the file where the run's end is told."""
        if not isinstance(event, RunEnded):
            return
        if not self._folder.is_dir():
            raise ProjectError(
                f"There is no folder {str(self._folder)!r} for metrics",
                hint="prometheus_directory is what node_exporter has as --collector.textfile.directory",
            )
        labels = {"project": self._info.folder.name, "pipeline": self._info.pipeline}
        name = "_".join(re.sub(r"[^\w.-]", "_", label) for label in labels.values())
        file = self._folder / f"headrace_{name}.prom"
        with _alone(file):
            before = _read(file)
            _write(file, families(RunView.read(self._info.store, self._info.run_id), event, labels, before))


def families(view: RunView, event: RunEnded, labels: Mapping[str, str], before: Samples) -> list[Metric]:
    """The metrics of a run that has ended. ``before``: the file's metrics as they were."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    names, own = list(labels), tuple(labels.values())
    end = datetime.fromisoformat(event.time).timestamp()
    known = [value for found, value in before.get("headrace_run_last_success_timestamp_seconds", ()) if found == labels]
    success = end if event.outcome == RunOutcome.SUCCEEDED else known[0] if known else None

    def gauge(name: str, text: str, values: Known, *more: str) -> Metric:
        family = GaugeMetricFamily(name, text, labels=[*names, *more])
        for last, value in values.items():
            family.add_metric([*own, *last], value)
        return family

    def counter(name: str, text: str, values: Known, *more: str) -> Metric:
        family = CounterMetricFamily(name, text, labels=[*names, *more])
        known = before.get(f"{name}_total", ())
        earlier = {tuple(found.get(label, "") for label in more): value for found, value in known}
        for last in sorted({*earlier, *values}):
            family.add_metric([*own, *last], earlier.get(last, 0.0) + values.get(last, 0.0))
        return family

    start = datetime.fromisoformat(view.begin["started"]).timestamp()
    counts: Known = {(str(outcome),): float(event.counts.get(outcome, 0)) for outcome in Outcome}
    ended: Known = {(str(outcome),): float(outcome == event.outcome) for outcome in RunOutcome}
    return [
        gauge("headrace_run_last_start_timestamp_seconds", "When the last run began.", {(): start}),
        gauge("headrace_run_last_end_timestamp_seconds", "When the last run ended.", {(): end}),
        gauge(
            "headrace_run_last_success_timestamp_seconds",
            "When a run last succeeded.",
            {} if success is None else {(): success},
        ),
        gauge("headrace_run_duration_seconds", "How long the last run took.", {(): event.seconds}),
        gauge("headrace_run_outcome", "How the last run ended: 1 for that outcome.", ended, "outcome"),
        gauge("headrace_run_nodes", "How many nodes of the last run ended so.", counts, "outcome"),
        gauge("headrace_step_duration_seconds", "Time that a step's executions took.", _step_seconds(view), "step"),
        counter("headrace_runs", "Runs that ended so.", {(event.outcome,): 1.0}, "outcome"),
        counter("headrace_step_retries", "Attempts that another followed.", _retries(view), "step"),
    ]


def _step_seconds(view: RunView) -> Mapping[tuple[str, ...], float]:
    seconds: Counter[tuple[str, ...]] = Counter()
    for step, attempts in _attempts(view):
        for item in attempts:
            if item.outcome in EXECUTED:
                seconds[(step,)] += item.seconds
    return seconds


def _retries(view: RunView) -> Mapping[tuple[str, ...], float]:
    found: Counter[tuple[str, ...]] = Counter()
    for step, attempts in _attempts(view):
        found[(step,)] += len(attempts) - 1
    return {step: float(number) for step, number in found.items()}


def _attempts(view: RunView) -> Iterator[tuple[str, Any]]:
    """The attempts of each node, with the label of its step."""
    shown = {spec.id for spec in view.plan.steps[:MOST_STEPS]}
    for node in view.plan.nodes:
        if node.id in view.attempts:
            spec = view.plan.step_of(node)
            yield spec.name if spec.id in shown else "other", view.attempts[node.id]


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Be the only one who counts on: two runs of a pipeline may end at once."""
    with (file.parent / f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(file: Path) -> Samples:
    """The metrics that a file holds; none where there is no file, or it isn't ours to read."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        found = list(text_string_to_metric_families(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    known: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in found:
        for sample in family.samples:
            known.setdefault(sample.name, []).append((sample.labels, sample.value))
    return known


def _write(file: Path, metrics: list[Metric]) -> None:
    from prometheus_client import CollectorRegistry, write_to_textfile
    from prometheus_client.registry import Collector

    class Given(Collector):
        def collect(self) -> list[Metric]:
            return metrics

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Given())
    write_to_textfile(str(file), registry)
