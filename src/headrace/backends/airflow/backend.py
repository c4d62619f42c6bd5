"""The backend for Airflow 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.backends.airflow.capabilities import CAPABILITIES
from headrace.backends.airflow.dag_file import dag_file
from headrace.backends.airflow.settings import NAME, settings_of
from headrace.backends.airflow.submitting import dag_folder, put
from headrace.backends.capabilities import Capabilities
from headrace.backends.deployment import Deployment


class Airflow:
    """Writes a DAG file for the Task SDK, and puts it into the DAG folder. See `headrace.backends.protocol.Backend`."""

    name = NAME

    @property
    def capabilities(self) -> Capabilities:
        """How Airflow has each feature."""
        return CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """The DAG file, by its name: the DAG's id."""
        settings = settings_of(deployment)
        return {f"{settings.dag_id or deployment.plan.pipeline}.py": dag_file(deployment, settings)}

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """Nothing takes Airflow's own code."""
        return iter(())

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Copy the file into ``place``, the DAG folder; by default that of Airflow's settings in the environment."""
        target = dag_folder(place)
        for name in self.files(deployment):
            yield from put(folder / name, target)
