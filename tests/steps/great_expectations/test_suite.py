from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.core.errors import DataError
from headrace.formats.table import ENGINE_VARIABLE
from headrace.steps import validate
from headrace.steps.checks import NotMissing
from headrace.steps.great_expectations import (
    MAPPED,
    REFUSED,
    Dataset,
    from_pandas,
    is_suite,
    read_csv,
    read_suite,
    validate_suite,
)

PEOPLE = {
    "name": "people",
    "meta": {"great_expectations_version": "1.24.1"},
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}, "severity": "warning", "meta": {}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "age", "min_value": 0, "max_value": {"$PARAMETER": "oldest"}, "mostly": 0.5},
        },
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 2, "result_format": "BASIC"}},
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {
                "column": "plan",
                "value_set": ["a", "b"],
                "row_condition": "age > 18",
                "condition_parser": "pandas",
            },
        },
    ],
    "suite_parameters": {"oldest": 120},
}
OLDER = {
    "data_asset_type": "Dataset",
    "expectation_suite_name": "older",
    "expectations": [
        {"expectation_type": "expect_column_to_exist", "kwargs": {"column": "age"}, "meta": {"why": "needed"}},
        {
            "expectation_type": "expect_column_pair_values_A_to_be_greater_than_B",
            "kwargs": {"column_A": "age", "column_B": "children"},
            "meta": {},
        },
    ],
    "meta": {"great_expectations.__version__": "0.13.0"},
}
ROWS = pl.DataFrame({"age": [36, None, 150, 12], "plan": ["a", "x", "x", "x"], "children": [1, 0, 2, 40]})

REGEX = {"column": "a", "regex_list": ["a"]}
PAIR = {"column_A": "a", "column_B": "b"}


def one(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"name": "one", "expectations": [{"type": kind, "kwargs": kwargs}]}


