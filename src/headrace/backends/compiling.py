"""From a pipeline's name to a backend's files, or to why that can't be."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace.backends import image
from headrace.backends.capabilities import Feature, Kind, features_of
from headrace.backends.deployment import IMAGE, BackendError, Deployment
from headrace.backends.forms import fields_of
from headrace.backends.protocol import ENTRY_POINT_GROUP, Backend
from headrace.core.dates import DATE
from headrace.core.errors import HeadraceError, MissingParameterError, ParameterError, near_miss
from headrace.core.pipeline import trace
from headrace.engine.attempts import secrets_in
from headrace.engine.listing import import_roots
from headrace.engine.lookup import FormatLookup
from headrace.engine.prepare import describe_error, rebuild_error
from headrace.engine.settings import read_settings, store_place
from headrace.engine.target import Target, enter, import_target

if TYPE_CHECKING:
    from headrace.core.pipeline import Pipeline
    from headrace.core.plan import Plan

ANY_DATE = "2000-01-01"
"""The date that a pipeline is traced for whose date has no default: each of its runs is given its own."""
MOST_NODES_NAMED = 5


@dataclass(frozen=True)
class Wishes:
    """What was asked for beside the pipeline.

    Attributes
    ----------
    parameters
        Values by name: the defaults of the runs.
    python
        The interpreter of the project's environment where tasks run; this one by default.
    image
        The container image that tasks run in, instead.
    store
        The store; by default what the environment or the project says.
    settings
        Settings of the backend that go before the project's.
    made_by
        The command, for the files' first lines.
    """

    parameters: Mapping[str, object] = field(default_factory=dict)
    python: str | None = None
    image: str | None = None
    store: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    made_by: str = "headrace compile"


def backend_names() -> list[str]:
    """The names of the backends that there are."""
    return sorted(item.name for item in entry_points(group=ENTRY_POINT_GROUP))


def find_backend(name: str) -> Backend:
    """The backend of that name. Raises `BackendError`, with the nearest name, where there is none."""
    found: Iterable[EntryPoint] = entry_points(group=ENTRY_POINT_GROUP, name=name)
    for item in found:
        make: Callable[[], Backend] = item.load()
        return make()
    raise BackendError(f"There is no backend {name!r}", hint=near_miss(name, backend_names()))


def deployment_of(target: Target, backend: str, wishes: Wishes) -> Deployment:
    """Trace a pipeline, and say where its steps are to run.

    Raises `BackendError` for an interpreter that has no Headrace and for an image without a digest, and otherwise what
    tracing raises.
    """
    root = Path(target.root)
    settings = read_settings(root)
    own = dict(settings.get("backends", {}).get(backend, {}))
    store = store_place(wishes.store, root, settings)
    plan, pipeline, attribute, required = _traced(target, wishes.parameters)
    secrets = {secret.name for node in plan.nodes for tree in node.arguments.values() for secret in secrets_in(tree)}
    return Deployment(
        plan=plan,
        pipeline=_told(target, attribute),
        project=image.PROJECT if wishes.image else str(root),
        command=image.COMMAND if wishes.image else _command(wishes.python),
        store=store,
        image=_checked_image(wishes.image),
        fields=tuple(fields_of(plan, pipeline, required)),
        secrets=tuple(sorted(secrets)),
        description=" ".join((pipeline.__doc__ or "").split("\n\n")[0].split()),
        settings={**own, **wishes.settings},
        made_by=f"{wishes.made_by} (Headrace {headrace.__version__})",
    )


def _traced(target: Target, given: Mapping[str, object]) -> tuple[Plan, Pipeline[..., Any], str, tuple[str, ...]]:
    """The plan, the pipeline and its name in its module, and the parameters whose values are no defaults."""
    before = Path.cwd()
    with chdir(before):
        try:
            enter(target)
            pipeline = import_target(target)
            required: tuple[str, ...] = ()
            try:
                plan = _plan(pipeline, given, target, before)
            except MissingParameterError as missing:
                if DATE in given:
                    raise
                try:
                    plan = _plan(pipeline, {**given, DATE: ANY_DATE}, target, before)
                except ParameterError:
                    raise
                except HeadraceError:  # it takes no date: that wasn't what is missing
                    raise missing from None
                required = (plan.date,) if plan.date else ()
        except HeadraceError:
            raise
        except Exception as error:
            raise rebuild_error(describe_error(error, target.module)) from error
    module = vars(sys.modules[target.module])
    attribute = next((name for name, value in module.items() if value is pipeline), pipeline.name)
    return plan, pipeline, attribute, required


def _plan(pipeline: Pipeline[..., Any], given: Mapping[str, object], target: Target, folder: Path) -> Plan:
    return trace(pipeline, given, FormatLookup(), Path(target.root), folder).plan


def _told(target: Target, attribute: str) -> str:
    """How ``headrace exec`` finds the pipeline again from the project's folder."""
    if target.paths == import_roots(Path(target.root)):
        return f"{target.module}:{attribute}"
    file = Path(sys.modules[target.module].__file__ or "")
    return f"{os.path.relpath(file, target.root)}:{attribute}"


