"""``headrace store doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, add_json, add_store

if TYPE_CHECKING:
    from headrace.engine.doctor import Answer

DESCRIPTION = """\
Look at this environment and the store for what is known to go wrong: versions, settings, variables, rights, atomic
writes, leases, clocks, the file system, space, leftovers. No value of a variable is shown.

It ends with 0, and with 1 when there is a problem: something that a run would fail of."""
PROBLEM = 1


def main(given: Sequence[str]) -> int:
    """Examine an environment and a store."""
    parser = Parser("store doctor", DESCRIPTION)
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    answers = list(_answers(arguments.store))
    if arguments.json:
        print(json.dumps([asdict(answer) for answer in answers], indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(answers)))  # noqa: T201
    return PROBLEM if any(answer.level == "problem" for answer in answers) else 0


def _answers(named: str | None) -> Iterator[Answer]:
    from headrace.cli.places import open_existing_store
    from headrace.core.errors import HeadraceError, RunError
    from headrace.core.project import Project
    from headrace.engine.doctor import Answer, examine_environment, examine_store
    from headrace.engine.settings import read_settings

    yield from examine_environment(lambda: read_settings(Project.find(Path.cwd()).root))
    try:
        store = open_existing_store(named)
    except RunError as error:
        yield Answer("note", "store", error.message, "there is nothing to look at yet", error.hint or "")
    except HeadraceError as error:
        yield Answer("problem", "store", str(error.message), "no pipeline can run without it", error.hint or "")
    else:
        yield from examine_store(store)


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    from headrace.reports.texts import clean, count

    for answer in answers:
        yield clean(f"{answer.level:<8} {answer.about}: {answer.text}")
        if answer.why:
            yield clean(f"         {answer.why}")
        if answer.hint:
            yield clean(f"         Hint: {answer.hint}")
    n_problems = sum(answer.level == "problem" for answer in answers)
    n_warnings = sum(answer.level == "warning" for answer in answers)
    yield f"{count(n_problems, 'problem')}, {count(n_warnings, 'warning')}"
