"""``headrace resume``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.cli.parser import Parser

DESCRIPTION = """\
Run a run's pipeline again with the parameters that it was given. All that it made is reused, also of steps that are
not cached (cache=False), where their code and inputs are as they were. Of a run with --from or --only the same part is
run, and what it executed is not executed again.

`headrace run` alone goes on after a failure just as well, but for those steps."""


def main(given: Sequence[str]) -> int:
    """Resume a run and return the exit code."""
    from headrace.cli.run import add_running, run_target

    parser = Parser("resume", DESCRIPTION)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id, or its begin or end; else the newest run")
    add_running(parser)
    arguments = parser.read(given)
    if arguments.inline:
        from headrace.cli.steady import start_steady

        start_steady(["resume", *given])
    from headrace.cli.places import open_existing_store
    from headrace.engine.records import RunRecord
    from headrace.engine.selection import Selection
    from headrace.engine.target import Target
    from headrace.engine.view import find_run

    store = open_existing_store(arguments.store)
    record = RunRecord(store, find_run(store, arguments.run))
    begun = record.begin()
    again = ["headrace", "resume", *given]
    arguments.store = store.url
    target = Target.from_json(begun["target"])
    selection = Selection.from_json(begun.get("selection"))
    folder = Path(begun["folder"])
    return run_target(target, begun["given"], folder, arguments, again=again, resumes=record, selection=selection)
