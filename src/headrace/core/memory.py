"""Inside a step: keep the results of its parts, and how far it has come, so that a kill costs one of them at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headrace.core.context import current_run

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def memo(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function inside a step with the guarantee that a step has: what it made of the same is not made again.

    The key is like a step's: the function's code and all that it reaches, its arguments' content, the environment, and
    what it was seen to read; the random generators are seeded from it. The result must be of a type with a format (see
    `headrace.formats`), and is what comes back from the store, also the first time. Good for a fold, a trial, a file:
    for what takes longer than the millisecond or two that keeping it costs. In a plain call of the step, it only calls
    the function.

    Parameters
    ----------
    function
        A function of a module, or a ``functools.partial`` of one.
    args, kwargs
        Its arguments: values that a plan can hold, and tables, arrays, estimators (as fitted) and paths by content.

    Raises
    ------
    ValueCodecError
        For an argument that has no canonical form and no format.
    FormatError
        For a result of a type with no format.
    """
    context = current_run()
    if context is None or context.memory is None:
        return function(*args, **kwargs)
    return context.memory.memo(function, args, kwargs)  # type: ignore[no-any-return]


def load_checkpoint(default: T, *, name: str = "progress") -> T:
    """How far an earlier attempt of this very work had come, else ``default``.

    *This very work* is the step with the same key: the same code, inputs and environment, in any run. Once the step has
    succeeded its checkpoints are gone. In a plain call of the step there is never one.

    The value is loaded as ``default``'s type. Raises `FormatError` when what was saved is of another.
    """
    context = current_run()
    if context is None or context.memory is None:
        return default
    return context.memory.load_checkpoint(name, default)  # type: ignore[no-any-return]


def save_checkpoint(value: object, *, name: str = "progress") -> None:
    """Keep how far the step has come; it takes the place of what was saved before under that name.

    A kill at any instant leaves either the value before or this one, whole. ``value`` must be of a type with a format.
    In a plain call of the step, it does nothing.
    """
    context = current_run()
    if context is not None and context.memory is not None:
        context.memory.save_checkpoint(name, value)
