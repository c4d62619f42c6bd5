"""Where this user's machine keeps what can be made again: local copies, and what was read of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_root(environment: Mapping[str, str]) -> Path:
    """The folder: ``HEADRACE_CACHE``, else ``headrace`` in the user's folder for caches. It may not be there."""
    chosen = environment.get("HEADRACE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    caches = environment.get("XDG_CACHE_HOME")
    if caches:
        return Path(caches) / "headrace"
    try:
        return Path.home() / ".cache" / "headrace"
    except RuntimeError:  # a user without a name or a home, as in some containers
        import tempfile

        return Path(tempfile.gettempdir()) / f"headrace-{os.getuid()}"
