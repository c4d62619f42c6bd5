"""Reading and copying an artifact's files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from headrace.core.errors import FormatError

DAMAGE_HINT = "the file is damaged, or another format's: delete the artifact and run again, to have it made again"


def only_file(files: Mapping[str, Path], name: str, format_name: str) -> Path:
    """Give the path of the one file that a format writes. Raises FormatError when it isn't there."""
    if name not in files:
        present = ", ".join(repr(found) for found in sorted(files)[:5]) or "no file"
        raise FormatError(
            f"An artifact of format {format_name!r} must hold {name!r}, but holds {present}", hint=DAMAGE_HINT
        )
    return files[name]


_DAMAGE: tuple[type[Exception], ...] = (ValueError, OSError, EOFError, KeyError, IndexError, TypeError)


@contextmanager
def reading(what: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn what a library raises on damaged bytes into a FormatError that names the file."""
    try:
        yield
    except FormatError:
        raise
    except _DAMAGE + kinds as error:
        detail = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise FormatError(f"{what} can't be read ({detail})", hint=DAMAGE_HINT) from error


def within(root: Path, relative: str) -> Path:
    """Give the path of a file of an artifact below a folder. Raises FormatError for a name that leads out of it."""
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts:
        raise FormatError(
            f"An artifact names the file {relative!r}, outside of itself",
            hint="don't use this artifact: it was tampered with",
        )
    return root / parts


def materialise(files: Mapping[str, Path], *, as_folder: bool = False) -> Path:
    """Copy an artifact's files into a new temporary folder and give its path, or that of its only file.

    The copy belongs to the caller, who may change it: the store's own objects aren't touched. It lies under
    ``tempfile.gettempdir()``, which the engine points at the worker's scratch space and empties after the step.
    """
    folder = Path(tempfile.mkdtemp(prefix="headrace-artifact-"))
    for name, source in files.items():
        target = within(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if len(files) == 1 and not as_folder:
        return folder / next(iter(files))
    return folder
