"""Files that DVC tracks: by what is recorded of them, without DVC; and what is said where it is needed and missing."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.core.errors import DataError, ProjectError, TransientError
from headrace.steps import Dvc, Source, ingest

from conftest_sources import in_run  # isort: skip

ONE, TWO = b"id\n1\n", b"id\n2\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def track(folder: Path, data: bytes, *, in_cache: bool = False) -> None:
    """Do what ``dvc add data/x.csv`` leaves behind."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / "data/x.csv").write_bytes(data)
    record = f"outs:\n- md5: {md5(data)}\n  size: {len(data)}\n  hash: md5\n  path: x.csv\n"
    (folder / "data/x.csv.dvc").write_text(record)
    if in_cache:
        place = folder / ".dvc/cache/files/md5" / md5(data)[:2] / md5(data)[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def taken(project: Path, source: Dvc) -> list[int]:
    with in_run(project, source):
        return ingest(source).polars().collect().to_series().to_list()


def test_the_recorded_md5_is_the_fingerprint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    track(project, ONE)
    assert Dvc("data/x.csv").look() == {"md5": md5(ONE)}
    assert taken(project, Dvc("data/x.csv")) == [1]
    track(project, TWO)
    assert Dvc("data/x.csv").look() == {"md5": md5(TWO)}
    (project / "data/x.csv").unlink()
    assert Dvc("data/x.csv").look() == {"md5": md5(TWO)}


def test_what_a_pipeline_of_dvcs_made(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    lock = f"schema: '2.0'\nstages:\n  make:\n    cmd: x\n    outs:\n    - path: data/y.csv\n      md5: {md5(ONE)}\n"
    (project / "dvc.lock").write_text(lock)
    assert Dvc("data/y.csv").look() == {"md5": md5(ONE)}


def test_the_cache_is_taken_where_the_file_is_another(project: Path) -> None:
    track(project, ONE, in_cache=True)
    (project / "data/x.csv").write_bytes(TWO)
    assert taken(project, Dvc("data/x.csv")) == [1]


def test_a_revision(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    track(project, ONE, in_cache=True)
    git(project, "init", "-q")
    git(project, "add", "data/x.csv.dvc")
    git(project, "commit", "-qm", "one")
    git(project, "tag", "v1")
    track(project, TWO, in_cache=True)
    git(project, "commit", "-qam", "two")

    assert taken(project, Dvc("data/x.csv", rev="v1")) == [1]
    assert taken(project, Dvc("data/x.csv", rev="HEAD")) == taken(project, Dvc("data/x.csv")) == [2]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert taken(elsewhere, Dvc("data/x.csv", rev="v1", repo=str(project))) == [1]
    with in_run(elsewhere):
        assert Dvc("data/x.csv", rev="v1", repo=f"file://{project}").look() == {"md5": md5(ONE)}
        with pytest.raises(DataError, match=r"git can't give revision 'v9'"):
            Dvc("data/x.csv", rev="v9", repo=str(project)).look()
        with pytest.raises(DataError, match=r"DVC doesn't track 'data/z.csv' at v1: there is no data/z.csv.dvc"):
            Dvc("data/z.csv", rev="v1", repo=str(project)).look()


def test_dvc_is_asked_where_the_file_is_missing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track(project, ONE)
    (project / "data/x.csv").unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        ProjectError, match=r"no command dvc on the PATH\.\nHint: install it .*pipx install 'dvc\[s3\]'"
    ):
        taken(project, Dvc("data/x.csv"))
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/false")
    with pytest.raises(TransientError, match=r"dvc pull can't bring 'data/x.csv': it ended with 1"):
        taken(project, Dvc("data/x.csv"))
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/true")
    (project / "data/x.csv").write_bytes(TWO)
    with pytest.raises(TransientError, match=r"isn't what DVC recorded when the run began"):
        taken(project, Dvc("data/x.csv"))


def test_what_is_not_tracked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(DataError, match=r"there is no data/x.csv.dvc.*\nHint: dvc add data/x.csv"):
        Dvc("data/x.csv").look()
    (project / "x.csv.dvc").write_text("outs: 7\n")
    with pytest.raises(DataError, match=r"'x.csv.dvc' is none of DVC's files"):
        Dvc("x.csv").look()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "", "a/../../b"])
def test_paths_outside(path: str) -> None:
    with pytest.raises(DataError, match="no path inside a repository"):
        Dvc(path)


def test_what_would_be_an_option_of_git() -> None:
    with pytest.raises(DataError, match=r"rev='--upload-pack=x' names nothing"):
        Dvc("x.csv", rev="--upload-pack=x")


def test_a_url() -> None:
    assert Source.__headrace_read__("dvc://data/x.csv@v1") == Dvc("data/x.csv", rev="v1")
    assert Source.__headrace_read__("dvc://data/x.csv") == Dvc("data/x.csv")
