"""What running code is seen to read, and whether a change of it is seen."""

# Each way to read a file is tried here, the old ones too.
# ruff: noqa: PTH123, PTH207, PTH208, SIM115

from __future__ import annotations

import glob
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path

import pytest

from headrace.core.discovery import ABSENT, NAMES, UNSTABLE, Discovered, Recorder, unseen
from headrace.core.project import Project
from headrace.core.stamps import Stamps

SALT = b"salt"


class Place:
    """A project folder, and what code was seen to read there."""

    def __init__(self, root):
        self.root = root
        self.project = Project(root)

    def write(self, name, text="1"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def watch(self, work, *, ignore=()):
        with Recorder(self.project, ignore=ignore) as recorder:
            work()
        return recorder.snapshot(Stamps(), SALT)

    def changes(self, found):
        again = Discovered.from_json(json.loads(json.dumps(found.to_json())))
        return again.changes(self.project, Stamps(), SALT)


@pytest.fixture
def place(tmp_path, monkeypatch):
    root = tmp_path / "place"
    root.mkdir()
    monkeypatch.chdir(root)
    return Place(root)


READERS = {
    "open": lambda: open("d/a.csv").close(),
    "open for bytes": lambda: open("d/a.csv", "rb").close(),
    "os.open": lambda: os.close(os.open("d/a.csv", os.O_RDONLY)),
    "read_text": lambda: Path("d/a.csv").read_text(),
    "absolute path": lambda: Path("d/a.csv").absolute().read_text(),
    "bytes path": lambda: open(b"d/a.csv").close(),
    "update": lambda: open("d/a.csv", "r+").close(),
    "append": lambda: open("d/a.csv", "a").close(),
    "sqlite": lambda: sqlite3.connect("d/a.csv").close(),
    "another thread": lambda: _in_thread(lambda: open("d/a.csv").close()),
    "child's argument": lambda: subprocess.run(["cat", "d/a.csv"], capture_output=True, check=True),
}


def _in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_read_counts_by_content(place, reader):
    path = place.write("d/a.csv", "one")
    found = place.watch(READERS[reader])
    assert set(found.files) == {"d/a.csv"}
    assert place.changes(found) == []
    path.write_text("two")
    assert place.changes(found) == ["d/a.csv changed"]
    path.unlink()
    assert place.changes(found) == ["d/a.csv was removed"]
    path.write_text("one")
    assert place.changes(found) == []


def test_a_file_that_was_missing_counts(place):
    def work():
        with pytest.raises(FileNotFoundError):
            open("settings.yaml")

    found = place.watch(work)
    assert found.files == {"settings.yaml": ABSENT}
    assert place.changes(found) == []
    place.write("settings.yaml")
    assert place.changes(found) == ["settings.yaml was added"]


def test_what_the_code_writes_itself_does_not_count(place):
    def work():
        Path("out.txt").write_text("1")
        Path("out.txt").read_text()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "x").write_text("1")
            (Path(folder) / "x").rename(Path(folder) / "y")
            (Path(folder) / "y").read_text()
            list(Path(folder).iterdir())
        with open("new.log", "a") as log:
            log.write("1")

    found = place.watch(work)
    assert found.files == {}
    assert not [label for label in found.listings if "tmp" not in label]


def test_removing_a_tree_reads_nothing(place):
    place.write("tree/deep/er/a.csv")
    assert place.watch(lambda: shutil.rmtree("tree")).files == {}


def test_a_file_read_and_then_written_is_a_hit_for_nobody(place):
    place.write("state.txt", "1")

    def work():
        Path("state.txt").write_text(Path("state.txt").read_text() + "1")

    found = place.watch(work)
    assert found.files == {"state.txt": UNSTABLE}
    assert place.changes(found) == ["state.txt changed while it was read"]


def test_ignored_files_and_folders_do_not_count(place):
    place.write("store/object")
    data = place.write("data.csv")
    found = place.watch(
        lambda: (Path("store/object").read_text(), data.read_text(), os.listdir("store")), ignore=["store", data]
    )
    assert not found


def test_libraries_and_the_system_do_not_count(place):
    def work():
        Path(os.__file__).read_bytes()
        Path(pytest.__file__).read_bytes()
        Path("/etc/hostname").exists() and Path("/etc/passwd").read_text()
        os.listdir("/usr")
        import colorsys

        colorsys.rgb_to_hsv(0, 0, 0)

    sys.modules.pop("colorsys", None)
    assert not place.watch(work)


