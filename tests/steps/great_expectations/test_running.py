"""Handing expectations to Great Expectations itself, of which a stand-in is here: it has an environment of its own."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import polars as pl
import pytest

from headrace.core.errors import DataError
from headrace.steps import validate
from headrace.steps.great_expectations import read_suite, validate_suite

SUITE = {
    "name": "odd",
    "expectations": [
        {"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "t"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "t"}},
    ],
}
ROWS = pl.DataFrame({"t": ["{}", "x", None]})


class Configuration:
    def __init__(self, **written: Any) -> None:
        self.written = written

    def to_domain_obj(self) -> dict[str, Any]:
        if self.written["type"] != "expect_column_values_to_be_json_parseable":
            raise ValueError("unknown")
        return self.written


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")

    def judged(frame: Any, expectation: dict[str, Any], **_: Any) -> Any:
        assert frame["t"].to_list()[:2] == ["{}", "x"]
        assert expectation["kwargs"] == {"column": "t"}
        result = {"element_count": 3, "unexpected_count": 1, "unexpected_index_list": [1]}
        return SimpleNamespace(to_json_dict=lambda: {"success": False, "result": result, "expectation_config": {}})

    def batch(batch_parameters: dict[str, Any]) -> Any:
        frame = batch_parameters["dataframe"]
        return SimpleNamespace(validate=lambda expectation, **more: judged(frame, expectation, **more))

    whole = SimpleNamespace(get_batch=batch)
    asset = SimpleNamespace(add_batch_definition_whole_dataframe=lambda name: whole)
    source = SimpleNamespace(add_dataframe_asset=lambda name: asset)
    context = SimpleNamespace(variables=SimpleNamespace(), data_sources=SimpleNamespace(add_pandas=lambda name: source))
    names = ("great_expectations", "great_expectations.expectations")
    modules = {name: ModuleType(name) for name in (*names, f"{names[1]}.expectation_configuration")}
    modules["great_expectations"].get_context = lambda mode: context  # type: ignore[attr-defined]
    modules[f"{names[1]}.expectation_configuration"].ExpectationConfiguration = Configuration  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_without_it_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "great_expectations", None)

    with pytest.raises(DataError, match=r"which isn't installed.\nHint: pip install \"headrace\[gx\]\""):
        read_suite(SUITE, unmapped="great_expectations")
    with pytest.raises(DataError, match="unmapped is 'refuse' or 'great_expectations', but got 'skip'"):
        read_suite(SUITE, unmapped="skip")  # type: ignore[arg-type]


def test_it_runs_what_is_refused_and_no_more(stand_in: None) -> None:
    suite = read_suite(SUITE, unmapped="great_expectations")

    result = validate_suite(ROWS, suite)

    assert [each.success for each in result.results] == [False, False]
    assert result.results[0].result.unexpected_count == 1
    assert result.results[0].expectation_config["type"] == "expect_column_values_to_be_json_parseable"
    assert result.results[1].result["partial_unexpected_index_list"] == [2]
    with pytest.raises(DataError, match="must hold, but got 1 unexpected rows"):
        validate(ROWS, suite.checks, max_bad_share=1)


def test_what_it_can_not_take(stand_in: None) -> None:
    odd = {"name": "odd", "expectations": [{"type": "expect_the_unexpected", "kwargs": {}}]}

    with pytest.raises(DataError, match=r"Great Expectations can't take expect_the_unexpected \(unknown\)"):
        validate_suite(ROWS, read_suite(odd, unmapped="great_expectations"))
