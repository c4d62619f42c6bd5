"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path

from headrace.core.errors import StoreError
from headrace.stores.local import LocalStore
from headrace.stores.marker import NoStoreError
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
    if _is_bucket(url):
        from headrace.stores.bucket import BucketStore

        return BucketStore(str(url))
    return LocalStore(_folder(url))


def find_store(url: str | Path) -> Store | None:
    """Open the store that is there, as `open_store` does; None, and nothing made, where there is none."""
    if _is_bucket(url):
        from headrace.stores.bucket import BucketStore

        try:
            return BucketStore(str(url), make=False)
        except NoStoreError:
            return None
    folder = _folder(url)
    return LocalStore(folder) if Path(folder, "store.json").is_file() else None


def _is_bucket(url: str | Path) -> bool:
    return isinstance(url, str) and "://" in url and url.partition("://")[0].lower() in _BUCKETS


def _folder(url: str | Path) -> Path:
    text = _path_of(url) if isinstance(url, str) and "://" in url else str(url)
    if not text.strip():
        raise StoreError("The store's path is empty", hint=_HINT)
    return Path(text).expanduser()


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
