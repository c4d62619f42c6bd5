"""Machine-learning pipelines in plain Python: `step`, `pipeline`, and what is needed to write and run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from headrace.core.context import RunContext, current_run, progress
    from headrace.core.errors import HeadraceError, TransientError
    from headrace.core.external import External
    from headrace.core.memory import load_checkpoint, memo, save_checkpoint
    from headrace.core.outcome import Outcome, RunOutcome
    from headrace.core.pipeline import Pipeline, pipeline
    from headrace.core.plan import Plan
    from headrace.core.secret import Secret
    from headrace.core.step import Resources, Step, step
    from headrace.engine.run import RunOptions, RunResult, run, trace
    from headrace.engine.selection import Selection
    from headrace.formats.protocol import Pickle, StoredAs
    from headrace.formats.table import Table

_HOMES = {
    "External": "headrace.core.external",
    "HeadraceError": "headrace.core.errors",
    "Outcome": "headrace.core.outcome",
    "Pickle": "headrace.formats.protocol",
    "Pipeline": "headrace.core.pipeline",
    "Plan": "headrace.core.plan",
    "Resources": "headrace.core.step",
    "RunContext": "headrace.core.context",
    "RunOptions": "headrace.engine.run",
    "RunOutcome": "headrace.core.outcome",
    "RunResult": "headrace.engine.run",
    "Secret": "headrace.core.secret",
    "Selection": "headrace.engine.selection",
    "Step": "headrace.core.step",
    "StoredAs": "headrace.formats.protocol",
    "Table": "headrace.formats.table",
    "TransientError": "headrace.core.errors",
    "current_run": "headrace.core.context",
    "load_checkpoint": "headrace.core.memory",
    "memo": "headrace.core.memory",
    "pipeline": "headrace.core.pipeline",
    "progress": "headrace.core.context",
    "run": "headrace.engine.run",
    "save_checkpoint": "headrace.core.memory",
    "step": "headrace.core.step",
    "trace": "headrace.engine.run",
}

__all__ = [
    "External",
    "HeadraceError",
    "Outcome",
    "Pickle",
    "Pipeline",
    "Plan",
    "Resources",
    "RunContext",
    "RunOptions",
    "RunOutcome",
    "RunResult",
    "Secret",
    "Selection",
    "Step",
    "StoredAs",
    "Table",
    "TransientError",
    "current_run",
    "load_checkpoint",
    "memo",
    "pipeline",
    "progress",
    "run",
    "save_checkpoint",
    "step",
    "trace",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import headrace`` stays light."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
