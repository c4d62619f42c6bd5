"""A file or folder that a step made."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import FormatError
from headrace.formats.declared import is_path
from headrace.formats.files import materialise, only_file, reading, within

MANIFEST = "path.json"
CONTENT = "content"


class PathFormat:
    """A file or folder ⇄ its content and a small manifest.

    A file keeps its name; a folder doesn't keep its own (it is mostly a temporary one) but those within it. Empty
    folders and the bit that lets the owner execute a file are kept; other modes, owners and times aren't. A link to a
    file is stored as the file; a link to a folder, a link to nothing and anything that is neither file nor folder are
    refused.

    It arrives as a copy in a new temporary folder, which the step may change without harming the store.
    """

    name = "path"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether a path is declared."""
        return is_path(declared)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Copy the file or folder. Raises FormatError when it isn't there."""
        if not isinstance(value, Path):
            raise FormatError(
                f"A path is declared, but got {value!r} ({type(value).__name__})", hint="return a pathlib.Path"
            )
        source = value.resolve()
        if source.is_file():
            manifest = {"kind": "file", "name": value.name, **_save_tree([(value.name, source)], folder)}
        elif source.is_dir():
            manifest = {"kind": "folder", **_save_tree(_tree(source), folder)}
        else:
            raise FormatError(
                f"The path {str(value)!r} is declared as output, but isn't a file or folder",
                hint="write it before returning it",
            )
        (folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))

    def load(self, files: Mapping[str, Path], declared: object) -> Path:
        """Give a path to a copy."""
        with reading(f"The manifest {MANIFEST!r} of a path"):
            manifest: dict[str, Any] = json.loads(only_file(files, MANIFEST, self.name).read_bytes())
            kind, executable, empty = manifest["kind"], manifest["executable"], manifest["empty_folders"]
            name = manifest["name"] if kind == "file" else None
        prefix = f"{CONTENT}/"
        content = {path.removeprefix(prefix): source for path, source in files.items() if path.startswith(prefix)}
        if name is not None:
            only_file(content, name, self.name)
        root = materialise(content, as_folder=True)
        for relative in empty:
            within(root, relative).mkdir(parents=True, exist_ok=True)
        for relative in executable:
            target = within(root, relative)
            target.chmod(target.stat().st_mode | stat.S_IXUSR)
        return root / name if name is not None else root


def _tree(root: Path) -> Iterator[tuple[str, Path]]:
    """Give every file below a folder, and every empty folder, by its posix path relative to it, sorted."""
    waiting = [root]
    found: list[tuple[str, Path]] = []
    while waiting:
        folder = waiting.pop()
        entries = list(folder.iterdir())
        if not entries and folder != root:
            found.append((folder.relative_to(root).as_posix(), folder))
        for entry in entries:
            _refuse_odd(entry)
            if entry.is_dir():
                waiting.append(entry)
            else:
                found.append((entry.relative_to(root).as_posix(), entry))
    yield from sorted(found)


def _refuse_odd(entry: Path) -> None:
    if entry.is_symlink() and not entry.is_file():
        kind = "a link to a folder" if entry.is_dir() else "a link to nothing"
        raise FormatError(
            f"The folder to store holds {str(entry)!r}, which is {kind}",
            hint="copy what the link points to into the folder",
        )
    if not entry.is_file() and not entry.is_dir():
        raise FormatError(
            f"The folder to store holds {str(entry)!r}, which is neither file nor folder",
            hint="remove it before returning the folder",
        )


def _save_tree(entries: Iterator[tuple[str, Path]] | list[tuple[str, Path]], folder: Path) -> dict[str, list[str]]:
    executable: list[str] = []
    empty: list[str] = []
    for relative, source in entries:
        if source.is_dir():
            empty.append(relative)
            continue
        target = folder / CONTENT / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if source.stat().st_mode & stat.S_IXUSR:
            executable.append(relative)
    return {"executable": executable, "empty_folders": empty}


def scratch_folder() -> Path:
    """Make a new temporary folder for a step that writes files; the engine empties its scratch space after it."""
    return Path(tempfile.mkdtemp(prefix="headrace-output-"))
