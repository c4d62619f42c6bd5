"""The backend: from a deployment to files, held to the checks before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.backends.argo.capabilities import CAPABILITIES
from headrace.backends.argo.settings import Settings
from headrace.backends.capabilities import Capabilities
from headrace.backends.deployment import BackendError, Deployment, read_settings

MOST_FINDINGS = 5


class Argo:
    """Writes a WorkflowTemplate, a Workflow that runs it, and for a schedule a CronWorkflow."""

    name = "argo"

    @property
    def capabilities(self) -> Capabilities:
        """How Argo has each feature."""
        return CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        """The objects as YAML.

        Raises `BackendError` without an image, for a folder as the store without a volume, for settings that are wrong,
        and for what the checks find.
        """
        if deployment.image is None:
            raise BackendError(
                "Argo runs each step in a container, and no image is named",
                hint="headrace compile image -o DIR writes a Dockerfile; build and push it, and give "
                "--image NAME@sha256:…",
            )
        settings = read_settings(Settings, deployment, self.name)
        from headrace.backends.argo.objects import check_store, objects
        from headrace.backends.argo.written import written

        check_store(deployment, settings)
        trees = objects(deployment, settings)
        _refuse_findings(list(trees.values()))
        return {name: written(tree, deployment.heading()) for name, tree in trees.items()}

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        """Nothing is left to be made."""
        return iter(())

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        """Hand the template and the schedule to the cluster; see `headrace.backends.argo.submitting`."""
        from headrace.backends.argo.submitting import LIMITS, SCHEDULE, TEMPLATE, submit

        plan = deployment.plan
        is_there = {LIMITS: (plan.max_active_runs or 1) > 1, TEMPLATE: True, SCHEDULE: plan.schedule is not None}
        names = tuple(name for name, is_one in is_there.items() if is_one)
        return submit(folder, names, read_settings(Settings, deployment, self.name).namespace, place)


def _refuse_findings(trees: list[dict[str, object]]) -> None:
    from headrace.backends.argo.lint import lint

    findings = lint(tree for tree in trees if str(tree["apiVersion"]).startswith("argoproj.io/"))
    if findings:
        shown = "; ".join(map(str, findings[:MOST_FINDINGS]))
        raise BackendError(
            f"Argo or Kubernetes wouldn't take what these settings give: {shown}",
            hint="mend the setting in [tool.headrace.backends.argo] or --set that says so",
        )
