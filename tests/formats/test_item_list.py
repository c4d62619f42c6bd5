"""Lists whose items are stored one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from headrace.core.errors import FormatError
from headrace.formats.item_list import Items, ListFormat, manifest, read_manifest
from headrace.formats.registry import find_format, loads_as, save_artifact

FRAMES = [pl.DataFrame({"x": list(range(n))}) for n in (2, 0, 3)]


def saved(folder: Path, value: object, declared: Any) -> dict[str, Path]:
    folder.mkdir()
    assert save_artifact(value, declared, folder).name == "list"
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def test_each_item_is_stored_in_its_own_format(tmp_path: Path) -> None:
    files = saved(tmp_path / "a", FRAMES, list[pl.DataFrame])
    assert [name.split("/")[0] for name in files] == ["000000", "000001", "000002", "list.json"]
    assert json.loads(files["list.json"].read_bytes())["items"] == [0, 0, 0]
    loaded = ListFormat().load(files, list[pl.DataFrame])
    assert isinstance(loaded, list)
    assert [frame.rows() for frame in loaded] == [frame.rows() for frame in FRAMES]
    again = saved(tmp_path / "b", iter(FRAMES), Iterator[pl.DataFrame])
    assert {name: path.read_bytes() for name, path in files.items()} == {
        name: path.read_bytes() for name, path in again.items()
    }


def test_items_arrive_as_what_the_consumer_declares(tmp_path: Path) -> None:
    import pyarrow as pa

    files = saved(tmp_path / "a", FRAMES, list[pl.DataFrame])
    arrow = ListFormat().load(files, tuple[pa.Table, ...])
    assert isinstance(arrow, tuple)
    assert [type(table) for table in arrow] == [pa.Table] * 3
    folder = ListFormat().load(files, Path)
    assert isinstance(folder, Path)
    assert (folder / "list.json").is_file()
    plain = ListFormat().load(files, list)
    assert isinstance(plain, list)
    assert type(plain[0]) is pl.DataFrame


class Opened(Mapping[str, Path]):
    """Files, and which of them were asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> Path:
        self.asked.append(name.partition("/")[0])
        return self.files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@pytest.mark.parametrize("declared", [Sequence[pl.DataFrame], Iterable[pl.DataFrame], Iterator[pl.DataFrame]])
def test_an_item_is_loaded_when_it_is_asked_for(tmp_path: Path, declared: Any) -> None:
    files = Opened(saved(tmp_path / "a", FRAMES, list[pl.DataFrame]))
    loaded: Any = ListFormat().load(files, declared)
    assert set(files.asked) == {"list.json"}
    if isinstance(loaded, Items):
        assert len(loaded) == 3
        assert loaded[-1].height == 3
        assert set(files.asked) == {"list.json", "000002"}
        assert [frame.height for frame in loaded[:2]] == [2, 0]
        with pytest.raises(IndexError):
            loaded[3]
    else:
        assert next(loaded).height == 2
        assert set(files.asked) == {"list.json", "000000"}


def test_which_lists_it_stores() -> None:
    for declared in (list[np.ndarray], Sequence[pl.DataFrame], tuple[pl.DataFrame, ...], list[list[pl.DataFrame]]):
        assert find_format(declared).name == "list"
    assert find_format(list[int]).name == "json"
    for declared in (tuple[pl.DataFrame, int], set[pl.DataFrame], dict[str, pl.DataFrame], list[object()]):  # type: ignore[misc]
        with pytest.raises(FormatError):
            find_format(declared)
    assert loads_as("list", list[pl.DataFrame])
    assert not loads_as("list", pl.DataFrame)


def test_lists_of_lists_and_an_empty_one(tmp_path: Path) -> None:
    nested = [[FRAMES[0]], [], FRAMES]
    files = saved(tmp_path / "a", nested, list[list[pl.DataFrame]])
    loaded: Any = ListFormat().load(files, list[list[pl.DataFrame]])
    assert [[frame.height for frame in row] for row in loaded] == [[2], [], [2, 0, 3]]
    assert ListFormat().load(saved(tmp_path / "b", [], list[pl.DataFrame]), list[pl.DataFrame]) == []


def test_what_is_no_list_and_what_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FormatError, match=r"A list is declared, but got 3 \(int\)"):
        ListFormat().save(3, tmp_path / "a", list[pl.DataFrame])
    (tmp_path / "b").mkdir()
    with pytest.raises(FormatError, match="Item 1: "):
        ListFormat().save([FRAMES[0], 3], tmp_path / "b", list[pl.DataFrame])
    with pytest.raises(FormatError, match=r"The list 'list.json' can't be read"):
        read_manifest(b'{"kinds": [], "items": [1]}')
    with pytest.raises(FormatError, match=r"must hold 'list.json', but holds no file"):
        ListFormat().load({}, list)
    kinds = [("json", 1, "builtins.int"), ("parquet", 1, "x.Y"), ("json", 1, "builtins.int")]
    assert read_manifest(manifest(kinds)) == kinds
