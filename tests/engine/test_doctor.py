"""Looking at an environment and a store for what is known to go wrong."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import ProjectError, StoreReadOnlyError
from headrace.engine import doctor
from headrace.engine.doctor import Answer, examine_environment, examine_store, file_system_of
from headrace.stores.local import LocalStore

MOUNTS = """\
/dev/vda1 / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
tmpfs /srv/fast tmpfs rw 0 0
overlay /var/lib/with\\040blank overlay rw 0 0
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def about(answers: list[Answer], what: str) -> list[Answer]:
    return [answer for answer in answers if answer.about == what]


def test_a_sound_store_keeps_nothing_of_it(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_mounts", lambda: MOUNTS)
    answers = list(examine_store(store))
    assert {answer.level for answer in answers} == {"ok"}, answers
    assert [answer.about for answer in answers] == ["store", "writing", "clock", "file system", "disk", "leftovers"]
    assert (list(store.list_entries()), list(store.list_objects())) == ([], [])


@pytest.mark.parametrize(
    ("place", "kind"),
    [("/srv/team", "nfs4"), ("/srv/fast/x", "tmpfs"), ("/srvx", "ext4"), ("/var/lib/with blank/a", "overlay")],
)
def test_file_systems_are_found(place: str, kind: str) -> None:
    assert file_system_of(Path(place), MOUNTS) == kind
    assert file_system_of(Path(place), "") == ""


@pytest.mark.parametrize(("kind", "level"), [("nfs4", "warning"), ("fuse.sshfs", "warning"), ("tmpfs", "warning")])
def test_a_file_system_that_is_known_for_trouble(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, kind: str, level: str
) -> None:
    monkeypatch.setattr(doctor, "_mounts", lambda: f"x / {kind} rw 0 0\n")
    (answer,) = about(list(examine_store(store)), "file system")
    assert (answer.level, answer.text) == (level, f"the store is on {kind}")
    assert answer.why and answer.hint


def test_a_store_that_does_not_keep_its_promises(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = LocalStore.lease
    monkeypatch.setattr(LocalStore, "create_record", lambda self, name, data: True)
    monkeypatch.setattr(LocalStore, "lease", lambda self, name: lease(self, name + str(time.perf_counter_ns())))
    answers = list(examine_store(store))
    assert [(a.level, a.text) for a in answers if a.about in ("records", "leases")] == [
        ("problem", "a record could be put twice"),
        ("warning", "a lease excludes nobody here"),
    ]


def test_a_store_that_may_not_be_written(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LocalStore, data: bytes) -> None:
        raise StoreReadOnlyError("The store may not be used to add an object", hint="give this user the right to it")

    monkeypatch.setattr(LocalStore, "add_bytes", refuse)
    (answer,) = about(list(examine_store(store)), "writing")
    assert (answer.level, answer.hint) == ("problem", "give this user the right to it")


@pytest.mark.parametrize(("skew", "level"), [(2.0, "ok"), (-60.0, "warning"), (7200.0, "problem")])
def test_clocks_that_differ(store: LocalStore, monkeypatch: pytest.MonkeyPatch, skew: float, level: str) -> None:
    monkeypatch.setattr(LocalStore, "clock", lambda self: time.time() + skew)
    (answer,) = about(list(examine_store(store)), "clock")
    assert answer.level == level
    assert f"differs from this machine's by {abs(skew):.0f} s" in answer.text


def test_little_space_and_leftovers(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import shutil

    left = store.root / "scratch" / "77-12345-ffffffff-abcdabcd-0"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"x" * 1000)
    os.utime(left, (0, 0))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: type("Usage", (), {"free": 10_000_000})())
    answers = {answer.about: answer for answer in examine_store(store)}
    assert (answers["disk"].level, answers["leftovers"].level) == ("warning", "note")
    assert answers["leftovers"].text == "1 from processes that are gone (0.0 MB)"


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import os

        for name in list(os.environ):
            if name.startswith("HEADRACE_") or name in doctor._STRAYS:
                monkeypatch.delenv(name)

    def test_nothing_to_find(self) -> None:
        answers = list(examine_environment(dict))
        assert {answer.level for answer in answers} <= {"ok", "note"}, answers
        assert about(answers, "environment")[0].text == "no stray variables"

    def test_stray_variables_are_named_and_their_values_are_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HEADRACE_STOER", "FAKETIME", "PYTHONOPTIMIZE"):
            monkeypatch.setenv(name, "secret-1")
        monkeypatch.setenv("HEADRACE_STORE", "s3://x")
        found = about(list(examine_environment(dict)), "environment")
        assert [(answer.level, answer.text) for answer in found] == [
            ("warning", "FAKETIME is set"),
            ("warning", "HEADRACE_STOER is set"),
            ("note", "PYTHONOPTIMIZE is set"),
        ]
        assert found[1].hint == "did you mean 'HEADRACE_STORE'?"
        assert "secret-1" not in str(found)

    def test_old_and_absent_distributions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stated = ["numpy>=999.1", "no-such-thing>=1", "obstore>=0.1; extra == 's3'", "none-such>=1; extra == 'more'"]
        monkeypatch.setattr("importlib.metadata.requires", lambda name: stated)
        answers = list(examine_environment(dict))
        (numpy,), (absent,) = about(answers, "numpy"), about(answers, "no-such-thing")
        assert (numpy.level, numpy.hint) == ("problem", "pip install 'numpy>=999.1'")
        assert (absent.level, absent.text) == ("problem", "it isn't installed")
        assert "more" not in about(answers, "extras")[0].text

    def test_settings_that_cannot_be_read_and_another_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read() -> Any:
            raise ProjectError("There is no setting 'stoer' in [tool.headrace]", hint="did you mean 'store'?")

        monkeypatch.setattr(doctor, "NEWEST_PYTHON", (3, 10))
        answers = list(examine_environment(read))
        assert about(answers, "settings")[0].hint == "did you mean 'store'?"
        assert about(answers, "python")[0].hint == "use one of 3.11 to 3.10"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from headrace.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["store", "doctor"]) == 0
    assert "note     store: There is no store at " in capsys.readouterr().out
    assert not (tmp_path / ".headrace").exists()
    LocalStore(tmp_path / ".headrace")
    assert main(["store", "doctor", "--json"]) == 0
    assert "writing" in {answer["about"] for answer in json.loads(capsys.readouterr().out)}
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.headrace]\nstoer = 1\n')
    assert main(["store", "doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem  settings: There is no setting 'stoer' in [tool.headrace]" in out
    assert "problem  store: There is no setting 'stoer'" in out
    assert out.splitlines()[-1].startswith("2 problems, ")
