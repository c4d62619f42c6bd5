"""A packaged model stands alone, and predicts what the model does."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.core.errors import DataError, StepError
from headrace.steps import Model, ModelVersion, package, packaging, train
from headrace.steps.package_files.predict import Predictor, main, read_rows

VERSION = ModelVersion("churn", 3, "ab" * 32)


@pytest.fixture(scope="module")
def folder(model: Model, others: pl.DataFrame) -> Path:
    return package(model, VERSION, others, description="Who leaves.")


def run(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(folder / "predict.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, cwd=folder, check=False)


def test_the_folder_holds_all_that_is_needed(folder: Path, model: Model) -> None:
    assert folder.name == "churn-3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "estimator.skops",
        "expected_output.csv",
        "model.json",
        "predict.py",
        "requirements.txt",
        "sample_input.csv",
    ]
    card = json.loads((folder / "model.json").read_text())
    assert (card["name"], card["version"], card["digest"]) == ("churn", 3, "ab" * 32)
    assert (card["threshold"], card["positive"]) == (model.card.threshold, "yes")
    assert [feature["name"] for feature in card["features"]] == ["age", "plan", "city", "member"]
    import sklearn

    assert f"scikit-learn=={sklearn.__version__}" in (folder / "requirements.txt").read_text().splitlines()
    readme = (folder / "README.md").read_text()
    assert "# churn, version 3" in readme and "Who leaves." in readme and "| `plan` | text | `a`, `b`, `c` |" in readme


def test_it_predicts_the_same_from_another_place(
    folder: Path, model: Model, others: pl.DataFrame, tmp_path: Path
) -> None:
    """Moved, in a fresh process, from CSV, JSON lines and a JSON array: equal to the last bit."""
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    rows = others.select("age", "plan", "city", "member")
    rows.write_csv(tmp_path / "rows.csv")
    rows.write_ndjson(tmp_path / "rows.jsonl")
    (tmp_path / "rows.json").write_text(json.dumps(rows.to_dicts()))
    expected = list(zip(model.predict(rows), model.scores(rows).tolist(), strict=True))
    done = run(moved, str(tmp_path / "rows.csv"), "--out", str(tmp_path / "out.csv"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open() as file:
        assert [(row["label"], float(row["score"])) for row in csv.DictReader(file)] == expected
    piped = run(moved, "-", stdin=(tmp_path / "rows.jsonl").read_text())
    assert piped.stdout == (tmp_path / "out.csv").read_text()
    listed = Predictor(moved).predict(read_rows((tmp_path / "rows.json").read_text()))
    assert [(row["label"], row["score"]) for row in listed] == expected


def test_every_kind_of_column_arrives_the_same() -> None:
    n = 60
    rows = pl.DataFrame(
        {
            "whole": range(n),
            "day": [date(2024, 1, 1 + i % 28) for i in range(n)],
            "moment": [datetime(2024, 1, 1, i % 24, i, 0, 123456) for i in range(n)],
            "flag": [i % 3 == 0 for i in range(n)],
            "text": [["00501", "a,b", 'q"t', "ünï"][i % 4] for i in range(n)],
            "left": [["no", "yes"][i % 2] for i in range(n)],
        }
    ).with_columns(pl.when(pl.col("whole") % 7 != 3).then(pl.exclude("left")).name.keep())
    model = train(rows, rows, target="left", positive="yes", estimator="linear")
    folder = package(model, VERSION, rows)  # which compares with a fresh process
    predictor = Predictor(folder)
    kinds = {feature["name"]: feature["kind"] for feature in predictor.card["features"]}
    assert set(kinds.values()) == {"integer", "date", "datetime", "boolean", "text"}
    assert predictor.scores(rows.to_dicts()) == model.scores(rows).tolist()


def test_what_it_says_to_wrong_rows(folder: Path) -> None:
    predictor = Predictor(folder)
    good = {"age": 30, "plan": "a", "city": "north", "member": True}
    assert predictor.predict([]) == []
    for change, message in (
        ({"age": "old"}, "Row 1: 'old' in column 'age' is no number"),
        ({"age": float("inf")}, "Row 1: inf in column 'age' is no number"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.scores([{**good, **change}])
    with pytest.raises(ValueError, match=r"Row 2 has no column 'plan'"):
        predictor.scores([good, {"age": 1}])


def test_the_command_line_says_what_is_wrong(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headrace.steps.package_files.predict.Predictor", lambda: Predictor(folder))
    (tmp_path / "bad.csv").write_text("age\n1\n")
    assert main([str(tmp_path / "bad.csv")]) == 1
    assert capsys.readouterr().err == "Row 1 has no column 'plan'\n"
    assert main([str(tmp_path / "nowhere.csv")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_another_archive_is_refused(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "tampered")
    archive = moved / "estimator.skops"
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"not the one that was packaged: its sha256 differs"):
        Predictor(moved)


def test_equal_models_give_equal_files(
    folder: Path, model: Model, others: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "_try_out", lambda folder: None)
    again = package(model, VERSION, others, description="Who leaves.")
    assert again != folder
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_nothing_is_pickled(folder: Path) -> None:
    from zipfile import ZipFile

    assert not [path for path in folder.iterdir() if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert not [name for name in ZipFile(folder / "estimator.skops").namelist() if name.endswith(".pkl")]


def test_a_package_that_predicts_something_else_is_not_given_out(
    model: Model, others: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = packaging._csv

    def dishonest(header: Any, rows: Any) -> str:
        text = honest(header, rows)
        return text.replace("0.", "1.", 1) if "score" in header else text

    monkeypatch.setattr(packaging, "_csv", dishonest)
    with pytest.raises(StepError, match=r"The packaged model predicts '.*' where the model predicts '.*'"):
        package(model, VERSION, others)


def test_what_is_refused(model: Model, others: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"The sample has no row"):
        package(model, VERSION, others.clear())
    with pytest.raises(DataError, match=r"The model takes column 'age', which the table doesn't have"):
        package(model, VERSION, others.drop("age"))
