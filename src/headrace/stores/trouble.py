"""What the operating system's errors mean for a store."""

from __future__ import annotations

import errno

from headrace.core.errors import StoreError, StoreFullError, StoreReadOnlyError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def is_of_the_disk(error: OSError) -> bool:
    """Whether the disk is full or read-only, whatever was to be written there."""
    return error.errno in (*_FULL, errno.EROFS)


def explain(error: OSError, what: str, where: str) -> StoreError:
    """Make the store's error of the operating system's: ``what`` failed, such as "write a record"."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreFullError(
            f"No space is left to {what}: {reason}",
            where=where,
            hint="nothing half-written was left behind: make space (or raise the quota) and run again",
        )
    if error.errno in _READ_ONLY:
        return StoreReadOnlyError(
            f"The store may not be used to {what}: {reason}",
            where=where,
            hint="give this user the right to it, or choose another store (--store, HEADRACE_STORE)",
        )
    return StoreError(
        f"Could not {what}: {reason}",
        where=where,
        hint="look at the file system under the store, then run again: what was finished is kept",
    )
