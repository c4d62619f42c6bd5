"""Steps that do something outside the store: what is done already isn't done again, and what was undone is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import RunResult
from headrace.core.errors import DataError
from headrace.steps import Registry, publish

FLOW = """
from pathlib import Path
import polars as pl
from headrace import pipeline, step
from headrace.steps import Publication, Threshold, evaluate, gate, package, publish, register, train

@step
def rows(seed: int) -> pl.DataFrame:
    return pl.DataFrame({"x": [float((i * 7 + seed) % 20) for i in range(200)]}).with_columns(
        left=pl.when(pl.col("x") > 9).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )

@pipeline
def flow(to: str) -> Publication:
    data = rows(1)
    model = train(data, rows(2), target="left", positive="yes", estimator="linear")
    evaluation = evaluate(model, rows(3))
    verdict = gate(evaluation, model, rows(3), thresholds=[Threshold("auc", at_least=0.5)])
    version = register.options(when=verdict.passed)(model, evaluation, verdict, name="m")
    return publish(package(model, version, data), to=to)
"""


def outcomes(result: RunResult) -> dict[str, str]:
    return {name: str(node.outcome) for name, node in result.nodes.items() if name in ("register", "publish")}


@pytest.fixture
def run(tmp_path: Path) -> Callable[[], RunResult]:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "effects"\n')
    (tmp_path / "effects.py").write_text(FLOW)
    return lambda: headrace.run("effects.py:flow", {"to": "served/m"}, folder=tmp_path)


@pytest.mark.prove
def test_a_wiped_registry_and_a_wiped_place_are_filled_again(run: Callable[[], RunResult], tmp_path: Path) -> None:
    first = run()
    assert first.outcome == "succeeded", [node.failure for node in first.nodes.values()]
    registry, place = Registry(first.store), tmp_path / "served" / "m"
    versions = registry.versions("m")
    files = {path: path.stat().st_mtime_ns for path in sorted(place.rglob("*"))}
    assert [version.version for version in versions] == [1]
    assert place / "predict.py" in files

    assert outcomes(run()) == {"register": "cached", "publish": "cached"}
    assert registry.versions("m") == versions
    assert {path: path.stat().st_mtime_ns for path in sorted(place.rglob("*"))} == files

    for name in list(first.store.list_records("registry")):
        first.store.delete_record(name)
    shutil.rmtree(place)
    again = run()
    assert outcomes(again) == {"register": "succeeded", "publish": "succeeded"}
    assert again.nodes["register"].reason == again.nodes["publish"].reason == "its effect is not in place any more"
    assert [(v.version, v.digest) for v in registry.versions("m")] == [(1, versions[0].digest)]
    assert sorted(place.rglob("*")) == list(files)

    (place / "predict.py").write_text("changed by hand")
    assert outcomes(run()) == {"register": "cached", "publish": "succeeded"}
    assert (place / "predict.py").read_text() != "changed by hand"


def test_a_file_takes_the_place_of_the_one_before(in_folder: Path) -> None:
    Path("a").write_text("first")
    Path("b").write_text("second")
    first, second = publish(Path("a"), to="out/file.txt"), publish(Path("b"), to="out/file.txt")
    assert Path("out/file.txt").read_text() == "second"
    assert (first.place, first.n_files, first.n_bytes, second.n_bytes) == ("out/file.txt", 1, 5, 6)
    assert first.digest != second.digest
    assert [path.name for path in Path("out").iterdir()] == ["file.txt"]


def test_what_is_gone_from_a_folder_is_gone_from_its_place(in_folder: Path) -> None:
    Path("a/deep").mkdir(mode=0o700, parents=True)
    Path("a/deep/one").write_text("1")
    Path("a/deep/one").chmod(0o600)
    Path("b").mkdir()
    Path("b/two").write_text("22")
    before = os.umask(0o022)
    try:
        publish(Path("a"), to="out")
    finally:
        os.umask(before)
    assert Path("out/deep/one").read_text() == "1"
    modes = {name: Path("out", name).stat().st_mode & 0o77 for name in ("", "deep", "deep/one")}
    assert modes == {"": 0o55, "deep": 0o55, "deep/one": 0o44}
    assert publish(Path("b"), to="out").n_bytes == 2
    assert sorted(path.name for path in Path("out").rglob("*") if path.name[0] != ".") == ["two"]
    assert sorted(path.name for path in Path().iterdir()) == ["a", "b", "out"]


@pytest.mark.parametrize(
    ("make", "what", "problem"),
    [
        (lambda: Path("out").write_text("mine"), "folder", "A folder can't be published to '{}': there is a file"),
        (lambda: Path("out").mkdir(), "file", "A file can't be published to '{}': there is a folder"),
        (
            lambda: (Path("out").mkdir(), Path("out/mine").write_text("mine")),
            "folder",
            "The folder '{}' wasn't published by Headrace, so it isn't replaced",
        ),
    ],
)
def test_what_others_put_there_stays(in_folder: Path, make: Callable[[], Any], what: str, problem: str) -> None:
    Path("file").write_text("x")
    Path("folder").mkdir()
    Path("folder/x").write_text("x")
    make()
    before = sorted((path, path.is_dir() or path.read_text()) for path in Path().rglob("*"))
    with pytest.raises(DataError) as caught:
        publish(Path(what), to="out")
    assert caught.value.message == problem.format(in_folder / "out")
    assert sorted((path, path.is_dir() or path.read_text()) for path in Path().rglob("*")) == before
