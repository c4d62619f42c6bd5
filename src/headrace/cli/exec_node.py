"""``headrace exec``: what each task of an orchestrator calls."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.parameters import add_date, add_parameters, read_parameters
from headrace.cli.parser import Parser, UsageError, add_json, add_store, whole_number
from headrace.cli.run import add_sample, sample_of

if TYPE_CHECKING:
    from headrace.cli.plain import PlainConsole
    from headrace.core.artifact import Artifact
    from headrace.core.plan import Node
    from headrace.core.values import Json
    from headrace.engine.records import NodeResult
    from headrace.engine.run import RunOptions, Session
    from headrace.engine.starting import Ahead
    from headrace.engine.state import Run

DESCRIPTION = """\
Execute one node of a run, for an orchestrator that has decided that it is its turn; or begin the run, or finish it.

The run begins with --begin, or else with the first node that is executed: its parameters and external pins are
recorded then, once, and hold for all others, whatever is given later. Exit codes: 0 the node succeeded, was a hit or
was skipped; 1 it failed, its retries included; 2 it could not be begun; 130 the run was cancelled (headrace cancel).
A gate's rejection is no failure of the node: --finish exits with 3 then, and else as headrace run would have."""

MOST_BYTES_OF_A_VALUE = 100_000
MOST_OUTPUTS_LEFT = 100


def main(given: Sequence[str]) -> int:
    """Begin a run, execute one node of it, or finish it, and return the exit code."""
    arguments = _read(given)
    if arguments.with_parent:
        _end_with_parent(arguments.with_parent)
    if arguments.begin or arguments.finish:
        return _main(arguments, None)
    from headrace.engine.starting import started_ahead

    with started_ahead() as ahead:  # it starts while this process loads what it needs itself
        return _main(arguments, ahead)


def _main(arguments: argparse.Namespace, ahead: Ahead | None) -> int:
    from headrace.cli.places import find_pipeline
    from headrace.cli.plain import PlainConsole
    from headrace.cli.steady import ending_as_interrupted
    from headrace.engine.run import RunOptions, Session

    console = PlainConsole(sys.stderr if arguments.json or arguments.slices else sys.stdout)
    session = Session(find_pipeline(arguments.pipeline), None, Path.cwd(), arguments.store, ahead)
    engine = {"name": arguments.engine, "run": arguments.engine_run} if arguments.engine else None
    with ending_as_interrupted():
        if arguments.begin:
            sample = sample_of(arguments, session.settings)
            return _begin(session, arguments, RunOptions(display=console, engine=engine, sample=sample))
        if arguments.finish:
            return _finish(session, arguments, RunOptions(display=console))
        from headrace.cli.echo import Echo

        echo = Echo(console, session.store, arguments.run)
        options = RunOptions(display=echo, engine=engine, sample=sample_of(arguments, session.settings))
        return _execute(session, arguments, options, console)


