"""Names: which letters Kubernetes and Argo take, how long they may be, and that each is there once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from headrace.backends.argo.lint.document import Document, Tree, mapping, mappings, names, tasks_of
from headrace.backends.argo.lint.shapes import Placed

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
FIELD_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
PARAMETER_NAME = re.compile(r"[-a-zA-Z0-9_]+")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
VARIABLE_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
LABEL_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

LONGEST_OBJECT_NAME = {"Workflow": 63, "WorkflowTemplate": 63, "CronWorkflow": 52}
"""Argo's limits: the name is a label's value, and a scheduled run's name has eleven characters more."""
LONGEST_FIELD_NAME = 128
LONGEST_LABEL_VALUE = 63


def object_names_fit(document: Document) -> Placed:
    """Names of objects are those of hosts, and leave room for what Argo puts behind them."""
    metadata = mapping(document.tree.get("metadata"))
    if not metadata.get("name") and not metadata.get("generateName"):
        yield "metadata", "there is neither name nor generateName"
    for key, text in (("name", metadata.get("name")), ("generateName", metadata.get("generateName"))):
        if isinstance(text, str) and text:
            longest = LONGEST_OBJECT_NAME.get(document.kind, 63) - (5 if key == "generateName" else 0)
            bare = text.rstrip("-.") if key == "generateName" else text
            yield from _wrong(f"metadata.{key}", bare, OBJECT_NAME, longest, "small letters, digits, '-' and '.'")
    yield from _wrong("metadata.namespace", metadata.get("namespace"), LABEL, 63, "small letters, digits and '-'")
    reference = mapping(document.spec.get("workflowTemplateRef")).get("name")
    if isinstance(reference, str):
        place = f"{document.place}.workflowTemplateRef.name"
        yield from _wrong(place, reference, OBJECT_NAME, 63, "small letters, digits, '-' and '.'")


def labels_fit(document: Document) -> Placed:
    """Labels and annotations have names that Kubernetes takes, and labels' values are short."""
    placed = [("metadata", mapping(document.tree.get("metadata")))]
    placed += [
        (f"{place}.metadata", mapping(template.get("metadata"))) for place, template in document.placed_templates()
    ]
    placed += [(f"{document.place}.podMetadata", mapping(document.spec.get("podMetadata")))]
    for place, metadata in placed:
        for kind in ("labels", "annotations"):
            for key, value in mapping(metadata.get(kind)).items():
                yield from _wrong(f"{place}.{kind}", key, LABEL_NAME, 253, "a name that Kubernetes takes")
                if kind == "labels":
                    yield from _wrong(
                        f"{place}.labels.{key}",
                        value,
                        LABEL_VALUE,
                        LONGEST_LABEL_VALUE,
                        "letters, digits, '-', '_' and '.'",
                    )


def field_names_fit(document: Document) -> Placed:
    """Names of templates and tasks have letters, digits and ``-``; a task's doesn't begin with a digit."""
    rule = "letters, digits and '-'"
    for place, template in document.placed_templates():
        yield from _wrong(f"{place}.name", template.get("name"), FIELD_NAME, LONGEST_FIELD_NAME, rule)
    for place, _, task in document.tasks():
        name = task.get("name")
        yield from _wrong(f"{place}.name", name, FIELD_NAME, LONGEST_FIELD_NAME, rule)
        if isinstance(name, str) and name[:1].isdigit():
            yield f"{place}.name", f"{name!r} begins with a digit, which 'depends' can't read"


def parameter_names_fit(document: Document) -> Placed:
    """Names of parameters and artifacts have letters, digits, ``-`` and ``_``."""
    for place, given in _argument_lists(document):
        for name in names(given):
            yield from _wrong(place, name, PARAMETER_NAME, LONGEST_FIELD_NAME, "letters, digits, '-' and '_'")


def names_are_there_once(document: Document) -> Placed:
    """No two templates, tasks, parameters, artifacts, volumes, mounts or variables have one name."""
    yield from _twice(f"{document.place}.templates", names(document.templates))
    yield from _twice(f"{document.place}.volumes", names(_volumes(document.spec)))
    for place, template in document.placed_templates():
        yield from _twice(f"{place}.dag.tasks", names(tasks_of(template)))
        yield from _twice(f"{place}.volumes", names(template.get("volumes")))
    for place, given in _argument_lists(document):
        yield from _twice(place, names(given))
    for place, _, container in document.containers():
        yield from _twice(f"{place}.env", names(container.get("env")))
        mounts = [str(mount.get("mountPath")) for mount in mappings(container.get("volumeMounts"))]
        yield from _twice(f"{place}.volumeMounts", mounts)


def variables_fit(document: Document) -> Placed:
    """Names of environment variables, and keys of secrets, are such as Kubernetes takes."""
    for place, _, container in document.containers():
        for number, variable in enumerate(mappings(container.get("env"))):
            at = f"{place}.env[{number}]"
            yield from _wrong(
                f"{at}.name", variable.get("name"), VARIABLE_NAME, 253, "letters, digits, '-', '_' and '.'"
            )
            secret = mapping(mapping(variable.get("valueFrom")).get("secretKeyRef"))
            if secret:
                yield from _wrong(f"{at}.secretKeyRef.name", secret.get("name"), OBJECT_NAME, 253, "an object's name")
                yield from _wrong(f"{at}.secretKeyRef.key", secret.get("key"), SECRET_KEY, 253, "a key of a Secret")


def volumes_are_there(document: Document) -> Placed:
    """What is mounted is a volume of the workflow or of the template."""
    for place, template, container in document.containers():
        known = {*names(_volumes(document.spec)), *names(template.get("volumes"))}
        for name in names(container.get("volumeMounts")):
            if name not in known:
                yield f"{place}.volumeMounts", f"there is no volume {name!r}"
    for number, name in enumerate(names(_volumes(document.spec))):
        yield from _wrong(f"{document.place}.volumes[{number}].name", name, LABEL, 63, "small letters, digits and '-'")


def _volumes(spec: Tree) -> list[Tree]:
    claims = [mapping(claim.get("metadata")) for claim in mappings(spec.get("volumeClaimTemplates"))]
    return [*mappings(spec.get("volumes")), *claims]


def _argument_lists(document: Document) -> list[tuple[str, object]]:
    """Lists of parameters and of artifacts, with their places."""
    holders = [(f"{document.place}.arguments", document.spec.get("arguments"))]
    for place, template in document.placed_templates():
        holders += [(f"{place}.{side}", template.get(side)) for side in ("inputs", "outputs")]
    holders += [(f"{place}.arguments", task.get("arguments")) for place, _, task in document.tasks()]
    return [
        (f"{place}.{kind}", mapping(holder).get(kind))
        for place, holder in holders
        for kind in ("parameters", "artifacts")
    ]


def _wrong(place: str, name: object, pattern: re.Pattern[str], longest: int, rule: str) -> Placed:
    if not isinstance(name, str):
        return
    if not pattern.fullmatch(name):
        yield place, f"{name!r:.120} is not of {rule}"
    if len(name) > longest:
        yield place, f"{name!r:.120} has {len(name)} characters, {longest} at most"


def _twice(place: str, given: Iterable[str]) -> Placed:
    for name, n_times in Counter(given).items():
        if n_times > 1:
            yield place, f"{name!r} is there {n_times} times"
