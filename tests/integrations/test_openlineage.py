"""Events that the client sends to a real server on loopback, held to the schema of its own classes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loopback import HttpServer

import headrace
from headrace import RunOptions, RunOutcome
from headrace.engine.exec_node import exec_node
from headrace.engine.listeners import Listener, RunInfo
from headrace.engine.run import Session
from headrace.engine.target import locate
from headrace.testing.listeners import ListenerContract

pytest.importorskip("openlineage.client", reason="the extra 'openlineage' isn't installed")

from jsonschema import Draft202012Validator, ValidationError
from lineage_schema import FACETS, OWN, check_event, facets_in

from headrace.integrations.openlineage import Lineage

PARENT = "01936f3a-7f2e-7c1a-9d5b-0a1b2c3d4e5f"


@pytest.fixture
def backend(listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    return receiver


class TestLineage(ListenerContract):
    @pytest.fixture(autouse=True)
    def _backend(self, backend: HttpServer) -> None:
        pass

    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        return Lineage(info)


def sent(server: HttpServer) -> list[dict[str, Any]]:
    """The events that came, each held to the schema."""
    events = [json.loads(request.body) for request in server.requests]
    for event in events:
        check_event(event)
    return events


def told(server: HttpServer) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in sent(server)]


def event_of(server: HttpServer, job: str, kind: str = "COMPLETE") -> dict[str, Any]:
    return [event for event in sent(server) if (event["job"]["name"], event["eventType"]) == (job, kind)][-1]


def test_a_run_and_its_attempts_start_and_end(listened: Any, backend: HttpServer) -> None:
    listened.run()
    assert listened.warnings == []
    assert backend.requests[0].path == "/api/v1/lineage"
    assert told(backend) == [
        ("listened", "START"),
        *[
            (f"listened.{node}", kind)
            for node in ("ingest", "train", "gate", "register")
            for kind in ("START", "COMPLETE")
        ],
        ("listened", "COMPLETE"),
    ]
    events = sent(backend)
    assert {event["job"]["namespace"] for event in events} == {"headrace"}
    run_id = events[0]["run"]["runId"]
    assert events[-1]["run"]["runId"] == run_id
    by_job: dict[str, set[str]] = {}
    for event in events:
        by_job.setdefault(event["job"]["name"], set()).add(event["run"]["runId"])
    assert all(len(ids) == 1 for ids in by_job.values()) and len(set.union(*by_job.values())) == 5
    parent = event_of(backend, "listened.train")["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"]) == (run_id, "listened")
    assert parent["root"]["run"]["runId"] == run_id
    assert events[0]["run"]["facets"]["processing_engine"]["name"] == "headrace"
    assert events[0]["job"]["facets"]["jobType"]["jobType"] == "PIPELINE"


def test_what_was_taken_and_made(listened: Any, backend: HttpServer) -> None:
    result = listened.run()
    train = event_of(backend, "listened.train")
    (taken,), (made,) = train["inputs"], train["outputs"]
    assert (taken["namespace"], taken["name"]) == (result.store.url, "listened.ingest.output")
    assert made["name"] == "listened.train.output"
    artifacts = {name: node.outputs["output"] for name, node in result.nodes.items() if "output" in node.outputs}
    assert taken["facets"]["version"]["datasetVersion"] == artifacts["ingest"].digest
    assert made["facets"]["version"]["datasetVersion"] == artifacts["train"].digest
    assert made["facets"]["storage"] == {
        **made["facets"]["storage"],
        "storageLayer": "headrace",
        "fileFormat": "json",
    }
    statistics = made["outputFacets"]["outputStatistics"]
    assert (statistics["size"], statistics["fileCount"]) == (artifacts["train"].n_bytes, 1)
    attempt = train["run"]["facets"]["headrace_attempt"]
    assert (attempt["attempt"], attempt["outcome"], attempt["key"]) == (1, "succeeded", result.nodes["train"].key)


def test_a_verdict_is_a_facet_of_the_gate_and_of_the_run(listened: Any, backend: HttpServer) -> None:
    listened.run(least=7.0)
    for event in (event_of(backend, "listened.gate"), event_of(backend, "listened", "FAIL")):
        verdict = event["run"]["facets"]["headrace_verdict"]
        assert (verdict["node"], verdict["passed"]) == ("gate", False)
        assert verdict["reasons"] == [{"rule": "score >= 7.0", "passed": False, "value": 2.0}]
    assert event_of(backend, "listened", "FAIL")["run"]["facets"]["errorMessage"]["message"] == "rejected by 'gate'"
    assert ("listened.register", "COMPLETE") not in told(backend)  # it was skipped


def test_each_attempt_that_fails_is_a_run_with_its_error(listened: Any, backend: HttpServer) -> None:
    listened.run(error="no disk")
    failed = [
        event for event in sent(backend) if (event["job"]["name"], event["eventType"]) == ("listened.train", "FAIL")
    ]
    assert [event["run"]["facets"]["headrace_attempt"]["attempt"] for event in failed] == [1, 2]
    assert len({event["run"]["runId"] for event in failed}) == 2
    error = failed[0]["run"]["facets"]["errorMessage"]
    assert error["message"] == "no disk." and "raise TransientError(error)" in error["stackTrace"]
    assert error["programmingLanguage"] == "PYTHON"
    end = event_of(backend, "listened", "FAIL")["run"]["facets"]["errorMessage"]["message"]
    assert end == "step 'train' failed: no disk."


def test_a_hit_is_told_by_its_end_alone(listened: Any, backend: HttpServer) -> None:
    listened.run()
    backend.requests.clear()
    listened.run()
    assert told(backend)[1] == ("listened.ingest", "COMPLETE") and len(told(backend)) == 6
    facets = event_of(backend, "listened.train")["run"]["facets"]
    assert facets["headrace_attempt"]["outcome"] == "cached"


TABLES = """
from pathlib import Path
import polars as pl
from typing import NamedTuple
from headrace import Table, pipeline, step
from headrace.steps import AtRandom, split
from sklearn.linear_model import LogisticRegression

