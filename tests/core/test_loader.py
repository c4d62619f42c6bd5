"""Modules loaded from their source, and what differs between plan, memory and disk."""

# Sources of test modules stand on one line each.
# ruff: noqa: E501

from __future__ import annotations

import hashlib
import importlib
import os
import py_compile
import subprocess
import sys
import textwrap

import pytest

from headrace.core.loader import (
    install_loader,
    loaded_sources,
    source_changes,
    uninstall_loader,
)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def finder(sandbox, tmp_path):
    sandbox.forget()
    made = install_loader(sandbox.project, tmp_path / "bytecode")
    yield made
    uninstall_loader(made)


def cached(tmp_path):
    return [path for path in (tmp_path / "bytecode").rglob("*") if path.is_file()]


def test_the_source_of_each_loaded_module_is_known(sandbox, finder):
    sandbox.write({"app/__init__.py": "", "app/a.py": "x = 1\n"})
    importlib.import_module("app.a")
    sources = loaded_sources()
    assert sources["app.a"] == (str(sandbox.root / "app/a.py"), sha("x = 1\n"))
    assert sources["app"] == (str(sandbox.root / "app/__init__.py"), sha(""))
    assert "json" not in sources
    assert "pytest" not in sources


def test_installing_again_gives_the_same_finder(sandbox, finder):
    assert install_loader(sandbox.project) is finder
    assert sum(known is finder for known in sys.meta_path) == 1


def test_a_stale_pyc_of_equal_time_and_size_is_not_used(sandbox, finder):
    path = sandbox.root / "a.py"
    path.write_text("x = 1\n")
    py_compile.compile(str(path), doraise=True)
    status = path.stat()
    path.write_text("x = 2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert importlib.import_module("a").x == 2


def test_bytecode_is_kept_by_the_sources_digest_and_used(sandbox, finder, tmp_path, monkeypatch):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    assert len(cached(tmp_path)) == 1
    sandbox.forget()
    with monkeypatch.context() as patch:
        patch.setattr("builtins.compile", lambda *a, **k: pytest.fail("compiled again"))
        assert importlib.import_module("a").x == 1
    sandbox.forget()
    sandbox.write({"a.py": "x = 2\n"})
    assert importlib.import_module("a").x == 2
    assert len(cached(tmp_path)) == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 200])
def test_damaged_bytecode_is_made_again(sandbox, finder, tmp_path, damage):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    (path,) = cached(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage)
    sandbox.forget()
    assert importlib.import_module("a").x == 1
    assert path.read_bytes() == whole


