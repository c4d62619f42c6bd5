"""What stands in a DAG file beside `in_dag` where steps run in an image. Airflow alone imports this.

Its provider for Kubernetes starts a pod for each task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.sdk import Context
from kubernetes.client import models as k8s

from headrace.backends.launcher import Headrace, Lost


class InPods(Headrace):
    """The project's command line in its image: a pod for each call."""

    run_pod: Callable[[list[str], str], tuple[int, str]]

    def _call(
        self, what: list[str], run: str, log: Callable[[str], Any], secrets: dict[str, str], given: str = ""
    ) -> tuple[int, str]:
        """Run `headrace exec` in a pod of the task under way."""
        return self.run_pod([*self.command, "exec", *what, "--run", run, "--store", self.store], given)


# A DAG file has its own values of these.
HEADRACE = InPods(["python", "-m", "headrace"], "/project", "flow.py:flow", "s3://bucket/store", "", "airflow")
POD: Mapping[str, Any] = {}
VOLUME_CLAIM = ""
SECRET_NAME = ""


class Pod(KubernetesPodOperator):
    """A pod of the project's image. What `headrace exec` prints comes back by the provider's sidecar."""

    # The command's own words are arguments of the shell, so that nothing of them is code to it.
    script = (
        'mkdir -p /airflow/xcom; printf %s "$HEADRACE_GIVEN" | "$@" > /tmp/said; code=$?; '
        "test -s /tmp/said || exit 1; "
        """{ printf '{"code": %d, "said": ' "$code"; cat /tmp/said; printf '}'; } > /airflow/xcom/return.json"""
    )
    template_fields = ()
    secret_names: tuple[str, ...] = ()

    def __init__(self, *, cpus: int = 1, memory_bytes: int | None = None, **options: Any) -> None:
        memory = {"memory": str(memory_bytes)} if memory_bytes else {}
        resources = k8s.V1ResourceRequirements(requests={"cpu": str(cpus), **memory}, limits=memory or None)
        super().__init__(do_xcom_push=True, container_resources=resources, **POD, **options)
        if VOLUME_CLAIM:
            claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=VOLUME_CLAIM)
            self.volumes = [k8s.V1Volume(name="store", persistent_volume_claim=claim)]
            self.volume_mounts = [k8s.V1VolumeMount(name="store", mount_path=HEADRACE.store)]

    def pre_execute(self, context: Context) -> None:
        """Have what the task calls run in a pod of it."""
        HEADRACE.run_pod = lambda words, given: self.run_pod(context, words, given)

    def run_pod(self, context: Context, words: list[str], given: str) -> tuple[int, str]:
        """Run a command in the image to its end: its exit code, and what it printed."""
        self.cmds = ["sh", "-c", self.script, "headrace"]
        self.arguments = [as_it_is(word) for word in words]
        self.env_vars = [k8s.V1EnvVar(name="HEADRACE_GIVEN", value=as_it_is(given))]
        self.secrets = [Secret("env", None, SECRET_NAME)] if self.secret_names and SECRET_NAME else []
        answer = super().execute(context)
        if not isinstance(answer, dict):
            raise Lost("The pod ended before headrace exec could say how")
        return answer["code"], json.dumps(answer["said"])


def as_it_is(text: str) -> str:
    """A text in which Kubernetes replaces nothing."""
    return text.replace("$", "$$")
