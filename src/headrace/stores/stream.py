"""A file that grows by whole writes: a step's log, a run's events."""

# ruff: noqa: PTH100
from __future__ import annotations

import os
from io import FileIO

from headrace.core.faults import fault_point
from headrace.stores.trouble import explain


class AppendStream(FileIO):
    """An unbuffered file that each ``write`` appends to in one piece, with a store's errors."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "ab")
        self._path = path
        self._is_torn = False

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Append ``data`` whole. Raises `StoreError`; what is there by then, the next write ends."""
        try:
            if self._is_torn:
                # What follows a torn line starts a line of its own, or it would be lost with it.
                self._is_torn = super().write(b"\n") != 1
            self._write_whole(data)
        except OSError as error:
            raise explain(error, "append to a stream", self._path) from error
        return len(data)

    def _write_whole(self, data: bytes) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            fault_point("store.stream.before_write")
            n_written = super().write(rest) or 0
            rest = rest[n_written:]
            self._is_torn = bool(rest)

    def __reduce__(self) -> tuple[object, ...]:
        return AppendStream, (os.path.abspath(self._path),)