def test_a_project_below_a_system_folder_counts(place, monkeypatch):
    monkeypatch.setattr("headrace.core.discovery._SYSTEM", (str(place.root.parent) + os.sep,))
    place.write("a.csv")
    assert set(place.watch(lambda: Path("a.csv").read_text()).files) == {"a.csv"}


def test_importing_project_code_is_no_reading(place, sandbox):
    sandbox.write({"app/__init__.py": "", "app/a.py": "x = 1\n"})
    with Recorder(sandbox.project) as recorder:
        sandbox.load("app.a:x")
    assert not recorder.snapshot(Stamps(), SALT)


def test_what_a_module_reads_when_it_is_imported_counts(sandbox, monkeypatch):
    monkeypatch.chdir(sandbox.root)
    monkeypatch.setenv("RATE", "3")
    sandbox.write(
        {
            "rates.csv": "1",
            "a.py": "import os\nfrom pathlib import Path\nx = Path('rates.csv').read_text() + os.environ['RATE']\n",
        }
    )
    with Recorder(sandbox.project) as recorder:
        sandbox.load("a:x")
    found = recorder.snapshot(Stamps(), SALT)
    assert set(found.files) == {"rates.csv"}
    assert set(found.environment) == {"RATE"}


def test_python_source_read_as_data_counts(place):
    place.write("script.py", "x = 1")
    assert set(place.watch(lambda: Path("script.py").read_text()).files) == {"script.py"}


