"""``headrace why``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.cli.parser import Parser, UsageError, add_json, add_store, whole_number
from headrace.reports.texts import clean

if TYPE_CHECKING:
    from headrace.engine.why import Explainer, Explanation

DESCRIPTION = """\
Say why a step was executed, or was not, from what its key was made of then and in the newest run before.

Without STEP: one line for each step that was executed. A single word may be a step of the newest run.

With two runs: why a step's key, or each that differs, is another in the second than in the first. With --last N: how
the key of STEP changed from run to run, in the newest N in which it came so far as to have one."""


def main(given: Sequence[str]) -> int:
    """Explain a run or one of its steps."""
    parser = Parser("why", DESCRIPTION)
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id, or its begin or end; else the newest run")
    parser.add_argument(
        "step", nargs="?", metavar="STEP|RUN", help="the step's name in the run (see headrace show), or a second run"
    )
    parser.add_argument("step_of_two", nargs="?", metavar="STEP", help="after two runs: the step")
    parser.add_argument("--last", type=whole_number, metavar="N", help="how the key changed in the newest N runs")
    add_store(parser)
    add_json(parser)
    arguments = parser.read(given)
    from headrace.cli.picking import pick_run_and_step, pick_two_runs
    from headrace.cli.places import open_existing_store
    from headrace.engine.why import Explainer

    store = open_existing_store(arguments.store)
    two = pick_two_runs(store, arguments.run, arguments.step)
    if two is not None and arguments.last is None:
        from headrace.cli.compare import why_two

        return why_two(store, *two, arguments.step_of_two, as_json=arguments.json)
    if two is not None or arguments.step_of_two is not None:
        raise UsageError("headrace why takes one run and a step, or two runs", hint="headrace why --help")
    run_id, step = pick_run_and_step(store, arguments.run, arguments.step)
    if arguments.last is not None:
        from headrace.cli.compare import why_last
        from headrace.engine.view import RunView

        if step is None:
            raise UsageError("--last is about one step", hint="name it: headrace why STEP --last 5")
        return why_last(store, RunView.read(store, run_id), step, arguments.last, as_json=arguments.json)
    explainer = Explainer(store, run_id)
    found = explainer.chain(step) if step else [explainer.explain(node) for node in explainer.view.results]
    if arguments.json:
        steps = [explanation.to_json() for explanation in found]
        print(json.dumps({"run": run_id, "steps": steps}, indent=2))  # noqa: T201
        return 0
    for line in _chain_lines(found) if step else _run_lines(explainer, found):
        print(clean(line))  # noqa: T201
    return 0


def sentence(explanation: Explanation) -> str:
    """One explanation as one line, its first cause in it."""
    verb = _verb(explanation)
    causes = explanation.causes
    more = f" (and {len(causes) - 1} more: headrace why … {explanation.node})" if len(causes) > 1 else ""
    return f"{explanation.node} {verb} {causes[0].text}{more}"


def _verb(explanation: Explanation) -> str:
    from headrace.core.outcome import Outcome

    if explanation.causes[0].kind == "hit":
        return "was a hit:"
    if explanation.causes[0].kind == "upstream":
        return f"{'was ' if explanation.outcome in _STATES else ''}{explanation.outcome}:"
    if explanation.outcome is Outcome.CACHED:
        return "was a hit of another result than then, because"
    return "ran because"


_STATES = ("skipped", "cancelled")


def _chain_lines(chain: Sequence[Explanation]) -> Iterator[str]:
    """A step and what is behind it: each changed input's maker follows, further in."""
    depth = {chain[0].node: 0}
    by_node = {explanation.node: explanation for explanation in chain}
    waiting, told = [chain[0]], set()
    while waiting:
        explanation = waiting.pop()
        if explanation.node in told:
            continue
        told.add(explanation.node)
        indent = "  " * depth[explanation.node]
        yield from (f"{indent}{line}" for line in _lines(explanation))
        for cause in reversed(explanation.causes):
            if cause.made_by in by_node and cause.made_by not in told:
                depth[cause.made_by] = depth[explanation.node] + 1
                waiting.append(by_node[cause.made_by])
    if chain[0].compared_with is not None and chain[0].causes[0].kind != "hit":
        yield f"compared with run {chain[0].compared_with}"


def _lines(explanation: Explanation) -> Iterator[str]:
    if len(explanation.causes) == 1:
        yield f"{explanation.node} {_verb(explanation)} {explanation.causes[0].text}"
        return
    yield f"{explanation.node} {_verb(explanation)}"
    yield from (f"  - {cause.text}" for cause in explanation.causes)


def _run_lines(explainer: Explainer, found: Sequence[Explanation]) -> Iterator[str]:
    told = [explanation for explanation in found if explanation.causes[0].kind not in ("hit", "upstream")]
    n_hits = sum(explanation.causes[0].kind == "hit" for explanation in found)
    n_others = len(found) - len(told) - n_hits
    yield from (sentence(explanation) for explanation in told)
    rest = [f"{n_hits} from the cache"] if n_hits else []
    rest += [f"{n_others} skipped or not reached"] if n_others else []
    if rest or not told:
        yield f"{'the others' if told else 'no step was executed'}: {', '.join(rest) or 'none'}"
    compared = {explanation.compared_with for explanation in told} - {None}
    if compared:
        yield f"compared with {', '.join(f'run {run_id}' for run_id in sorted(filter(None, compared)))}"
