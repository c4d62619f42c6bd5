"""The parts of a run's page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.core.errors import HeadraceError
from headrace.core.outcome import Outcome
from headrace.engine.pins import SAMPLING
from headrace.engine.readable import text
from headrace.engine.records import attempt_name
from headrace.reports.drawing import MOST_NODES, draw_graph, kinds_of_edges, most_in_a_layer
from headrace.reports.html import Child, Html, el, join, table
from headrace.reports.made import SHOWN_FORMATS, is_tall, show_outputs, single_value
from headrace.reports.outcomes import badge, run_badge
from headrace.reports.texts import count, duration, format_label, last_lines, moment, one_line, size
from headrace.reports.timeline import draw_timeline

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.core.plan import ParameterSpec, Ref
    from headrace.engine.records import NodeResult
    from headrace.engine.view import RunView
    from headrace.engine.why import Explanation

MOST_FAILURES = 8
MOST_SHOWN = 60
MOST_BESIDE = 3
LOG_LINES = 20
TRACEBACK_LINES = 40


def header(view: RunView) -> Html:
    """Name, outcome, and the figures of the run."""
    outcomes = [result.outcome for result in view.results.values()]
    took = duration(view.end["seconds"]) if view.end else None
    parts: list[str | None] = [
        f"{outcomes.count(Outcome.SUCCEEDED)} executed",
        count(outcomes.count(Outcome.CACHED), "hit"),
        _some(outcomes.count(Outcome.SKIPPED), "skipped"),
        _some(len(view.failures()), "failed"),
        _some(len(view.plan.nodes) - len(outcomes) + outcomes.count(Outcome.UPSTREAM_FAILED), "not reached"),
    ]
    facts = [f"{moment(view.begin['started'])} UTC", took, *parts]
    return el(
        "header",
        el("p", "Headrace run", class_="kicker"),
        el("h1", view.begin["pipeline"], " ", run_badge(view.state)),
        el("p", " · ".join(fact for fact in facts if fact), class_="lead"),
        el("p", el("code", view.id), class_="muted"),
    )


def _some(number: int, what: str) -> str | None:
    return f"{number} {what}" if number else None


def section(title: str, *content: Child, name: str) -> Html | None:
    """A part with its title; None when there is nothing in it."""
    found = [child for child in content if child]
    return el("section", el("h2", title), *found, id=name) if found else None


def trouble(view: RunView) -> Html | None:
    """What failed, with the end of its log, and what was rejected."""
    failures = view.failures()
    boxes = [_failure(view, failed) for failed in failures[:MOST_FAILURES]]
    boxes += [_rejection(view, node) for node in view.rejections()]
    if len(failures) > MOST_FAILURES:
        boxes.append(el("p", f"{len(failures) - MOST_FAILURES} more steps failed.", class_="muted"))
    return join(*boxes) if boxes else None


def _failure(view: RunView, failed: NodeResult) -> Html:
    failure = failed.failure
    log = last_lines(view.store.stream_path(attempt_name(view.id, failed.node, failed.attempt, "log")), LOG_LINES)
    again = f" at attempt {failed.attempt}" if failed.attempt > 1 else ""
    trace = failure.traceback.rstrip("\n").split("\n") if failure and failure.traceback else []
    return el(
        "div",
        el("h2", f"{failed.node} {failed.outcome}{again}"),
        el("p", el("code", failure.where)) if failure and failure.where else None,
        el("pre", failure.message.strip(), class_="message") if failure else None,
        _folded("Traceback", el("pre", "\n".join(trace[-TRACEBACK_LINES:]))) if trace else None,
        _folded(f"The end of its log ({count(len(log), 'line')})", el("pre", "\n".join(log)), is_open=True)
        if log
        else None,
        class_="box bad",
    )


def _folded(title: Child, *content: Child, is_open: bool = False) -> Html:
    return el("details", el("summary", title), *content, open=is_open)


def _rejection(view: RunView, node: str) -> Html:
    """What a gate said no to: its other outputs say why."""
    gate = view.plan.step_of(view.plan.by_id[node]).gate
    said = {name: artifact for name, artifact in view.results[node].outputs.items() if name != gate}
    return el("div", el("h2", f"Rejected by {node}"), show_outputs(view.store, said), class_="box warn")


def outputs(view: RunView) -> Html | None:
    """What the pipeline gives."""
    rows: list[list[Child]] = []
    for name, ref in view.plan.outputs.items():
        result = view.results.get(ref.node)
        artifact = result.outputs.get(ref.output) if result else None
        link = el("a", str(ref), href=f"#step-{ref.node}")
        if artifact is None:
            rows.append([el("th", name, scope="row"), link, el("td", "not made", colspan=3, class_="muted")])
        else:
            rows.append(
                [
                    el("th", name, scope="row"),
                    link,
                    format_label(artifact.format),
                    el("td", size(artifact.n_bytes), class_="right"),
                    el("code", artifact.digest[:12], title=artifact.digest, class_="digest"),
                ]
            )
    if not rows:
        return None
    has_any = any(len(row) == 5 for row in rows)
    how = el("p", "Take one out of the store: ", el("code", f"headrace show {view.id} --save NAME PLACE"))
    head = ("output", "made by", "format", el("th", "size", scope="col", class_="right"), "digest")
    return section("Outputs", table(head, rows, class_="data"), how if has_any else None, name="outputs")


def is_narrow(view: RunView) -> bool:
    """Whether the graph leaves room for something beside it."""
    return len(view.plan.nodes) <= MOST_NODES and most_in_a_layer(view.plan) <= MOST_BESIDE


def graph(view: RunView) -> Html | None:
    """The graph, unless it is so large that nothing could be read in it."""
    if len(view.plan.nodes) > MOST_NODES:
        text = f"{len(view.plan.nodes)} steps: too many to draw. They are listed below."
        return section("Graph", el("p", text, class_="muted"), name="graph")
    words = {"when": "dashed: a condition", "after": "dotted: an order"}
    legend = [words[kind] for kind in sorted(kinds_of_edges(view.plan)) if kind in words]
    note = el("p", ", ".join(legend).capitalize() + ".", class_="muted legend") if legend else None
    drawing = el("div", draw_graph(view.plan, view.results), class_="scroll")
    return section("Graph", drawing, note, name="graph")


def timeline(view: RunView) -> Html | None:
    """When what ran."""
    drawn = draw_timeline(view)
    if drawn is None:
        return section("Timeline", el("p", "Nothing was executed.", class_="muted"), name="timeline")
    n_hits = sum(result.outcome is Outcome.CACHED for result in view.results.values())
    note = el("p", f"{count(n_hits, 'hit')} took no time.", class_="muted") if n_hits else None
    return section("Timeline", drawn, note, name="timeline")


def steps(view: RunView, explanations: Mapping[str, Explanation]) -> Html | None:
    """Each node: how it ended, why, how long it took, and what it made."""
    rows = [_step_row(view, node.id, explanations.get(node.id)) for node in view.plan.nodes]
    head = ("step", "ended", "why", "took", "made")
    body = el("tbody", rows)
    top = el("thead", el("tr", [el("th", name, scope="col", class_=f"of-{name}") for name in head]))
    return section("Steps", el("div", el("table", top, body, class_="data steps"), class_="scroll"), name="steps")


def _step_row(view: RunView, node: str, explanation: Explanation | None) -> Html:
    result = view.results.get(node)
    spec = view.plan.step_of(view.plan.by_id[node])
    cells: list[Child] = [
        el("th", node, el("span", _short_place(spec.where), class_="where"), scope="row"),
        el("td", badge(result), class_="of-ended"),
    ]
    if result is None:
        return el("tr", *cells, el("td"), el("td"), el("td"), id=f"step-{node}")
    took = duration(result.seconds) if result.seconds else ""
    again = el("span", f"attempt {result.attempt}", class_="where") if result.attempt > 1 else None
    made = [
        el("li", "" if name == "output" else f"{name}: ", _kind(artifact), " ", _digest(artifact))
        for name, artifact in result.outputs.items()
    ]
    cells += [
        el("td", _why(view, result, explanation), _items(result)),
        el("td", took, again, class_="right"),
        el("td", el("ul", made, class_="made") if made else None),
    ]
    return el("tr", *cells, id=f"step-{node}")


def _items(result: NodeResult) -> Html | None:
    """Of a node that maps: how many items ended how; those that failed, behind a click."""
    if result.items is None:
        return None
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in result.items["counts"].items())
    told = f"{count(result.items['n'], 'item')}" + (f": {counts}" if counts else "")
    failed = [
        el("li", el("code", f"[{item['index']}] {item['item']}"), f" {item['outcome']}: {item['message']}")
        for item in result.items["failed"]
    ]
    return _folded(told, el("ul", failed, class_="causes")) if failed else el("p", told, class_="muted")


def _short_place(where: str) -> str:
    """A place in the code; of a file outside the project, the end of its path."""
    return "/".join(["…", *where.split("/")[-3:]]) if where.startswith("/") else where


def _kind(artifact: Artifact) -> str:
    return f"{format_label(artifact.format)}, {size(artifact.n_bytes)}"


def _digest(artifact: Artifact) -> Html:
    return el("code", artifact.digest[:8], title=artifact.digest, class_="digest muted")


def _why(view: RunView, result: NodeResult, explanation: Explanation | None) -> Child:
    if result.failure is not None:
        return one_line(result.failure.message, 200)
    if result.outcome is Outcome.CACHED:
        return _made_by(view, result)
    if explanation is None or result.outcome is not Outcome.SUCCEEDED:
        return result.reason
    if explanation.causes[0].kind == "first":
        return "first time"
    if len(explanation.causes) == 1:
        return explanation.causes[0].text
    return el("ul", [el("li", cause.text) for cause in explanation.causes], class_="causes")


def _made_by(view: RunView, result: NodeResult) -> Child:
    """Where a hit was made; a link to that run's page, which lies beside this one."""
    source = result.reason.removeprefix("made by run ")
    if source == result.reason or source == view.id:
        return result.reason
    return join("made by run ", el("a", source, href=f"../{source}/report.html"))


