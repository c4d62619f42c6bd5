"""What is installed, to whom a module belongs, and what its digest follows."""

from __future__ import annotations

import json

import pytest

from headrace.core.distributions import Distributions, normal_name


class Site:
    """A site folder with distributions made of text."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def install(self, name, version="1.0", *, files=("{}/__init__.py",), requires=(), record=None, direct=None):
        for old in self.root.glob(f"{name}-*.dist-info"):
            for path in old.iterdir():
                path.unlink()
            old.rmdir()
        info = self.root / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n\nRequires-Dist: not-a-header\n")
        rows = [f"{path.format(name)},sha256={version},3" for path in files]
        rows += [f"{info.name}/METADATA,sha256=x,1", f"{info.name}/RECORD,,", *(record or ())]
        (info / "RECORD").write_text("\n".join(rows) + "\n")
        if direct is not None:
            (info / "direct_url.json").write_text(json.dumps(direct))
        return info

    def look(self, cache=None):
        return Distributions(cache, [str(self.root)])


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site-packages")


def test_names_compare_in_one_form():
    assert normal_name("Foo._-Bar") == "foo-bar"


def test_a_module_belongs_to_the_distribution_whose_record_holds_it(site):
    site.install(
        "alpha", files=("alpha/__init__.py", "single.py", "_native.cpython-311-x86_64-linux-gnu.so", "data.txt")
    )
    found = site.look()
    assert found.owners("alpha") == found.owners("alpha.deep.er") == ("alpha",)
    assert found.owners("single") == found.owners("_native") == ("alpha",)
    assert found.owners("data") == found.owners("unknown") == ()


def test_a_namespace_is_shared(site):
    for name in ("one", "two"):
        site.install(name, files=(f"space/{name}/__init__.py",))
        (site.root / "space" / name).mkdir(parents=True)
    found = site.look()
    assert found.owners("space.one.deep") == ("one",)
    assert found.owners("space.two") == ("two",)
    assert found.owners("space") == ("one", "two")


def test_digests_follow_version_and_contents(site):
    site.install("alpha")
    before = site.look().digests(["alpha"])
    assert before["alpha"].startswith("1.0@")
    site.install("alpha", "1.1")
    after = site.look().digests(["alpha"])
    assert after["alpha"].startswith("1.1@")
    site.install("alpha", "1.1", files=("{}/__init__.py", "{}/more.py"))
    assert len({before["alpha"], after["alpha"], site.look().digests(["alpha"])["alpha"]}) == 3


def test_digests_do_not_follow_the_environment(site, tmp_path):
    """Scripts start with the environment's path, bytecode may or may not be there, installers differ."""
    site.install("alpha")
    elsewhere = Site(tmp_path / "other" / "site-packages")
    info = "alpha-1.0.dist-info"
    extra = ["../../../bin/alpha,sha256=q,9", "alpha/__pycache__/__init__.pyc,,", f"{info}/INSTALLER,sha256=u,2"]
    elsewhere.install("alpha", record=[*extra, f"{info}/REQUESTED,sha256=u,2", f"{info}/direct_url.json,sha256=u,2"])
    assert site.look().digests(["alpha"]) == elsewhere.look().digests(["alpha"])


def test_requirements_count_as_far_as_they_are_installed(site):
    site.install(
        "alpha", requires=["Beta_x>=1,<2", 'gamma; python_version >= "3.8"', "missing", 'opt; extra == "fast"']
    )
    site.install("beta-x", requires=["delta[extra] (>=1)"], files=("beta/__init__.py",))
    for name in ("gamma", "delta", "opt", "other"):
        site.install(name)
    assert set(site.look().digests(["alpha.sub"])) == {"alpha", "beta-x", "gamma", "delta", "opt"}


def test_what_tests_and_docs_require_does_not_count(site):
    site.install("alpha", requires=['pytest; extra == "test"', "sphinx; extra == 'docs'", 'ruff ; extra == "dev"'])
    for name in ("pytest", "sphinx", "ruff"):
        site.install(name)
    assert set(site.look().digests(["alpha"])) == {"alpha"}


def test_requirements_in_a_circle_end(site):
    site.install("alpha", requires=["beta"])
    site.install("beta", requires=["alpha"])
    assert set(site.look().digests(["beta"])) == {"alpha", "beta"}


@pytest.mark.parametrize(
    ("direct", "is_project"),
    [
        ({"url": "file:///src", "dir_info": {"editable": True}}, True),
        ({"url": "file:///src", "dir_info": {}}, True),
        ({"url": "ssh://x/y", "vcs_info": {"vcs": "git", "commit_id": "0"}}, True),
        ({"url": "file:///a.whl", "archive_info": {}}, False),
        ("nonsense", False),
    ],
)
def test_folders_and_version_control_are_project_code(site, direct, is_project):
    site.install("alpha", direct=direct)
    (site.root / "alpha").mkdir()
    found = site.look()
    assert (found.digests(["alpha"]) == {}) == is_project
    assert (found.project_roots() == (str(site.root / "alpha"),)) == is_project


