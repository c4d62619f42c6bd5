"""A pipeline: a function that says which steps make what from what."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from headrace.core.errors import DefinitionError, HeadraceError
from headrace.core.fit import MISSING, show_type
from headrace.core.handles import Outputs
from headrace.core.hints import declared_types
from headrace.core.names import checked_name, is_importable, name_of
from headrace.core.parameters import bind_parameters
from headrace.core.places import place_of
from headrace.core.plan import ParameterSpec, Plan, Ref, check_graph
from headrace.core.shown import show_value
from headrace.core.step import check_function
from headrace.core.timing import Timing
from headrace.core.traced_step import Formats, TracedStep
from headrace.core.tracing import Tracer, current_tracer

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A function that calls steps. Called plainly it is plain Python; inside another pipeline it is a part of it."""

    __headrace_pipeline__ = True

    def __init__(self, function: Callable[P, R], name: str, timing: Timing) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.timing = timing

    @property
    def schedule(self) -> str | None:
        """The cron line, or None."""
        return self.timing.schedule

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run as plain Python, or add this pipeline's nodes, under its name, to the one that is being traced."""
        tracer = current_tracer()
        if tracer is None:
            return self.function(*args, **kwargs)
        file, line = place_of(self.function, tracer.root)
        declared = declared_types(self.function, f"{file}:{line}")
        tracer.bind(f"Pipeline {self.name!r}", inspect.signature(self.function), declared, args, kwargs)
        with tracer.namespace(self.name):
            return self.function(*args, **kwargs)

    def __reduce__(self) -> str:
        """Pickled by its name, as a function is."""
        return self.function.__qualname__

    def __repr__(self) -> str:
        return f"<pipeline {self.name!r}>"


class _PipelineMaker(Protocol):
    """What ``@pipeline(...)`` gives."""

    def __call__(self, function: Callable[P, R], /) -> Pipeline[P, R]: ...


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    schedule: str | None = None,
    timezone: str | None = None,
    date: str | None = None,
    depends_on_past: bool = False,
    max_active_runs: int | None = None,
) -> _PipelineMaker: ...


def pipeline(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    schedule: str | None = None,
    timezone: str | None = None,
    date: str | None = None,
    depends_on_past: bool = False,
    max_active_runs: int | None = None,
) -> Any:
    """Make a function a pipeline: it says which steps make what from what.

    To run it, the function is called once with handles in place of the steps' outputs. So it may loop over what is
    known (its parameters), but decides nothing by what steps make: that is for ``step.options(when=...)``. It may call
    other pipelines, whose nodes then stand under their names. What it returns are the pipeline's outputs.

    Parameters
    ----------
    name
        The pipeline's name: letters, digits, ``_`` and ``-``, at most 100; the function's by default.
    schedule
        A cron line of five fields, such as ``"0 3 * * *"``, or ``"@daily"`` and the like, for the backends that
        schedule and for ``--dates``; none by default.
    timezone
        Where the clock hangs that the schedule and times without a zone go by, such as ``"Europe/Zurich"``; UTC by
        default.
    date
        The parameter that is the date a run is for: declared ``datetime.date``, ``datetime.datetime`` or ``str``. By
        default, where ``--date`` is given, the only one that is declared a date or a time. No two runs for one date
        are under way at once.
    depends_on_past
        Whether a run for a date may begin only when the newest run for the date before, by the schedule or else the day
        before, has succeeded. The first date in a store has none before it.
    max_active_runs
        How many runs of this pipeline may be under way at once in one store, 1 or more; any number by default.

    Returns
    -------
    Pipeline
        Called plainly it is plain Python; ``headrace.run(it, parameters)`` runs it.

    Raises
    ------
    DefinitionError
        For what is no plain function, a bad name, schedule, time zone or limit.

    Examples
    --------
    >>> from headrace import step
    >>> @step
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> @pipeline(schedule="0 3 * * *")
    ... def twice_doubled(n: int = 1) -> int:
    ...     return double(double(n))
    >>> twice_doubled(3)
    12
    """

    def make(function: Callable[..., Any]) -> Pipeline[..., Any]:
        check_function(function, "pipeline")
        own_name = checked_name("pipeline", name if name is not None else function.__name__)
        where = f"pipeline {own_name!r}"
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise DefinitionError(
                "A pipeline's function is called once to see its steps, so it can be neither async nor a generator",
                where=where,
                hint="write a plain def: the steps that it calls may be async",
            )
        line = schedule
        if schedule is not None:
            from headrace.core.cron import check_cron

            line = check_cron(schedule, where)
        if timezone is not None:
            from headrace.core.dates import zone_named

            zone_named(timezone, where)
        if max_active_runs is not None and (type(max_active_runs) is not int or max_active_runs < 1):
            raise DefinitionError(
                f"max_active_runs >= 1 must hold, but got max_active_runs={max_active_runs!r}",
                where=where,
                hint="give a whole number, or leave it out for no limit",
            )
        return Pipeline(function, own_name, Timing(line, timezone, date, depends_on_past, max_active_runs))

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
    from headrace.core.dates import with_date

    function = pipeline.function
    file, line = place_of(function, root)
    where = f"{file}:{line}"
    types_by_name = declared_types(function, where)
    given, date = with_date(repr(pipeline.name), pipeline.timing, function, types_by_name, parameters, where)
    bound = bind_parameters(function, given, where, folder)
    arguments = inspect.BoundArguments(inspect.signature(function), bound)
    tracer = Tracer(pipeline.name, formats, root)
    specs = _parameter_specs(pipeline, bound, tracer, where)  # before the function may change a list that it was given
    with tracer.active():
        returned = function(*arguments.args, **arguments.kwargs)
    if not tracer.nodes:
        raise DefinitionError(
            f"Pipeline {pipeline.name!r} calls no step",
            where=where,
            hint="call functions that are decorated with @step",
        )
    try:
        nodes = check_graph(pipeline.name, tracer.nodes.values())
    except DefinitionError as error:
        raise DefinitionError(error.message, where=where, hint=error.hint) from None
    plan = Plan(
        pipeline=pipeline.name,
        target=name_of(pipeline) if is_importable(pipeline) else None,
        parameters=specs,
        steps=tuple(traced.spec for traced in tracer.steps.values()),
        nodes=nodes,
        outputs=_outputs(pipeline.name, returned, tracer, where),
        schedule=pipeline.timing.schedule,
        timezone=pipeline.timing.timezone,
        date=date,
        depends_on_past=pipeline.timing.depends_on_past,
        max_active_runs=pipeline.timing.max_active_runs,
    )
    return Trace(plan, tracer.steps)


