"""A step: a plain function, and how it is to be run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from headrace.core.errors import DefinitionError, TransientError, near_miss
from headrace.core.mapping import MapOptions, map_plainly
from headrace.core.names import checked_name, class_around
from headrace.core.shown import show_value
from headrace.core.tracing import current_tracer

if TYPE_CHECKING:
    from headrace.core.tracing import Dependency
    from headrace.formats.table import Table

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
R = TypeVar("R")
RETRIED_BY_DEFAULT: tuple[type[BaseException], ...] = (TransientError, ConnectionError, TimeoutError)

Effect = Callable[[Mapping[str, object], object], bool]
"""Tells whether a step's effect is still in place, from its plain arguments by name and its stored output."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a step needs. For admission only: the engine starts no more than fits, and does not confine what runs.

    Parameters
    ----------
    cpus
        Whole processors, at least 1; also the thread limit that numeric libraries are given.
    memory_bytes
        Memory that is set aside, in bytes; ``None`` sets none aside.
    """

    cpus: int = 1
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.cpus, at_least=1):
            raise DefinitionError(
                f"cpus >= 1 must hold, but got cpus={self.cpus!r}", hint="give a whole number, such as 2"
            )
        if self.memory_bytes is not None and not _is_whole(self.memory_bytes, at_least=1):
            raise DefinitionError(
                f"memory_bytes > 0 must hold, but got memory_bytes={self.memory_bytes!r}",
                hint="give bytes as a whole number, such as 2 * 1024**3",
            )


def _is_whole(value: object, *, at_least: int) -> bool:
    return type(value) is int and value >= at_least


def _is_number(value: object, *, above: float | None = None, at_least: float | None = None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return False
    return (above is None or value > above) and (at_least is None or value >= at_least)


_NUMBER = "give a number of seconds, such as 60"
_RULES: tuple[tuple[str, Callable[[Any], bool], str, str], ...] = (
    ("retries", lambda value: _is_whole(value, at_least=0), "retries >= 0 must hold", "give a whole number, such as 3"),
    ("backoff_seconds", lambda value: _is_number(value, at_least=0), "backoff_seconds >= 0 must hold", _NUMBER),
    (
        "timeout_seconds",
        lambda value: value is None or _is_number(value, above=0),
        "timeout_seconds > 0 must hold",
        f"{_NUMBER}, or None for no limit",
    ),
    ("cache", lambda value: type(value) is bool, "cache is True or False", "to compute each time: cache=False"),
    (
        "expires_after_seconds",
        lambda value: value is None or _is_number(value, above=0),
        "expires_after_seconds > 0 must hold",
        f"{_NUMBER}, or None for never",
    ),
    ("resources", lambda value: isinstance(value, Resources), "resources takes a Resources", "Resources(cpus=2)"),
    (
        "retry_on",
        lambda value: all(isinstance(item, type) and issubclass(item, BaseException) for item in value),
        "retry_on takes exception classes",
        "as in retry_on=(ConnectionError, TransientError)",
    ),
    (
        "effect",
        lambda value: value is None or callable(value),
        "effect takes a function",
        "one of the plain arguments by name and the stored output, which returns a bool",
    ),
)
"""By option: what must hold of its value, in words, and what to give."""
_OPTIONS = (*(option for option, *_ in _RULES), "outputs")


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step is run; see `step` for what each means."""

    name: str
    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = RETRIED_BY_DEFAULT
    backoff_seconds: float = 1.0
    timeout_seconds: float | None = None
    cache: bool = True
    expires_after_seconds: float | None = None
    resources: Resources = Resources()
    outputs: tuple[str, ...] | Mapping[str, str] | None = None
    effect: Effect | None = None

    def __post_init__(self) -> None:
        checked_name("step", self.name)
        for option, holds, rule, hint in _RULES:
            value = getattr(self, option)
            if not holds(value):
                raise DefinitionError(
                    f"{rule}, but got {option}={show_value(value)}", where=f"step {self.name!r}", hint=hint
                )
        if self.outputs is not None:
            _check_outputs(self.outputs, f"step {self.name!r}")


def _check_outputs(outputs: tuple[str, ...] | Mapping[str, str], where: str) -> None:
    names = tuple(outputs)
    for name in names:
        checked_name("step's output", name, where)
    if not names or len(set(names)) != len(names) or any(name.startswith("_") for name in names):
        raise DefinitionError(
            f"outputs names each output once, but got {outputs!r}", where=where, hint="as in outputs=('train', 'test')"
        )
    for format_name in outputs.values() if isinstance(outputs, Mapping) else ():
        if not isinstance(format_name, str):
            raise DefinitionError(
                f"outputs maps an output to a format by name, but got {format_name!r}",
                where=where,
                hint="as in outputs={'output': 'pickle'}",
            )


