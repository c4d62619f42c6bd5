"""One environment for each orchestrator, under .engines, brought up to date when its pins change.

environments.py [ENGINE ...]       make them; all by default
environments.py --pin ENGINE ...   resolve engines/ENGINE.in again, with hashes, naming no host
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE / "engines"
ENVIRONMENTS = HERE.parents[1] / ".engines"
SETTINGS = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
FREE_OF_HOSTS = ("--no-emit-index-url", "--no-annotate", "--no-header")


def engines() -> list[str]:
    """The orchestrators that have pins."""
    return sorted(pins.stem for pins in PINS.glob("*.txt"))


def python_of(engine: str) -> Path:
    """The interpreter of an orchestrator's environment."""
    return ENVIRONMENTS / engine / "bin" / "python"


def uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    subprocess.run(command, check=True, env=SETTINGS, stdin=subprocess.DEVNULL)


def pin(engine: str) -> None:
    """Resolve what an orchestrator needs, and write it down."""
    pins = PINS / f"{engine}.txt"
    uv("pip", "compile", "--quiet", "--generate-hashes", *FREE_OF_HOSTS, "-o", str(pins), str(PINS / f"{engine}.in"))
    if "://" in pins.read_text():
        raise SystemExit(f"{pins} names a host")


def set_up(engine: str) -> Path:
    """Make an orchestrator's environment, bytecode compiled; at once when it is there with these pins."""
    pins = PINS / f"{engine}.txt"
    folder = ENVIRONMENTS / engine
    stamp = folder / ".pins"
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        print(f"conformance: making the environment of {engine}", file=sys.stderr)
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        python = str(python_of(engine))
        uv("pip", "install", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode", "-r", str(pins))
        stamp.write_text(digest)
    return python_of(engine)


if __name__ == "__main__":
    names = sys.argv[1:]
    if names[:1] == ["--pin"]:
        for name in names[1:]:
            pin(name)
    else:
        for name in names or engines():
            set_up(name)
