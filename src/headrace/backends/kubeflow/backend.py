"""The backend ``kubeflow``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.backends.capabilities import Capabilities
from headrace.backends.deployment import Deployment, read_settings
from headrace.backends.kubeflow.capabilities import CAPABILITIES
from headrace.backends.kubeflow.settings import Settings

NAME = "kubeflow"


class Kubeflow:
    """Turns a plan into a pipeline of Kubeflow Pipelines: `headrace.backends.protocol.Backend`."""

    name = NAME

    @property
    def capabilities(self) -> Capabilities:
        """How it has each feature."""
        return CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """``NAME_pipeline.py``, which imports the KFP SDK alone."""
        from headrace.backends.kubeflow.writing import definition

        return {f"{_stem(deployment)}.py": definition(deployment, read_settings(Settings, deployment, NAME))}

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """``NAME_pipeline.yaml``, which the KFP SDK makes of it, in an environment that has the SDK."""
        from headrace.backends.kubeflow.sdk import make_yaml

        settings = read_settings(Settings, deployment, NAME)
        yield make_yaml(folder / f"{_stem(deployment)}.py", settings.sdk_python).name

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Upload the YAML as the pipeline's newest version, and hold its recurring run to the plan's schedule."""
        from headrace.backends.kubeflow.submitting import submit

        settings = read_settings(Settings, deployment, NAME)
        yield from submit(deployment, settings, folder / f"{_stem(deployment)}.yaml", place)


def _stem(deployment: Deployment) -> str:
    from headrace.backends.kubeflow.names import own_names

    return own_names([deployment.plan.pipeline])[deployment.plan.pipeline] + "_pipeline"
