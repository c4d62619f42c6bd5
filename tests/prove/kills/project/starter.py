"""A step that starts a process which would go on for long after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from headrace import pipeline, step

LOOP = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text("started")
end = time.monotonic() + 120
while time.monotonic() < end: pass
"""


@step
def start(sign: str, own_session: bool) -> int:
    """Wait for a process that computes for two minutes."""
    return subprocess.run([sys.executable, "-S", "-c", LOOP, sign], start_new_session=own_session).returncode


@pipeline
def starter(sign: str = str(Path("sign").resolve()), own_session: bool = False) -> int:
    """One step."""
    return start(sign, own_session)
