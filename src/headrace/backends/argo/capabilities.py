"""How Argo has each feature. Nothing here was run on Argo's own controller: the files are linted, the commands run."""

from __future__ import annotations

from headrace.backends.capabilities import Capabilities, Feature, Support, inside, native, refused


def _native(how: str) -> Support:
    return native(how, is_verified=False)


def _inside(how: str) -> Support:
    return inside(how, is_verified=False)


CAPABILITIES: Capabilities = {
    Feature.PARAMETERS: _native("parameters of the workflow, as JSON, in the form that Argo shows"),
    Feature.SEVERAL_OUTPUTS: _native("one task; its output parameter has a digest for each"),
    Feature.NESTED_PIPELINE: _inside("tasks of the one DAG, named outer-inner: a nested DAG would fail as a whole"),
    Feature.CONDITION: _inside("a skipped task is shown as succeeded, with the output parameter outcome=skipped"),
    Feature.MAP: _native("withParam over the slices, and a task that collects"),
    Feature.NESTED_MAP: _native("as a map"),
    Feature.GATE: _inside("the exit handler fails with exit code 3, and the workflow with it"),
    Feature.CACHE: _inside("a task that is a hit ends at once, with the output parameter outcome=cached"),
    Feature.RETRY: _inside("in the pod"),
    Feature.LOST_WORKER: _native("retryStrategy, for pods that were deleted or killed by a signal"),
    Feature.TIME_LIMIT: _inside("in the pod; activeDeadlineSeconds stands behind it"),
    Feature.CPUS: _native("requests and limits"),
    Feature.MEMORY: _native("requests and limits, with what a pod needs beside its step"),
    Feature.SECRET: _native("keys of a Secret, as variables of the pods whose steps take them"),
    Feature.SCHEDULE: _native("a CronWorkflow"),
    Feature.TIMEZONE: _native("the CronWorkflow's timezone"),
    Feature.DATE: _native("a parameter; a CronWorkflow gives the time that it was due"),
    Feature.BACKFILL: _inside("a workflow for each date: argo submit -p"),
    Feature.DEPENDS_ON_PAST: refused("a CronWorkflow doesn't look at the run before"),
    Feature.MAX_ACTIVE_RUNS: _native("a mutex, or a semaphore in a ConfigMap"),
    Feature.RESUME: _native("argo retry"),
    Feature.CANCEL: _native("argo stop"),
    Feature.ARTIFACTS: _inside("digests as output parameters"),
    Feature.TRIGGERS: refused("Argo Events does it, and is another system"),
    Feature.LINKS: refused("a workflow has no links of its own"),
    Feature.IMAGE: _native("needed: a pod runs an image"),
    Feature.SUBMIT: _native("kubectl, or the Argo server's API"),
}
