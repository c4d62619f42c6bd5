"""The date that a run is for: found among the pipeline's parameters, read in its zone, kept in its plan."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from headrace import pipeline, step
from headrace.core.dates import DATE, date_text
from headrace.core.errors import DefinitionError, ParameterError
from headrace.core.pipeline import Pipeline, trace
from headrace.core.plan import Plan
from headrace.engine.lookup import FormatLookup


@step
def note(what: str | dt.date | None) -> str:
    return str(what)


def plan_of(flow: Pipeline[..., Any], **parameters: object) -> Plan:
    given = {DATE if name == "date_" else name: value for name, value in parameters.items()}
    return trace(flow, given, FormatLookup(), Path(__file__).parent).plan


def date_of(plan: Plan) -> tuple[str | None, str | None]:
    return plan.date, next((date_text(item.value) for item in plan.parameters if item.name == plan.date), None)


def daily(day: dt.date, since: str = "") -> Any:
    return note(day)


def optional(n: int = 1, day: dt.date | None = None) -> Any:
    return note(day)


def timed(at: dt.datetime) -> Any:
    return note(at)


def texts(ds: str, other: dt.date = dt.date(2026, 1, 1)) -> Any:
    return note(ds)


def two(day: dt.date, other: dt.date) -> Any:
    return note(day)


def none(n: int = 1, either: int | dt.date = 1) -> Any:
    return note("")


@pytest.mark.parametrize(
    ("function", "options", "given", "expected"),
    [
        (daily, {}, "2026-01-31", ("day", "2026-01-31")),
        (daily, {}, "20260131", ("day", "2026-01-31")),
        (daily, {}, "2024-02-29", ("day", "2024-02-29")),
        (daily, {}, dt.date(2026, 1, 31), ("day", "2026-01-31")),
        (optional, {}, "2026-01-31", ("day", "2026-01-31")),
        (texts, {"date": "ds"}, "20260131", ("ds", "2026-01-31")),
        (two, {"date": "other"}, "2026-01-31", ("other", "2026-01-31")),
        # A time with a zone, as an orchestrator says when a run was due, is the day that it is in the pipeline's.
        (daily, {}, "2026-01-31T23:30:00Z", ("day", "2026-01-31")),
        (daily, {"timezone": "Europe/Zurich"}, "2026-01-31T23:30:00Z", ("day", "2026-02-01")),
        (texts, {"date": "ds", "timezone": "America/New_York"}, "2026-02-01T03:00+00:00", ("ds", "2026-01-31")),
        (timed, {}, "2026-01-31", ("at", "2026-01-31T00:00:00+00:00")),
        (timed, {"timezone": "Europe/Zurich"}, "2026-01-31", ("at", "2026-01-30T23:00:00+00:00")),
        (timed, {"timezone": "Europe/Zurich"}, "2026-07-31T02:30", ("at", "2026-07-31T00:30:00+00:00")),
        (timed, {"timezone": "Europe/Zurich"}, "2026-01-31T12:00+05:00", ("at", "2026-01-31T07:00:00+00:00")),
        # 02:30 is left out in the night of 29 March, and comes twice in that of 25 October: the first is meant.
        (timed, {"timezone": "Europe/Zurich"}, "2026-03-29T02:30", ("at", "2026-03-29T01:30:00+00:00")),
        (timed, {"timezone": "Europe/Zurich"}, "2026-10-25T02:30", ("at", "2026-10-25T00:30:00+00:00")),
        (timed, {"timezone": "Europe/Zurich"}, "2026-10-25T02:30+01:00", ("at", "2026-10-25T01:30:00+00:00")),
    ],
)
def test_the_date_becomes_the_pipelines_parameter(
    function: Any, options: dict[str, Any], given: object, expected: tuple[str, str]
) -> None:
    required = {"day": "2020-01-01"} if function is two else {}
    assert date_of(plan_of(pipeline(**options)(function), date_=given, **required)) == expected


def test_a_run_without_a_date_has_none_unless_the_pipeline_says_so() -> None:
    assert plan_of(pipeline(daily), day="2026-01-31").date is None
    assert date_of(plan_of(pipeline(date="day")(daily), day="2026-01-31")) == ("day", "2026-01-31")
    assert date_of(plan_of(pipeline(depends_on_past=True)(daily), day="2026-01-31")) == ("day", "2026-01-31")
    assert date_of(plan_of(pipeline(date="day")(optional))) == ("day", None)
    zoned = pipeline(date="at", timezone="Asia/Tokyo")(timed)
    assert date_of(plan_of(zoned, at="2026-01-31T09:00")) == date_of(plan_of(zoned, date_="2026-01-31T09:00"))


def test_the_plan_keeps_what_runs_have_to_do_with_one_another() -> None:
    options = {"date": "day", "timezone": "Europe/Zurich", "depends_on_past": True, "max_active_runs": 2}
    plan = plan_of(pipeline(schedule="0 3 * * *", **options)(daily), day="2026-01-31")
    again = Plan.from_json(plan.to_json())

    assert again == plan
    assert {name: getattr(again, name) for name in options} == options
    plain = plan_of(pipeline(daily), day="2026-01-31")
    assert not set(options) & set(plain._body()), "a plan that says nothing of it is as it always was"


@pytest.mark.parametrize(
    ("function", "options", "given", "message", "hint"),
    [
        (daily, {}, "2026-02-29", "but got '2026-02-29': day is out of range for month", "such as 2026-01-31"),
        (daily, {}, "tomorrow", "A run's date must be a date, but got 'tomorrow'", "such as 2026-01-31"),
        (daily, {}, 20260131, "A run's date must be a date, but got 20260131: it is int", "such as 2026-01-31"),
        (daily, {}, "2026-01-31T03:00", "runs are for a date, but got the time '2026-01-31T03:00'", "such as"),
    ],
)
def test_what_is_no_date(function: Any, options: Any, given: object, message: str, hint: str) -> None:
    with pytest.raises(ParameterError) as caught:
        plan_of(pipeline(**options)(function), date_=given)
    assert message in str(caught.value)
    assert hint in str(caught.value)


def test_a_date_that_is_given_twice() -> None:
    with pytest.raises(ParameterError, match=r"given twice: by --date and as parameter 'day' .*\nHint: leave one out"):
        plan_of(pipeline(daily), date_="2026-01-31", day="2026-01-31")


@pytest.mark.parametrize(
    ("function", "options", "message", "hint"),
    [
        (none, {}, "Pipeline 'none' takes no date", "as in day: date"),
        (two, {}, "Pipeline 'two' has 2 parameters that are dates: 'day', 'other'", "@pipeline(date='day')"),
        (daily, {"date": "dya"}, "Pipeline 'daily' has no parameter 'dya' for its date", "did you mean 'day'?"),
        (
            none,
            {"date": "either"},
            "Parameter 'either' of pipeline 'none' is its date, but not declared so",
            "either: date",
        ),
    ],
)
def test_a_pipeline_without_a_clear_date(function: Any, options: Any, message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        plan_of(pipeline(**options)(function), date_="2026-01-31")
    assert message in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"timezone": "Europe/Zürich"}, "There is no time zone 'Europe/Zürich'", "did you mean 'Europe/Zurich'?"),
        ({"timezone": "../../etc/passwd"}, "There is no time zone '../../etc/passwd'", ""),
        ({"max_active_runs": 0}, "max_active_runs >= 1 must hold, but got max_active_runs=0", "no limit"),
        ({"max_active_runs": True}, "max_active_runs >= 1 must hold, but got max_active_runs=True", "no limit"),
    ],
)
def test_options_that_are_wrong(options: Any, message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        pipeline(**options)(daily)
    assert message in str(caught.value)
    assert hint in str(caught.value)
