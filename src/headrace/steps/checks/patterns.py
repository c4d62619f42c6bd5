"""Regular expressions that mean the same to each engine, and dates' formats as such expressions."""

from __future__ import annotations

import re

from headrace.core.errors import DataError, near_miss

WORD = r"\p{L}\p{M}\p{N}_"
SPACE = r"\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
CLASSES = {"d": r"\p{Nd}", "w": WORD, "s": SPACE}


def check_pattern(pattern: str, where: str) -> None:
    """Raise DataError for a pattern that Python or the engines don't know."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise DataError(f"{pattern!r} is no regular expression: {error} ({where})") from None
    if re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]", pattern):
        raise DataError(
            f"{pattern!r} uses look-around or a back-reference ({where})",
            hint="engines that read tables don't know them: say it without",
        )


def portable(pattern: str) -> str:
    """Give a pattern for the whole text, its shorthand classes written out.

    Engines differ in whether ``\\d``, ``\\w`` and ``\\s`` know more than ASCII. As in Python, they do.
    """
    return f"^(?:{spelled_out(pattern)})$"


def spelled_out(pattern: str) -> str:
    """Write a pattern's shorthand classes out."""
    made: list[str] = []
    in_class = False
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        pair = pattern[at : at + 2]
        if sign == "\\" and len(pair) == 2:
            made.append(_escaped(pair, in_class))
            at += 2
            continue
        if sign == "[" and in_class:
            # To Rust a bracket in a class begins another class.
            sign = r"\["
        elif sign == "[":
            in_class = True
            negated = "^" if pattern[at + 1 : at + 2] == "^" else ""
            # A bracket that comes first is itself.
            first = r"\]" if pattern[at + 1 + len(negated) : at + 2 + len(negated)] == "]" else ""
            sign = f"[{negated}{first}"
            at += len(negated) + (1 if first else 0)
        elif sign == "]":
            in_class = False
        elif in_class and sign in "&~":
            # To Rust these are operations on classes.
            sign = f"\\{sign}"
        made.append(sign)
        at += 1
    return "".join(made)


def _escaped(pair: str, in_class: bool) -> str:
    letter = pair[1]
    if letter.lower() in CLASSES:
        members = CLASSES[letter.lower()]
        if in_class:
            # A negated class inside another: only that of digits can be said.
            return members if letter.islower() else r"\P{Nd}" if letter == "D" else pair
        return f"[{members}]" if letter.islower() else f"[^{members}]"
    return {r"\Z": r"\z", r"\A": r"\A"}.get(pair, pair)


MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DIRECTIVES = {
    "Y": r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])",
    "y": r"[0-9]{2}",
    "m": r"(?:1[0-2]|0[1-9]|[1-9])",
    "d": r"(?:3[01]|[12][0-9]|[0 ]?[1-9])",
    "H": r"(?:2[0-3]|[01][0-9]|[0-9])",
    "I": r"(?:1[0-2]|0[1-9]|[1-9])",
    "M": r"(?:[0-5][0-9]|[0-9])",
    "S": r"(?:[0-5][0-9]|[0-9])",
    "f": r"[0-9]{1,6}",
    "j": r"(?:36[0-6]|3[0-5][0-9]|[12][0-9][0-9]|0[1-9][0-9]|00[1-9]|[1-9][0-9]|0[1-9]|[1-9])",
    "p": r"(?i:am|pm)",
    "b": f"(?i:{'|'.join(name[:3] for name in MONTHS)})",
    "B": f"(?i:{'|'.join(MONTHS)})",
    "a": f"(?i:{'|'.join(name[:3] for name in DAYS)})",
    "A": f"(?i:{'|'.join(DAYS)})",
    "z": r"(?:[+-][0-9]{2}:?[0-5][0-9](?::?[0-5][0-9](?:\.[0-9]{1,6})?)?|Z)",
    "%": "%",
}
"""What ``datetime.strptime`` reads for each directive; numbers may stand without their zeros."""

LEAP = {"Y": r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"}
LEAP["y"] = r"(?:[02468][048]|[13579][26])"
_LONG, _FEBRUARY = (0, 2, 4, 6, 7, 9, 11), 1


def date_pattern(format: str) -> str:
    """Give a regular expression for the texts that are times in a format, as ``datetime.strptime`` reads it.

    The calendar is in it: no 31st of April, and a 29th of February in leap years only. Raises DataError for a
    directive that isn't known.
    """
    if not re.search("%[^%]", format):
        raise DataError(f"{format!r} is no date's format", hint="such as '%Y-%m-%d'")
    named = set(re.findall("%(.)", format))
    if "d" not in named or not named & {"m", "b", "B"}:
        return _of(format, {})
    cases = [
        {"d": r"(?:1[0-9]|2[0-8]|[0 ]?[1-9])"},
        {"d": "(?:29|30)", **_months(i for i in range(12) if i != _FEBRUARY)},
        {"d": "31", **_months(_LONG)},
        {"d": "29", **_months([_FEBRUARY]), **(LEAP if named & {"Y", "y"} else {})},
    ]
    if not named & {"Y", "y"}:
        cases.pop()  # strptime takes the year 1900, which had no such day.
    return "|".join(_of(format, case) for case in cases)


def _months(numbers: object) -> dict[str, str]:
    months = list(numbers)  # type: ignore[call-overload]
    figures = [f"0{n + 1}|{n + 1}" if n < 9 else f"{n + 1}" for n in sorted(months, reverse=True)]
    return {
        "m": f"(?:{'|'.join(figures)})",
        "b": f"(?i:{'|'.join(MONTHS[n][:3] for n in months)})",
        "B": f"(?i:{'|'.join(MONTHS[n] for n in months)})",
    }


def _of(format: str, narrowed: dict[str, str]) -> str:
    made = []
    at = 0
    while at < len(format):
        if format[at] == "%":
            name = format[at + 1 : at + 2]
            if name not in DIRECTIVES:
                known = [f"%{letter}" for letter in DIRECTIVES]
                raise DataError(
                    f"'%{name}' of the format {format!r} isn't known",
                    hint=near_miss(f"%{name}", known) or f"one of {' '.join(known)}",
                )
            made.append(narrowed.get(name, DIRECTIVES[name]))
            at += 2
        elif format[at].isspace():
            made.append(f"[{SPACE}]+")
            at += len(format[at:]) - len(format[at:].lstrip())
        else:
            made.append(re.escape(format[at]) if format[at].isascii() else format[at])
            at += 1
    return "".join(made)
