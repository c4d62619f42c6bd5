"""Requests to a bucket: the one file that uses ``obstore``.

The library's threads don't survive a fork: a request in a forked process would wait for ever. Requests of a process
that was forked after the library had been used go through an agent instead, a fresh process at the other end of a pipe.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache, cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from headrace.core.errors import StoreError
from headrace.stores.bucket_fault import BucketFault, fault_of
from headrace.stores.bucket_place import BucketPlace, endpoint, profile_settings
from headrace.stores.protocol import Entry

if TYPE_CHECKING:
    from headrace.stores.bucket_agent import Agent

_Result = TypeVar("_Result")
_LONGEST_PAUSE_SECONDS = 5.0
_SMALL_BYTES = 1 << 20
_SMALLEST_PART_BYTES = 5 << 20
_MOST_TORN = 3
_MOST_PARTS = 9000  # S3 takes 10,000
_N_AT_ONCE = 4
_PAGE = 1000
_TAG = "headrace-writer"
_DIGEST = "headrace-sha256"


class BucketSettings(NamedTuple):
    """How patient a store is with its bucket."""

    connect_seconds: float = 5.0
    request_seconds: float = 60.0
    part_seconds: float = 300.0
    """For a request with a big body: four parts of 5 MiB at once take this long at 0.6 Mbit/s."""
    n_retries: int = 8
    retry_seconds: float = 60.0
    first_pause_seconds: float = 0.1
    part_bytes: int = 8 << 20
    lease_seconds: float = 20.0
    """A lease whose holder has not been heard of for this long is free."""
    upload_seconds: float = 10.0
    """A stream that grows is uploaded this often at most."""


class Meta(NamedTuple):
    """What is known of an entry without its bytes. ``modified`` is by the server's clock, in seconds since 1970."""

    n_bytes: int
    etag: str
    modified: float
    tag: str = ""


class Found(NamedTuple):
    """An entry and its bytes."""

    data: bytes
    meta: Meta


@cache
def _first_user() -> int:
    """The process that used the library first: asked in a process forked since, it's still that one."""
    return os.getpid()


