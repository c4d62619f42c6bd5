"""Looking a whole store over."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from headrace.engine.check import Checked, check_store
from headrace.engine.records import RunRecord
from headrace.stores.local import LocalStore

FLOW = """
@step
def numbers(n: int) -> list[int]:
    return list(range(n))
@step
def total(numbers: list[int]) -> int:
    return sum(numbers)
@pipeline
def flow(n: int = 3):
    return total(numbers(n))
"""


@pytest.fixture
def store(project: Any) -> LocalStore:
    project.write(FLOW)
    store = LocalStore(project.folder / ".headrace")
    project.run(inline=True)
    return store


def kinds(found: Checked) -> dict[str, int]:
    return {finding.kind: sum(other.kind == finding.kind for other in found.findings) for finding in found.findings}


def output_of(store: LocalStore, project: Any) -> tuple[str, Path]:
    """The object that holds the list, and where it is."""
    (run_id,) = os.listdir(store.root / "runs")  # noqa: PTH208
    result = RunRecord(store, run_id).result("numbers")
    assert result is not None
    (file,) = result.outputs["output"].files
    return file.digest, store.root / "objects" / file.digest[:2] / file.digest


def test_a_sound_store(store: LocalStore) -> None:
    found = check_store(store)
    assert (found.is_sound, list(found.findings)) == (True, [])
    assert found.n_objects == len(list(store.list_objects())) == 4
    assert found.n_records == len(list(store.list_records())) == 6
    assert found.n_bytes == sum(store.object_size(digest) or 0 for digest in store.list_objects())


def test_a_damaged_object_and_what_names_it(project: Any, store: LocalStore) -> None:
    digest, path = output_of(store, project)
    path.chmod(0o644)
    path.write_bytes(b"[9,9,9]")
    found = check_store(store)
    assert kinds(found) == {"object": 1, "result": 1, "run": 1}
    first = found.findings[0]
    assert first.name == f"objects/{digest[:2]}/{digest}"
    assert first.problem.startswith("altered: its 7 bytes have the digest ")
    assert first.hint == "headrace store check --repair removes it"
    assert found.findings[1].problem == f"names object {digest[:12]}, which is gone or damaged"
    assert not found.is_sound and path.exists()


def test_repaired_it_is_made_again(project: Any, store: LocalStore) -> None:
    _, path = output_of(store, project)
    path.chmod(0o644)
    path.write_bytes(b"[9,9,9]")
    found = check_store(store, repair=True)
    assert [finding.kind for finding in found.findings if finding.is_repaired] == ["object", "result"]
    assert not path.exists()
    assert project.outcomes(project.run(inline=True)) == {"numbers": "succeeded", "total": "cached"}
    assert check_store(store).is_sound


def test_records_that_cannot_be_read(project: Any, store: LocalStore) -> None:
    (action, *_) = store.list_records("actions")
    store.write_record(action, b"")
    store.write_record("registry/churn/champion.json", b'{"vers')
    store.write_record("dates/flow/1.json", b"{")
    found = check_store(store)
    assert kinds(found) == {"result": 1, "model": 1, "record": 1}
    assert [f.kind for f in found.findings if f.is_serious] == ["record", "model"]
    assert {finding.problem for finding in found.findings} == {"can't be read: it's no JSON"}
    again = check_store(store, repair=True)
    assert [finding.name for finding in again.findings if finding.is_repaired] == [action]
    assert kinds(check_store(store)) == {"model": 1, "record": 1}


def test_a_model_whose_files_are_gone(store: LocalStore) -> None:
    gone = "ab" * 32
    record = {"name": "churn", "model": {"files": [["model.json", gone, 10]]}}
    store.write_record("registry/churn/versions/1.json", json.dumps(record).encode())
    (finding,) = check_store(store).findings
    assert (finding.kind, finding.is_serious) == ("model", True)
    assert finding.problem == f"names object {gone[:12]}, which is gone or damaged"
    assert finding.hint.startswith("run the pipeline that made the model again")


def test_what_was_left_behind_is_told_and_no_damage(store: LocalStore) -> None:
    left = store.root / "scratch" / "77-12345-ffffffff-abcdabcd-0"
    left.mkdir()
    (left / "half").write_bytes(b"half written")
    for path in (left / "half", left):
        os.utime(path, (0, 0))
    found = check_store(store)
    assert (kinds(found), found.is_sound) == ({"leftover": 1}, True)
    assert found.findings[0].problem.startswith("12 bytes were left behind ")


def test_what_comes_and_goes_meanwhile_is_no_finding(
    project: Any, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.add_bytes(b"goes").digest
    check = LocalStore.check_object

    def slow(self: LocalStore, digest: str) -> None:
        if digest == old:
            store.drop_object(old)
            project.run({"n": 7}, inline=True)
        check(self, digest)

    monkeypatch.setattr(LocalStore, "check_object", slow)
    assert check_store(store).findings == []


class TestCommand:
    def test_it_ends_with_one_when_something_is_wrong(
        self, project: Any, store: LocalStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from headrace.cli.main import main

        place = ["--store", str(store.root)]
        assert main(["store", "check", *place]) == 0
        assert capsys.readouterr().out.endswith(" and 6 records: all is sound\n")
        _, path = output_of(store, project)
        path.unlink()
        assert main(["store", "check", *place]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("result actions/") and lines[0].endswith("which is gone or damaged")
        assert lines[1] == "  Hint: run again: it's made again when it's needed"
        assert lines[-1].endswith(" and 6 records: 2 findings")
        assert main(["store", "check", "--json", *place]) == 1
        said = json.loads(capsys.readouterr().out)
        assert (said["is_sound"], [item["kind"] for item in said["findings"]]) == (False, ["result", "run"])

    def test_where_there_is_no_store(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from headrace.cli.main import main

        shutil.rmtree(tmp_path / "none", ignore_errors=True)
        for word in ("check", "gc"):
            assert main(["store", word, "--store", str(tmp_path / "none")]) == 2
            assert "There is no store at" in capsys.readouterr().err
        assert not (tmp_path / "none").exists()
