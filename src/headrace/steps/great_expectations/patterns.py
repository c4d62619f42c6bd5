"""Python's regular expressions, said so that each engine's own means the same.

Polars has Rust's expressions, DuckDB RE2's. In both ``\\d``, ``\\w`` and ``\\s`` are other sets of characters than in
Python (in RE2 ASCII's alone), and ``$`` doesn't look before a last line break. So a pattern is parsed as Python
parses it, and written down again in words that all of them read alike.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any

MOST_REPEATS = 1000
"""RE2 knows no more."""

DIGIT = r"\p{Nd}"
WORD = r"\p{L}\p{N}_"
SPACE = r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_CLASSES = {
    "CATEGORY_DIGIT": (DIGIT, False),
    "CATEGORY_NOT_DIGIT": (DIGIT, True),
    "CATEGORY_SPACE": (SPACE, False),
    "CATEGORY_NOT_SPACE": (SPACE, True),
    "CATEGORY_WORD": (WORD, False),
    "CATEGORY_NOT_WORD": (WORD, True),
}
_ENDS = {
    "AT_BEGINNING": r"\A",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": r"(?:\n?\z)",
    "AT_END_STRING": r"\z",
}
_NOT_ELSEWHERE = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a condition on a group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}


class PatternError(ValueError):
    """The pattern can't be said for all engines; the text says why."""


def engine_pattern(pattern: str) -> str:
    """Write a pattern for Rust's and RE2's engines that finds where Python's ``re.search`` does.

    Raises PatternError where there is none: look-around, back-references, word boundaries beside what may be a
    letter outside ASCII, more than 1,000 repeats.
    """
    parser: Any = importlib.import_module("re._parser")
    try:
        re.compile(pattern)
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"{pattern!r} is no regular expression: {error}") from None
    flags = tree.state.flags & ~re.UNICODE
    if flags & ~(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE):
        raise PatternError(f"{pattern!r} has a flag that engines don't know (ASCII, LOCALE)")
    return _sequence(tree, flags, pattern)


def _sequence(items: Iterable[Any], flags: int, pattern: str) -> str:
    return "".join(_item(str(kind), given, flags, pattern) for kind, given in items)


def _item(kind: str, given: Any, flags: int, pattern: str) -> str:
    if kind in _NOT_ELSEWHERE:
        raise PatternError(f"{pattern!r} uses {_NOT_ELSEWHERE[kind]}, which engines that read tables don't know")
    if kind == "LITERAL":
        return _cased(_character(given), flags)
    if kind == "NOT_LITERAL":
        return _cased(f"[^{_character(given)}]", flags)
    if kind == "ANY":
        return "(?s:.)" if flags & re.DOTALL else r"[^\n]"
    if kind == "IN":
        return _cased(_set(given, pattern), flags)
    if kind == "AT":
        return _place(str(given), flags, pattern)
    if kind == "BRANCH":
        return f"(?:{'|'.join(_sequence(branch, flags, pattern) for branch in given[1])})"
    if kind == "SUBPATTERN":
        _, added, removed, inner = given
        return f"(?:{_sequence(inner, (flags | added) & ~removed, pattern)})"
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeat(*given, flags=flags, pattern=pattern)
    raise PatternError(f"{pattern!r} uses {kind}, which isn't known here")


def _character(code: int) -> str:
    if code < 128 and (chr(code).isalnum() or code == 0x20):
        return chr(code)
    return f"\\x{{{code:x}}}"


def _cased(text: str, flags: int) -> str:
    return f"(?i:{text})" if flags & re.IGNORECASE else text


def _set(members: list[tuple[Any, Any]], pattern: str) -> str:
    is_negated = str(members[0][0]) == "NEGATE"
    parts = []
    for kind, given in members[is_negated:]:
        name = str(kind)
        if name == "LITERAL":
            parts.append(_character(given))
        elif name == "RANGE":
            parts.append(f"{_character(given[0])}-{_character(given[1])}")
        else:
            characters, is_other = _CLASSES[str(given)]
            if is_other and len(members) - is_negated > 1:
                raise PatternError(f"{pattern!r} has a set with \\D, \\S or \\W among others: say it the other way")
            is_negated ^= is_other
            parts.append(characters)
    return f"[{'^' if is_negated else ''}{''.join(parts)}]"


def _place(name: str, flags: int, pattern: str) -> str:
    if flags & re.MULTILINE and name in ("AT_BEGINNING", "AT_END"):
        return "(?m:^)" if name == "AT_BEGINNING" else "(?m:$)"
    if name in _ENDS:
        return _ENDS[name]
    raise PatternError(f"{pattern!r} uses \\b or \\B, which engines read differently beside letters outside ASCII")


def _repeat(low: int, high: Any, inner: Any, *, flags: int, pattern: str) -> str:
    is_open = str(high) == "MAXREPEAT"
    if max(low, 0 if is_open else high) > MOST_REPEATS:
        raise PatternError(f"{pattern!r} repeats more than {MOST_REPEATS} times, which engines don't")
    text = _sequence(inner, flags, pattern)
    if (low, is_open) == (0, True):
        times = "*"
    elif (low, is_open) == (1, True):
        times = "+"
    else:
        times = f"{{{low},{'' if is_open else high}}}"
    return f"(?:{text}){times}"


def like_pattern(pattern: str) -> str:
    """Write SQL's LIKE as a Python pattern: ``%`` for anything, ``_`` for one character."""
    wild = {"%": "(?s:.*)", "_": "(?s:.)"}
    return rf"\A{''.join(wild.get(letter) or re.escape(letter) for letter in pattern)}\Z"
