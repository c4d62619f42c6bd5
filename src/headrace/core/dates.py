"""The date that a run is for: which parameter of its pipeline it is, and how it is read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from headrace.core.errors import DefinitionError, ParameterError, near_miss
from headrace.core.fit import MISSING, class_of, members, plain_type, show_type
from headrace.core.forms import TAG
from headrace.core.timing import Timing
from headrace.core.values import Json, decode

DATE = "--date"
"""The name that a run's date goes by among the parameters that are given: no parameter can have it."""
_KINDS: tuple[type, ...] = (datetime, date, str)
_HINT = "give a date, such as 2026-01-31"


def zone_named(name: str | None, where: str) -> tzinfo:
    """A time zone by its name, UTC without one. Raises `DefinitionError`, with the nearest name."""
    if name is None or name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError, TypeError):  # ZoneInfoNotFoundError is a KeyError
        known = available_timezones()
        hint = near_miss(str(name), known) if known else "this system has no time zones: install the package tzdata"
        raise DefinitionError(f"There is no time zone {name!r}", where=where, hint=hint) from None


def with_date(
    title: str,
    timing: Timing,
    function: Callable[..., Any],
    types_by_name: Mapping[str, Any],
    given: Mapping[str, object],
    where: str,
) -> tuple[dict[str, object], str | None]:
    """The parameters with the date among them under its own name, and that name: None for a run without a date.

    Raises
    ------
    DefinitionError
        When the pipeline names a parameter that it lacks or that is no date, or when it is not clear which is meant.
    ParameterError
        When the date is given twice, or is none.
    """
    import inspect

    parameters = dict(given)
    asked = parameters.pop(DATE, None)
    if asked is None and not timing.needs_date:
        return parameters, None
    kinds = {name: _kind(types_by_name.get(name, MISSING)) for name in inspect.signature(function).parameters}
    name = _date_parameter(title, timing.date, kinds, where)
    if asked is None:
        asked = parameters.pop(name, None)
        if asked is None:
            return dict(given), name
    elif name in parameters:
        raise ParameterError(
            f"The date of pipeline {title} is given twice: by --date and as parameter {name!r}",
            where=where,
            hint="leave one out",
        )
    kind = kinds[name]
    found = read_date(asked, kind or date, zone_named(timing.timezone, where))
    parameters[name] = found.isoformat() if kind is str else found
    return parameters, name


def _kind(declared: Any) -> type | None:
    """Which of the kinds of dates a parameter is declared as, ``None`` beside it or not."""
    found = [class_of(item) for item in members(plain_type(declared))]
    chosen = [kind for kind in _KINDS if kind in found]
    return chosen[0] if len(chosen) == 1 and set(found) <= {chosen[0], type(None)} else None


def _date_parameter(title: str, named: str | None, kinds: Mapping[str, type | None], where: str) -> str:
    if named is not None:
        if named not in kinds:
            raise DefinitionError(
                f"Pipeline {title} has no parameter {named!r} for its date", where=where, hint=near_miss(named, kinds)
            )
        if kinds[named] is None:
            raise DefinitionError(
                f"Parameter {named!r} of pipeline {title} is its date, but not declared so",
                where=where,
                hint=f"declare it datetime.date, datetime.datetime or str, as in {named}: date",
            )
        return named
    dates = [name for name, kind in kinds.items() if kind in (date, datetime)]
    if len(dates) == 1:
        return dates[0]
    if dates:
        raise DefinitionError(
            f"Pipeline {title} has {len(dates)} parameters that are dates: {', '.join(map(repr, dates))}",
            where=where,
            hint=f"say which is the run's, as in @pipeline(date={dates[0]!r})",
        )
    raise DefinitionError(
        f"Pipeline {title} takes no date",
        where=where,
        hint="give it a parameter that is declared datetime.date, as in day: date",
    )


def read_date(value: object, kind: type, zone: tzinfo) -> date | datetime:
    """A date, or for a parameter that is a time the time, in the pipeline's zone unless it has one of its own.

    A time with a zone of its own (as an orchestrator says when a run was due) is the day that it is in the pipeline's.

    Raises `ParameterError` for what is none.
    """
    wants_time = kind is datetime
    try:
        found = _parsed(value)
    except ValueError as error:
        raise ParameterError(f"A run's date must be a date, but got {value!r}: {error}", hint=_HINT) from None
    if isinstance(found, datetime) and not wants_time:
        if found.tzinfo is not None:
            return found.astimezone(zone).date()
        raise ParameterError(f"This pipeline's runs are for a date, but got the time {value!r}", hint=_HINT)
    if not wants_time:
        return found
    moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return aware.astimezone(UTC).astimezone(zone)  # a time that the clocks leave out in spring is the one an hour later


def _parsed(value: object) -> date | datetime:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError(f"it is {show_type(type(value))}")
    if len(value) > 10 or "T" in value:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value)


def read_range(text: str, kind: type, zone: tzinfo) -> tuple[date, date]:
    """The two ends of ``A..B``: days, or for a pipeline whose runs are for times, times too.

    Raises `ParameterError` for what is no range, and for one that ends before it begins.
    """
    begin, dots, end = text.partition("..")
    if not dots or not begin or not end:
        raise ParameterError(f"--dates takes A..B, but got {text!r}", hint="as in --dates 2026-01-01..2026-01-31")
    first, last = (_end_of_range(part, kind, zone) for part in (begin, end))
    days = [moment.astimezone(zone).date() if isinstance(moment, datetime) else moment for moment in (first, last)]
    is_reversed = days[0] > days[1]
    if isinstance(first, datetime) and isinstance(last, datetime):
        is_reversed = first > last
    if is_reversed:
        raise ParameterError(f"--dates {text} ends before it begins", hint=f"turn it round: --dates {end}..{begin}")
    return first, last


def _end_of_range(text: str, kind: type, zone: tzinfo) -> date:
    """An end: a day stays one, so that the last of a range counts to its end."""
    is_day = len(text) <= 10 and "T" not in text
    return read_date(text, date if is_day else kind, zone)


def date_value(tree: Json) -> date | None:
    """A date, from its value in a plan: one that is declared ``str`` too. None where the parameter is None."""
    value = decode(tree) if isinstance(tree, dict) and tree.get(TAG) in ("date", "datetime") else tree
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) else None


def text_of(value: date) -> str:
    """A date's one text: ISO, of times in UTC."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value.isoformat()


def date_text(tree: Json) -> str | None:
    """A date's one text, from its value in a plan. None where the parameter is None."""
    value = date_value(tree)
    return None if value is None else text_of(value)
