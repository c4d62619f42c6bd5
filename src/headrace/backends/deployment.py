"""A plan and where its steps are to run: all that a backend is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from headrace.core.errors import HeadraceError, near_miss
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.core.plan import Plan

S = TypeVar("S")
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")


class BackendError(HeadraceError):
    """A plan can't be compiled for a backend, or not be submitted to it."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A parameter as an orchestrator's form asks for it, and hands it on.

    Attributes
    ----------
    name
        The parameter's name.
    type
        Its declared type as text.
    schema
        What JSON it is, as a JSON schema: ``{}`` where the type doesn't say.
    default
        Its value in the plan as plain JSON, which is read back as that very value; None too where it has none.
    is_required
        Whether it must be given in each run.
    """

    name: str
    type: str
    schema: Mapping[str, Json]
    default: Json
    is_required: bool = False


@dataclass(frozen=True)
class Deployment:
    """A plan and where its steps are to run.

    Attributes
    ----------
    plan
        The plan.
    pipeline
        What ``headrace exec`` is told, in the project's folder: ``module:pipeline`` or ``path/to/file.py:pipeline``.
    project
        The project's folder: on the machines where tasks run, or in the image.
    command
        What starts ``headrace`` there, as words.
    store
        The store: a URL, or a folder's absolute path.
    image
        The container image that tasks run in, named by its digest; None where they run in place.
    fields
        The parameters that a run may be given. The others keep the values that they have in the plan.
    secrets
        The environment variables that steps take secrets from.
    description
        What the pipeline's docstring says, in one paragraph; empty without one.
    settings
        The backend's own settings; see `read_settings`.
    made_by
        The command that compiled it, and Headrace's version: for the files' first lines.
    """

    plan: Plan
    pipeline: str
    project: str
    command: tuple[str, ...]
    store: str
    image: str | None = None
    fields: tuple[FormField, ...] = ()
    secrets: tuple[str, ...] = ()
    description: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)
    made_by: str = "headrace compile"

    @property
    def shape(self) -> str:
        """The digest of the graph, by which ``exec --begin`` refuses another."""
        return self.plan.shape

    def heading(self) -> tuple[str, str]:
        """The two lines, without a comment's sign, that a file begins with."""
        return (
            f"Pipeline {self.plan.pipeline!r}, written by: {' '.join(self.made_by.split())}",
            f"Compile it again rather than edit it. Plan {self.plan.digest[:16]}.",
        )


def read_settings(kind: type[S], deployment: Deployment, backend: str) -> S:
    """A backend's settings as a frozen dataclass whose fields all have defaults.

    A field declared ``str``, ``int``, ``float``, ``bool``, ``tuple[str, ...]`` or ``dict[str, str]``, or one of these
    or None, takes a value of TOML or text. Raises `BackendError` for a name that there is not, and for another type.
    """
    from headrace.core.parameters import read_parameter

    known = {item.name for item in fields(kind) if item.default is not MISSING or item.default_factory is not MISSING}  # type: ignore[arg-type]
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in deployment.settings.items():
        if name not in known:
            raise BackendError(
                f"Backend {backend!r} has no setting {name!r}",
                where=f"[tool.headrace.backends.{backend}] or --set",
                hint=near_miss(name, known),
            )
        try:
            values[name] = read_parameter(name, value, types[name])
        except HeadraceError as error:
            raise BackendError(
                error.message, where=f"[tool.headrace.backends.{backend}] or --set", hint=error.hint
            ) from error
    return kind(**values)
