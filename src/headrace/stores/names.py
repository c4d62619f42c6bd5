"""Which names a store accepts. Nothing that passes here can lead out of the store's folder."""

from __future__ import annotations

import re

from headrace.core.errors import StoreError

OWN_FOLDERS = ("objects", "scratch", "leases", "cache", "store.json")
MOST_NAME_BYTES = 255

_PART = r"\w[\w.\-=@+,%#~()\[\]]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_RULE = (
    "a name is made of parts with '/' between, which begin with a letter, a digit or '_' "
    "and go on with these and . - = @ + , % # ~ ( ) [ ]"
)


def check_record_name(name: str) -> None:
    """Let the name of a record pass, raise `StoreError` for all others."""
    check_name(name)
    if not name.endswith(".json"):
        raise StoreError(f"The name of a record must end in '.json', but got {name!r}")


def is_record_name(name: str) -> bool:
    """Is this the name of a record? What lies in a store's folder by accident may be named otherwise."""
    try:
        check_record_name(name)
    except StoreError:
        return False
    return True


def check_stream_name(name: str) -> None:
    """Let the name of a stream pass, raise `StoreError` for all others."""
    check_name(name)
    if name.endswith(".json"):
        raise StoreError(
            f"The name of a stream must not end in '.json', but got {name!r}", hint="use '.jsonl' or '.log'"
        )


def check_name(name: str) -> None:
    """Let a path of well-formed parts pass that isn't the store's own, raise `StoreError` for all others."""
    if _NAME.fullmatch(name) is None:
        raise StoreError(f"{name!r} cannot be a name in a store", hint=_RULE)
    if ".json/" in name:
        raise StoreError(
            f"In the name {name!r} a part before the last ends in '.json'", hint="a folder is named otherwise"
        )
    if name.startswith(OWN_FOLDERS) and name.split("/", 1)[0] in OWN_FOLDERS:
        raise StoreError(f"{name!r} is a place of the store's own", hint="use another first part, such as 'runs'")
    if len(name) * 4 > MOST_NAME_BYTES and any(len(part.encode()) > MOST_NAME_BYTES for part in name.split("/")):
        raise StoreError(
            f"A part of the name {name!r} is longer than {MOST_NAME_BYTES} bytes", hint="use a shorter one"
        )


def check_digest(digest: str) -> None:
    """Let the sha256 of something pass, in lower-case hex, raise `StoreError` for all others."""
    # Letters and digits alone can't lead out of the folder. What isn't hex is simply not there.
    if len(digest) != 64 or not digest.isalnum():
        raise StoreError(f"{digest!r} is not a sha256 digest", hint="a digest has 64 characters, 0-9 and a-f")
