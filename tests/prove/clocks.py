"""A clock that is wrong, for a process and all that it starts, by libfaketime."""

from __future__ import annotations

from pathlib import Path

import pytest

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def moved_by(n_days: int) -> dict[str, str]:
    """The environment of a process whose clock is so many days ahead, or back. Skips the test where it can't be had."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime (Debian's package libfaketime) is not installed, so no clock can be moved")
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{n_days:+}d"}