def _parameter_specs(
    pipeline: Pipeline[..., Any], bound: Mapping[str, Any], tracer: Tracer, where: str
) -> tuple[ParameterSpec, ...]:
    types_by_name = declared_types(pipeline.function, where)
    specs = []
    for name, parameter in inspect.signature(pipeline.function).parameters.items():
        has_default = parameter.default is not parameter.empty
        try:
            value = tracer.encode(bound[name])
            default = tracer.encode(parameter.default) if has_default else None
        except HeadraceError as error:
            raise DefinitionError(
                f"Parameter {name!r} of pipeline {pipeline.name!r}: {error.message}", where=where, hint=error.hint
            ) from error
        specs.append(ParameterSpec(name, show_type(types_by_name.get(name, MISSING)), value, has_default, default))
    return tuple(specs)


def _outputs(name: str, returned: object, tracer: Tracer, where: str) -> dict[str, Ref]:
    """What the pipeline returns, by name; ``name.part`` for each output of a step that gives several."""
    if returned is None:
        return {}
    found: dict[str, Ref] = {}
    for key, value in _named_parts(returned).items():
        parts = value._parts if isinstance(value, Outputs) else {"": value}
        for part, output in parts.items():
            ref = tracer.ref_of(output)
            if ref is None:
                raise DefinitionError(
                    f"Pipeline {name!r} returns {show_value(output)}, which no step of it made",
                    where=where,
                    hint="return steps' outputs: one, several by position or in a dict, or a NamedTuple of them",
                )
            found[".".join(filter(None, (key, part))) or "output"] = ref
    return found


def _named_parts(returned: Any) -> dict[str, object]:
    if isinstance(returned, Mapping):
        return {str(key): value for key, value in returned.items()}
    if isinstance(returned, tuple) and hasattr(returned, "_asdict"):
        return dict(returned._asdict())
    if isinstance(returned, tuple | list):
        return {str(index): value for index, value in enumerate(returned)}
    if is_dataclass(returned) and not isinstance(returned, type):
        return {item.name: getattr(returned, item.name) for item in fields(returned)}
    return {"": returned}
