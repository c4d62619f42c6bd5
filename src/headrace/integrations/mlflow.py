"""Finished runs, mirrored to MLflow: beside the run, never in its way.

The store's records stay the truth. A mirror reads them after the run and writes parameters, metrics, tags, gates'
verdicts and model versions to a tracking server or database. To mirror a run twice, or again after a kill half-way,
adds nothing that is there.

==============================  ==============================================================
in the store                    in MLflow
==============================  ==============================================================
a run                           a run of the experiment, tag ``headrace.run_id``
its parameters                  params
that it took a sample           tag ``headrace.sample``, an experiment whose name ends with ``.sampled``
numbers under ``metrics``       metrics ``auc``, with ``intervals`` also ``auc.low``, ``auc.high``
seconds of executed steps       metrics ``seconds.train``
outputs of the pipeline         tags ``headrace.output.model`` with their digests
a gate's verdict and reasons    tags ``headrace.gate.gate``, ``headrace.gate.gate.reasons``
a registered model version      a model version with tags ``headrace.version``, ``headrace.digest``
the champion                    alias ``champion``
==============================  ==============================================================

``python -m headrace.integrations.mlflow RUN --store .headrace --tracking-uri sqlite:///mlflow.db`` mirrors by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.core.errors import HeadraceError, ProjectError, RunError
from headrace.engine.events import Event, RunEnded
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.readable import plain, sample_text, stored_json, text
from headrace.engine.settings import setting
from headrace.engine.view import RunView, find_run

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

    from headrace.stores.protocol import Store

INSTALL = 'python -m pip install "headrace[mlflow]"'
RUN_ID, IS_WHOLE = "headrace.run_id", "headrace.is_whole"
VERSION, DIGEST = "headrace.version", "headrace.digest"
CHAMPION = "champion"
SAMPLED = ".sampled"
"""What the experiment's name ends with for runs that took a sample of their data."""
MOST_TAG_CHARACTERS = 5_000
MOST_PARAM_CHARACTERS = 6_000
MOST_BATCH = 100
STATUS = {"succeeded": "FINISHED", "rejected": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


class Mirrored(NamedTuple):
    """Where a run is in MLflow now."""

    experiment: str
    mlflow_run_id: str
    is_new: bool
    """False where it was there already, whole."""
    versions: tuple[str, ...]
    """The model versions that it registered, as ``name/number`` in MLflow's numbers."""


def mirror(
    store: Store, run_id: str | None = None, *, tracking_uri: str | None = None, experiment: str | None = None
) -> Mirrored:
    """Write a finished run to MLflow, unless it is there.

    What isn't a finite number is written as MLflow keeps it (NaN, infinities); parameters and tags are cut at MLflow's
    lengths. Secrets are references in the records, so their values can't get out here. Nothing is written to the store.

    Parameters
    ----------
    store
        Where the run is.
    run_id
        The run; the newest by default.
    tracking_uri
        A server (``http://…``) or database (``sqlite:///mlflow.db``); by default MLflow's own setting.
    experiment
        The experiment's name; by default the pipeline's.

    Raises
    ------
    RunError
        There is no such run, or it hasn't ended.
    ProjectError
        MLflow isn't installed; the text holds the line that installs it.
    """
    view = RunView.read(store, find_run(store, run_id))
    if view.end is None:
        raise RunError(f"Run {view.id!r} hasn't ended, so it can't be mirrored", hint="mirror it when it has")
    client = client_of(tracking_uri)
    name = experiment or str(view.begin["pipeline"])
    if view.begin.get("sample"):
        name += SAMPLED
    experiment_id = _experiment(client, name)
    found = _mirrored_run(client, experiment_id, view.id)
    if found is not None and found.data.tags.get(IS_WHOLE) == "true":
        return Mirrored(name, found.info.run_id, False, tuple(_registered(client, found.info.run_id)))
    run = found or client.create_run(
        experiment_id, start_time=_milliseconds(view.begin["started"]), tags={RUN_ID: view.id}, run_name=view.id
    )
    _Mirror(client, view, run.info.run_id).write()
    return Mirrored(name, run.info.run_id, True, tuple(_registered(client, run.info.run_id)))


@dataclass(frozen=True)
class _Mirror:
    """One run on its way into MLflow. Each write may be repeated: stamps are the run's own, not the clock's."""

    client: MlflowClient
    view: RunView
    run_id: str

    def write(self) -> None:
        from mlflow.entities import Metric, Param, RunTag

        assert self.view.end is not None
        ended = _milliseconds(self.view.end["ended"])
        params = [Param(_key(name), value) for name, value in _params(self.view)]
        metrics = [Metric(_key(name), value, ended, 0) for name, value in _metrics(self.view)]
        tags = [RunTag(_key(name), value[:MOST_TAG_CHARACTERS]) for name, value in _tags(self.view)]
        for start in range(0, max(len(params), len(metrics), len(tags)), MOST_BATCH):
            part = slice(start, start + MOST_BATCH)
            self.client.log_batch(self.run_id, metrics=metrics[part], params=params[part], tags=tags[part])
        for version in _versions(self.view):
            self._register(version)
        self.client.set_terminated(self.run_id, STATUS.get(self.view.end["outcome"], "FAILED"), ended)
        self.client.set_tag(self.run_id, IS_WHOLE, "true")

    def _register(self, version: Mapping[str, Any]) -> None:
        """Make the model version that has this digest, once, and point the champion's alias at it."""
        from mlflow.exceptions import MlflowException

        name = str(version["name"])
        try:
            self.client.get_registered_model(name)
        except MlflowException:
            self.client.create_registered_model(name)
        numbers = {
            known.tags.get(DIGEST): known.version
            for known in self.client.search_model_versions(f"name = '{name}'")
            if DIGEST in known.tags
        }
        number = numbers.get(version["digest"])
        if number is None:
            made = self.client.create_model_version(
                name,
                source=f"headrace:/{name}/versions/{version['version']}",
                run_id=self.run_id,
                tags={VERSION: str(version["version"]), DIGEST: str(version["digest"])},
                description=f"Version {version['version']} of {name} in the store {self.view.store.url}",
                await_creation_for=0,
            )
            number = made.version
        if _champion(self.view.store, name) == version["version"]:
            self.client.set_registered_model_alias(name, CHAMPION, number)


class MirrorWhenEnded(Listener):
    """A listener that mirrors each run when it has ended.

    Switched on by ``mlflow_tracking_uri`` in ``[tool.headrace]`` or ``HEADRACE_MLFLOW_TRACKING_URI``. What goes wrong
    is a warning of the run, with the line that tries again.
    """

    def __init__(self, info: RunInfo) -> None:
        self.store = info.store
        self.tracking_uri = setting("mlflow_tracking_uri", None, info.settings)
        self.experiment = setting("mlflow_experiment", None, info.settings)

    def __call__(self, event: Event) -> None:
        """Mirror the run where its end is told."""
        if not isinstance(event, RunEnded):
            return
        try:
            mirror(self.store, event.run_id, tracking_uri=self.tracking_uri, experiment=self.experiment)
        except Exception as error:
            again = f"python -m {__spec__.name} {event.run_id} --store {self.store.url}"
            problem = error.message if isinstance(error, HeadraceError) else error
            first = f"{error.hint}; then " if isinstance(error, HeadraceError) and error.hint else ""
            raise RunError(
                f"run {event.run_id} isn't mirrored to MLflow: {problem}", hint=f"{first}try again: {again}"
            ) from error


def client_of(tracking_uri: str | None) -> MlflowClient:
    """Open MLflow. Raises `ProjectError` when it isn't installed."""
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ProjectError(f"MLflow isn't installed in this environment ({error})", hint=INSTALL) from error
    return MlflowClient(tracking_uri)


def _experiment(client: MlflowClient, name: str) -> str:
    """Find or make the experiment; another process may make it in between."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise RunError(
            f"The MLflow experiment {name!r} is deleted", hint="restore it there, or name another with experiment="
        )
    return str(found.experiment_id)


def _mirrored_run(client: MlflowClient, experiment_id: str, run_id: str) -> MlflowRun | None:
    runs = client.search_runs([experiment_id], f"tags.`{RUN_ID}` = '{run_id}'", max_results=1)
    return runs[0] if runs else None


def _registered(client: MlflowClient, mlflow_run_id: str) -> Iterator[str]:
    for version in client.search_model_versions(f"run_id = '{mlflow_run_id}'"):
        yield f"{version.name}/{version.version}"


def _params(view: RunView) -> Iterator[tuple[str, str]]:
    for name, tree in view.parameters.items():
        value = plain(tree)
        shown = value if isinstance(value, str) else text(tree) if isinstance(tree, dict) else json.dumps(value)
        yield name, shown[:MOST_PARAM_CHARACTERS]


def _values(view: RunView) -> Iterator[tuple[str, str, Any]]:
    """Give each small JSON output: its node, its name and its value."""
    for node, result in view.results.items():
        for name, artifact in result.outputs.items():
            value = stored_json(view.store, artifact, floats=True)
            if value is not None:
                yield node, name, value[0]


def _metrics(view: RunView) -> Iterator[tuple[str, float]]:
    """Give the numbers that steps call metrics, and how long executed steps took."""
    found = [
        (node, value)
        for node, _, value in _values(view)
        if isinstance(value, Mapping) and isinstance(value.get("metrics"), Mapping)
    ]
    for node, value in found:
        before = f"{node}." if len(found) > 1 else ""
        for name, number in value["metrics"].items():
            if isinstance(number, int | float):
                yield f"{before}{name}", float(number)
        intervals = value.get("intervals")
        for name, ends in intervals.items() if isinstance(intervals, Mapping) else ():
            if isinstance(ends, list) and len(ends) == 2:
                yield from ((f"{before}{name}.{end}", float(ends[i])) for i, end in enumerate(("low", "high")))
    for node, result in view.results.items():
        if result.outcome.value == "succeeded":
            yield f"seconds.{node}", result.seconds


def _tags(view: RunView) -> Iterator[tuple[str, str]]:
    assert view.end is not None
    yield "headrace.outcome", str(view.end["outcome"])
    yield "headrace.pipeline", str(view.begin["pipeline"])
    yield "headrace.plan", str(view.begin["plan"])
    yield "headrace.store", view.store.url
    if (taken := sample_text(view.begin)) is not None:
        yield "headrace.sample", taken
    for name, ref in view.plan.outputs.items():
        result = view.results.get(ref.node)
        if result is not None and ref.output in result.outputs:
            yield f"headrace.output.{name}", result.outputs[ref.output].digest
    yield from _verdicts(view)


def _verdicts(view: RunView) -> Iterator[tuple[str, str]]:
    values = {(node, name): value for node, name, value in _values(view)}
    for node in view.plan.nodes:
        gate = view.plan.step_of(node).gate
        if gate is None or (node.id, gate) not in values:
            continue
        yield f"headrace.gate.{node.id}", "passed" if values[node.id, gate] else "rejected"
        reasons = values.get((node.id, "reasons"))
        if isinstance(reasons, list):
            yield f"headrace.gate.{node.id}.reasons", "\n".join(map(_reason, reasons))


def _reason(reason: Any) -> str:
    if not isinstance(reason, Mapping) or "rule" not in reason:
        return json.dumps(reason)
    mark = "ok" if reason.get("passed") else "NOT"
    note = f" ({reason['note']})" if reason.get("note") else ""
    return f"{mark} {reason['rule']}: {reason.get('value'):.6g}{note}"


def _versions(view: RunView) -> Iterator[Mapping[str, Any]]:
    """Give the model versions that the run's steps registered."""
    for node, result in view.results.items():
        for artifact in result.outputs.values():
            if artifact.type == "headrace.steps.registry.ModelVersion":
                value = stored_json(view.store, artifact)
                if value is None:
                    raise RunError(
                        f"The model version that {node!r} registered is gone from the store",
                        hint="run the pipeline again, and mirror that run",
                    )
                yield value[0]


def _champion(store: Store, name: str) -> int | None:
    """Read which version serves, as `headrace.steps.registry` keeps it."""
    record = store.read_record(f"registry/{name}/champion.json")
    return None if record is None else int(json.loads(record)["version"])


def _key(name: str) -> str:
    """Give a name as MLflow takes it: letters, digits, ``_``, ``-``, ``.``, blanks and ``/``, at most 250."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]


def _milliseconds(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def main(arguments: list[str] | None = None) -> int:
    """Mirror a run by hand."""
    from headrace.stores.open import open_store

    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="Mirror a finished run to MLflow.")
    parser.add_argument("run", nargs="?", help="the run's id (default: the newest)")
    parser.add_argument("--store", default=os.environ.get("HEADRACE_STORE", ".headrace"), help="default: %(default)s")
    parser.add_argument("--tracking-uri", default=os.environ.get("HEADRACE_MLFLOW_TRACKING_URI"))
    parser.add_argument("--experiment", default=os.environ.get("HEADRACE_MLFLOW_EXPERIMENT"))
    options = parser.parse_args(arguments)
    try:
        store = open_store(options.store if "://" in options.store else Path(options.store))
        found = mirror(store, options.run, tracking_uri=options.tracking_uri, experiment=options.experiment)
    except HeadraceError as error:
        sys.stderr.write(f"headrace: {error}\n")
        return 1
    state = "mirrored" if found.is_new else "there already"
    models = f"; model versions: {', '.join(found.versions)}" if found.versions else ""
    sys.stdout.write(f"{state}: experiment {found.experiment!r}, run {found.mlflow_run_id}{models}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