def explained(view: RunView) -> Mapping[str, Explanation]:
    """Why each executed node was, where the run isn't too large to be looked through."""
    from headrace.engine.why import Explainer

    executed = [node for node, result in view.results.items() if result.outcome is Outcome.SUCCEEDED]
    if not executed or len(view.plan.nodes) > MOST_NODES:
        return {}
    try:
        explainer = Explainer(view.store, view.id)
        return {node: explainer.explain(node) for node in executed}
    except HeadraceError:
        return {}


def values(view: RunView) -> Html | None:
    """What the steps made, as far as it can be shown: the pipeline's outputs first, and of very many nodes some."""
    wanted = {ref.node for ref in view.plan.outputs.values() if _can_be_shown(view, ref)}
    nodes = sorted(view.results, key=lambda node: node not in wanted)
    boxes, singles = [], []
    for node in nodes[:MOST_SHOWN]:
        outputs = view.results[node].outputs
        single = single_value(view.store, outputs)
        if single is not None:
            singles.append(el("tr", el("th", node, scope="row"), el("td", single)))
        elif (content := show_outputs(view.store, outputs)) is not None:
            is_open = node in wanted or not is_tall(outputs)
            boxes.append(el("div", _folded(el("h3", node), content, is_open=is_open), class_="value"))
    table_of_singles = el("table", el("tbody", singles), class_="facts singles") if singles else None
    rest = len(nodes) - MOST_SHOWN
    more = el("p", f"What {rest} more steps made is not shown here.", class_="muted") if rest > 0 else None
    return section("Results", *boxes, table_of_singles, more, name="results")


