"""What every test gets: no setting of this machine's environment, and hypothesis without a clock."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from headrace.core.loader import SourceFinder

ROOT = Path(__file__).resolve().parents[1]

# Two cores shared by xdist's workers: a deadline in milliseconds would measure the neighbour. CI takes the same
# examples every time; by hand they are new ones.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


# xdist wants each worker to collect the same names. Some name a set, whose order follows the hash seed: so the workers
# share one seed, another in each session.
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ.setdefault("PYTHONHASHSEED", str(random.SystemRandom().randrange(1, 1 << 32)))


def pytest_report_header() -> str:
    return f"the workers' and child processes' PYTHONHASHSEED={os.environ['PYTHONHASHSEED']}"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length: their content may hold the time (gzip), and xdist wants equal names everywhere."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "caches"))
    for name in os.environ:
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def imports_as_before() -> Iterator[None]:
    """Take away finders and paths that inline runs put in, those of fixtures too: they would load the next modules."""
    paths = list(sys.path)
    remove_finders()
    yield
    remove_finders()
    sys.path[:] = paths


def remove_finders() -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, SourceFinder)]


@pytest.fixture
def project_root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets that may lie beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets (../shared/data) are not on this machine")
    return folder
