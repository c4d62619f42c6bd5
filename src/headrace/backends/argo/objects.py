"""The objects that the cluster is given: the template of the workflow, a run of it, and its schedule."""

from __future__ import annotations

from typing import Any

from hera.workflows import models as m

from headrace.backends.argo.names import object_name, parameter_names
from headrace.backends.argo.settings import Settings
from headrace.backends.argo.templates import FINISH, MAIN, VOLUME, Templates
from headrace.backends.argo.texts import json_text, shown
from headrace.backends.deployment import BackendError, Deployment, FormField

API = "argoproj.io/v1alpha1"
DAY_SECONDS = 24 * 60 * 60
SCHEDULED = '"{{workflow.scheduledTime}}"'
"""The time that a scheduled run was due, as JSON: ``exec`` makes the date of it, in the pipeline's zone."""
LIMIT_KEY = "runs"


def objects(deployment: Deployment, settings: Settings) -> dict[str, dict[str, Any]]:
    """The objects as trees, by the names of their files."""
    name = settings.name or object_name(deployment.plan.pipeline)
    found: dict[str, Any] = {"workflow-template.yaml": _template(deployment, settings, name)}
    found["workflow.yaml"] = _workflow(deployment, settings, name)
    if deployment.plan.schedule is not None:
        found["cron-workflow.yaml"] = _cron_workflow(deployment, settings, name)
    trees = {
        file: item.model_dump(by_alias=True, exclude_none=True, exclude_unset=True, mode="json")
        for file, item in found.items()
    }
    if (deployment.plan.max_active_runs or 1) > 1:
        trees["limits.yaml"] = _limits(deployment, settings, name)
    return trees


def _template(deployment: Deployment, settings: Settings, name: str) -> m.WorkflowTemplate:
    made = Templates(deployment, settings, settings.secret or f"{name}-secrets")
    annotations = {"headrace-pipeline": deployment.plan.pipeline, "headrace-plan": deployment.plan.digest}
    if deployment.description:
        annotations["workflows.argoproj.io/description"] = shown(deployment.description)
    return m.WorkflowTemplate(
        api_version=API,
        kind="WorkflowTemplate",
        metadata=_metadata(settings, name=name, annotations=annotations),
        spec=m.WorkflowSpec(
            entrypoint=MAIN,
            on_exit=FINISH,
            arguments=_arguments(deployment),
            templates=made.all(),
            pod_gc=m.PodGC(strategy=settings.pod_gc),
            ttl_strategy=m.TTLStrategy(seconds_after_completion=settings.keep_days * DAY_SECONDS),
            parallelism=settings.parallelism,
            service_account_name=settings.service_account,
            image_pull_secrets=[m.LocalObjectReference(name=settings.pull_secret)] if settings.pull_secret else None,
            node_selector=settings.node_selector or None,
            pod_metadata=m.Metadata(labels=settings.labels) if settings.labels else None,
            security_context=_security(settings),
            synchronization=_one_another(deployment, name),
            volumes=_volumes(settings),
        ),
    )


def _workflow(deployment: Deployment, settings: Settings, name: str) -> m.Workflow:
    """A run by hand. What the template has no value for stands there to be filled in: as it is, the run is refused."""
    own = parameter_names(item.name for item in deployment.fields)
    missing = [
        m.Parameter(name=own[item.name], value=json_text("YYYY-MM-DD"))
        for item in deployment.fields
        if item.is_required
    ]
    return m.Workflow(
        api_version=API,
        kind="Workflow",
        metadata=_metadata(settings, generate_name=f"{name}-"),
        spec=m.WorkflowSpec(
            workflow_template_ref=m.WorkflowTemplateRef(name=name),
            arguments=m.Arguments(parameters=missing) if missing else None,
        ),
    )


