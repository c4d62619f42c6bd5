"""A project on disk that tests edit, and fingerprints of its functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from headrace.core.distributions import Distributions
from headrace.core.fingerprint import Fingerprinter
from headrace.core.project import Project
from headrace.core.stamps import Stamps
from headrace.core.step_code import StepCode


def plain(value: object) -> object:
    """Encode what JSON can hold, and refuse the rest, as a codec does."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return [type(value).__name__, value]
    raise TypeError(f"no code for {type(value)!r}")


class Sandbox:
    """A project folder on ``sys.path`` whose modules are imported anew for each look."""

    def __init__(self, root: Path, distributions: Distributions) -> None:
        self.root = root
        self.distributions = distributions
        self.project = Project(root)
        (root / "pyproject.toml").write_text("")

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text, f"{old!r} isn't in {name}"
        (self.root / name).write_text(text.replace(old, new, 1))

    def forget(self) -> None:
        """Drop the project's modules from the process."""
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            space = getattr(module, "__dict__", {})
            paths = [space.get("__file__") or "", *map(str, space.get("__path__", ()))]
            if any(path.startswith(str(self.root)) for path in paths):
                del sys.modules[name]

    def load(self, target: str) -> object:
        """Import ``module:name`` anew."""
        self.forget()
        module, _, path = target.partition(":")
        found: object = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        return getattr(found, "function", found)

    def code(self, target: str, *, entry: tuple[str, ...] = (), encode: Callable[[object], object] = plain) -> StepCode:
        made = Fingerprinter(self.project, encode, Stamps(), distributions=self.distributions, entry=entry)
        return made.fingerprint(self.load(target))


@pytest.fixture(scope="session")
def installed() -> Distributions:
    """What is installed, read once."""
    return Distributions()


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Distributions) -> Iterator[Sandbox]:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Sandbox(root, installed)
    yield made
    made.forget()