def _can_be_shown(view: RunView, ref: Ref) -> bool:
    result = view.results.get(ref.node)
    artifact = result.outputs.get(ref.output) if result else None
    return artifact is not None and artifact.format in SHOWN_FORMATS


def inputs(view: RunView) -> Html | None:
    """Parameters and pins."""
    parameters = [
        [
            el("th", parameter.name, scope="row"),
            el("code", text(parameter.value)),
            el("span", _origin(parameter), class_="muted"),
        ]
        for parameter in view.plan.parameters
    ]
    pins = [
        [el("code", _pin_name(name)), el("code", pin if isinstance(pin, str) else text(pin))]
        for name, pin in view.begin["pins"].items()
        if pin is not None or SAMPLING not in name  # all data: nothing to tell
    ]
    return section(
        "Parameters",
        table(("parameter", "value", ""), parameters, class_="data") if parameters else None,
        el("h4", "Pins: state from outside, as it was when the run began") if pins else None,
        table(("what", "was"), pins, class_="data") if pins else None,
        name="parameters",
    )


def _origin(parameter: ParameterSpec) -> str:
    return "default" if parameter.has_default and parameter.value == parameter.default else "given"


def _pin_name(name: str) -> str:
    """What is pinned, as people read it: the name is a path, or the tree of an external object."""
    try:
        return text(json.loads(name))
    except ValueError:
        return name


def environment(view: RunView) -> Html | None:
    """What it ran on, and the installed distributions that the steps' code reaches."""
    found = [result.made_of["environment"] for result in view.results.values() if result.made_of]
    kinds = dict.fromkeys(name for item in found for name in item)
    facts = [(name, ", ".join(sorted({str(item[name]) for item in found if name in item}))) for name in kinds]
    facts = [(name, value.partition("@")[0]) for name, value in facts]
    target = view.begin["target"]
    rows: Sequence[tuple[str, str]] = [
        ("Headrace", view.begin["headrace"]),
        *facts,
        ("pipeline", f"{target['module']}:{target['attribute']}" if target["attribute"] else target["module"]),
        ("project", target["root"]),
        ("store", view.store.url),
        ("plan", view.plan.digest),
        ("resumes", view.begin["resumes"] or ""),
    ]
    listed = [[el("th", name, scope="row"), el("code", value)] for name, value in rows if value]
    versions = {
        name: shown.partition("@")[0] for code in view.codes.values() for name, shown in code.distributions.items()
    }
    installed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return section(
        "Environment",
        el("table", el("tbody", [el("tr", *(_td(cell) for cell in row)) for row in listed]), class_="facts"),
        _folded(f"{count(len(versions), 'distribution')} that the steps' code reaches", el("p", installed))
        if installed
        else None,
        name="environment",
    )


def _td(cell: Html) -> Html:
    return cell if cell.startswith("<th") else el("td", cell)
