"""What a step may know of the run that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headrace.core.errors import RunError
from headrace.core.external import External, external_id
from headrace.core.values import Json

if TYPE_CHECKING:
    from headrace.stores.protocol import Store


class Memory(Protocol):
    """What a step keeps while it is under way; see `headrace.core.memory`."""

    def memo(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function, or take what an earlier call made of the same."""

    def load_checkpoint(self, name: str, default: Any) -> Any:
        """What was saved last under a name by an attempt with the same key, else the default."""

    def save_checkpoint(self, name: str, value: Any) -> None:
        """Keep a value in place of the one saved before."""


@dataclass(frozen=True)
class RunContext:
    """The run, node and attempt under way. ``seed`` is derived from the node's key: equal work, equal seed."""

    run_id: str
    node: str
    attempt: int
    seed: int
    store: Store
    project_root: Path
    pins: Mapping[str, Json]
    report: Callable[[float, float | None, str], None]
    memory: Memory | None = None

    def pin_of(self, external: External) -> Json:
        """What an `External` argument was when the run began."""
        try:
            return self.pins[external_id(external)]
        except KeyError:
            raise RunError(
                f"{external!r} was not pinned by run {self.run_id!r}", hint="take it as an argument of the step"
            ) from None


_CONTEXT: ContextVar[RunContext | None] = ContextVar("headrace_run", default=None)


def current_run() -> RunContext | None:
    """The run under way in this step, or None when the step is called as a plain function."""
    return _CONTEXT.get()


@contextmanager
def entered(context: RunContext) -> Iterator[None]:
    """Make this the current run."""
    token = _CONTEXT.set(context)
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Tell how far the step is: ``progress(3, 10, "folds")``. Does nothing in a plain call.

    Parameters
    ----------
    done
        The units of work that are done, 0 or more.
    total
        The units there are, or None when that is not known.
    message
        What the units are, or what is under way.
    """
    context = _CONTEXT.get()
    if context is not None:
        context.report(done, total, message)