def test_headrace_itself_does_not_count(site):
    site.install("headrace")
    assert site.look().digests(["headrace"]) == {}


def test_an_old_egg_counts_by_its_metadata(site):
    egg = site.root / "old.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Name: old\nVersion: 1\n")
    (egg / "top_level.txt").write_text("old_module\n")
    before = site.look().digests(["old_module"])
    assert before["old"].startswith("1@")
    (egg / "PKG-INFO").write_text("Name: old\nVersion: 2\n")
    assert site.look().digests(["old_module"]) != before


def test_a_wheel_without_a_record_counts_by_its_metadata(site):
    info = site.install("alpha")
    (info / "RECORD").unlink()
    (info / "top_level.txt").write_text("alpha\n")
    before = site.look().digests(["alpha"])
    assert before["alpha"].startswith("1.0@")
    (info / "METADATA").write_text("Name: alpha\nVersion: 1.0\nSummary: other\n")
    assert site.look().digests(["alpha"]) != before


def test_the_first_folder_on_the_path_wins(site, tmp_path):
    site.install("alpha", "1.0")
    second = Site(tmp_path / "second")
    second.install("alpha", "2.0")
    found = Distributions(None, [str(site.root), str(second.root)])
    assert found.digests(["alpha"])["alpha"].startswith("1.0@")


def test_damaged_metadata_is_skipped(site):
    site.install("alpha")
    broken = site.root / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_bytes(b"\xff\xfe\x00")
    (site.root / "empty-1.0.dist-info").mkdir()
    assert set(site.look().digests(["alpha"])) == {"alpha"}


@pytest.mark.parametrize("change", ["upgrade", "install", "remove", "nothing"])
def test_the_state_is_that_of_all_that_is_installed(site, change):
    site.install("alpha")
    info = site.install("beta")
    before = site.look().state()
    if change == "upgrade":
        site.install("alpha", "1.1")
    elif change == "install":
        site.install("gamma")
    elif change == "remove":
        for path in list(info.iterdir()):
            path.unlink()
        info.rmdir()
    assert (site.look().state() != before) == (change != "nothing")


class TestCache:
    def test_a_second_look_reads_no_record(self, site, tmp_path, monkeypatch):
        site.install("alpha", requires=["beta"])
        site.install("beta")
        first = site.look(tmp_path / "installed.json").digests(["alpha"])
        monkeypatch.setattr(
            "headrace.core.distributions._read_distribution", lambda record: pytest.fail(f"read {record} again")
        )
        assert site.look(tmp_path / "installed.json").digests(["alpha"]) == first

    @pytest.mark.parametrize("change", ["upgrade", "install", "remove", "record"])
    def test_a_change_is_seen(self, site, tmp_path, change):
        info = site.install("alpha", requires=["beta"])
        site.install("beta")
        first = site.look(tmp_path / "installed.json").digests(["alpha"])
        if change == "upgrade":
            site.install("beta", "2.0")
        elif change == "install":
            site.install("alpha", "1.0", requires=["beta", "gamma"])
            site.install("gamma")
        elif change == "remove":
            for path in (info / "RECORD", info / "METADATA"):
                path.unlink()
            info.rmdir()
        else:
            (info / "RECORD").write_text("alpha/__init__.py,sha256=other,3\n")
        assert site.look(tmp_path / "installed.json").digests(["alpha"]) != first

    @pytest.mark.parametrize("damage", [b"", b"[]", b'{"version": 1}', b'{"version": 1, "folders": 1}', b"\xff"])
    def test_a_damaged_cache_counts_as_none(self, site, tmp_path, damage):
        site.install("alpha")
        (tmp_path / "installed.json").write_bytes(damage)
        assert set(site.look(tmp_path / "installed.json").digests(["alpha"])) == {"alpha"}

    def test_a_warm_look_at_this_environment_reads_no_record(self, tmp_path, monkeypatch):
        cold = Distributions(tmp_path / "installed.json").digests(["polars", "sklearn", "pyarrow"])
        read = []
        monkeypatch.setattr("headrace.core.distributions._read_distribution", read.append)
        assert Distributions(tmp_path / "installed.json").digests(["polars", "sklearn", "pyarrow"]) == cold
        assert {"polars", "scikit-learn", "numpy", "scipy"} <= set(cold)
        assert read == []
