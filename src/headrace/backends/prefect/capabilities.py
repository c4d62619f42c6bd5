"""How Prefect has each feature."""

from __future__ import annotations

from headrace.backends.capabilities import Capabilities, Feature, inside, native, refused

CAPABILITIES: Capabilities = {
    Feature.PARAMETERS: native("typed parameters of the flow, checked by Prefect, with a form"),
    Feature.SEVERAL_OUTPUTS: inside("one task; what hangs on an output waits for it"),
    Feature.NESTED_PIPELINE: native("a task for each node, named outer.inner"),
    Feature.CONDITION: native("the task ends as Skipped"),
    Feature.MAP: native("mapped tasks, one for each slice of the items"),
    Feature.NESTED_MAP: native("mapped tasks, one for each slice of the items"),
    Feature.GATE: native("finish and the flow run end as Rejected"),
    Feature.CACHE: native("the task ends as Cached"),
    Feature.RETRY: inside("headrace exec tries again; its log says so"),
    Feature.LOST_WORKER: native("Prefect retries a task whose process was killed"),
    Feature.TIME_LIMIT: inside("headrace exec keeps it; the task ends as TimedOut"),
    Feature.CPUS: inside("a task waits until so many cpus are free; with cpus_limit for all runs of a server"),
    Feature.MEMORY: inside("a task waits until so much memory is free"),
    Feature.SECRET: native("the worker's environment, or Secret blocks"),
    Feature.SCHEDULE: native("a cron schedule of the deployment"),
    Feature.TIMEZONE: native("the schedule's time zone"),
    Feature.DATE: native("a parameter; the scheduled time where it isn't given"),
    Feature.BACKFILL: native("a run for each date, by its parameter"),
    Feature.DEPENDS_ON_PAST: refused("Prefect starts runs without regard to how earlier ones ended"),
    Feature.MAX_ACTIVE_RUNS: native("the deployment's concurrency limit; further runs wait"),
    Feature.RESUME: native("retry the flow run, or run again: what succeeded isn't executed again"),
    Feature.CANCEL: native("cancel the flow run: the step's process ends"),
    Feature.ARTIFACTS: native("markdown of the run, table of its nodes"),
    Feature.TRIGGERS: refused("compile doesn't write Prefect automations"),
    Feature.LINKS: native("link artifacts, by the setting links"),
    Feature.IMAGE: refused(
        "tasks are threads of the flow's process, so give the work pool an image that holds the project's environment "
        "too, and compile with --python"
    ),
    Feature.SUBMIT: native("prefect deploy, by the prefect command of its environment"),
}
