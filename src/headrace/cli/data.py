"""``headrace data``: the words that look at data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from headrace.cli.parser import Parser, UsageError, add_json
from headrace.core.errors import near_miss

WORDS: Mapping[str, tuple[str, str]] = {
    "profile": ("headrace.cli.data_profile", "learn in one pass what each column of a table holds"),
    "suite": ("headrace.cli.data_suite", "write a suite of checks that hold for a table"),
    "check": ("headrace.cli.data_check", "run a suite of checks over a table"),
    "drift": ("headrace.cli.data_drift", "say how far a table lies from an earlier one or its profile"),
    "features": ("headrace.cli.data_features", "look after the features that are served: materialize, list, get"),
}

_EPILOG = "`headrace data WORD --help` says more of each word."


def main(given: Sequence[str]) -> int:
    """Run one of the words."""
    if given and given[0] in WORDS:
        code: int = import_module(WORDS[given[0]][0]).main(given[1:])
        return code
    parser = Parser("data", "Look at data.", _EPILOG)
    listed = "; ".join(f"{name}: {summary}" for name, (_, summary) in WORDS.items())
    parser.add_argument("word", choices=[*WORDS], metavar="WORD", help=listed)
    add_json(parser)
    if given and not given[0].startswith("-"):
        raise UsageError(f"headrace data has no word {given[0]!r}", hint=near_miss(given[0], WORDS))
    parser.read(given)
    raise UsageError("headrace data: its word comes first", hint="headrace data --help")
