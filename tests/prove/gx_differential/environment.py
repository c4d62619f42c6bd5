"""The environment that Great Expectations runs in: its own, pinned with hashes, under .engines.

python tests/prove/gx_differential/environment.py          make it, or bring it up to date
python tests/prove/gx_differential/environment.py --pin    resolve gx.in again, naming no host
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE / "gx.txt"
FOLDER = HERE.parents[2] / ".engines" / "gx"
PYTHON = FOLDER / "bin" / "python"
SETTINGS = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
FREE_OF_HOSTS = ("--no-emit-index-url", "--no-annotate", "--no-header")


def uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    subprocess.run(command, check=True, env=SETTINGS, stdin=subprocess.DEVNULL)


def pin() -> None:
    """Resolve what it needs, and write it down."""
    uv("pip", "compile", "--quiet", "--generate-hashes", *FREE_OF_HOSTS, "-o", str(PINS), str(HERE / "gx.in"))
    if "://" in PINS.read_text():
        raise SystemExit(f"{PINS} names a host")


def digest() -> str:
    return hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()


def is_ready() -> bool:
    """Is it there, with these pins?"""
    stamp = FOLDER / ".pins"
    return stamp.is_file() and stamp.read_text() == digest()


def set_up() -> Path:
    """Make it, bytecode compiled; at once when it is there."""
    if not is_ready():
        print("prove: making the environment of Great Expectations", file=sys.stderr)
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER))
        install = ("pip", "install", "--quiet", "--python", str(PYTHON), "--require-hashes", "--compile-bytecode")
        uv(*install, "-r", str(PINS))
        (FOLDER / ".pins").write_text(digest())
    return PYTHON


if __name__ == "__main__":
    if sys.argv[1:] == ["--pin"]:
        pin()
    else:
        set_up()
