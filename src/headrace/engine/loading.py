"""Taking a value out of a run's store, as the type that its step declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.core.errors import FormatError, HeadraceError, RunError

if TYPE_CHECKING:
    from headrace.core.artifact import Artifact
    from headrace.core.plan import Plan, Ref
    from headrace.stores.protocol import Store


def load_value(store: Store, run_id: str, ref: Ref, artifact: Artifact, declared: Any) -> Any:
    """The value of an artifact, as the declared type; without one, as the type that it was given as.

    The name of that type doesn't tell what is in it (a tuple of dataclasses): then what the step declares is
    looked up. Raises `FormatError`, with the declaration's text, where that can't be imported here.
    """
    from headrace.formats.registry import format_named, type_named

    paths = {file.path: store.open_object(file.digest, n_bytes=file.n_bytes) for file in artifact.files}
    chosen = format_named(artifact.format)
    if declared is not None:
        return chosen.load(paths, declared)
    try:
        return chosen.load(paths, type_named(artifact.type))
    except FormatError as error:
        found = _declared(store, run_id, ref)
        if found is None:
            raise RunError(
                f"Output {str(ref)!r} of run {run_id!r} cannot be loaded without its type: {error.message}",
                hint=f"give the type that its step declares, as in load({str(ref)!r}, {_text(store, run_id, ref)})",
            ) from error
        return chosen.load(paths, found[0])


def _declared(store: Store, run_id: str, ref: Ref) -> tuple[Any] | None:
    """The type that a step declares an output as, in a tuple; None where the step isn't importable here."""
    from typing import get_args

    from headrace.core.hints import declared_types
    from headrace.core.names import find_named

    plan = _plan(store, run_id)
    spec = plan.step_of(plan.by_id[ref.node])
    if spec.target is None:
        return None
    try:
        step: Any = find_named(spec.target)
        returned = declared_types(step.function, None)["return"]
        if spec.returns == "fields":
            return (declared_types(returned, None)[ref.output],)
    except (HeadraceError, ImportError, AttributeError, KeyError):
        return None
    if spec.returns == "tuple":
        return (get_args(returned)[[output.name for output in spec.outputs].index(ref.output)],)
    return (returned,)


def _text(store: Store, run_id: str, ref: Ref) -> str:
    plan = _plan(store, run_id)
    outputs = plan.step_of(plan.by_id[ref.node]).outputs
    return next((output.type for output in outputs if output.name == ref.output), "TYPE")


def _plan(store: Store, run_id: str) -> Plan:
    from headrace.engine.view import RunView

    return RunView.read(store, run_id).plan
