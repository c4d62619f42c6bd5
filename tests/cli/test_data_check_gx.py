"""``headrace data check`` with a suite of Great Expectations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.cli.main import main

SUITE = {
    "name": "people",
    "expectations": [
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "age", "max_value": 100},
            "severity": "info",
        },
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "age", "row_condition": "day > '2024-01-01'"},
        },
        {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": ["id", "age", "day"]}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "agee"}},
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("id,age,day\n1,36,2024-01-01\n2,,2024-01-01\n2,150,2024-02-01\n")
    Path("suite.json").write_text(json.dumps(SUITE))
    return tmp_path


def test_it_is_known_by_its_content(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("suite").write_text("\ufeff" + json.dumps(SUITE))

    assert main(["data", "check", "people.csv", "suite", "--all"]) == 1

    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:6]]
    assert lines == ["FAILED", "warning", "ok", "ok", "FAILED"]


def test_results_and_rows_set_aside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "people.csv", "suite.json", "--gx-result", "r.json", "--quarantine", "bad.csv"]) == 1

    assert capsys.readouterr().out.splitlines()[-1] == (
        "2 rows (66.667%) break a rule of severity 'error', written to bad.csv"
    )
    result = json.loads(Path("r.json").read_text())
    assert result["statistics"]["successful_expectations"] == 2
    assert result["results"][0]["result"]["partial_unexpected_index_list"] == [1, 2]
    assert Path("bad.csv").read_text().splitlines()[1].endswith("id in one row only")


def test_what_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = {"name": "odd", "expectations": [{"type": "expect_nothing", "kwargs": {}}]}
    Path("odd.json").write_text(json.dumps(odd))

    assert main(["data", "check", "people.csv", "odd.json"]) == 2
    assert "expect_nothing isn't mapped: it is no core expectation" in capsys.readouterr().err
    assert main(["data", "check", "people.csv", "none.json"]) == 2
    assert "'none.json' can't be read: No such file" in capsys.readouterr().err
    Path("checks.yaml").write_text("version: 1\nchecks: []\n")
    assert main(["data", "check", "people.csv", "checks.yaml", "--gx-result", "r.json"]) == 2
    assert "--gx-result is for a suite of Great Expectations" in capsys.readouterr().err