class Step(Generic[P, R]):
    """A function and how to run it. Called outside a pipeline it is the function; inside one, it becomes a node.

    Where the function is ``async``, a call outside a pipeline gives a coroutine, though types say ``R``: in pipelines,
    which is what they are for, the worker runs it to its end.
    """

    __headrace_step__ = True

    def __init__(self, function: Callable[P, Any], options: StepOptions) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.settings = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or add a node to the pipeline that is being traced."""
        tracer = current_tracer()
        if tracer is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return tracer.add_node(self, args, kwargs)  # type: ignore[return-value]

    @overload
    def map(self: Step[Concatenate[T, Q], R], items: Iterable[T], /, *args: Q.args, **kwargs: Q.kwargs) -> list[R]: ...
    @overload
    def map(self, **kwargs: Any) -> list[R]: ...

    def map(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Call the step for each item of a list, which may be known only when the run is under way.

        ``score.map(parts, model)``: the step's first parameter gets an item each, the others the same value in all
        calls. `options` says otherwise: ``score.options(over=("left", "right")).map(lefts, rights)`` takes an item of
        each list. In a pipeline the list is an output (a ``list``, ``tuple`` or ``Sequence``), or a list of values and
        outputs; what comes back stands for the list of results, in the order of the items.

        Each item has a key of its own, made from its value and not from its place: in a list that grew by one, one is
        computed. Retries, time limits, resources and effects are an item's too.
        """
        return self.options().map(*args, **kwargs)

    def options(
        self,
        *,
        when: bool | None = None,
        after: Dependency = (),
        name: str | None = None,
        over: str | Sequence[str] | None = None,
        max_tasks: int | None = None,
        on_failure: Literal["stop", "continue"] | None = None,
    ) -> Configured[P, R]:
        """Give run options for one call: ``register.options(when=verdict.passed)(model)``.

        Parameters
        ----------
        when
            A step's output that is a bool; where it is False the node is skipped, and so is what hangs on it. In a
            plain call it is a bool: where it is False the function is not called, and the call gives None.
        after
            Nodes that must have ended well before, though none of their outputs is taken: outputs, or nodes' names
            (of this pipeline), one or several. In a plain call it does nothing.
        name
            The node's name in place of the step's: letters, digits, ``_`` and ``-``.
        over
            For `map`: the parameter or parameters that get an item each; the first by default. Of several, the lists
            must be of one length.
        max_tasks
            For `map`: the most tasks that the items become, 1 or more; 100 by default. Where there are more items, a
            task carries out several, one after the other.
        on_failure
            For `map`: with ``"stop"``, the default, no further items start when one has failed, and the node fails;
            what was computed is kept. With ``"continue"`` failing items are left out of the list, and named in the
            run's records; where all fail, so does the node.
        """
        configured = Configured(self, when, after, name, MapOptions(over, max_tasks, on_failure))
        tracer = current_tracer()
        if tracer is not None:
            tracer.expect_call(configured)
        return configured

    def __reduce__(self) -> str:
        """Pickled by its name, as a function is."""
        return self.function.__qualname__

    def __repr__(self) -> str:
        return f"<step {self.settings.name!r}>"


class Configured(Generic[P, R]):
    """A step with run options, to be called."""

    __headrace_options__ = True

    def __init__(
        self, step: Step[P, R], when: object, after: Dependency, name: str | None, mapping: MapOptions
    ) -> None:
        self._step = step
        self._when = when
        self._after = after
        self._name = name
        self._mapping = mapping
        self.is_called = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or add a node with these options."""
        for option in self._mapping.given():
            raise DefinitionError(
                f"{option}= of step {self._step.settings.name!r} is for a map",
                hint=f"call it for each item of a list: step.options({option}=…).map(items)",
            )
        return self._call(args, kwargs, None)  # type: ignore[no-any-return]

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Call the step for each item of a list, with these options; see `Step.map`."""
        return self._call(args, kwargs, self._mapping)

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], mapping: MapOptions | None) -> Any:
        self.is_called = True
        tracer = current_tracer()
        if tracer is not None:
            options: dict[str, Any] = {"when": self._when, "after": self._after, "name": self._name}
            return tracer.add_node(self._step, args, kwargs, **options, mapping=mapping)
        if self._when is not None and not self._when:
            return None
        if mapping is not None:
            return map_plainly(self._step.function, args, kwargs, mapping)
        return self._step.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self._step.settings.name!r} with options>"


