"""``headrace data features``: what is served, from the shell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.cli.main import main

VIEWS = """
from datetime import timedelta
from headrace.steps.feature_store import FeatureView

activity = FeatureView(
    "activity", ("customer", "shop"), "day", {"n": "integer", "plan": "text"}, ttl=timedelta(days=30)
)
"""
ROWS = "customer,shop,day,n,plan\nC1,1,2024-05-01,3,a\nC1,1,2024-05-03,5,\nC2,1,2024-05-02,1,b\n"
FLOW = """
import polars as pl
from headrace import Table, pipeline, step

@step
def rows() -> Table:
    return Table.of(pl.read_csv("rows.csv", try_parse_dates=True))

@pipeline
def flow() -> Table:
    return rows()
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "views_of_shop.py").write_text(VIEWS)
    (tmp_path / "flow_of_shop.py").write_text(FLOW)
    (tmp_path / "rows.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_FEATURE_STORE", raising=False)
    return tmp_path


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["data", "features", *words])
        return code, *capsys.readouterr()

    return run


Told = Callable[..., tuple[int, str, str]]


def test_materialize_list_and_get(told: Told, project: Path) -> None:
    code, out, _ = told("materialize", "views_of_shop.py:activity", "--from", "rows.csv", "--at", "2024-05-02")
    assert (code, out.splitlines()) == (
        0,
        [
            "activity: 2 of 2 entities were new or newer; 2 in sqlite:features.sqlite",
            "known until 2024-05-02T00:00:00+00:00",
            "all was written anew: it wasn't there",
        ],
    )
    assert (project / "features.sqlite").exists()
    code, out, _ = told("materialize", "views_of_shop.py", "--from", "rows.csv", "--at", "2024-05-04", "--json")
    assert code == 0
    assert json.loads(out) == {
        "view": "activity",
        "online": "sqlite:features.sqlite",
        "until": "2024-05-04T00:00:00+00:00",
        "n_read": 2,
        "n_written": 1,
        "n_entities": 2,
        "why_anew": None,
    }
    code, out, _ = told("list")
    assert code == 0
    assert out.splitlines() == [
        "view      entity          entities  known until                features",
        "activity  customer, shop  2         2024-05-04T00:00:00+00:00  n, plan",
    ]
    code, out, _ = told("get", "activity", "customer=C1", "shop=1")
    assert (code, out.splitlines()) == (0, ["expired, of 2024-05-03T00:00:00+00:00", "  n", "  plan"])
    code, out, _ = told("get", "activity", "customer=C9", "shop=1", "--json")
    assert code == 1
    assert json.loads(out) == {
        "status": "unknown",
        "timestamp": None,
        "age_seconds": None,
        "values": {"n": None, "plan": None},
    }


def test_out_of_a_run(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "flow_of_shop.py"]) == 0
    capsys.readouterr()
    code, out, _ = told("materialize", "views_of_shop:activity", "--from", "rows", "--online", "sqlite:other.sqlite")
    assert code == 0
    # By now all has expired.
    assert out.startswith("activity: 0 of 0 entities were new or newer; 0 in sqlite:other.sqlite")
    code, _, err = told("materialize", "views_of_shop:activity", "--from", "row")
    assert code == 2
    assert "has no output 'row'" in err


def test_a_store_that_is_not_whole(told: Told, project: Path) -> None:
    told("materialize", "views_of_shop.py", "--from", "rows.csv", "--at", "2024-05-04")
    with sqlite3.connect(project / "features.sqlite", isolation_level=None) as other:
        other.execute("DELETE FROM entities WHERE key LIKE '%C1%'")
    other.close()
    code, out, _ = told("list", "--json")
    assert code == 1
    assert json.loads(out)["views"][0]["problem"] == "it has 1 rows in place of 2"
    assert told("list")[1].splitlines()[-1] == (
        "activity is not whole: it has 1 rows in place of 2; materialize it again"
    )


def test_an_empty_store(told: Told, project: Path) -> None:
    assert told("list") == (0, "there are no views in sqlite:features.sqlite\n", "")
    assert not (project / "features.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "headrace data features: the following arguments are required: WORD"),
        (("lost",), 2, "headrace data features has no word 'lost'.\nHint: did you mean 'list'"),
        (("get", "activity", "customer=C1"), 1, "The online store 'sqlite:features.sqlite' has no view 'activity'"),
        (("materialize", "views_of_shop.py:actvity", "--from", "rows.csv"), 1, "has no feature view 'actvity'"),
        (("materialize", "views_of_shop.py:actvity", "--from", "rows.csv"), 1, "did you mean 'activity'"),
        (("materialize", "flow_of_shop.py", "--from", "rows.csv"), 1, "has no feature view"),
        (("materialize", "nowhere:activity", "--from", "rows.csv"), 1, "There is no module 'nowhere'"),
        (("materialize", "views_of_shop.py", "--from", "gone.csv"), 1, "gone.csv"),
        (("materialize", "views_of_shop.py"), 2, "the following arguments are required: --from"),
        (("materialize", "views_of_shop.py", "--from", "rows.csv", "--at", "noon"), 2, "but got 'noon'"),
        (("materialize", "views_of_shop.py", "--from", "rows.csv", "--overlap", "x"), 2, "but got 'x'"),
        (("list", "--online", "redis://:pw@host"), 1, "The online store's URL holds a password"),
    ],
)
def test_what_goes_wrong(words: tuple[str, ...], code: int, message: str, told: Told) -> None:
    found, _, err = told(*words)
    assert message in err
    assert found == code or found in (1, 2)


def test_entities_that_are_none(told: Told) -> None:
    told("materialize", "views_of_shop.py", "--from", "rows.csv", "--at", "2024-05-04")
    for words, message in (
        (("customer", "shop=1"), "An entity is given as COLUMN=VALUE for customer, shop, but got 'customer'"),
        (("custmer=C1", "shop=1"), "did you mean 'customer'"),
        (("customer=C1", "shop=one"), "shop is integer, and 'one' is none"),
        (("customer=C1",), "Feature view 'activity' is of an entity with 'shop', but got ['customer']"),
    ):
        code, _, err = told("get", "activity", *words)
        assert code in (1, 2)
        assert message in err
