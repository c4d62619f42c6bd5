"""Streams as an orchestrator has them read: a process begins, others read; in a folder's store and in a bucket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from headrace.core.outcome import Outcome
from headrace.engine.exchange import load_artifact
from headrace.engine.exec_node import exec_node
from headrace.engine.exec_run import begin_run, finish_run
from headrace.engine.records import NodeResult
from headrace.engine.run import RunOptions, Session
from headrace.engine.target import locate
from headrace.formats.table import Table
from headrace.steps.streams.chain import Chain
from headrace.stores.open import open_store
from headrace.testing.streams import LineBench

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "prove"))

from bucket.server import BUCKET, environment, missing, serving

OPTIONS = RunOptions(inline=True, echo=False)
FLOW = """
from headrace import pipeline
from headrace.steps.streams import ingest_stream
from headrace.testing.streams import LineStream

@pipeline
def reading(folder: str):
    return ingest_stream(LineStream(folder), decode="text").table
"""
NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if reason := missing():
        pytest.skip(reason)
    with serving() as url:
        yield url


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a store is."""
    if request.param == "folder":
        return str(tmp_path / "store")
    for name, value in environment(request.getfixturevalue("server")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    return f"s3://{BUCKET}/{sha256(str(tmp_path).encode()).hexdigest()[:16]}"


class Project:
    """A pipeline that reads lines, and a store."""

    def __init__(self, folder: Path, place: str, bench: LineBench) -> None:
        folder.mkdir()
        (folder / "pyproject.toml").write_text('[project]\nname = "small"\n')
        self.module = f"lines_{os.getpid()}_{next(NUMBERS)}"
        (folder / f"{self.module}.py").write_text(FLOW)
        self.folder = folder
        self.place = place
        self.given = {"folder": str(bench.folder)}

    def session(self) -> Session:
        return Session(locate(f"{self.module}.py:reading", self.folder), None, self.folder, self.place)

    def begin(self, run_id: str) -> None:
        begin_run(self.session(), run_id, self.given, OPTIONS)

    def read(self, run_id: str) -> NodeResult:
        return exec_node(self.session(), "ingest_stream", run_id, self.given, OPTIONS)

    def finish(self, run_id: str) -> str:
        return str(finish_run(self.session(), run_id, OPTIONS).outcome)

    def rows(self, result: NodeResult) -> list[str]:
        found = load_artifact(result.outputs["table"], Table, open_store(self.place))
        return list(found.arrow()["value"].to_pylist())


def test_what_begin_pinned_is_what_is_read(tmp_path: Path, place: str, lines: LineBench) -> None:
    project = Project(tmp_path / "project", place, lines)
    lines.send([b"1"])
    project.begin("one")
    lines.send([b"2"])
    project.begin("two")
    project.begin("one")

    first = project.read("one")
    assert project.rows(first) == ["1"], "what came after it began is for another run"
    second = project.read("two")
    assert second.outcome is Outcome.FAILED
    assert second.failure is not None and "has been taken by run 'one'" in second.failure.message
    assert project.read("one").outputs == first.outputs
    assert (project.finish("one"), project.finish("two")) == ("succeeded", "failed")

    project.begin("three")
    assert project.rows(project.read("three")) == ["2"]
    store = open_store(place)
    chain = Chain(store, lines.stream()).snapshots()
    assert [(one.run, one.n_rows) for one in chain] == [("one", 1), ("three", 1)]
