"""Publish: put an artifact where others read it, outside the store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import ClassVar

from headrace.core.context import current_run
from headrace.core.errors import DataError
from headrace.core.sample import SAMPLED, SAMPLING, Sampling
from headrace.core.step import step

MARK = ".headrace-publication"
"""In a published folder: it is ours to replace."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was put where. ``digest`` is of the names and the bytes of all files."""

    __headrace_one_value__: ClassVar[bool] = True

    place: str
    digest: str
    n_files: int
    n_bytes: int


def is_published(arguments: Mapping[str, object], output: object) -> bool:
    """Say whether a place still holds what was put there, by its bytes."""
    return isinstance(output, Publication) and _look(_place(output.place), output.place) == output


@step(effect=is_published)
def publish(what: Path, *, to: str, sampling: Sampling = SAMPLING) -> Publication:
    """Copy an artifact to a place outside the store, where others read it.

    What is there already, to the last byte, isn't written again. In a pipeline the place is looked at in every run:
    what was removed or changed there since, by hand or by another run, is put there again.

    Readers see a file whole, the old one or the new. A folder is made beside and then changes places with the old one,
    so that for an instant there is none, and none is left if the process is killed in that instant: the next run puts
    it there. A kill may also leave a hidden copy, ``.NAME.*``, beside the place.

    Parameters
    ----------
    what
        Any artifact: an annotated `Path` takes it as a file or a folder.
    to
        The file or folder that it becomes, relative to the project (in a plain call to the current folder). The folder
        around it is made if absent. In a run that takes a sample of its data, ``.sampled`` is added to it.
    sampling
        What the run samples; left at its default.

    Raises
    ------
    DataError
        There is a folder at ``to`` that wasn't published, or a file where a folder is to be, or the other way round.

    Examples
    --------
    In a pipeline: ``publish(package(model, version, sample), to="/srv/models/churn")``.
    """
    to = to if sampling.sample is None else f"{to.rstrip('/')}{SAMPLED}"
    place = _place(to)
    new = _look(what, to)
    assert new is not None
    if _look(place, to) == new:
        return new
    _refuse_others(place, is_folder=what.is_dir())
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as aside:
        copy = Path(aside, "new")
        for name, path in _files(what):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy / name)
        if what.is_dir():
            copy.mkdir(exist_ok=True)
            (copy / MARK).touch()
            if place.exists():
                place.rename(Path(aside, "old"))
        copy.replace(place)
    return new


def _place(to: str) -> Path:
    run = current_run()
    return Path(run.project_root if run is not None else Path.cwd(), to)


def _look(place: Path, to: str) -> Publication | None:
    """What is in a file or a folder, None where there is none."""
    if not place.exists():
        return None
    total, n_files, n_bytes = sha256(str(place.is_dir()).encode()), 0, 0
    for name, path in _files(place):
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        total.update(f"\0{name}\0{digest}".encode())
        n_files += 1
        n_bytes += path.stat().st_size
    return Publication(to, total.hexdigest(), n_files, n_bytes)


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.is_file() and path != place / MARK:
                yield path.relative_to(place).as_posix(), path
    else:
        yield "", place


def _refuse_others(place: Path, *, is_folder: bool) -> None:
    if not place.exists():
        return
    if place.is_dir() != is_folder:
        kinds = ("folder", "file") if is_folder else ("file", "folder")
        raise DataError(
            f"A {kinds[0]} can't be published to {str(place)!r}: there is a {kinds[1]}",
            hint="give another place, or remove what is there",
        )
    if is_folder and any(place.iterdir()) and not (place / MARK).is_file():
        raise DataError(
            f"The folder {str(place)!r} wasn't published by Headrace, so it isn't replaced",
            hint="give a folder that doesn't exist yet, or an empty one",
        )
