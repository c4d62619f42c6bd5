"""What belongs to a project, what its files are called, and one digest over its sources."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

import headrace
from headrace.core.project import Project
from headrace.core.stamps import Stamps


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_nearest_pyproject_upward_makes_the_project(tmp_path):
    touch(tmp_path / "outer" / "pyproject.toml")
    touch(tmp_path / "outer" / "inner" / "pyproject.toml")
    deep = touch(tmp_path / "outer" / "inner" / "a" / "b.py")
    assert Project.find(deep).root == tmp_path / "outer" / "inner"
    assert Project.find(deep.parent).root == tmp_path / "outer" / "inner"
    assert Project.find(tmp_path / "outer").root == tmp_path / "outer"


def test_without_a_pyproject_the_folder_is_the_project(tmp_path):
    script = touch(tmp_path / "a" / "script.py")
    assert Project.find(script).root == tmp_path / "a"
    assert Project.find(tmp_path / "a").root == tmp_path / "a"


@pytest.mark.parametrize(
    ("path", "is_project"),
    [
        ("a.py", True),
        ("pkg/deep/b.py", True),
        (".hidden/c.py", False),
        (".venv/lib/python3.11/site-packages/x.py", False),
        ("env/lib/x.py", False),
        ("env/x.py", False),
        ("pkg/__pycache__/b.py", False),
        ("vendor/site-packages/b.py", False),
        ("node_modules/b.py", False),
    ],
)
def test_files_under_the_root(tmp_path, path, is_project):
    touch(tmp_path / "env" / "pyvenv.cfg")
    assert Project(tmp_path).is_project_file(touch(tmp_path / path)) == is_project


def test_a_project_inside_a_hidden_folder_is_one(tmp_path):
    root = tmp_path / ".work" / "project"
    assert Project(root).is_project_file(touch(root / "a.py"))


def test_libraries_and_the_standard_library_are_not_the_project(tmp_path):
    import json

    project = Project(tmp_path)
    assert not project.is_project_file(json.__file__)
    assert not project.is_project_file(pytest.__file__)


def test_folders_on_the_path_are_project_code(tmp_path, monkeypatch):
    extra = touch(tmp_path / "extra" / "more.py")
    project = Project(tmp_path / "root")
    assert not project.is_project_file(extra)
    monkeypatch.syspath_prepend(str(tmp_path / "extra"))
    assert project.is_project_file(extra)
    assert project.relative(extra) == "more.py"


def test_what_is_installed_from_a_folder_is_project_code(tmp_path):
    module = touch(tmp_path / "site-packages" / "mine" / "a.py")
    assert not Project(tmp_path / "root").is_project_file(module)
    assert Project(tmp_path / "root", (str(module.parent),)).is_project_file(module)


def test_of_headrace_only_the_ready_made_steps_are(tmp_path):
    package = Path(headrace.__file__).parent
    for project in (Project(tmp_path), Project(package.parent), Project(package.parents[1])):
        assert project.is_project_file(package / "steps" / "x.py")
        assert not project.is_project_file(package / "core" / "project.py")


def test_a_file_has_the_same_name_in_every_checkout(tmp_path):
    names = {Project(tmp_path / at).relative(tmp_path / at / "pkg" / "a.py") for at in ("one", "two/deep")}
    assert names == {"pkg/a.py"}
    assert Project(tmp_path / "one").relative("/elsewhere/b.csv") == "/elsewhere/b.csv"


def test_a_root_reached_by_a_link_is_the_same_root(tmp_path):
    real = touch(tmp_path / "real" / "a.py")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Project(tmp_path / "link").relative(real) == "a.py"
    assert Project(tmp_path / "link").relative(tmp_path / "link" / "a.py") == "a.py"
    assert Project(tmp_path / "link").is_project_file(real)


def test_a_name_leads_back_to_its_file(tmp_path, monkeypatch):
    root, extra = tmp_path / "root", touch(tmp_path / "extra" / "more.csv")
    own = touch(root / "d" / "a.csv")
    monkeypatch.syspath_prepend(str(tmp_path / "extra"))
    project = Project(root)
    for path in (own, extra, Path("/elsewhere/b.csv")):
        assert project.resolve(project.relative(path)) == path
    assert project.resolve("nothing.csv") == root / "nothing.csv"


def test_files_are_listed_in_one_order_without_what_is_not_the_projects(tmp_path):
    for name in ("b.py", "a/z.py", "a/c.csv", ".git/x.py", "env/pyvenv.cfg", "env/y.py", "c.txt", "__pycache__/q.py"):
        touch(tmp_path / name)
    assert list(Project(tmp_path).files()) == ["b.py", "c.txt", "a/c.csv", "a/z.py"]
    assert list(Project(tmp_path).files(suffix=".py")) == ["b.py", "a/z.py"]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda root: touch(root / "pkg" / "a.py", "y = 2"), True),
        (lambda root: touch(root / "pkg" / "new.py"), True),
        (lambda root: (root / "pkg" / "a.py").unlink(), True),
        (lambda root: (root / "pkg" / "a.py").rename(root / "pkg" / "b.py"), True),
        (lambda root: touch(root / "pyproject.toml", "[tool]"), True),
        (lambda root: touch(root / "data.csv", "1"), False),
        (lambda root: touch(root / ".venv" / "a.py", "1"), False),
    ],
)
def test_the_source_digest_follows_the_sources(tmp_path, change, counts):
    touch(tmp_path / "pyproject.toml")
    touch(tmp_path / "pkg" / "a.py", "x = 1")
    before = Project(tmp_path).source_digest(Stamps())
    change(tmp_path)
    assert (Project(tmp_path).source_digest(Stamps()) != before) == counts


def test_the_source_digest_is_the_same_in_two_checkouts(tmp_path):
    for name in ("one", "two"):
        touch(tmp_path / name / "pkg" / "a.py", "x = 1")
    assert Project(tmp_path / "one").source_digest(Stamps()) == Project(tmp_path / "two").source_digest(Stamps())


def test_loaded_code_outside_the_root_enters_by_its_roots(tmp_path, monkeypatch):
    package = touch(tmp_path / "extra" / "outside_pkg" / "__init__.py", "x = 1").parent
    module = touch(tmp_path / "extra" / "outside_module.py", "x = 1")
    monkeypatch.syspath_prepend(str(tmp_path / "extra"))
    __import__("outside_pkg")
    __import__("outside_module")
    try:
        project = Project(tmp_path / "root")
        roots = project.loaded_roots()
        assert {str(package), str(module)} <= set(roots)
        mine = [str(package), str(module)]
        before = project.source_digest(Stamps(), roots=mine)
        assert before != project.source_digest(Stamps())
        touch(package / "deep.py", "y = 1")
        after = project.source_digest(Stamps(), roots=mine)
        touch(module, "x = 2")
        assert len({before, after, project.source_digest(Stamps(), roots=mine)}) == 3
    finally:
        del sys.modules["outside_pkg"], sys.modules["outside_module"]


def test_of_an_unchanged_project_no_file_is_read(tmp_path, monkeypatch):
    for number in range(100):
        touch(tmp_path / f"pkg{number % 10}" / f"m{number}.py", f"x = {number}\n" * 200)
    cache = tmp_path / ".headrace" / "stamps.json"
    with Stamps(cache) as stamps:
        stamps._known()
        first = Project(tmp_path).source_digest(stamps)
    old = time.time_ns()
    fresh = {name: stamp._replace(stamped_ns=old + 10**13) for name, stamp in stamps._known().items()}
    stamps._fresh = fresh
    stamps.save()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is read")

    monkeypatch.setattr("headrace.core.stamps._hash", refuse)
    assert Project(tmp_path).source_digest(Stamps(cache)) == first
    touch(tmp_path / "pkg3/m3.py", "x = 4\n")
    with pytest.raises(AssertionError, match=r"m3\.py is read"):
        Project(tmp_path).source_digest(Stamps(cache))
