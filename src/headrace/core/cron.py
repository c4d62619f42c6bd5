"""Cron lines: ``minute hour day month weekday``."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
_PART = re.compile(r"(?P<all>\*)|(?P<first>\w+)(-(?P<last>\w+))?")
_HINT = 'five fields: minute, hour, day, month, weekday; for every day at three, "0 3 * * *"'


def check_cron(line: object, where: str) -> None:
    """Refuse what is not a cron line of five fields, of what every scheduler knows: ``*``, ``1-5``, ``*/15``, lists.

    Months and weekdays may be names (``jan``, ``mon``); Sunday is 0, since not every scheduler knows it as 7.

    Raises `DefinitionError`.
    """
    problem = _problem(line)
    if problem is not None:
        raise DefinitionError(f"A schedule is a cron line, but got {line!r}: {problem}", where=where, hint=_HINT)


def _problem(line: object) -> str | None:
    if not isinstance(line, str):
        return "it is no text"
    texts = line.split()
    if len(texts) != len(_FIELDS):
        return f"it has {len(texts)} fields"
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


def _number(text: str, names: Mapping[str, int]) -> int | None:
    return int(text) if _is_digits(text) else names.get(text.lower())


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 3
