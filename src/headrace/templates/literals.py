"""Python source for values, as the formatter writes it; and names made harmless for texts and comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

WIDTH = 120


def literal(value: Any) -> str:
    """Give the source of a text, number, boolean, None or tuple of them. Text is in double quotes where it can be."""
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, tuple):
        return f"({', '.join(literal(item) for item in value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, date):
        return text_literal(value.isoformat())
    return repr(value)


def text_literal(text: str) -> str:
    """Give a text's source, in the quotes that the formatter chooses; what can't be printed is escaped."""
    escaped = json.dumps(text, ensure_ascii=not text.isprintable())
    if text.count('"') <= text.count("'"):
        return escaped
    inner = escaped[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def plain(text: str, most: int = 60) -> str:
    """Give a name for a docstring, comment or table: what could end or break them is replaced, and long ones cut."""
    harmless = re.sub(r"[^\w .,;:%+/<>=()&@'-]|\s", lambda sign: " " if sign[0] == " " else "_", text)
    return harmless if len(harmless) <= most else harmless[: most - 1] + "…"


def call(head: str, arguments: Sequence[str | Sequence[str]], *, indent: int, end: str = ",") -> str:
    """Give a call on one line where it fits, else an argument a line; a sequence of texts is a list or tuple of them.

    ``head`` goes up to the opening bracket of the call. A tuple's texts are given with its brackets as the first and
    the last.
    """
    whole = f"{head}({', '.join(_joined(argument) for argument in arguments)}){end}"
    if indent + len(whole) <= WIDTH:
        return whole
    inner = " " * (indent + 4)
    made = [f"{inner}{_broken(argument, indent + 4)},\n" for argument in arguments]
    return f"{head}(\n{''.join(made)}{' ' * indent}){end}"


def _joined(argument: str | Sequence[str]) -> str:
    if isinstance(argument, str):
        return argument
    first, *items, last = argument
    return f"{first}{', '.join(items)}{',' if first == '(' and len(items) == 1 else ''}{last}"


def _broken(argument: str | Sequence[str], indent: int) -> str:
    whole = _joined(argument)
    if isinstance(argument, str) or indent + len(whole) < WIDTH:
        return whole
    first, *items, last = argument
    return f"{first}\n{lines((f'{item},' for item in items), indent + 4)}{' ' * indent}{last}"


def lines(items: Iterable[str], indent: int = 4) -> str:
    """Give one line for each."""
    return "".join(f"{' ' * indent}{item}\n" for item in items)


def entries(items: Iterable[tuple[str, str]], indent: int = 4) -> str:
    """Give one line for each item of a tuple, each with a comment where it has one."""
    return lines((f"{item},  # {note}" if note else f"{item}," for item, note in items), indent)


def imports(names: Iterable[str]) -> str:
    """Give the names of an import in parentheses, one a line: constants first, then classes, then functions."""
    order = sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    return lines(f"{name}," for name in order)
