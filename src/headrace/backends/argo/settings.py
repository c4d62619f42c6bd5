"""The settings of the backend: what a cluster has and a plan doesn't say."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set in ``[tool.headrace.backends.argo]``, or by ``--set``.

    Attributes
    ----------
    name
        The objects' name in the cluster; by default the pipeline's, as the cluster takes it.
    namespace
        Where the objects go; by default where whoever submits them is.
    service_account
        The service account of the pods. With a bucket, it may be what gives them access.
    pull_secret
        The Secret that the image is pulled with.
    secret
        The Secret whose keys are the pipeline's secrets; by default the name, and ``-secrets``.
    variables_secret
        A Secret all of whose keys become environment variables of every pod, such as a bucket's credentials.
    volume_claim
        The PersistentVolumeClaim that holds a store that is a folder.
    volume_path
        Where it is mounted; by default the store itself is.
    user
        The user that pods run as, and the group of the volume's files; 0: as the image says.
    lost_retries
        How often a lost pod is tried again.
    memory_beside
        Memory of a pod beside what its step asks for, where it asks, in MiB.
    parallelism
        How many pods of a run there are at once; by default as many as the cluster takes.
    pod_gc
        When pods are deleted: ``OnPodSuccess``, ``OnPodCompletion``, ``OnWorkflowSuccess``, ``OnWorkflowCompletion``.
    keep_days
        How long a finished workflow is kept in the cluster. The run's records in the store are kept in any case.
    late_seconds
        How late a scheduled run may begin, after the controller was away.
    variables
        Environment variables of every pod.
    labels
        Labels of the objects and of their pods.
    node_selector
        Labels of the cluster's nodes that pods run on.
    """

    name: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    pull_secret: str | None = None
    secret: str | None = None
    variables_secret: str | None = None
    volume_claim: str | None = None
    volume_path: str | None = None
    user: int = 1000
    lost_retries: int = 2
    memory_beside: int = 256
    parallelism: int | None = None
    pod_gc: str = "OnPodSuccess"
    keep_days: int = 7
    late_seconds: int = 3600
    variables: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    node_selector: dict[str, str] = field(default_factory=dict)
