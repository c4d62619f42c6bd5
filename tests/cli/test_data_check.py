"""``headrace data suite`` and ``headrace data check``, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.cli.main import main
from headrace.formats.table import Table
from headrace.steps.profiling import profile
from headrace.steps.suite_inference import proposed, that_hold
from headrace.steps.suites import Suite
from headrace.steps.validation.looking import look


def people(n: int = 200) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"P{i:04}" for i in range(n)],
            "age": [18 + i % 60 if i % 11 else None for i in range(n)],
            "fee": [i * 0.37 - 5 for i in range(n)],
            "plan": [["basic", "plus", "pro"][i % 3] for i in range(n)],
            "note": [f"note {i * 7919}" if i % 2 else None for i in range(n)],
            "day": pl.Series([i * 3 + 19000 for i in range(n)]).cast(pl.Date),
            "flag": [i % 2 == 0 for i in range(n)],
            "left": [i % 2 for i in range(n)],
            "empty": pl.Series([None] * n, dtype=pl.String),
            "far": [float("inf") if i == 3 else float(i) for i in range(n)],
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    people().write_parquet("people.parquet")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["data", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_suite_that_was_written_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "suite", "people.parquet", "-o", "suite.yaml")
    assert (code, out) == (0, f"wrote suite.yaml: {len(Suite.load(Path('suite.yaml')).checks)} checks\n")
    text = Path("suite.yaml").read_text()
    assert "  # 18 to 77 here: a tenth of that more on each side\n  - check: InRange\n    column: age\n" in text
    assert "    values: [basic, plus, pro]\n" in text
    assert "  - check: Unique\n    key: [id]\n" in text
    code, out, _ = said(capsys, "check", "people.parquet", "suite.yaml")
    assert (code, out.splitlines()[-1]) == (
        0,
        f"people.parquet: 200 rows, {len(text.split('- check:')) - 1} checks: all hold",
    )
    code, _, err = said(capsys, "suite", "people.parquet", "-o", "suite.yaml")
    assert code == 2
    assert "'suite.yaml' is there already" in err


def test_what_breaks_is_told_and_set_aside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "suite", "people.parquet", "-o", "suite.yaml"])
    frame = people().with_columns(
        plan=pl.Series(["gold" if i in (7, 150) else p for i, p in enumerate(people()["plan"])]),
        id=pl.Series(["P0000" if i == 9 else p for i, p in enumerate(people()["id"])]),
    )
    frame.write_csv("new.csv")
    capsys.readouterr()
    code, out, _ = said(capsys, "check", "new.csv", "suite.yaml", "--quarantine", "bad/aside.parquet")
    assert code == 1
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:3]] == ["FAILED", "FAILED"]
    assert "plan one of basic, plus, pro" in out
    assert "7: 'gold'; 150: 'gold'" in out
    assert "3 rows (1.500%) break a rule of severity 'error', written to bad/aside.parquet" in lines[-1]
    aside = pl.read_parquet("bad/aside.parquet")
    assert aside["id"].to_list() == ["P0007", "P0000", "P0150"]
    assert aside["reason"].to_list() == ["plan one of basic, plus, pro", "id unique", "plan one of basic, plus, pro"]
    code, out, _ = said(capsys, "check", "new.csv", "suite.yaml", "--json")
    told = json.loads(out)
    assert (code, told["passed"], told["n_rows"], told["n_good"], told["n_bad"]) == (1, False, 200, 197, 3)
    assert [check["rows"] for check in told["checks"] if not check["passed"] and check["rows"]] == [[9], [7, 150]]


def test_a_suite_in_python_and_another_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("checks.py").write_text("""\
from headrace.steps.checks import ForeignKey, NotMissing
from limits import COLUMN
CHECKS = [ForeignKey("plan", "plans", "name"), NotMissing(COLUMN, severity="warn")]
""")
    Path("limits.py").write_text('COLUMN = "age"\n')
    Path("plans.csv").write_text("name\nbasic\nplus\n")
    code, out, _ = said(capsys, "check", "people.parquet", "checks.py:CHECKS", "--table", "plans=plans.csv")
    assert code == 1
    assert "FAILED   plan stands in plans.name  134 of 200 rows" in out
    assert "warning  age is there" in out
    Path("suite.yaml").write_text(
        "tables: {plans: plans.csv}\nchecks:\n- {check: ForeignKey, column: plan, table: plans, to: name}\n"
    )
    assert said(capsys, "check", "people.parquet", "suite.yaml")[0] == 1
    code, _, err = said(capsys, "check", "people.parquet", "checks.py:CHECK")
    assert (code, "Hint: did you mean 'CHECKS'" in err) == (2, True)
    code, _, err = said(capsys, "check", "people.parquet", "checks.py")
    assert (code, "doesn't say which checks" in err) == (2, True)
    code, _, err = said(capsys, "check", "people.parquet", "checks.py:CHECKS", "--table", "plans")
    assert (code, "--table takes NAME=FILE" in err) == (2, True)
    code, _, err = said(capsys, "check", "peopel.parquet", "checks.py:CHECKS")
    assert (code, "did you mean 'people.parquet'" in err) == (2, True)


def test_python_and_a_kept_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "suite", "people.parquet", "--python")
    made: dict[str, Any] = {}
    exec(out, made)
    assert all(finding.passed for finding in look(people(), made["CHECKS"]).findings)
    main(["data", "profile", "people.parquet", "-o", "profile.json"])
    capsys.readouterr()
    code, out, _ = said(capsys, "suite", "profile.json")
    assert (code, Suite.from_yaml(out).checks) == (0, made["CHECKS"])


@pytest.mark.parametrize("n", [0, 1, 3, 200, 3000])
def test_what_is_proposed_holds_for_the_table_itself(n: int) -> None:
    suite, comments = proposed(profile(Table.of(people(n))))
    findings = look(people(n), suite.checks).findings
    assert [finding.rule for finding in findings if not finding.passed] == []
    assert that_hold(suite, comments, people(n)) == (suite, comments)
