"""Which days and times a schedule names: against every minute looked at, and where the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.cron import Calendar, Cron, check_cron
from headrace.core.dates import read_range
from headrace.core.errors import ParameterError

ZURICH = ZoneInfo("Europe/Zurich")


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.tuples(span, st.integers(1, high)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    part = st.one_of(number.map(str), span, stepped)
    lists = st.lists(part, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.integers(1, high).map(lambda step: f"*/{step}"), lists)


LINES = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).map(" ".join)


def matches(text: str, value: int, low: int) -> bool:
    """One field against one number, by trial: written apart from what it tests."""
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else int(first)
        end = 10**9 if span == "*" else int(last or first)
        if begin <= value <= end and (value - begin) % int(step or 1) == 0:
            return True
    return False


def is_named(line: str, at: datetime) -> bool:
    minute, hour, day, month, weekday = line.split()
    of_month, of_week = matches(day, at.day, 1), matches(weekday, at.isoweekday() % 7, 0)
    either = not day.startswith("*") and not weekday.startswith("*")
    on_day = of_month or of_week if either else of_month and of_week
    return on_day and matches(month, at.month, 1) and matches(hour, at.hour, 0) and matches(minute, at.minute, 0)


@given(LINES, st.dates(date(2023, 12, 25), date(2024, 3, 5)))
def test_the_times_of_a_day_are_all_that_match(line: str, day: date) -> None:
    check_cron(line, "here")
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    minutes = [begin + timedelta(minutes=number) for number in range(24 * 60)]

    assert Cron.read(line).times(day, UTC) == [at for at in minutes if is_named(line, at)]


@given(LINES, st.dates(date(2023, 1, 1), date(2026, 12, 31)), st.booleans())
def test_the_one_before_is_the_last_of_those_up_to_it(line: str, day: date, has_times: bool) -> None:
    calendar = Calendar(line, ZURICH, has_times)
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=ZURICH) if has_times else day
    before = calendar.before(moment)

    if before is not None and (day - (before.date() if isinstance(before, datetime) else before)).days < 60:
        begin = day - timedelta(days=60)
        assert [at for at in calendar.between(begin, day) if at < moment][-1] == before
    else:
        assert not [at for at in calendar.between(day - timedelta(days=59), day) if at < moment]


def local(calendar: Calendar, first: str, last: str) -> list[str]:
    ends = date.fromisoformat(first), date.fromisoformat(last)
    return [f"{at:%d %H:%M%z}" if calendar.has_times else f"{at}" for at in calendar.between(*ends)]


def test_where_the_clocks_change() -> None:
    nightly = Calendar("30 2 * * *", ZURICH, has_times=True)
    hourly = Calendar("15 * * * *", ZURICH, has_times=True)

    # In the night of 29 March 02:30 is left out; in that of 25 October it comes twice.
    assert local(nightly, "2026-03-28", "2026-03-30") == ["28 02:30+0100", "29 03:30+0200", "30 02:30+0200"]
    assert local(nightly, "2026-10-24", "2026-10-26") == ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]
    assert len(local(hourly, "2026-03-29", "2026-03-29")) == 23
    assert local(hourly, "2026-03-29", "2026-03-29")[1:3] == ["29 01:15+0100", "29 03:15+0200"]
    assert len(local(hourly, "2026-10-25", "2026-10-25")) == 25
    assert local(hourly, "2026-10-25", "2026-10-25")[2:4] == ["25 02:15+0200", "25 02:15+0100"]
    assert nightly.before(datetime(2026, 3, 29, 3, 30, tzinfo=ZURICH)) == datetime(2026, 3, 28, 2, 30, tzinfo=ZURICH)


def test_a_zone_without_midnight() -> None:
    """In Beirut the clocks went from 00:00 to 01:00 on 27 March 2022: a nightly run is due all the same."""
    beirut = ZoneInfo("Asia/Beirut")
    times = list(Calendar(None, beirut, has_times=True).between(date(2022, 3, 26), date(2022, 3, 28)))

    assert [f"{at:%d %H:%M}" for at in times] == ["26 00:00", "27 01:00", "28 00:00"]


@pytest.mark.parametrize(
    ("schedule", "first", "last", "expected"),
    [
        (None, "2024-02-27", "2024-03-01", ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]),
        (None, "2026-02-27", "2026-03-01", ["2026-02-27", "2026-02-28", "2026-03-01"]),
        ("0 3 * * mon", "2026-01-01", "2026-01-31", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        ("0 */6 * * *", "2026-01-01", "2026-01-02", ["2026-01-01", "2026-01-02"]),
        ("0 3 1 * mon", "2026-02-01", "2026-02-09", ["2026-02-01", "2026-02-02", "2026-02-09"]),
        ("0 3 29 2 *", "2023-01-01", "2029-01-01", ["2024-02-29", "2028-02-29"]),
        ("0 3 31 2 *", "2023-01-01", "2029-01-01", []),
        (None, "9999-12-30", "9999-12-31", ["9999-12-30", "9999-12-31"]),
    ],
)
def test_the_days_of_a_range(schedule: str | None, first: str, last: str, expected: list[str]) -> None:
    assert local(Calendar(schedule, UTC, has_times=False), first, last) == expected


def test_the_one_before() -> None:
    assert Calendar(None, UTC, False).before(date(2024, 3, 1)) == date(2024, 2, 29)
    assert Calendar("0 3 29 2 *", UTC, False).before(date(2104, 2, 29)) == date(2096, 2, 29)
    assert Calendar("0 3 30 2 *", UTC, False).before(date(2104, 2, 29)) is None
    assert Calendar(None, UTC, False).before(date.min) is None


def test_a_range_of_times() -> None:
    first, last = read_range("2026-01-01T12:00..2026-01-02", datetime, ZURICH)
    times = list(Calendar("0 */6 * * *", ZURICH, has_times=True).between(first, last))

    assert [f"{at:%d %H}" for at in times] == ["01 12", "01 18", "02 00", "02 06", "02 12", "02 18"]
    first, last = read_range("2026-01-01..2026-01-01T06:00", datetime, ZURICH)
    assert len(list(Calendar("0 */6 * * *", ZURICH, has_times=True).between(first, last))) == 2


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2026-01-01", "--dates takes A..B, but got '2026-01-01'", "as in --dates 2026-01-01..2026-01-31"),
        ("..2026-01-01", "--dates takes A..B, but got '..2026-01-01'", "as in --dates"),
        ("2026-01-02..2026-01-01", "--dates 2026-01-02..2026-01-01 ends before it begins", "2026-01-01..2026-01-02"),
        ("2026-01-01..2026-02-30", "but got '2026-02-30': day is out of range for month", "such as 2026-01-31"),
        ("2026-01-01T12:00..2026-01-02", "but got the time '2026-01-01T12:00'", "such as 2026-01-31"),
    ],
)
def test_what_is_no_range(text: str, message: str, hint: str) -> None:
    with pytest.raises(ParameterError) as caught:
        read_range(text, date, UTC)
    assert message in str(caught.value)
    assert hint in str(caught.value)