# A Table is to a type checker a table of any library, and so it would pass for a coroutine too: it comes first.
@overload
def step(function: Callable[P, Table], /) -> Step[P, Table]: ...
@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int = 0,
    retry_on: Sequence[type[BaseException]] = RETRIED_BY_DEFAULT,
    backoff_seconds: float = 1.0,
    timeout_seconds: float | None = None,
    cache: bool = True,
    expires_after_seconds: float | None = None,
    resources: Resources = ...,
    outputs: Sequence[str] | Mapping[str, str] | None = None,
    effect: Effect | None = None,
) -> _StepMaker: ...


def step(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function a step: a unit of work that pipelines call, stored and cached by what it depends on.

    Its annotations decide how its arguments reach it and how its result is stored. An ``async`` function is run to its
    end by the worker.

    Parameters
    ----------
    name
        The step's name in plans, logs and reports: letters, digits, ``_`` and ``-``, at most 100; the function's name
        by default.
    retries
        How often it is tried again, at most: 0 or more; none by default.
    retry_on
        The exceptions that are worth another try: `TransientError`, ``ConnectionError`` and ``TimeoutError`` by
        default. Crashes and time limits are always tried again while ``retries`` lasts.
    backoff_seconds
        The pause before the first retry: 0 or more, 1 by default; it doubles with each, with jitter, up to five
        minutes.
    timeout_seconds
        The time limit of one attempt, above 0; None by default, for no limit. The attempt and all that it started are
        killed when it is over.
    cache
        Whether the result may be taken from an earlier execution with the same key; True by default.
    expires_after_seconds
        The age, above 0, from which a stored result is not used any more; None by default, for never.
    resources
        What is set aside while it runs: one processor by default, see `Resources`.
    outputs
        Names for the parts of a returned ``tuple``; or a mapping from an output's name (``"output"`` where there is
        one alone) to a format by name (``{"output": "pickle"}``), for types that no format handles by itself.
    effect
        For a step with a side effect: says whether the effect is still in place, from the plain arguments by name and
        the stored output (of several a mapping by name). A stored result counts only where it is; else the step is
        executed again. A function at the top of a module: it is asked in other processes.

    Returns
    -------
    Step
        It is called like the function: outside a pipeline it is the function.

    Raises
    ------
    DefinitionError
        For what is no plain function, and for an option's value out of its range.

    Examples
    --------
    >>> @step(retries=2, timeout_seconds=60)
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> double(4)
    8
    """
    for option in options:
        if option not in _OPTIONS:
            raise TypeError(f"step() has no option {option!r}: {near_miss(option, ('name', *_OPTIONS))}")

    def make(function: Callable[..., Any]) -> Step[..., Any]:
        check_function(function, "step")
        return Step(function, StepOptions(name=name if name is not None else function.__name__, **_settled(options)))

    return make if function is None else make(function)


def check_function(function: Any, word: str) -> None:
    """Refuse what cannot be a step or pipeline (the ``word``): what is one already, is no function, or is a method."""
    for made in ("step", "pipeline"):
        if hasattr(function, f"__headrace_{made}__") and not isinstance(function, type):
            hint = f"use @{word} once" if made == word else f"a {made} cannot be a {word} too: write another function"
            raise DefinitionError(f"{function!r} is a {made} already", hint=hint)
    if not isinstance(function, FunctionType):
        raise DefinitionError(
            f"{show_value(function)} is not a plain function, so it cannot be a {word}",
            hint=f"use @{word} on a def, above other decorators that give functions",
        )
    around = class_around(function)
    if around is not None:
        raise DefinitionError(
            f"{function.__name__!r} is defined inside class {around!r}, so it cannot be a {word}",
            where=f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}",
            hint=f"a {word} is a plain function: define it at the top of a module",
        )


class _StepMaker(Protocol):
    """What ``@step(...)`` gives: typed so that the step keeps its function's signature."""

    @overload
    def __call__(self, function: Callable[P, Table], /) -> Step[P, Table]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


def _settled(options: dict[str, Any]) -> dict[str, Any]:
    """Turn sequences into tuples, so that options are frozen."""
    settled = dict(options)
    retry_on, outputs = settled.get("retry_on", ()), settled.get("outputs")
    if "retry_on" in settled:
        settled["retry_on"] = tuple(retry_on) if isinstance(retry_on, list | tuple | set) else (retry_on,)
    if isinstance(outputs, str):
        raise DefinitionError(f"outputs takes several names, but got {outputs!r}", hint=f"give outputs=({outputs!r},)")
    if outputs is not None:
        settled["outputs"] = dict(outputs) if isinstance(outputs, Mapping) else tuple(outputs)
    return settled
