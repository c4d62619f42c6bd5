"""Great Expectations itself on the same cases: a slice where its environment is there, all of it with `make prove`."""

from __future__ import annotations

import pytest
from gx_differential import environment
from gx_differential.campaign import compare, main, rounds
from gx_differential.cases import MAKERS, table_cases
from gx_differential.ours import judged

from headrace.steps.great_expectations import MAPPED
from headrace.steps.great_expectations.results import Fields

NEEDS_GX = pytest.mark.skipif(
    not environment.is_ready(),
    reason="Great Expectations' environment isn't there: python tests/prove/gx_differential/environment.py",
)


def test_every_mapped_expectation_is_compared() -> None:
    assert {*MAKERS} == {*MAPPED}


def test_each_comes_up_as_often() -> None:
    dealt = [name for table in rounds(sorted(MAKERS), 3) for name in table]

    assert sorted(dealt) == sorted([*MAKERS] * 3)


def test_polars_and_duckdb_agree() -> None:
    pytest.importorskip("duckdb")
    for number, names in enumerate(rounds(sorted(MAKERS), 1)):
        columns, expectations = table_cases(2, number, names)
        on_polars, on_duckdb = (judged(columns, expectations, engine) for engine in ("polars", "duckdb"))
        for written, one, other in zip(expectations, on_polars, on_duckdb, strict=True):
            assert one.get("success") == other.get("success"), written
            for name in ("unexpected_count", "unexpected_index_list"):
                assert one.get("result", Fields()).get(name) == other.get("result", Fields()).get(name), written


@NEEDS_GX
@pytest.mark.timeout(300)
def test_a_slice_agrees_with_great_expectations() -> None:
    pytest.importorskip("duckdb")
    tally, _ = compare(3, 1, sorted(MAKERS))

    assert tally.differing == []
    assert sum(tally.cases.values()) > 40


@NEEDS_GX
@pytest.mark.timeout(300)
def test_a_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    real = judged

    def off_by_one(*given: object) -> list[dict[str, object]]:
        found: list[dict[str, object]] = real(*given)  # type: ignore[arg-type]
        for each in found:
            each["success"] = not each.get("success")
        return found

    monkeypatch.setattr("gx_differential.campaign.judged", off_by_one)
    tally, _ = compare(3, 1, ["expect_column_values_to_not_be_null"], ("polars",))

    assert tally.differing


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_everything() -> None:
    assert main([]) == 0