def _cron_workflow(deployment: Deployment, settings: Settings, name: str) -> m.CronWorkflow:
    plan = deployment.plan
    own = parameter_names(item.name for item in deployment.fields)
    date = [m.Parameter(name=own[plan.date], value=SCHEDULED)] if plan.date and plan.date in own else []
    return m.CronWorkflow(
        api_version=API,
        kind="CronWorkflow",
        metadata=_metadata(settings, name=name),
        spec=m.CronWorkflowSpec(
            schedules=[plan.schedule or ""],
            timezone=plan.timezone or "UTC",
            concurrency_policy=_concurrency(deployment),
            starting_deadline_seconds=settings.late_seconds,
            workflow_spec=m.WorkflowSpec(
                workflow_template_ref=m.WorkflowTemplateRef(name=name),
                arguments=m.Arguments(parameters=date) if date else None,
            ),
        ),
    )


def _concurrency(deployment: Deployment) -> str:
    """Whether a run that is due begins beside the one before.

    One that has a date must come in any case, and waits for the mutex where runs may not be beside one another. Without
    a date the next one does as well.
    """
    plan = deployment.plan
    return "Forbid" if plan.max_active_runs == 1 and plan.date is None else "Allow"


def _one_another(deployment: Deployment, name: str) -> m.Synchronization | None:
    n_runs = deployment.plan.max_active_runs
    if n_runs is None:
        return None
    if n_runs == 1:
        return m.Synchronization(mutexes=[m.Mutex(name=name)])
    where = m.ConfigMapKeySelector(name=f"{name}-limits", key=LIMIT_KEY)
    return m.Synchronization(semaphores=[m.SemaphoreRef(config_map_key_ref=where)])


def _limits(deployment: Deployment, settings: Settings, name: str) -> dict[str, Any]:
    metadata = {"name": f"{name}-limits", **({"namespace": settings.namespace} if settings.namespace else {})}
    data = {LIMIT_KEY: str(deployment.plan.max_active_runs)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _arguments(deployment: Deployment) -> m.Arguments | None:
    own = parameter_names(item.name for item in deployment.fields)
    return m.Arguments(parameters=[_parameter(own[item.name], item) for item in deployment.fields]) if own else None


def _parameter(name: str, item: FormField) -> m.Parameter:
    about = item.type if name == item.name else f"{item.name}: {item.type}"
    choices = [True, False] if item.schema.get("type") == "boolean" else item.schema.get("enum")
    return m.Parameter(
        name=name,
        description=shown(f"{about}, as JSON".strip(", ")),
        enum=[json_text(choice) for choice in choices] if choices else None,
        value=None if item.is_required else json_text(item.default),
    )


def _metadata(settings: Settings, **more: Any) -> m.ObjectMeta:
    given = {"namespace": settings.namespace, "labels": settings.labels or None, **more}
    return m.ObjectMeta(**{key: value for key, value in given.items() if value is not None})


def _security(settings: Settings) -> m.PodSecurityContext | None:
    if settings.user == 0:
        return None
    return m.PodSecurityContext(run_as_non_root=True, run_as_user=settings.user, fs_group=settings.user)


def _volumes(settings: Settings) -> list[m.Volume] | None:
    if settings.volume_claim is None:
        return None
    claim = m.PersistentVolumeClaimVolumeSource(claim_name=settings.volume_claim)
    return [m.Volume(name=VOLUME, persistent_volume_claim=claim)]


def check_store(deployment: Deployment, settings: Settings) -> None:
    """Raise `BackendError` for a store that pods on several machines couldn't all reach."""
    from pathlib import PurePosixPath

    store = deployment.store
    if "://" in store:
        return
    if settings.volume_claim is None:
        raise BackendError(
            f"The store is the folder {store!r}, which pods on other machines don't have",
            hint="give a bucket, --store s3://…, or the claim of a volume for the folder, --set volume_claim=NAME",
        )
    path = settings.volume_path
    if path is not None and not PurePosixPath(store).is_relative_to(path):
        raise BackendError(
            f"The store is the folder {store!r}, which is not on the volume at {path!r}",
            hint=f"as in --store {PurePosixPath(path) / 'headrace'}",
        )
