"""One Argo object as a plain tree, with the few things about it that more than one check asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Tree = Mapping[str, Any]
"""What a YAML reader gives: mappings, lists, texts, numbers."""

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
"""What Argo puts a value in place of."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: in which object, at which place in it, and what."""

    document: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.document}: {self.place}: {self.problem}"


@dataclass(frozen=True)
class Document:
    """An object, and all those that it was given with, to look up what it refers to."""

    tree: Tree
    others: tuple[Tree, ...] = ()

    @cached_property
    def title(self) -> str:
        """Kind and name, as findings show them."""
        metadata = mapping(self.tree.get("metadata"))
        return f"{self.kind} {metadata.get('name') or metadata.get('generateName') or '?'}"

    @cached_property
    def kind(self) -> str:
        """``Workflow``, ``WorkflowTemplate`` or ``CronWorkflow``."""
        return str(self.tree.get("kind"))

    @cached_property
    def place(self) -> str:
        """Where the workflow's spec is in the tree."""
        return "spec.workflowSpec" if self.kind == "CronWorkflow" else "spec"

    @cached_property
    def spec(self) -> Tree:
        """The workflow's spec."""
        spec = mapping(self.tree.get("spec"))
        return mapping(spec.get("workflowSpec")) if self.kind == "CronWorkflow" else spec

    @cached_property
    def templates(self) -> list[Tree]:
        """The templates, as they stand."""
        return mappings(self.spec.get("templates"))

    @cached_property
    def templates_by_name(self) -> dict[str, Tree]:
        """The templates by name."""
        return {str(template.get("name")): template for template in self.templates}

    def placed_templates(self) -> Iterator[tuple[str, Tree]]:
        """Each template with its place."""
        for number, template in enumerate(self.templates):
            yield f"{self.place}.templates[{number}]", template

    def tasks(self) -> Iterator[tuple[str, Tree, Tree]]:
        """Each task of each DAG: place, template, task."""
        for place, template in self.placed_templates():
            for number, task in enumerate(tasks_of(template)):
                yield f"{place}.dag.tasks[{number}]", template, task

    def containers(self) -> Iterator[tuple[str, Tree, Tree]]:
        """Each container: place, template, container."""
        for place, template in self.placed_templates():
            for kind in ("container", "script"):
                if isinstance(template.get(kind), Mapping):
                    yield f"{place}.{kind}", template, template[kind]
            for kind in ("initContainers", "sidecars"):
                for number, container in enumerate(mappings(template.get(kind))):
                    yield f"{place}.{kind}[{number}]", template, container

    @cached_property
    def referred(self) -> Document | None:
        """The template that the object refers to, where it was given too."""
        name = mapping(self.spec.get("workflowTemplateRef")).get("name")
        for tree in self.others:
            if tree.get("kind") == "WorkflowTemplate" and mapping(tree.get("metadata")).get("name") == name:
                return Document(tree)
        return None

    @cached_property
    def exit_handlers(self) -> list[str]:
        """Names of the templates that are carried out when the workflow has ended."""
        hook = mapping(mapping(self.spec.get("hooks")).get("exit")).get("template")
        return [str(name) for name in (self.spec.get("onExit"), hook) if name]


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def mapping(tree: object) -> Tree:
    """The tree, or nothing where it isn't a mapping: what is of the wrong shape is another check's to tell."""
    return tree if isinstance(tree, Mapping) else {}


def mappings(tree: object) -> list[Tree]:
    """The mappings in a list."""
    return [item for item in tree if isinstance(item, Mapping)] if isinstance(tree, list) else []


def names(tree: object) -> list[str]:
    """The names of a list of named things."""
    return [str(item["name"]) for item in mappings(tree) if "name" in item]


def tasks_of(template: Tree) -> list[Tree]:
    """The tasks of a DAG template."""
    return mappings(mapping(template.get("dag")).get("tasks"))


def is_repeated(task: Tree) -> bool:
    """Whether a task is carried out for each of several items."""
    return any(task.get(key) is not None for key in ("withItems", "withParam", "withSequence"))


def texts(tree: object, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a tree, with its place."""
    waiting = [(place, tree)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, Mapping):
            waiting.extend((f"{at}.{key}", value) for key, value in reversed([*item.items()]))
        elif isinstance(item, list):
            waiting.extend((f"{at}[{number}]", value) for number, value in reversed(list(enumerate(item))))
