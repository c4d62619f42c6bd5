"""What calls what: templates that there are, tasks that come after one another, arguments that a template takes."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from headrace.backends.argo.lint.document import Document, Tree, is_repeated, mapping, mappings, names, tasks_of
from headrace.backends.argo.lint.expressions import DEPENDS
from headrace.backends.argo.lint.shapes import Placed
from headrace.core.errors import near_miss

RESULTS = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned")
RESULTS_OF_SEVERAL = ("AnySucceeded", "AllFailed")
KINDS_OF_TEMPLATE = (
    "container",
    "containerSet",
    "dag",
    "data",
    "http",
    "plugin",
    "resource",
    "script",
    "steps",
    "suspend",
)


def templates_are_there(document: Document) -> Placed:
    """The entry point, the exit handler and each task name a template that there is."""
    for key in ("entrypoint", "onExit"):
        yield from _unknown(document, f"{document.place}.{key}", document.spec.get(key))
    for name, hook in mapping(document.spec.get("hooks")).items():
        yield from _unknown(document, f"{document.place}.hooks.{name}.template", mapping(hook).get("template"))
    for place, _, task in document.tasks():
        yield from _unknown(document, f"{place}.template", task.get("template"))
        if not any(task.get(key) for key in ("template", "templateRef", "inline")):
            yield place, "it names no template"


def templates_do_one_thing(document: Document) -> Placed:
    """A template is a container, a DAG, or another one of Argo's kinds, and not two."""
    for place, template in document.placed_templates():
        kinds = [kind for kind in KINDS_OF_TEMPLATE if template.get(kind) is not None]
        if len(kinds) != 1:
            yield place, f"a template is of one kind, and this is of {', '.join(kinds) or 'none'}"
        if "dag" in kinds and not tasks_of(template):
            yield f"{place}.dag.tasks", "there is no task"


def entrypoint_is_there(document: Document) -> Placed:
    """A workflow that isn't another's has an entry point and templates."""
    if "workflowTemplateRef" in document.spec:
        if document.templates:
            yield f"{document.place}.templates", "there is a workflowTemplateRef too, and Argo takes one of them"
    elif not document.spec.get("entrypoint"):
        yield f"{document.place}.entrypoint", "there is none"


def exit_handler_is_there(document: Document) -> Placed:
    """A workflow has an exit handler: a run's end is written by it, whatever went wrong before."""
    if "workflowTemplateRef" not in document.spec and not document.exit_handlers:
        yield f"{document.place}.onExit", "there is no exit handler"


def depends_can_be_read(document: Document) -> Placed:
    """``depends`` names tasks that there are, and results that tasks have."""
    for place, template, task in document.tasks():
        text = task.get("depends")
        if not isinstance(text, str):
            continue
        problem = DEPENDS.problem(text)
        if problem:
            yield f"{place}.depends", problem
            continue
        siblings = {str(other.get("name")): other for other in tasks_of(template)}
        for operand in DEPENDS.operands(text):
            name, _, result = operand.partition(".")
            if name not in siblings:
                yield f"{place}.depends", f"there is no task {name!r}; {near_miss(name, siblings)}"
            elif result in RESULTS_OF_SEVERAL and not is_repeated(siblings[name]):
                yield f"{place}.depends", f"{operand!r}: only a task with items has this result"
            elif result and result not in (*RESULTS, *RESULTS_OF_SEVERAL):
                yield f"{place}.depends", f"{operand!r}: no task has this result; {near_miss(result, RESULTS)}"


def dependencies_are_there(document: Document) -> Placed:
    """``dependencies`` names tasks that there are; it and ``continueOn`` don't go with ``depends`` in one DAG."""
    for place, template, task in document.tasks():
        for name in task.get("dependencies") or ():
            if name not in names(tasks_of(template)):
                yield (
                    f"{place}.dependencies",
                    f"there is no task {name!r}; {near_miss(str(name), names(tasks_of(template)))}",
                )
    for place, template in document.placed_templates():
        tasks = tasks_of(template)
        if any("depends" in task for task in tasks):
            for key in ("dependencies", "continueOn"):
                if any(task.get(key) for task in tasks):
                    yield f"{place}.dag", f"'depends' and '{key}' don't go together"


