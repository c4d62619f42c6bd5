"""Shell completion: ``headrace --completion bash`` prints what a shell needs, ``headrace --complete WORD…`` answers it.

What can come next is taken from the words' own parsers, so nothing is listed here a second time. Only values are known
by what their place is called: RUN, STEP, PIPELINE, OUTPUT, KEY=VALUE. Everything else is a file, a choice or free.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.resources import files
from itertools import chain, pairwise
from types import ModuleType

from headrace.cli.main import WORDS
from headrace.cli.parser import Parser, UsageError, parser_of
from headrace.core.errors import near_miss

SHELLS = ("bash", "zsh", "fish")
FILES = ":files"
"""The answer that leaves it to the shell to complete a file's name."""

PLACES = ("FILE", "PLACE", "PROJECT")
MOST_RUNS = 50

Candidates = Iterator[tuple[str, str]]
"""What can stand there, each with a few words about it."""


def main(given: Sequence[str]) -> int:
    """Print the script for a shell."""
    if len(given) != 1 or given[0] not in SHELLS:
        hint = near_miss(given[0], SHELLS) if given else None
        raise UsageError(f"headrace --completion takes a shell: {', '.join(SHELLS)}", hint=hint)
    print(files("headrace.cli").joinpath(f"completion.{given[0]}").read_text(encoding="utf-8"), end="")  # noqa: T201
    return 0


def complete(given: Sequence[str]) -> int:
    """Print what can stand in place of the last word, a line each, with a tab before what it is.

    A shell asks at every press of Tab and shows what it gets, so nothing is said when something goes wrong.
    """
    from headrace.core.errors import HeadraceError

    try:
        for value, told in candidates(list(given)):
            print(f"{value}\t{' '.join(told.split())}" if told else value)  # noqa: T201
    except (HeadraceError, OSError, ValueError):
        return 1
    return 0


def candidates(words: list[str]) -> Candidates:
    """Give what can stand in place of the last word, after the others."""
    *before, current = _rejoined(words) or [""]
    if not before:
        known = {name: summary for name, (_, summary, group) in WORDS.items() if group}
        yield from _fitting({**known, "--help": "", "--version": "", "--completion": "for a shell"}.items(), current)
    elif before == ["--completion"]:
        yield from _fitting(((shell, "") for shell in SHELLS), current)
    elif before[0] in WORDS:
        yield from _after_word(import_module(WORDS[before[0]][0]), before[1:], current)


def _after_word(module: ModuleType, before: Sequence[str], current: str) -> Candidates:
    """Give what can follow a word: another one, where the word is a group of words, else what its parser takes."""
    words: Mapping[str, tuple[str, str]] | None = getattr(module, "WORDS", None)
    if words is None:
        yield from _of_parser(parser_of(module.main), before, current)
    elif not before:
        yield from _fitting([*((name, summary) for name, (_, summary) in words.items()), ("--help", "")], current)
    elif before[0] in words:
        yield from _after_word(import_module(words[before[0]][0]), before[1:], current)