def _command(python: str | None) -> tuple[str, ...]:
    command = (python or sys.executable, "-m", "headrace")
    if python is not None:
        try:
            subprocess.run([*command, "--version"], capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise BackendError(
                f"{python!r} is no interpreter that has Headrace: {error}",
                hint=f"--python names the one of the project's environment, such as {sys.executable}",
            ) from error
    return command


def _checked_image(name: str | None) -> str | None:
    if name is not None and IMAGE.fullmatch(name) is None:
        raise BackendError(
            f"An image is named by its digest, but got {name!r}",
            hint="give NAME@sha256:… with 64 digits, which `docker push` prints: a tag may mean another image tomorrow",
        )
    return name


def refuse_unsupported(backend: Backend, deployment: Deployment) -> None:
    """Raise `BackendError` for a plan that uses what the backend can't do, naming steps and features."""
    used: dict[Feature, tuple[str, ...]] = features_of(deployment.plan)
    if deployment.image is not None:
        used[Feature.IMAGE] = ()
    problems = []
    for feature, nodes in used.items():
        support = backend.capabilities[feature]
        if support.kind is Kind.REFUSED:
            who = f"step {_listed(nodes)}" if nodes else f"pipeline {deployment.plan.pipeline!r}"
            problems.append(f"{who} uses {feature} ({support.how})")
    if problems:
        raise BackendError(
            f"Backend {backend.name!r} can't carry out pipeline {deployment.plan.pipeline!r}: {'; '.join(problems)}",
            hint="leave it out, or compile for a backend that has it: docs/reference/backends.md lists them",
        )


def _listed(nodes: Sequence[str]) -> str:
    shown = ", ".join(map(repr, nodes[:MOST_NODES_NAMED]))
    return shown if len(nodes) <= MOST_NODES_NAMED else f"{shown} and {len(nodes) - MOST_NODES_NAMED} more"


def compile_into(backend: Backend, deployment: Deployment, folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Write a backend's files into a folder: gives each one's name, and ``written`` or ``unchanged``.

    ``root``: the project's folder on this machine, from which an image is built. Nothing is written where the plan is
    refused.
    """
    refuse_unsupported(backend, deployment)
    files = dict(backend.files(deployment))
    if deployment.image is not None:
        files |= image.image_files(root, folder)
    yield from write_files(files, folder)
    for name in backend.complete(deployment, folder):
        yield name, "written"


def write_files(files: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Write those files of which the folder holds another version, each at once and whole."""
    for name, text in files.items():
        path = folder / name
        data = text.encode()
        if path.is_file() and path.read_bytes() == data:
            yield name, "unchanged"
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_bytes(data)
        aside.replace(path)
        yield name, "written"


def command_line(words: Sequence[str]) -> str:
    """A command as it would be typed."""
    return shlex.join(words)
