"""A step: a plain function, and how it is to be run."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from headrace.core.errors import DefinitionError, TransientError
from headrace.core.tracing import current_tracer

if TYPE_CHECKING:
    from headrace.core.tracing import Condition, Dependency

P = ParamSpec("P")
R = TypeVar("R")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
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
        if type(self.cpus) is not int or self.cpus < 1:
            raise DefinitionError(f"cpus >= 1 must hold, but got cpus={self.cpus!r}", hint="give a whole number")
        if self.memory_bytes is not None and (type(self.memory_bytes) is not int or self.memory_bytes <= 0):
            raise DefinitionError(
                f"memory_bytes > 0 must hold, but got memory_bytes={self.memory_bytes!r}",
                hint="give bytes as a whole number, such as 2 * 1024**3",
            )


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
        if not NAME.fullmatch(self.name):
            raise DefinitionError(
                f"A step's name must be letters, digits, '_' and '-', but got {self.name!r}",
                hint="give name='…'",
            )
        for rule, holds in (
            (f"retries >= 0 must hold, but got retries={self.retries!r}", self.retries >= 0),
            (
                f"backoff_seconds >= 0 must hold, but got backoff_seconds={self.backoff_seconds!r}",
                self.backoff_seconds >= 0,
            ),
            (
                f"timeout_seconds > 0 must hold, but got timeout_seconds={self.timeout_seconds!r}",
                self.timeout_seconds is None or self.timeout_seconds > 0,
            ),
            (
                f"expires_after_seconds > 0 must hold, but got expires_after_seconds={self.expires_after_seconds!r}",
                self.expires_after_seconds is None or self.expires_after_seconds > 0,
            ),
        ):
            if not holds:
                raise DefinitionError(rule, where=f"step {self.name!r}")


class Step(Generic[P, R]):
    """A function and how to run it. Called outside a pipeline it is the function; inside one, it becomes a node."""

    __headrace_step__ = True

    def __init__(self, function: Callable[P, Any], options: StepOptions) -> None:
        self.function = function
        self.settings = options
        self.__wrapped__ = function
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(function, name, None))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or add a node to the pipeline that is being traced."""
        tracer = current_tracer()
        if tracer is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return tracer.add_node(self, args, kwargs)  # type: ignore[return-value]

    def options(
        self, *, when: Condition = None, after: Sequence[Dependency] = (), name: str | None = None
    ) -> Callable[P, R]:
        """Give run options for one call: ``register.options(when=verdict.passed)(model)``.

        Parameters
        ----------
        when
            A step's output that is a bool; where it is False the node is skipped, and so is what hangs on it.
        after
            Nodes that must have ended well before, though none of their outputs is taken: outputs, or nodes' names.
        name
            The node's name in place of the step's.
        """

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            tracer = current_tracer()
            if tracer is None:
                return self.function(*args, **kwargs)  # type: ignore[no-any-return]
            return tracer.add_node(self, args, kwargs, when=when, after=after, name=name)  # type: ignore[return-value]

        return call

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise DefinitionError(
            f"Step {self.settings.name!r} is defined inside class {owner.__qualname__ if owner else '?'}",
            hint="a step is a plain function: define it at the top of a module",
        )

    def __repr__(self) -> str:
        return f"<step {self.settings.name!r}>"


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
    """Make a function a step.

    Parameters
    ----------
    name
        The step's name in plans, logs and reports; the function's name by default.
    retries
        How often it is tried again, at most (0 or more).
    retry_on
        The exceptions that are worth another try: `TransientError`, ``ConnectionError`` and ``TimeoutError`` by
        default. Crashes and time limits are always tried again while ``retries`` lasts.
    backoff_seconds
        The pause before the first retry; it doubles with each, with jitter, up to five minutes.
    timeout_seconds
        The time limit of one attempt. The attempt and all that it started are killed when it is over.
    cache
        Whether the result may be taken from an earlier execution with the same key.
    expires_after_seconds
        The age from which a stored result is not used any more.
    resources
        What is set aside while it runs, see `Resources`.
    outputs
        Names for the parts of a returned ``tuple``; or a mapping from an output's name to a format by name
        (``{"output": "pickle"}``), for types that no format handles by itself.
    effect
        For a step with a side effect: says whether the effect is still in place, from the plain arguments and the
        stored output. A stored result counts only where it is; else the step is executed again.

    A function may be ``async``: the worker runs it to its end.
    """

    def make(function: Callable[..., Any]) -> Step[..., Any]:
        if isinstance(function, Step):
            raise DefinitionError(f"{function!r} is a step already", hint="use @step once")
        if not callable(function) or isinstance(function, type | staticmethod | classmethod):
            raise DefinitionError(f"{function!r} is not a function, so it cannot be a step", hint="use @step on a def")
        own_name = name or str(getattr(function, "__name__", type(function).__name__))
        return Step(function, StepOptions(name=own_name, **_settled(options)))

    return make if function is None else make(function)


class _StepMaker(Protocol):
    """What ``@step(...)`` gives: typed so that the step keeps its function's signature."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


def _settled(options: dict[str, Any]) -> dict[str, Any]:
    """Turn sequences into tuples, so that options are frozen."""
    settled = dict(options)
    retry_on = settled.get("retry_on")
    if retry_on is not None:
        kinds = (retry_on,) if isinstance(retry_on, type) else tuple(retry_on)
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise DefinitionError(f"retry_on takes exception classes, but got {kind!r}")
        settled["retry_on"] = kinds
    outputs = settled.get("outputs")
    if isinstance(outputs, str):
        raise DefinitionError(f"outputs takes several names, but got {outputs!r}", hint=f"give outputs=({outputs!r},)")
    if outputs is not None and not isinstance(outputs, Mapping):
        settled["outputs"] = tuple(outputs)
    return settled
