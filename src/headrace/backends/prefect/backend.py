"""A plan as Prefect's own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backends.deployment import Deployment, read_settings
from headrace.backends.prefect.capabilities import CAPABILITIES
from headrace.backends.prefect.deployment_file import deployment_file, deployment_name, version_in
from headrace.backends.prefect.flow_file import flow_file, flow_function, flow_name
from headrace.backends.prefect.settings import Settings

if TYPE_CHECKING:
    from headrace.backends.capabilities import Capabilities

FLOW_FILE = "flow.py"
DEPLOYMENT_FILE = "prefect.yaml"


class Prefect:
    """A flow file with a task for each node, and the deployment of it."""

    @property
    def name(self) -> str:
        """What ``headrace compile`` calls it."""
        return "prefect"

    @property
    def capabilities(self) -> Capabilities:
        """How Prefect has each feature."""
        return CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """The flow file, and the ``prefect.yaml`` that deploys it."""
        settings = read_settings(Settings, deployment, self.name)
        flow = flow_file(deployment, settings)
        entrypoint = f"{FLOW_FILE}:{flow_function(deployment)}"
        return {FLOW_FILE: flow, DEPLOYMENT_FILE: deployment_file(deployment, settings, entrypoint, flow)}

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """Nothing: Prefect takes the files as they are."""
        return iter(())

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Deploy the flow by ``prefect deploy``; ``place`` is the address of the API."""
        from headrace.backends.prefect.submitting import Api, submit

        settings = read_settings(Settings, deployment, self.name)
        text = self.files(deployment)[DEPLOYMENT_FILE]
        return submit(
            flow_name(deployment.plan.pipeline),
            deployment_name(deployment, settings),
            version_in(text),
            settings.work_pool,
            folder,
            settings.prefect,
            Api(place),
        )
