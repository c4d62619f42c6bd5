"""Is a store whole? What holds after any kill: each object is what its digest says, each record can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from headrace.core.errors import StoreError
from headrace.stores.local import LocalStore
from headrace.stores.names import OWN_FOLDERS
from headrace.stores.protocol import Store

_OBJECT = re.compile(r"objects/([0-9a-f]{2})/\1[0-9a-f]{62}")
_MOST_SHOWN = 20


class WholeStore(NamedTuple):
    """What a whole store holds."""

    n_objects: int
    n_records: int


def check_whole(store: Store) -> WholeStore:
    """Read everything in a store that nobody writes to meanwhile, and raise ``AssertionError`` if any isn't right.

    Each object must have the digest of its name, and each record must be JSON. A `LocalStore` must hold no file besides
    those that its layout names; what processes that live on are writing aside doesn't count.
    """
    objects = list(store.list_objects())
    records = list(store.list_records())
    findings = [*_bad_objects(store, objects), *_bad_records(store, records)]
    if isinstance(store, LocalStore):
        # Opening sweeps what the dead left: what stays after that would stay for good.
        again = LocalStore(store.root)
        again.recover()
        findings += _strays(again.root)
    if findings:
        shown = "\n".join(findings[:_MOST_SHOWN])
        raise AssertionError(f"The store at {store.url} isn't whole, {len(findings)} findings:\n{shown}")
    return WholeStore(len(objects), len(records))


def _bad_objects(store: Store, digests: list[str]) -> Iterator[str]:
    for digest in digests:
        try:
            data = store.read_object(digest)
        except StoreError as error:
            yield str(error)
        else:
            if sha256(data).hexdigest() != digest:
                yield f"object {digest} was read, and holds other bytes"


def _bad_records(store: Store, names: list[str]) -> Iterator[str]:
    for name in names:
        data = store.read_record(name)
        try:
            json.loads(data or b"")
        except ValueError as error:
            yield f"record {name!r} is no JSON: {error}"


def _strays(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        first = name.split("/", 1)[0]
        if path.is_dir() or first in ("leases", "cache", "store.json") or name == ".gitignore":
            continue
        if first == "objects" and not _OBJECT.fullmatch(name):
            yield f"{name!r} is no object's name"
        elif first == "scratch":
            yield f"{name!r} was left by a process that is gone, or is being written"
        elif first not in OWN_FOLDERS and path.name.startswith("."):
            yield f"{name!r} is hidden among the records"
