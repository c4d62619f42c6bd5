"""Lists whose items are artifacts of their own: what a map gives, and lists of what is no JSON value."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any, get_args, overload

from headrace.core.errors import FormatError
from headrace.formats.declared import class_of, inner, is_open, is_path, members
from headrace.formats.files import materialise, only_file, reading

MANIFEST = "list.json"

Kind = tuple[str, int, str]
"""An item's format, the format's version, and its natural type."""


class ListFormat:
    """A list of tables, models, arrays, files and the like ⇄ the files of its items, each item in its own format.

    It is made by ``step.map(…)``, and for a returned ``list[T]`` where `T` has a format that isn't JSON: each item has
    a folder of its own in the artifact, and ``list.json`` says in which format it is. Where an `Iterator`, `Iterable`,
    `Collection` or `Sequence` is declared, an item is loaded when it is asked for, and not held.
    """

    name = "list"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether a list is declared of something that has a format."""
        from headrace.formats.registry import find_format

        cls = class_of(declared)
        arguments = get_args(inner(declared))
        if cls is None or not _is_list(cls) or (cls is tuple and arguments[1:] not in ((), (Ellipsis,))):
            return False
        item = item_of(declared)
        if is_open(item):
            return True
        try:
            return find_format(item) is not None
        except FormatError:
            return False

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write each item in its format. Raises FormatError when it is no list, and what an item's format raises."""
        from headrace.formats.registry import natural_type, save_artifact

        if not isinstance(value, list | tuple | Iterator):
            raise FormatError(
                f"A list is declared, but got {value!r:.80} ({type(value).__name__})", hint="return a list"
            )
        item_type, kinds = item_of(declared), []
        for index, item in enumerate(value):
            place = folder / item_folder(index)
            place.mkdir()
            try:
                chosen = save_artifact(item, item_type, place)
            except FormatError as error:
                raise FormatError(f"Item {index}: {error.message}", where=error.where, hint=error.hint) from error
            kinds.append((chosen.name, chosen.version, natural_type(item)))
        (folder / MANIFEST).write_bytes(manifest(kinds))

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Give a list, or what is declared of the kinds that load their items when these are asked for."""
        if is_path(declared):
            return materialise(files, as_folder=True)
        kinds = read_manifest(only_file(files, MANIFEST, self.name).read_bytes())
        cls, item_type = class_of(declared), item_of(declared)
        places = [f"{item_folder(index)}/" for index in range(len(kinds))]
        names: dict[str, list[str]] = {}
        for name in files:
            names.setdefault(name.partition("/")[0], []).append(name)

        def load_item(index: int) -> Any:
            from headrace.formats.registry import format_named, type_named

            format_name, _, natural = kinds[index]
            own = {name.removeprefix(places[index]): files[name] for name in names.get(item_folder(index), ())}
            kind = type_named(natural) if is_open(item_type) else item_type
            return format_named(format_name).load(own, kind)

        items = Items(len(kinds), load_item)
        if cls is tuple:
            return tuple(items)
        if cls is None or cls is list or not _is_list(cls):
            return list(items)
        return iter(items) if hasattr(cls, "__next__") else items


class Items(Sequence[Any]):
    """The items of a stored list, each loaded when it is asked for."""

    def __init__(self, n_items: int, load: Callable[[int], Any]) -> None:
        self._indices = range(n_items)
        self._load = load

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Load an item; of a slice, each when it is asked for."""
        if isinstance(index, slice):
            chosen = self._indices[index]
            return Items(len(chosen), lambda place: self._load(chosen[place]))
        return self._load(self._indices[index])

    def __repr__(self) -> str:
        return f"<{len(self)} stored items>"


def item_folder(index: int) -> str:
    """Where an item's files are in the artifact."""
    return f"{index:06d}"


def manifest(kinds: Iterable[Kind]) -> bytes:
    """The bytes of ``list.json``: the kinds that there are, and by number the one of each item."""
    known: dict[Kind, int] = {}
    items = [known.setdefault(kind, len(known)) for kind in kinds]
    return json.dumps({"kinds": [list(kind) for kind in known], "items": items}, separators=(",", ":")).encode() + b"\n"


def read_manifest(data: bytes) -> list[Kind]:
    """The kind of each item. Raises FormatError for what is no ``list.json``."""
    with reading(f"The list {MANIFEST!r}"):
        found = json.loads(data)
        kinds = [(str(name), int(version), str(natural)) for name, version, natural in found["kinds"]]
        return [kinds[number] for number in found["items"]]


def item_of(declared: object) -> Any:
    """What the items of a list declared so are declared; `Any` where that isn't said."""
    for member in members(declared):
        arguments = get_args(inner(member))
        if class_of(member) is not None and arguments:
            return arguments[0]
    return Any


_LISTS = (list, tuple, Sequence, MutableSequence, Collection, Iterable, Iterator)


def _is_list(cls: type) -> bool:
    return cls in _LISTS
