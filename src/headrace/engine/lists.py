"""A list's artifact and those of its items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.core.artifact import Artifact, StoredFile
from headrace.formats.item_list import MANIFEST, Kind, item_folder, manifest, read_manifest

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


def items_in(artifact: Artifact, store: Store) -> Iterator[Artifact]:
    """The artifacts that a list is made of, in order."""
    files: dict[str, list[StoredFile]] = {}
    for file in artifact.files:
        folder, _, rest = file.path.partition("/")
        files.setdefault(folder, []).append(StoredFile(rest, file.digest, file.n_bytes))
    (listing,) = files.pop(MANIFEST)
    kinds = read_manifest(store.read_object(listing.digest, n_bytes=listing.n_bytes))
    for index, (format_name, version, natural) in enumerate(kinds):
        yield Artifact.of(format_name, version, files.get(item_folder(index), ()), natural)


Member = tuple[Kind, tuple[StoredFile, ...]]
"""An item's artifact, as little as there must be of each of many thousands: its kind, and its files."""


def list_of(items: Sequence[Member], store: Store) -> Artifact:
    """One artifact that names those of its items; none of their bytes is copied."""
    blob = store.add_bytes(manifest(kind for kind, _ in items))
    files = [StoredFile(MANIFEST, blob.digest, blob.n_bytes)]
    for index, (_, own) in enumerate(items):
        folder = item_folder(index)
        files.extend(StoredFile(f"{folder}/{file.path}", file.digest, file.n_bytes) for file in own)
    return Artifact.of("list", 1, files, "builtins.list")


def n_items_of(artifact: Artifact) -> int:
    """How many items a list has, from its files' names alone."""
    return len({file.path.partition("/")[0] for file in artifact.files} - {MANIFEST})