def test_bytecode_cut_short_is_made_again(sandbox, finder, tmp_path):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    (path,) = cached(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    sandbox.forget()
    assert importlib.import_module("a").x == 1


def test_a_cache_that_cannot_be_written_is_no_error(sandbox, tmp_path):
    (tmp_path / "file").write_text("")
    finder = install_loader(sandbox.project, tmp_path / "file" / "bytecode")
    try:
        sandbox.write({"a.py": "x = 1\n"})
        assert importlib.import_module("a").x == 1
    finally:
        uninstall_loader(finder)


def test_tracebacks_name_the_file(sandbox, finder):
    sandbox.write({"a.py": "def f():\n    return 1\n"})
    assert importlib.import_module("a").f.__code__.co_filename == str(sandbox.root / "a.py")


def test_an_error_in_the_source_is_pythons_own(sandbox, finder):
    sandbox.write({"a.py": "def f(:\n"})
    with pytest.raises(SyntaxError, match="invalid syntax"):
        importlib.import_module("a")


def test_nothing_changed(sandbox, finder):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    assert source_changes({"a": sha("x = 1\n")}) == []


def test_an_edit_after_loading_is_seen(sandbox, finder):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    sandbox.write({"a.py": "x = 2\n"})
    assert source_changes({"a": sha("x = 1\n")}) == [f"{sandbox.root / 'a.py'} changed on disk"]
    assert source_changes({"a": ("a.py", sha("x = 1\n"))}, sandbox.project) == ["a.py changed on disk"]


def test_code_loaded_in_another_version_than_the_plans_is_seen(sandbox, finder):
    sandbox.write({"a.py": "x = 2\n"})
    importlib.import_module("a")
    sandbox.write({"a.py": "x = 1\n"})
    found = source_changes({"a": ("a.py", sha("x = 1\n"))}, sandbox.project)
    assert found == ["a.py was loaded in another version than the plan's"]


def test_a_module_that_is_gone_is_seen(sandbox, finder):
    sandbox.write({"a.py": "x = 1\n"})
    importlib.import_module("a")
    (sandbox.root / "a.py").unlink()
    assert source_changes({"a": ("a.py", sha("x = 1\n"))}) == ["a.py can't be read any more"]
    assert source_changes({"never": ("never.py", "0")}, sandbox.project) == ["never.py isn't here any more"]


def test_a_module_not_loaded_yet_is_compared_on_disk(sandbox, finder):
    sandbox.write({"app/__init__.py": "", "app/late.py": "x = 1\n"})
    modules = {"app.late": ("app/late.py", sha("x = 1\n"))}
    assert source_changes(modules, sandbox.project) == []
    sandbox.write({"app/late.py": "x = 2\n"})
    assert source_changes(modules, sandbox.project) == ["app/late.py changed on disk"]
    assert "app.late" not in sys.modules


class TestLoadedByPython:
    """Modules that Python itself loaded: a script, or what was imported before."""

    @pytest.mark.parametrize(
        ("edit", "agrees"),
        [
            ("def f(x):\n    return x + 1\n", True),
            ("\n\n# note\ndef f(x):\n    return (x + 1)\n", True),
            ("def f(x):\n    return x + 2\n", False),
            ("def f(x):\n    return x + 1.0\n", False),
            ("def f(x):\n    return x - 1\n", False),
            ("def g(x):\n    return x + 1\n", False),
            ("def f(:\n", False),
        ],
    )
    def test_functions_are_compared_with_the_disk(self, sandbox, edit, agrees):
        sandbox.write({"a.py": "def f(x):\n    return x + 1\n"})
        importlib.import_module("a")
        sandbox.write({"a.py": edit})
        found = source_changes({"a": ("a.py", sha(edit))}, sandbox.project)
        assert found == ([] if agrees else ["a.py was changed after it was loaded"])

    @pytest.mark.parametrize(
        "source",
        [
            "class A:\n    def f(self): return 1\n",
            "class A:\n    @property\n    def f(self): return 1\n",
            "class A:\n    @staticmethod\n    def f(): return 1\n",
            "class A:\n    @classmethod\n    def f(cls): return 1\n",
            "def make():\n    def f(): return 1\n    return f\nf = make()\n",
            "import functools\ndef d(g):\n    @functools.wraps(g)\n    def h(): return g()\n    return h\n@d\ndef f(): return 1\n",
            "f = lambda: 1\n",
        ],
    )
    def test_methods_wrapped_and_nested_functions_too(self, sandbox, source):
        sandbox.write({"a.py": source})
        importlib.import_module("a")
        assert source_changes({"a": ("a.py", sha(source))}, sandbox.project) == []
        edited = source.replace("1", "2")
        sandbox.write({"a.py": edited})
        assert source_changes({"a": ("a.py", sha(edited))}, sandbox.project) == ["a.py was changed after it was loaded"]


def test_a_script_that_changes_while_it_runs_is_seen(sandbox):
    script = sandbox.root / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import hashlib, pathlib
            from headrace.core.loader import source_changes
            def f(): return 1
            path = pathlib.Path(__file__)
            def look():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                return source_changes({"__main__": ("script.py", digest)})
            print(look())
            path.write_text(path.read_text().replace("return 1", "return 2"))
            print(look())
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['script.py was changed after it was loaded']"]
