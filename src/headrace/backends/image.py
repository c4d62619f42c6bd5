"""The container image that steps run in: a Dockerfile of the project and what is installed for it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

PROJECT = "/project"
"""The project's folder in the image."""
COMMAND = ("python", "-m", "headrace")
PINS = "requirements.lock"
UNWANTED = (
    ".git",
    ".headrace",
    "**/.headrace",
    ".venv*",
    "**/__pycache__",
    "**/*.pyc",
    ".mypy_cache",
    ".pytest_cache",
    ".env",
)


def image_files(root: Path, folder: Path) -> dict[str, str]:
    """The Dockerfile, what it leaves out, and the pins that it installs, for a project; they go into ``folder``.

    The pins are what is installed in this environment, each at its version; the project itself, and what was installed
    from a folder, is left out: the project is copied.
    """
    where = _relative(folder, root)
    return {
        "Dockerfile": _dockerfile(where),
        "Dockerfile.dockerignore": "".join(f"{name}\n" for name in UNWANTED),
        PINS: "".join(f"{line}\n" for line in _pins()),
    }


def _relative(folder: Path, root: Path) -> str:
    try:
        return folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return "."


def _dockerfile(where: str) -> str:
    version = ".".join(platform.python_version_tuple()[:2])
    pins = json.dumps([f"{where}/{PINS}", "/tmp/"])
    build = f"docker build -f {where}/Dockerfile -t NAME ."
    lines = [
        f"# The steps' environment. In the project's folder:  {build}",
        "# Push it, and compile with --image NAME@sha256:... (its digest): a tag may mean another image tomorrow.",
        f"ARG BASE=python:{version}-slim",
        "FROM ${BASE}",
        "ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1",
        f"COPY {pins}",
        f"RUN python -m pip install --no-deps -r /tmp/{PINS}",
        "RUN useradd --create-home --uid 1000 headrace",
        f"WORKDIR {PROJECT}",
        f"COPY --chown=headrace . {PROJECT}",
        "USER headrace",
    ]
    return "".join(f"{line}\n" for line in lines)


def _pins() -> Iterator[str]:
    found = {(item.metadata["Name"] or "").lower(): item for item in distributions()}
    for name, item in sorted(found.items()):
        if name and not _is_from_a_folder(item):
            yield f"{item.metadata['Name']}=={item.version}"
    if "headrace" in found and _is_from_a_folder(found["headrace"]):
        yield f"headrace=={found['headrace'].version}"


def _is_from_a_folder(item: Distribution) -> bool:
    origin = item.read_text("direct_url.json")
    return origin is not None and json.loads(origin).get("url", "").startswith("file:")
