"""How Airflow has each feature."""

from __future__ import annotations

from headrace.backends.capabilities import Capabilities, Feature, inside, native

CAPABILITIES: Capabilities = {
    Feature.PARAMETERS: native("params with a form, checked by JSON schema; `exec` checks the declared types"),
    Feature.SEVERAL_OUTPUTS: native("references to each output in the task's XCom"),
    Feature.NESTED_PIPELINE: native("a task group"),
    Feature.CONDITION: native("the task ends as skipped"),
    Feature.MAP: native("dynamic task mapping: a task a slice, in a group of the node's name"),
    Feature.NESTED_MAP: native("dynamic task mapping, one map after the other"),
    Feature.GATE: native("`finish` fails and says which gate rejected the run"),
    Feature.CACHE: inside("the task succeeds at once; its XCom says cached"),
    Feature.RETRY: inside("`exec` tries again, in the same task"),
    Feature.LOST_WORKER: native("Airflow's retries of the task, `lost_retries`"),
    Feature.TIME_LIMIT: inside("`exec` ends the step, and the task fails"),
    Feature.CPUS: inside("threads are limited; `slots_are_cpus` also takes as many slots of a pool"),
    Feature.MEMORY: inside("`exec` tells when the kernel killed a step; nothing is set apart for it"),
    Feature.SECRET: native("the workers' environment, or a Variable or Connection of Airflow by its name"),
    Feature.SCHEDULE: native("a cron timetable"),
    Feature.TIMEZONE: native("the timetable's zone"),
    Feature.DATE: native("the run's logical date, in the pipeline's zone"),
    Feature.BACKFILL: native("`airflow backfill create`, or catchup"),
    Feature.DEPENDS_ON_PAST: native("`begin` waits until the run before has finished well"),
    Feature.MAX_ACTIVE_RUNS: native("max_active_runs; with depends_on_past one run works at a time anyhow"),
    Feature.RESUME: native("clear the failed tasks: Airflow runs them, and what hangs on them, in the same run"),
    Feature.CANCEL: native("mark the run as failed: steps are ended, and `finish` settles the run"),
    Feature.ARTIFACTS: native("assets, with digest, size and run in each of their events"),
    Feature.TRIGGERS: native("another DAG's schedule names the asset"),
    Feature.LINKS: native("buttons of each task, by the setting `links`"),
    Feature.IMAGE: native("a pod for each task, by Airflow's provider for Kubernetes", is_verified=False),
    Feature.SUBMIT: native("a copy into the DAG folder, whole at once"),
}