def tasks_come_in_order(document: Document) -> Placed:
    """No task waits for itself, and no template calls itself on every way."""
    for place, template in document.placed_templates():
        yield from _circle(f"{place}.dag.tasks", {str(task.get("name")): before(task) for task in tasks_of(template)})
    calls = {
        name: {str(task.get("template")) for task in tasks_of(template)}
        for name, template in document.templates_by_name.items()
    }
    yield from _circle(f"{document.place}.templates", calls)


def targets_are_there(document: Document) -> Placed:
    """A DAG's targets are tasks of it."""
    for place, template in document.placed_templates():
        for name in str(mapping(template.get("dag")).get("target") or "").split():
            if name not in names(tasks_of(template)):
                yield f"{place}.dag.target", f"there is no task {name!r}"


def arguments_fit(document: Document) -> Placed:
    """A task gives its template each input that has no value of its own, and no others."""
    for place, _, task in document.tasks():
        template = document.templates_by_name.get(str(task.get("template")))
        if template is None:
            continue
        for kind in ("parameters", "artifacts"):
            inputs = mappings(mapping(template.get("inputs")).get(kind))
            given = set(names(mapping(task.get("arguments")).get(kind)))
            for name in sorted(given - set(names(inputs))):
                yield f"{place}.arguments.{kind}", f"template {template['name']!r} takes no {name!r}"
            for item in inputs:
                if item.get("name") not in given and not _has_value(item):
                    yield f"{place}.arguments.{kind}", f"template {template['name']!r} needs {item.get('name')!r}"


def referred_template_fits(document: Document) -> Placed:
    """What refers to a template gives it parameters that it has, and those that have no value in it."""
    given = mappings(mapping(document.spec.get("arguments")).get("parameters"))
    if "workflowTemplateRef" not in document.spec:
        return
    if document.referred is None:
        if document.others:
            yield f"{document.place}.workflowTemplateRef.name", "there is no such WorkflowTemplate"
        return
    taken = mappings(mapping(document.referred.spec.get("arguments")).get("parameters"))
    for name in sorted(set(names(given)) - set(names(taken))):
        yield (
            f"{document.place}.arguments.parameters",
            f"the template takes no {name!r}; {near_miss(name, names(taken))}",
        )
    with_value = {str(item.get("name")) for item in (*given, *taken) if _has_value(item)}
    for name in names(taken):
        if name not in with_value:
            yield f"{document.place}.arguments.parameters", f"the template needs {name!r}"


def before(task: Tree) -> set[str]:
    """The tasks that a task waits for."""
    text = task.get("depends")
    told = DEPENDS.operands(text) if isinstance(text, str) else []
    return {operand.partition(".")[0] for operand in told} | {str(name) for name in task.get("dependencies") or ()}


def all_before(task: Tree, tasks: Mapping[str, Tree]) -> set[str]:
    """The tasks that have ended when one starts: those that it waits for, and those that they wait for."""
    waiting, seen = list(before(task)), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(before(tasks.get(name, {})))
    return seen


def _has_value(item: Tree) -> bool:
    keys = ("value", "valueFrom", "default", "raw", "s3", "gcs", "http", "git", "from", "fromExpression")
    return bool(item.get("optional")) or any(item.get(key) is not None for key in keys)


def _unknown(document: Document, place: str, name: object) -> Placed:
    if name and "workflowTemplateRef" not in document.spec and name not in document.templates_by_name:
        yield place, f"there is no template {name!r:.120}; {near_miss(str(name), document.templates_by_name)}"


def _circle(place: str, edges: Mapping[str, set[str]]) -> Placed:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        yield place, f"it goes round in a circle: {' → '.join(error.args[1][:12])}"
