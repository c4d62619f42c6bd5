"""Structural checks of Argo objects, as plain trees.

Argo's JSON schema lets a misspelt key, an unknown template and a dangling ``depends`` pass; Argo itself finds them only
in a cluster. These checks find them here. They are ours and not Argo's: what passes has been linted, and not executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from headrace.backends.argo.lint import graph, names, references, shapes, values
from headrace.backends.argo.lint.document import Document, Finding, Tree

Check = Callable[[Document], shapes.Placed]
"""Takes an object and gives the places where it is wrong; its docstring is the rule that must hold."""

SHAPES: tuple[Check, ...] = (shapes.kind_is_known, shapes.keys_are_known, shapes.values_fit)
"""Those that look at any tree. What has the wrong shape isn't looked at further."""

CHECKS: tuple[Check, ...] = (
    names.object_names_fit,
    names.labels_fit,
    names.field_names_fit,
    names.parameter_names_fit,
    names.names_are_there_once,
    names.variables_fit,
    names.volumes_are_there,
    graph.templates_are_there,
    graph.templates_do_one_thing,
    graph.entrypoint_is_there,
    graph.exit_handler_is_there,
    graph.depends_can_be_read,
    graph.dependencies_are_there,
    graph.tasks_come_in_order,
    graph.targets_are_there,
    graph.arguments_fit,
    graph.referred_template_fits,
    references.tags_are_closed,
    references.references_have_values,
    references.arguments_have_values,
    references.expressions_can_be_read,
    values.schedule_can_be_read,
    values.policies_are_known,
    values.durations_can_be_read,
    values.quantities_can_be_read,
    values.retries_can_be_read,
    values.conditions_can_be_read,
    values.containers_have_images,
    values.artifacts_have_paths,
)
"""Those that look at an object of the right shape."""


def lint(trees: Iterable[Tree]) -> list[Finding]:
    """Check objects that belong together: what one refers to is looked for among the others."""
    given = tuple(trees)
    return [finding for tree in given for finding in _found(Document(tree, given))]


def _found(document: Document) -> Iterator[Finding]:
    for checks in (SHAPES, CHECKS):
        found = [Finding(document.title, *told) for check in checks for told in check(document)]
        yield from found
        if found:
            return


__all__ = ["CHECKS", "SHAPES", "Finding", "lint"]
