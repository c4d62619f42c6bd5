"""Hand the objects to a cluster: by ``kubectl``, or by the Argo server's API. A run is for whoever wants one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.backends.deployment import BackendError

if TYPE_CHECKING:
    from hera.workflows.service import WorkflowsService

LIMITS, TEMPLATE, SCHEDULE = "limits.yaml", "workflow-template.yaml", "cron-workflow.yaml"
SECONDS = 120


def submit(folder: Path, names: tuple[str, ...], namespace: str | None, place: str | None) -> Iterator[str]:
    """Submit the files of these names, and say what that changed, a line each.

    ``place``: the address of an Argo server, ``http(s)://…``; else a context of kubectl's, by default the current one.
    The server's token is taken from ``ARGO_TOKEN``, and ``ARGO_INSECURE_SKIP_VERIFY=true`` trusts any certificate.

    Raises `BackendError` where the cluster can't be reached or refuses.
    """
    if place is not None and place.startswith(("http://", "https://")):
        yield from _by_server(folder, names, namespace or os.environ.get("ARGO_NAMESPACE", "default"), place)
    else:
        yield from _by_kubectl(folder, names, namespace, place)


def _by_kubectl(folder: Path, names: tuple[str, ...], namespace: str | None, context: str | None) -> Iterator[str]:
    program = shutil.which("kubectl")
    if program is None:
        raise BackendError(
            "There is no kubectl to submit with", hint="install it, or give the Argo server: --to https://HOST:2746"
        )
    where = [*(["--context", context] if context else []), *(["--namespace", namespace] if namespace else [])]
    files = [word for name in names for word in ("-f", str(folder / name))]
    try:
        done = subprocess.run(
            [program, *where, "apply", *files], capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"kubectl didn't answer within {SECONDS} seconds", hint="kubectl cluster-info") from None
    if done.returncode != 0:
        raise BackendError(f"kubectl refused: {done.stderr.strip()[:2000]}", hint="kubectl config current-context")
    yield from done.stdout.splitlines()


def _by_server(folder: Path, names: tuple[str, ...], namespace: str, host: str) -> Iterator[str]:
    import requests
    from hera.exceptions import HeraException
    from hera.workflows.service import WorkflowsService

    service = WorkflowsService(
        host=host.rstrip("/") + "/",
        namespace=namespace,
        token=_token(),
        verify_ssl=os.environ.get("ARGO_INSECURE_SKIP_VERIFY") != "true",
    )
    for name in names:
        if name == LIMITS:
            yield f"{folder / name}: not submitted, since Argo's server takes no ConfigMap: kubectl apply -f it"
            continue
        try:
            yield _put(service, folder / name, namespace)
        except (HeraException, requests.RequestException) as error:
            raise BackendError(
                f"The Argo server at {host} didn't take {name}: {str(error)[:2000] or type(error).__name__}",
                hint="set ARGO_TOKEN to what `argo auth token` prints, and look at the address and namespace",
            ) from error


def _token() -> str | None:
    token = os.environ.get("ARGO_TOKEN")
    return token if token is None or token.startswith("Bearer ") else f"Bearer {token}"


def _put(service: WorkflowsService, path: Path, namespace: str) -> str:
    """Create an object, or bring the one that there is up to date."""
    import yaml
    from hera.exceptions import NotFound
    from hera.workflows import models as m

    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    tree["metadata"]["namespace"] = namespace
    name = tree["metadata"]["name"]
    is_schedule = tree["kind"] == "CronWorkflow"
    get: Any = service.get_cron_workflow if is_schedule else service.get_workflow_template
    try:
        before = get(name, namespace=namespace)
    except NotFound:
        before = None
    if before is not None and _told(before.model_dump(by_alias=True, exclude_none=True, mode="json")) == _told(tree):
        return f"{tree['kind']} {name} in namespace {namespace}: unchanged"
    if before is not None:
        tree["metadata"]["resourceVersion"] = before.metadata.resource_version
    if is_schedule:
        schedule = m.CronWorkflow.model_validate(tree)
        if before is None:
            service.create_cron_workflow(m.CreateCronWorkflowRequest(cron_workflow=schedule), namespace)
        else:
            service.update_cron_workflow(name, m.UpdateCronWorkflowRequest(cron_workflow=schedule), namespace)
    else:
        template = m.WorkflowTemplate.model_validate(tree)
        if before is None:
            service.create_workflow_template(m.WorkflowTemplateCreateRequest(template=template), namespace)
        else:
            service.update_workflow_template(name, m.WorkflowTemplateUpdateRequest(template=template), namespace)
    return f"{tree['kind']} {name} in namespace {namespace}: {'created' if before is None else 'updated'}"


def _told(tree: dict[str, Any]) -> list[Any]:
    """What we say of an object, without what the cluster adds."""
    metadata = tree.get("metadata", {})
    return [metadata.get("labels") or {}, metadata.get("annotations") or {}, tree.get("spec")]