def test_a_suite_of_1_x() -> None:
    suite = read_suite(PEOPLE)

    assert suite.name == "people"
    assert suite.checks[0] == NotMissing("age", severity="warn")
    assert [check.rule for check in suite.checks[1:]] == [
        "age within 0..120",
        "number of rows within 2..",
        'plan one of a, b where "age" > 18',
    ]


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_its_result(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.setenv(ENGINE_VARIABLE, engine)

    result = validate_suite(ROWS, read_suite(PEOPLE), result_format="COMPLETE")

    assert [each.success for each in result.results] == [False, True, True, False]
    assert result.statistics == {
        "evaluated_expectations": 4,
        "successful_expectations": 2,
        "unsuccessful_expectations": 2,
        "success_percent": 50.0,
    }
    assert result.results[1].result["unexpected_index_list"] == [2]
    assert result.results[3].result == {
        "element_count": 2,
        "unexpected_count": 1,
        "unexpected_percent": 50.0,
        "partial_unexpected_list": ["x"],
        "missing_count": 0,
        "missing_percent": 0.0,
        "unexpected_percent_total": 50.0,
        "unexpected_percent_nonmissing": 50.0,
        "partial_unexpected_counts": [{"value": "x", "count": 1}],
        "partial_unexpected_index_list": [2],
        "unexpected_list": ["x"],
        "unexpected_index_list": [2],
        "unexpected_index_query": "df.filter(items=[2], axis=0)",
    }
    plain = json.loads(json.dumps(result.to_json_dict()))
    assert plain["suite_name"] == "people"
    assert plain["results"][0]["expectation_config"]["severity"] == "warning"


def test_the_older_form(tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    file.write_text(json.dumps(OLDER))

    result = validate_suite(ROWS, read_suite(file))

    assert not result.success
    assert [each.success for each in result.results] == [True, False]
    assert result.results[0].expectation_config == {
        "expectation_type": "expect_column_to_exist",
        "kwargs": {"column": "age"},
        "meta": {"why": "needed"},
    }
    assert result.results[1].result.unexpected_count == 2
    assert result.meta["expectation_suite_name"] == "older"


def test_levels_of_results() -> None:
    suite = read_suite(one("expect_column_values_to_be_between", column="age", max_value=100))

    def fields(result_format: Any) -> set[str]:
        return {*validate_suite(ROWS, suite, result_format=result_format).results[0].result}

    basic = fields("BASIC")
    assert fields("BOOLEAN_ONLY") == set()
    assert fields("SUMMARY") - basic == {"partial_unexpected_counts", "partial_unexpected_index_list"}
    assert {"unexpected_list", "unexpected_index_list", "unexpected_index_query"} < fields("COMPLETE")
    keyed = {"result_format": "COMPLETE", "unexpected_index_column_names": ["plan"], "include_unexpected_rows": True}
    told = validate_suite(ROWS, suite, result_format=keyed).results[0].result
    assert told["unexpected_index_list"] == [{"age": 150, "plan": "x"}]
    assert told["unexpected_rows"] == [{"age": 150, "plan": "x", "children": 2}]
    few = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
    assert validate_suite(ROWS, suite, result_format=few).results[0].result["partial_unexpected_list"] == []
    with pytest.raises(DataError, match="result_format='ALL' isn't known"):
        fields("ALL")


def test_what_can_not_be_evaluated_says_so() -> None:
    suite = read_suite(one("expect_column_values_to_be_between", column="plan", max_value=100))

    result = validate_suite(ROWS, suite).results[0]

    assert not result.success
    assert result.exception_info.raised_exception
    assert (
        "is for columns of kind integer or number or boolean, but 'plan' is text"
        in result.exception_info.exception_message
    )
    absent = validate_suite(ROWS, read_suite(one("expect_column_values_to_be_null", column="agee"))).results[0]
    assert absent.exception_info.exception_message == "The table has no column 'agee'.\nHint: did you mean 'age'?"


def test_all_that_is_refused_is_named() -> None:
    suite = {
        "name": "odd",
        "expectations": [
            {"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "a"}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
            {"type": "expect_my_own", "kwargs": {"column": "a"}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": {"$PARAMETER": "p"}}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_valu": 3}},
            {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "a", "regex": "a(?=b)"}},
            {"type": "expect_column_values_to_be_null", "kwargs": {"column": "a", "row_condition": "a + 1 > 2"}},
            {"type": "expect_column_values_to_be_null", "kwargs": {}},
            {"type": "expect_column_values_to_be_null", "kwargs": {"column": "a", "mostly": 3}},
        ],
    }

    with pytest.raises(DataError) as caught:
        read_suite(suite)

    assert caught.value.message.splitlines() == [
        "8 of 9 expectations of the document can't be mapped:",
        "  1. expect_column_values_to_be_json_parseable isn't mapped: there is no such check",
        "  3. expect_my_own isn't mapped: it is no core expectation",
        "  4. expect_column_values_to_be_between: the parameter 'p' isn't given: give parameters={'p': ...}",
        "  5. expect_column_values_to_be_between: 'min_valu' isn't known: did you mean 'min_value'?",
        "  6. expect_column_values_to_match_regex: 'a(?=b)' uses look-around, which engines that read tables don't "
        "know (column 'a')",
        "  7. expect_column_values_to_be_null: row_condition 'a + 1 > 2' has 'a + 1': columns, values, comparisons, "
        "in, and, or, not, isnull() and notnull() are known",
        "  8. expect_column_values_to_be_null: 'column' is missing",
        "  9. expect_column_values_to_be_null: 0 <= mostly <= 1 must hold, but got mostly=3: give a share, "
        "such as 0.99",
    ]


@pytest.mark.parametrize(
    ("kind", "kwargs", "reason"),
    [
        ("expect_column_values_to_be_between", {"column": "a"}, "min_value and max_value are both left out"),
        (
            "expect_column_values_to_be_between",
            {"column": "a", "min_value": 3, "max_value": 1},
            "min_value <= max_value",
        ),
        ("expect_column_values_to_be_between", {"column": "a", "min_value": "a", "max_value": 1}, "of two kinds"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": 3}, "value_set is a list, but got 3"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [[1]]}, r"holds \[1\]"),
        ("expect_table_columns_to_match_set", {"column_set": [3]}, "column_set is a list of columns"),
        ("expect_column_values_to_match_regex_list", {"column": "a", "regex_list": []}, "regex_list is empty"),
        (
            "expect_column_values_to_match_regex_list",
            {"column": "a", "regex_list": ["a"], "match_on": "one"},
            "'any' or 'all'",
        ),
        ("expect_column_values_to_match_strftime_format", {"column": "a", "strftime_format": "%Q"}, "'%Q'"),
        (
            "expect_column_pair_values_to_be_equal",
            {**PAIR, "ignore_row_if": "x"},
            "'x' isn't known",
        ),
        (
            "expect_column_pair_values_to_be_in_set",
            {**PAIR, "value_pairs_set": [1]},
            "list of pairs",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            {"column": "a", "quantile_ranges": {"quantiles": [1]}},
            "can't be read",
        ),
        ("expect_column_mean_to_be_between", {"column": "a", "windows": [{"offset": 1}]}, "windows aren't known"),
        ("expect_column_mean_to_be_between", {"column": "a", "auto": True}, "a profiler"),
        ("expect_column_max_to_be_between", {"column": "a", "parse_strings_as_datetimes": True}, "reads text as dates"),
        ("expect_column_mean_to_be_between", {"column": "a", "severity": "mild"}, "severity='mild' isn't known"),
    ],
)
def test_arguments_that_do_not_fit(kind: str, kwargs: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_suite(one(kind, **kwargs))


def test_what_is_a_suite(tmp_path: Path) -> None:
    assert is_suite(PEOPLE)
    assert is_suite(OLDER)
    assert is_suite({"expectation_suite_name": "empty", "expectations": []})
    assert not is_suite({"checks": []})
    assert not is_suite([PEOPLE])
    with pytest.raises(DataError, match="is no suite of Great Expectations"):
        read_suite({"checks": []})
    with pytest.raises(DataError, match="can't be read: No such file"):
        read_suite(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        read_suite(tmp_path / "odd.json")


def test_at_least_40_are_mapped_and_the_rest_of_the_core_is_refused_by_name() -> None:
    assert len(MAPPED) >= 40
    assert not {*MAPPED} & {*REFUSED}


def test_the_fluent_calls() -> None:
    df = from_pandas(ROWS)

    first = df.expect_column_values_to_be_between("age", 0, 100, mostly=0.9)
    df.expect_column_values_to_be_between("age", 0, 200)
    df.expect_column_values_to_not_be_null("age", result_format="COMPLETE", meta={"why": "asked"})

    assert not first.success
    assert first["result"]["unexpected_count"] == first.result.unexpected_count == 1
    assert [each.success for each in df.validate().results] == [True, False]
    assert [each.success for each in df.validate(only_return_failures=True).results] == [False]
    assert [each["kwargs"] for each in df.get_expectation_suite().expectations] == [
        {"column": "age", "min_value": 0, "max_value": 200}
    ]
    everything = df.get_expectation_suite(discard_failed_expectations=False)
    assert [each["meta"] for each in everything["expectations"]] == [{}, {"why": "asked"}]
    df.remove_expectation("expect_column_values_to_not_be_null", "age")
    assert df.validate().success
    assert df.validate(OLDER).statistics.evaluated_expectations == 2


def test_a_fluent_suite_can_be_kept(tmp_path: Path) -> None:
    df = from_pandas(ROWS)
    df.expect_column_to_exist("age")
    df.save_expectation_suite(tmp_path / "suite.json")

    assert Dataset(ROWS, suite=tmp_path / "suite.json").validate().success


def test_fluent_calls_that_do_not_fit() -> None:
    df = from_pandas(ROWS)

    with pytest.raises(AttributeError, match="expect_column_values_to_be_json_parseable isn't mapped"):
        df.expect_column_values_to_be_json_parseable("plan")
    with pytest.raises(AttributeError, match="a Dataset has no 'expectations'"):
        _ = df.expectations
    with pytest.raises(TypeError, match="takes 2 arguments by place, but got 3"):
        df.expect_column_values_to_be_null("age", 0.5, 3)
    with pytest.raises(TypeError, match="got 'column' twice"):
        df.expect_column_values_to_be_null("age", column="age")
    df.set_default_expectation_argument("result_format", "BOOLEAN_ONLY")
    assert df.expect_column_to_exist("age").result == {}


def test_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("age,plan\n36,a\n,b\n")

    assert read_csv(tmp_path / "people.csv").expect_column_values_to_not_be_null("age").result.unexpected_count == 1


def test_checks_of_a_suite_set_rows_aside() -> None:
    suite = read_suite(one("expect_column_values_to_be_between", column="age", min_value=0, max_value=100))

    good, aside, findings = validate(ROWS, suite.checks, max_bad_share=0.5)

    assert good.n_rows == 3
    assert aside.polars().collect()["reason"].to_list() == ["age within 0..100"]
    assert findings.findings[0].n_looked_at == 3


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_validate_takes_every_mapped_expectation(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.setenv(ENGINE_VARIABLE, engine)
    rows = pl.DataFrame(
        {"k": [1, 2, 2, 3, 1], "x": [1.0, None, float("inf"), 2.0, 2.0], "t": ["a", "b", None, "a", "c"]}
    )
    suite = read_suite(
        {
            "name": "all sorts",
            "expectations": [
                {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "k"}},
                {"type": "expect_column_values_to_be_increasing", "kwargs": {"column": "k"}, "severity": "warning"},
                {"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "t", "type_": "str"}},
                {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0}},
                {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "k", "column_B": "x"}},
                {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "k", "min_value": 9, "max_value": 9}},
                {
                    "type": "expect_column_distinct_values_to_be_in_set",
                    "kwargs": {"column": "t", "value_set": ["a", "b", "c"]},
                },
                {"type": "expect_table_column_count_to_equal", "kwargs": {"value": 3}},
            ],
        }
    )

    good, aside, findings = validate(rows, suite.checks, max_bad_share=1.0)

    assert [finding.n_bad for finding in findings.findings] == [4, 1, 0, 0, 4, 0, 0, 0]
    assert [finding.passed for finding in findings.findings] == [False, False, True, True, False, True, True, True]
    assert good.n_rows == 0
    assert aside.polars().collect()["reason"].to_list() == [
        "k in one row only",
        "k in one row only; k == x",
        "k in one row only; k == x",
        "k == x",
        "k in one row only; k == x",
    ]
    assert findings.findings[5].observed == "9"
    short = read_suite(one("expect_table_row_count_to_equal", value=4))
    with pytest.raises(DataError, match=r"'number of rows within 4\.\.4' must hold, but got 5"):
        validate(rows, short.checks)
