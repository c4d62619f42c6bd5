"""``headrace exec``: what each task of an orchestrator calls."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parameters import add_date, add_parameters, read_parameters
from headrace.cli.parser import Parser, add_json, add_store

if TYPE_CHECKING:
    from headrace.core.plan import Node
    from headrace.engine.records import NodeResult
    from headrace.engine.state import Run

DESCRIPTION = """\
Execute one node of a run, for an orchestrator that has decided that it is its turn.

The run begins with the first node that is executed: its parameters and external pins are recorded then, once, and
hold for all others, whatever is given later. Exit codes: 0 the node succeeded, was a hit or was skipped; 1 it failed;
2 it could not be begun; 130 the run was cancelled (headrace cancel). A gate's rejection is no failure of the node."""


def _work(arguments: argparse.Namespace) -> Callable[[Run, Node], NodeResult]:
    """What is to be done with the node."""
    from functools import partial

    from headrace.engine import exec_items
    from headrace.engine.execute import execute

    if arguments.slices:
        return exec_items.slices
    if arguments.items:
        return partial(exec_items.carry_out, items=exec_items.Slice.parse(arguments.items))
    return exec_items.collect if arguments.collect else execute


def main(given: Sequence[str]) -> int:
    """Execute one node and return the exit code."""
    parser = Parser("exec", DESCRIPTION)
    parser.add_argument("node", metavar="NODE", help="the node's id in the plan")
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="as for headrace run")
    parser.add_argument("--run", required=True, metavar="ID", help="the run's id, the same for all its nodes")
    add_parameters(parser)
    add_date(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--slices", action="store_true", help="of a node that maps: print its tasks, such as 0:100, as JSON"
    )
    what.add_argument("--items", metavar="FIRST:END", help="of a node that maps: carry out the items of one task")
    what.add_argument("--collect", action="store_true", help="of a node that maps: end it, when its tasks have ended")
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.places import find_pipeline
    from headrace.cli.plain import PlainConsole
    from headrace.cli.steady import ending_as_interrupted
    from headrace.core.outcome import Outcome, RunOutcome
    from headrace.core.values import encode
    from headrace.engine.exec_node import exec_node
    from headrace.engine.run import RunOptions, Session

    parameters = encode(read_parameters(arguments.parameters, arguments.params, arguments.date))
    console = PlainConsole(sys.stderr if arguments.json or arguments.slices else sys.stdout)
    session = Session(find_pipeline(arguments.pipeline), None, Path.cwd(), arguments.store)
    with ending_as_interrupted():
        options = RunOptions(display=console)
        result = exec_node(session, arguments.node, arguments.run, parameters, options, _work(arguments))
    if arguments.slices:
        sys.stdout.write(json.dumps((result.items or {}).get("slices", [])) + "\n")
        return 1 if result.outcome.is_failure else 0
    if arguments.items and not result.outcome.is_failure:
        console.write(f"{arguments.node}: {result.reason}")
    elif not console.has_told_an_end:
        console.write(f"{arguments.node}: has ended in this run already: {result.outcome}")
    if arguments.json:
        sys.stdout.write(result.to_json().decode() + "\n")
    if result.outcome is Outcome.CANCELLED:
        return RunOutcome.CANCELLED.exit_code
    return 1 if result.outcome.is_failure else 0
