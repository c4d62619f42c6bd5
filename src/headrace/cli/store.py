"""``headrace store``: the words that look after a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from headrace.cli.parser import Parser, UsageError, add_json, add_store
from headrace.core.errors import near_miss

WORDS: Mapping[str, tuple[str, str]] = {
    "gc": ("headrace.cli.store_gc", "remove runs, results and objects that nothing keeps"),
    "check": ("headrace.cli.store_check", "read all of it, and say what is damaged or gone"),
    "doctor": ("headrace.cli.store_doctor", "look at this environment and the store for what is known to go wrong"),
}

_EPILOG = "`headrace store WORD --help` says more of each word."


def main(given: Sequence[str]) -> int:
    """Run one of the words."""
    if given and given[0] in WORDS:
        code: int = import_module(WORDS[given[0]][0]).main(given[1:])
        return code
    parser = Parser("store", "Look after a store.", _EPILOG)
    listed = "; ".join(f"{name}: {summary}" for name, (_, summary) in WORDS.items())
    parser.add_argument("word", choices=[*WORDS], metavar="WORD", help=listed)
    add_store(parser)
    add_json(parser)
    if given and not given[0].startswith("-"):
        raise UsageError(f"headrace store has no word {given[0]!r}", hint=near_miss(given[0], WORDS))
    parser.read(given)
    raise UsageError("headrace store: its word comes first", hint="headrace store --help")
