"""Reading a word's own arguments, and saying what is wrong with them as all of Headrace says it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from headrace.core.errors import HeadraceError, near_miss


class UsageError(HeadraceError):
    """The command line is wrong."""


class Asked(list[str]):
    """Arguments by which a word isn't to be done, but asked what it takes: see `parser_of`."""


class Answered(Exception):  # noqa: N818
    """What a word that was asked takes."""

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


class Parser(argparse.ArgumentParser):
    """An ``argparse`` parser whose errors are `UsageError`, and whose options may stand anywhere."""

    def __init__(self, word: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=f"headrace {word}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def read(self, given: Sequence[str]) -> argparse.Namespace:
        """Parse what stands after the word."""
        if isinstance(given, Asked):
            raise Answered(self)
        return self.parse_intermixed_args(given)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, with the option that was probably meant."""
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown is None:
            raise UsageError(f"{self.prog}: {message}", hint=f"{self.prog} --help")
        name = unknown[1].partition("=")[0]
        options = [option for action in self._actions for option in action.option_strings if len(option) > 2]
        if name.startswith("-"):
            raise UsageError(f"{self.prog} has no option {name!r}", hint=near_miss(name, options))
        raise UsageError(f"{self.prog}: there is no place for {unknown[1]!r}", hint=f"{self.prog} --help")


def parser_of(main: Callable[[Sequence[str]], object]) -> Parser:
    """Give the parser that a word reads its arguments with: each makes it first of all, and nobody lists it again."""
    try:
        main(Asked())
    except Answered as answer:
        return answer.parser
    raise AssertionError(f"{main.__module__} reads no arguments")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Let the store be chosen."""
    parser.add_argument(
        "--store",
        metavar="PLACE",
        help="the store, a folder or URL (else HEADRACE_STORE, else [tool.headrace], else .headrace in the project)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let the answer be JSON."""
    parser.add_argument("--json", action="store_true", help="answer with one JSON document on standard output")


def whole_number(text: str) -> int:
    """Read a number of one or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number of 1 or more is needed, but got {text!r}")
    return number
