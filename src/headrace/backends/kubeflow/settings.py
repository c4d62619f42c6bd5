"""The settings of this backend: ``[tool.headrace.backends.kubeflow]``, or ``--set``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """What can be said of how a pipeline is carried out by Kubeflow Pipelines.

    Attributes
    ----------
    sdk_python
        The interpreter of an environment that has the KFP SDK, which makes the YAML; this one by default.
    base_image
        What the components of a pipeline that runs in place say as their image; `kfp.local` looks at its name only.
    lost_retries
        How often a step is begun again whose process was killed; in a cluster also how often Kubeflow starts a pod
        again, which it does whatever became of the first: what has failed isn't executed again.
    secret
        The Kubernetes secret that steps take their secrets from, each under its variable's name.
    secrets
        Those that are elsewhere: ``SECRET/KEY`` by variable.
    experiment
        The experiment of recurring runs; the pipeline's name by default.
    cluster_timezone
        The time zone in which the cluster reads schedules.
    """

    sdk_python: str = ""
    base_image: str = "python:3.11"
    lost_retries: int = 2
    secret: str = "headrace"
    secrets: dict[str, str] = field(default_factory=dict)
    experiment: str = ""
    cluster_timezone: str = "UTC"
