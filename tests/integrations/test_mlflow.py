"""Runs mirrored to a real MLflow, in a database of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import headrace
from headrace import RunOptions, RunOutcome, pipeline, step
from headrace.core.errors import ProjectError, RunError
from headrace.engine.events import Warned
from headrace.engine.records import run_folder
from headrace.integrations import mlflow as mirroring
from headrace.integrations.mlflow import Mirrored, MirrorWhenEnded, main, mirror
from headrace.integrations.mlflow_registry import registered_runs
from headrace.steps.registry import ModelVersion
from headrace.stores.open import open_store

tracking = pytest.importorskip("mlflow.tracking", reason="MLflow (the extra 'mlflow') isn't installed")
pytestmark = [
    # MLflow's own: it is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(300),
]


class Verdict(NamedTuple):
    __headrace_gate__ = "passed"  # type: ignore[misc]

    passed: bool
    reasons: list[dict[str, Any]]


@step
def evaluate(auc: float) -> dict[str, Any]:
    return {"metrics": {"auc": auc, "log loss (nats)": 0.5, "empty": float("nan")}, "intervals": {"auc": [0.7, 0.9]}}


@step
def gate(evaluation: dict[str, Any], least: float) -> Verdict:
    auc = evaluation["metrics"]["auc"]
    return Verdict(auc >= least, [{"rule": f"auc >= {least}", "passed": auc >= least, "value": auc, "note": "a note"}])


@step
def register(passed: bool, version: int) -> ModelVersion:
    return ModelVersion("churn", version, f"{version}" * 64)


@step
def fail() -> int:
    raise ValueError("no")


@pipeline
def small(auc: float = 0.8, least: float = 0.5, names: tuple[str, ...] = ("a", "b"), version: int = 1) -> Any:
    evaluation = evaluate(auc)
    verdict = gate(evaluation, least)
    return {"evaluation": evaluation, "version": register.options(when=verdict.passed)(verdict.passed, version)}


@pipeline
def broken() -> int:
    return fail()


class Place(NamedTuple):
    store: Any
    uri: str
    client: Any

    def run(self, **parameters: Any) -> headrace.RunResult:
        return headrace.run(small, parameters, store=self.store.cache_dir.parent, inline=True)

    def mirror(self, run: headrace.RunResult | None = None, **options: Any) -> Mirrored:
        return mirror(self.store, run and run.run_id, tracking_uri=self.uri, **options)


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, made once: that takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "fresh.db"
    tracking.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def place(tmp_path: Path, fresh_database: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(fresh_database.read_bytes())
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return Place(open_store(tmp_path / "store"), uri, tracking.MlflowClient(uri))


def promote(place: Place, version: int) -> None:
    record = f'{{"version": {version}, "history": [{version}], "rolled_back": []}}'
    place.store.write_record("registry/churn/champion.json", record.encode())


def test_what_a_run_becomes(place: Place) -> None:
    promote(place, 1)
    result = place.run()
    found = place.mirror(result)
    assert (found.experiment, found.is_new, found.versions) == ("small", True, ("churn/1",))
    run = place.client.get_run(found.mlflow_run_id)
    assert run.data.params == {"auc": "0.8", "least": "0.5", "names": "('a', 'b')", "version": "1"}
    metrics = {name: value for name, value in run.data.metrics.items() if not name.startswith("seconds.")}
    assert metrics.pop("empty") != 0.8
    assert metrics == {"auc": 0.8, "log loss _nats_": 0.5, "auc.low": 0.7, "auc.high": 0.9}
    assert set(run.data.metrics) - set(metrics) == {"empty", "seconds.evaluate", "seconds.gate", "seconds.register"}
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("headrace.")}
    evaluation = result.nodes["evaluate"].outputs["output"].digest
    version = result.nodes["register"].outputs["output"].digest
    assert tags.pop("headrace.plan") and tags.pop("headrace.store") == place.store.url
    assert tags == {
        "headrace.run_id": result.run_id,
        "headrace.is_whole": "true",
        "headrace.outcome": "succeeded",
        "headrace.pipeline": "small",
        "headrace.output.evaluation": evaluation,
        "headrace.output.version": version,
        "headrace.gate.gate": "passed",
        "headrace.gate.gate.reasons": "ok auc >= 0.5: 0.8 (a note)",
    }
    assert (run.info.status, run.info.run_name) == ("FINISHED", result.run_id)
    assert run.info.end_time >= run.info.start_time
    mirrored = place.client.get_model_version_by_alias("churn", "champion")
    assert mirrored.tags == {"headrace.version": "1", "headrace.digest": "1" * 64}
    assert (mirrored.run_id, mirrored.source) == (found.mlflow_run_id, "headrace:/churn/versions/1")


def everything(place: Place) -> Any:
    """All that is in MLflow, but for its own stamps of when a record was last touched."""
    runs = place.client.search_runs([e.experiment_id for e in place.client.search_experiments()])
    histories = {
        (run.info.run_id, name): [
            (m.value, m.timestamp, m.step) for m in place.client.get_metric_history(run.info.run_id, name)
        ]
        for run in runs
        for name in run.data.metrics
    }
    versions = [(v.name, v.version, v.tags, v.run_id) for v in place.client.search_model_versions()]
    return repr(([(r.info, r.data.params, r.data.tags) for r in runs], histories, versions))


def test_mirroring_twice_adds_nothing(place: Place) -> None:
    result = place.run()
    first = place.mirror(result)
    before = everything(place)
    again = place.mirror(result)
    assert again == first._replace(is_new=False)
    assert everything(place) == before


@pytest.mark.parametrize("method", ["log_batch", "create_model_version", "set_terminated", "set_tag"])
def test_a_mirror_killed_half_way_is_finished_by_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    result = place.run()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tracking.MlflowClient, method, killed)
        with pytest.raises(KeyboardInterrupt):
            place.mirror(result)
    found = place.mirror(result)
    assert found.is_new and found.versions == ("churn/1",)
    (run,) = place.client.search_runs([place.client.get_experiment_by_name("small").experiment_id])
    assert (run.info.status, run.data.tags["headrace.is_whole"]) == ("FINISHED", "true")
    assert [m.value for m in place.client.get_metric_history(run.info.run_id, "auc")] == [0.8]
    assert len(place.client.search_model_versions("name = 'churn'")) == 1


def test_each_version_is_registered_once_and_the_alias_follows(place: Place) -> None:
    promote(place, 1)
    place.mirror(place.run())
    promote(place, 2)
    second = place.mirror(place.run(version=2))
    hits = place.mirror(place.run(version=2))
    assert second.versions == ("churn/2",) and hits.versions == () and hits.is_new
    versions = {v.version: v.tags["headrace.version"] for v in place.client.search_model_versions("name = 'churn'")}
    assert {int(number): own for number, own in versions.items()} == {1: "1", 2: "2"}
    assert int(place.client.get_model_version_by_alias("churn", "champion").version) == 2


def test_a_rejected_and_a_failed_run(place: Place) -> None:
    rejected = place.run(least=0.9)
    assert rejected.outcome == RunOutcome.REJECTED
    run = place.client.get_run(place.mirror(rejected).mlflow_run_id)
    assert (run.info.status, run.data.tags["headrace.outcome"]) == ("FINISHED", "rejected")
    assert run.data.tags["headrace.gate.gate"] == "rejected"
    assert run.data.tags["headrace.gate.gate.reasons"] == "NOT auc >= 0.9: 0.8 (a note)"
    assert place.client.search_registered_models() == []
    failed = headrace.run(broken, store=place.store.cache_dir.parent, inline=True)
    assert place.client.get_run(place.mirror(failed).mlflow_run_id).info.status == "FAILED"


def test_the_newest_run_and_another_experiment(place: Place) -> None:
    place.run()
    newest = place.run(auc=0.7)
    found = place.mirror(experiment="mine")
    assert place.client.get_run(found.mlflow_run_id).data.tags["headrace.run_id"] == newest.run_id
    assert found.experiment == "mine"


def test_what_cannot_be_mirrored(place: Place) -> None:
    result = place.run()
    with pytest.raises(RunError, match=r"There is no run 'nope'"):
        mirror(place.store, "nope", tracking_uri=place.uri)
    place.store.delete_record(f"{run_folder(result.run_id)}/end.json")
    with pytest.raises(RunError, match=r"Run '.*' hasn't ended, so it can't be mirrored.\nHint: mirror it when it has"):
        place.mirror(result)


def test_a_deleted_experiment(place: Place) -> None:
    result = place.run()
    place.client.delete_experiment(place.client.create_experiment("small"))
    with pytest.raises(RunError, match=r"The MLflow experiment 'small' is deleted.\nHint: restore it there, or name"):
        place.mirror(result)


def test_without_mlflow_the_line_that_installs_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    result = place.run()
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(ProjectError) as caught:
        place.mirror(result)
    assert str(caught.value).endswith('\nHint: python -m pip install "headrace[mlflow]"')


def test_a_listener_mirrors_when_the_run_has_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MLFLOW_TRACKING_URI", place.uri)
    monkeypatch.setenv("HEADRACE_LISTENER_SECONDS", "200")
    result = place.run()
    assert not place.mirror(result).is_new


def test_a_tracker_that_is_down_does_not_fail_the_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_: Any) -> None:
        raise ConnectionError("connection refused")

    monkeypatch.setattr(mirroring, "client_of", down)
    told: list[Any] = []
    options = RunOptions(inline=True, display=told.append, listeners=(MirrorWhenEnded,))
    result = headrace.run(small, store=place.store.cache_dir.parent, options=options)
    assert result.outcome == RunOutcome.SUCCEEDED
    (warned,) = [event for event in told if isinstance(event, Warned)]
    assert warned.source == "MirrorWhenEnded"
    assert f"run {result.run_id} isn't mirrored to MLflow: connection refused" in warned.message
    assert f"try again: python -m headrace.integrations.mlflow {result.run_id} --store file://" in warned.message


def test_by_hand(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    result = place.run()
    arguments = [result.run_id, "--store", str(place.store.cache_dir.parent), "--tracking-uri", place.uri]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("mirrored: experiment 'small', run ")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("there already: experiment 'small'")
    assert main(["nope", *arguments[1:]]) == 1
    assert "headrace: There is no run 'nope'" in capsys.readouterr().err


def test_the_registry_names_the_runs_of_its_models(place: Place) -> None:
    registered, rejected = place.run(), place.run(least=0.9)
    for result in (registered, rejected):
        place.mirror(result)
    assert registered_runs(place.uri) == {registered.run_id}


@pytest.mark.parametrize("uri", ["http://user:secret@127.0.0.1:9", "sqlite:///absent.db"])
def test_a_registry_that_cannot_be_asked_stops_a_cleaning(
    place: Place, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from headrace.cli.main import main as headrace_main

    place.run()
    old = place.store.add_bytes(b"nothing names it").digest
    monkeypatch.setenv("HEADRACE_MLFLOW_TRACKING_URI", uri)
    assert headrace_main(["store", "gc", "--grace", "0", "--store", str(place.store.root)]) == 2
    text = capsys.readouterr().err
    assert "can't be asked which models are registered (" in text and "so nothing was removed" in text
    assert "secret" not in text
    assert place.store.object_size(old) is not None