@step
def read(data: Path) -> pl.DataFrame:
    return pl.read_csv(data)

@step
def fit(table: pl.DataFrame) -> LogisticRegression:
    return LogisticRegression().fit(table.select("age").fill_null(0), table["churned"])

@pipeline
def tables(data: Path = Path("customers.csv")):
    parts = split(read(data), AtRandom(seed=3), test=0.2, validation=0.2)
    return fit(parts.train)
"""


@pytest.mark.prove
def test_schema_statistics_split_and_model(listened: Any, backend: HttpServer) -> None:
    rows = [f"{number},{'' if number % 10 == 0 else number},{'yes' if number % 2 else 'no'}" for number in range(50)]
    listened.write("customers.csv", "\n".join(["id,age,churned", *rows]) + "\n")
    listened.write("tables.py", TABLES)
    result = listened.run("tables.py:tables")
    assert result.outcome == RunOutcome.SUCCEEDED and listened.warnings == []
    read = event_of(backend, "tables.read")
    (source,), (table,) = read["inputs"], read["outputs"]
    assert (source["namespace"], source["name"]) == ("file", str(listened.folder / "customers.csv"))
    assert len(source["facets"]["version"]["datasetVersion"]) == 64
    fields = [(field["name"], field["type"]) for field in table["facets"]["schema"]["fields"]]
    assert [name for name, _ in fields] == ["id", "age", "churned"] and fields[0][1] == "int64"
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 50
    parted = event_of(backend, "tables.split")
    metrics = parted["inputs"][0]["inputFacets"]["dataQualityMetrics"]
    assert metrics["rowCount"] == 50
    assert metrics["columnMetrics"]["age"] == {"nullCount": 5, "min": 1, "max": 49, "quantiles": {}}
    assert metrics["columnMetrics"]["churned"]["nullCount"] == 0 and "min" not in metrics["columnMetrics"]["churned"]
    facets = {item["name"].rpartition(".")[2]: item["facets"]["headrace_split"] for item in parted["outputs"]}
    assert {name: facet["role"] for name, facet in facets.items()} == {n: n for n in ("train", "validation", "test")}
    assert facets["test"]["parts"] == {"train": 30, "validation": 10, "test": 10}
    assert facets["test"]["how"] == {"how": "AtRandom(seed=3, stratify=None)", "test": "0.2", "validation": "0.2"}
    (model,) = event_of(backend, "tables.fit")["outputs"]
    assert model["facets"]["headrace_model"]["format"] == "skops"
    assert model["facets"]["headrace_model"]["digest"] == result.nodes["fit"].outputs["output"].digest


REGISTERED = """
from headrace import pipeline, step
from headrace.steps import ModelVersion

@step
def register() -> ModelVersion:
    return ModelVersion("churn", 3, "a" * 64)

@pipeline
def registered():
    return register()
