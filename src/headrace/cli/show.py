"""``headrace show``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.columns import table
from headrace.cli.outputs import made_outputs, output_json, output_row
from headrace.cli.parser import Parser, UsageError, add_json, add_store
from headrace.cli.plain import describe_warning
from headrace.cli.summary import rejection_lines
from headrace.engine.readable import sample_text, text
from headrace.reports.texts import clean, duration, moment, one_line, size

if TYPE_CHECKING:
    from headrace.core.plan import Node, Plan
    from headrace.engine.records import NodeResult
    from headrace.engine.view import RunView

DESCRIPTION = """\
Show a run: how its steps ended, why, and what they made. With STEP: all that is recorded of one step. With two runs:
what differs between them, of code, values, data, environment, outputs, metrics, outcomes and times.

A single word may be a step of the newest run."""


def main(given: Sequence[str]) -> int:
    """Show a run, a step or a plan, or make something of it."""
    parser = Parser("show", DESCRIPTION)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id, or its begin or end; else the newest run")
    parser.add_argument("step", nargs="?", metavar="STEP|RUN", help="a step of the run, or a run to compare it with")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="the plan: each node with what it takes")
    what.add_argument("--report", action="store_true", help="write the run's HTML report and print where it is")
    what.add_argument(
        "--save",
        nargs=2,
        metavar=("OUTPUT", "PLACE"),
        help="copy an output of the pipeline, or STEP or STEP.OUTPUT, out of the store",
    )
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.picking import pick_run_and_step, pick_two_runs
    from headrace.cli.places import open_existing_store
    from headrace.engine.view import RunView

    store = open_existing_store(arguments.store)
    two = pick_two_runs(store, arguments.run, arguments.step)
    if two is not None:
        from headrace.cli.compare import show_two

        if arguments.plan or arguments.report or arguments.save:
            raise UsageError("--plan, --report and --save are about one run", hint="name one run")
        return show_two(store, *two, as_json=arguments.json)
    run_id, step = pick_run_and_step(store, arguments.run, arguments.step)
    view = RunView.read(store, run_id)
    if arguments.save:
        from headrace.cli.outputs import save_output

        return _print([str(save_output(view, arguments.save[0], Path(arguments.save[1])))])
    if arguments.report:
        from headrace.reports.run_page import write_run_page

        return _print([str(write_run_page(view))])
    if arguments.plan:
        return _print([view.plan.to_json()] if arguments.json else _plan_lines(view.plan))
    if arguments.json:
        shown = _step_json(view, step) if step else run_json(view)
        return _print([json.dumps(shown, indent=2)])
    return _print(_step_lines(view, step) if step else _run_lines(view))


def _print(lines: Sequence[str] | Iterator[str]) -> int:
    for line in lines:
        print(clean(line))  # noqa: T201
    return 0


def run_json(view: RunView) -> dict[str, Any]:
    """A run for programs."""
    from headrace.engine.readable import plain

    return {
        "run": view.id,
        "pipeline": view.begin["pipeline"],
        "outcome": view.state,
        "started": view.begin["started"],
        "seconds": view.end["seconds"] if view.end else None,
        "parameters": {name: plain(tree) for name, tree in view.parameters.items()},
        "resumes": view.begin["resumes"],
        "date": view.begin.get("date"),
        "selection": view.begin.get("selection"),
        "sample": view.begin.get("sample"),
        "store": view.store.url,
        "rejected_by": view.rejections(),
        "warnings": [asdict(warning) for warning in view.warnings],
        "outputs": {
            name: output_json(view.store, ref, artifact)
            for name, ref, artifact in made_outputs(view.results, view.plan.outputs)
        },
        "nodes": {node: node_json(result) for node, result in view.results.items()},
    }


def node_json(result: NodeResult) -> dict[str, Any]:
    """How a node ended, for programs."""
    return {
        "outcome": result.outcome.value,
        "attempt": result.attempt,
        "started": result.started,
        "seconds": result.seconds,
        "reason": result.reason,
        "failure": result.failure.to_json() if result.failure else None,
        "outputs": {name: artifact.to_json() for name, artifact in result.outputs.items()},
    }


def _step_json(view: RunView, step: str) -> dict[str, Any]:
    view.node_result(step)
    return {
        "run": view.id,
        "node": step,
        "attempts": [json.loads(result.to_json()) for result in view.attempts_of(step)],
    }


def _run_lines(view: RunView) -> Iterator[str]:
    took = f" in {duration(view.end['seconds'])}" if view.end else ""
    yield f"run {view.id} of {view.begin['pipeline']!r}: {view.state}{took}"
    facts = [
        ("started", f"{moment(view.begin['started'])} UTC, Headrace {view.begin['headrace']}"),
        ("parameters", ", ".join(f"{name}={text(tree)}" for name, tree in view.parameters.items()) or "none"),
        ("resumes", view.begin["resumes"] or ""),
        ("date", view.begin.get("date") or ""),
        ("sample", sampled_words(view)),
        ("asked for", _selected(view)),
        ("cancelled by", _cancelled(view)),
    ]
    yield from table([fact for fact in facts if fact[1]], indent="  ")
    yield from rejection_lines(view)
    yield from (f"  warning: {describe_warning(warning)}" for warning in view.warnings)
    yield ""
    rows = [_node_row(view, node) for node in view.plan.nodes]
    yield from table(rows, ("step", "ended", "took", "size", "why"), indent="  ")
    made = list(made_outputs(view.results, view.plan.outputs))
    if made:
        yield ""
        rows = [output_row(view.store, name, artifact) for name, _, artifact in made]
        yield from table(rows, ("output", "format", "size", "digest", "value"), indent="  ")


def sampled_words(view: RunView) -> str:
    """That a run took a sample, and what that means; nothing where it took all."""
    taken = sample_text(view.begin)
    return f"{taken} of the data: its models are kept apart, and none is promoted" if taken else ""


def _selected(view: RunView) -> str:
    """What of the plan the run was about, as the options that said so."""
    selection = view.begin.get("selection") or {}
    return " ".join(f"--{option} {name}" for option in ("from", "only") for name in selection.get(option, ()))


def _cancelled(view: RunView) -> str:
    from headrace.engine.cancel import read_request

    request = read_request(view.store, view.id)
    if request is None:
        return ""
    marked = f"; marked as ended, since {view.end['marked']}" if view.end and "marked" in view.end else ""
    return f"{request['by']} at {moment(request['asked'])} UTC{marked}"


def _node_row(view: RunView, node: Node) -> Sequence[str]:
    result = view.results.get(node.id)
    if result is None:
        return node.id, "not ended", "", "", ""
    took = duration(result.seconds) if result.seconds else ""
    n_bytes = sum(artifact.n_bytes for artifact in result.outputs.values())
    why = f"{result.failure.where} {result.failure.message}".strip() if result.failure else result.reason
    again = f" (attempt {result.attempt})" if result.attempt > 1 else ""
    return node.id, f"{result.outcome}{again}", took, size(n_bytes) if result.outputs else "", one_line(why, 100)


def _step_lines(view: RunView, step: str) -> Iterator[str]:
    """All that is recorded of one step."""
    result = view.node_result(step)
    spec = view.plan.step_of(view.planned(step))
    yield f"step {step!r} of run {view.id}: {result.outcome}"
    facts = [
        ("defined", spec.where),
        ("why", result.reason),
        ("took", duration(result.seconds) if result.seconds else ""),
        ("attempts", ", ".join(f"{item.attempt} {item.outcome}" for item in view.attempts_of(step))),
        ("key", result.key or ""),
    ]
    yield from table([fact for fact in facts if fact[1]], indent="  ")
    made_of = result.made_of or {}
    arguments = [(name, text(tree)) for name, tree in made_of.get("values", {}).items()]
    yield from _block("arguments", arguments)
    yield from _block("environment", [(name, str(value)) for name, value in made_of.get("environment", {}).items()])
    read = [(kind, name) for kind, names in result.discovered.items() for name in names]
    yield from _block("seen to read", read)
    outputs = [output_row(view.store, name, artifact) for name, artifact in result.outputs.items()]
    yield from _block("outputs", outputs)
    yield from _item_lines(view, step, result)
    if result.failure:
        yield from ("", f"  {result.failure.kind} at {result.failure.where or '?'}")
        shown = result.failure.traceback or result.failure.message
        yield from (f"    {line}" for line in shown.rstrip("\n").split("\n"))


def _item_lines(view: RunView, step: str, result: NodeResult) -> Iterator[str]:
    """Of a node that maps: how many items ended how, and those that failed."""
    if result.items is None:
        return
    counts = [(str(number), outcome) for outcome, number in result.items["counts"].items()]
    yield from _block(f"items: {result.items['n']}", counts)
    failed = [
        (f"{step}[{item['index']}]", item["item"], item["outcome"], one_line(item["message"], 80))
        for item in result.items["failed"]
    ]
    yield from _block("items that failed", failed)
    if result.items["n"]:
        shown = result.items["failed"][0]["index"] if failed else 0
        yield from ("", f"  one of them: headrace show {view.id} '{step}[{shown}]'")


def _block(title: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", f"  {title}")
        yield from table(rows, indent="    ")


def _plan_lines(plan: Plan) -> Iterator[str]:
    """The plan's nodes in order, each as the call that it is."""
    yield f"plan {plan.digest[:12]} of {plan.pipeline!r}"
    for node in plan.nodes:
        over = node.map.over if node.map else ()
        each = {name: "each of " if name in over else "" for name in node.arguments}
        arguments = ", ".join(f"{name}={each[name]}{text(tree)}" for name, tree in node.arguments.items())
        when = f" when {node.when}" if node.when else ""
        after = f" after {', '.join(node.after)}" if node.after else ""
        yield f"  {node.id} = {node.step.rpartition(':')[2]}({arguments}){when}{after}{_map_options(node)}"
    for name, ref in plan.outputs.items():
        yield f"  → {name}: {ref}"


def _map_options(node: Node) -> str:
    """How a map is done, where that is not the default."""
    if node.map is None:
        return ""
    return f" in at most {node.map.max_tasks} tasks, on failure {node.map.on_failure}"
