from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace.formats.files import materialise
from headrace.formats.path import PathFormat
from headrace.testing.formats import FormatContract, digests_of, format_error, stored


def a_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "empty" / "inner").mkdir(parents=True)
    (folder / "z.txt").write_text("z")
    (folder / "a" / "b" / "é f").write_bytes(b"\x00")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def a_file(name: str = "model.onnx", data: bytes = b"model") -> Path:
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(data)
    return path


def tree_of(path: Path) -> list[tuple[str, bytes | None, bool]]:
    if path.is_file():
        return [(path.name, path.read_bytes(), os.access(path, os.X_OK))]
    return sorted(
        (found.relative_to(path).as_posix(), found.read_bytes(), os.access(found, os.X_OK))
        if found.is_file()
        else (found.relative_to(path).as_posix(), None, False)
        for found in path.rglob("*")
    )


class TestPathContract(FormatContract):
    format = PathFormat()
    wrong = ("model.onnx", Path, "A path is declared, but got 'model.onnx' (str)")

    @classmethod
    def examples(cls) -> list[tuple[object, object]]:
        return [
            (a_folder(), Path),
            (a_file(), Path),
            (a_file("no extension", b""), Path),
            (Path(tempfile.mkdtemp()), Path),
        ]

    def equal(self, one: Path, other: Path) -> bool:
        return tree_of(one) == tree_of(other)

    def checked_files(self, names: Sequence[str]) -> list[str]:
        return ["path.json"]


def load(files: Any) -> Path:
    loaded = PathFormat().load(files, Path)
    assert isinstance(loaded, Path)
    return loaded


def test_a_file_keeps_its_name_and_a_folder_does_not() -> None:
    with stored(PathFormat(), a_file("weights.bin"), Path) as files:
        assert load(files).name == "weights.bin"
        assert sorted(files) == ["content/weights.bin", "path.json"]
    folder = a_folder()
    other = folder.rename(folder.with_name(f"{folder.name}-renamed"))
    assert digests_of(PathFormat(), a_folder(), Path) == digests_of(PathFormat(), other, Path)


def test_each_load_gives_a_copy_of_its_own() -> None:
    with stored(PathFormat(), a_folder(), Path) as files:
        one, other = load(files), load(files)
    (one / "z.txt").write_text("changed")
    assert (other / "z.txt").read_text() == "z"


def test_a_file_that_was_read_only_arrives_to_be_changed() -> None:
    path = a_file()
    path.chmod(0o400)
    with stored(PathFormat(), path, Path) as files:
        assert load(files).stat().st_mode & 0o200


def test_a_link_to_a_file_is_stored_as_the_file() -> None:
    folder = a_folder()
    (folder / "link").symlink_to(a_file(data=b"linked"))
    with stored(PathFormat(), folder, Path) as files:
        link = load(files) / "link"
    assert not link.is_symlink()
    assert link.read_bytes() == b"linked"


@pytest.mark.parametrize(("target", "kind"), [("..", "a link to a folder"), ("nowhere", "a link to nothing")])
def test_other_links_are_refused(target: str, kind: str, tmp_path: Path) -> None:
    folder = a_folder()
    (folder / "link").symlink_to(target)
    error = format_error(lambda: PathFormat().save(folder, tmp_path, Path))
    assert error.message == f"The folder to store holds {str(folder / 'link')!r}, which is {kind}"
    assert error.hint == "copy what the link points to into the folder"


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    folder = a_folder()
    os.mkfifo(folder / "pipe")
    error = format_error(lambda: PathFormat().save(folder, tmp_path, Path))
    assert error.message.endswith("'pipe'".strip("'") + "', which is neither file nor folder")


def test_a_path_to_nothing_is_refused(tmp_path: Path) -> None:
    error = format_error(lambda: PathFormat().save(tmp_path / "gone", tmp_path, Path))
    assert error.message == f"The path {str(tmp_path / 'gone')!r} is declared as output, but isn't a file or folder"
    assert error.hint == "write it before returning it"


def test_a_manifest_that_leads_outside_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest"
    manifest.write_text('{"kind": "folder", "executable": [], "empty_folders": ["../outside"]}')
    error = format_error(lambda: PathFormat().load({"path.json": manifest}, Path))
    assert error.message == "An artifact names the file '../outside', outside of itself"


def test_a_file_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for name in ("../x", "/x", "a/../../x"):
        error = format_error(partial(materialise, {name: tmp_path / "x", "b": tmp_path / "x"}))
        assert error.message == f"An artifact names the file {name!r}, outside of itself"
        assert error.hint == "don't use this artifact: it was tampered with"
