"""What Kubeflow Pipelines can do, and how."""

from __future__ import annotations

from headrace.backends.capabilities import Capabilities, Feature, inside, native, refused

CAPABILITIES: Capabilities = {
    Feature.PARAMETERS: native("typed parameters, a form in its interface; what KFP would alter is given as JSON"),
    Feature.SEVERAL_OUTPUTS: native("an artifact of the component for each output"),
    Feature.NESTED_PIPELINE: native("flat: a component for each step, named outer.inner"),
    Feature.CONDITION: inside("`exec` decides; the component of a skipped step succeeds, its result says skipped"),
    Feature.MAP: native("a component that says the tasks, a ParallelFor over them, and one that collects"),
    Feature.NESTED_MAP: native("a ParallelFor after the other"),
    Feature.GATE: native("a rejection fails the component that finishes the run, the exit handler"),
    Feature.CACHE: inside("Headrace's own; KFP's is switched off"),
    Feature.RETRY: inside("`exec` tries again, in the same component"),
    Feature.LOST_WORKER: inside("the component begins a killed step again; a cluster starts a lost pod again"),
    Feature.TIME_LIMIT: inside("`exec` ends the step"),
    Feature.CPUS: native("the component's request and limit; kfp.local has none", is_verified=False),
    Feature.MEMORY: native("the component's request; kfp.local has none", is_verified=False),
    Feature.SECRET: native("variables from a Kubernetes secret in a cluster; of its own environment with kfp.local"),
    Feature.SCHEDULE: native("a recurring run, made by --submit", is_verified=False),
    Feature.TIMEZONE: inside("schedules are read in the cluster's zone: --submit refuses another", is_verified=False),
    Feature.DATE: native("a parameter; of a recurring run the scheduled time", is_verified=True),
    Feature.BACKFILL: inside("one run for each date, begun one by one"),
    Feature.DEPENDS_ON_PAST: refused("runs of Kubeflow Pipelines don't wait for one another"),
    Feature.MAX_ACTIVE_RUNS: native("the recurring run's concurrency", is_verified=False),
    Feature.RESUME: inside("a new run: what had ended is a hit"),
    Feature.CANCEL: native("terminating the run ends the component and the step with it"),
    Feature.ARTIFACTS: native("Dataset, Model and Metrics, by reference; the report as HTML"),
    Feature.TRIGGERS: refused("an artifact starts no other pipeline"),
    Feature.LINKS: native("the run's report is the HTML artifact of the component that finishes it"),
    Feature.IMAGE: native("container components; kfp.local can't run them", is_verified=False),
    Feature.SUBMIT: native("a version of the pipeline, and its recurring run", is_verified=False),
}
