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
    from headrace.core.sample import Sample
    from headrace.stores.protocol import Store


class Memory(Protocol):
    """What a step keeps while it is under way; see `headrace.core.memory`."""

    def memo(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call the function, or take what an earlier call made of the same."""

    def code_of(self, function: Callable[..., Any]) -> str:
        """The digest of a function's code and all that it reaches, as it counts in keys."""

    def load_checkpoint(self, name: str, default: Any) -> Any:
        """What was saved last under a name by an attempt with the same key, else the default."""

    def save_checkpoint(self, name: str, value: Any) -> None:
        """Keep a value in place of the one saved before."""


@dataclass(frozen=True)
class RunContext:
    """The run, node and attempt under way, as `current_run` gives them inside a step.

    Attributes
    ----------
    run_id, node
        Which run, and which node of its plan.
    attempt
        Which attempt, from 1.
    seed
        For random generators, 32 bits: derived from the node's key, so that equal work has an equal seed. Python's and
        NumPy's global generators are seeded with it.
    store
        Where artifacts are kept.
    project_root
        The project's folder: relative paths of the plan are relative to it.
    pins
        What external state was when the run began; see `pin_of`.
    report
        Is told of progress; see `progress`.
    memory
        Where parts of the step and its checkpoints are kept, or None where nothing is.
    sample
        What of its data the run takes, where that is a sample; see `headrace.core.sample`.
    scratch
        Gives the attempt's own folder for files that go when its outputs are stored.
    """

    run_id: str
    node: str
    attempt: int
    seed: int
    store: Store
    project_root: Path
    pins: Mapping[str, Json]
    report: Callable[[float, float | None, str], None]
    memory: Memory | None = None
    sample: Sample | None = None
    scratch: Callable[[], Path] | None = None

    def pin_of(self, external: External) -> Json:
        """What an `External` argument was when the run began: a JSON value, or None when there was none.

        Raises `RunError` for one that is no argument of a step of this run.
        """
        try:
            return self.pins[external_id(external)]
        except KeyError:
            raise RunError(
                f"{external!r} was not pinned by run {self.run_id!r}", hint="take it as an argument of the step"
            ) from None


_CONTEXT: ContextVar[RunContext | None] = ContextVar("headrace_run", default=None)


def current_run() -> RunContext | None:
    """The run under way in this step, or None when the step is called as a plain function.

    >>> current_run() is None
    True
    """
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

    Examples
    --------
    >>> for n_done in range(3):
    ...     progress(n_done, 3, "folds")
    """
    context = _CONTEXT.get()
    if context is not None:
        context.report(done, total, message)
