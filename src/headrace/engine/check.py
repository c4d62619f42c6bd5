"""Look a whole store over: is each object what its digest says, and is all there that the records name?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DamagedObjectError, StoreError
from headrace.stores.names import is_record_name

if TYPE_CHECKING:
    from headrace.stores.protocol import Entry, Store

Kind = Literal["object", "result", "run", "model", "record", "leftover"]

OLD_SECONDS = 86400.0
"""What was left behind is told of when it's older: before, its writer may be at work elsewhere."""

_TELL_EVERY = 200
_RUN_OBJECTS = ("plan", "codes")


@dataclass(frozen=True)
class Finding:
    """Something that isn't right.

    ``kind`` is what it's about: an ``object`` that is damaged, a ``result`` or the record of a ``run`` or a ``model``
    that can't be read or names what is gone, any other ``record`` that can't be read, a ``leftover``. ``name`` is where
    it is in the store, ``hint`` what to do. What ``is_serious`` can't be made again by running.
    """

    kind: Kind
    name: str
    problem: str
    hint: str
    is_serious: bool = False
    is_repaired: bool = False


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found."""

    n_objects: int
    n_bytes: int
    n_records: int
    findings: Sequence[Finding]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong that isn't repaired: what was left behind takes space alone."""
        return all(finding.is_repaired or finding.kind == "leftover" for finding in self.findings)


def check_store(store: Store, *, repair: bool = False, tell: Callable[[str], None] = lambda text: None) -> Checked:
    """Read every object and every record of a store.

    It may be in use meanwhile: what is written or removed while it's looked at is no finding. With ``repair``, damaged
    objects and results that can't be used are removed, so that they're made again when they're needed; nothing else is.
    """
    objects = sorted(entry for entry in store.list_entries("objects") if len(entry.name.rpartition("/")[2]) == 64)
    with ThreadPoolExecutor(store.n_at_once, thread_name_prefix="headrace-check") as pool:
        findings = list(_found(pool.map(lambda entry: _object(store, entry, repair), objects), len(objects), tell))
        damaged = {finding.name.rpartition("/")[2] for finding in findings}
        sizes = {e.name.rpartition("/")[2]: e.n_bytes for e in objects if e.name.rpartition("/")[2] not in damaged}
        records = sorted(e for e in store.list_entries() if e.name.endswith(".json") and is_record_name(e.name))
        tell(f"{len(records)} records")
        findings += filter(None, pool.map(lambda entry: _record(store, entry, sizes, repair), records))
    findings += _leftovers(store)
    return Checked(len(objects), sum(entry.n_bytes for entry in objects), len(records), findings)


def _found(checked: Iterable[Finding | None], n_objects: int, tell: Callable[[str], None]) -> Iterator[Finding]:
    for number, finding in enumerate(checked):
        if number % _TELL_EVERY == 0:
            tell(f"{number} of {n_objects} objects")
        if finding is not None:
            yield finding


def _object(store: Store, entry: Entry, repair: bool) -> Finding | None:
    digest = entry.name.rpartition("/")[2]
    try:
        store.check_object(digest)
    except DamagedObjectError as error:
        if store.object_size(digest) is None:
            return None  # removed meanwhile
        if repair:
            store.drop_object(digest)
        hint = "it's removed, and made again when it's needed" if repair else "headrace store check --repair removes it"
        return Finding("object", entry.name, error.problem, hint, is_repaired=repair)
    except StoreError as error:
        return Finding("object", entry.name, error.message, error.hint or "", is_serious=True)
    return None


def _record(store: Store, entry: Entry, sizes: dict[str, int], repair: bool) -> Finding | None:
    text = store.read_record(entry.name)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except ValueError:
        return _judged(store, entry, "can't be read: it's no JSON", repair)
    gone = [digest for digest, n_bytes in objects_of(content) if not _is_there(store, digest, n_bytes, sizes)]
    if not gone or store.read_record(entry.name) is None:
        return None
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return _judged(store, entry, f"names object {gone[0][:12]}{more}, which is gone or damaged", repair)


def objects_of(content: Any) -> Iterator[tuple[str, int | None]]:
    """The objects that a record names, and their sizes where it says them: artifacts' files, a run's plan and code."""
    waiting = [content]
    if isinstance(content, dict) and "pipeline" in content:
        yield from ((content[name], None) for name in _RUN_OBJECTS if isinstance(content.get(name), str))
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for name, value in item.items():
                if name == "files" and isinstance(value, list) and all(map(_is_file, value)):
                    yield from ((digest, n_bytes) for _, digest, n_bytes in value)
                else:
                    waiting.append(value)


def _is_file(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[1], str) and isinstance(value[2], int)


def _is_there(store: Store, digest: str, n_bytes: int | None, sizes: dict[str, int]) -> bool:
    size = sizes.get(digest)
    if size is None:
        size = store.object_size(digest) if len(digest) == 64 and digest.isalnum() else None
        if size is not None:
            try:
                store.check_object(digest)  # added since the objects were listed, or found damaged
            except DamagedObjectError:
                return False
    return size is not None and n_bytes in (None, size)


def _judged(store: Store, entry: Entry, problem: str, repair: bool) -> Finding:
    """What is wrong with a record, and what to do."""
    first = entry.name.partition("/")[0]
    if first in ("actions", "checkpoints"):
        if repair:
            store.delete_record(entry.name)
        hint = (
            "it's removed, and made again when it's needed" if repair else "run again: it's made again when it's needed"
        )
        return Finding("result", entry.name, problem, hint, is_repaired=repair)
    if first == "registry":
        hint = "run the pipeline that made the model again, or take the record and its objects from a backup"
        return Finding("model", entry.name, problem, hint, is_serious=True)
    if first == "runs":
        hint = "the run's outputs can't all be shown any more; run its pipeline again, and nothing else is lost"
        return Finding("run", entry.name, problem, hint)
    return Finding("record", entry.name, problem, "take it from a backup, or delete it", is_serious=True)


def _leftovers(store: Store) -> Iterator[Finding]:
    oldest = store.clock() - OLD_SECONDS
    for entry in store.list_leftovers():
        if entry.changed < oldest and not entry.name.startswith("cache/"):
            days = (store.clock() - entry.changed) / 86400
            problem = f"{entry.n_bytes} bytes were left behind {days:.0f} days ago"
            yield Finding("leftover", entry.name, problem, "headrace store gc removes it")
