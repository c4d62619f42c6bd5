"""Small texts: sizes, durations, and text from elsewhere made safe to print."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engine.texts import clean as clean
from headrace.engine.texts import last_lines as last_lines

_UNITS = ("kB", "MB", "GB", "TB")


def one_line(text: str, width: int = 160) -> str:
    """The first line of a text, cut to a width."""
    first = clean(text.strip().partition("\n")[0]).replace("\t", " ")
    return first if len(first) <= width else f"{first[: width - 1]}…"


def size(n_bytes: int) -> str:
    """A number of bytes for people: ``312 B``, ``1.2 MB``."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    power = next((n for n in range(1, len(_UNITS)) if n_bytes < 999.5 * 1000**n), len(_UNITS))
    amount = n_bytes / 1000**power
    return f"{amount:.1f} {_UNITS[power - 1]}" if amount < 99.95 else f"{amount:.0f} {_UNITS[power - 1]}"


def duration(seconds: float) -> str:
    """A time span for people: ``0.012 s``, ``3.4 s``, ``2 min 05 s``, ``3 h 07 min``."""
    if seconds < 0.0995:
        return f"{seconds:.3f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count(number: int, noun: str) -> str:
    """A number and its noun: ``1 step``, ``2 steps``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(text: str) -> str:
    """A time of a record, in UTC, to the second: ``2026-11-22 09:57:24``."""
    return text[:19].replace("T", " ")


def counts_text(counts: Mapping[str, int]) -> str:
    """How many nodes ended how: ``3 succeeded, 2 cached``."""
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items())


def format_label(name: str) -> str:
    """A format's name without its package: ``package.module:ModelFormat`` is ``ModelFormat``."""
    return name.rpartition(":")[2]
