from __future__ import annotations

import functools
import sysconfig
from pathlib import Path

from headrace.core.places import caller_place, place_of, shown_file


def function() -> None: ...


@functools.wraps(function)
def wrapper() -> None: ...


LINE = function.__code__.co_firstlineno


def test_a_function_of_the_project(project_root: Path) -> None:
    assert place_of(function, project_root) == ("tests/core/test_places.py", LINE)


def test_a_wrapped_function_is_where_it_is_written(project_root: Path) -> None:
    assert place_of(wrapper, project_root) == ("tests/core/test_places.py", LINE)


def test_what_has_no_code_is_in_its_module(project_root: Path) -> None:
    assert place_of(len, project_root) == ("builtins", 1)


def test_an_installed_file_is_shown_as_it_is_installed(project_root: Path) -> None:
    installed = Path(sysconfig.get_path("purelib")) / "polars" / "frame.py"
    assert shown_file(str(installed), project_root) == "polars/frame.py"
    assert shown_file("/any/venv/lib/python3.11/site-packages/a/b.py", Path("/any")) == "a/b.py"


def test_a_module_outside_the_project_is_shown_by_its_package() -> None:
    root = Path("/project")
    assert shown_file("/checkout/src/headrace/steps/splitting.py", root, "headrace.steps.splitting") == (
        "headrace/steps/splitting.py"
    )
    assert (
        shown_file("/checkout/src/headrace/steps/__init__.py", root, "headrace.steps") == "headrace/steps/__init__.py"
    )
    assert shown_file("/tmp/notebook/5.py", root, "__main__") == "/tmp/notebook/5.py"
    assert shown_file("/tmp/5.py", root) == "/tmp/5.py"


def test_a_project_behind_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    (real / "flow.py").write_text("")
    link.symlink_to(real)
    assert shown_file(str(link / "flow.py"), real) == "flow.py"
    assert shown_file(str(real / "flow.py"), real) == "flow.py"


def test_the_caller_is_in_the_project(project_root: Path) -> None:
    def ask() -> str:
        return caller_place(project_root)

    found = ask()
    assert found == f"tests/core/test_places.py:{ask.__code__.co_firstlineno + 1}"


def test_without_a_project_the_caller_is_outside_the_core(tmp_path: Path) -> None:
    assert caller_place(tmp_path).startswith(f"{__file__}:")
