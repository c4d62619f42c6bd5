"""The project's own promises: what importing costs, which layer may import which, one version, plain core."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace

# None of these may be loaded by `import headrace` or by `headrace --help`.
HEAVY = {
    "asyncio",
    "concurrent.futures.process",
    "duckdb",
    "email",
    "http",
    "importlib.metadata",
    "joblib",
    "lightgbm",
    "matplotlib",
    "mlflow",
    "multiprocessing",
    "narwhals",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "rich",
    "scipy",
    "skops",
    "sklearn",
    "sqlite3",
    "ssl",
    "unittest",
    "urllib.request",
    "xml",
}
LIST_MODULES = "import sys; print(*sys.modules, file=sys.stderr)"


def modules_after(code: str) -> set[str]:
    """Modules that a new interpreter holds after `code`. Isolated, so that only the code itself loads any."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{code}\n{LIST_MODULES}"], capture_output=True, text=True, check=True, cwd="/"
    )
    return set(done.stderr.split())


def heavy_in(modules: set[str]) -> set[str]:
    return {heavy for heavy in HEAVY if heavy in modules}


def test_the_probe_sees_a_heavy_module() -> None:
    assert heavy_in(modules_after("import asyncio")) >= {"asyncio"}


def test_import_headrace_loads_nothing_heavy() -> None:
    before = modules_after("pass")
    after = modules_after("import headrace")

    assert "headrace" in after
    assert heavy_in(after - before) == set()


def test_the_public_names_load_nothing_heavy() -> None:
    names = getattr(headrace, "__all__", ())
    after = modules_after("import headrace\n" + "\n".join(f"headrace.{name}" for name in names))

    assert heavy_in(after - modules_after("pass")) == set()


def test_help_loads_nothing_heavy() -> None:
    main = f"import sys; sys.argv = ['headrace', '--help']\n{ENTRY_POINT}"
    after = modules_after(main)

    assert "headrace.cli.main" in after
    assert heavy_in(after - modules_after("pass")) == set()


# What the installed script does; the exit is caught so that the modules can still be listed.
ENTRY_POINT = """
from headrace.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported_names(source: str) -> Iterator[str]:
    left: list[ast.AST] = [ast.parse(source)]
    while left:
        node = left.pop()
        left.extend(child for child in ast.iter_child_nodes(node) if not is_for_types_only(child))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""


def not_standard(source: str) -> set[str]:
    names = set(imported_names(source))
    return {
        name
        for name in names
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("headrace.core")
    }


def test_not_standard_names_what_is_neither_standard_nor_core() -> None:
    source = "import os.path, numpy\ndef f():\n    from headrace.engine import x\nfrom headrace.core.step import y"
    source += "\nif TYPE_CHECKING:\n    import polars"

    assert not_standard(source) == {"numpy", "headrace.engine"}


def test_core_imports_the_standard_library_only(project_root: Path) -> None:
    files = sorted((project_root / "src/headrace/core").rglob("*.py"))
    found = {
        (file.relative_to(project_root).as_posix(), name) for file in files for name in not_standard(file.read_text())
    }

    assert len(files) > 3
    assert found == set()


def test_layers_hold(project_root: Path) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project_root, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_one_version() -> None:
    assert importlib.metadata.version("headrace") == headrace.__version__


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(headrace.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("kind", ["", "-dev", "-floors", "-uv"])
def test_pins_have_hashes_and_name_no_host(project_root: Path, kind: str) -> None:
    text = (project_root / f"constraints{kind}.txt").read_text()
    pins = [line for line in text.splitlines() if not line.startswith(" ")]

    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert text.count("\\\n    --hash=sha256:") >= len(pins)
    assert "://" not in text
    assert "index" not in text


def test_the_pins_of_a_run_are_the_pins_of_development(project_root: Path) -> None:
    def pins(name: str) -> set[str]:
        lines = (project_root / name).read_text().splitlines()
        return {line.rstrip(" \\") for line in lines if not line.startswith(" ")}

    assert pins("constraints.txt") <= pins("constraints-dev.txt")
    assert pins("constraints-uv.txt") <= pins("constraints-dev.txt")


def test_no_test_inherits_headrace_settings() -> None:
    assert [name for name in os.environ if name.startswith("HEADRACE_")] == []


def test_the_wheel_holds_what_is_no_python(project_root: Path, tmp_path: Path) -> None:
    """Templates, completion scripts and the like are found where they are installed, too."""
    import zipfile

    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=project_root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    source = project_root / "src"
    files = {path.relative_to(source).as_posix() for path in (source / "headrace").rglob("*") if path.is_file()}
    wanted = {name for name in files if "__pycache__" not in name and "/." not in name}
    assert sum(name.startswith("headrace/templates/files/") for name in wanted) > 10
    assert wanted - held == set()
