"""The names that objects, tasks and parameters get: readable, such as Kubernetes takes, no two alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace.backends.naming import unique_names

LONGEST_OBJECT_NAME = 40
"""A run's name has a random or a time's ending, and a pod's the template's name and a number, within 63."""
LONGEST_TASK_NAME = 100
BEGIN = "begin"


@dataclass(frozen=True, slots=True)
class TaskNames:
    """The names of the tasks of a node: the one that others wait for, and for a node that maps those before it."""

    task: str
    slices: str
    items: str


def object_name(pipeline: str) -> str:
    """A pipeline's name as the cluster takes it.

    >>> object_name("churn"), object_name("my_flow")
    ('churn', 'my-flow')
    """
    (name,) = unique_names([pipeline], "[^a-z0-9-]", LONGEST_OBJECT_NAME, between="-", lower=True).values()
    return _with_letters_at_the_ends(pipeline, name)


def task_names(ids: Iterable[str]) -> tuple[str, dict[str, TaskNames]]:
    """The name of the task that begins the run, and those of each node's tasks."""
    plain = unique_names(ids, "[^A-Za-z0-9-]", LONGEST_TASK_NAME, between="-")
    names = {node: _with_letters_at_the_ends(node, name) for node, name in plain.items()}
    taken = set(names.values())
    begin = _free(BEGIN, taken)
    found = {
        node: TaskNames(name, _free(f"{name}-slices", taken), _free(f"{name}-items", taken))
        for node, name in names.items()
    }
    return begin, found


def parameter_names(names: Iterable[str]) -> Mapping[str, str]:
    """The names of the workflow's parameters: the pipeline's own, but for letters that Argo doesn't take."""
    return unique_names(names, "[^A-Za-z0-9_-]", LONGEST_TASK_NAME)


def _with_letters_at_the_ends(whole: str, name: str) -> str:
    if re.fullmatch(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?", name):
        return name
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return "-".join(part for part in ("n", name.strip("-")[: LONGEST_OBJECT_NAME - 11], digest) if part)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"headrace-{name}"
    taken.add(name)
    return name
