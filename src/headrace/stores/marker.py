"""``store.json``: what makes a folder a store, the version of its layout, and its salt."""

from __future__ import annotations

import json
import os

from headrace.core.errors import StoreError

FORMAT = 1


class NoStoreError(StoreError):
    """There is no store, and none was to be made."""


_SALT_BYTES = 32


def new_marker() -> bytes:
    """The content of ``store.json`` for a new store."""
    return json.dumps({"format": FORMAT, "salt": os.urandom(_SALT_BYTES).hex()}).encode() + b"\n"


def salt_of(marker: bytes, where: str) -> bytes:
    """Read the salt. Raises `StoreError` for a newer format, and for what is no marker."""
    try:
        data = json.loads(marker)
        version, salt = int(data["format"]), data["salt"]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(where) from error
    if version > FORMAT:
        raise StoreError(
            f"The store has format {version}, and this version of Headrace knows formats up to {FORMAT}",
            where=where,
            hint="upgrade Headrace, or choose another store (--store, HEADRACE_STORE)",
        )
    try:
        salt_bytes = bytes.fromhex(salt)
    except (ValueError, TypeError) as error:
        raise _damaged(where) from error
    if version < 1 or len(salt_bytes) != _SALT_BYTES:
        raise _damaged(where)
    return salt_bytes


def _damaged(where: str) -> StoreError:
    return StoreError(
        "The store's 'store.json' is damaged",
        where=where,
        hint="restore it from a backup, or choose another store (--store, HEADRACE_STORE)",
    )
