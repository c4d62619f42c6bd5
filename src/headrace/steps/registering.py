"""Register: a model that passed its gate gets a version, and serves."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.errors import DataError
from headrace.core.sample import SAMPLED, SAMPLING, Sampling
from headrace.core.step import step
from headrace.steps.evaluation import Evaluation
from headrace.steps.gating import Reason, Verdict
from headrace.steps.model import Model
from headrace.steps.registry import ModelVersion, Registry


def is_registered(arguments: Mapping[str, object], output: object) -> bool:
    """Say whether a version is still in the registry, with that model, and serves unless it was rolled back."""
    if not isinstance(output, ModelVersion):
        return False
    registry = Registry.here()
    version = registry.with_digest(output.name, output.digest)
    is_promoted = arguments["promote"] and not output.name.endswith(SAMPLED)
    return version is not None and (not is_promoted or registry.is_settled(version))


@step(effect=is_registered)
def register(
    model: Model,
    evaluation: Evaluation,
    verdict: Verdict,
    *,
    name: str,
    promote: bool = True,
    sampling: Sampling = SAMPLING,
) -> ModelVersion:
    """Give a model a version in the registry, and make it the champion.

    Registering the same model again gives the version that is there: versions are told apart by their artifact's
    digest. One that was rolled back isn't promoted again. The registry is in the run's store, in plain calls in
    ``./.headrace``; what is written survives a power cut.

    In a run that takes a sample of its data (``headrace run --sample``) the model is registered apart, as
    ``NAME.sampled``, and not promoted.

    Parameters
    ----------
    model, evaluation, verdict
        What is registered, and why it may be: metrics and reasons are kept with the version.
    name
        The model's name: letters, digits, ``-``, ``_`` and ``.``.
    promote
        Whether it becomes the champion.
    sampling
        What the run samples; left at its default.

    Raises
    ------
    DataError
        The verdict is that the model may not be registered; the name isn't one.

    Examples
    --------
    In a pipeline: ``version = register.options(when=verdict.passed)(model, evaluation, verdict, name="churn")``.
    """
    if not verdict.passed:
        failed = "; ".join(_worded(reason) for reason in verdict.reasons if not reason.passed)
        raise DataError(
            f"The gate didn't pass this model, so it can't be registered as {name!r}: {failed}",
            hint="in a pipeline call register.options(when=verdict.passed)(…)",
        )
    sample = sampling.sample
    version = Registry.here().add(
        name if sample is None else f"{name}{SAMPLED}",
        model,
        compared_with=verdict.compared_with,
        metrics=evaluation.metrics,
        verdict=tuple(_worded(reason) for reason in verdict.reasons),
        promote=promote and sample is None,
    )
    return ModelVersion(version.name, version.version, version.digest)


def _worded(reason: Reason) -> str:
    return f"{reason.rule}: {reason.value:.6g}" + (f" ({reason.note})" if reason.note else "")
