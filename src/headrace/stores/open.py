"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path

from headrace.core.errors import StoreError
from headrace.stores.local import LocalStore
from headrace.stores.protocol import Store

_HINT = "give a folder, such as '.headrace', or its URL, such as 'file:///srv/headrace'"


def open_store(url: str | Path) -> Store:
    """Open the store at a folder's path or ``file://`` URL, making it if there is none.

    ``~`` stands for the home folder. Raises `StoreError` for an empty path and for any other scheme, and what opening
    the store raises.
    """
    text = str(url)
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
