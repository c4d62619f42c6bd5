"""A pipeline: a function that says which steps make what from what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from headrace.core.errors import DefinitionError
from headrace.core.fit import MISSING, show_type
from headrace.core.hints import declared_types
from headrace.core.names import is_importable, name_of
from headrace.core.parameters import bind_parameters
from headrace.core.plan import ParameterSpec, Plan, Ref, check_graph
from headrace.core.step import NAME, Step
from headrace.core.tracing import Formats, Outputs, TracedStep, Tracer, current_tracer, place_of
from headrace.core.values import Json, encode

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A function that calls steps. Called plainly it is plain Python; inside another pipeline it is a part of it."""

    __headrace_pipeline__ = True

    def __init__(self, function: Callable[P, R], name: str, schedule: str | None) -> None:
        self.function = function
        self.name = name
        self.schedule = schedule
        self.__wrapped__ = function
        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, attribute, getattr(function, attribute, None))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run as plain Python, or add this pipeline's nodes, under its name, to the one that is being traced."""
        tracer = current_tracer()
        if tracer is None:
            return self.function(*args, **kwargs)
        with tracer.namespace(self.name):
            return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<pipeline {self.name!r}>"


class _PipelineMaker(Protocol):
    """What ``@pipeline(...)`` gives."""

    def __call__(self, function: Callable[P, R], /) -> Pipeline[P, R]: ...


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(*, name: str | None = None, schedule: str | None = None) -> _PipelineMaker: ...


def pipeline(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, schedule: str | None = None
) -> Any:
    """Make a function a pipeline.

    Parameters
    ----------
    name
        The pipeline's name; the function's by default.
    schedule
        A cron line, such as ``"0 3 * * *"``, for the backends that schedule.
    """

    def make(function: Callable[..., Any]) -> Pipeline[..., Any]:
        if isinstance(function, Step | Pipeline) or not inspect.isfunction(function):
            raise DefinitionError(f"{function!r} is not a plain function, so it cannot be a pipeline")
        own_name = name or function.__name__
        if not NAME.fullmatch(own_name):
            raise DefinitionError(
                f"A pipeline's name must be letters, digits, '_' and '-', but got {own_name!r}",
                hint="give name='…'",
            )
        if schedule is not None and len(schedule.split()) != 5:
            raise DefinitionError(
                f"A schedule is a cron line of five fields, but got {schedule!r}",
                hint='for every day at three: "0 3 * * *"',
                where=f"pipeline {own_name!r}",
            )
        return Pipeline(function, own_name, schedule)

    return make if function is None else make(function)


@dataclass(frozen=True)
class Trace:
    """A plan, and the live steps that it was made of."""

    plan: Plan
    steps: Mapping[str, TracedStep]


def trace(
    pipeline: Pipeline[..., Any],
    parameters: Mapping[str, object],
    formats: Formats,
    root: Path,
    folder: Path | None = None,
) -> Trace:
    """Call the pipeline's function once and return its plan.

    Parameters
    ----------
    parameters
        Values by name; text is read as the declared type. What is not given has its default.
    root
        The project's folder: paths inside it are kept relative to it.
    folder
        What relative paths given as text are relative to; ``root`` by default.

    Raises
    ------
    ParameterError
        For unknown, missing and ill-typed parameters.
    DefinitionError
        For everything that is wrong with the pipeline itself.
    """
    function = pipeline.function
    file, line = place_of(function, root)
    where = f"{file}:{line}"
    bound = bind_parameters(function, parameters, where, folder)
    tracer = Tracer(pipeline.name, formats, root)
    with tracer.active():
        returned = function(**bound)
    if not tracer.nodes:
        raise DefinitionError(f"Pipeline {pipeline.name!r} calls no step", where=where)
    plan = Plan(
        pipeline=pipeline.name,
        target=name_of(pipeline) if is_importable(pipeline) else None,
        parameters=_parameter_specs(function, bound, tracer, where),
        steps=tuple(traced.spec for traced in tracer.steps.values()),
        nodes=check_graph(pipeline.name, tracer.nodes.values()),
        outputs=_outputs(pipeline.name, returned, tracer, where),
        schedule=pipeline.schedule,
    )
    return Trace(plan, tracer.steps)


def _parameter_specs(
    function: Callable[..., Any], bound: Mapping[str, Any], tracer: Tracer, where: str
) -> tuple[ParameterSpec, ...]:
    types_by_name = declared_types(function, where)

    def tree(value: object) -> Json:
        return encode(value, tracer._encode_handle)

    specs = []
    for name, parameter in inspect.signature(function).parameters.items():
        has_default = parameter.default is not parameter.empty
        default = tree(parameter.default) if has_default else None
        declared = show_type(types_by_name.get(name, MISSING))
        specs.append(ParameterSpec(name, declared, tree(bound[name]), has_default, default))
    return tuple(specs)


def _outputs(name: str, returned: object, tracer: Tracer, where: str) -> dict[str, Ref]:
    if returned is None:
        return {}
    if (ref := tracer.ref_of(returned)) is not None:
        return {"output": ref}
    if isinstance(returned, Outputs):
        return {part: output._ref for part, output in returned._parts.items()}
    named = _named_parts(returned)
    found: dict[str, Ref] = {}
    for key, value in named.items():
        ref = tracer.ref_of(value)
        if ref is None:
            raise DefinitionError(
                f"Pipeline {name!r} returns {value!r} as {key!r}, which no step made",
                where=where,
                hint="return steps' outputs: one, a dict of them, or a NamedTuple",
            )
        found[key] = ref
    return found


def _named_parts(returned: object) -> dict[str, object]:
    if isinstance(returned, Mapping):
        return {str(key): value for key, value in returned.items()}
    if isinstance(returned, tuple) and hasattr(returned, "_asdict"):
        return dict(returned._asdict())
    if isinstance(returned, tuple | list):
        return {str(index): value for index, value in enumerate(returned)}
    if is_dataclass(returned):
        return {item.name: getattr(returned, item.name) for item in fields(returned)}
    return {"output": returned}