class BucketClient:
    """Requests to one bucket, each tried several times. Raises `BucketFault`. Thread-safe; survives a fork."""

    def __init__(self, place: BucketPlace, settings: BucketSettings) -> None:
        self.place = place
        self.settings = settings
        self._agents: dict[int, Agent] = {}

    def create(self, name: str, data: bytes) -> str | None:
        """Put an entry if there is none: its etag, or None if there was one.

        Each try carries the same random tag, so that one whose answer was lost is known again as ours.
        """
        etag: str | None = self._request("create_here", name, data, secrets.token_hex(8))
        return etag

    def add(self, name: str, data: bytes) -> bool:
        """Put an entry that is the same whoever puts it, if there is none: False if there was one, perhaps ours."""
        return self._request("create_here", name, data, "") is not None

    def replace(self, name: str, data: bytes, etag: str) -> str | None:
        """Put an entry in the place of the one with that etag: its new etag, or None if that has changed."""
        renewed: str | None = self._request("replace_here", name, data, etag, secrets.token_hex(8))
        return renewed

    def write(self, name: str, data: bytes) -> None:
        """Put an entry, whatever was there."""
        self._request("write_here", name, data)

    def upload(self, name: str, path: str) -> None:
        """Put a file, in parts of which each is tried again by itself."""
        self._request("upload_here", name, path)

    def read(self, name: str) -> Found | None:
        """An entry and its bytes, None if there is none.

        One that was torn on its way is read again. One that was torn when it was put (by a server that keeps what broke
        off, as S3 does not) is none.
        """
        found: Found | None = self._request("read_here", name)
        return found

    def look(self, name: str) -> Meta | None:
        """What is known of an entry, None if there is none."""
        meta: Meta | None = self._request("look_here", name)
        return meta

    def download(self, name: str, path: str) -> int | None:
        """Write an entry's bytes to a new file: their number, None if there is none."""
        n_bytes: int | None = self._request("download_here", name, path)
        return n_bytes

    def fetch(self, name: str, path: str, etag: str) -> int | None:
        """Write the bytes of the entry that has this etag to a new file: their number, None if it has it no more."""
        n_bytes: int | None = self._request("fetch_here", name, path, etag)
        return n_bytes

    def entries(self, folder: str) -> list[Entry]:
        """All entries below a folder, in no order."""
        return list(self._request("entries_here", folder))

    def etags(self, folder: str) -> dict[str, tuple[str, int]]:
        """The etag and the size of each entry below a folder, by its name."""
        found: dict[str, tuple[str, int]] = self._request("etags_here", folder)
        return found

    def names(self, folder: str) -> list[str]:
        """The names of all entries below a folder, in no order."""
        return [entry.name for entry in self.entries(folder)]

    def children(self) -> tuple[list[str], list[Entry]]:
        """The names of the folders at the top, and the entries there."""
        folders, entries = self._request("children_here")
        return folders, entries

    def delete(self, name: str) -> None:
        """Remove an entry, if it is there."""
        self._request("delete_here", name)

    def delete_once(self, name: str) -> None:
        """Remove an entry, by one request alone: a second could remove what was put there since."""
        self._request("delete_once_here", name)

    def _request(self, method: str, *args: object) -> Any:
        if _first_user() == os.getpid():
            return getattr(self, method)(*args)
        agent = self._agents.get(os.getpid())
        if agent is None:
            from headrace.stores.bucket_agent import Agent

            agent = self._agents.setdefault(os.getpid(), Agent(self.place, self.settings))
        return agent.request(method, args)

    # What follows runs in the process that may use the library.

    @cached_property
    def _library(self) -> Any:
        try:
            import obstore
        except ImportError as error:
            raise StoreError(
                f"A store in a bucket ({self.place.root}) needs the package 'obstore', which isn't installed",
                hint="pip install 'headrace[s3]'",
            ) from error
        return obstore

    @cached_property
    def _bucket(self) -> Any:
        # A request is tried again here, where it's known what may be done twice.
        return self._open(0, self.settings.request_seconds)

    @cached_property
    def _bucket_for_parts(self) -> Any:
        # The library alone can try one part of an upload again.
        return self._open(self.settings.n_retries, self.settings.part_seconds)

    def _open(self, n_retries: int, request_seconds: float) -> Any:
        from headrace.core.discovery import unseen

        with unseen():  # a step that reads from its store doesn't depend on where the credentials come from
            return self._opened(n_retries, request_seconds)

    def _opened(self, n_retries: int, request_seconds: float) -> Any:
        library = self._library
        from obstore import store as kinds

        from_url: Any = kinds.from_url
        wait = self.settings
        options: dict[str, Any] = {
            "connect_timeout": timedelta(seconds=wait.connect_seconds),
            "timeout": timedelta(seconds=request_seconds),
        }
        given: dict[str, Any] = {}
        if self.place.scheme == "s3":
            given = dict(profile_settings(os.environ))
            address = endpoint(os.environ)
            if address is not None:
                given["endpoint"] = address
                options["allow_http"] = address.startswith("http://")
        retries: dict[str, Any] = {
            "max_retries": n_retries,
            "retry_timeout": timedelta(seconds=wait.retry_seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=wait.first_pause_seconds),
                "max_backoff": timedelta(seconds=_LONGEST_PAUSE_SECONDS),
            },
        }
        try:
            return from_url(self.place.root, client_options=options, retry_config=retries, **given)
        except (library.exceptions.BaseError, ValueError, OSError) as error:
            raise StoreError(
                f"The settings for the bucket {self.place.root!r} can't be used ({type(error).__name__})",
                hint="look at the environment variables AWS_… (GOOGLE_…, AZURE_…)",
            ) from None

    def _ask(self, what: Callable[[], _Result]) -> _Result:
        try:
            return what()
        except (self._library.exceptions.BaseError, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | TimeoutError | ConnectionError):
                raise
            raise fault_of(error) from None

    def _put(self, name: str, data: bytes, mode: Any, tag: str = "") -> str:
        attributes = {_TAG: tag, _DIGEST: sha256(data).hexdigest()} if tag else {_DIGEST: sha256(data).hexdigest()}
        bucket = self._bucket if len(data) <= _SMALL_BYTES else self._bucket_for_parts
        key, put = self.place.key(name), self._library.put
        result = self._ask(lambda: put(bucket, key, data, mode=mode, attributes=attributes, use_multipart=False))
        return str(result["e_tag"])

    def create_here(self, name: str, data: bytes, tag: str) -> str | None:
        """See `create`."""
        return self._put_on_condition(name, data, "create", tag)

    def replace_here(self, name: str, data: bytes, etag: str, tag: str) -> str | None:
        """See `replace`."""
        return self._put_on_condition(name, data, {"e_tag": etag}, tag)

    def _put_on_condition(self, name: str, data: bytes, mode: Any, tag: str) -> str | None:
        for pause in self._pauses():
            try:
                return self._put(name, data, mode, tag)
            except BucketFault as fault:
                if fault.kind in ("exists", "changed"):
                    if not tag:
                        return None
                    # Perhaps it's ours: a try that was carried out, though its answer never came.
                    meta = self.look_here(name)
                    return meta.etag if meta is not None and meta.tag == tag else None
                if fault.kind == "absent" and mode != "create":
                    return None
                if fault.kind not in ("conflict", "network") or pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError("the last pause is None")

    def write_here(self, name: str, data: bytes) -> None:
        """See `write`."""
        self._patiently(lambda: self._put(name, data, "overwrite"))

    def upload_here(self, name: str, path: str) -> None:
        """See `upload`."""
        n_bytes = os.stat(path).st_size  # noqa: PTH116
        if n_bytes <= _SMALLEST_PART_BYTES:
            with open(path, "rb") as file:  # noqa: PTH123
                return self.write_here(name, file.read())
        part_bytes = max(_SMALLEST_PART_BYTES, -(-n_bytes // _MOST_PARTS))
        key, bucket, put = self.place.key(name), self._bucket_for_parts, self._library.put

        def once() -> None:
            with open(path, "rb") as file:  # noqa: PTH123
                self._ask(
                    lambda: put(
                        bucket, key, file, use_multipart=True, chunk_size=part_bytes, max_concurrency=_N_AT_ONCE
                    )
                )

        return self._patiently(once)

    def _pauses(self) -> Iterator[float | None]:
        """Pauses between tries, None after the last."""
        started, pause = time.monotonic(), self.settings.first_pause_seconds
        for _ in range(self.settings.n_retries):
            if time.monotonic() - started + pause > self.settings.retry_seconds:
                break
            yield pause * random.uniform(0.5, 1.0)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        yield None

    def _patiently(self, what: Callable[[], _Result]) -> _Result:
        """Try again what may be done twice."""
        n_torn = 0
        for pause in self._pauses():
            try:
                return what()
            except BucketFault as fault:
                n_torn += fault.kind == "torn"
                if fault.kind not in ("conflict", "network", "torn") or pause is None or n_torn == _MOST_TORN:
                    raise
            time.sleep(pause)
        raise AssertionError("the last pause is None")

    def _meta(self, result: Any) -> Meta:
        meta = result.meta
        return Meta(
            meta["size"], str(meta["e_tag"]), meta["last_modified"].timestamp(), str(result.attributes.get(_TAG, ""))
        )

    def read_here(self, name: str) -> Found | None:
        """See `read`."""
        key, bucket, get = self.place.key(name), self._bucket, self._library.get

        def once() -> Found | None:
            result = self._ask(lambda: get(bucket, key))
            data = bytes(self._ask(result.bytes))
            if sha256(data).hexdigest() != result.attributes.get(_DIGEST, sha256(data).hexdigest()):
                raise BucketFault("torn", "the entry was torn when it was put, or on its way here")
            return Found(data, self._meta(result))

        return _or_none(lambda: self._patiently(once))

    def look_here(self, name: str) -> Meta | None:
        """See `look`."""
        key, bucket, get = self.place.key(name), self._bucket, self._library.get
        return _or_none(
            lambda: self._patiently(lambda: self._meta(self._ask(lambda: get(bucket, key, options={"head": True}))))
        )

    def download_here(self, name: str, path: str) -> int | None:
        """See `download`."""
        return _or_none(lambda: self._patiently(lambda: self._download(name, path)))

    def _download(self, name: str, path: str) -> int:
        key, bucket, get = self.place.key(name), self._bucket, self._library.get
        result = self._ask(lambda: get(bucket, key))
        n_bytes: int = result.meta["size"]
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123
            if n_bytes <= self.settings.part_bytes:
                file.write(self._ask(result.bytes))
                return n_bytes
            del result
            self._download_parts(key, file.fileno(), n_bytes)
        return n_bytes

    def _download_parts(self, key: str, fd: int, n_bytes: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        bucket, get_range, part_bytes = self._bucket_for_parts, self._library.get_range, self.settings.part_bytes

        def part(start: int) -> None:
            length = min(part_bytes, n_bytes - start)
            data = self._patiently(lambda: self._ask(lambda: get_range(bucket, key, start=start, length=length)))
            os.pwrite(fd, data, start)

        with ThreadPoolExecutor(_N_AT_ONCE) as pool:
            list(pool.map(part, range(0, n_bytes, part_bytes)))

    def fetch_here(self, name: str, path: str, etag: str) -> int | None:
        """See `fetch`. In parts, each of which is tried again by itself."""
        meta = self.look_here(name)
        if meta is None or meta.etag != etag:
            return None
        key, bucket, get = self.place.key(name), self._bucket_for_parts, self._library.get

        def part(start: int, file: int) -> None:
            end = min(start + self.settings.part_bytes, meta.n_bytes)
            options = {"range": (start, end), "if_match": etag}
            result = self._ask(lambda: get(bucket, key, options=options))
            if str(result.meta["e_tag"]) != etag:  # a server that knows no conditions
                raise BucketFault("changed", "the entry was changed")
            data = bytes(self._ask(result.bytes))
            if len(data) != end - start:
                raise BucketFault("torn", "the answer was cut short")
            os.pwrite(file, data, start)

        try:
            with open(path, "wb", buffering=0) as file:  # noqa: PTH123
                for start in range(0, meta.n_bytes, self.settings.part_bytes):
                    self._patiently(partial(part, start, file.fileno()))
        except BucketFault as fault:
            if fault.kind in ("absent", "changed"):
                return None
            raise
        return meta.n_bytes

    def entries_here(self, folder: str) -> list[Entry]:
        """See `entries`."""
        prefix, bucket, each = self.place.key(folder), self._bucket, self._library.list

        def once() -> list[Entry]:
            pages = each(bucket, prefix=prefix, chunk_size=_PAGE)
            return self._ask(lambda: [self._entry(meta) for page in pages for meta in page])

        return self._patiently(once)

    def etags_here(self, folder: str) -> dict[str, tuple[str, int]]:
        """See `etags`."""
        prefix, bucket, each = self.place.key(folder) or None, self._bucket, self._library.list

        def once() -> dict[str, tuple[str, int]]:
            pages = each(bucket, prefix=prefix, chunk_size=_PAGE)
            return self._ask(
                lambda: {
                    self._name(meta["path"]): (str(meta["e_tag"]), meta["size"]) for page in pages for meta in page
                }
            )

        return self._patiently(once)

    def children_here(self) -> tuple[list[str], list[Entry]]:
        """See `children`."""
        bucket, each = self._bucket, self._library.list_with_delimiter
        prefix = self.place.prefix or None
        found = self._patiently(lambda: self._ask(lambda: each(bucket, prefix)))
        return [self._name(key) for key in found["common_prefixes"]], [self._entry(meta) for meta in found["objects"]]

    def _entry(self, meta: Any) -> Entry:
        return Entry(self._name(meta["path"]), meta["size"], meta["last_modified"].timestamp())

    def _name(self, key: str) -> str:
        return key.removeprefix(f"{self.place.prefix}/") if self.place.prefix else key

    def delete_here(self, name: str) -> None:
        """See `delete`."""
        key, bucket, delete = self.place.key(name), self._bucket, self._library.delete
        _or_none(lambda: self._patiently(lambda: self._ask(lambda: delete(bucket, key))))

    def delete_once_here(self, name: str) -> None:
        """See `delete_once`."""
        key, bucket, delete = self.place.key(name), self._bucket, self._library.delete
        _or_none(lambda: self._ask(lambda: delete(bucket, key)))


def _or_none(what: Callable[[], _Result]) -> _Result | None:
    try:
        return what()
    except BucketFault as fault:
        if fault.kind in ("absent", "torn"):
            return None
        raise
