"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path

from headrace.core.errors import StoreError
from headrace.stores.local import LocalStore
from headrace.stores.protocol import Store

_HINT = (
    "give a folder, such as '.headrace', its URL, such as 'file:///srv/headrace', or a bucket, as 's3://bucket/team'"
)
_BUCKETS = ("s3", "gs", "az")


def open_store(url: str | Path) -> Store:
    """Open the store at a folder's path or ``file://`` URL, or in a bucket (``s3://``), making it if there is none.

    ``~`` stands for the home folder. ``gs://`` and ``az://`` go the way of ``s3://`` and are untested. Raises
    `StoreError` for an empty path and for any other scheme, and what opening the store raises.
    """
    text = str(url)
    if isinstance(url, str) and url.partition("://")[0].lower() in _BUCKETS and "://" in url:
        from headrace.stores.bucket import BucketStore

        return BucketStore(url)
    if isinstance(url, str) and "://" in url:
        text = _path_of(url)
    if not text.strip():
        raise StoreError("The store's path is empty", hint=_HINT)
    return LocalStore(Path(text).expanduser())


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    scheme, _, rest = url.partition("://")
    if scheme.lower() != "file":
        # The rest of the URL isn't shown: it may hold a password.
        raise StoreError(f"A store can't be opened by a URL of the scheme {scheme!r}", hint=_HINT)
    host = urlsplit(url).netloc
    if host not in ("", "localhost"):
        raise StoreError(f"A 'file' URL names a folder of this machine, but got the host {host!r}", hint=_HINT)
    return unquote(rest.removeprefix(host))
