"""One environment for each peer, under benchmarks/.envs, brought up to date when its pins change.

Usage: environments.py [PEER ...]
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
SETTINGS = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}


def peers() -> list[str]:
    """The peers that have pins here."""
    return sorted(pins.parent.name for pins in HERE.glob("peers/*/requirements.txt"))


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment."""
    return ENVIRONMENTS / peer / "bin" / "python"


def uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    subprocess.run(command, check=True, env=SETTINGS, stdin=subprocess.DEVNULL)


def set_up(peer: str) -> None:
    """Make a peer's environment, bytecode compiled; at once when it is there with these pins."""
    pins = HERE / "peers" / peer / "requirements.txt"
    folder = ENVIRONMENTS / peer
    stamp = folder / ".pins"
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    print(f"benchmarks: making the environment of {peer}", file=sys.stderr)
    uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    python = str(python_of(peer))
    uv("pip", "install", "--quiet", "--python", python, "--compile-bytecode", "-r", str(pins))
    stamp.write_text(digest)


if __name__ == "__main__":
    for name in sys.argv[1:] or peers():
        set_up(name)
