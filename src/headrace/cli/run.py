"""``headrace run``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parameters import add_dates, add_parameters, read_parameters
from headrace.cli.parser import Parser, add_json, add_store, whole_number

if TYPE_CHECKING:
    from headrace.cli.console import Console
    from headrace.core.sample import Sample
    from headrace.core.values import Json
    from headrace.engine.records import RunRecord
    from headrace.engine.run import RunOptions
    from headrace.engine.selection import Selection
    from headrace.engine.target import Target

DESCRIPTION = """\
Run a pipeline. What was made before from the same code and inputs is not made again.

PIPELINE is module:name, module, a pipeline's name, path/to/file.py or path/to/file.py:name; by default
HEADRACE_PIPELINE, else what [tool.headrace] in pyproject.toml says. A relative path in a parameter starts at the
current folder."""


def main(given: Sequence[str]) -> int:
    """Run a pipeline and return the exit code."""
    parser = Parser("run", DESCRIPTION)
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="what to run")
    add_parameters(parser)
    add_dates(parser)
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--from",
        dest="start",
        action="append",
        default=[],
        metavar="STEP",
        help="execute this step, and all that depends on it, whatever the cache holds; may be given several times",
    )
    part.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="STEP",
        help="execute this step alone, whatever the cache holds of it, from inputs that are in the cache; may be given "
        "several times",
    )
    add_sample(parser)
    add_running(parser)
    arguments = parser.read(given)
    if arguments.inline:
        from headrace.cli.steady import start_steady

        start_steady(["run", *given])
    from headrace.cli.places import find_pipeline
    from headrace.core.values import encode
    from headrace.engine.selection import Selection

    parameters = encode(read_parameters(arguments.parameters, arguments.params, arguments.date))
    target = find_pipeline(arguments.pipeline)
    again = ["headrace", "run", *given]
    selection = Selection(tuple(arguments.start), tuple(arguments.only))
    if arguments.dates is not None:
        from headrace.cli.backfill import run_dates

        return run_dates(target, parameters, arguments, selection, again=again)
    return run_target(target, parameters, Path.cwd(), arguments, again=again, selection=selection)


def add_sample(parser: argparse.ArgumentParser) -> None:
    """Let the run take a sample of its data."""
    parser.add_argument(
        "--sample",
        metavar="SHARE",
        help="take only this share of the data, such as 1%% or 0.01, where it enters (else HEADRACE_SAMPLE); the model "
        "is kept apart and never promoted",
    )
    parser.add_argument(
        "--sample-key",
        action="append",
        default=[],
        metavar="COLUMN",
        help="sample whole customers, say: the column that names them, in each table that has it; may be given again",
    )
    parser.add_argument(
        "--sample-stratify", metavar="COLUMN", help="keep the share of each value of this column, where a table has it"
    )


def sample_of(arguments: argparse.Namespace, settings: Mapping[str, object]) -> Sample | None:
    """The sample that was asked for; None for all data. Raises `ProjectError` for one that is none."""
    share = arguments.sample or os.environ.get("HEADRACE_SAMPLE")
    if not share:
        return None
    from headrace.core.sample import read_sample

    key = tuple(arguments.sample_key)
    return read_sample(share, settings.get("sample"), key=key, stratify=arguments.sample_stratify)


def add_running(parser: argparse.ArgumentParser) -> None:
    """How a run is to be done and shown."""
    parser.add_argument(
        "--workers", type=whole_number, metavar="N", help="how many steps may run at once (else the processors)"
    )
    parser.add_argument(
        "--inline", action="store_true", help="everything in one process, one step after the other: for a debugger"
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="where another run stands in the way (for the same date, too many at once, the date before), wait for its "
        "end instead of refusing",
    )
    add_store(parser)
    add_json(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what goes wrong")


def run_target(
    target: Target,
    parameters: Mapping[str, Json],
    folder: Path,
    arguments: argparse.Namespace,
    *,
    again: Sequence[str],
    resumes: RunRecord | None = None,
    selection: Selection | None = None,
) -> int:
    """Run what was found, show how it goes and how it ended, and return the exit code.

    ``again``: the command that would run it again, as words.
    """
    from headrace.cli.console import open_console
    from headrace.cli.steady import ending_as_interrupted
    from headrace.cli.summary import show_end
    from headrace.core.errors import HeadraceError
    from headrace.engine.run import Session
    from headrace.engine.selection import Selection

    console = open_console(is_quiet=arguments.quiet, is_inline=arguments.inline, as_json=arguments.json)
    with ending_as_interrupted():
        try:
            session = Session(target, None, folder, arguments.store)
            sample = resumed_sample(resumes) if resumes else sample_of(arguments, session.settings)
            options = options_of(arguments, console, selection or Selection(), resumes, sample)
            result = session.run(dict(parameters), options)
        except HeadraceError as error:
            console.close()
            from headrace.cli.complaint import complain

            usage = complain(error, as_json=arguments.json)
            return usage if console.run_id is None else 1
        finally:
            console.close()
        show_end(result, arguments, again)
    return result.outcome.exit_code


def resumed_sample(resumes: RunRecord) -> Sample | None:
    """The sample that the run took which is resumed."""
    from headrace.core.sample import Sample

    taken = resumes.begin().get("sample")
    return Sample.from_json(taken) if taken else None


def options_of(
    arguments: argparse.Namespace,
    console: Console,
    selection: Selection,
    resumes: RunRecord | None = None,
    sample: Sample | None = None,
) -> RunOptions:
    """What was asked for, for the engine."""
    from headrace.engine.run import RunOptions

    return RunOptions(
        workers=arguments.workers,
        inline=arguments.inline,
        display=console,
        resumes=resumes,
        selection=selection,
        sample=sample,
        echo=not arguments.json,
        waits=_tell_wait if arguments.wait else None,
    )


def _tell_wait(text: str) -> None:
    print(f"headrace: waiting: {text}", file=sys.stderr, flush=True)  # noqa: T201
