"""The file for node_exporter's textfile collector, read back by Prometheus' own parser."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace import RunOutcome
from headrace.engine.listeners import Listener, RunInfo
from headrace.testing.listeners import ListenerContract

pytest.importorskip("prometheus_client", reason="the extra 'prometheus' isn't installed")

from prometheus_client.parser import text_string_to_metric_families

from headrace.integrations import prometheus
from headrace.integrations.prometheus import TextFile

OUTCOMES = {
    "succeeded", "cached", "skipped", "failed", "timed out", "crashed", "out of memory", "cancelled", "upstream failed"
}  # fmt: skip


@pytest.fixture
def folder(listened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "textfiles"
    found.mkdir()
    monkeypatch.setenv("HEADRACE_PROMETHEUS_DIRECTORY", str(found))
    return found


class TestTextFile(ListenerContract):
    @pytest.fixture(autouse=True)
    def _folder(self, folder: Path) -> None:
        pass

    @classmethod
    def open_listener(cls, info: RunInfo) -> Listener:
        return TextFile(info)


def families(folder: Path) -> list[Any]:
    return list(text_string_to_metric_families((folder / "headrace_listened_listened.prom").read_text()))


def values(folder: Path, name: str, label: str | None = None) -> Any:
    samples = [sample for family in families(folder) for sample in family.samples if sample.name == name]
    assert all({"project": "listened", "pipeline": "listened"}.items() <= sample.labels.items() for sample in samples)
    if label is None:
        return samples[0].value if samples else None
    return {sample.labels[label]: sample.value for sample in samples}


def test_what_a_run_leaves(listened: Any, folder: Path) -> None:
    listened.run(error="no disk")
    assert listened.warnings == []
    assert values(folder, "headrace_run_outcome", "outcome") == {
        "succeeded": 0.0, "rejected": 0.0, "failed": 1.0, "cancelled": 0.0
    }  # fmt: skip
    nodes = values(folder, "headrace_run_nodes", "outcome")
    assert set(nodes) == OUTCOMES and {name: n for name, n in nodes.items() if n} == {
        "succeeded": 1.0, "failed": 1.0, "upstream failed": 2.0
    }  # fmt: skip
    assert set(values(folder, "headrace_step_duration_seconds", "step")) == {"ingest", "train"}
    assert values(folder, "headrace_step_retries_total", "step")["train"] == 1.0
    assert values(folder, "headrace_runs_total", "outcome") == {"failed": 1.0}
    begun = values(folder, "headrace_run_last_start_timestamp_seconds")
    ended = values(folder, "headrace_run_last_end_timestamp_seconds")
    assert 0 <= ended - begun < 600 and 0 < values(folder, "headrace_run_duration_seconds") < 600
    assert values(folder, "headrace_run_last_success_timestamp_seconds") is None


def test_counters_go_on_and_the_last_success_is_kept(listened: Any, folder: Path) -> None:
    listened.run()
    succeeded = values(folder, "headrace_run_last_success_timestamp_seconds")
    assert succeeded == values(folder, "headrace_run_last_end_timestamp_seconds")
    listened.run(error="no disk")
    listened.run(error="no disk")
    listened.run(least=7.0)
    assert values(folder, "headrace_runs_total", "outcome") == {"succeeded": 1.0, "failed": 2.0, "rejected": 1.0}
    assert values(folder, "headrace_step_retries_total", "step")["train"] == 2.0
    assert values(folder, "headrace_run_last_success_timestamp_seconds") == succeeded


def test_names_follow_the_conventions(listened: Any, folder: Path) -> None:
    listened.run()
    text = (folder / "headrace_listened_listened.prom").read_text()
    for family in families(folder):
        assert re.fullmatch(r"headrace_[a-z_]+", family.name) and family.documentation.endswith(".")
        assert (family.type == "counter") == (f"{family.name}_total{{" in text)
        assert family.type in ("counter", "gauge")
    assert "_created" not in text


def test_the_file_is_whole_at_every_moment(listened: Any, folder: Path) -> None:
    file = folder / "headrace_listened_listened.prom"
    listened.run()
    seen: list[int] = []
    has_ended = threading.Event()

    def watch() -> None:
        while not has_ended.is_set():
            seen.append(len(list(text_string_to_metric_families(file.read_text()))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(3):
            listened.run()
    finally:
        has_ended.set()
        watcher.join()
    assert set(seen) == {9}
    assert [path.name for path in folder.glob("*.prom")] == [file.name]


def test_a_damaged_file_is_begun_again(listened: Any, folder: Path) -> None:
    (folder / "headrace_listened_listened.prom").write_text("headrace_runs_total{outcome=")
    listened.run()
    assert values(folder, "headrace_runs_total", "outcome") == {"succeeded": 1.0} and listened.warnings == []


def test_labels_are_bounded(listened: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_STEPS", 2)
    listened.run()
    steps: Mapping[str, float] = values(folder, "headrace_step_duration_seconds", "step")
    assert len(steps) == 3 and "other" in steps


def test_a_folder_that_is_not_there_is_one_warning(listened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listened.write("pyproject.toml", '[tool.headrace]\nprometheus_directory = "metrics"\n')
    assert listened.run().outcome == RunOutcome.SUCCEEDED
    place = listened.folder / "metrics"
    assert listened.warnings == [
        f"prometheus: There is no folder {str(place)!r} for metrics.\n"
        "Hint: prometheus_directory is what node_exporter has as --collector.textfile.directory"
    ]
    place.mkdir()
    listened.run()
    assert listened.warnings == [] and (place / "headrace_listened_listened.prom").is_file()
