"""Carries a pipeline out on an engine and on this machine, and holds the one against the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engine import (
    BEGIN,
    FAILED,
    FINISH,
    NOT_STARTED,
    SECRET,
    SECRET_NAME,
    SKIPPED,
    SUCCEEDED,
    Deployed,
    Ended,
    Engine,
)

from headrace.backends.capabilities import Feature, Kind
from headrace.backends.compiling import find_backend
from headrace.engine.records import RunRecord, run_ids
from headrace.engine.view import RunView
from headrace.stores.open import open_store

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, SECRET_NAME: SECRET}


def headrace(folder: Path, *arguments: str, code: int | None = 0) -> str:
    """Run the command in a folder, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout


def options(parameters: Mapping[str, Any], folder: Path) -> list[str]:
    """Parameters as options: a file, so that none is quoted."""
    if not parameters:
        return []
    file = folder / "parameters.json"
    file.write_text(json.dumps(parameters))
    return ["--params", str(file)]


@dataclass
class Bench:
    """An engine, and a folder for what is tried on it."""

    engine: Engine
    folder: Path
    words: dict[str, set[str]] = field(default_factory=dict)
    """What the engine was seen to call each outcome of a node."""
    _deployed: dict[str, Deployed] = field(default_factory=dict)

    @cached_property
    def project(self) -> Path:
        """A copy of the project: one for all cases of an engine."""
        place = self.folder / "project"
        shutil.copytree(HERE / "project", place, ignore=shutil.ignore_patterns("__pycache__", ".headrace"))
        return place

    @cached_property
    def example(self) -> Path:
        """A copy of the example project, with its data."""
        place = self.folder / "churn"
        unwanted = shutil.ignore_patterns("__pycache__", ".headrace", "*.csv", ".mypy_cache")
        shutil.copytree(HERE.parents[1] / "examples" / "churn", place, ignore=unwanted)
        subprocess.run([sys.executable, "-m", "churn.generate"], cwd=place, check=True, capture_output=True)
        return place

    def kind(self, feature: Feature) -> Kind:
        """How the engine's backend has a feature."""
        return find_backend(self.engine.name).capabilities[feature].kind

    def deploy(
        self, pipeline: str, parameters: Mapping[str, Any] | None = None, *more: str, project: Path | None = None
    ) -> Deployed:
        """Compile a pipeline and give it to the engine; once. ``project``: another than `project`, by its default."""
        root = project or self.project
        if pipeline not in self._deployed:
            folder, store = self.folder / "out" / pipeline, self.folder / "stores" / pipeline
            folder.mkdir(parents=True)
            named = [] if project else [f"flows.py:{pipeline}"]
            words = ["compile", self.engine.name, *named, "-o", str(folder), "--store", str(store)]
            given = options(parameters or {}, folder)
            told = [*words, *given, *more, *self.engine.compile_options(), "--json"]
            answer = json.loads(headrace(root, *told))
            found = Deployed(pipeline, folder, root, store, tuple(answer["nodes"]))
            self.engine.deploy(found)
            self._deployed[pipeline] = found
        return self._deployed[pipeline]

    def run(self, deployed: Deployed, parameters: Mapping[str, Any] | None = None, date: str | None = None) -> Done:
        """One run on the engine, to its end."""
        run = self.engine.trigger(deployed, parameters or {}, date)
        return self.ended(deployed, run)

    def ended(self, deployed: Deployed, run: str) -> Done:
        """The end of a run on the engine."""
        return Done(self, deployed, run, self.engine.wait(deployed, run))

    def local(
        self,
        pipeline: str,
        parameters: Mapping[str, Any] | None = None,
        date: str | None = None,
        project: Path | None = None,
    ) -> RunView:
        """The same on this machine, in a store of its own."""
        store = self.folder / "local" / f"{pipeline}-{len(list((self.folder / 'local').glob('*')))}"
        store.mkdir(parents=True)
        given = options(parameters or {}, store)
        day = ["--date", date] if date else []
        named = [] if project else [f"flows.py:{pipeline}"]
        words = ["run", *named, "--store", str(store / "store"), *given, *day, "--json"]
        headrace(project or self.project, *words, code=None)
        return newest(store / "store")

    def same(
        self, pipeline: str, parameters: Mapping[str, Any] | None = None, *more: str, defaults: Any = None
    ) -> Done:
        """Run a pipeline on the engine and here: the same outcomes, the same bytes, and each shown as it was."""
        deployed = self.deploy(pipeline, defaults, *more)
        done = self.run(deployed, parameters)
        done.is_as(self.local(pipeline, {**(defaults or {}), **(parameters or {})}))
        return done


def newest(store: Path) -> RunView:
    """The newest run in a store."""
    opened = open_store(str(store))
    return RunView.read(opened, run_ids(opened)[-1])


def digests(view: RunView) -> dict[str, str]:
    """Every artifact of a run, by node and output."""
    return {
        f"{node}/{name}": artifact.digest
        for node, result in view.results.items()
        for name, artifact in result.outputs.items()
    }


@dataclass(frozen=True)
class Done:
    """A run that has ended on an engine."""

    bench: Bench
    deployed: Deployed
    run: str
    ended: Ended

    @cached_property
    def view(self) -> RunView:
        """What Headrace knows of it."""
        store = open_store(str(self.deployed.store))
        found = [name for name in run_ids(store) if self._is_ours(RunRecord(store, name))]
        assert len(found) == 1, f"{found} of {self.run!r}"
        return RunView.read(store, found[0])

    def _is_ours(self, record: RunRecord) -> bool:
        return bool(record.begin().get("engine", {}).get("run") == self.run)

    @property
    def outcomes(self) -> dict[str, str]:
        """How each node ended, by Headrace."""
        return {node: str(result.outcome) for node, result in self.view.results.items()}

    def is_as(self, local: RunView) -> None:
        """Hold it against a run of the same on this machine."""
        assert self.view.state == local.state
        assert self.outcomes == {node: str(result.outcome) for node, result in local.results.items()}
        assert digests(self.view) == digests(local)
        self.is_shown()

    def is_shown(self) -> None:
        """Hold what the engine says against what Headrace knows."""
        assert self.ended.state == (SUCCEEDED if self.view.state == "succeeded" else FAILED), self.ended
        assert dict(self.ended.tasks) == dict(self._expected()), self.ended
        for node, outcome in {**self.outcomes, FINISH: f"run {self.view.state}"}.items():
            if node in self.ended.words:
                self.bench.words.setdefault(outcome, set()).add(self.ended.words[node])

    def _expected(self) -> Iterator[tuple[str, str]]:
        shows_skips = self.bench.kind(Feature.CONDITION) is Kind.NATIVE
        shown = {
            "succeeded": SUCCEEDED,
            "cached": SUCCEEDED,
            "skipped": SKIPPED if shows_skips else SUCCEEDED,
            "upstream failed": NOT_STARTED,
            "cancelled": NOT_STARTED,
        }
        yield BEGIN, SUCCEEDED
        for node, outcome in self.outcomes.items():
            yield node, shown.get(outcome, FAILED)
        yield FINISH, SUCCEEDED if self.view.state == "succeeded" else FAILED