def _rejoined(words: Sequence[str]) -> list[str]:
    """Put together what bash takes apart: ``--store=a`` is three words to it."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")) and joined[-1].startswith("--"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _of_parser(parser: Parser, before: Sequence[str], current: str) -> Candidates:
    name, equals, value = current.partition("=")
    if equals and name in parser._option_string_actions:
        yield from _values(parser, before, parser._option_string_actions[name], 0, value)
        return
    read = _Read(parser, before)
    if read.open is not None:
        yield from _values(parser, before, read.open, read.n_given, current)
    elif current.startswith("-"):
        yield from _fitting(_options(parser, before), current)
    elif place := _place(parser, read.n_positionals):
        yield from _values(parser, before, place, 0, current)


class _Read:
    """How far the words before have come: an option that waits for a value, and how many places are taken."""

    def __init__(self, parser: Parser, words: Sequence[str]) -> None:
        self.open: argparse.Action | None = None
        self.n_given = 0
        self.positionals: list[str] = []
        for word in words:
            if self.open is not None:
                self.n_given += 1
            elif word in parser._option_string_actions:
                self.open, self.n_given = parser._option_string_actions[word], 0
            elif not word.startswith("-"):
                self.positionals.append(word)
            if self.open is not None and self.n_given >= _n_values(self.open):
                self.open = None

    @property
    def n_positionals(self) -> int:
        """The places that are taken."""
        return len(self.positionals)


def _n_values(action: argparse.Action) -> int:
    return action.nargs if isinstance(action.nargs, int) else 1 if action.nargs is None else 0


def _positionals(parser: Parser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]


def _place(parser: Parser, number: int) -> argparse.Action | None:
    """Give the place of a word by its number; the last one may take many."""
    places = _positionals(parser)
    if number < len(places):
        return places[number]
    return places[-1] if places and places[-1].nargs in ("*", "+") else None


def _options(parser: Parser, before: Sequence[str]) -> Candidates:
    """Give the options that aren't there yet and don't contradict one that is."""
    given = {parser._option_string_actions[word] for word in before if word in parser._option_string_actions}
    barred = {action for action in given if not isinstance(action, argparse._AppendAction)}
    for group in parser._mutually_exclusive_groups:
        if given & set(group._group_actions):
            barred |= set(group._group_actions)
    for action in parser._actions:
        if action not in barred:
            yield from ((name, action.help or "") for name in action.option_strings[-1:])


def _values(parser: Parser, before: Sequence[str], action: argparse.Action, number: int, current: str) -> Candidates:
    """Give what can be a value of an option or stand in a place."""
    what = action.metavar[number] if isinstance(action.metavar, tuple) else action.metavar
    read = _Read(parser, before)
    if action.choices is not None:
        yield from _fitting(((str(choice), "") for choice in action.choices), current)
    elif what in PLACES or (what == "PIPELINE" and ("/" in current or current.endswith(".py"))):
        yield FILES, ""
    else:
        takes_steps = any("STEP" in _kinds(place.metavar) for place in _positionals(parser))
        question = _Question(before, read.positionals, takes_steps)
        found = chain.from_iterable(VALUES[kind](question) for kind in _kinds(what) if kind in VALUES)
        yield from _fitting(dict(found).items(), current)


def _kinds(metavar: object) -> list[str]:
    """Give what may stand in a place: ``STEP|RUN`` is either."""
    return metavar.split("|") if isinstance(metavar, str) else []


class _Question:
    """What the words before say: the project and store meant, the run named."""

    def __init__(self, before: Sequence[str], positionals: Sequence[str], takes_steps: bool) -> None:
        self.before = before
        self.positionals = positionals
        self.takes_steps = takes_steps

    @property
    def store(self) -> str | None:
        """What ``--store`` says."""
        for word, following in pairwise([*self.before, ""]):
            if word == "--store":
                return following
            if word.startswith("--store="):
                return word.partition("=")[2]
        return None


def _runs(question: _Question) -> Candidates:
    from headrace.cli.places import open_existing_store
    from headrace.engine.view import known_runs

    store = open_existing_store(question.store)
    yield "latest", "the newest run"
    if question.takes_steps:
        yield from _steps_of(question, None)
    yield from ((run_id, "a run") for run_id in known_runs(store)[:MOST_RUNS])


def _steps(question: _Question) -> Candidates:
    yield from _steps_of(question, question.positionals[0] if question.positionals and question.takes_steps else None)


def _steps_of(question: _Question, run: str | None) -> Candidates:
    from headrace.cli.places import open_existing_store
    from headrace.engine.view import RunView, find_run

    store = open_existing_store(question.store)
    view = RunView.read(store, find_run(store, run))
    yield from ((step, "a step") for step in view.plan.by_id)


def _outputs(question: _Question) -> Candidates:
    from headrace.cli.places import open_existing_store
    from headrace.engine.view import RunView, find_run

    store = open_existing_store(question.store)
    named = question.positionals[0] if question.positionals else None
    yield from ((name, "an output") for name in RunView.read(store, find_run(store, named)).plan.outputs)


def _pipelines(_: _Question) -> Candidates:
    from pathlib import Path

    from headrace.core.project import Project
    from headrace.engine.listing import named_pipelines

    found = named_pipelines(Project.find(Path.cwd()).root)
    yield from ((name, f"{module}:{attribute}") for name, module, attribute in found)


def _parameters(question: _Question) -> Candidates:
    from headrace.cli.places import find_pipeline
    from headrace.engine.listing import parameters_of

    target = find_pipeline(question.positionals[0] if question.positionals else None)
    yield from ((f"{name}=", annotation) for name, annotation in parameters_of(target.paths, target.module))


VALUES: Mapping[str, Callable[[_Question], Candidates]] = {
    "RUN": _runs,
    "ID": _runs,
    "STEP": _steps,
    "NODE": _steps,
    "OUTPUT": _outputs,
    "PIPELINE": _pipelines,
    "KEY=VALUE": _parameters,
}
"""What a place or an option's value is, by its name in the help."""


def _fitting(found: Iterable[tuple[str, str]], current: str) -> Candidates:
    yield from ((value, told) for value, told in found if value.startswith(current))
