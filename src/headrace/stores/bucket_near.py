"""Copies of a bucket's objects on this machine, kept to a limit.

How much may be near is said by ``HEADRACE_CACHE_LIMIT`` (``500MB``, ``20GB``), else it's 20 GB. What was used within a
day stays whatever the limit, since a step that is at work may have its path.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from contextlib import suppress

from headrace.core.errors import StoreError
from headrace.stores.files import make_young
from headrace.stores.local import LocalStore

LIMIT_BYTES = 20 * 10**9
_DAY_SECONDS = 86400.0
_LOOKS_IN_A_LIMIT = 20
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def limit_bytes(environment: Mapping[str, str]) -> int:
    """How much may be near. Raises `StoreError` for what is no size."""
    text = environment.get("HEADRACE_CACHE_LIMIT")
    if not text:
        return LIMIT_BYTES
    found = re.fullmatch(r"(\d+)\s*(MB|GB|TB)", text)
    if found is None:
        raise StoreError(f"HEADRACE_CACHE_LIMIT={text!r} is no size", hint="give one such as 500MB or 20GB")
    return int(found[1]) * _UNITS[found[2]]


def has_grown(near: LocalStore, n_bytes: int, limit: int) -> None:
    """Some bytes came: now and then, twenty times in a limit on average, see whether it's too much."""
    if random.random() * limit < n_bytes * _LOOKS_IN_A_LIMIT:
        trim(near, limit)


def trim(near: LocalStore, limit: int) -> list[str]:
    """Remove the copies that were not used for longest, until the rest keeps to the limit. Returns their names."""
    copies = sorted(near.list_entries("objects"), key=lambda entry: entry.changed)
    too_many = sum(entry.n_bytes for entry in copies) - limit
    oldest = near.clock() - _DAY_SECONDS
    names = []
    for entry in copies:
        if too_many <= 0 or entry.changed >= oldest:
            break
        names.append(entry.name)
        too_many -= entry.n_bytes
    return near.remove_older(names, oldest) if names else []


def is_used(near: LocalStore, name: str) -> None:
    """A copy is used: it stays for a day."""
    path = f"{near.root}/{name}"
    with suppress(OSError):
        make_young(path, os.stat(path).st_mtime)  # noqa: PTH116
