"""What stands between ``{{`` and ``}}``: each is something that has a value there and then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from headrace.backends.argo.lint.document import (
    TAG,
    Document,
    Tree,
    is_repeated,
    mapping,
    mappings,
    names,
    tasks_of,
    texts,
    words,
)
from headrace.backends.argo.lint.expressions import EXPRESSION
from headrace.backends.argo.lint.graph import all_before
from headrace.backends.argo.lint.shapes import Placed
from headrace.core.errors import near_miss

GLOBAL = words(
    "workflow.name workflow.namespace workflow.mainEntrypoint workflow.serviceAccountName workflow.uid "
    "workflow.parameters workflow.parameters.json workflow.annotations.json workflow.labels.json "
    "workflow.creationTimestamp workflow.creationTimestamp.RFC3339 workflow.creationTimestamp.s "
    "workflow.priority workflow.duration workflow.scheduledTime"
)
STRFTIME = "BbmAadHIMSYypZzL"
"""Letters that ``workflow.creationTimestamp`` takes."""
AT_THE_END = frozenset({"workflow.status", "workflow.failures"})
OF_TASKS = words("id ip status exitCode startedAt finishedAt hostNodeName name outputs.result")
ROOTS = words("workflow inputs outputs tasks steps item retries pod node lastRetry cronworkflow")
FUNCTIONS = words(
    "asInt asFloat string toJson jsonpath sprig len int float filter map all any one none count first last keys "
    "values upper lower trim split join replace hasPrefix hasSuffix toJSON fromJSON toBase64 fromBase64 now date "
    "timezone duration max min abs sum true false nil"
)
"""What expressions may call, and the words that stand for values."""


def tags_are_closed(document: Document) -> Placed:
    """After every ``{{`` there is a ``}}``."""
    for place, text in texts(document.spec, document.place):
        if "{{" in TAG.sub("", text):
            yield place, f"'{{{{' without '}}}}' in {text!r:.200}"


def references_have_values(document: Document) -> Placed:
    """Each tag names a parameter, artifact, output or variable of Argo's that has a value where it stands."""
    at_the_end = _called_from(document, document.exit_handlers)
    for place, template in document.placed_templates():
        scope = _scope_of(document, template, template.get("name") in at_the_end)
        tasks = {str(task.get("name")): task for task in tasks_of(template)}
        for at, text in texts({key: item for key, item in template.items() if key not in ("dag", "steps")}, place):
            yield from _wrong_tags(document, at, text, scope, tasks)
        for number, task in enumerate(tasks.values()):
            known = scope | ({"tasks.name", "item"} if is_repeated(task) else {"tasks.name"})
            for at, text in texts(task, f"{place}.dag.tasks[{number}]"):
                is_list = at.endswith((".withParam", ".withItems"))
                if "{{" in text:
                    ended = {name: tasks[name] for name in all_before(task, tasks) if name in tasks}
                    yield from _wrong_tags(document, at, text, known - {"item"} if is_list else known, ended)


def arguments_have_values(document: Document) -> Placed:
    """The workflow's own arguments refer to Argo's variables alone."""
    for at, text in texts(document.spec.get("arguments"), f"{document.place}.arguments"):
        if not at.endswith(".description"):
            yield from _wrong_tags(document, at, text, set(_globals(document)), {})


def expressions_can_be_read(document: Document) -> Placed:
    """What stands between ``{{=`` and ``}}`` can be read, and its names are such as Argo knows."""
    for place, text in texts(document.spec, document.place):
        for tag in TAG.findall(text):
            if tag.startswith("="):
                yield from expression_problems(place, tag[1:])


def expression_problems(place: str, text: str, roots: frozenset[str] = ROOTS) -> Placed:
    """Why an expression can't be read, or a name in it isn't known."""
    problem = EXPRESSION.problem(text)
    if problem:
        yield place, problem
        return
    for operand in EXPRESSION.operands(text):
        root = re.split(r"[.?]", operand)[0]
        if re.match(r"[A-Za-z_]", root) and root not in roots | FUNCTIONS:
            yield place, f"{operand!r} is not known in {text!r:.200}; {near_miss(root, roots)}"


def _globals(document: Document) -> Iterator[str]:
    yield from GLOBAL
    yield from (f"workflow.creationTimestamp.{letter}" for letter in STRFTIME)
    for spec in (document.spec, document.referred.spec if document.referred else {}):
        for name in names(mapping(mapping(spec).get("arguments")).get("parameters")):
            yield f"workflow.parameters.{name}"
    for template in document.templates:
        for kind in ("parameters", "artifacts"):
            for item in mappings(mapping(template.get("outputs")).get(kind)):
                if item.get("globalName"):
                    yield f"workflow.outputs.{kind}.{item['globalName']}"


def _scope_of(document: Document, template: Tree, is_at_the_end: bool) -> set[str]:
    """What has a value anywhere in a template."""
    scope = {*_globals(document), "node.name", "pod.name", "inputs.parameters"}
    scope |= AT_THE_END if is_at_the_end else set()
    scope |= (
        {"retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration"}
        if template.get("retryStrategy")
        else set()
    )
    for side in ("inputs", "outputs"):
        holder = mapping(template.get(side))
        for name in names(holder.get("parameters")):
            scope |= {f"{side}.parameters.{name}", f"{side}.parameters.{name}.path"}
        for name in names(holder.get("artifacts")):
            scope |= {f"{side}.artifacts.{name}", f"{side}.artifacts.{name}.path"}
    return scope


def _made_by(document: Document, task: Tree) -> set[str]:
    """What a task that has ended has made."""
    name, called = task.get("name"), document.templates_by_name.get(str(task.get("template")), {})
    scope = {f"tasks.{name}.{key}" for key in OF_TASKS} | {f"tasks.{name}.outputs.parameters"}
    for kind in ("parameters", "artifacts"):
        made = names(mapping(called.get("outputs")).get(kind))
        scope |= {f"tasks.{name}.outputs.{kind}.{output}" for output in made}
    return scope


def _called_from(document: Document, first: list[str]) -> set[str]:
    """The templates that these call, and those that they call."""
    found, waiting = set[str](), list(first)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            template = document.templates_by_name.get(name, {})
            steps = [step for group in template.get("steps") or () for step in mappings(group)]
            waiting.extend(str(task.get("template")) for task in (*tasks_of(template), *steps))
    return found


def _wrong_tags(document: Document, place: str, text: str, scope: set[str], ended: Mapping[str, Tree]) -> Placed:
    for tag in TAG.findall(text):
        name = tag.strip()
        if name.startswith(("=", "workflow.labels.", "workflow.annotations.")) or name in scope:
            continue
        if name.startswith("steps.") or (name.startswith("item.") and "item" in scope):
            continue  # steps are made by no one here, and Argo looks at them itself
        task = ended.get(name.split(".")[1]) if name.startswith("tasks.") else None
        known = _made_by(document, task) if task else scope
        if name not in known:
            yield place, f"{{{{{name:.120}}}}} has no value here; {near_miss(name, known)}"
