"""Between the store and a step: its arguments out of artifacts, and artifacts out of what it returned."""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from headrace.core.artifact import Artifact, StoredFile
from headrace.core.errors import DamagedObjectError, DefinitionError, FormatError
from headrace.core.fit import MISSING
from headrace.core.forms import TAG
from headrace.core.names import find_named
from headrace.core.values import Json, decode
from headrace.stores.protocol import StoredBlob
from headrace.stores.trouble import explain, is_of_the_disk

if TYPE_CHECKING:
    from headrace.stores.protocol import Store

_DIGEST = re.compile(r"[0-9a-f]{64}")


def load_arguments(
    trees: Mapping[str, Json], signature: inspect.Signature, hints: Mapping[str, Any], loader: Loader
) -> tuple[list[Any], dict[str, Any]]:
    """Make a function's positional and named arguments."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        value = loader.load(trees[name], hints.get(name, MISSING))
        if parameter.kind is parameter.VAR_POSITIONAL:
            args.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.kind is parameter.POSITIONAL_ONLY or parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            args.append(value)
        else:
            kwargs[name] = value
    return args, kwargs


class Loader:
    """Makes arguments from trees: plain values by the codec, artifacts by their formats and the declared types."""

    def __init__(self, inputs: Mapping[str, Json], store: Store, root: Path, scratch: Scratch) -> None:
        self._inputs = inputs
        self._store = store
        self._root = root
        self._scratch = scratch

    def load(self, tree: Json, declared: Any) -> Any:
        """Make one value."""
        if isinstance(tree, list):
            parts = _args_of(declared)
            return [self.load(item, parts[0] if parts else MISSING) for item in tree]
        if not isinstance(tree, dict):
            return tree
        kind = tree.get(TAG)
        if kind == "ref":
            return self._load_artifact(tree, declared)
        if kind == "item":
            from headrace.formats.json_value import JsonFormat

            return JsonFormat().value_of(tree["value"], declared)
        if kind == "path":
            return Path(self._root, tree["value"])
        if kind is None:
            parts = _args_of(declared)
            return {key: self.load(item, parts[1] if len(parts) == 2 else MISSING) for key, item in tree.items()}
        if kind == "tuple":
            return tuple(self._load_items(tree["items"], _args_of(declared)))
        if kind in ("namedtuple", "dataclass"):
            return self._load_fields(tree)
        if kind == "rows":
            return self._load_rows(tree)
        return decode(tree, lambda inner: self.load(inner, MISSING))

    def _load_items(self, items: list[Json], parts: tuple[Any, ...]) -> Iterator[Any]:
        for index, item in enumerate(items):
            if len(parts) == 2 and parts[1] is Ellipsis:
                yield self.load(item, parts[0])
            else:
                yield self.load(item, parts[index] if index < len(parts) else MISSING)

    def _load_rows(self, tree: Json) -> list[Any]:
        """What a mapped step gave with several outputs: of each output a list, and of all together rows."""
        kind: Any = find_named(tree["type"])
        hints = get_type_hints(kind, include_extras=True)
        columns = {name: self.load(item, list[hints.get(name, Any)]) for name, item in tree["fields"].items()}  # type: ignore[misc]
        return [kind(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def _load_fields(self, tree: Json) -> Any:
        kind: Any = find_named(tree["type"])
        hints = get_type_hints(kind, include_extras=True)
        values = {name: self.load(item, hints.get(name, MISSING)) for name, item in tree["fields"].items()}
        if not is_dataclass(kind):
            return kind(**values)
        value: Any = object.__new__(kind)  # type: ignore[arg-type]
        for name, item in values.items():
            object.__setattr__(value, name, item)
        return value

    def _load_artifact(self, tree: Json, declared: Any) -> Any:
        from headrace.formats.declared import is_path

        artifact = Artifact.from_json(self._inputs[f"{tree['node']}/{tree['output']}"])
        is_list_of_paths = artifact.format == "list" and is_path(_item_of(declared))
        if not is_list_of_paths and not is_path(declared):
            return load_artifact(artifact, declared, self._store)
        with temporary_files_in(self._scratch.folder()):
            value = load_artifact(artifact, declared, self._store)
            return _all_at_once(value) if is_list_of_paths else value


def _args_of(declared: Any) -> tuple[Any, ...]:
    """What a container is declared to hold; of a union what its first member says that does."""
    from headrace.formats.declared import members

    return next((get_args(member) for member in members(declared) if get_args(member)), ())


def _item_of(declared: Any) -> Any:
    from headrace.formats.item_list import item_of

    return item_of(declared)


def _all_at_once(value: Any) -> Any:
    """A list of files that are all there, in place of what loads each when it is asked for."""
    return iter(list(value)) if hasattr(value, "__next__") else list(value)


class Scratch:
    """An attempt's folder in the store's scratch space for the files that its arguments are: made when asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stack = ExitStack()
        self._folder: Path | None = None

    def folder(self) -> Path:
        """The folder. What is in it goes when the attempt ends."""
        if self._folder is None:
            self._folder = self._stack.enter_context(self._store.scratch())
        return self._folder

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Have `tempfile` make what it makes in a folder."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def load_artifact(artifact: Artifact, declared: Any, store: Store) -> Any:
    """Load an artifact as the declared type, or as the type that it was where nothing is declared."""
    from headrace.formats.registry import format_named, type_named

    if declared in (MISSING, Any, object):
        declared = type_named(artifact.type)
    files = StoredFiles(artifact, store)
    paths: Mapping[str, Path] = files if artifact.format == "list" else dict(files)
    return format_named(artifact.format).load(paths, declared)