def _read(given: Sequence[str]) -> argparse.Namespace:
    parser = Parser("exec", DESCRIPTION)
    parser.add_argument("node", nargs="?", metavar="NODE", help="the node's id in the plan")
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="as for headrace run")
    parser.add_argument("--run", required=True, metavar="ID", help="the run's id, the same for all its nodes")
    add_parameters(parser)
    add_date(parser)
    add_sample(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--begin", action="store_true", help="only begin the run; names no NODE")
    what.add_argument(
        "--slices", action="store_true", help="of a node that maps: print its tasks, such as 0:100, as JSON"
    )
    what.add_argument("--items", metavar="FIRST:END", help="of a node that maps: carry out the items of one task")
    what.add_argument("--collect", action="store_true", help="of a node that maps: end it, when its tasks have ended")
    what.add_argument(
        "--finish",
        action="store_true",
        help="end the run, when all its tasks have ended, and say how; names no NODE",
    )
    parser.add_argument(
        "--value",
        dest="values",
        action="append",
        default=[],
        metavar="OUTPUT",
        help="with --json: also what this output holds, if that is JSON and small (may be given again)",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="for an engine that can't tell a failure from a lost task: don't execute again what failed in this run",
    )
    parser.add_argument(
        "--leave",
        metavar="FOLDER",
        help="also leave how it ended as files there, for an engine that reads files: outcome, and outputs.json",
    )
    parser.add_argument(
        "--shape", metavar="DIGEST", help="with --begin: refuse where the graph is another than that which was compiled"
    )
    parser.add_argument("--engine", metavar="NAME", help="the orchestrator, for the run's record")
    parser.add_argument("--engine-run", metavar="TEXT", default="", help="what the orchestrator calls the run")
    parser.add_argument(
        "--with-parent",
        type=whole_number,
        metavar="PID",
        help="end, and the step with it, when the process that started this one, of that number, ends",
    )
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    if arguments.begin or arguments.finish:
        if arguments.pipeline is not None:
            raise UsageError(
                f"headrace exec: there is no place for {arguments.pipeline!r}",
                hint="--begin and --finish are about the whole run and name no node",
            )
        arguments.node, arguments.pipeline = None, arguments.node
    elif arguments.node is None:
        raise UsageError("headrace exec needs a NODE", hint="its id in the plan; or --begin, or --finish")
    return arguments


def _end_with_parent(parent: int) -> None:
    """Be told to end when the process that started this one ends, and end at once where it has already."""
    from headrace.engine.process import end_with_parent

    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        raise KeyboardInterrupt


def _given(arguments: argparse.Namespace) -> dict[str, object]:
    return read_parameters(arguments.parameters, arguments.params, arguments.date)


def _begin(session: Session, arguments: argparse.Namespace, options: RunOptions) -> int:
    from headrace.core.values import encode
    from headrace.engine.exec_run import begin_run

    view = begin_run(session, arguments.run, encode(_given(arguments)), options, arguments.shape)
    if arguments.json:
        facts = {
            "run": view.id,
            "pipeline": view.plan.pipeline,
            "date": view.begin.get("date"),
            "nodes": len(view.plan.nodes),
            "store": session.store.url,
        }
        sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def _finish(session: Session, arguments: argparse.Namespace, options: RunOptions) -> int:
    from headrace.engine.exec_run import finish_run

    end = finish_run(session, arguments.run, options)
    _leave(arguments.leave, end.outcome.value, {})
    failed = {item.node: item.failure.message if item.failure else "" for item in end.view.failures()}
    if arguments.json:
        nodes = {
            name: {"outcome": item.outcome, "attempt": item.attempt, "reason": item.reason, "seconds": item.seconds}
            for name, item in end.view.results.items()
        }
        facts = {
            "run": end.view.id,
            "pipeline": end.view.plan.pipeline,
            "outcome": end.outcome,
            "seconds": (end.view.end or {}).get("seconds"),
            "counts": (end.view.end or {}).get("counts"),
            "rejected_by": end.rejected_by,
            "failed": failed,
            "nodes": nodes,
        }
        sys.stdout.write(json.dumps(facts) + "\n")
    return end.outcome.exit_code


def _leave(folder: str | None, outcome: str, outputs: Mapping[str, Artifact]) -> None:
    """Leave files that say how a node or a run ended, and references to what it made; never what that holds."""
    if folder is None:
        return
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    references = {
        name: {"digest": item.digest, "format": item.format, "n_bytes": item.n_bytes}
        for name, item in list(outputs.items())[:MOST_OUTPUTS_LEFT]
    }
    (place / "outcome").write_text(outcome, encoding="utf-8")
    (place / "outputs.json").write_text(json.dumps(references), encoding="utf-8")


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


def _values(session: Session, result: NodeResult, names: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """What small outputs hold, for an engine that shows it."""
    from headrace.engine.readable import stored_json

    for name in names:
        if name in result.outputs and result.outcome.is_good:
            value = stored_json(session.store, result.outputs[name], most_bytes=MOST_BYTES_OF_A_VALUE)
            if value is not None:
                yield name, value[0]


def _execute(session: Session, arguments: argparse.Namespace, options: RunOptions, console: PlainConsole) -> int:
    from headrace.core.outcome import Outcome, RunOutcome
    from headrace.core.values import encode
    from headrace.engine.exec_node import exec_node

    parameters = encode(_given(arguments))
    work, once = _work(arguments), arguments.once
    result = exec_node(session, arguments.node, arguments.run, parameters, options, work, once=once)
    _leave(arguments.leave, result.outcome.value, result.outputs)
    if arguments.slices:
        sys.stdout.write(json.dumps((result.items or {}).get("slices", [])) + "\n")
        return 1 if result.outcome.is_failure else 0
    if arguments.items and not result.outcome.is_failure:
        console.write(f"{arguments.node}: {result.reason}")
    elif not console.has_told_an_end:
        console.write(f"{arguments.node}: has ended in this run already: {result.outcome}")
    if arguments.json:
        facts = {**json.loads(result.to_json()), "values": dict(_values(session, result, arguments.values))}
        sys.stdout.write(json.dumps(facts) + "\n")
    if result.outcome is Outcome.CANCELLED:
        return RunOutcome.CANCELLED.exit_code
    return 1 if result.outcome.is_failure else 0
