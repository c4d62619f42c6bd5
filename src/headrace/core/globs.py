"""Paths with wildcards: what they name, in one order everywhere."""

# Patterns are plain strings here, as in `headrace.core.stamps`.
# ruff: noqa: PTH207

from __future__ import annotations

import os
from pathlib import PurePath

SIGNS = "*?["


def is_pattern(path: str | PurePath) -> bool:
    """Say whether a path has wildcards (``*``, ``**``, ``?``, ``[a-z]``)."""
    return any(sign in os.fspath(path) for sign in SIGNS)


def fixed_part(pattern: str | PurePath) -> str:
    """Give the folders of a pattern that have no wildcard: what the rest is looked for in."""
    parts = PurePath(pattern).parts
    n_fixed = next((index for index, part in enumerate(parts) if is_pattern(part)), len(parts))
    return os.fspath(PurePath(*parts[:n_fixed])) if n_fixed else "."


def matching(pattern: str | PurePath) -> list[str]:
    """Give the files and folders that a pattern names, sorted by name; hidden ones only where it says so.

    ``**`` stands for any number of folders.
    """
    import glob

    return sorted(glob.glob(os.fspath(pattern), recursive=True))