class StoredFiles(Mapping[str, Path]):
    """An artifact's files by name. Each is opened, and checked, when it is asked for."""

    def __init__(self, artifact: Artifact, store: Store) -> None:
        self._files = {file.path: file for file in artifact.files}
        self._store = store

    def __getitem__(self, name: str) -> Path:
        file = self._files[name]
        return self._store.open_object(file.digest, n_bytes=file.n_bytes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def save_outputs(step: Mapping[str, Any], declared: Any, value: Any, store: Store) -> dict[str, Artifact]:
    """Store what a step returned, an artifact an output."""
    saved: dict[str, Artifact] = {}
    for spec, part, part_type in _parts(step, declared, value):
        named = spec["format"] if spec["is_named"] or spec["format"] == "json" else None
        try:
            saved[spec["name"]] = save_value(part, part_type, store, named)
        except FormatError as error:
            raise FormatError(
                f"Output {spec['name']!r} of step {step['name']!r}: {error.message}", where=error.where, hint=error.hint
            ) from error
        except OSError as error:
            if not is_of_the_disk(error):
                raise
            place = str(error.filename2 or error.filename or "")
            raise explain(error, f"save output {spec['name']!r}", place) from error
    return saved


def save_value(value: Any, declared: Any, store: Store, format_name: str | None = None) -> Artifact:
    """Store a value, in the format of that name or in the one that its declared type and it decide."""
    from headrace.formats.registry import natural_type, save_artifact

    if format_name == "json":
        return _save_packed(value, declared, store)
    with store.scratch() as folder:
        chosen = save_artifact(value, declared, folder, format_name)
        stored = []
        for path in [path for path in sorted(folder.rglob("*")) if not path.is_dir()]:
            blob = _known_object(path, store) or store.add_file(_own_file(path))
            stored.append(StoredFile(path.relative_to(folder).as_posix(), blob.digest, blob.n_bytes))
    return Artifact.of(chosen.name, chosen.version, stored, natural_type(value))


def _known_object(path: Path, store: Store) -> StoredBlob | None:
    """The object that a link leads to or stands for, where the store holds it: it isn't read or stored again."""
    if not path.is_symlink():
        return None
    target = path.readlink()
    digest = target.name
    if not _DIGEST.fullmatch(digest):
        return None
    n_bytes = store.object_size(digest)
    if n_bytes is None:
        return None
    # One that was opened for the step is at a place of the store's, and was checked then.
    is_ours = not target.is_absolute() or (n_bytes == target.stat().st_size and store.open_object(digest) == target)
    return StoredBlob(digest, n_bytes) if is_ours else None


def _own_file(path: Path) -> Path:
    """The file itself, in place of a link to one that the store doesn't hold."""
    if path.is_symlink():
        target = path.readlink()
        if not target.is_absolute():
            raise DamagedObjectError(target.name, "absent")
        path.unlink()
        shutil.copyfile(target, path)
    return path


def _save_packed(value: Any, declared: Any, store: Store) -> Artifact:
    """Store a small value without writing files aside."""
    from headrace.formats.json_value import JsonFormat
    from headrace.formats.registry import natural_type

    chosen = JsonFormat()
    stored = []
    for name, data in chosen.pack(value, declared).items():
        blob = store.add_bytes(data)
        stored.append(StoredFile(name, blob.digest, blob.n_bytes))
    return Artifact.of(chosen.name, chosen.version, stored, natural_type(value))


def _parts(step: Mapping[str, Any], declared: Any, value: Any) -> Iterator[tuple[Mapping[str, Any], Any, Any]]:
    """The outputs one by one: their specs, values and declared types."""
    specs = step["outputs"]
    returns = step["returns"]
    if returns == "nothing":
        if value is not None:
            raise DefinitionError(
                f"Step {step['name']!r} returned {type(value).__name__}, but is annotated `-> None`",
                where=f"{step['file']}:{step['line']}",
                hint="annotate what it returns",
            )
        return
    if returns == "value":
        yield specs[0], value, declared
    elif returns == "tuple":
        if not isinstance(value, tuple) or len(value) != len(specs):
            raise DefinitionError(
                f"Step {step['name']!r} must return a tuple of {len(specs)}, but returned {value!r:.80}",
                where=f"{step['file']}:{step['line']}",
            )
        yield from zip(specs, value, get_args(declared), strict=True)
    else:
        kind = get_origin(declared) or declared
        if not isinstance(value, kind):
            raise DefinitionError(
                f"Step {step['name']!r} must return {kind.__qualname__}, but returned {type(value).__qualname__}",
                where=f"{step['file']}:{step['line']}",
            )
        hints = get_type_hints(kind, include_extras=True)
        names = list(getattr(kind, "_fields", ())) or [item.name for item in fields(kind)]
        for spec, name in zip(specs, names, strict=True):
            yield spec, getattr(value, name), hints.get(name, MISSING)
