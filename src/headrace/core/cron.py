"""Cron lines: ``minute hour day month weekday``, and the days and times that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from headrace.core.errors import DefinitionError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_PART = re.compile(r"(?P<all>\*)|(?P<first>\w+)(-(?P<last>\w+))?")
_HINT = 'five fields: minute, hour, day, month, weekday; for every day at three, "0 3 * * *"; for midnight, "@daily"'


@dataclass(frozen=True)
class Cron:
    """A cron line, read: the numbers that each field names, and which fields begin with ``*``."""

    fields: tuple[frozenset[int], ...]
    stars: tuple[bool, ...]

    @classmethod
    def read(cls, line: str) -> Cron:
        """Read a line that `check_cron` lets pass."""
        texts = line.split()
        numbers = tuple(
            frozenset(number for part in text.split(",") for number in _numbers(part, low, high, names))
            for text, (_, low, high, names) in zip(texts, _FIELDS, strict=True)
        )
        return cls(numbers, tuple(text.startswith("*") for text in texts))

    def is_on(self, day: date) -> bool:
        """Whether it names a time on this day.

        Where both the day of the month and the weekday are restricted, either will do, as every cron has it.
        """
        _, _, days, months, weekdays = self.fields
        of_month, of_week = day.day in days, day.isoweekday() % 7 in weekdays
        is_either = not self.stars[2] and not self.stars[4]
        return day.month in months and (of_month or of_week if is_either else of_month and of_week)

    def times(self, day: date, zone: tzinfo) -> list[datetime]:
        """The times on this day, by the clock of a zone.

        Where the clocks go forward, a time that they leave out is an hour later, and where they go back, one that comes
        twice counts once: so what runs daily runs once a day. What runs every hour (``*``) runs each hour that passes.
        """
        if not self.is_on(day):
            return []
        found = set()
        for hour in self.fields[1]:
            for minute in self.fields[0]:
                wall = datetime(day.year, day.month, day.day, hour, minute)
                first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
                is_left_out = first.astimezone(zone).replace(tzinfo=None, fold=0) != wall
                if not self.stars[1]:
                    found.add(first)
                elif not is_left_out:
                    found |= {first, second}
        return [moment.astimezone(zone) for moment in sorted(found)]


def check_cron(line: object, where: str) -> str:
    """Give a cron line in five fields, of what every scheduler knows: ``*``, ``1-5``, ``*/15``, lists.

    ``@hourly``, ``@daily``, ``@weekly``, ``@monthly`` and ``@yearly`` are written out.

    Months and weekdays may be names (``jan``, ``mon``); Sunday is 0, since not every scheduler knows it as 7.

    Raises `DefinitionError`.
    """
    text = _SHORT.get(line, line) if isinstance(line, str) else line
    problem = _problem(text)
    if problem is not None:
        raise DefinitionError(f"A schedule is a cron line, but got {line!r}: {problem}", where=where, hint=_HINT)
    return str(text)


def _problem(line: object) -> str | None:
    if not isinstance(line, str):
        return "it is no text"
    texts = line.split()
    if len(texts) != len(_FIELDS):
        return f"it has {len(texts)} field{'' if len(texts) == 1 else 's'}"
    for text, (name, low, high, names) in zip(texts, _FIELDS, strict=True):
        for part in text.split(","):
            if not _is_part(part, low, high, names):
                return f"{part!r} is no {name} ({low} to {high})"
    return None


def _is_part(text: str, low: int, high: int, names: Mapping[str, int]) -> bool:
    span, slash, step = text.partition("/")
    if slash and not (_is_digits(step) and 0 < int(step) <= high):
        return False
    found = _PART.fullmatch(span)
    if found is None:
        return False
    if found["all"]:
        return True
    if slash and found["last"] is None:
        return False
    first = _number(found["first"], names)
    last = _number(found["last"], names) if found["last"] else first
    return first is not None and last is not None and low <= first <= last <= high


def _numbers(text: str, low: int, high: int, names: Mapping[str, int]) -> Iterator[int]:
    """The numbers that one part of a field names."""
    span, _, step = text.partition("/")
    found = _PART.fullmatch(span)
    assert found is not None
    if not found["all"]:
        low = _number(found["first"], names) or 0
        high = (_number(found["last"], names) or 0) if found["last"] else low
    yield from range(low, high + 1, int(step) if step else 1)


MOST_DAYS_BACK = 366 * 9  # a 29 February can be eight years after the one before


@dataclass(frozen=True)
class Calendar:
    """The dates, or with ``has_times`` the times, that a pipeline's runs are for: by its schedule, else each day."""

    schedule: str | None
    zone: tzinfo
    has_times: bool

    def between(self, first: date, last: date) -> Iterator[date]:
        """Those from ``first`` to ``last``, both counted, in order. With a day for ``last``: until its end."""
        cron = Cron.read(self.schedule or "0 0 * * *")
        day, last_day = _day(first), _day(last)
        while day <= last_day:
            if self.has_times:
                yield from (at for at in cron.times(day, self.zone) if _is_within(at, first, last))
            elif cron.is_on(day):
                yield day
            if day == date.max:
                return
            day += timedelta(days=1)

    def before(self, moment: date) -> date | None:
        """The one before, None where there is none in nine years."""
        cron = Cron.read(self.schedule or "0 0 * * *")
        day = _day(moment.astimezone(self.zone) if isinstance(moment, datetime) else moment)
        for _ in range(MOST_DAYS_BACK):
            if self.has_times:
                earlier = [at for at in cron.times(day, self.zone) if at < moment]
                if earlier:
                    return earlier[-1]
            if day == date.min:
                return None
            day -= timedelta(days=1)
            if not self.has_times and cron.is_on(day):
                return day
        return None


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _is_within(at: datetime, first: date, last: date) -> bool:
    is_after = not isinstance(first, datetime) or at >= first
    return is_after and (not isinstance(last, datetime) or at <= last)


def _number(text: str, names: Mapping[str, int]) -> int | None:
    return int(text) if _is_digits(text) else names.get(text.lower())


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 3
