"""A format that another package brings: a real one, built and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "plugin_package"

PROGRAM = """
import sys, tempfile
from pathlib import Path
from headrace.core.errors import FormatError
from headrace.formats import find_format, format_named, loads_as, save_artifact, Table
assert find_format(list[int]).name == "json" and find_format(Table).name == "parquet"
assert "tensorbox" not in sys.modules and "importlib.metadata" not in sys.modules
from tensorbox import Box
assert "tensorbox.headrace_format" not in sys.modules
found = find_format(Box)
assert found.name == "tensorbox.headrace_format:BoxFormat"
folder = Path(tempfile.mkdtemp())
assert save_artifact(Box(1, 2.5), Box, folder).name == found.name
loaded = format_named(found.name).load({"box.txt": folder / "box.txt"}, Box)
assert type(loaded) is Box and loaded.numbers == (1, 2.5)
assert loads_as(found.name, Box) and loads_as(found.name, Path) and not loads_as(found.name, int)
try:
    find_format(Path.cwd)
except FormatError as error:
    print(error)
"""

CONTRACT = """
from tensorbox import Box
from tensorbox.headrace_format import BoxFormat
from headrace.testing.formats import FormatContract

class TestBox(FormatContract):
    format = BoxFormat()
    wrong = (3, Box, "A box is declared, but got 3")
    @classmethod
    def examples(cls):
        return [(Box(1, 2.5), Box), (Box(), Box)]
    def equal(self, one, other):
        return one.numbers == other.numbers
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PACKAGE, folder / "source")
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--no-build-isolation",
    ]
    target = ["--python", sys.executable, "--target", str(folder / "site"), str(folder / "source")]
    subprocess.run([*command, *target], check=True, capture_output=True)
    return folder / "site"


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_an_installed_package_brings_its_format(site: Path) -> None:
    done = run(site, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert "another package can bring one by the entry point group 'headrace.formats'" in done.stdout


def test_the_packages_own_tests_take_the_contract(site: Path, tmp_path: Path) -> None:
    (tmp_path / "test_box.py").write_text(CONTRACT)
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    assert "7 passed" in done.stdout, done.stdout


def test_a_format_that_does_not_import_is_named(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site" / "tensorbox" / "headrace_format.py").write_text("import no_such_module\n")
    done = run(
        tmp_path / "site", "-c", "from tensorbox import Box; from headrace.formats import find_format; find_format(Box)"
    )
    assert (
        "The format 'box' (entry point 'tensorbox.headrace_format:BoxFormat') can't be imported: "
        "No module named 'no_such_module'.\nHint: repair or remove the package that brings it"
    ) in done.stderr


def test_a_format_must_be_named_after_its_class(site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site")
    module = tmp_path / "site" / "tensorbox" / "headrace_format.py"
    module.write_text(module.read_text().replace('name = "tensorbox.headrace_format:BoxFormat"', 'name = "box"'))
    done = run(
        tmp_path / "site", "-c", "from tensorbox import Box; from headrace.formats import find_format; find_format(Box)"
    )
    assert "The format 'tensorbox.headrace_format:BoxFormat' is named 'box'.\nHint: set its name to" in done.stderr
