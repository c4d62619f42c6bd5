"""Values that Argo or Kubernetes reads as something else than text: times, amounts, policies, conditions."""

from __future__ import annotations

import re
from decimal import Decimal

from headrace.backends.argo.lint.document import TAG, Document, Tree, mapping, mappings
from headrace.backends.argo.lint.expressions import WHEN
from headrace.backends.argo.lint.references import expression_problems
from headrace.backends.argo.lint.shapes import Placed
from headrace.core.cron import check_cron
from headrace.core.dates import zone_named
from headrace.core.errors import DefinitionError, near_miss

POLICIES: dict[str, tuple[str, ...]] = {
    "podGC.strategy": ("OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"),
    "volumeClaimGC.strategy": ("OnWorkflowCompletion", "OnWorkflowSuccess"),
    "retryStrategy.retryPolicy": ("Always", "OnFailure", "OnError", "OnTransientError"),
    "concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
}
LAST_RETRY = ("exitCode", "status", "duration", "message")
DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+")
QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")
_FACTORS = {
    "n": "1e-9",
    "u": "1e-6",
    "m": "1e-3",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "T": "1e12",
    "P": "1e15",
    "E": "1e18",
}


def schedule_can_be_read(document: Document) -> Placed:
    """Cron lines have five fields of what every scheduler knows, and the time zone is one of the IANA's."""
    if document.kind != "CronWorkflow":
        return
    spec = mapping(document.tree.get("spec"))
    if not spec.get("schedules"):
        yield "spec.schedules", "there is none"
    for number, line in enumerate(spec.get("schedules") or ()):
        try:
            check_cron(line, "")
        except DefinitionError as error:
            yield f"spec.schedules[{number}]", error.message
    if spec.get("timezone") is not None:
        try:
            zone_named(spec["timezone"], "")
        except DefinitionError as error:
            yield "spec.timezone", error.message
    if (spec.get("startingDeadlineSeconds") or 0) < 0:
        yield "spec.startingDeadlineSeconds", "it is negative"


def policies_are_known(document: Document) -> Placed:
    """Policies and strategies are among Argo's."""
    waiting: list[tuple[str, object]] = [("", document.tree)]
    while waiting:
        place, tree = waiting.pop()
        if isinstance(tree, list):
            waiting.extend((f"{place}[{number}]", item) for number, item in enumerate(tree))
        for key, item in mapping(tree).items():
            at = f"{place}.{key}".lstrip(".")
            waiting.append((at, item))
            for name, known in POLICIES.items():
                if at.endswith(f".{name}") and isinstance(item, str) and item not in known:
                    yield at, f"{item!r:.60} is none of {', '.join(known)}; {near_miss(item, known)}"


def durations_can_be_read(document: Document) -> Placed:
    """Durations are numbers with a unit, such as ``90s`` or ``1h30m``."""
    for place, template in document.placed_templates():
        backoff = mapping(mapping(template.get("retryStrategy")).get("backoff"))
        given = {f"retryStrategy.backoff.{key}": backoff.get(key) for key in ("duration", "maxDuration", "cap")}
        for key, text in {**given, "timeout": template.get("timeout")}.items():
            if isinstance(text, str) and not TAG.search(text) and not DURATION.fullmatch(text):
                yield f"{place}.{key}", f"{text!r:.60} is no duration, such as 90s"
        if template.get("timeout") and "dag" in template:
            yield f"{place}.timeout", "a DAG takes none"
    delay = mapping(document.spec.get("podGC")).get("deleteDelayDuration")
    if isinstance(delay, str) and not DURATION.fullmatch(delay):
        yield f"{document.place}.podGC.deleteDelayDuration", f"{delay!r:.60} is no duration, such as 90s"


def quantities_can_be_read(document: Document) -> Placed:
    """Amounts of cpu and memory are Kubernetes', and what is asked for is within the limit."""
    for place, _, container in document.containers():
        resources = mapping(container.get("resources"))
        for kind in ("requests", "limits"):
            for name, text in mapping(resources.get(kind)).items():
                if amount(text) is None:
                    yield f"{place}.resources.{kind}.{name}", f"{text!r:.60} is no amount, such as 500m or 2Gi"
        for name, text in mapping(resources.get("requests")).items():
            asked, limit = amount(text), amount(mapping(resources.get("limits")).get(name))
            if asked is not None and limit is not None and asked > limit:
                yield f"{place}.resources.requests.{name}", "more is asked for than the limit"


def amount(text: object) -> Decimal | None:
    """What a quantity of Kubernetes' says, None where it says nothing."""
    found = QUANTITY.fullmatch(str(text)) if isinstance(text, str | int | float) else None
    if found is None:
        return None
    number, unit = Decimal(found[1]), found[3] or ""
    if unit.endswith("i"):
        return number * Decimal(1024) ** ("KMGTPE".index(unit[0]) + 1)
    if unit[:1] in ("e", "E") and len(unit) > 1:
        return number.scaleb(int(unit[1:]))
    return number * Decimal(_FACTORS.get(unit, "1"))


def retries_can_be_read(document: Document) -> Placed:
    """How often is a number, and the condition can be read and asks what Argo knows of the last try."""
    for place, template in document.placed_templates():
        strategy = mapping(template.get("retryStrategy"))
        limit = strategy.get("limit")
        if limit is not None and not TAG.search(str(limit)) and not str(limit).isdecimal():
            yield f"{place}.retryStrategy.limit", f"{limit!r:.60} is no number"
        text = strategy.get("expression")
        if isinstance(text, str):
            at = f"{place}.retryStrategy.expression"
            yield from expression_problems(at, text.removeprefix("{{=").removesuffix("}}"))
            for name in re.findall(r"\blastRetry\.(\w+)", text):
                if name not in LAST_RETRY:
                    yield at, f"'lastRetry.{name}' is not known; {near_miss(name, LAST_RETRY)}"


def conditions_can_be_read(document: Document) -> Placed:
    """``when`` is a condition, once values stand in place of its tags."""
    for place, _, task in document.tasks():
        text = task.get("when")
        if isinstance(text, str):
            problem = WHEN.problem(TAG.sub("x", text))
            if problem:
                yield f"{place}.when", problem


def containers_have_images(document: Document) -> Placed:
    """A container has an image and a command: without a command, Argo asks the registry for it."""
    for place, _, container in document.containers():
        if not container.get("image"):
            yield f"{place}.image", "there is none"
        if not container.get("command") and place.endswith(("container", "script")):
            yield f"{place}.command", "there is none"


def artifacts_have_paths(document: Document) -> Placed:
    """What a container gets or leaves as a file says where, from the root, and no two are at one place."""
    for place, template in document.placed_templates():
        if "container" not in template and "script" not in template:
            continue
        paths: list[object] = []
        for side in ("inputs", "outputs"):
            holder = mapping(template.get(side))
            found = [item.get("path") for item in mappings(holder.get("artifacts"))]
            if side == "outputs":
                found += [_path_of(item) for item in mappings(holder.get("parameters"))]
            if any(not isinstance(path, str) or not path.startswith("/") for path in found):
                yield f"{place}.{side}", "a path from the root must be said"
            paths += found
        if len(set(paths)) != len(paths):
            yield place, "two files are at one path"


def _path_of(parameter: Tree) -> object:
    source = mapping(parameter.get("valueFrom"))
    return source.get("path") if "path" in source else "/" + str(parameter.get("name"))
