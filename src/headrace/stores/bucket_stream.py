"""Streams of a bucket's store: written to local files, uploaded as parts, read as one.

An entry of a bucket can't grow. So each cache folder has a part of its own of each stream, ``NAME/PART`` in the bucket,
which is put again as a whole when its stream is closed, when the record beside it is written, and now and then while it
grows. Whoever reads a stream gets the parts of all, one after the other in the order in which they were begun.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import SupportsIndex

from headrace.core.errors import StoreError
from headrace.stores.bucket_client import BucketClient
from headrace.stores.local import LocalStore
from headrace.stores.stream import AppendStream

_MOST_ROUNDS = 5
_SUFFIXES = (".log", ".jsonl")
_PAUSES_FOR_AN_UPLOAD = 20


class BucketStream(AppendStream):
    """A local file that is uploaded now and then, and when it is closed."""

    def __init__(self, path: str, upload: Callable[[], None], every_seconds: float, again: tuple[object, ...]) -> None:
        super().__init__(path)
        self._upload = upload
        self._every_seconds = every_seconds
        self._due = time.monotonic() + every_seconds
        self._again = again

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Append ``data`` whole; see `AppendStream.write`."""
        n_written = super().write(data)
        started = time.monotonic()
        if started > self._due:
            with suppress(StoreError):  # it's tried again, at the latest at the end
                self._upload()
            ended = time.monotonic()
            # What grows long is sent seldom: each time it's sent as a whole.
            self._due = ended + max(self._every_seconds, _PAUSES_FOR_AN_UPLOAD * (ended - started))
        return n_written

    def close(self) -> None:
        """Close and upload. Raises `StoreError`; the local file is kept."""
        was_open = not self.closed
        super().close()
        if was_open and not sys.is_finalizing():
            self._upload()

    def __reduce__(self) -> tuple[object, ...]:
        return self._again

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        return self._again  # Python 3.13's files refuse here


class Streams:
    """The streams of a bucket's store on this machine."""

    def __init__(self, client: BucketClient, near: LocalStore, folder: Path) -> None:
        self._client = client
        self._near = near
        self._folder = folder
        self._sent: dict[str, int] = {}

    def upload(self, name: str) -> None:
        """Put our part of a stream, if it has grown. Raises `BucketFault` and ``OSError``."""
        path = f"{self._near.root}/{name}"
        for _ in range(_MOST_ROUNDS):
            try:
                n_bytes = os.stat(path).st_size  # noqa: PTH116
            except OSError:
                return  # there is none, or can't be one of this name
            if self._sent.get(name, 0) == n_bytes:
                return
            # Whoever else appends here may have put more meanwhile. So it's put till it stays as it is.
            self._client.upload(f"{name}/{self._own_part(name)}", path)
            self._sent[name] = n_bytes

    def upload_beside(self, record: str) -> None:
        """Put the streams that are named like a record, but for the ending."""
        for suffix in _SUFFIXES:
            self.upload(record.removesuffix(".json") + suffix)

    def upload_below(self, folder: str) -> None:
        """Put all streams below a folder."""
        root = str(self._near.root)
        for place, _, files in os.walk(f"{root}/{folder}"):
            for file in files:
                if not file.endswith(".json"):
                    self.upload(os.path.relpath(f"{place}/{file}", root))

    def path(self, name: str) -> Path:
        """A local file with all parts of a stream: our own, unless others have written to it too."""
        own = self._near.stream_path(name)
        parts = sorted(part for part in self._client.names(name) if part.count("/") == name.count("/") + 1)
        ours = f"{name}/{self._known_part(name)}"
        if all(part == ours for part in parts):
            return own
        if own.exists() and ours not in parts:
            parts.append(ours)
        target = self._folder / "views" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._near.scratch() as folder:
            with (folder / "all").open("wb") as file:
                for part in parts:
                    file.write(own.read_bytes() if part == ours and own.exists() else self._part(part))
            (folder / "all").replace(target)
        return target

    def _part(self, name: str) -> bytes:
        found = self._client.read(name)
        return b"" if found is None else found.data

    def _part_file(self, name: str) -> Path:
        return self._folder / "parts" / name

    def _known_part(self, name: str) -> str:
        try:
            return self._part_file(name).read_text()
        except FileNotFoundError:
            return ""

    def _own_part(self, name: str) -> str:
        """The name of our part, the same for all who share this cache folder."""
        known = self._known_part(name)
        if known:
            return known
        file = self._part_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._near.scratch() as folder:
            aside = folder / "part"
            aside.write_text(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}")
            with suppress(FileExistsError):
                os.link(aside, file)
        return file.read_text()