LISTERS = {
    "listdir": lambda: os.listdir("d"),
    "scandir": lambda: list(os.scandir("d")),
    "walk": lambda: list(os.walk("d")),
    "glob": lambda: glob.glob("d/*.csv"),
    "iterdir": lambda: list(Path("d").iterdir()),
    "path glob": lambda: list(Path("d").glob("*.csv")),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("lister", LISTERS)
def test_a_folder_that_is_listed_counts_by_its_names(place, lister):
    path = place.write("d/a.csv")
    found = place.watch(LISTERS[lister])
    assert set(found.listings) == {"d"}
    assert place.changes(found) == []
    path.write_text("other contents")
    assert place.changes(found) == []
    place.write("d/b.csv")
    assert place.changes(found) == ["the list of files in d changed"]


def test_a_folder_that_was_missing_counts(place):
    def work():
        with pytest.raises(FileNotFoundError):
            os.listdir("d")

    found = place.watch(work)
    assert found.listings == {"d": ABSENT}
    (place.root / "d").mkdir()
    assert place.changes(found) == ["the list of files in d was added"]


def test_a_folder_that_the_code_fills_holds_what_it_left(place):
    place.write("d/a.csv")

    def work():
        os.listdir("d")
        Path("d/out.csv").write_text("1")
        Path("d/more").mkdir()

    found = place.watch(work)
    assert place.changes(found) == []
    place.write("d/b.csv")
    assert place.changes(found) == ["the list of files in d changed"]


ENVIRONMENT_READERS = {
    "get": lambda: os.environ.get("RATE"),
    "item": lambda: os.environ["RATE"],
    "in": lambda: "RATE" in os.environ,
    "getenv": lambda: os.getenv("RATE"),
    "pop": lambda: os.environ.pop("RATE"),
    "setdefault": lambda: os.environ.setdefault("RATE", "9"),
    "bytes": lambda: os.environb.get(b"RATE"),
    "expandvars": lambda: os.path.expandvars("$RATE"),
}


@pytest.mark.parametrize("reader", ENVIRONMENT_READERS)
def test_a_variable_that_is_read_counts_by_value(place, monkeypatch, reader):
    monkeypatch.setenv("RATE", "3")
    found = place.watch(ENVIRONMENT_READERS[reader])
    monkeypatch.setenv("RATE", "3")
    assert set(found.environment) == {"RATE"}
    assert place.changes(found) == []
    monkeypatch.setenv("RATE", "4")
    assert place.changes(found) == ["environment variable RATE changed"]
    monkeypatch.delenv("RATE")
    assert place.changes(found) == ["environment variable RATE was removed"]


def test_a_variable_that_was_missing_counts(place, monkeypatch):
    monkeypatch.delenv("RATE", raising=False)
    found = place.watch(lambda: os.environ.get("RATE"))
    assert found.environment == {"RATE": ABSENT}
    monkeypatch.setenv("RATE", "3")
    assert place.changes(found) == ["environment variable RATE was added"]


def test_values_are_not_kept(place, monkeypatch):
    monkeypatch.setenv("RATE", "hunter2")
    found = place.watch(lambda: os.environ["RATE"])
    assert "hunter2" not in json.dumps(found.to_json())
    assert found.changes(place.project, Stamps(), b"another salt") == ["environment variable RATE changed"]


@pytest.mark.parametrize("reader", [lambda: dict(os.environ), lambda: list(os.environ), lambda: os.environ.copy()])
def test_going_through_the_environment_counts_all_of_it(place, monkeypatch, reader):
    monkeypatch.setenv("RATE", "3")
    found = place.watch(reader)
    assert {"RATE", NAMES} <= set(found.environment)
    assert place.changes(found) == []
    monkeypatch.setenv("TERM", "other")
    assert place.changes(found) == []
    monkeypatch.setenv("RATE2", "3")
    assert place.changes(found) == ["the set of environment variables changed"]


def test_ambient_variables_count_only_for_project_code(place, sandbox, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert not place.watch(shutil.get_terminal_size)
    sandbox.write({"a.py": "import os\ndef look(): return os.environ.get('COLUMNS')\n"})
    look = sandbox.load("a:look")
    with Recorder(sandbox.project) as recorder:
        look()
    assert set(recorder.snapshot(Stamps(), SALT).environment) == {"COLUMNS"}


def test_a_home_that_a_library_asks_for_is_not_the_projects_and_one_that_the_project_asks_for_is(place, monkeypatch):
    """``os.path`` is frozen: its file has no place, and isn't in the project's folder because one stands there."""
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.delenv("PYTHONUSERBASE", raising=False)
    assert "HOME" not in place.watch(sysconfig._getuserbase).environment
    for asks in ("os.path.expanduser('~')", "__import__('pathlib').Path.home()"):
        file = place.write("own.py", f"import os\n{asks}\n")
        found = place.watch(lambda file=file: exec(compile(file.read_text(), str(file), "exec"), {"__name__": "own"}))
        assert "HOME" in found.environment, asks


def test_a_variable_that_the_code_sets_itself_does_not_count(place, monkeypatch):
    monkeypatch.delenv("RATE", raising=False)

    def work():
        os.environ["RATE"] = "3"
        assert os.environ["RATE"] == "3"

    assert not place.watch(work)
    del os.environ["RATE"]


def test_the_environment_is_the_plain_one_when_nobody_watches(place):
    plain = type(os.environ)
    with Recorder(place.project):
        assert type(os.environ) is not plain
        assert isinstance(os.environ, plain)
        with Recorder(place.project):
            pass
        assert type(os.environ) is not plain
    assert type(os.environ) is plain


def test_nothing_is_seen_before_start_and_after_stop(place):
    place.write("a.csv")
    recorder = Recorder(place.project)
    Path("a.csv").read_text()
    recorder.start()
    recorder.stop()
    Path("a.csv").read_text()
    assert not recorder.snapshot(Stamps(), SALT)


def test_what_headrace_reads_itself_is_unseen(place):
    place.write("a.csv")

    def work():
        with unseen():
            Path("a.csv").read_text()
            os.environ.get("RATE")

    assert not place.watch(work)


def test_joined_records_hold_both_and_mark_what_changed_between(place):
    first = Discovered({"a": "1", "b": "1"}, {"d": "1"}, {"X": "1"})
    second = Discovered({"b": "2", "c": "1"}, {"d": "1"}, {"Y": "1"})
    assert first.merge(second) == Discovered({"a": "1", "b": UNSTABLE, "c": "1"}, {"d": "1"}, {"X": "1", "Y": "1"})


def test_odd_arguments_stay_the_callers_errors(place):
    def work():
        for value in ("", "a\0b", 10**6):
            with pytest.raises((OSError, ValueError)):
                open(value)
        with pytest.raises(TypeError):
            os.environ.get(3)
        os.listdir()

    found = place.watch(work)
    assert found.files == {}


def test_links_are_followed_to_their_content(place):
    target = place.write("real.csv", "1")
    (place.root / "link.csv").symlink_to(target)
    found = place.watch(lambda: Path("link.csv").read_text())
    target.write_text("2")
    assert place.changes(found) == ["link.csv changed"]


def test_many_threads_at_once(place):
    for number in range(40):
        place.write(f"d/{number}.csv", str(number))

    def work():
        threads = [
            threading.Thread(target=lambda: [Path(f"d/{n}.csv").read_text() for n in range(40)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(place.watch(work).files) == 40
