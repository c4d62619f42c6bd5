"""A step as tracing sees it: its entry in the plan, and what its signature declares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args, get_origin

from headrace.core.errors import DefinitionError, HeadraceError, ValueCodecError, near_miss
from headrace.core.fit import MISSING, show_type
from headrace.core.hints import declared_types
from headrace.core.names import is_importable, name_of
from headrace.core.places import place_of
from headrace.core.plan import OutputSpec, StepSpec

if TYPE_CHECKING:
    from headrace.core.step import Step


class Formats(Protocol):
    """What tracing asks of the formats, without importing any."""

    def name_for(self, declared: object) -> str:
        """The format that stores a declared type. Raises `FormatError` when there is none."""

    def loads_as(self, format_name: str, declared: object) -> bool:
        """Whether what this format stored can arrive as declared. Raises `FormatError` for an unknown format."""

    def is_table(self, declared: object) -> bool:
        """Whether the declared type is a table that opens on the configured engine."""


@dataclass(frozen=True)
class TracedStep:
    """A step, its plan entry and what its signature declares.

    ``outputs`` are the declared types of its outputs by name; ``kind`` is the class whose fields they are, if any.
    """

    step: Step[..., Any]
    spec: StepSpec
    signature: inspect.Signature
    declared: Mapping[str, Any]
    outputs: Mapping[str, Any]
    kind: type | None

    def numbered(self, number: int) -> TracedStep:
        """The same under another id: one of several steps made in one place, as in a loop."""
        return replace(self, spec=replace(self.spec, id=f"{self.spec.id}#{number}"))


def describe(step: Step[..., Any], formats: Formats, root: Path) -> TracedStep:
    """Look at a step. Raises `DefinitionError` for what is wrong with its signature or options."""
    function, settings = step.function, step.settings
    file, line = place_of(function, root)
    where = f"{file}:{line}"
    declared = declared_types(inspect.unwrap(function), where)
    returns, kind, outputs = _outputs_of(step, declared.get("return", MISSING), where)
    spec = StepSpec(
        id=f"{function.__module__}:{function.__qualname__}",
        name=settings.name,
        target=name_of(step) if is_importable(step) else None,
        module=function.__module__,
        file=file,
        line=line,
        outputs=_output_specs(step, outputs, formats, where),
        returns=returns,
        retries=settings.retries,
        retry_on=tuple(_named(step, "retry_on", item, where) for item in settings.retry_on),
        backoff_seconds=settings.backoff_seconds,
        timeout_seconds=settings.timeout_seconds,
        cache=settings.cache,
        expires_after_seconds=settings.expires_after_seconds,
        cpus=settings.resources.cpus,
        memory_bytes=settings.resources.memory_bytes,
        effect=None if settings.effect is None else _importable(step, "effect", settings.effect, where),
        gate=_gate_of(step, kind, outputs, where),
        takes_table=any(formats.is_table(item) for name, item in declared.items() if name != "return"),
    )
    return TracedStep(step, spec, inspect.signature(function), declared, outputs, kind)


def _named(step: Step[..., Any], option: str, value: object, where: str) -> str:
    try:
        return name_of(value)
    except ValueCodecError as error:
        raise DefinitionError(
            f"{option}= of step {step.settings.name!r}: {error.message}", where=where, hint=error.hint
        ) from error


def _importable(step: Step[..., Any], option: str, value: object, where: str) -> str:
    path = _named(step, option, value, where)
    if not is_importable(value):
        raise DefinitionError(
            f"{option}= of step {step.settings.name!r}: {path!r} is not what importing it gives",
            where=where,
            hint="give it a name of its own at the top of its module",
        )
    return path


def _output_specs(
    step: Step[..., Any], outputs: Mapping[str, Any], formats: Formats, where: str
) -> tuple[OutputSpec, ...]:
    settings = step.settings
    named = settings.outputs if isinstance(settings.outputs, Mapping) else {}
    for name in named:
        if name not in outputs:
            raise DefinitionError(
                f"Step {settings.name!r} has no output {name!r}",
                where=where,
                hint=near_miss(name, outputs) or "it returns None",
            )
    specs = []
    for name, output_type in outputs.items():
        try:
            if name in named:
                formats.loads_as(named[name], Path)  # any format's artifact arrives as a Path, if there is the format
            format_name = named[name] if name in named else formats.name_for(output_type)
        except HeadraceError as error:
            is_tuple = get_origin(output_type) is tuple and name not in named
            raise DefinitionError(
                f"Output {name!r} of step {settings.name!r}: {error.message}",
                where=where,
                hint="name its parts, as in @step(outputs=('train', 'test')), or return a NamedTuple"
                if is_tuple
                else error.hint,
            ) from error
        specs.append(OutputSpec(name, show_type(output_type), format_name, name in named))
    return tuple(specs)


def _outputs_of(step: Step[..., Any], declared: Any, where: str) -> tuple[str, type | None, dict[str, Any]]:
    """How the outputs come back ("nothing", "value", "tuple", "fields"), in which class, and what each is."""
    settings = step.settings
    if declared is MISSING:
        raise DefinitionError(
            f"Step {settings.name!r} does not say what it returns",
            where=where,
            hint="annotate it, as in `-> polars.DataFrame` or `-> None`: the type decides how the result is stored",
        )
    origin = get_origin(declared) or declared
    has_fields = isinstance(origin, type) and (hasattr(origin, "_fields") or is_dataclass(origin))
    if has_fields and not getattr(origin, "__headrace_one_value__", False):
        if isinstance(settings.outputs, tuple):
            raise DefinitionError(
                f"Step {settings.name!r} names its outputs twice: in outputs= and by the fields of {show_type(origin)}",
                where=where,
                hint="leave out outputs=",
            )
        return "fields", origin, _field_types(step, origin, where)
    if isinstance(settings.outputs, tuple):
        return "tuple", None, _tuple_types(step, settings.outputs, declared, where)
    if declared is None or declared is type(None):
        return "nothing", None, {}
    return "value", None, {"output": declared}


def _tuple_types(step: Step[..., Any], names: tuple[str, ...], declared: Any, where: str) -> dict[str, Any]:
    parts = get_args(declared)
    if get_origin(declared) is not tuple or len(parts) != len(names) or Ellipsis in parts:
        raise DefinitionError(
            f"Step {step.settings.name!r} names {len(names)} outputs, but returns {show_type(declared)}",
            where=where,
            hint="return a tuple with one type an output, as in `-> tuple[Table, Table]`",
        )
    return dict(zip(names, parts, strict=True))


def _field_types(step: Step[..., Any], kind: type, where: str) -> dict[str, Any]:
    declared = declared_types(kind, where)
    names = [item.name for item in fields(kind)] if is_dataclass(kind) else list(kind._fields)  # type: ignore[attr-defined]
    if not names or any(name.startswith("_") for name in names):
        problem = "has no fields" if not names else "has a field whose name begins with '_'"
        raise DefinitionError(
            f"Step {step.settings.name!r} returns {show_type(kind)}, which {problem}",
            where=where,
            hint="its fields are the step's outputs: name each for what it is",
        )
    return {name: declared.get(name, MISSING) for name in names}


def _gate_of(step: Step[..., Any], kind: type | None, outputs: Mapping[str, Any], where: str) -> str | None:
    """The output that rejects the run when it is False, which the class of a gate's outputs names."""
    gate: str | None = getattr(kind, "__headrace_gate__", None)
    if gate is not None and outputs.get(gate) is not bool:
        raise DefinitionError(
            f"Step {step.settings.name!r} returns {show_type(kind)}, whose gate {gate!r} is no bool of its fields",
            where=where,
            hint="__headrace_gate__ names a field that is declared bool",
        )
    return gate