"""


def test_a_registered_version(listened: Any, backend: HttpServer) -> None:
    listened.write("registered.py", REGISTERED)
    listened.run("registered.py:registered")
    (made,) = event_of(backend, "registered.register")["outputs"]
    facet = made["facets"]["headrace_model"]
    assert (facet["name"], facet["version"], facet["digest"]) == ("churn", 3, "a" * 64)


# --- where it is sent ----------------------------------------------------------------------------------------------


def test_the_clients_settings_hold(listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    file = listened.write("lineage.yml", f"transport:\n  type: http\n  url: {receiver.url}\n  endpoint: from/file\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(file))
    listened.run()
    assert {request.path for request in receiver.requests} == {"/from/file"}
    receiver.requests.clear()
    monkeypatch.delenv("OPENLINEAGE_CONFIG")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", receiver.url)
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__ENDPOINT", "from/variables")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "team-a")
    listened.run()
    assert {request.path for request in receiver.requests} == {"/from/variables"}
    assert {event["job"]["namespace"] for event in sent(receiver)} == {"team-a"}
    receiver.requests.clear()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    listened.run()
    assert receiver.requests == [] and listened.warnings == []


def test_a_file_in_the_current_folder(listened: Any, receiver: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    listened.write("openlineage.yml", f"transport:\n  type: http\n  url: {receiver.url}\n")
    monkeypatch.chdir(listened.folder)
    listened.run()
    assert len(sent(receiver)) == 10


def test_a_run_is_part_of_an_orchestrators(listened: Any, backend: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/nightly.churn/{PARENT}")
    listened.run()
    parent = sent(backend)[0]["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("airflow", "nightly.churn")
    assert parent["run"]["runId"] == PARENT
    below = event_of(backend, "listened.train")["run"]["facets"]["parent"]
    assert below["root"]["run"]["runId"] == PARENT and below["run"]["runId"] == sent(backend)[0]["run"]["runId"]
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "airflow/nightly/7")
    listened.run()
    assert listened.warnings == [
        "openlineage: OPENLINEAGE_PARENT_ID is 'airflow/nightly/7'.\n"
        "Hint: it must be NAMESPACE/JOB/RUN, RUN being a UUID"
    ]


def test_the_processes_of_an_orchestrated_run_tell_of_one_run(listened: Any, backend: HttpServer) -> None:
    for node in ("ingest", "train"):
        target = locate("listened.py:listened", listened.folder)
        session = Session(target, None, listened.folder, listened.folder / ".headrace")
        exec_node(session, node, "scheduled-1", {}, RunOptions())
    assert told(backend) == [
        ("listened", "START"),
        ("listened.ingest", "START"),
        ("listened.ingest", "COMPLETE"),
        ("listened.train", "START"),
        ("listened.train", "COMPLETE"),
    ]
    start = sent(backend)[0]["run"]["runId"]
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in sent(backend)[1:]} == {start}


def test_a_backend_that_is_down_is_one_warning(listened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://me:very-secret@127.0.0.1:1")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
    assert listened.run().outcome == RunOutcome.SUCCEEDED
    (warning,) = listened.warnings
    assert warning.startswith("openlineage: nothing more of this run is told, since ")
    assert "refused" in warning and "very-secret" not in warning


def test_a_backend_that_refuses_is_one_warning(
    listened: Any, backend: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "very-secret-key")
    backend.status = 401
    listened.run()
    (warning,) = listened.warnings
    assert warning.startswith("openlineage: HTTPError: 401 Client Error") and "very-secret-key" not in warning
    assert backend.requests[0].headers["authorization"] == "Bearer very-secret-key"


def test_an_inline_step_is_not_said_to_read_what_the_listener_reads(backend: HttpServer, listened: Any) -> None:
    program = """
import os, headrace
before = dict(os.environ)
options = headrace.RunOptions(inline=True, echo=False)
result = headrace.run("listened.py:listened", store="s", options=options)
print({name: node.discovered for name, node in result.nodes.items() if any(node.discovered.values())})
print(dict(os.environ) == before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=listened.folder, env={**os.environ}, capture_output=True, text=True
    )
    assert done.stdout == "{}\nTrue\n" and done.stderr == ""
    assert len(sent(backend)) == 10


# --- the schema bites ----------------------------------------------------------------------------------------------


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        for part in path[:-1]:
            event = event[part]
        del event[path[-1]]

    return change


def with_value(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        for part in path[:-1]:
            event = event[part]
        event[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        without("eventTime"),
        without("run", "runId"),
        without("job", "namespace"),
        without("run", "facets", "parent", "_producer"),
        without("run", "facets", "headrace_verdict", "passed"),
        with_value("ENDED", "eventType"),
        with_value("seven", "run", "runId"),
        with_value("2026-11-22", "eventTime"),
        with_value("no uri", "producer"),
        with_value(1, "run", "facets", "headrace_verdict", "passed"),
        with_value(0, "run", "facets", "headrace_attempt", "attempt"),
        with_value("ended", "run", "facets", "headrace_attempt", "outcome"),
        with_value(1, "run", "facets", "headrace_attempt", "more"),
        with_value(1, "job", "facets", "jobType", "jobType"),
    ],
)
def test_the_schema_bites(listened: Any, backend: HttpServer, change: Callable[[dict[str, Any]], None]) -> None:
    listened.run(least=7.0)
    event = copy.deepcopy(event_of(backend, "listened.gate"))
    change(event)
    with pytest.raises(ValidationError):
        check_event(event)


def test_our_schema_is_one_and_covers_our_facets() -> None:
    Draft202012Validator.check_schema(OWN)
    assert set(OWN["$defs"]) == {
        "Facet", "AttemptRunFacet", "VerdictRunFacet", "SplitDatasetFacet", "ModelDatasetFacet"
    }  # fmt: skip
    assert len(FACETS) > 25 and list(facets_in([{"a": {"_schemaURL": "x"}}])) == [{"_schemaURL": "x"}]
    assert Path(headrace.__file__).parent.joinpath("integrations/openlineage_facets.json").is_file()
