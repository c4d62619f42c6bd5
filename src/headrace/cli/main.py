"""The command ``headrace``: finds the word, runs it, and turns what goes wrong into a text and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

USAGE = 2
INTERRUPTED = 130


# Word: the module that does it, what it does in a few words, and the group that help lists it in (None: it is for
# programs). Plain tuples, since dataclasses would be half of what `--help` takes.
WORDS: Mapping[str, tuple[str, str, str | None]] = {
    "init": ("headrace.cli.init", "make a project, for a table of your own", "Begin"),
    "run": ("headrace.cli.run", "run a pipeline", "Run"),
    "resume": ("headrace.cli.resume", "run it again as it was given, reusing what a run made", "Run"),
    "cancel": ("headrace.cli.cancel", "end a run that is under way", "Run"),
    "compile": ("headrace.cli.compile", "write an orchestrator's files for it", "Run"),
    "runs": ("headrace.cli.runs", "list runs", "Look"),
    "show": ("headrace.cli.show", "show a run, make its report, save an output", "Look"),
    "why": ("headrace.cli.why", "say why steps were executed, or were not", "Look"),
    "logs": ("headrace.cli.logs", "print what steps printed", "Look"),
    "data": ("headrace.cli.data", "look at data, and after what is served of it: profile, drift, features", "Look"),
    "store": ("headrace.cli.store", "look after a store: gc, check, doctor", "Keep"),
    "exec": ("headrace.cli.exec_node", "execute one node of a run", None),
}

EPILOG = """\
`headrace WORD --help` says more of each word.
Exit codes: 0 succeeded, 1 failed, 2 usage or configuration, 3 rejected by a gate, 130 interrupted."""


COMPLETION = "`headrace --completion SHELL` prints what makes bash, zsh or fish complete all of it."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``arguments``: without the program's name; by default the process's."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _main(given)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("headrace: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nothing can be said to them, at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(given: list[str]) -> int:
    from headrace.core.errors import HeadraceError, near_miss

    word = given[0] if given else "--help"
    if word in ("-h", "--help", "help"):
        print(help_text())  # noqa: T201
        return 0 if given else USAGE
    if word in ("-V", "--version"):
        from headrace import __version__

        print(f"headrace {__version__}")  # noqa: T201
        return 0
    try:
        if word in ("--completion", "--complete"):
            completion = import_module("headrace.cli.completion")
            answer: int = (completion.main if word == "--completion" else completion.complete)(given[1:])
            return answer
        if word not in WORDS:
            from headrace.cli.parser import UsageError

            kind = "option" if word.startswith("-") else "word"
            listed = [name for name, (_, _, group) in WORDS.items() if group]
            raise UsageError(f"headrace has no {kind} {word!r}", hint=near_miss(word, listed))
        module = import_module(WORDS[word][0])
        code: int = module.main(given[1:])
        return code
    except HeadraceError as error:
        from headrace.cli.complaint import complain

        return complain(error, as_json="--json" in given)


def help_text() -> str:
    """The words by group."""
    lines = ["Usage: headrace WORD ...", "", "Machine-learning pipelines in plain Python."]
    groups = dict.fromkeys(group for _, _, group in WORDS.values() if group)
    for title in groups:
        lines += ["", f"{title}:"]
        lines += [f"  {name:<8}{summary}" for name, (_, summary, group) in WORDS.items() if group == title]
    return "\n".join([*lines, "", EPILOG, COMPLETION])


if __name__ == "__main__":
    sys.exit(main())
