"""``headrace store``: the words that look after a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

WORDS: Mapping[str, tuple[str, str]] = {
    "gc": ("headrace.cli.store_gc", "remove runs, results and objects that nothing keeps"),
    "check": ("headrace.cli.store_check", "read all of it, and say what is damaged or gone"),
}

USAGE = 2


def main(given: Sequence[str]) -> int:
    """Run one of the words."""
    word = given[0] if given else "--help"
    if word in ("-h", "--help"):
        print(help_text())  # noqa: T201
        raise SystemExit(0 if given else USAGE)
    if word not in WORDS:
        from headrace.cli.parser import UsageError
        from headrace.core.errors import near_miss

        raise UsageError(f"headrace store has no word {word!r}", hint=near_miss(word, WORDS))
    code: int = import_module(WORDS[word][0]).main(given[1:])
    return code


def help_text() -> str:
    """The words."""
    lines = ["usage: headrace store WORD ...", "", "Look after a store.", ""]
    lines += [f"  {name:<8}{summary}" for name, (_, summary) in WORDS.items()]
    return "\n".join([*lines, "", "`headrace store WORD --help` says more of each word."])
